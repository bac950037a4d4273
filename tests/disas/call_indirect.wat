;; A call through a table: the index is in bounds, the entry is there, and its type is the call's. The size of a table with
;; nowhere to grow is a constant.
(module
  (type $unary (func (param i32) (result i32)))
  (table 4 funcref)
  (table $fixed 6 6 funcref)
  (func (export "call") (param $which i32) (param $n i32) (result i32)
    (call_indirect (type $unary) (local.get $n) (local.get $which)))
  (func (export "call fixed") (param $which i32) (param $n i32) (result i32)
    (call_indirect $fixed (type $unary) (local.get $n) (local.get $which)))
  ;; Where the processor guesses the guest's own branch wrong, the index is selected all the same.
  (func (export "call compared") (param $which i32) (param $n i32) (result i32)
    (if (i32.ge_u (local.get $which) (i32.const 6)) (then (return (i32.const -1))))
    (call_indirect $fixed (type $unary) (local.get $n) (local.get $which))))
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
;;   mov rbx, rax
;;   mov r15d, edi
;;   mov r9, qword ptr [rbx + 16]
;;   mov r11, r13
;;   mov r13, qword ptr [rbx + 8]
;;   mov r14, qword ptr [rbx + 32]
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
;; func 1 "call fixed"
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
;;   mov r15d, r15d                                      ; call_indirect 1 (type 0)
;;   mov r11, qword ptr [r13 + 16]
;;   mov r11, qword ptr [r11 + 8]
;;   cmp r15, 6
;;   mov eax, 0
;;   cmovb rax, r15
;;   jae L2
;;   mov r11, qword ptr [r11]
;;   mov rax, qword ptr [r11 + 8*rax]
;;   test rax, rax
;;   je L3
;;   cmp dword ptr [rax], 0
;;   jne L4
;;   mov rbx, rax
;;   mov r15d, edi
;;   mov r9, qword ptr [rbx + 16]
;;   mov r11, r13
;;   mov r13, qword ptr [rbx + 8]
;;   mov r14, qword ptr [rbx + 32]
;;   call qword ptr [r9 + 8]
;;   mov r12, qword ptr [rbp - 8]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   add rsp, 48                                         ; end
;;   pop rbp
;;   ret
;; L2:
;;   call L5                                             ; call_indirect 1 (type 0)
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
;; func 2 "call compared"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 48
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L9
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L10
;; L1:
;;   cmp r15d, 6                                         ; i32.ge_u
;;   jb L2                                               ; if
;;   mov eax, 4294967295                                 ; return
;;   add rsp, 48
;;   pop rbp
;;   ret
;; L2:
;;   mov r15d, r15d                                      ; call_indirect 1 (type 0)
;;   mov r11, qword ptr [r13 + 16]
;;   mov r11, qword ptr [r11 + 8]
;;   cmp r15, 6
;;   mov eax, 0
;;   cmovb rax, r15
;;   jae L3
;;   mov r11, qword ptr [r11]
;;   mov rax, qword ptr [r11 + 8*rax]
;;   test rax, rax
;;   je L4
;;   cmp dword ptr [rax], 0
;;   jne L5
;;   mov rbx, rax
;;   mov r15d, edi
;;   mov r9, qword ptr [rbx + 16]
;;   mov r11, r13
;;   mov r13, qword ptr [rbx + 8]
;;   mov r14, qword ptr [rbx + 32]
;;   call qword ptr [r9 + 8]
;;   mov r12, qword ptr [rbp - 8]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   add rsp, 48                                         ; end
;;   pop rbp
;;   ret
;; L3:
;;   call L6                                             ; call_indirect 1 (type 0)
;; L4:
;;   call L7
;; L5:
;;   call L8
;; L6:
;;   mov esi, 7
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L7:
;;   mov esi, 8
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L8:
;;   mov esi, 9
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L9:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L10:
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
;; func 1 "call fixed"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov rbx, r13
;;   cmp rsp, qword ptr [r12 + 16]                       ; call_indirect 1 (type 0)
;;   jb L1
;; L0:
;;   mov ecx, r15d
;;   xor eax, eax
;;   cmp rcx, 6
;;   cmovb rax, rcx
;;   jae L2
;;   mov rcx, qword ptr [rbx + 16]
;;   mov rcx, qword ptr [rcx + 8]
;;   mov rcx, qword ptr [rcx]
;;   mov rax, qword ptr [rcx + 8*rax]
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
;;   mov rax, qword ptr [r12 + 32]                       ; call_indirect 1 (type 0)
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
;; func 2 "call compared"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov rbx, r13
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L1
;;   cmp r15d, 5                                         ; i32.ge_u
;;   jbe L2                                              ; if
;; L0:
;;   mov eax, 4294967295
;;   pop rbp
;;   ret
;; L1:
;;   mov rax, qword ptr [r12 + 32]
;;   mov r14, rdi
;;   mov rdi, r12
;;   call qword ptr [rax + 8]
;;   mov rdi, r14
;;   cmp r15d, 5                                         ; i32.ge_u
;;   ja L0                                               ; if
;; L2:
;;   and r15d, 7                                         ; call_indirect 1 (type 0)
;;   xor eax, eax
;;   cmp r15, 6
;;   cmovb rax, r15
;;   jae L3
;;   mov rcx, qword ptr [rbx + 16]
;;   mov rcx, qword ptr [rcx + 8]
;;   mov rcx, qword ptr [rcx]
;;   mov rax, qword ptr [rcx + 8*rax]
;;   test rax, rax
;;   je L4
;;   cmp dword ptr [rax], 0
;;   jne L5
;;   mov r13, qword ptr [rax + 8]
;;   mov r9, qword ptr [rax + 16]
;;   mov r14, qword ptr [rax + 32]
;;   mov r15d, edi
;;   mov r11, rbx
;;   call qword ptr [r9 + 8]
;;   mov eax, eax                                        ; end
;;   pop rbp                                             ; call_indirect 1 (type 0)
;;   ret
;; L3:
;;   mov rax, qword ptr [r12 + 32]
;;   mov esi, 7
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; L4:
;;   mov rax, qword ptr [r12 + 32]
;;   mov esi, 8
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; L5:
;;   mov rax, qword ptr [r12 + 32]
;;   mov esi, 9
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
