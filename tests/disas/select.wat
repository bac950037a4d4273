;; A select takes the flags of the comparison before it, and does not branch.
(module
  (func (export "minimum") (param i32 i32) (result i32)
    (select (local.get 0) (local.get 1) (i32.lt_s (local.get 0) (local.get 1))))
  (func (export "absolute") (param i64) (result i64)
    (select (local.get 0) (i64.sub (i64.const 0) (local.get 0)) (i64.ge_s (local.get 0) (i64.const 0)))))
;; === baseline
;; func 0 "minimum"
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
;;   cmp r15d, edi                                       ; i32.lt_s
;;   mov eax, r15d                                       ; select
;;   cmovge eax, edi
;;   add rsp, 48                                         ; end
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
;; func 1 "absolute"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 32
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L2
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L3
;; L1:
;;   mov eax, 0                                          ; i64.sub
;;   sub rax, r15
;;   cmp r15, 0                                          ; i64.ge_s
;;   mov rcx, r15                                        ; select
;;   cmovl rcx, rax
;;   mov rax, rcx                                        ; end
;;   add rsp, 32
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
;; === opt
;; func 0 "minimum"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov rax, rdi
;;   cmp r15d, eax                                       ; select
;;   cmovl eax, r15d
;;   pop rbp                                             ; end
;;   ret
;; func 1 "absolute"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov rax, r15                                        ; select
;;   neg rax
;;   cmovs rax, r15
;;   pop rbp                                             ; end
;;   ret
