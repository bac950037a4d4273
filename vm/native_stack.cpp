// The calling thread's stack: see native_stack.h.
#include "vm/native_stack.h"

#include <pthread.h>

#include "vm/assert.h"
#include "vm/fault.h"

namespace vmrun::vm {
namespace {

std::byte* find_floor() {
  pthread_attr_t attributes;
  const int failed = pthread_getattr_np(pthread_self(), &attributes);
  VMRUN_ASSERT(failed == 0, "pthread_getattr_np");
  void* low = nullptr;
  size_t size = 0;
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  return static_cast<std::byte*>(low) + std::min(kHostReserve, size / 2);
}

}  // namespace

constinit thread_local std::byte* thread_floor = nullptr;

[[gnu::noinline, gnu::cold]] void prepare_thread() {
  fault_prepare_thread();
  thread_floor = find_floor();
}

}  // namespace vmrun::vm
