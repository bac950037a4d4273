;; A call through a table: the index is in bounds, the entry is there, and its type is the call's.
(module
  (type $unary (func (param i32) (result i32)))
  (table 4 funcref)
  (func (export "call") (param $which i32) (param $n i32) (result i32)
    (call_indirect (type $unary) (local.get $n) (local.get $which))))
;; === baseline
;; func 0 "call"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 48
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L8
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L9
;; L1:
;;   mov r15d, r15d                                      ; call_indirect (type 0)
;;   mov r11, qword ptr [r13 + 16]
;;   mov r11, qword ptr [r11]
;;   cmp r15, qword ptr [r11 + 8]
;;   mov eax, 0
;;   cmovb rax, r15
;;   jae L2
;;   mov r11, qword ptr [r11]
;;   mov rax, qword ptr [r11 + 8*rax]
;;   test rax, rax
;;   je L3
;;   cmp dword ptr [rax], 0
;;   jne L4
;;   mov qword ptr [rbp - 32], r15
;;   mov qword ptr [rbp - 40], rdi
;;   mov rbx, rax
;;   mov r15d, edi
;;   mov r9, qword ptr [rbx + 16]
;;   mov r11, r13
;;   mov rax, qword ptr [rbx + 8]
;;   test rax, rax
;;   cmovne r13, rax
;;   mov r14, qword ptr [r13]
;;   call qword ptr [r9 + 8]
;;   mov r12, qword ptr [rbp - 8]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   add rsp, 48                                         ; end
;;   pop rbp
;;   ret
;; L2:
;;   call L5                                             ; call_indirect (type 0)
;; L3:
;;   call L6
;; L4:
;;   call L7
;; L5:
;;   mov esi, 7
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L6:
;;   mov esi, 8
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L7:
;;   mov esi, 9
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L8:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L9:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; === opt
;; func 0 "call"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov rbx, r13
;;   cmp rsp, qword ptr [r12 + 16]                       ; call_indirect (type 0)
;;   jb L1
;; L0:
;;   mov rax, qword ptr [rbx + 16]
;;   mov rax, qword ptr [rax]
;;   mov edx, r15d
;;   xor ecx, ecx
;;   cmp rdx, qword ptr [rax + 8]
;;   cmovb rcx, rdx
;;   jae L2
;;   mov rax, qword ptr [rax]
;;   mov rax, qword ptr [rax + 8*rcx]
;;   test rax, rax
;;   je L3
;;   cmp dword ptr [rax], 0
;;   jne L4
;;   mov r13, qword ptr [rax + 8]
;;   mov r9, qword ptr [rax + 16]
;;   mov r14, qword ptr [rax + 32]
;;   mov r15d, edi
;;   mov r11, rbx
;;   call qword ptr [r9 + 8]
;;   mov eax, eax                                        ; end
;;   pop rbp
;;   ret
;; L1:
;;   mov rax, qword ptr [r12 + 32]                       ; call_indirect (type 0)
;;   mov r14, rdi
;;   mov rdi, r12
;;   call qword ptr [rax + 8]
;;   mov rdi, r14
;;   jmp L0
;; L2:
;;   mov rax, qword ptr [r12 + 32]
;;   mov esi, 7
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; L3:
;;   mov rax, qword ptr [r12 + 32]
;;   mov esi, 8
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; L4:
;;   mov rax, qword ptr [r12 + 32]
;;   mov esi, 9
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
