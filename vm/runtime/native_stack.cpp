// The calling thread's stack: see native_stack.h.
#include "vm/runtime/native_stack.h"

#include <pthread.h>

#include "vm/base/assert.h"
#include "vm/runtime/fault.h"

namespace vmrun::vm {
namespace {

NativeStack find_stack() {
  pthread_attr_t attributes;
  const int failed = pthread_getattr_np(pthread_self(), &attributes);
  VMRUN_ASSERT(failed == 0, "pthread_getattr_np");
  void* low = nullptr;
  size_t size = 0;
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  if (size < kMinNativeStack) return {static_cast<std::byte*>(low), 0};
  return NativeStack::of(low, size);
}

}  // namespace

constinit thread_local NativeStack thread_stack;

[[gnu::noinline, gnu::cold]] void prepare_thread() {
  fault_prepare_thread();
  thread_stack = find_stack();
}

}  // namespace vmrun::vm
