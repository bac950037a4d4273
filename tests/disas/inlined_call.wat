;; Calls of small functions: their instructions stand in the caller, and a trap in them is told from one of the caller.
(module
  (memory 1)
  (func $at (param $base i32) (param $i i32) (result i32)
    (i32.load (i32.add (local.get $base) (i32.mul (local.get $i) (i32.const 12)))))
  (func (export "sum") (param $base i32) (param $i i32) (param $j i32) (result i32)
    (i32.add (call $at (local.get $base) (local.get $i)) (call $at (local.get $base) (local.get $j)))))
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
;;   imul eax, edi, 12                                   ; i32.mul
;;   add eax, r15d                                       ; i32.add
;;   mov eax, dword ptr [r14 + rax]                      ; i32.load
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
;; func 1 "sum"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 64
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L2
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L3
;; L1:
;;   mov qword ptr [rbp - 32], r15                       ; call 0 (; at ;)
;;   mov qword ptr [rbp - 48], rsi
;;   mov r9, qword ptr [r13 + 96]
;;   call qword ptr [r9 + 8]
;;   mov r12, qword ptr [rbp - 8]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   mov eax, eax                                        ; call 0 (; at ;)
;;   mov qword ptr [rbp - 56], rax
;;   mov r15d, dword ptr [rbp - 32]
;;   mov edi, dword ptr [rbp - 48]
;;   mov r9, qword ptr [r13 + 96]
;;   call qword ptr [r9 + 8]
;;   mov r12, qword ptr [rbp - 8]
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   mov eax, eax                                        ; i32.add
;;   add eax, dword ptr [rbp - 56]
;;   add rsp, 64                                         ; end
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
;; func 0
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   lea eax, [rdi + 2*rdi]                              ; i32.mul
;;   lea eax, [r15 + 4*rax]                              ; i32.add
;;   mov eax, dword ptr [r14 + rax]                      ; i32.load
;;   pop rbp                                             ; end
;;   ret
;; func 1 "sum"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   lea eax, [rdi + 2*rdi]                              ; i32.mul (inlined func 0)
;;   lea eax, [r15 + 4*rax]                              ; i32.add (inlined func 0)
;;   mov eax, dword ptr [r14 + rax]                      ; i32.load (inlined func 0)
;;   lea ecx, [rsi + 2*rsi]                              ; i32.mul (inlined func 0)
;;   lea ecx, [r15 + 4*rcx]                              ; i32.add (inlined func 0)
;;   add eax, dword ptr [r14 + rcx]                      ; i32.load (inlined func 0)
;;   pop rbp                                             ; end
;;   ret
