;; A br_table of several targets, and one of two.
(module
  (func (export "switch") (param $n i32) (result i32)
    (block $other (block $c (block $b (block $a
      (br_table $a $b $c $a $b $other (local.get $n)))
      (return (i32.const 11)))
      (return (i32.const 22)))
      (return (i32.const 33)))
    (i32.const 44))
  (func (export "two") (param $n i32) (result i32)
    (block $other (block $a
      (br_table $a $other (local.get $n)))
      (return (i32.const 1)))
    (i32.const 2)))
;; === baseline
;; func 0 "switch"
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
;;   mov r11d, 5                                         ; br_table 0 1 2 0 1 3
;;   cmp r15d, r11d
;;   cmovb r11d, r15d
;;   lea rax, [rip + constant]
;;   movsxd r11, dword ptr [rax + 4*r11]
;;   add r11, rax
;;   jmp r11
;;   mov eax, 11                                         ; return
;;   add rsp, 32
;;   pop rbp
;;   ret
;;   mov eax, 22                                         ; return
;;   add rsp, 32
;;   pop rbp
;;   ret
;;   mov eax, 33                                         ; return
;;   add rsp, 32
;;   pop rbp
;;   ret
;;   mov eax, 44                                         ; end
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
;; func 1 "two"
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
;;   mov r11d, r15d                                      ; br_table 0 1
;;   test r11d, r11d
;;   je L2
;;   jmp L3
;; L2:
;;   mov eax, 1                                          ; return
;;   add rsp, 32
;;   pop rbp
;;   ret
;; L3:
;;   mov eax, 2                                          ; end
;;   add rsp, 32
;;   pop rbp
;;   ret
;; L4:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L5:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; === opt
;; func 0 "switch"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   cmp r15d, 4                                         ; br_table 0 1 2 0 1 3
;;   ja L0
;;   mov eax, r15d
;;   lea rcx, [rip + constant]
;;   movsxd rax, dword ptr [rcx + 4*rax]
;;   add rax, rcx
;;   jmp rax
;;   mov eax, 11
;;   pop rbp
;;   ret
;;   mov eax, 22
;;   pop rbp
;;   ret
;;   mov eax, 33
;;   pop rbp
;;   ret
;; L0:
;;   mov eax, 44
;;   pop rbp
;;   ret
;; func 1 "two"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   cmp r15d, 1                                         ; br_table 0 1
;;   mov eax, 2
;;   sbb rax, 0
;;   pop rbp
;;   ret
