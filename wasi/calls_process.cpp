// Arguments, variables, clocks, random bytes, yielding.
#include <algorithm>

#include "vm/runtime/stoppable.h"
#include "wasi/blocking.h"
#include "wasi/calls_common.h"

namespace vmrun::wasi {
namespace {

Errno put_strings(Mem memory, const StringBlock& block, Ptr pointers, Ptr buffer) {
  const std::string& bytes = block.bytes();
  const auto& offsets = block.offsets();
  std::byte* array = memory.array_at(pointers.address, static_cast<uint32_t>(offsets.size()), 4);
  std::byte* text = memory.at(buffer.address, bytes.size());
  if (array == nullptr || text == nullptr) return Errno::fault;
  std::memcpy(text, bytes.data(), bytes.size());
  for (uint32_t offset : offsets) {
    uint32_t address = buffer.address + offset;
    std::memcpy(array, &address, 4);
    array += 4;
  }
  return Errno::success;
}

Errno put_sizes(Mem memory, const StringBlock& block, Out<uint32_t> count, Out<uint32_t> bytes) {
  Errno e = count.store(memory, static_cast<uint32_t>(block.offsets().size()));
  return e == Errno::success ? bytes.store(memory, static_cast<uint32_t>(block.bytes().size())) : e;
}

}  // namespace

Errno args_get(Context& cx, Mem memory, Ptr argv, Ptr buffer) { return put_strings(memory, cx.args, argv, buffer); }
Errno args_sizes_get(Context& cx, Mem memory, Out<uint32_t> count, Out<uint32_t> bytes) {
  return put_sizes(memory, cx.args, count, bytes);
}
Errno environ_get(Context& cx, Mem memory, Ptr environ, Ptr buffer) {
  return put_strings(memory, cx.environ, environ, buffer);
}
Errno environ_sizes_get(Context& cx, Mem memory, Out<uint32_t> count, Out<uint32_t> bytes) {
  return put_sizes(memory, cx.environ, count, bytes);
}

Errno clock_res_get(Context& cx, Mem memory, Clock id, Out<uint64_t> resolution) {
  clockid_t clock;
  if (!host_clock(id.value, clock)) return Errno::inval;
  if (cx.clock) return resolution.store(memory, 1);
  timespec t;
  if (int64_t r = raw([&] { return ::clock_getres(clock, &t); }); r < 0) return errno_of(r);
  return resolution.store(memory, nanoseconds_of(t));
}

Errno clock_time_get(Context& cx, Mem memory, Clock id, Time, Out<uint64_t> time) {
  clockid_t clock;
  if (!host_clock(id.value, clock)) return Errno::inval;
  if (cx.clock) return time.store(memory, cx.clock(id.value));
  timespec t;
  if (int64_t r = raw([&] { return ::clock_gettime(clock, &t); }); r < 0) return errno_of(r);
  return time.store(memory, nanoseconds_of(t));
}

namespace {

/// Fills [p, p + length) from the generator with state `state`: splitmix64. Threads get different numbers of its series.
void fill_seeded(std::byte* p, size_t length, std::atomic<uint64_t>& shared) {
  constexpr uint64_t kStep = 0x9e3779b97f4a7c15;
  uint64_t state = shared.fetch_add((length + 7) / 8 * kStep, std::memory_order_relaxed);
  while (length != 0) {
    uint64_t z = state += kStep;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    size_t n = length < sizeof(z) ? length : sizeof(z);
    std::memcpy(p, &z, n);
    p += n;
    length -= n;
  }
}

}  // namespace

Errno random_get(Context& cx, Mem memory, Buffer buffer) {
  // A multiple of 8, some 0.2 ms: between two, the guest may be stopped.
  constexpr size_t kMost = size_t{64} << 10;
  std::byte* p = memory.at(buffer.address, buffer.length);
  if (p == nullptr) return Errno::fault;
  for (size_t left = buffer.length; left != 0;) {
    size_t n = std::min(left, kMost);
    if (blocking::between_pieces()) return Errno::intr;
    if (cx.seeded) {
      fill_seeded(p, n, cx.random_state);
    } else {
      int64_t r = blocking::getrandom(p, n);
      if (r < 0) return errno_of(r);
      n = static_cast<size_t>(r);
    }
    p += n;
    left -= n;
  }
  return Errno::success;
}

Errno sched_yield(Context&, Mem) {
  blocking::yield();
  return Errno::success;
}

}  // namespace vmrun::wasi
