;; What traps seldom lies behind the code that always runs.
(module
  (func (export "divide") (param i32 i32) (result i32)
    (i32.div_s (local.get 0) (local.get 1)))
  (func (export "truncate") (param f64) (result i32)
    (i32.trunc_f64_s (local.get 0)))
  (func (export "never") (param i32) (result i32)
    (if (local.get 0) (then (unreachable)))
    (i32.const 1)))
;; === baseline
;; func 0 "divide"
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
;;   mov r11d, edi                                       ; i32.div_s
;;   test r11d, r11d
;;   je L4
;;   mov eax, r15d
;;   cmp r11d, -1
;;   jne L2
;;   neg eax
;;   jo L5
;;   jmp L3
;; L2:
;;   cdq
;;   idiv r11d
;; L3:
;;   add rsp, 48                                         ; end
;;   pop rbp
;;   ret
;; L4:
;;   call L6                                             ; i32.div_s
;; L5:
;;   call L7
;; L6:
;;   mov esi, 2
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L7:
;;   mov esi, 3
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
;; func 1 "truncate"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 32
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L7
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L8
;; L1:
;;   vmovaps xmm8, xmm0
;;   vcvttsd2si rax, xmm8                                ; i32.trunc_f64_s
;;   movsxd r11, eax
;;   cmp r11, rax
;;   mov eax, eax
;;   je L2
;;   vucomisd xmm8, xmm8
;;   jp L3
;;   jmp L4
;; L2:
;;   add rsp, 32                                         ; end
;;   pop rbp
;;   ret
;; L3:
;;   call L6                                             ; i32.trunc_f64_s
;; L4:
;;   call L5
;; L5:
;;   mov esi, 3
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L6:
;;   mov esi, 4
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L7:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L8:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; func 2 "never"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 32
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L5
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L6
;; L1:
;;   test r15d, r15d                                     ; if
;;   je L2
;;   jmp L3                                              ; unreachable
;; L2:
;;   mov eax, 1                                          ; end
;;   add rsp, 32
;;   pop rbp
;;   ret
;; L3:
;;   call L4                                             ; unreachable
;; L4:
;;   mov esi, 1
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   jmp qword ptr [rax]
;; L5:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 72]
;;   jmp L0
;; L6:
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 80]
;;   jmp L1
;; === opt
;; func 0 "divide"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   test edi, edi                                       ; i32.div_s
;;   je L0
;;   lea eax, [r15 - 2147483648]
;;   mov ecx, edi
;;   not ecx
;;   or ecx, eax
;;   je L1
;;   mov eax, r15d
;;   cdq
;;   idiv edi
;;   pop rbp                                             ; end
;;   ret
;; L0:
;;   mov rax, qword ptr [r12 + 32]                       ; i32.div_s
;;   mov esi, 2
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; L1:
;;   mov rax, qword ptr [r12 + 32]
;;   mov esi, 3
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; func 1 "truncate"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   vucomisd xmm0, xmm0                                 ; i32.trunc_f64_s
;;   jp L0
;;   vucomisd xmm0, qword ptr [rip + constant]
;;   jae L1
;;   vmovsd xmm1, qword ptr [rip + constant]
;;   vucomisd xmm1, xmm0
;;   jae L1
;;   vcvttsd2si eax, xmm0
;;   pop rbp                                             ; end
;;   ret
;; L0:
;;   mov rax, qword ptr [r12 + 32]                       ; i32.trunc_f64_s
;;   mov esi, 4
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; L1:
;;   mov rax, qword ptr [r12 + 32]
;;   mov esi, 3
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
;; func 2 "never"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   test r15d, r15d                                     ; if
;;   jne L0
;;   mov eax, 1                                          ; end
;;   pop rbp
;;   ret
;; L0:
;;   mov rax, qword ptr [r12 + 32]                       ; unreachable
;;   mov esi, 1
;;   mov rdi, r12
;;   call qword ptr [rax]
;;   ud2
