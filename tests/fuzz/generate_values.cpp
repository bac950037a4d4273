// Values of a wanted type: constants, locals and globals, what blocks and calls leave, and conditions.
#include <array>
#include <cstring>

#include "generate_body.h"

namespace vmrun::test::generate {

Type Body::any_type() {
  static const Types kTypes = {i32, i32, i32, i64, i64, f32, f64, v128, v128, funcref, externref, exnref, typed};
  const Type t = r_.of(kTypes);
  return t == typed ? static_cast<Type>(typed + r_.below(w_.typed_types)) : t;
}

Type Body::any_ref() {
  for (;;) {
    if (const Type t = any_type(); is_ref(t)) return t;
  }
}

Type Body::small_type() {
  static const Types kTypes = {i32, i32, i64, f64, v128, f32, funcref};
  return r_.one_in(8) ? any_type() : r_.of(kTypes);
}

void Body::value(Type t, unsigned depth) {
  if (budget_ <= 0 || depth > kDeepest || r_.one_in(6)) return leaf(t);
  --budget_;
  switch (r_.below(26)) {
    case 2: {
      const uint32_t local = local_of(t);
      value(t, depth + 1);
      op(0x22), u(local);
      return;
    }
    case 3: {  // select
      value(t, depth + 1), value(t, depth + 1), condition(depth + 1);
      if (is_ref(t) || r_.one_in(3)) {
        op(0x1c), u(1), type(t);
      } else {
        op(0x1b);
      }
      return;
    }
    case 4: return block({{}, {t}}, depth);
    case 5: return if_else({{}, {t}}, depth);
    case 6: return loop({{}, {t}}, depth);
    case 7:
      if (call(t, depth)) return;
      break;
    case 8: {  // a value that a branch may take along
      std::vector<uint32_t> fitting;
      for (uint32_t i = 0; i < labels_.size(); ++i) {
        if (label(i).types == Types{t} && !label(i).closed) fitting.push_back(i);
      }
      if (fitting.empty()) break;
      value(t, depth + 1), condition(depth + 1);
      op(0x0d), u(r_.of(fitting));
      return;
    }
    case 9: return guarded({{}, {t}}, depth);
    case 10: {  // through a block with parameters
      Signature shape{{}, {t}};
      for (uint32_t i = 1 + r_.below(3); i > 0; --i) shape.params.push_back(small_type());
      values(shape.params, depth + 1);
      if (r_.one_in(3)) return if_else(shape, depth);
      return r_.one_in(3) ? loop(shape, depth) : block(shape, depth);
    }
    default: break;
  }
  if (is_ref(t)) return reference(t, depth);
  if (special(t, depth)) return;
  operation(t, depth);
}

void Body::values(const Types& types, unsigned depth) {
  for (Type t : types) value(t, depth);
}

void Body::drop(size_t n) {
  for (; n > 0; --n) op(0x1a);
}

void Body::constant(Type t) {
  static const std::vector<int64_t> kEdges = {
      0,          1,          -1,        2,        3,      7,          8,
      31,         32,         63,        64,       127,    128,        255,
      256,        -128,       0x7fff,    0x8000,   0xffff, 0x7fffffff, -0x7fffffff - 1,
      0x80000000, 0xffffffff, INT64_MAX, INT64_MIN};
  const int64_t n = r_.one_in(4) ? static_cast<int64_t>(r_.bits()) >> r_.below(64) : r_.of(kEdges);
  switch (t) {
    case i32: op(0x41), s(static_cast<int32_t>(n)); break;
    case i64: op(0x42), s(n); break;
    case f32: {
      float f = static_cast<float>(n) / static_cast<float>(1 + r_.below(5));
      if (r_.one_in(8)) f = -0.0f;
      uint32_t bits;
      std::memcpy(&bits, &f, 4);
      op(0x43), raw(bits, 4);
      break;
    }
    case f64: {
      double f = static_cast<double>(n) / (1 + r_.below(5));
      if (r_.one_in(8)) f = -0.0;
      uint64_t bits;
      std::memcpy(&bits, &f, 8);
      op(0x44), raw(bits, 8);
      break;
    }
    case v128: op(0xfd), u(0x0c), raw(r_.one_in(3) ? 0 : r_.bits(), 8), raw(r_.bits() >> r_.below(64), 8); break;
    case funcref:
      if (r_.one_in(3)) {
        null(t);
      } else {
        op(0xd2), u(inner_func());
      }
      break;
    default: {
      const std::vector<uint32_t> fitting = inner_funcs([&](uint32_t f) { return typed + w_.funcs[f].type == t; });
      if (fitting.empty() || r_.one_in(5)) {
        null(t);
      } else {
        op(0xd2), u(r_.of(fitting));
      }
      break;
    }
  }
}

void Body::leaf(Type t) {
  std::vector<uint32_t> globals;
  for (uint32_t i = 1; i < w_.globals.size(); ++i) {
    if (w_.globals[i].type == t) globals.push_back(i);
  }
  switch (r_.below(4)) {
    case 0: return constant(t);
    case 1:
      if (globals.empty()) return constant(t);
      op(0x23), u(r_.of(globals));
      return;
    default: op(0x20), u(local_of(t)); return;
  }
}

void Body::condition(unsigned depth) {
  if (budget_ > 0 && depth <= kDeepest && r_.one_in(2)) {  // a comparison right before its use
    static const std::vector<uint8_t> kCompares = {0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f};
    const Type t = std::array{i32, i64, f32, f64}[r_.below(4)];
    value(t, depth + 1), value(t, depth + 1);
    if (t == i32) op(r_.of(kCompares));
    if (t == i64) op(r_.of(kCompares) + 11);
    if (t == f32) op(0x5b + r_.below(6));
    if (t == f64) op(0x61 + r_.below(6));
    if (r_.one_in(4)) op(0x45);
    return;
  }
  value(i32, depth);
}

bool Body::special(Type t, unsigned depth) {
  if (t != i32 || r_.below(10) != 0) return false;
  switch (r_.below(9)) {
    case 7: op(0xd0), op(0x6d), op(0xd0), op(0x6d), op(0xd3); return true;
    case 0: {
      const uint32_t m = any_memory();
      op(0x3f), u(m);
      if (w_.memories[m].is64) op(0xa7);
      return true;
    }
    case 1: {
      const uint32_t m = any_memory();
      op(w_.memories[m].is64 ? 0x42 : 0x41), s(r_.below(3));
      op(0x40), u(m);
      if (w_.memories[m].is64) op(0xa7);
      return true;
    }
    case 2: {
      const uint32_t table = any_table();
      op(0xfc), u(16), u(table);
      if (w_.tables[table].is64) op(0xa7);
      return true;
    }
    case 3: {
      const uint32_t table = any_table();
      value(w_.tables[table].type, depth + 1);
      op(w_.tables[table].is64 ? 0x42 : 0x41), s(r_.below(3));
      op(0xfc), u(15), u(table);
      if (w_.tables[table].is64) op(0xa7);
      return true;
    }
    case 4: value(any_ref(), depth + 1), op(0xd1); return true;
    case 5:  // a test of what kind of function it is
      value(funcref, depth + 1);
      op(0xfb), u(0x14 + r_.below(2)), s(r_.below(static_cast<uint32_t>(w_.types.size())));
      return true;
    case 6: {  // wait on a memory that nobody else has
      const uint32_t m = any_memory();
      if (!w_.memories[m].shared) return false;
      address(m, depth, 8);
      const bool wide = r_.one_in(2);
      value(wide ? i64 : i32, depth + 1);
      op(0x42), s(0);
      op(0xfe), u(wide ? 2 : 1), memarg(m, wide ? 3 : 2, true);
      return true;
    }
    default: {  // br_on_null and back
      const Type ref = any_ref();
      block_of({{}, {}}, [&] {
        value(ref, depth + 1);
        op(0xd5), u(0);
        drop(1);
      });
      constant(t);
      return true;
    }
  }
}

}  // namespace vmrun::test::generate
