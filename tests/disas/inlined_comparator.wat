;; A sort by a comparator of the table: the call is a comparison of the table's entry with the one function that it may be,
;; and behind that the comparator's own instructions. Any other entry takes the checked way.
(module
  (type $less (func (param i32 i32) (result i32)))
  (memory 1)
  (table 2 funcref)
  (elem (i32.const 1) func $ascending)
  (func $ascending (type $less)
    (i32.lt_s (i32.load (local.get 0)) (i32.load (local.get 1))))
  (func (export "sift") (param $at i32) (param $begin i32) (param $less i32) (local $v i32)
    (local.set $v (i32.load (local.get $at)))
    (block $placed
      (loop $next
        (br_if $placed (i32.le_u (local.get $at) (local.get $begin)))
        (br_if $placed (i32.eqz (call_indirect (type $less)
          (local.get $at) (i32.sub (local.get $at) (i32.const 4)) (local.get $less))))
        (i32.store (local.get $at) (i32.load (i32.sub (local.get $at) (i32.const 4))))
        (local.set $at (i32.sub (local.get $at) (i32.const 4)))
        (i32.store (local.get $at) (local.get $v))
        (br $next)))))
;; === baseline
;; func 0
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 48
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L2
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L3
;; L1:
;;   mov r11d, r15d                                      ; i32.load
;;   mov eax, dword ptr [r14 + r11]
;;   mov r11d, edi                                       ; i32.load
;;   mov ecx, dword ptr [r14 + r11]
;;   cmp eax, ecx                                        ; i32.lt_s
;;   setl dl
;;   movzx edx, dl
;;   mov eax, edx                                        ; end
;;   add rsp, 48
;;   pop rbp
;;   ret
;; L2:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L3:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; func 1 "sift"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 64
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L13
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L14
;; L1:
;;   xor ebx, ebx
;;   mov r11d, r15d                                      ; i32.load
;;   mov ebx, dword ptr [r14 + r11]
;;   mov qword ptr [rbp - 56], rbx                       ; loop
;;   mov qword ptr [rbp - 40], rdi
;;   mov qword ptr [rbp - 48], rsi
;;   mov r15d, r15d
;;   mov edi, edi
;;   mov esi, esi
;; L2:
;;   cmp r15d, edi                                       ; i32.le_u
;;   jbe L3                                              ; br_if 1
;;   lea eax, [r15 - 4]                                  ; i32.sub
;;   mov r11, qword ptr [r13 + 16]                       ; call_indirect (type 0)
;;   mov r11, qword ptr [r11]
;;   cmp rsi, qword ptr [r11 + 8]
;;   mov ecx, 0
;;   cmovb rcx, rsi
;;   jae L6
;;   mov r11, qword ptr [r11]
;;   mov rcx, qword ptr [r11 + 8*rcx]
;;   test rcx, rcx
;;   je L7
;;   cmp dword ptr [rcx], 0
;;   jne L8
;;   mov qword ptr [rbp - 32], r15
;;   mov rbx, rcx
;;   mov edi, eax
;;   mov r9, qword ptr [rbx + 16]
;;   mov r11, r13
;;   mov r13, qword ptr [rbx + 8]
;;   mov r14, qword ptr [rbx + 32]
;;   call qword ptr [r9 + 8]
;;   mov r12, qword ptr [rbp - 8]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   test eax, eax                                       ; i32.eqz
;;   je L3                                               ; br_if 1
;;   mov r15d, dword ptr [rbp - 32]                      ; i32.sub
;;   lea eax, [r15 - 4]
;;   mov eax, dword ptr [r14 + rax]                      ; i32.load
;;   mov dword ptr [r14 + r15], eax                      ; i32.store
;;   add r15d, -4                                        ; i32.sub
;;   mov ebx, dword ptr [rbp - 56]                       ; i32.store
;;   mov dword ptr [r14 + r15], ebx
;;   mov edi, dword ptr [rbp - 40]                       ; br 0
;;   mov esi, dword ptr [rbp - 48]
;;   dec qword ptr [r12]
;;   jns L2
;;   jmp L4
;; L3:
;;   add rsp, 64                                         ; end
;;   pop rbp
;;   ret
;; L4:
;;   mov qword ptr [rbp - 32], r15
;;   mov rsi, qword ptr [r13 + 96]
;;   add rsi, 128
;;   movabs rdx, 17179869272
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 88]
;;   test rax, rax                                       ; loop
;;   jne L5
;;   mov r15d, dword ptr [rbp - 32]
;;   mov ebx, dword ptr [rbp - 56]
;;   mov edi, dword ptr [rbp - 40]
;;   mov esi, dword ptr [rbp - 48]
;;   jmp L2
;; L5:
;;   mov r15, qword ptr [r12 + 40]
;;   mov r9, qword ptr [r13 + 96]
;;   add r9, 128
;;   add rsp, 64
;;   pop rbp
;;   jmp rax
;; L6:
;;   call L9                                             ; call_indirect (type 0)
;; L7:
;;   call L10
;; L8:
;;   call L11
;; L9:
;;   mov esi, 7
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L10:
;;   mov esi, 8
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L11:
;;   mov esi, 9
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; entry_of_loop:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 64
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L15
;; L12:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   mov rsi, r15
;;   mov edx, 4
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 96]
;;   mov r15d, dword ptr [rbp - 32]
;;   mov ebx, dword ptr [rbp - 56]
;;   mov edi, dword ptr [rbp - 40]
;;   mov esi, dword ptr [rbp - 48]
;;   jmp L2
;; L13:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L14:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; L15:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L12
;; === opt
;; func 0
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov eax, r15d                                       ; i32.load
;;   mov ecx, dword ptr [r14 + rax]
;;   mov edx, edi                                        ; i32.load
;;   xor eax, eax                                        ; i32.lt_s
;;   cmp ecx, dword ptr [r14 + rdx]                      ; i32.load
;;   setl al                                             ; i32.lt_s
;;   pop rbp                                             ; end
;;   ret
;; func 1 "sift"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 80
;;   mov rdx, r13
;;   mov qword ptr [rbp - 8], r12
;;   cmp rsp, qword ptr [r12 + 16]
;;   mov qword ptr [rbp - 24], rdi
;;   jb L8
;; L0:
;;   mov eax, r15d                                       ; i32.load
;;   mov eax, dword ptr [r14 + rax]
;;   mov dword ptr [rbp - 12], eax
;;   cmp r15d, edi                                       ; i32.le_u
;;   jbe L4                                              ; br_if 1
;;   mov rax, qword ptr [rdx + 16]                       ; call_indirect (type 0)
;;   mov r8, qword ptr [rax]
;;   mov eax, esi
;;   mov qword ptr [rbp - 56], rax
;;   mov qword ptr [rbp - 48], r14
;;   mov qword ptr [rbp - 32], rdx
;;   mov qword ptr [rbp - 40], r8
;; L1:
;;   mov rcx, qword ptr [rbp - 56]
;;   cmp rcx, qword ptr [r8 + 8]
;;   mov eax, 0
;;   cmovb rax, rcx
;;   jae L5
;;   lea esi, [r15 - 4]
;;   mov rcx, qword ptr [r8]
;;   mov rax, qword ptr [rcx + 8*rax]
;;   mov rcx, qword ptr [rdx + 40]
;;   mov r10d, esi
;;   mov r15d, r15d
;;   cmp rax, qword ptr [rcx]
;;   mov qword ptr [rbp - 72], r10
;;   mov qword ptr [rbp - 64], r15
;;   je L2
;;   test rax, rax
;;   je L7
;;   mov dword ptr [rbp - 16], esi
;;   cmp dword ptr [rax], 0
;;   jne L6
;;   mov r13, qword ptr [rax + 8]
;;   mov r9, qword ptr [rax + 16]
;;   mov r14, qword ptr [rax + 32]
;;   mov r12, qword ptr [rbp - 8]
;;   mov rdi, r10
;;   mov r11, qword ptr [rbp - 32]
;;   call qword ptr [r9 + 8]
;;   mov rdx, qword ptr [rbp - 32]
;;   test eax, eax                                       ; i32.eqz
;;   sete al
;;   mov rdi, qword ptr [rbp - 24]
;;   mov r14, qword ptr [rbp - 48]
;;   mov r8, qword ptr [rbp - 40]
;;   mov esi, dword ptr [rbp - 16]
;;   test al, al                                         ; br_if 1
;;   je L3
;;   jmp L4
;; L2:
;;   mov eax, dword ptr [r14 + r15]                      ; i32.load (inlined func 0)
;;   cmp eax, dword ptr [r14 + r10]                      ; i32.load (inlined func 0)
;;   setge al                                            ; i32.lt_s (inlined func 0)
;;   test al, al                                         ; br_if 1
;;   jne L4
;; L3:
;;   mov rcx, qword ptr [rbp - 72]                       ; i32.load
;;   mov eax, dword ptr [r14 + rcx]
;;   mov r9, qword ptr [rbp - 64]
;;   mov dword ptr [r14 + r9], eax                       ; i32.store
;;   mov eax, dword ptr [rbp - 12]
;;   mov dword ptr [r14 + rcx], eax                      ; i32.store
;;   mov r15d, esi
;;   cmp esi, edi                                        ; i32.le_u
;;   ja L1                                               ; br_if 1
;; L4:
;;   add rsp, 80                                         ; end
;;   pop rbp
;;   ret
;; L5:
;;   mov rdi, qword ptr [rbp - 8]                        ; call_indirect (type 0)
;;   mov rax, qword ptr [rdi + 32]
;;   mov esi, 7
;;   call qword ptr [rax]
;;   ud2
;; L6:
;;   mov rdi, qword ptr [rbp - 8]
;;   mov rax, qword ptr [rdi + 32]
;;   mov esi, 9
;;   call qword ptr [rax]
;;   ud2
;; L7:
;;   mov rdi, qword ptr [rbp - 8]
;;   mov rax, qword ptr [rdi + 32]
;;   mov esi, 8
;;   call qword ptr [rax]
;;   ud2
;; L8:
;;   mov rdi, qword ptr [rbp - 8]
;;   mov rax, qword ptr [rdi + 32]
;;   mov rbx, rsi
;;   mov r12, rdx
;;   call qword ptr [rax + 8]
;;   mov rdx, r12
;;   mov rdi, qword ptr [rbp - 24]
;;   mov rsi, rbx
;;   jmp L0
