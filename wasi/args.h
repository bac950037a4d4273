// The kinds of parameters calls have: plain integers with a meaning, and guest pointers. Binding (bind.h) takes a
// call's C++ signature apart by these types to find its wasm signature, to decode its arguments and to trace them.
#pragma once

#include <cstdint>
#include <string_view>

#include "wasi/abi.h"
#include "wasi/guest_memory.h"

namespace vmrun::wasi {

/// An integer parameter of its own kind. Wide enough for what guests can pass: range checks are the call's.
template <class Tag, class T = uint32_t>
struct Number {
  using Int = T;
  T value;
};
using Fd = Number<struct FdTag>;
using FdFlags = Number<struct FdFlagsTag>;
using OFlags = Number<struct OFlagsTag>;
using LookupFlags = Number<struct LookupFlagsTag>;
using FstFlags = Number<struct FstFlagsTag>;
using Whence = Number<struct WhenceTag>;
using Advice = Number<struct AdviceTag>;
using Clock = Number<struct ClockTag>;
using RightsArg = Number<struct RightsTag, uint64_t>;
using Count = Number<struct CountTag>;
using MessageFlags = Number<struct MessageFlagsTag>;
using Size64 = Number<struct Size64Tag, uint64_t>;
using Delta = Number<struct DeltaTag, int64_t>;
using Time = Number<struct TimeTag, uint64_t>;
using Cookie = Number<struct CookieTag, uint64_t>;

/// An address in guest memory whose extent the call knows.
struct Ptr {
  uint32_t address;
};
/// Address and length in bytes: two parameters.
struct Buffer {
  uint32_t address, length;
};
/// Address and length of a path: two parameters.
struct PathArg {
  uint32_t address, length;

  /// False when it is not inside memory.
  [[nodiscard]] bool text(const GuestMemory& memory, std::string_view& out) const {
    const std::byte* p = memory.at(address, length);
    if (p == nullptr) return false;
    out = {reinterpret_cast<const char*>(p), length};
    return true;
  }
};
/// Address and number of iovecs: two parameters.
struct Iovecs {
  uint32_t address, count;
};
/// Address of a result. Checked before the call runs, so that nothing happens whose result has no place.
template <class T>
struct Out {
  using Value = T;
  uint32_t address;

  [[nodiscard]] Errno store(const GuestMemory& memory, const T& value) const {
    return memory.write(address, value) ? Errno::success : Errno::fault;
  }
};

}  // namespace vmrun::wasi
