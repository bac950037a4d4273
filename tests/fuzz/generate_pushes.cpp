#include "generate_values.h"

namespace vmrun::test::generate {

void push_value(Code& c, Random& r, Type type, const ValueLocals& locals, bool loads) {
  const uint32_t address = r.below(60) * 4;
  const uint32_t how = loads ? 0 : r.below(6);
  switch (type) {
    case i32:
      switch (how) {
        case 0: c.i32(0).access(Op::i32_load, address); break;
        case 1: c.get(locals.narrow); break;
        case 2: c.i32(static_cast<uint32_t>(r.bits())); break;
        case 3: c.get(locals.wide).op(Op::i32_wrap_i64); break;
        case 4: c.get(locals.narrow).i32(r.below(100)).op(r.one_in(2) ? Op::i32_lt_s : Op::i32_ne); break;
        default: c.get(locals.narrow).i32(address).access(Op::i32_load16_s, 0).op(Op::i32_add); break;
      }
      break;
    case i64:
      switch (how) {
        case 0: c.i32(0).access(Op::i64_load, address); break;
        case 1: c.get(locals.wide); break;
        case 2: c.i64(r.bits()); break;
        case 3: c.get(locals.narrow).op(r.one_in(2) ? Op::i64_extend_i32_s : Op::i64_extend_i32_u); break;
        default: c.get(locals.wide).i32(address).access(Op::i64_load32_u, 0).op(Op::i64_add); break;
      }
      break;
    case f32:
      if (how == 0) {
        c.i32(0).access(Op::f32_load, address);
      } else {
        c.get(locals.narrow).op(Op::f32_convert_i32_s);
      }
      break;
    case f64:
      if (how == 0) {
        c.i32(0).access(Op::f64_load, address);
      } else {
        c.get(locals.wide).op(Op::f64_convert_i64_s);
      }
      break;
    case v128:
      if (how == 0) {
        c.i32(0).access(Op::v128_load, address);
      } else if (how == 1) {
        c.v128(r.bits(), r.bits());
      } else {
        c.get(locals.wide).op(Op::i64x2_splat);
      }
      break;
    default: c.op(Op::ref_null), append_heap_type(c.bytes, type); break;
  }
}

void add_to_sum(Code& c, Type type, const ValueLocals& locals) {
  switch (type) {
    case i32: c.op(Op::i64_extend_i32_u); break;
    case i64: break;
    case f32: c.op(Op::i32_reinterpret_f32).op(Op::i64_extend_i32_u); break;
    case f64: c.op(Op::i64_reinterpret_f64); break;
    case v128:
      c.tee(locals.vector).op(Op::i64x2_extract_lane).byte(0).get(locals.vector).op(Op::i64x2_extract_lane).byte(1);
      c.op(Op::i64_sub);
      break;
    default: c.op(Op::ref_is_null).op(Op::i64_extend_i32_u); break;
  }
  c.get(locals.sum).i64(7).op(Op::i64_rotl).op(Op::i64_add).set(locals.sum);
}

}  // namespace vmrun::test::generate
