;; A divisor that is known needs no division and no check.
(module
  (func (export "tenth") (param i32) (result i32)
    (i32.div_u (local.get 0) (i32.const 10)))
  (func (export "eighth") (param i32) (result i32)
    (i32.div_s (local.get 0) (i32.const 8)))
  (func (export "weekday") (param i64) (result i64)
    (i64.rem_u (local.get 0) (i64.const 7))))
;; === baseline
;; func 0 "tenth"
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
;;   mov edx, r15d                                       ; i32.div_u
;;   movabs r11, 1844674407370955162
;;   mulx rax, r11, r11
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
;; func 1 "eighth"
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
;;   mov eax, r15d                                       ; i32.div_s
;;   mov ecx, eax
;;   sar ecx, 31
;;   shr ecx, 29
;;   add eax, ecx
;;   sar eax, 3
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
;; func 2 "weekday"
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
;;   mov rdx, r15                                        ; i64.rem_u
;;   movabs r11, 2635249153387078803
;;   mulx rax, r11, r11
;;   mov r11, rdx
;;   sub r11, rax
;;   shr r11
;;   add rax, r11
;;   shr rax, 2
;;   imul rax, rax, 7
;;   sub rdx, rax
;;   mov rax, rdx                                        ; end
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
;; func 0 "tenth"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov ecx, r15d                                       ; i32.div_u
;;   mov eax, 3435973837
;;   imul rax, rcx
;;   shr rax, 35
;;   pop rbp                                             ; end
;;   ret
;; func 1 "eighth"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   lea eax, [r15 + 7]                                  ; i32.div_s
;;   test r15d, r15d
;;   cmovns eax, r15d
;;   sar eax, 3
;;   pop rbp                                             ; end
;;   ret
;; func 2 "weekday"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov rdx, r15
;;   movabs rax, 2635249153387078803
;;   mulx rcx, rcx, rax                                  ; i64.rem_u
;;   mov rax, r15
;;   sub rax, rcx
;;   shr rax
;;   add rax, rcx
;;   shr rax, 2
;;   lea rcx, [8*rax]
;;   sub rax, rcx
;;   add rax, r15
;;   pop rbp                                             ; end
;;   ret
