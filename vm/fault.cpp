// The process-wide fault handler: see fault.h for what counts as ours.
#include "vm/fault.h"

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <mutex>

#include "vm/assert.h"

namespace vmrun::vm {
namespace {

struct CodeRange {
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<FaultRedirect> redirect{nullptr};
};
std::array<CodeRange, 16> code_ranges;
std::atomic<unsigned> code_range_count{0};
std::mutex code_range_lock;

// A reservation is larger than 8 GiB, so at most one begins in each 8 GiB bucket of the 47-bit address space.
constexpr unsigned kBucketLog2 = 33;
constexpr size_t kBuckets = size_t{1} << (47 - kBucketLog2);
std::array<std::atomic<uintptr_t>, kBuckets> reservations;

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE};
struct sigaction previous[3];

uintptr_t interrupted_pc(const ucontext_t* context) {
#if defined(__x86_64__)
  return static_cast<uintptr_t>(context->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return context->uc_mcontext.pc;
#else
#error "say where this CPU's program counter is"
#endif
}

bool redirected(int signal, const siginfo_t* info, void* ucontext) {
  const uintptr_t pc = interrupted_pc(static_cast<ucontext_t*>(ucontext));
  const unsigned count = code_range_count.load(std::memory_order_acquire);
  for (unsigned i = 0; i < count; ++i) {
    const CodeRange& range = code_ranges[i];
    if (pc < range.begin.load(std::memory_order_relaxed) || pc >= range.end.load(std::memory_order_relaxed)) continue;
    const bool memory_fault = signal != SIGFPE;
    if (memory_fault && !fault_in_reservation(info->si_addr)) return false;
    const void* address = memory_fault ? info->si_addr : reinterpret_cast<const void*>(pc);
    return range.redirect.load(std::memory_order_relaxed)(signal, address, ucontext);
  }
  return false;
}

void handle(int signal, siginfo_t* info, void* ucontext) {
  if (redirected(signal, info, ucontext)) return;
  const struct sigaction& before = previous[signal == SIGSEGV ? 0 : signal == SIGBUS ? 1 : 2];
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) {
    before.sa_sigaction(signal, info, ucontext);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    // The default action: put it back and return; the instruction faults again. A signal that somebody sent is raised.
    struct sigaction fallback = {};
    fallback.sa_handler = SIG_DFL;
    sigaction(signal, &fallback, nullptr);
    if (info->si_code <= 0) raise(signal);
  }
}

/// The calling thread's alternate signal stack, if this code made it.
class AlternateStack {
 public:
  AlternateStack() {
    stack_t current = {};
    if (sigaltstack(nullptr, &current) == 0 && (current.ss_flags & SS_DISABLE) == 0) return;
    memory_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) {
      memory_ = nullptr;  // the thread's own stack serves: handlers do not move the stack pointer away from it
      return;
    }
    stack_t stack = {};
    stack.ss_sp = memory_;
    stack.ss_size = kBytes;
    sigaltstack(&stack, nullptr);
  }
  ~AlternateStack() {
    if (memory_ == nullptr) return;
    stack_t current = {};
    if (sigaltstack(nullptr, &current) == 0 && current.ss_sp == memory_) {
      stack_t off = {};
      off.ss_flags = SS_DISABLE;
      sigaltstack(&off, nullptr);
    }
    munmap(memory_, kBytes);
  }
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;

 private:
  static constexpr size_t kBytes = 64u << 10;  // AVX-512 state alone takes some 3 KiB of a signal frame
  void* memory_ = nullptr;
};

}  // namespace

void fault_register_code(const void* begin, const void* end, FaultRedirect redirect) {
  std::lock_guard lock(code_range_lock);
  const unsigned count = code_range_count.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < count; ++i) {
    if (code_ranges[i].begin.load(std::memory_order_relaxed) == reinterpret_cast<uintptr_t>(begin)) return;
  }
  VMRUN_ASSERT(count < code_ranges.size(), "too many code ranges");
  code_ranges[count].begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_relaxed);
  code_ranges[count].end.store(reinterpret_cast<uintptr_t>(end), std::memory_order_relaxed);
  code_ranges[count].redirect.store(redirect, std::memory_order_relaxed);
  code_range_count.store(count + 1, std::memory_order_release);
}

void fault_install() {
  static std::once_flag once;
  std::call_once(once, [] {
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      struct sigaction action = {};
      action.sa_sigaction = handle;
      // NODEFER, because a redirected handler never returns to unblock the signal by itself: the context it returns to
      // does, but a previous handler may leave by longjmp.
      action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
      sigemptyset(&action.sa_mask);
      const int failed = sigaction(kSignals[i], &action, &previous[i]);
      VMRUN_ASSERT(failed == 0, "sigaction");
    }
  });
}

void fault_prepare_thread() { static thread_local AlternateStack stack; }

void fault_add_reservation(const void* base) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(base);
  VMRUN_ASSERT(address >> 47 == 0, "reservation beyond the user's address space");
  reservations[address >> kBucketLog2].store(address, std::memory_order_release);
}

void fault_remove_reservation(const void* base) {
  reservations[reinterpret_cast<uintptr_t>(base) >> kBucketLog2].store(0, std::memory_order_release);
}

bool fault_in_reservation(const void* address) {
  const uintptr_t a = reinterpret_cast<uintptr_t>(address);
  if (a >> 47 != 0) return false;
  const size_t bucket = a >> kBucketLog2;
  for (size_t back = 0; back < 3 && back <= bucket; ++back) {
    const uintptr_t base = reservations[bucket - back].load(std::memory_order_acquire);
    if (base != 0 && a >= base && a - base < kFaultReservation) return true;
  }
  return false;
}

}  // namespace vmrun::vm
