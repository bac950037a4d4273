// The process-wide fault handler: see fault.h for what counts as ours.
#include "vm/runtime/fault.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

#include "vm/base/assert.h"
#include "vm/base/earlier_handler.h"
#include "vm/base/mapped_files.h"
#include "vm/base/safe_text.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/instance.h"
#include "vm/runtime/store.h"

namespace vmrun::vm {
namespace {

struct CodeRange {
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<FaultRedirect> redirect{nullptr};
  std::atomic<const char*> what{nullptr};
};
std::array<CodeRange, 16> code_ranges;
std::atomic<unsigned> code_range_count{0};
std::mutex code_range_lock;

// A reservation is larger than 8 GiB, so at most one begins in each 8 GiB bucket of the 47-bit address space.
constexpr unsigned kBucketLog2 = 33;
constexpr size_t kBuckets = size_t{1} << (47 - kBucketLog2);
// Each in a cache line of its own: memories of two threads lie side by side, and each use of one writes here.
struct alignas(64) Reservation {
  std::atomic<uintptr_t> base{0};
  std::atomic<const MemoryInst*> memory{nullptr};
};
std::array<Reservation, kBuckets> reservations;

Reservation& reservation_of(const void* base) { return reservations[reinterpret_cast<uintptr_t>(base) >> kBucketLog2]; }

struct Signal {
  int number;
  const char* name;
};
constexpr Signal kSignals[] = {{SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}};
EarlierHandler earlier[std::size(kSignals)];

size_t index_of(int signal) {
  size_t i = 0;
  while (kSignals[i].number != signal) ++i;
  return i;
}

uintptr_t interrupted_pc(const ucontext_t* context) {
#if defined(__x86_64__)
  return static_cast<uintptr_t>(context->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return context->uc_mcontext.pc;
#else
#error "say where this CPU's program counter is"
#endif
}

const CodeRange* code_at(uintptr_t pc) {
  const unsigned count = code_range_count.load(std::memory_order_acquire);
  for (unsigned i = 0; i < count; ++i) {
    const CodeRange& range = code_ranges[i];
    if (pc >= range.begin.load(std::memory_order_relaxed) && pc < range.end.load(std::memory_order_relaxed)) {
      return &range;
    }
  }
  return nullptr;
}

enum class Kind { trap, bug, not_ours, again };

/// Whether guests of `store` may touch `memory`.
bool is_guests(const MemoryInst& memory, const Store* store) {
  return memory.type.shared ? store != nullptr && store->keeps(memory) : memory.store == store;
}

/// The access that the thread's last fault lets it repeat.
struct Repeated {
  uintptr_t pc;
  const void* address;
  unsigned times;
};
[[gnu::tls_model("initial-exec")]] constinit thread_local Repeated repeated{};

/// Whether an access within the present size of a shared memory may be tried again. What a guest can grow cannot fault
/// twice at one address; it may where memories come and go at one place. Pages that somebody else protects always do.
bool may_repeat(uintptr_t pc, const void* address) {
  constexpr unsigned kMost = 100;
  if (repeated.pc != pc || repeated.address != address) repeated = {pc, address, 0};
  return ++repeated.times <= kMost;
}

/// What a fault in guest code at `pc` and `address` is.
Kind kind_of(int signal, uintptr_t pc, const void* address) {
  if (signal == SIGFPE) return Kind::trap;
  if (signal == SIGILL) return Kind::bug;
  const MemoryInst* memory = fault_memory_at(address);
  if (memory == nullptr || running_vcpu == nullptr || !is_guests(*memory, running_vcpu->store)) return Kind::bug;
  const auto offset = static_cast<uint64_t>(static_cast<const std::byte*>(address) - memory->base);
  if (offset >= memory->bytes.load(std::memory_order_relaxed)) return Kind::trap;
  // Another thread may have grown the memory since. Then the access, repeated, succeeds.
  return memory->type.shared && may_repeat(pc, address) ? Kind::again : Kind::not_ours;
}

[[noreturn]] void report_bug(int signal, const siginfo_t* info, uintptr_t pc, const CodeRange& range) {
  SafeText text;
  text << kSignals[index_of(signal)].name << " in " << range.what.load(std::memory_order_relaxed) << " at pc ";
  text.hex(pc) << " (";
  text.hex(pc - range.begin.load(std::memory_order_relaxed)) << " in it)";
  if (signal == SIGSEGV || signal == SIGBUS) {
    if (info->si_code == SI_KERNEL) {
      text << ", address unknown";
    } else {
      text << ", address ";
      text.hex(reinterpret_cast<uintptr_t>(info->si_addr));
    }
    text << ": guest code reached outside of its own memories";
  } else {
    text << ": guest code has no such instruction";
  }
  internal_error(text.view());
}

void handle(int signal, siginfo_t* info, void* ucontext) {
  const uintptr_t pc = interrupted_pc(static_cast<ucontext_t*>(ucontext));
  const CodeRange* range = info->si_code > 0 ? code_at(pc) : nullptr;  // not above 0: somebody sent it
  if (range != nullptr) {
    const void* address = signal == SIGFPE ? reinterpret_cast<const void*>(pc) : info->si_addr;
    const Kind kind = kind_of(signal, pc, address);
    if (kind == Kind::again) return;
    if (kind == Kind::trap && range->redirect.load(std::memory_order_relaxed)(signal, address, ucontext)) return;
    if (kind != Kind::not_ours) report_bug(signal, info, pc, *range);
  }
  if (signal == SIGBUS && info->si_code > 0 && is_in_mapped_file(info->si_addr)) mapped_file_is_gone();
  if (earlier[index_of(signal)].pass_on(signal, info, ucontext) == EarlierHandler::Left::nothing) return;
  // Put back, the default action comes when the instruction faults again. A signal that somebody sent is raised.
  struct sigaction fallback = {};
  fallback.sa_handler = SIG_DFL;
  sigaction(signal, &fallback, nullptr);
  if (info->si_code <= 0) raise(signal);
}

/// The calling thread's alternate signal stack, if this code made it.
class AlternateStack {
 public:
  AlternateStack() {
    if (sigaltstack(nullptr, &before_) == 0 && (before_.ss_flags & SS_DISABLE) == 0 && before_.ss_size >= least()) {
      return;
    }
    memory_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) {
      memory_ = nullptr;  // the thread's own stack serves: handlers do not move the stack pointer away from it
      return;
    }
    stack_t stack = {};
    stack.ss_sp = memory_;
    stack.ss_size = kBytes;
    sigaltstack(&stack, nullptr);  // fails for who is on the smaller one, and then keeps that
  }
  ~AlternateStack() {
    if (memory_ == nullptr) return;
    stack_t current = {};
    if (sigaltstack(nullptr, &current) == 0 && current.ss_sp == memory_) {
      sigaltstack(&before_, nullptr);
    }
    munmap(memory_, kBytes);
  }
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;

 private:
  static constexpr size_t kBytes = 64u << 10;
  static constexpr size_t kHandlers = 8u << 10;
  /// What handlers need: a signal frame, whose size depends on the processor's registers, and their own frames.
  static size_t least() {
    const long frame = sysconf(_SC_MINSIGSTKSZ);
    return kHandlers + (frame > 0 ? static_cast<size_t>(frame) : size_t{2} << 10);
  }
  stack_t before_ = {};
  void* memory_ = nullptr;
};

}  // namespace

void fault_register_code(const void* begin, const void* end, const char* what, FaultRedirect redirect) {
  std::lock_guard lock(code_range_lock);
  const unsigned count = code_range_count.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < count; ++i) {
    if (code_ranges[i].begin.load(std::memory_order_relaxed) == reinterpret_cast<uintptr_t>(begin)) return;
  }
  VMRUN_ASSERT(count < code_ranges.size(), "too many code ranges");
  code_ranges[count].begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_relaxed);
  code_ranges[count].end.store(reinterpret_cast<uintptr_t>(end), std::memory_order_relaxed);
  code_ranges[count].redirect.store(redirect, std::memory_order_relaxed);
  code_ranges[count].what.store(what, std::memory_order_relaxed);
  code_range_count.store(count + 1, std::memory_order_release);
}

void fault_install() {
  static std::once_flag once;
  std::call_once(once, [] {
    // NODEFER, because a redirected handler never returns to unblock the signal by itself: the context it returns to
    // does, but an earlier handler may leave by longjmp.
    for (size_t i = 0; i < std::size(kSignals); ++i) earlier[i].replace(kSignals[i].number, handle, SA_NODEFER);
  });
}

void fault_prepare_thread() { static thread_local AlternateStack stack; }

void fault_add_reservation(const void* base) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(base);
  VMRUN_ASSERT(address >> 47 == 0, "reservation beyond the user's address space");
  reservation_of(base).base.store(address, std::memory_order_release);
}

bool fault_claim_reservation(const void* base) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(base);
  if (address >> 47 != 0) return false;
  const size_t bucket = address >> kBucketLog2;
  for (size_t i = bucket - std::min<size_t>(bucket, 2); i < std::min(bucket + 3, kBuckets); ++i) {
    const uintptr_t other = reservations[i].base.load(std::memory_order_acquire);
    if (other == 0) continue;
    if (other < address + kFaultReservation && address < other + kFaultReservation) return false;
  }
  // No two that do not overlap begin in one bucket.
  uintptr_t none = 0;
  return reservation_of(base).base.compare_exchange_strong(none, address, std::memory_order_acq_rel);
}

void fault_remove_reservation(const void* base) { reservation_of(base).base.store(0, std::memory_order_release); }

void fault_lend_reservation(const void* base, const MemoryInst* memory) {
  reservation_of(base).memory.store(memory, std::memory_order_release);
}

const MemoryInst* fault_memory_at(const void* address) {
  const uintptr_t a = reinterpret_cast<uintptr_t>(address);
  if (a >> 47 != 0) return nullptr;
  const size_t bucket = a >> kBucketLog2;
  for (size_t back = 0; back < 3 && back <= bucket; ++back) {
    const Reservation& reservation = reservations[bucket - back];
    const uintptr_t base = reservation.base.load(std::memory_order_acquire);
    if (base != 0 && a >= base && a - base < kFaultReservation) {
      return reservation.memory.load(std::memory_order_acquire);
    }
  }
  return nullptr;
}

}  // namespace vmrun::vm
