// Functions of one idea each: an i32 whose register may hold more than the i32 (a source), which passes through some
// steps that give back what they take or part of it, and ends where an i32 is used (a use, in generate_uses.cpp). The
// tables say all of them; a module's number decides which pairs of a step and a use it holds, and consecutive numbers
// go through all pairs.
#include "generate_identities.h"

#include "generate_aimed.h"

namespace vmrun::test::generate {

namespace {

using M = Maker;

/// Puts an i32 on the stack.
const Step kSources[] = {
    {"wrap", [](M& m) { m.c.get(M::a).op(Op::i32_wrap_i64); }},
    {"wrap(add)", [](M& m) { m.c.get(M::a).i64(m.edge64()).op(Op::i64_add).op(Op::i32_wrap_i64); }},
    {"wrap(add 1)", [](M& m) { m.c.get(M::a).i64(1).op(Op::i64_add).op(Op::i32_wrap_i64); }},
    {"wrap(add of two)", [](M& m) { m.c.get(M::a).get(M::b).op(Op::i64_add).op(Op::i32_wrap_i64); }},
    {"wrap(sub)", [](M& m) { m.c.get(M::a).get(M::b).op(Op::i64_sub).op(Op::i32_wrap_i64); }},
    {"wrap(mul)", [](M& m) { m.c.get(M::a).i64(m.edge64()).op(Op::i64_mul).op(Op::i32_wrap_i64); }},
    {"wrap(or dirt)", [](M& m) { m.c.get(M::a).i64(m.dirt()).op(Op::i64_or).op(Op::i32_wrap_i64); }},
    {"wrap(and)", [](M& m) { m.c.get(M::a).i64(m.small_mask()).op(Op::i64_and).op(Op::i32_wrap_i64); }},
    {"wrap(xor)", [](M& m) { m.c.get(M::a).get(M::b).op(Op::i64_xor).op(Op::i32_wrap_i64); }},
    {"wrap(shl)", [](M& m) { m.c.get(M::a).i64(m.r.below(70)).op(Op::i64_shl).op(Op::i32_wrap_i64); }},
    {"wrap(shr_u)", [](M& m) { m.c.get(M::a).i64(m.r.below(70)).op(Op::i64_shr_u).op(Op::i32_wrap_i64); }},
    {"wrap(shr_s)", [](M& m) { m.c.get(M::a).i64(m.r.below(70)).op(Op::i64_shr_s).op(Op::i32_wrap_i64); }},
    {"wrap(rotl)", [](M& m) { m.c.get(M::a).i64(m.r.below(70)).op(Op::i64_rotl).op(Op::i32_wrap_i64); }},
    {"wrap(load)", [](M& m) { m.c.i32(m.r.below(200)).access(Op::i64_load, m.r.below(8)).op(Op::i32_wrap_i64); }},
    {"wrap(extend_u)", [](M& m) { m.c.get(M::c32).op(Op::i64_extend_i32_u).op(Op::i32_wrap_i64); }},
    {"wrap(extend_s + a)",
     [](M& m) { m.c.get(M::c32).op(Op::i64_extend_i32_s).get(M::a).op(Op::i64_add).op(Op::i32_wrap_i64); }},
    {"wrap(extend32_s)", [](M& m) { m.c.get(M::a).op(Op::i64_extend32_s).op(Op::i32_wrap_i64); }},
    {"wrap(select)", [](M& m) { m.c.get(M::a).get(M::b).get(M::c32).op(Op::select).op(Op::i32_wrap_i64); }},
    {"wrap(global)",
     [](M& m) { m.c.get(M::a).global_set(M::kGlobal64).global_get(M::kGlobal64).op(Op::i32_wrap_i64); }},
    {"wrap(call)", [](M& m) { m.c.get(M::a).call(m.same64).op(Op::i32_wrap_i64); }},
    {"wrap(block)", [](M& m) { m.c.block(i64).get(M::a).end().op(Op::i32_wrap_i64); }},
    {"wrap(lane)",
     [](M& m) {
       m.c.get(M::a).op(Op::i64x2_splat).op(Op::i64x2_extract_lane).byte(m.r.below(2)).op(Op::i32_wrap_i64);
     }},
    {"lane", [](M& m) { m.c.get(M::a).op(Op::i64x2_splat).op(Op::i32x4_extract_lane).byte(m.r.below(4)); }},
    {"lane of 8 bits",
     [](M& m) { m.c.get(M::a).op(Op::i64x2_splat).op(Op::i8x16_extract_lane_s).byte(m.r.below(16)); }},
    {"wrap(trunc)",
     [](M& m) { m.c.get(M::a).op(Op::f64_convert_i64_s).op(Op::i64_trunc_sat_f64_s).op(Op::i32_wrap_i64); }},
    {"trunc", [](M& m) { m.c.get(M::a).op(Op::f64_convert_i64_s).op(Op::i32_trunc_sat_f64_s); }},
    {"reinterpret", [](M& m) { m.c.get(M::c32).op(Op::f32_reinterpret_i32).op(Op::i32_reinterpret_f32); }},
    {"compare", [](M& m) { m.c.get(M::a).get(M::b).op(Op::i64_lt_s); }},
    {"parameter", [](M& m) { m.c.get(M::c32); }},
    {"parameter + n", [](M& m) { m.c.get(M::c32).i32(m.edge()).op(Op::i32_add); }},
    {"load", [](M& m) { m.c.i32(m.r.below(200)).access(Op::i32_load, m.r.below(8)); }},
    {"load8_s", [](M& m) { m.c.i32(m.r.below(200)).access(Op::i32_load8_s, m.r.below(8)); }},
    {"local", [](M& m) { m.c.get(M::a).op(Op::i32_wrap_i64).set(M::x32).get(M::x32); }},
    {"constant", [](M& m) { m.c.i32(m.edge()); }},
};

/// Both operands of a step are an i32 that is there and a number.
void with(M& m, Op op, uint32_t n) { m.c.i32(n).op(op); }
void before(M& m, Op op, uint32_t n) { m.c.set(M::x32).i32(n).get(M::x32).op(op); }

/// Takes an i32 and gives back the same, or part of it.
const Step kSteps[] = {
    {"nothing", [](M&) {}},
    {"+ 0", [](M& m) { with(m, Op::i32_add, 0); }},
    {"0 +", [](M& m) { before(m, Op::i32_add, 0); }},
    {"- 0", [](M& m) { with(m, Op::i32_sub, 0); }},
    {"0 - 0 -", [](M& m) { before(m, Op::i32_sub, 0), before(m, Op::i32_sub, 0); }},
    {"n - n -",
     [](M& m) {
       const uint32_t n = m.edge();
       before(m, Op::i32_sub, n), before(m, Op::i32_sub, n);
     }},
    {"+ n - n",
     [](M& m) {
       const uint32_t n = m.edge();
       with(m, Op::i32_add, n), with(m, Op::i32_sub, n);
     }},
    {"- n + n",
     [](M& m) {
       const uint32_t n = m.edge();
       with(m, Op::i32_sub, n), with(m, Op::i32_add, n);
     }},
    {"+ n + -n",
     [](M& m) {
       const uint32_t n = m.edge();
       with(m, Op::i32_add, n), with(m, Op::i32_add, 0 - n);
     }},
    {"+ n", [](M& m) { with(m, Op::i32_add, m.edge()); }},
    {"- n", [](M& m) { with(m, Op::i32_sub, m.edge()); }},
    {"and -1", [](M& m) { with(m, Op::i32_and, ~0u); }},
    {"-1 and", [](M& m) { before(m, Op::i32_and, ~0u); }},
    {"and n", [](M& m) { with(m, Op::i32_and, m.edge()); }},
    {"and 255", [](M& m) { with(m, Op::i32_and, 255); }},
    {"and 0xffff", [](M& m) { with(m, Op::i32_and, 0xffff); }},
    {"and 0x7fffffff", [](M& m) { with(m, Op::i32_and, 0x7fffffff); }},
    {"or 0", [](M& m) { with(m, Op::i32_or, 0); }},
    {"xor 0", [](M& m) { with(m, Op::i32_xor, 0); }},
    {"xor n xor n",
     [](M& m) {
       const uint32_t n = m.edge();
       with(m, Op::i32_xor, n), with(m, Op::i32_xor, n);
     }},
    {"* 1", [](M& m) { with(m, Op::i32_mul, 1); }},
    {"1 *", [](M& m) { before(m, Op::i32_mul, 1); }},
    {"* -1 * -1", [](M& m) { with(m, Op::i32_mul, ~0u), with(m, Op::i32_mul, ~0u); }},
    {"* 2^n", [](M& m) { with(m, Op::i32_mul, 1u << m.r.below(32)); }},
    {"/ 1", [](M& m) { with(m, m.r.one_in(2) ? Op::i32_div_u : Op::i32_div_s, 1); }},
    {"/ 2^n", [](M& m) { with(m, m.r.one_in(2) ? Op::i32_div_u : Op::i32_div_s, 1u << m.r.below(32)); }},
    {"rem 2^n", [](M& m) { with(m, m.r.one_in(2) ? Op::i32_rem_u : Op::i32_rem_s, 1u << m.r.below(32)); }},
    {"shl 0", [](M& m) { with(m, Op::i32_shl, 32 * m.r.below(3)); }},
    {"shr_u 0", [](M& m) { with(m, Op::i32_shr_u, 32 * m.r.below(3)); }},
    {"shr_s 0", [](M& m) { with(m, Op::i32_shr_s, 32 * m.r.below(3)); }},
    {"rotl 0", [](M& m) { with(m, Op::i32_rotl, 32 * m.r.below(3)); }},
    {"rotr 0", [](M& m) { with(m, Op::i32_rotr, 32 * m.r.below(3)); }},
    {"rotl n rotr n",
     [](M& m) {
       const uint32_t n = m.r.below(70);
       with(m, Op::i32_rotl, n), with(m, Op::i32_rotr, n);
     }},
    {"shl n shr_u n",
     [](M& m) {
       const uint32_t n = m.r.below(33);
       with(m, Op::i32_shl, n), with(m, Op::i32_shr_u, n);
     }},
    {"shl n shr_s n",
     [](M& m) {
       const uint32_t n = m.r.below(33);
       with(m, Op::i32_shl, n), with(m, Op::i32_shr_s, n);
     }},
    {"shr_u n shl n",
     [](M& m) {
       const uint32_t n = m.r.below(33);
       with(m, Op::i32_shr_u, n), with(m, Op::i32_shl, n);
     }},
    {"extend8_s", [](M& m) { m.c.op(Op::i32_extend8_s); }},
    {"extend16_s", [](M& m) { m.c.op(Op::i32_extend16_s); }},
    {"extend8_s extend16_s", [](M& m) { m.c.op(Op::i32_extend8_s).op(Op::i32_extend16_s); }},
    {"extend_u wrap", [](M& m) { m.c.op(Op::i64_extend_i32_u).op(Op::i32_wrap_i64); }},
    {"extend_s wrap", [](M& m) { m.c.op(Op::i64_extend_i32_s).op(Op::i32_wrap_i64); }},
    {"extend_u, dirt, wrap",
     [](M& m) { m.c.op(Op::i64_extend_i32_u).i64(m.dirt()).op(Op::i64_or).op(Op::i32_wrap_i64); }},
    {"extend_u + a - a wrap",
     [](M& m) {
       m.c.op(Op::i64_extend_i32_u).get(M::a).op(Op::i64_add).get(M::a).op(Op::i64_sub).op(Op::i32_wrap_i64);
     }},
    {"extend_s + 2^32 wrap",
     [](M& m) { m.c.op(Op::i64_extend_i32_s).i64(m.dirt()).op(Op::i64_add).op(Op::i32_wrap_i64); }},
    {"extend_u shl 32 shr 32 wrap",
     [](M& m) {
       m.c.op(Op::i64_extend_i32_u).i64(32).op(Op::i64_shl).i64(32);
       m.c.op(m.r.one_in(2) ? Op::i64_shr_u : Op::i64_shr_s).op(Op::i32_wrap_i64);
     }},
    {"extend_u extend32_s wrap",
     [](M& m) { m.c.op(Op::i64_extend_i32_u).op(Op::i64_extend32_s).op(Op::i32_wrap_i64); }},
    {"extend_u and 0xffffffff wrap",
     [](M& m) { m.c.op(Op::i64_extend_i32_u).i64(0xffffffff).op(Op::i64_and).op(Op::i32_wrap_i64); }},
    {"select of same", [](M& m) { m.c.tee(M::x32).get(M::x32).get(M::c32).op(Op::select); }},
    {"select by itself", [](M& m) { m.c.tee(M::x32).i32(5).get(M::x32).op(Op::select); }},
    {"minimum",
     [](M& m) { m.c.tee(M::x32).i32(m.edge()).tee(M::y32).get(M::x32).get(M::y32).op(Op::i32_lt_s).op(Op::select); }},
    {"maximum",
     [](M& m) { m.c.tee(M::x32).i32(m.edge()).tee(M::y32).get(M::x32).get(M::y32).op(Op::i32_gt_u).op(Op::select); }},
    {"local", [](M& m) { m.c.set(M::x32).get(M::x32); }},
    {"tee", [](M& m) { m.c.tee(M::x32).drop().get(M::x32); }},
    {"global", [](M& m) { m.c.global_set(M::kGlobal32).global_get(M::kGlobal32); }},
    {"memory",
     [](M& m) { m.c.set(M::x32).i32(1000).get(M::x32).access(Op::i32_store, 0).i32(1000).access(Op::i32_load, 0); }},
    {"call", [](M& m) { m.c.call(m.same32); }},
    {"block", [](M& m) { m.c.block(BlockType::of(m.through)).end(); }},
    {"branch out", [](M& m) { m.c.block(BlockType::of(m.through)).get(M::c32).br_if(0).end(); }},
    {"if",
     [](M& m) { m.c.set(M::x32).get(M::c32).if_(i32).get(M::x32).else_().get(M::x32).i32(0).op(Op::i32_add).end(); }},
    {"loop", [](M& m) { m.c.loop(BlockType::of(m.through)).end(); }},
    {"reinterpret", [](M& m) { m.c.op(Op::f32_reinterpret_i32).op(Op::i32_reinterpret_f32); }},
    {"lane", [](M& m) { m.c.op(Op::i32x4_splat).op(Op::i32x4_extract_lane).byte(m.r.below(4)); }},
    {"eqz eqz", [](M& m) { m.c.op(Op::i32_eqz).op(Op::i32_eqz); }},
};

constexpr size_t kSmall = 7;  // the source that is an address in the first page, with dirt above it
constexpr size_t kFunctions = 12;

}  // namespace

uint32_t Maker::edge() {
  static const std::vector<uint32_t> kEdges = {
      1,      2,      3,          4,          7,          8,          31,      32,  127,
      128,    255,    256,        0x7fff,     0x8000,     0xffff,     0x10000, 100, 0xfff8,
      0xffff, 0xfff0, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, ~1u,     ~7u, 0xffff0000};
  return r.one_in(4) ? static_cast<uint32_t>(r.bits()) : r.of(kEdges);
}
uint64_t Maker::edge64() {
  const uint64_t low = edge();
  switch (r.below(4)) {
    case 0: return low;
    case 1: return static_cast<uint64_t>(static_cast<int32_t>(low));
    case 2: return low | dirt();
    default: return r.bits();
  }
}
uint64_t Maker::dirt() {
  const uint64_t high = r.one_in(2) ? 1 + r.below(16) : r.one_in(2) ? 1u << r.below(32) : r.bits() & 0xffffffff;
  return (high == 0 ? 1 : high) << 32;
}
uint64_t Maker::small_mask() { return 0xffffffff00000000u | (r.one_in(2) ? 0xfff8 : 0x7ff8) | (r.one_in(4) ? 7 : 0); }

Maker::Maker(uint64_t number, Tally& tally) : r(number * 0x9e3779b97f4a7c15 + 2), tally(tally) {
  host = w.import({{i32}, {i64}});
  memory64 = r.one_in(3);
  w.memory({.pages = 1, .max = 2});
  if (memory64) w.memory({.is64 = true, .pages = 1, .max = 2});
  w.table({funcref, 16, 20});
  w.table({externref, 8, 12});
  w.global(i32);
  w.global(i64);
  tag = w.tag({i32});
  Bytes bytes(256);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(r.bits());
  w.initial(0, bytes);
  bytes.resize(64);
  w.data(bytes);
  through = w.type({{i32}, {i32}});
  const auto inner = [&](const Signature& signature, auto code) {
    const uint32_t f = w.func(signature);
    w.define(f, code(Code()).end());
    return f;
  };
  same32 = inner({{i32}, {i32}}, [](Code k) { return k.get(0); });
  same64 = inner({{i64}, {i64}}, [](Code k) { return k.get(0); });
  widen_u = inner({{i32}, {i64}}, [](Code k) { return k.get(0).op(Op::i64_extend_i32_u); });
  widen_s = inner({{i32}, {i64}}, [](Code k) { return k.get(0).op(Op::i64_extend_i32_s); });
  const uint32_t other =
      inner({{i32}, {i64}}, [](Code k) { return k.get(0).op(Op::i64_extend_i32_u).i64(3).op(Op::i64_mul); });
  w.passive({widen_u, widen_s, other, same32, widen_u, widen_s, other, same64});
  w.elements(0, {widen_u, widen_s, other, widen_u, other, widen_s, widen_u, other, same32, same64});
}

void Maker::operand(size_t use, size_t step) {
  const Use& chosen = all_uses()[use];
  const Step& first = kSteps[step];
  // An address should mostly lie in the memory.
  const Step& source = chosen.address && r.one_in(2) ? kSources[kSmall] : kSources[r.below(std::size(kSources))];
  tally.hit("identities: source " + std::string(source.name));
  tally.hit("identities: step " + std::string(first.name));
  tally.hit("identities: use " + chosen.name);
  chosen.before(*this);
  source.emit(*this);
  first.emit(*this);
  for (uint32_t i = r.one_in(3) ? r.below(4) : 0; i > 0; --i) kSteps[r.below(std::size(kSteps))].emit(*this);
  chosen.after(*this);
}

void Maker::function(size_t step, size_t use, const std::string& name) {
  c = {};
  operand(use, step);
  if (r.one_in(3)) {  // another one while the result of the first is there
    size_t other = 0;
    do {
      other = r.below(static_cast<uint32_t>(all_uses().size()));
    } while (all_uses()[other].alone);
    operand(other, r.below(std::size(kSteps)));
    c.op(r.one_in(2) ? Op::i64_add : Op::i64_xor);
  }
  const uint32_t f = w.func({{i64, i64, i32}, {i64}}, name);
  w.define(f, c.end(), locals());
}

Bytes make_identities(uint64_t number, Tally& tally) {
  Maker maker(number, tally);
  const size_t steps = std::size(kSteps), uses = all_uses().size();
  for (size_t i = 0; i < kFunctions; ++i) {
    // All pairs, in an order in which neighbours differ in both.
    const size_t pair = (number * kFunctions + i) % (steps * uses);
    maker.function((pair + pair / steps) % steps, pair % uses, "f" + std::to_string(i));
  }
  return maker.w.build();
}

void expect_identities(Tally& tally) {
  for (const Step& source : kSources) tally.expect("identities: source " + std::string(source.name));
  for (const Step& step : kSteps) tally.expect("identities: step " + std::string(step.name));
  for (const Use& use : all_uses()) tally.expect("identities: use " + use.name);
}

}  // namespace vmrun::test::generate
