// Values: references, and the text form.
#include "vmrun/value.h"

#include <charconv>
#include <cmath>

#include "vm/runtime/store.h"
#include "vmrun/func.h"
#include "vmrun/store.h"

namespace vmrun {
namespace {

std::string hex(uint64_t value) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value, 16);
  return "0x" + std::string(text, end.ptr);
}

template <class Float, class Bits>
std::string float_text(Float value, Bits bits) {
  if (std::isnan(value)) {
    const Bits fraction = bits & ((Bits{1} << (sizeof(Float) == 4 ? 23 : 52)) - 1);
    return std::string(std::signbit(value) ? "-" : "") + "nan:" + hex(fraction);
  }
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end.ptr);
}

}  // namespace

Val Val::func(const Func& func) { return Val(ValType::ref(HeapKind::Func, false), Ref::of(func.impl()).bits); }

Val Val::externref(Store& store, void* value) { return Val(ValType::externref(), store.impl().new_extern(value).bits); }

void* Val::extern_ptr() const { return lo_ == 0 ? nullptr : Ref{lo_}.as<vm::ExternCell>()->value; }

std::string Val::to_string() const {
  switch (kind()) {
    case ValKind::I32: return std::to_string(as_i32());
    case ValKind::I64: return std::to_string(as_i64());
    case ValKind::F32: return float_text(as_f32(), f32_bits());
    case ValKind::F64: return float_text(as_f64(), f64_bits());
    case ValKind::V128: {
      char text[40];
      std::snprintf(text, sizeof text, "0x%016llx%016llx", static_cast<unsigned long long>(hi_),
                    static_cast<unsigned long long>(lo_));
      return text;
    }
    case ValKind::Ref: break;
  }
  if (is_null()) return "null";
  if ((lo_ & 1) != 0) return "i31:" + std::to_string(static_cast<int32_t>(static_cast<uint32_t>(lo_)) >> 1);
  switch (type_.heap()) {
    case HeapKind::Extern: return "externref:" + hex(reinterpret_cast<uintptr_t>(extern_ptr()));
    case HeapKind::Exn: return "exnref";
    case HeapKind::Func:
    case HeapKind::Concrete: return "funcref";
    default: return "ref";
  }
}

}  // namespace vmrun
