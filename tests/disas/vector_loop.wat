;; A loop of v128: an accumulator that stays in a register.
(module
  (memory 1)
  (func (export "dot") (param $a i32) (param $b i32) (param $n i32) (result f32)
    (local $sum v128)
    (loop $next
      (local.set $sum
        (f32x4.add (local.get $sum)
          (f32x4.mul (v128.load (local.get $a)) (v128.load (local.get $b)))))
      (local.set $a (i32.add (local.get $a) (i32.const 16)))
      (local.set $b (i32.add (local.get $b) (i32.const 16)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $sum)) (f32x4.extract_lane 1 (local.get $sum)))
      (f32.add (f32x4.extract_lane 2 (local.get $sum)) (f32x4.extract_lane 3 (local.get $sum))))))
;; === baseline
;; func 0 "dot"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 64
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L7
;; L0:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   dec qword ptr [r12]
;;   js L8
;; L1:
;;   vxorps xmm8, xmm8, xmm8
;;   mov r15d, r15d                                      ; loop
;;   mov edi, edi
;;   mov esi, esi
;; L2:
;;   vmovups xmm0, xmmword ptr [r14 + r15]               ; v128.load
;;   vmovups xmm1, xmmword ptr [r14 + rdi]               ; v128.load
;;   vmulps xmm0, xmm0, xmm1                             ; f32x4.mul
;;   vaddps xmm8, xmm8, xmm0                             ; f32x4.add
;;   add r15d, 16                                        ; i32.add
;;   add edi, 16                                         ; i32.add
;;   add esi, -1                                         ; i32.sub
;;   test esi, esi                                       ; br_if 0
;;   je L3
;;   dec qword ptr [r12]
;;   jns L2
;;   jmp L4
;; L3:
;;   vmovaps xmm0, xmm8                                  ; f32x4.extract_lane 0
;;   vshufps xmm1, xmm8, xmm8, 1                         ; f32x4.extract_lane 1
;;   vaddss xmm0, xmm0, xmm1                             ; f32.add
;;   vshufps xmm1, xmm8, xmm8, 2                         ; f32x4.extract_lane 2
;;   vshufps xmm2, xmm8, xmm8, 3                         ; f32x4.extract_lane 3
;;   vaddss xmm1, xmm1, xmm2                             ; f32.add
;;   vaddss xmm0, xmm0, xmm1                             ; f32.add
;;   add rsp, 64                                         ; end
;;   pop rbp
;;   ret
;; L4:
;;   mov qword ptr [rbp - 32], r15
;;   mov qword ptr [rbp - 40], rdi
;;   mov qword ptr [rbp - 48], rsi
;;   vmovups xmmword ptr [rbp - 64], xmm8
;;   mov rsi, qword ptr [r13 + 96]
;;   movabs rdx, 21474836523
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 88]
;;   test rax, rax                                       ; loop
;;   jne L5
;;   mov r15d, dword ptr [rbp - 32]
;;   mov edi, dword ptr [rbp - 40]
;;   mov esi, dword ptr [rbp - 48]
;;   vmovups xmm8, xmmword ptr [rbp - 64]
;;   jmp L2
;; L5:
;;   mov r15, qword ptr [r12 + 40]
;;   vmovups xmm7, xmmword ptr [rbp - 64]
;;   vmovups xmmword ptr [r15 + 24], xmm7
;;   mov r9, qword ptr [r13 + 96]
;;   add rsp, 64
;;   pop rbp
;;   jmp rax
;; entry_of_loop:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 64
;;   cmp rsp, qword ptr [r12 + 16]
;;   jb L9
;; L6:
;;   mov qword ptr [rbp - 8], r12
;;   mov qword ptr [rbp - 16], r13
;;   mov qword ptr [rbp - 24], r14
;;   mov rsi, r15
;;   mov edx, 5
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 96]
;;   vmovups xmm7, xmmword ptr [r15 + 24]
;;   vmovups xmmword ptr [rbp - 64], xmm7
;;   mov r15d, dword ptr [rbp - 32]
;;   mov edi, dword ptr [rbp - 40]
;;   mov esi, dword ptr [rbp - 48]
;;   vmovups xmm8, xmmword ptr [rbp - 64]
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
;; func 0 "dot"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov edx, esi                                        ; loop
;;   dec edx
;;   js L2
;;   shl rdx, 4
;;   mov rax, qword ptr [r13 + 8]
;;   mov rax, qword ptr [rax]
;;   mov r8, qword ptr [rax + 8]
;;   mov eax, r15d
;;   lea rcx, [rax + rdx]
;;   add rcx, 16
;;   cmp rcx, r8
;;   jg L2
;;   mov ecx, edi
;;   add rdx, rcx
;;   add rdx, 16
;;   cmp rdx, r8
;;   jg L2
;;   add rcx, r14
;;   add rax, r14
;;   vxorps xmm0, xmm0, xmm0
;;   xor edx, edx
;; L0:
;;   vmovups xmm1, xmmword ptr [rax + rdx]               ; v128.load
;;   vmulps xmm1, xmm1, xmmword ptr [rcx + rdx]          ; f32x4.mul
;;   vaddps xmm0, xmm0, xmm1                             ; f32x4.add
;;   add rdx, 16                                         ; br_if 0
;;   dec esi
;;   jne L0
;; L1:
;;   vmovshdup xmm1, xmm0                                ; f32.add
;;   vaddps xmm0, xmm0, xmm1
;;   vshufpd xmm1, xmm0, xmm0, 1                         ; f32.add
;;   vaddps xmm0, xmm0, xmm1
;;   pop rbp                                             ; end
;;   ret
;; L2:
;;   vxorps xmm0, xmm0, xmm0                             ; v128.load
;; L3:
;;   mov eax, r15d
;;   mov ecx, edi                                        ; v128.load
;;   vmovups xmm1, xmmword ptr [r14 + rax]               ; v128.load
;;   vmulps xmm1, xmm1, xmmword ptr [r14 + rcx]          ; v128.load
;;   vaddps xmm0, xmm0, xmm1                             ; f32x4.add
;;   add r15d, 16                                        ; i32.add
;;   add edi, 16                                         ; i32.add
;;   dec esi                                             ; br_if 0
;;   jne L3
;;   jmp L1
