;; An i32 becomes an i64, or an address: where its upper half is known to be zero, nothing clears it.
(module
  (memory 1)
  (func (export "widened") (param i32 i32) (result i64)
    (i64.extend_i32_u (i32.add (local.get 0) (local.get 1))))
  (func (export "loaded") (param i32) (result i32)
    (i32.load (i32.load (local.get 0))))
  (func (export "wrapped") (param i64) (result i32)
    (i32.load8_u (i32.wrap_i64 (local.get 0)))))
;; === baseline
;; func 0 "widened"
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
;;   lea eax, [r15 + rdi]                                ; i32.add
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
;; func 1 "loaded"
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
;;   mov r11d, r15d                                      ; i32.load
;;   mov eax, dword ptr [r14 + r11]
;;   mov eax, dword ptr [r14 + rax]                      ; i32.load
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
;; func 2 "wrapped"
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
;;   mov eax, r15d                                       ; i32.wrap_i64
;;   movzx eax, byte ptr [r14 + rax]                     ; i32.load8_u
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
;; === opt
;; func 0 "widened"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   lea eax, [r15 + rdi]                                ; i32.add
;;   pop rbp                                             ; end
;;   ret
;; func 1 "loaded"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov eax, r15d                                       ; i32.load
;;   mov eax, dword ptr [r14 + rax]
;;   mov eax, dword ptr [r14 + rax]                      ; i32.load
;;   pop rbp                                             ; end
;;   ret
;; func 2 "wrapped"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov eax, r15d                                       ; i32.load8_u
;;   movzx eax, byte ptr [r14 + rax]
;;   pop rbp                                             ; end
;;   ret
