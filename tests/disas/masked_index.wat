;; An index that a mask keeps within the smallest size of the memory. Both tiers compare all the same.
;; memory: dense
(module
  (memory 1)
  (func (export "entry") (param $key i32) (result i32)
    (i32.load (i32.and (local.get $key) (i32.const 0xfffc))))
  (func (export "byte") (param $key i32) (result i32)
    (i32.load8_u offset=256 (i32.and (local.get $key) (i32.const 255)))))
;; === baseline
;; func 0 "entry"
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
;;   mov eax, r15d                                       ; i32.and
;;   and eax, 65532
;;   mov r11, rax                                        ; i32.load
;;   mov rcx, qword ptr [r13 + 8]
;;   mov rcx, qword ptr [rcx]
;;   mov rcx, qword ptr [rcx + 8]
;;   sub rcx, 4
;;   jb L2
;;   cmp r11, rcx
;;   mov ecx, 0
;;   cmova r11, rcx
;;   ja L2
;;   mov eax, dword ptr [r14 + r11]
;;   add rsp, 32                                         ; end
;;   pop rbp
;;   ret
;; L2:
;;   call L3                                             ; i32.load
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
;; func 1 "byte"
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
;;   mov eax, r15d                                       ; i32.and
;;   and eax, 255
;;   mov r11, rax                                        ; i32.load8_u offset=256
;;   add r11, 256
;;   mov rcx, qword ptr [r13 + 8]
;;   mov rcx, qword ptr [rcx]
;;   mov rcx, qword ptr [rcx + 8]
;;   sub rcx, 1
;;   jb L2
;;   cmp r11, rcx
;;   mov ecx, 0
;;   cmova r11, rcx
;;   ja L2
;;   movzx eax, byte ptr [r14 + r11]
;;   add rsp, 32                                         ; end
;;   pop rbp
;;   ret
;; L2:
;;   call L3                                             ; i32.load8_u offset=256
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
;; === opt
;; func 0 "entry"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   and r15d, 65532                                     ; i32.and
;;   mov rax, qword ptr [r13 + 8]                        ; i32.load
;;   mov rcx, qword ptr [rax]
;;   lea rdx, [r15 + 4]
;;   xor eax, eax
;;   cmp rdx, qword ptr [rcx + 8]
;;   cmovbe rax, r15
;;   ja L0
;;   mov eax, dword ptr [r14 + rax]
;;   pop rbp                                             ; end
;;   ret
;; L0:
;;   mov rax, qword ptr [r12 + 32]                       ; i32.load
;;   mov esi, 5
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; func 1 "byte"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   movzx ecx, r15b                                     ; i32.and
;;   mov rax, qword ptr [r13 + 8]                        ; i32.load8_u offset=256
;;   mov rdx, qword ptr [rax]
;;   lea rsi, [rcx + 257]
;;   or rcx, 256
;;   xor eax, eax
;;   cmp rsi, qword ptr [rdx + 8]
;;   cmovbe rax, rcx
;;   ja L0
;;   movzx eax, byte ptr [r14 + rax]
;;   pop rbp                                             ; end
;;   ret
;; L0:
;;   mov rax, qword ptr [r12 + 32]                       ; i32.load8_u offset=256
;;   mov esi, 5
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
