// What can be seen after a trap, and of a NaN.
//
// Effects: stores to globals, a table and memories of each kind, in front of accesses that may trap, behind them and
// between them, often to the same place; alike accesses on both sides of a branch, whose places in the image must not
// be mixed up; loops of both. Every function first adds up what the one before has left behind.
//
// NaNs: arithmetic on what may be a signalling NaN and a factor or summand that changes no number, which the function
// comes by in some way that an optimiser sees through sooner or later. Whether the result is quiet can be compared.
#include <array>
#include <string>

#include "generate_aimed.h"
#include "generate_writer.h"

namespace vmrun::test::generate {

namespace {

constexpr const char* kStatements[] = {"global", "table", "memory", "access", "branch", "loop"};

enum Neutral : uint8_t { one, minus_one, zero, minus_zero };
struct Arithmetic {
  const char* name;
  Op narrow, wide, lanes;
  Neutral neutral;
  bool first;  // it is the first operand
};
constexpr Arithmetic kArithmetic[] = {
    {"x * 1", Op::f32_mul, Op::f64_mul, Op::f32x4_mul, one, false},
    {"1 * x", Op::f32_mul, Op::f64_mul, Op::f32x4_mul, one, true},
    {"x * -1", Op::f32_mul, Op::f64_mul, Op::f32x4_mul, minus_one, false},
    {"x / 1", Op::f32_div, Op::f64_div, Op::f32x4_div, one, false},
    {"x / -1", Op::f32_div, Op::f64_div, Op::f32x4_div, minus_one, false},
    {"x + -0", Op::f32_add, Op::f64_add, Op::f32x4_add, minus_zero, false},
    {"-0 + x", Op::f32_add, Op::f64_add, Op::f32x4_add, minus_zero, true},
    {"x - 0", Op::f32_sub, Op::f64_sub, Op::f32x4_sub, zero, false},
    {"-0 - x", Op::f32_sub, Op::f64_sub, Op::f32x4_sub, minus_zero, true},
};
constexpr const char* kWays[] = {"local", "zero", "if", "select", "block", "turn", "integer", "global", "memory"};

class Effects {
 public:
  Effects(uint64_t number, Tally& tally) : r_(number), tally_(tally) {}

  Bytes make(uint64_t number) {
    w_.memory({false, false, 1, 2});
    // One that is guarded too, one that is checked, or none, for engines that know one only.
    wide_ = number % 3 == 0;
    second_ = number % 3 == 2 ? 0 : 1;
    if (second_ != 0) w_.memory({wide_, false, 1, 2});
    w_.table({funcref, 4, 8, false});
    for (Type type : {i32, i64, f32, f64}) w_.global(type);
    const uint32_t some = w_.func({{}, {}}, "some");
    w_.define(some, Code().end());
    w_.elements(0, {some});
    for (int i = 0; i < 4; ++i) effects("effects" + std::to_string(i));
    for (uint64_t i = 0; i < 4; ++i) nan(kArithmetic[(number * 4 + i) % std::size(kArithmetic)], i);
    return w_.build();
  }

 private:
  // Parameters [i32 i32 i64], and locals.
  static constexpr uint32_t p = 0, q = 1, bits = 2, sum = 3, n = 4, xf = 5, xd = 6, xv = 7, kf = 8, kd = 9, kv = 10;
  static Types locals() { return {i64, i32, f32, f64, v128, f32, f64, v128}; }

  void add(Type type) {
    if (type == i32) c_.op(Op::i64_extend_i32_u);
    c_.get(sum).i64(3).op(Op::i64_mul).op(Op::i64_add).set(sum);
  }

  void effects(const std::string& name) {
    c_ = {};
    c_.global_get(0);
    add(i32);
    c_.global_get(1);
    add(i64);
    second_address();
    c_.access(Op::i32_load, 0, second_);
    add(i32);
    c_.i32(1).op(Op::table_get).u(0).op(Op::ref_is_null);
    add(i32);
    for (uint32_t i = 0, count = 3 + r_.below(6); i < count; ++i) statement(r_.below(std::size(kStatements)), 0);
    w_.define(w_.func({{i32, i32, i64}, {i64}}, name), std::move(c_.get(sum).end()), locals());
  }

  void second_address() { wide_ ? c_.i64(16) : c_.i32(16); }

  void statement(uint32_t which, unsigned depth) {
    tally_.hit(std::string("effects: ") + kStatements[which]);
    switch (which) {
      case 0: r_.one_in(2) ? c_.i32(++count_).global_set(0) : c_.i64(++count_).global_set(1); return;
      case 1:
        c_.i32(1);
        r_.one_in(2) ? c_.op(Op::ref_null).byte(funcref) : c_.i32(0).op(Op::table_get).u(0);
        c_.op(Op::table_set).u(0);
        return;
      case 2:
        second_address();
        c_.i32(++count_).access(Op::i32_store, 0, second_);
        return;
      case 3: return access(r_.below(kAccesses));
      case 4: {
        const uint32_t alike = r_.below(kAccesses);
        c_.get(q).i32(1u << r_.below(3)).op(Op::i32_and).if_();
        for (int side = 0; side < 2; ++side) {
          if (side == 1) c_.else_();
          if (r_.one_in(3)) statement(r_.below(3), 1);
          access(alike);
          if (r_.one_in(3)) statement(r_.below(3), 1);
        }
        c_.end();
        return;
      }
      default:
        if (depth > 0) return;
        c_.i32(1 + r_.below(40)).set(n).loop();
        for (uint32_t i = 0, count = 1 + r_.below(3); i < count; ++i) statement(r_.below(5), 1);
        if (r_.one_in(2)) c_.global_get(0).i32(1).op(Op::i32_add).global_set(0);
        c_.get(p).i32(r_.of<uint32_t>({1, 4, 8, 4096})).op(Op::i32_add).set(p);
        c_.get(n).i32(1).op(Op::i32_sub).tee(n).br_if(0).end();
    }
  }

  static constexpr uint32_t kAccesses = 6;
  void access(uint32_t which) {
    const uint32_t offset = r_.one_in(2) ? 0 : r_.below(4) * 16384;
    c_.get(p);
    switch (which) {
      case 0: c_.access(Op::i32_load, offset), add(i32); break;
      case 1: c_.access(Op::i32_load8_u, offset), add(i32); break;
      case 2: c_.access(Op::i64_load, offset), add(i64); break;
      case 3: c_.access(Op::f64_load, offset).op(Op::i64_reinterpret_f64), add(i64); break;
      case 4: c_.i32(++count_).access(Op::i32_store, offset); break;
      default: c_.get(sum).access(Op::i64_store, offset); break;
    }
  }

  // --- NaNs ---

  static uint32_t narrow_bits(Neutral neutral) {
    static constexpr uint32_t kBits[] = {0x3f800000, 0xbf800000, 0, 0x80000000};
    return kBits[neutral];
  }
  static uint64_t wide_bits(Neutral neutral) {
    static constexpr uint64_t kBits[] = {0x3ff0000000000000, 0xbff0000000000000, 0, 0x8000000000000000};
    return kBits[neutral];
  }
  void neutral(Type t, Neutral which) {
    if (t == f32) c_.f32_bits(narrow_bits(which));
    if (t == f64) c_.f64_bits(wide_bits(which));
    if (t == v128) {
      const uint64_t two = narrow_bits(which) | uint64_t{narrow_bits(which)} << 32;
      c_.v128(two, r_.one_in(2) ? two : 0x4000000040000000);
    }
  }

  /// Gets the neutral operand into its local.
  void come_by(Type t, Neutral which) {
    const uint32_t k = t == f32 ? kf : t == f64 ? kd : kv;
    const uint32_t way = r_.below(std::size(kWays));
    tally_.hit(std::string("nans: by ") + kWays[way]);
    switch (way) {
      case 1:
        if (which == zero) return;
        break;
      case 2: c_.get(q).if_(t), neutral(t, which), c_.else_(), neutral(t, which), c_.end().set(k); return;
      case 3:
        if (t == v128) break;
        neutral(t, which), neutral(t, which), c_.get(q).op(Op::select).set(k);
        return;
      case 4: c_.block(t), neutral(t, which), c_.get(q).br_if(0).end().set(k); return;
      case 5:  // of a loop that goes round once
        c_.i32(1).set(n).loop(), neutral(t, which), c_.set(k);
        c_.get(n).i32(1).op(Op::i32_sub).tee(n).br_if(0).end();
        return;
      case 6:
        if (t == f32) c_.i32(narrow_bits(which)).set(n).get(n).op(Op::f32_reinterpret_i32).set(k);
        if (t == f64) c_.i64(wide_bits(which)).op(Op::f64_reinterpret_i64).set(k);
        if (t == v128) break;
        return;
      case 7:
        if (t == v128) break;
        neutral(t, which), c_.global_set(t == f32 ? 2 : 3).global_get(t == f32 ? 2 : 3).set(k);
        return;
      case 8:
        if (t == v128) break;
        second_address(), neutral(t, which), c_.access(t == f32 ? Op::f32_store : Op::f64_store, 64, second_);
        second_address(), c_.access(t == f32 ? Op::f32_load : Op::f64_load, 64, second_).set(k);
        return;
      default: break;
    }
    neutral(t, which), c_.set(k);
  }

  void nan(const Arithmetic& what, uint64_t index) {
    c_ = {};
    const Type t = std::array{f32, f64, v128, f32}[index];
    tally_.hit(std::string("nans: ") + what.name);
    // Mostly a signalling NaN, of any bits.
    const uint32_t x = t == f32 ? xf : t == f64 ? xd : xv, k = t == f32 ? kf : t == f64 ? kd : kv;
    if (t == f64) {
      c_.get(bits).i64(0x8007ffffffffffff).op(Op::i64_and).i64(0x7ff0000000000001).op(Op::i64_or).get(bits);
      c_.get(q).i32(3).op(Op::i32_and).op(Op::select).op(Op::f64_reinterpret_i64);
    } else {
      c_.get(p).i32(0x803fffff).op(Op::i32_and).i32(0x7f800001).op(Op::i32_or).get(p);
      c_.get(q).i32(3).op(Op::i32_and).op(Op::select).op(t == f32 ? Op::f32_reinterpret_i32 : Op::i32x4_splat);
    }
    c_.set(x);
    come_by(t, what.neutral);
    const bool undo = t == f32 && index == 3;  // a promotion instead
    if (undo) {
      tally_.hit("nans: demoted");
      c_.get(x).op(Op::f64_promote_f32).set(xd).get(xd);
      if (r_.one_in(3)) c_.op(Op::f64_neg);
      c_.op(Op::f32_demote_f64);
    } else {
      c_.get(what.first ? k : x).get(what.first ? x : k);
      c_.op(t == f32 ? what.narrow : t == f64 ? what.wide : what.lanes);
    }
    c_.set(x);
    // The bits, or of a NaN those that say that it is quiet.
    if (t == f32) {
      c_.get(x).op(Op::i32_reinterpret_f32).i32(0x7fc00000).i32(~0u).get(x).get(x).op(Op::f32_ne).op(Op::select);
      c_.op(Op::i32_and).op(Op::i64_extend_i32_u);
    } else if (t == f64) {
      c_.get(x).op(Op::i64_reinterpret_f64).i64(0x7ff8000000000000).i64(~uint64_t{0}).get(x).get(x);
      c_.op(Op::f64_ne).op(Op::select).op(Op::i64_and);
    } else {
      c_.get(x).v128(0x7fc000007fc00000, 0x7fc000007fc00000).v128(~uint64_t{0}, ~uint64_t{0}).get(x).get(x);
      c_.op(Op::f32x4_ne).op(Op::v128_bitselect).op(Op::v128_and).tee(xv);
      c_.op(Op::i64x2_extract_lane).byte(0).get(xv).op(Op::i64x2_extract_lane).byte(1).op(Op::i64_xor);
    }
    w_.define(w_.func({{i32, i32, i64}, {i64}}, "nan" + std::to_string(index)), std::move(c_.end()), locals());
  }

  Random r_;
  Tally& tally_;
  ModuleWriter w_;
  Code c_;
  bool wide_ = false;
  uint32_t second_ = 1;  // the memory that is read back
  uint32_t count_ = 100;
};

}  // namespace

Bytes make_effects(uint64_t number, Tally& tally) { return Effects(number, tally).make(number); }

void expect_effects(Tally& tally) {
  for (const char* name : kStatements) tally.expect(std::string("effects: ") + name);
  for (const Arithmetic& what : kArithmetic) tally.expect(std::string("nans: ") + what.name);
  for (const char* name : kWays) tally.expect(std::string("nans: by ") + name);
  tally.expect("nans: demoted");
}

}  // namespace vmrun::test::generate
