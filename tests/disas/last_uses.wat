;; A call stores the locals that are read behind it, and no others; where the ways meet, those are loaded again.
;; calls: not inlined
(module
  (func $other (param i32) (result i32) (local.get 0))
  (func (export "rare") (param $n i32) (param $kept i32) (result i32) (local $gone i32)
    (local.set $gone (i32.mul (local.get $n) (local.get $kept)))
    (block $usual
      (br_if $usual (i32.ne (local.get $n) (i32.const 7)))
      (local.set $n (call $other (local.get $gone))))
    (i32.add (local.get $n) (local.get $kept)))
  (func (export "loop") (param $n i32) (result i32) (local $sum i32) (local $each i32)
    (loop $again
      (local.set $each (call $other (local.get $n)))
      (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $each) (local.get $each))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
;; === baseline
;; func 0
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
;;   mov eax, r15d                                       ; end
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
;; func 1 "rare"
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
;;   xor ebx, ebx
;;   mov ebx, r15d                                       ; i32.mul
;;   imul ebx, edi
;;   cmp r15d, 7                                         ; i32.ne
;;   jne L2                                              ; br_if 0
;;   mov qword ptr [rbp - 40], rdi                       ; call 0 (; other ;)
;;   mov r15d, ebx
;;   mov r9, qword ptr [r13 + 96]
;;   call qword ptr [r9 + 8]
;;   mov r12, qword ptr [rbp - 8]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   mov r15d, eax                                       ; local.set 0
;;   mov edi, dword ptr [rbp - 40]                       ; end
;; L2:
;;   lea eax, [r15 + rdi]                                ; i32.add
;;   add rsp, 48                                         ; end
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
;; func 2 "loop"
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
;;   xor r9d, r9d
;;   xor ebx, ebx
;;   mov r15d, r15d                                      ; loop
;; L2:
;;   mov qword ptr [rbp - 32], r15                       ; call 0 (; other ;)
;;   mov qword ptr [rbp - 40], r9
;;   mov r9, qword ptr [r13 + 96]
;;   call qword ptr [r9 + 8]
;;   mov r12, qword ptr [rbp - 8]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   mov ebx, eax                                        ; local.set 2
;;   mov eax, ebx                                        ; i32.mul
;;   imul eax, ebx
;;   mov r9d, dword ptr [rbp - 40]                       ; i32.add
;;   add r9d, eax
;;   mov r15d, dword ptr [rbp - 32]                      ; i32.sub
;;   add r15d, -1
;;   test r15d, r15d                                     ; br_if 0
;;   je L3
;;   dec qword ptr [r12]
;;   jns L2
;;   jmp L4
;; L3:
;;   mov eax, r9d                                        ; end
;;   add rsp, 48
;;   pop rbp
;;   ret
;; L4:
;;   mov qword ptr [rbp - 32], r15
;;   mov qword ptr [rbp - 40], r9
;;   mov rsi, qword ptr [r13 + 96]
;;   add rsi, 256
;;   movabs rdx, 12884901978
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 88]
;;   test rax, rax                                       ; loop
;;   jne L5
;;   mov r15d, dword ptr [rbp - 32]
;;   mov r9d, dword ptr [rbp - 40]
;;   jmp L2
;; L5:
;;   mov r15, qword ptr [r12 + 40]
;;   mov r9, qword ptr [r13 + 96]
;;   add r9, 256
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
;;   mov edx, 3
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 96]
;;   mov r15d, dword ptr [rbp - 32]
;;   mov r9d, dword ptr [rbp - 40]
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
;; func 0
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov eax, r15d                                       ; end
;;   pop rbp
;;   ret
;; func 1 "rare"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 16
;;   mov rbx, rdi
;;   cmp rsp, qword ptr [r12 + 16]                       ; i32.ne
;;   jb L2
;;   cmp r15d, 7
;;   jne L1                                              ; br_if 0
;; L0:
;;   imul r15d, ebx                                      ; i32.mul
;;   mov r9, qword ptr [r13 + 96]                        ; call 0 (; other ;)
;;   mov qword ptr [rbp - 8], rbx
;;   call qword ptr [r9 + 8]
;;   mov rbx, qword ptr [rbp - 8]
;;   mov r15, rax
;; L1:
;;   add r15d, ebx                                       ; i32.add
;;   mov rax, r15                                        ; end
;;   add rsp, 16
;;   pop rbp
;;   ret
;; L2:
;;   mov rax, qword ptr [r12 + 32]                       ; i32.ne
;;   mov rdi, r12
;;   call qword ptr [rax + 8]
;;   cmp r15d, 7
;;   jne L1                                              ; br_if 0
;;   jmp L0
;; func 2 "loop"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 48
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L2
;; L0:
;;   xor eax, eax                                        ; call 0 (; other ;)
;;   mov qword ptr [rbp - 40], r14
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 32], r12
;; L1:
;;   mov dword ptr [rbp - 4], eax
;;   mov qword ptr [rbp - 24], r15
;;   mov r9, qword ptr [r13 + 96]
;;   mov r15d, dword ptr [rbp - 24]
;;   mov r12, qword ptr [rbp - 32]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 40]
;;   call qword ptr [r9 + 8]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r15, qword ptr [rbp - 24]
;;   imul eax, eax                                       ; i32.mul
;;   add dword ptr [rbp - 4], eax                        ; i32.add
;;   mov eax, dword ptr [rbp - 4]
;;   dec r15d                                            ; br_if 0
;;   jne L1
;;   mov eax, eax                                        ; end
;;   add rsp, 48
;;   pop rbp
;;   ret
;; L2:
;;   mov rax, qword ptr [r12 + 32]
;;   mov rdi, r12
;;   call qword ptr [rax + 8]
;;   jmp L0
