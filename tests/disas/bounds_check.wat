;; Where memory has no guard pages, an access is compared with the memory's size. The trap is out of the way.
;; memory: dense
(module
  (memory 1)
  (func (export "load") (param $at i32) (result i64)
    (i64.load offset=8 (local.get $at)))
  (func (export "store_twice") (param $at i32) (param $value i32)
    (i32.store offset=4 (local.get $at) (local.get $value))
    (i32.store (local.get $at) (local.get $value))))
;; === baseline
;; func 0 "load"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 32
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L4
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L5
;; L1:
;;   mov r15d, r15d                                      ; i64.load offset=8
;;   mov r11, r15
;;   add r11, 8
;;   mov rcx, qword ptr [r13 + 8]
;;   mov rcx, qword ptr [rcx]
;;   mov rcx, qword ptr [rcx + 8]
;;   sub rcx, 8
;;   jb L2
;;   cmp r11, rcx
;;   mov ecx, 0
;;   cmova r11, rcx
;;   ja L2
;;   mov rax, qword ptr [r14 + r11]
;;   add rsp, 32                                         ; end
;;   pop rbp
;;   ret
;; L2:
;;   call L3                                             ; i64.load offset=8
;; L3:
;;   mov esi, 5
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L4:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L5:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; func 1 "store_twice"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 48
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L5
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L6
;; L1:
;;   mov r15d, r15d                                      ; i32.store offset=4
;;   mov r11, r15
;;   add r11, 4
;;   mov rax, qword ptr [r13 + 8]
;;   mov rax, qword ptr [rax]
;;   mov rax, qword ptr [rax + 8]
;;   sub rax, 4
;;   jb L2
;;   cmp r11, rax
;;   mov eax, 0
;;   cmova r11, rax
;;   ja L2
;;   mov dword ptr [r14 + r11], edi
;;   mov r11, r15                                        ; i32.store
;;   mov rax, qword ptr [r13 + 8]
;;   mov rax, qword ptr [rax]
;;   mov rax, qword ptr [rax + 8]
;;   sub rax, 4
;;   jb L3
;;   cmp r11, rax
;;   mov eax, 0
;;   cmova r11, rax
;;   ja L3
;;   mov dword ptr [r14 + r11], edi
;;   add rsp, 48                                         ; end
;;   pop rbp
;;   ret
;; L2:
;;   call L4                                             ; i32.store offset=4
;; L3:
;;   call L4                                             ; i32.store
;; L4:
;;   mov esi, 5
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L5:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L6:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; === opt
;; func 0 "load"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov ecx, r15d                                       ; i64.load offset=8
;;   mov rax, qword ptr [r13 + 8]
;;   mov rdx, qword ptr [rax]
;;   lea rsi, [rcx + 16]
;;   add rcx, 8
;;   xor eax, eax
;;   cmp rsi, qword ptr [rdx + 8]
;;   cmovbe rax, rcx
;;   ja L0
;;   mov rax, qword ptr [r14 + rax]
;;   pop rbp                                             ; end
;;   ret
;; L0:
;;   mov rax, qword ptr [r12 + 32]                       ; i64.load offset=8
;;   mov esi, 5
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; func 1 "store_twice"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov eax, r15d                                       ; i32.store offset=4
;;   mov rcx, qword ptr [r13 + 8]
;;   mov rcx, qword ptr [rcx]
;;   lea r8, [rax + 8]
;;   lea rdx, [rax + 4]
;;   xor esi, esi
;;   cmp r8, qword ptr [rcx + 8]
;;   cmovbe rsi, rdx
;;   ja L0
;;   mov dword ptr [r14 + rsi], edi
;;   xor esi, esi
;;   cmp rdx, qword ptr [rcx + 8]                        ; i32.store
;;   cmova rax, rsi
;;   ja L1
;;   mov dword ptr [r14 + rax], edi
;;   pop rbp                                             ; end
;;   ret
;; L0:
;;   mov rax, qword ptr [r12 + 32]                       ; i32.store offset=4
;;   mov esi, 5
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; L1:
;;   mov rax, qword ptr [r12 + 32]                       ; i32.store
;;   mov esi, 5
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
