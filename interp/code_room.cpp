// The count of the interpreter's code: see code_room.h.
#include "interp/code_room.h"

#include <algorithm>
#include <new>

namespace vmrun::interp {
namespace {

constinit std::atomic<size_t> code_bytes{0};
constinit thread_local size_t own_buffer_bytes = 0;

/// How much of a thread's buffers is counted.
size_t counted(size_t bytes) { return bytes > kFreeBufferBytes ? bytes - kFreeBufferBytes : 0; }

}  // namespace

bool charge_code(size_t bytes) {
  size_t now = code_bytes.load(std::memory_order_relaxed);
  do {
    const size_t most = most_code_bytes.load(std::memory_order_relaxed);
    if (now > most || bytes > most - now) return false;
  } while (!code_bytes.compare_exchange_weak(now, now + bytes, std::memory_order_relaxed));
  return true;
}

void credit_code(size_t bytes) { code_bytes.fetch_sub(bytes, std::memory_order_relaxed); }

size_t buffer_bytes() { return own_buffer_bytes; }

void* allocate_buffer(size_t bytes) {
  const size_t more = counted(own_buffer_bytes + bytes) - counted(own_buffer_bytes);
  if (more != 0 && !charge_code(more)) throw std::bad_alloc();
  void* buffer = ::operator new(bytes, std::nothrow);
  if (buffer == nullptr) {
    credit_code(more);
    throw std::bad_alloc();
  }
  own_buffer_bytes += bytes;
  return buffer;
}

void free_buffer(void* buffer, size_t bytes) noexcept {
  const size_t less = counted(own_buffer_bytes) - counted(own_buffer_bytes - bytes);
  own_buffer_bytes -= bytes;
  if (less != 0) credit_code(less);
  ::operator delete(buffer);
}

}  // namespace vmrun::interp
