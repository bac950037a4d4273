// Guest values as the machine holds them: 64-bit slots, 128-bit vectors and the one reference representation. Host
// functions on the fast path (Linker::func_raw) read and write these directly.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#pragma GCC visibility push(default)
namespace vmrun {

/// A 128-bit vector value; lane 0 is in the lowest byte (WebAssembly 3.0, 2.3.2). Occupies two slots.
struct alignas(16) V128 {
  uint64_t lo = 0;
  uint64_t hi = 0;
  friend bool operator==(const V128&, const V128&) = default;
};

/// A reference of any heap type in 64 bits. 0 is null; bit 0 set is an i31; anything else is the address of a
/// 16-byte-aligned cell that never moves (a function record, an externref cell, an exception cell, a GC object).
struct Ref {
  uint64_t bits = 0;

  static constexpr Ref null() { return {}; }
  static Ref of(const void* cell) { return {reinterpret_cast<uintptr_t>(cell)}; }
  static constexpr Ref i31(uint32_t value) { return {(static_cast<uint64_t>(value & 0x7fffffffu) << 1) | 1}; }

  constexpr bool is_null() const { return bits == 0; }
  constexpr bool is_i31() const { return (bits & 1) != 0; }
  template <class Cell>
  Cell* as() const {
    return reinterpret_cast<Cell*>(bits);
  }
  friend bool operator==(Ref, Ref) = default;
};

/// One 64-bit slot of a frame, an argument list or a result list. An i32 is kept zero-extended; every writer must keep
/// that invariant, because readers rely on it for addresses. The upper half of an f32's slot is unspecified. A v128
/// takes two consecutive slots, low half first, and needs no alignment beyond 8.
struct Slot {
  uint64_t bits = 0;

  static Slot i32(uint32_t v) { return {v}; }
  static Slot i64(uint64_t v) { return {v}; }
  static Slot f32(float v) { return {std::bit_cast<uint32_t>(v)}; }
  static Slot f64(double v) { return {std::bit_cast<uint64_t>(v)}; }
  static Slot ref(Ref v) { return {v.bits}; }

  uint32_t as_i32() const { return static_cast<uint32_t>(bits); }
  uint64_t as_i64() const { return bits; }
  float as_f32() const { return std::bit_cast<float>(static_cast<uint32_t>(bits)); }
  double as_f64() const { return std::bit_cast<double>(bits); }
  Ref as_ref() const { return {bits}; }
};

inline V128 load_v128(const Slot* s) { return {s[0].bits, s[1].bits}; }
inline void store_v128(Slot* s, V128 v) {
  s[0].bits = v.lo;
  s[1].bits = v.hi;
}

static_assert(sizeof(Slot) == 8 && sizeof(Ref) == 8 && sizeof(V128) == 16);

}  // namespace vmrun
#pragma GCC visibility pop
