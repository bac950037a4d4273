// Values of test scripts; see wast_match.h.
#include "tools/wast_match.h"

#include <algorithm>
#include <cstring>

#include "tools/report.h"

namespace vmrun::tools {
namespace {

struct RefName {
  const char* name;
  HeapKind heap;
};
constexpr RefName kRefNames[] = {
    {"externref", HeapKind::Extern},
    {"funcref", HeapKind::Func},
    {"anyref", HeapKind::Any},
    {"eqref", HeapKind::Eq},
    {"i31ref", HeapKind::I31},
    {"structref", HeapKind::Struct},
    {"arrayref", HeapKind::Array},
    {"exnref", HeapKind::Exn},
    {"nullref", HeapKind::None},
    {"nullfuncref", HeapKind::NoFunc},
    {"nullexternref", HeapKind::NoExtern},
    {"nullexnref", HeapKind::NoExn},
};

HeapKind heap_of(const std::string& name) {
  for (const RefName& row : kRefNames) {
    if (name == row.name) return row.heap;
  }
  return HeapKind::Any;
}

enum class Hierarchy : uint8_t { any, func, extern_, exn };

Hierarchy hierarchy(HeapKind heap) {
  switch (heap) {
    case HeapKind::Func:
    case HeapKind::NoFunc:
    case HeapKind::Concrete:  // of the three kinds of definition only functions cross the API
      return Hierarchy::func;
    case HeapKind::Extern:
    case HeapKind::NoExtern: return Hierarchy::extern_;
    case HeapKind::Exn:
    case HeapKind::NoExn: return Hierarchy::exn;
    default: return Hierarchy::any;
  }
}

bool matches_lane(const Lane& lane, uint64_t bits, unsigned width) {
  if (lane.nan == NanClass::exact) return lane.bits == bits;
  const uint64_t quiet = width == 32 ? 0x7fc00000u : 0x7ff8000000000000u;
  const uint64_t magnitude = bits & (width == 32 ? 0x7fffffffu : 0x7fffffffffffffffu);
  // Canonical: exactly the quiet bit, of either sign. Arithmetic: the quiet bit and anything below it.
  return lane.nan == NanClass::canonical ? magnitude == quiet : (magnitude & quiet) == quiet;
}

uint64_t lane_of(V128 v, unsigned width, size_t i) {
  unsigned char bytes[16];
  std::memcpy(bytes, &v, sizeof bytes);
  uint64_t out = 0;
  std::memcpy(&out, bytes + i * width / 8, width / 8);
  return out;
}

bool matches_ref(const Pattern& p, const Val& value) {
  if (!value.type().is_ref()) return false;
  if (p.ref_null) {
    return value.is_null() &&
           (p.ref_type == "refnull" || hierarchy(heap_of(p.ref_type)) == hierarchy(value.type().heap()));
  }
  if (value.is_null()) return false;
  if (p.host) {
    const Val as_extern = Val::ref(ValType::externref(), value.as_ref());
    return reinterpret_cast<uintptr_t>(as_extern.extern_ptr()) == *p.host;
  }
  return hierarchy(heap_of(p.ref_type)) == hierarchy(value.type().heap());
}

std::string describe_lane(const Lane& lane, unsigned width) {
  if (lane.nan == NanClass::canonical) return "nan:canonical";
  if (lane.nan == NanClass::arithmetic) return "nan:arithmetic";
  return strf("0x%0*llx", static_cast<int>(width / 4), static_cast<unsigned long long>(lane.bits));
}

}  // namespace

Result<Val> to_value(Store& store, const Pattern& p, ValType type) {
  switch (p.kind) {
    case Pattern::Kind::i32: return Val::i32(static_cast<int32_t>(p.scalar.bits));
    case Pattern::Kind::i64: return Val::i64(static_cast<int64_t>(p.scalar.bits));
    case Pattern::Kind::f32: return Val::f32_bits(static_cast<uint32_t>(p.scalar.bits));
    case Pattern::Kind::f64: return Val::f64_bits(p.scalar.bits);
    case Pattern::Kind::v128: {
      unsigned char bytes[16];
      for (size_t i = 0; i < p.lanes.size(); ++i) {
        std::memcpy(bytes + i * p.lane_bits / 8, &p.lanes[i].bits, p.lane_bits / 8);
      }
      V128 v;
      std::memcpy(&v, bytes, sizeof v);
      return Val::v128(v);
    }
    case Pattern::Kind::ref:
      if (!type.is_ref() || (p.ref_null && !type.nullable())) break;
      if (p.ref_null) return Val::zero(type);
      if (!p.host) break;
      return Val::ref(type, Val::externref(store, reinterpret_cast<void*>(static_cast<uintptr_t>(*p.host))).as_ref());
    case Pattern::Kind::either: break;
  }
  return Error(ErrorKind::Unsupported, "cannot pass " + describe(p));
}

bool matches(const Pattern& p, const Val& value) {
  switch (p.kind) {
    case Pattern::Kind::i32:
      return value.kind() == ValKind::I32 && static_cast<uint32_t>(value.as_i32()) == p.scalar.bits;
    case Pattern::Kind::i64:
      return value.kind() == ValKind::I64 && static_cast<uint64_t>(value.as_i64()) == p.scalar.bits;
    case Pattern::Kind::f32: return value.kind() == ValKind::F32 && matches_lane(p.scalar, value.f32_bits(), 32);
    case Pattern::Kind::f64: return value.kind() == ValKind::F64 && matches_lane(p.scalar, value.f64_bits(), 64);
    case Pattern::Kind::v128:
      if (value.kind() != ValKind::V128) return false;
      for (size_t i = 0; i < p.lanes.size(); ++i) {
        if (!matches_lane(p.lanes[i], lane_of(value.as_v128(), p.lane_bits, i), p.lane_bits)) return false;
      }
      return true;
    case Pattern::Kind::ref: return matches_ref(p, value);
    case Pattern::Kind::either:
      return std::any_of(p.choices.begin(), p.choices.end(), [&](const Pattern& c) { return matches(c, value); });
  }
  return false;
}

std::string describe(const Pattern& p) {
  std::string out;
  switch (p.kind) {
    case Pattern::Kind::i32: return "i32:" + describe_lane(p.scalar, 32);
    case Pattern::Kind::i64: return "i64:" + describe_lane(p.scalar, 64);
    case Pattern::Kind::f32: return "f32:" + describe_lane(p.scalar, 32);
    case Pattern::Kind::f64: return "f64:" + describe_lane(p.scalar, 64);
    case Pattern::Kind::v128:
      out = strf("v128:%c%u[", p.lane_float ? 'f' : 'i', p.lane_bits);
      for (const Lane& lane : p.lanes) out += (out.back() == '[' ? "" : " ") + describe_lane(lane, p.lane_bits);
      return out + "]";
    case Pattern::Kind::ref: return p.ref_type + (p.ref_null ? ":null" : p.host ? ":" + std::to_string(*p.host) : "");
    case Pattern::Kind::either:
      out = "either(";
      for (const Pattern& choice : p.choices) out += (out.back() == '(' ? "" : ", ") + describe(choice);
      return out + ")";
  }
  return "?";
}

std::string describe(const Val& value) {
  switch (value.kind()) {
    case ValKind::I32: return strf("i32:0x%08x", static_cast<unsigned>(value.as_i32()));
    case ValKind::I64: return strf("i64:0x%016llx", static_cast<unsigned long long>(value.as_i64()));
    case ValKind::F32: return strf("f32:0x%08x", value.f32_bits());
    case ValKind::F64: return strf("f64:0x%016llx", static_cast<unsigned long long>(value.f64_bits()));
    case ValKind::V128: {
      const V128 v = value.as_v128();
      return strf("v128:0x%016llx%016llx", static_cast<unsigned long long>(v.hi),
                  static_cast<unsigned long long>(v.lo));
    }
    case ValKind::Ref: return value.type().to_string() + (value.is_null() ? ":null" : "");
  }
  return "?";
}

}  // namespace vmrun::tools
