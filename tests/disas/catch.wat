;; A throw and its catch: the payload comes out of the exception's cell.
;; calls: not inlined
(module
  (tag $e (param i32))
  (func $thrower (param i32) (throw $e (local.get 0)))
  (func (export "catcher") (param $n i32) (result i32)
    (try (result i32)
      (do (call $thrower (local.get $n)) (i32.const 0))
      (catch $e))))
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
;;   mov qword ptr [rbp - 32], r15                       ; throw 0
;;   mov r11, qword ptr [r12 + 40]
;;   mov r15d, r15d
;;   mov qword ptr [r11], r15
;;   mov rsi, r13
;;   mov edx, 0
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 16]
;; L2:
;;   mov rax, qword ptr [r12 + 32]                       ; end
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L3:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; func 1 "catcher"
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
;;   mov r9, qword ptr [r13 + 96]                        ; call 0 (; thrower ;)
;;   call qword ptr [r9 + 8]
;;   mov r12, qword ptr [rbp - 8]                        ; (throws to L4)
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   mov eax, 0                                          ; catch 0
;;   jmp L3
;; L2:
;;   mov eax, dword ptr [rbp - 48]                       ; end
;; L3:
;;   add rsp, 48                                         ; end
;;   pop rbp
;;   ret
;; L4:
;;   mov r12, rax
;;   mov r13, qword ptr [rbp - 16]
;;   mov r14, qword ptr [rbp - 24]
;;   mov rcx, qword ptr [r12 + 96]
;;   mov rcx, qword ptr [rcx]
;;   mov rdx, qword ptr [r13 + 56]
;;   cmp rcx, qword ptr [rdx]
;;   je L6
;;   jmp L5
;; L5:
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 32]
;; L6:
;;   mov esi, 0
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 40]
;;   vmovss xmm7, dword ptr [rax + 16]                   ; try (result i32)
;;   vmovsd qword ptr [rbp - 48], xmm7
;;   jmp L2
;; L7:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L8:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; === opt
;; func 0
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov rsi, r13
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]                       ; throw 0
;;   mov rcx, qword ptr [r12 + 40]
;;   mov edx, r15d
;;   mov qword ptr [rcx], rdx
;;   xor edx, edx
;;   call qword ptr [rax + 16]
;;   ud2
;; func 1 "catcher"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 16
;;   cmp rsp, qword ptr [r12 + 16]                       ; call 0 (; thrower ;)
;;   jb L2
;; L0:
;;   mov r9, qword ptr [r13 + 96]
;;   mov r15d, r15d
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   call qword ptr [r9 + 8]
;;   xor eax, eax                                        ; end (throws to L3)
;; L1:
;;   add rsp, 16
;;   pop rbp
;;   ret
;; L2:
;;   mov rax, qword ptr [r12 + 32]                       ; call 0 (; thrower ;)
;;   mov rdi, r12
;;   call qword ptr [rax + 8]
;;   jmp L0
;; L3:
;;   mov rax, qword ptr [rbp - 8]                        ; catch 0
;;   mov rax, qword ptr [rax + 96]
;;   mov rcx, qword ptr [rax]
;;   mov rdx, qword ptr [rbp - 16]
;;   mov rdx, qword ptr [rdx + 56]
;;   cmp rcx, qword ptr [rdx]
;;   jne L4
;;   mov ebx, dword ptr [rax + 16]
;;   mov rdi, qword ptr [rbp - 8]
;;   mov rax, qword ptr [rdi + 32]
;;   xor esi, esi
;;   call qword ptr [rax + 40]
;;   mov rax, rbx
;;   jmp L1                                              ; end
;; L4:
;;   mov rdi, qword ptr [rbp - 8]
;;   mov rax, qword ptr [rdi + 32]
;;   call qword ptr [rax + 32]
;;   ud2
