// Threads with large stacks; see guest_stack.h.
#include "tools/guest_stack.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "tools/report.h"

namespace vmrun::tools {
namespace {

/// What a guest does not get of a native stack: the part that the library leaves to host functions (128 KiB), and the
/// frames of this command above the guest's.
constexpr uint64_t kBeside = 512u << 10;
constexpr uint64_t kTiny = 512u << 10;
constexpr size_t kGuard = 64u << 10;  // whole pages of any size

/// What is left of this thread's stack.
uint64_t stack_left() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  void* low = nullptr;
  size_t bytes = 0;
  pthread_attr_getstack(&attributes, &low, &bytes);
  pthread_attr_destroy(&attributes);
  return static_cast<uint64_t>(static_cast<char*>(__builtin_frame_address(0)) - static_cast<char*>(low));
}

/// Whether the main thread's stack is so small that guests would not run on it. Costs less to ask than stack_left().
bool is_tiny() {
  rlimit stack;
  return getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur < kTiny;
}

/// Memory for a stack, with an inaccessible part below. Only what is used of it takes memory.
class StackMemory {
 public:
  explicit StackMemory(size_t bytes) : bytes_(bytes) {
    void* memory = mmap(nullptr, kGuard + bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) return;
    memory_ = static_cast<char*>(memory);
    mprotect(memory_, kGuard, PROT_NONE);
  }
  ~StackMemory() {
    if (memory_ != nullptr) munmap(memory_, kGuard + bytes_);
  }
  StackMemory(const StackMemory&) = delete;
  StackMemory& operator=(const StackMemory&) = delete;
  char* lowest() const { return memory_ == nullptr ? nullptr : memory_ + kGuard; }

 private:
  size_t bytes_;
  char* memory_ = nullptr;
};

struct Call {
  const std::function<int()>& body;
  int status;
};

void* run(void* call) {
  auto& [body, status] = *static_cast<Call*>(call);
  status = body();
  return nullptr;
}

int no_stack(uint64_t bytes, int number) {
  return fail(strf("cannot make a stack of %llu bytes for the guest: %s; -W max-wasm-stack=SIZE asks for less",
                   static_cast<unsigned long long>(bytes), std::strerror(number)));
}

}  // namespace

int with_guest_stack(uint64_t bytes, bool promised, const std::function<int()>& body) {
  const uint64_t needed = bytes + kBeside;
  if (promised ? stack_left() >= needed : !is_tiny()) return body();
  const StackMemory memory(needed);
  if (memory.lowest() == nullptr) return no_stack(bytes, errno);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_t thread;
  Call call{body, kExitError};
  int failed = pthread_attr_setstack(&attributes, memory.lowest(), needed);
  if (failed == 0) failed = pthread_create(&thread, &attributes, run, &call);
  pthread_attr_destroy(&attributes);
  if (failed != 0) return no_stack(bytes, failed);
  pthread_join(thread, nullptr);
  return call.status;
}

}  // namespace vmrun::tools
