// What the interpreter's code may take: one count of bytes for the process, for translations in place and for those in
// the making.
//
// Translators keep all that grows with a function in CodeVectors. A CodeVector that would exceed the limit throws
// std::bad_alloc, so that a function whose translation has no room is refused as soon as that is known.
#pragma once

#include <atomic>
#include <cstddef>
#include <vector>

namespace vmrun::interp {

/// Bytes of translations, and of buffers beyond kFreeBufferBytes of each thread, that a process holds at most. A
/// function that finds no room traps as one for which there is no memory. It may be changed at any time; tests lower it.
inline constinit std::atomic<size_t> most_code_bytes{size_t{1} << 30};

/// Bytes of buffers that each thread has for nothing, and that it may keep from one function to the next.
inline constexpr size_t kFreeBufferBytes = size_t{4} << 20;

/// Counts `bytes` more, if there may be so many. Any thread.
[[nodiscard]] bool charge_code(size_t bytes);
void credit_code(size_t bytes);

/// Memory for a CodeVector. Throws std::bad_alloc when there is none, or no room. Freed by the thread that allocated it.
void* allocate_buffer(size_t bytes);
void free_buffer(void* buffer, size_t bytes) noexcept;
/// Bytes that this thread's CodeVectors take.
size_t buffer_bytes();

template <class T>
struct CodeAllocator {
  using value_type = T;
  CodeAllocator() = default;
  template <class U>
  constexpr CodeAllocator(const CodeAllocator<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(allocate_buffer(count * sizeof(T))); }
  void deallocate(T* buffer, size_t count) noexcept { free_buffer(buffer, count * sizeof(T)); }
  friend bool operator==(const CodeAllocator&, const CodeAllocator&) { return true; }
};

/// A vector of what a translator makes or needs. It stays with the thread that fills it.
template <class T>
using CodeVector = std::vector<T, CodeAllocator<T>>;

}  // namespace vmrun::interp
