;; Short ranges are copied and filled in place: loads before stores, the last bytes stored first.
(module
  (memory 1)
  (func (export "copy_24") (param $to i32) (param $from i32)
    (memory.copy (local.get $to) (local.get $from) (i32.const 24)))
  (func (export "zero_40") (param $to i32) (param $x i32) (result i32)
    (memory.fill (local.get $to) (i32.const 0) (i32.const 40))
    (local.get $x))
  (func (export "copy") (param $to i32) (param $from i32) (param $n i32)
    (memory.copy (local.get $to) (local.get $from) (local.get $n))))
;; === baseline
;; func 0 "copy_24"
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
;;   mov r15d, r15d                                      ; memory.copy
;;   mov edi, edi
;;   vmovups xmm0, xmmword ptr [r14 + rdi]
;;   vmovsd xmm1, qword ptr [r14 + rdi + 16]
;;   vmovsd qword ptr [r14 + r15 + 16], xmm1
;;   vmovups xmmword ptr [r14 + r15], xmm0
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
;; func 1 "zero_40"
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
;;   mov r15d, r15d                                      ; memory.fill
;;   vxorps xmm0, xmm0, xmm0
;;   vmovsd qword ptr [r14 + r15 + 32], xmm0
;;   vmovups xmmword ptr [r14 + r15 + 16], xmm0
;;   vmovups xmmword ptr [r14 + r15], xmm0
;;   mov eax, edi                                        ; end
;;   add rsp, 48
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
;; func 2 "copy"
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
;;   mov qword ptr [rbp - 32], r15                       ; memory.copy
;;   mov qword ptr [rbp - 40], rdi
;;   mov qword ptr [rbp - 48], rsi
;;   mov edx, 0
;;   mov ecx, dword ptr [rbp - 32]
;;   mov r8d, dword ptr [rbp - 40]
;;   mov r9d, dword ptr [rbp - 48]
;;   mov rsi, r13
;;   mov rdi, r12
;;   mov rax, qword ptr [r12 + 32]
;;   call qword ptr [rax + 104]
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
;; === opt
;; func 0 "copy_24"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov eax, r15d                                       ; memory.copy
;;   mov ecx, edi
;;   vmovups xmm0, xmmword ptr [r14 + rcx]
;;   mov rcx, qword ptr [r14 + rcx + 16]
;;   mov qword ptr [r14 + rax + 16], rcx
;;   vmovups xmmword ptr [r14 + rax], xmm0
;;   pop rbp                                             ; end
;;   ret
;; func 1 "zero_40"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   mov eax, r15d                                       ; memory.fill
;;   mov qword ptr [r14 + rax + 32], 0
;;   vxorps xmm0, xmm0, xmm0
;;   vmovups ymmword ptr [r14 + rax], ymm0
;;   mov eax, edi                                        ; end
;;   pop rbp
;;   vzeroupper
;;   ret
;; func 2 "copy"
;; entry:
;;   push rbp
;;   mov rbp, rsp
;;   sub rsp, 16
;;   cmp rsp, qword ptr [r12 + 16]                       ; memory.copy
;;   jb L8
;; L0:
;;   mov r9d, esi
;;   lea rax, [r9 - 1]
;;   cmp rax, 128
;;   jae L1
;;   mov eax, r15d
;;   add rax, r14
;;   mov ecx, edi
;;   add rcx, r14
;;   cmp r9d, 16
;;   jb L3
;;   cmp r9d, 32
;;   jbe L4
;;   cmp r9d, 64
;;   jbe L6
;;   vmovups ymm0, ymmword ptr [rcx]
;;   vmovups ymm1, ymmword ptr [rcx + 32]
;;   vmovups ymm2, ymmword ptr [rcx + r9 - 64]
;;   vmovups ymm3, ymmword ptr [rcx + r9 - 32]
;;   vmovups ymmword ptr [rax + r9 - 32], ymm3
;;   vmovups ymmword ptr [rax + r9 - 64], ymm2
;;   vmovups ymmword ptr [rax + 32], ymm1
;;   vmovups ymmword ptr [rax], ymm0
;;   jmp L2
;; L1:
;;   mov ecx, r15d
;;   mov r8d, edi
;;   mov rax, qword ptr [r12 + 32]
;;   mov rdi, r12
;;   mov rsi, r13
;;   xor edx, edx
;;   call qword ptr [rax + 104]
;; L2:
;;   add rsp, 16                                         ; end
;;   pop rbp
;;   vzeroupper
;;   ret
;; L3:
;;   cmp r9d, 7                                          ; memory.copy
;;   jbe L5
;;   mov rdx, qword ptr [rcx]
;;   mov rcx, qword ptr [rcx + r9 - 8]
;;   mov qword ptr [rax + r9 - 8], rcx
;;   mov qword ptr [rax], rdx
;;   jmp L2
;; L4:
;;   vmovups xmm0, xmmword ptr [rcx]
;;   vmovups xmm1, xmmword ptr [rcx + r9 - 16]
;;   vmovups xmmword ptr [rax + r9 - 16], xmm1
;;   vmovups xmmword ptr [rax], xmm0
;;   jmp L2
;; L5:
;;   cmp r9d, 4
;;   jb L7
;;   mov edx, dword ptr [rcx]
;;   mov ecx, dword ptr [rcx + r9 - 4]
;;   mov dword ptr [rax + r9 - 4], ecx
;;   mov dword ptr [rax], edx
;;   jmp L2
;; L6:
;;   vmovups ymm0, ymmword ptr [rcx]
;;   vmovups ymm1, ymmword ptr [rcx + r9 - 32]
;;   vmovups ymmword ptr [rax + r9 - 32], ymm1
;;   vmovups ymmword ptr [rax], ymm0
;;   jmp L2
;; L7:
;;   mov edx, r9d
;;   shr edx
;;   movzx ebx, byte ptr [rcx]
;;   movzx esi, byte ptr [rcx + rdx]
;;   movzx ecx, byte ptr [rcx + r9 - 1]
;;   mov byte ptr [rax + r9 - 1], cl
;;   mov byte ptr [rax + rdx], sil
;;   mov byte ptr [rax], bl
;;   jmp L2
;; L8:
;;   mov rax, qword ptr [r12 + 32]
;;   mov qword ptr [rbp - 8], rdi
;;   mov rdi, r12
;;   mov rbx, rsi
;;   call qword ptr [rax + 8]
;;   mov rsi, rbx
;;   mov rdi, qword ptr [rbp - 8]
;;   jmp L0
