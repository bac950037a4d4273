// Stoppable system calls on x86-64 Linux.
#include "vm/runtime/stoppable.h"

#if defined(__x86_64__)

#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <cerrno>

#include "vm/runtime/activation.h"
#include "vm/runtime/layout.h"
#include "vm/runtime/stop.h"

extern "C" {
extern const char vmrun_stoppable_begin[] __attribute__((visibility("hidden")));
extern const char vmrun_stoppable_end[] __attribute__((visibility("hidden")));
extern const char vmrun_stoppable_stopped[] __attribute__((visibility("hidden")));
}

namespace vmrun::vm {
namespace {

/// As they lie in a Vcpu (vm/runtime/layout.h).
struct Flags {
  std::atomic<uint8_t> interrupt;
  std::atomic<uint8_t> requests;
};
static_assert(sizeof(Flags) == 2);

// r11 and rcx are the system call's to change, but one that is begun again does not come by the look at the flags.
__attribute__((naked)) int64_t call_unless(const void* flags, long, long, long, long, long) {
  asm(R"(
    movq %%rdi, %%r11
    movq %%rsi, %%rax
    movq %%rdx, %%rdi
    movq %%rcx, %%rsi
    movq %%r8, %%rdx
    movq %%r9, %%r10
    .globl vmrun_stoppable_begin, vmrun_stoppable_end, vmrun_stoppable_stopped
    .hidden vmrun_stoppable_begin, vmrun_stoppable_end, vmrun_stoppable_stopped
  vmrun_stoppable_begin:
    cmpb $0, (%%r11)
    jne vmrun_stoppable_stopped
    testb $%c1, 1(%%r11)
    jne vmrun_stoppable_stopped
    syscall
  vmrun_stoppable_end:
    retq
  vmrun_stoppable_stopped:
    movq $%c0, %%rax
    retq
  )"
      :
      : "i"(-EINTR), "i"(kEndCalls));
}

__attribute__((naked)) int64_t call_unless(const void* flags, long, long, long, long, long, long, long) {
  asm(R"(
    movq %rdi, %r11
    movq %rsi, %rax
    movq %rdx, %rdi
    movq %rcx, %rsi
    movq %r8, %rdx
    movq %r9, %r10
    movq 8(%rsp), %r8
    movq 16(%rsp), %r9
    jmp vmrun_stoppable_begin
  )");
}

constinit const Flags never{};

const void* flags_here() {
  const Vcpu* guest = running_vcpu;
  return guest != nullptr ? static_cast<const void*>(&guest->interrupt) : &never;
}

}  // namespace

// This one jumps to the system call: where the kernel makes every return after a call of it slow (it clears what the
// processor predicts returns by), each frame in between takes as long as a tenth of a short read.
int64_t stoppable_call(long number, long a, long b, long c, long d) {
  return call_unless(flags_here(), number, a, b, c, d);
}

int64_t stoppable_call(long number, long a, long b, long c, long d, long e, long f) {
  return call_unless(flags_here(), number, a, b, c, d, e, f);
}

bool guest_interrupted() {
  const Vcpu* guest = running_vcpu;
  return guest != nullptr && ends_calls(*guest);
}

// Calls that the system does not begin again have ended with -EINTR when the handler runs.
bool in_stoppable_call(const void* ucontext) {
  const greg_t pc = static_cast<const ucontext_t*>(ucontext)->uc_mcontext.gregs[REG_RIP];
  return pc >= reinterpret_cast<greg_t>(vmrun_stoppable_begin) && pc <= reinterpret_cast<greg_t>(vmrun_stoppable_end);
}

void end_stoppable_call(void* ucontext) {
  greg_t& pc = static_cast<ucontext_t*>(ucontext)->uc_mcontext.gregs[REG_RIP];
  // Behind the system call its result stands.
  if (pc >= reinterpret_cast<greg_t>(vmrun_stoppable_begin) && pc < reinterpret_cast<greg_t>(vmrun_stoppable_end)) {
    pc = reinterpret_cast<greg_t>(vmrun_stoppable_stopped);
  }
}

}  // namespace vmrun::vm

#endif
