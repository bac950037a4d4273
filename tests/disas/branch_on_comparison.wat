;; A branch takes the flags of the comparison before it; nothing makes a 0 or a 1.
(module
  (func (export "clamp") (param $n i32) (param $most i32) (result i32)
    (if (i32.gt_s (local.get $n) (local.get $most))
      (then (return (local.get $most))))
    (local.get $n))
  (func (export "count_down") (param $n i64) (result i64)
    (local $turns i64)
    (block $done
      (loop $again
        (br_if $done (i64.eqz (local.get $n)))
        (local.set $n (i64.shr_u (local.get $n) (i64.const 1)))
        (local.set $turns (i64.add (local.get $turns) (i64.const 1)))
        (br $again)))
    (local.get $turns)))
;; === baseline
;; func 0 "clamp"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 48
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L3
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L4
;; L1:
;;   cmp r15d, edi                                       ; i32.gt_s
;;   jle L2                                              ; if
;;   mov eax, edi                                        ; return
;;   add rsp, 48
;;   pop rbp
;;   ret
;; L2:
;;   mov eax, r15d                                       ; end
;;   add rsp, 48
;;   pop rbp
;;   ret
;; L3:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L4:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; func 1 "count_down"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 48
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L7
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L8
;; L1:
;;   xor ebx, ebx
;; L2:
;;   test r15, r15                                       ; i64.eqz
;;   je L3                                               ; br_if 1
;;   shr r15                                             ; i64.shr_u
;;   add rbx, 1                                          ; i64.add
;;   dec qword ptr [r12]                                 ; br 0
;;   jns L2
;;   jmp L4
;; L3:
;;   mov rax, rbx                                        ; end
;;   add rsp, 48
;;   pop rbp
;;   ret
;; L4:
;;   mov qword ptr [rbp - 32], r15
;;   mov qword ptr [rbp - 40], rbx
;;   mov rsi, qword ptr [r13 + 96]
;;   add rsi, 128
;;   movabs rdx, 8589934668
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 88]
;;   test rax, rax                                       ; loop
;;   jne L5
;;   mov r15, qword ptr [rbp - 32]
;;   mov rbx, qword ptr [rbp - 40]
;;   jmp L2
;; L5:
;;   mov r15, qword ptr [r12 + 40]
;;   mov r9, qword ptr [r13 + 96]
;;   add r9, 128
;;   add rsp, 48
;;   pop rbp
;;   jmp rax
;; entry_of_loop:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 48
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L9
;; L6:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   mov rsi, r15
;;   mov edx, 2
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 96]
;;   mov r15, qword ptr [rbp - 32]
;;   mov rbx, qword ptr [rbp - 40]
;;   jmp L2
;; L7:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L8:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; L9:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L6
;; === opt
;; func 0 "clamp"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   cmp r15d, edi                                       ; i32.gt_s
;;   cmovg r15, rdi                                      ; if
;;   mov eax, r15d
;;   pop rbp
;;   ret
;; func 1 "count_down"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   xor eax, eax
;;   test r15, r15                                       ; i64.eqz
;;   je L1                                               ; br_if 1
;; L0:
;;   shr r15                                             ; i64.shr_u
;;   inc rax                                             ; i64.add
;;   test r15, r15                                       ; i64.eqz
;;   jne L0                                              ; br_if 1
;; L1:
;;   pop rbp                                             ; end
;;   ret
