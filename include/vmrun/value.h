// Val: a WebAssembly value with its type, for calls whose signature is not known at compile time.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "vmrun/base/slot.h"
#include "vmrun/fwd.h"
#include "vmrun/types.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// A value. References are borrowed: they stay valid for as long as the store they came from, except an exnref, which
/// lives while it is reachable from guest state (a table, a global, a running frame) or pinned by Store::pin.
class Val {
 public:
  Val() : type_(ValKind::I32) {}  // i32 0
  static Val i32(int32_t v) { return Val(ValKind::I32, static_cast<uint32_t>(v)); }
  static Val i64(int64_t v) { return Val(ValKind::I64, static_cast<uint64_t>(v)); }
  static Val f32(float v) { return Val(ValKind::F32, std::bit_cast<uint32_t>(v)); }
  static Val f64(double v) { return Val(ValKind::F64, std::bit_cast<uint64_t>(v)); }
  static Val f32_bits(uint32_t v) { return Val(ValKind::F32, v); }
  static Val f64_bits(uint64_t v) { return Val(ValKind::F64, v); }
  static Val v128(V128 v) { return Val(ValKind::V128, v.lo, v.hi); }
  static Val null(HeapKind heap) { return Val(ValType::ref(heap), 0); }
  /// A funcref.
  static Val func(const Func& func);
  /// An externref that holds `value`. Its cell lives as long as the store; equal pointers share one.
  static Val externref(Store& store, void* value);
  /// A reference of type `type` from its bits; `type` must be right.
  static Val ref(ValType type, Ref ref) { return Val(type, ref.bits); }
  /// A value of type `type` from its slots (two for a v128).
  static Val from_slots(ValType type, const Slot* slots) {
    const bool narrow = type.kind() == ValKind::I32;  // whatever the upper half of its slot holds
    return Val(type, narrow ? slots[0].as_i32() : slots[0].bits, type.kind() == ValKind::V128 ? slots[1].bits : 0);
  }
  /// Zero, or null, of that type.
  static Val zero(ValType type) { return Val(type, 0); }

  ValType type() const { return type_; }
  ValKind kind() const { return type_.kind(); }
  int32_t as_i32() const { return static_cast<int32_t>(lo_); }
  int64_t as_i64() const { return static_cast<int64_t>(lo_); }
  float as_f32() const { return std::bit_cast<float>(static_cast<uint32_t>(lo_)); }
  double as_f64() const { return std::bit_cast<double>(lo_); }
  uint32_t f32_bits() const { return static_cast<uint32_t>(lo_); }
  uint64_t f64_bits() const { return lo_; }
  V128 as_v128() const { return {lo_, hi_}; }
  Ref as_ref() const { return Ref{lo_}; }
  bool is_null() const { return type_.is_ref() && lo_ == 0; }
  /// The host pointer in an externref; null for a null reference. Only for externrefs that the host made.
  void* extern_ptr() const;

  /// Writes the value's slots; returns how many (one, or two for a v128).
  uint32_t to_slots(Slot* slots) const {
    slots[0].bits = lo_;
    if (kind() != ValKind::V128) return 1;
    slots[1].bits = hi_;
    return 2;
  }

  /// The value for people: "42", "0x1.8p+1" is never used, floats print shortest ("1.5", "nan:0x7fc00000"), references
  /// as "null", "funcref", "externref:0x...".
  std::string to_string() const;

 private:
  Val(ValType type, uint64_t lo, uint64_t hi = 0) : type_(type), lo_(lo), hi_(hi) {}
  ValType type_;
  uint64_t lo_ = 0, hi_ = 0;
};

}  // namespace vmrun
#pragma GCC visibility pop
