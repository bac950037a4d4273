;; Arguments and results in registers, and what lives across a call.
;; calls: not inlined
(module
  (func $other (param i32 i64) (result i64)
    (i64.add (local.get 1) (i64.extend_i32_u (local.get 0))))
  (func (export "caller") (param $n i32) (result i64)
    (i64.mul
      (call $other (local.get $n) (i64.const 5))
      (i64.extend_i32_s (local.get $n))))
  (func (export "tail") (param i64) (result i64)
    (return_call $other (i32.const 7) (local.get 0))))
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
;;   mov eax, r15d                                       ; i64.extend_i32_u
;;   add rax, rdi                                        ; i64.add
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
;; func 1 "caller"
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
;;   mov qword ptr [rbp - 32], r15                       ; call 0 (; other ;)
;;   mov edi, 5
;;   mov r9, qword ptr [r13 + 96]
;;   call qword ptr [r9 + 8]
;;   mov r12, qword ptr [rbp - 8]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   mov r15d, dword ptr [rbp - 32]                      ; i64.extend_i32_s
;;   movsxd rcx, r15d
;;   imul rax, rcx                                       ; i64.mul
;;   add rsp, 32                                         ; end
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
;; func 2 "tail"
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
;;   mov rdi, r15                                        ; return_call 0 (; other ;)
;;   mov r15d, 7
;;   mov r9, qword ptr [r13 + 96]
;;   add rsp, 32
;;   pop rbp
;;   jmp qword ptr [r9 + 8]
;; L2:
;;   mov rax, qword ptr [r12 + 32]                       ; end
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L3:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; === opt
;; func 0
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov eax, r15d                                       ; i64.extend_i32_u
;;   add rax, rdi                                        ; i64.add
;;   pop rbp                                             ; end
;;   ret
;; func 1 "caller"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 16
;;   cmp rsp, qword ptr [r12 + 16]                       ; call 0 (; other ;)
;;   jb L1
;; L0:
;;   mov r9, qword ptr [r13 + 96]
;;   mov qword ptr [rbp - 8], r15
;;   mov r15d, r15d
;;   mov edi, 5
;;   call qword ptr [r9 + 8]
;;   movsxd rcx, dword ptr [rbp - 8]                     ; i64.extend_i32_s
;;   imul rax, rcx                                       ; i64.mul
;;   add rsp, 16                                         ; end
;;   pop rbp
;;   ret
;; L1:
;;   mov rax, qword ptr [r12 + 32]                       ; call 0 (; other ;)
;;   mov rdi, r12
;;   call qword ptr [rax + 8]
;;   jmp L0
;; func 2 "tail"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov rdi, r15
;;   mov r9, qword ptr [r13 + 96]                        ; return_call 0 (; other ;)
;;   mov rax, qword ptr [r9 + 8]
;;   mov r15d, 7
;;   pop rbp
;;   jmp rax
