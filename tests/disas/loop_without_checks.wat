;; A sum over an array. Guard pages stand for the checks: neither tier compares an address. Baseline code counts its
;; back-edges down; optimised code goes round several elements at a time.
(module
  (memory 1)
  (func (export "sum") (param $at i32) (param $end i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))
    (local.get $sum)))
;; === baseline
;; func 0 "sum"
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
;;   mov r15d, r15d                                      ; loop
;;   mov edi, edi
;; L2:
;;   mov eax, dword ptr [r14 + r15]                      ; i32.load
;;   add ebx, eax                                        ; i32.add
;;   add r15d, 4                                         ; i32.add
;;   cmp r15d, edi                                       ; i32.lt_u
;;   jae L3                                              ; br_if 0
;;   dec qword ptr [r12]
;;   jns L2
;;   jmp L4
;; L3:
;;   mov eax, ebx                                        ; end
;;   add rsp, 48
;;   pop rbp
;;   ret
;; L4:
;;   mov qword ptr [rbp - 32], r15
;;   mov qword ptr [rbp - 48], rbx
;;   mov qword ptr [rbp - 40], rdi
;;   mov rsi, qword ptr [r13 + 96]
;;   movabs rdx, 12884901930
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 88]
;;   test rax, rax                                       ; loop
;;   jne L5
;;   mov r15d, dword ptr [rbp - 32]
;;   mov ebx, dword ptr [rbp - 48]
;;   mov edi, dword ptr [rbp - 40]
;;   jmp L2
;; L5:
;;   mov r15, qword ptr [r12 + 40]
;;   mov r9, qword ptr [r13 + 96]
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
;;   mov ebx, dword ptr [rbp - 48]
;;   mov edi, dword ptr [rbp - 40]
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
;; func 0 "sum"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   lea ecx, [r15 + 4]                                  ; loop
;;   mov edx, edi
;;   sub rdx, rcx
;;   mov rax, rdx
;;   sar rax, 63
;;   andn rax, rax, rdx
;;   add rax, 3
;;   movabs rsi, 17179869180
;;   and rsi, rax
;;   add rcx, rsi
;;   mov r8d, 4294967295
;;   cmp rcx, r8
;;   jg L9
;;   movabs rcx, 8589934588
;;   cmp rdx, rcx
;;   jg L9
;;   mov ecx, r15d
;;   test rcx, rcx
;;   js L9
;;   mov r8, qword ptr [r13 + 8]
;;   mov r8, qword ptr [r8]
;;   add rsi, rcx
;;   add rsi, 4
;;   cmp rsi, qword ptr [r8 + 8]
;;   jg L9
;;   shr rax, 2
;;   add rcx, r14
;;   cmp rdx, 9
;;   jge L0
;;   xor edx, edx
;;   mov rdi, rcx
;;   xor ebx, ebx
;;   jmp L5
;; L0:
;;   lea rsi, [rax + 1]
;;   movabs rdi, 9223372036854775776
;;   cmp rdx, 121
;;   jge L1
;;   xor edx, edx
;;   xor ebx, ebx
;;   jmp L3
;; L1:
;;   mov rdx, rsi
;;   and rdx, rdi
;;   lea r8, [rcx + 96]
;;   vpxor xmm0, xmm0, xmm0
;;   xor r9d, r9d
;;   vpxor xmm1, xmm1, xmm1
;;   vpxor xmm2, xmm2, xmm2
;;   vpxor xmm3, xmm3, xmm3
;; L2:
;;   vpaddd ymm0, ymm0, ymmword ptr [r8 + 4*r9 - 96]     ; i32.add
;;   vpaddd ymm1, ymm1, ymmword ptr [r8 + 4*r9 - 64]
;;   vpaddd ymm2, ymm2, ymmword ptr [r8 + 4*r9 - 32]
;;   vpaddd ymm3, ymm3, ymmword ptr [r8 + 4*r9]
;;   add r9, 32                                          ; br_if 0
;;   cmp rdx, r9
;;   jne L2
;;   vpaddd ymm0, ymm1, ymm0
;;   vpaddd ymm1, ymm3, ymm2
;;   vpaddd ymm0, ymm1, ymm0
;;   vextracti128 xmm1, ymm0, 1
;;   vpaddd xmm0, xmm0, xmm1
;;   vpshufd xmm1, xmm0, 238
;;   vpaddd xmm0, xmm0, xmm1
;;   vpshufd xmm1, xmm0, 85
;;   vpaddd xmm0, xmm0, xmm1
;;   vmovd ebx, xmm0
;;   cmp rsi, rdx
;;   je L7
;;   test sil, 28                                        ; i32.add
;;   je L8
;; L3:
;;   mov r8, rdx
;;   add rdi, 28
;;   mov rdx, rdi
;;   and rdx, rsi
;;   lea rdi, [rcx + 4*rdx]
;;   vmovd xmm0, ebx
;; L4:
;;   vpaddd xmm0, xmm0, xmmword ptr [rcx + 4*r8]
;;   add r8, 4                                           ; br_if 0
;;   cmp rdx, r8
;;   jne L4
;;   vpshufd xmm1, xmm0, 238
;;   vpaddd xmm0, xmm0, xmm1
;;   vpshufd xmm1, xmm0, 85
;;   vpaddd xmm0, xmm0, xmm1
;;   vmovd ebx, xmm0
;;   cmp rsi, rdx
;;   je L7
;; L5:
;;   sub rax, rdx                                        ; loop
;;   inc rax
;;   xor ecx, ecx
;; L6:
;;   add ebx, dword ptr [rdi + 4*rcx]                    ; i32.add
;;   inc rcx                                             ; br_if 0
;;   cmp rax, rcx
;;   jne L6
;; L7:
;;   mov eax, ebx                                        ; end
;;   pop rbp
;;   vzeroupper
;;   ret
;; L8:
;;   lea rdi, [rcx + 4*rdx]                              ; i32.load
;;   jmp L5
;; L9:
;;   xor ebx, ebx
;; L10:
;;   mov eax, r15d
;;   add ebx, dword ptr [r14 + rax]
;;   add r15d, 4                                         ; i32.add
;;   cmp r15d, edi                                       ; i32.lt_u
;;   jb L10                                              ; br_if 0
;;   jmp L7
