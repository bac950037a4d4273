// Chains of small functions, such as compilers inline: each calls those before it, directly, by a table or by a
// reference, alone, in a loop or in a try, and does a few things around the calls that a caller must see or that end the
// call: stores to globals, tables and memories, growth, traps at many places, exceptions, recursion, tail calls, calls
// of the host. What is left behind, each result, each trap and each backtrace can be compared.
//
// All ends: calls use up fuel.
#include <string>

#include "generate_aimed.h"
#include "generate_writer.h"

namespace vmrun::test::generate {
namespace {

constexpr const char* kDeeds[] = {"access",     "division",  "unreachable",  "growth",      "global",
                                  "table",      "host",      "exception",    "direct call", "indirect call",
                                  "reference",  "loop",      "try_table",    "older try",   "recursion",
                                  "early exit", "tail call", "second memory"};
enum Deed : uint32_t {
  access,
  division,
  unreachable,
  growth,
  global,
  table,
  host,
  exception,
  direct,
  indirect,
  reference,
  loop,
  try_table,
  older_try,
  recursion,
  early_exit,
  tail_call,
  second_memory
};

class Inlined {
 public:
  Inlined(uint64_t number, Tally& tally) : r_(number * 0x9e3779b97f4a7c15 + 11), tally_(tally) {}

  Bytes make(uint64_t number) {
    host_ = w_.import({{i32}, {i32}});
    w_.memory({false, false, 1, 3});
    w_.memory({number % 2 == 0, false, 1, 3});
    wide_ = number % 2 == 0;
    w_.table({funcref, 8, 8, number % 5 == 0});
    table64_ = number % 5 == 0;
    fuel_ = w_.global(i32);
    w_.global(i32);
    w_.global(i64);
    w_.global(v128);
    tags_ = {w_.tag({i32}), w_.tag({i64, i32})};
    shapes_ = {{{i32, i32}, {i32}}, {{i32, i32}, {i32, i64, f64}}, {{i32, i32, v128}, {v128}}};
    const uint32_t inner = 4 + r_.below(5);
    for (uint32_t i = 0; i < inner; ++i) {
      const uint32_t shape = r_.one_in(2) ? 0 : r_.below(3);
      funcs_.push_back({w_.func(shapes_[shape]), shape});
      body(i);
    }
    for (int i = 0; i < 3; ++i) entry("f" + std::to_string(i));
    // Few functions of a type, or all; some places stay empty.
    std::vector<uint32_t> elements;
    const uint32_t count = 1 + r_.below(7);
    for (uint32_t i = 0; i < count; ++i) elements.push_back(r_.of(funcs_).index);
    w_.elements(0, elements);
    return w_.build();
  }

 private:
  struct Small {
    uint32_t index, shape;
  };

  /// An inner function: some deeds, one of which is a call if there is somebody to call.
  void body(uint32_t number) {
    begin(funcs_[number].shape);
    callees_ = number;
    self_ = funcs_[number].index;
    if (number != 0) burn();
    for (uint32_t i = 0, count = 1 + r_.below(4); i < count; ++i) deed(r_.below(std::size(kDeeds)), 0);
    if (number != 0 && r_.one_in(2)) deed(direct + r_.below(2), 0);
    result();
    w_.define(self_, std::move(c_.end()), locals());
  }

  /// What is exported: it gives fuel and calls the others in turn.
  void entry(const std::string& name) {
    begin(0);
    callees_ = static_cast<uint32_t>(funcs_.size());
    self_ = 0;
    c_.i32(400).global_set(fuel_);
    c_.get(sum_).global_get(2).op(Op::i64_add).set(sum_);
    for (uint32_t i = 0, count = 2 + r_.below(4); i < count; ++i) deed(r_.below(std::size(kDeeds)), 0);
    deed(direct, 0), deed(indirect, 0);
    result();
    w_.define(w_.func(shapes_[0], name), std::move(c_.end()), locals());
  }

  void begin(uint32_t shape) {
    c_ = {};
    shape_ = shape;
    const auto params = static_cast<uint32_t>(shapes_[shape].params.size());
    sum_ = params, n_ = params + 1, low_ = params + 2, high_ = params + 3, real_ = params + 4, vector_ = params + 5;
  }
  static Types locals() { return {i64, i32, i32, i64, f64, v128}; }

  void result() {
    if (shape_ == 2) {
      c_.get(2).get(sum_).op(Op::i64x2_splat).op(Op::i64x2_add).get(vector_).op(Op::v128_xor);
      return;
    }
    c_.get(sum_).op(Op::i32_wrap_i64).get(low_).op(Op::i32_xor);
    if (shape_ == 1) c_.get(sum_).get(real_);
  }

  void add_narrow() { c_.op(Op::i64_extend_i32_u).get(sum_).i64(5).op(Op::i64_mul).op(Op::i64_add).set(sum_); }
  void add_wide() { c_.get(sum_).i64(3).op(Op::i64_mul).op(Op::i64_add).set(sum_); }

  /// True for some of what a function is called with.
  void sometimes() { c_.get(r_.below(2)).i32(7u << r_.below(3)).op(Op::i32_and).i32(r_.below(4)).op(Op::i32_eq); }
  void rarely() { c_.get(r_.below(2)).i32(31).op(Op::i32_and).i32(r_.below(32)).op(Op::i32_eq); }
  void some() {
    switch (r_.below(4)) {
      case 0: c_.get(0); break;
      case 1: c_.get(1).i32(r_.below(8)).op(Op::i32_add); break;
      case 2: c_.i32(r_.below(70000)); break;
      default: c_.get(low_).get(0).op(Op::i32_xor); break;
    }
  }
  void arguments(uint32_t shape) {
    some(), some();
    if (shape == 2) shape_ == 2 && r_.one_in(2) ? c_.get(2) : c_.get(low_).op(Op::i32x4_splat);
  }
  /// Takes the results of a call.
  void keep(uint32_t shape) {
    if (shape == 0) c_.set(low_).get(low_), add_narrow();
    if (shape == 1) c_.set(real_).set(high_).set(low_).get(high_), add_wide(), c_.get(low_), add_narrow();
    if (shape == 2) c_.tee(vector_).op(Op::i64x2_extract_lane).byte(1), add_wide();
  }
  void table_index(uint32_t i) { table64_ ? c_.i64(i) : c_.i32(i); }

  void deed(uint32_t which, unsigned depth) {
    if ((which == loop || which == try_table || which == older_try) && depth > 1) which = global;
    if (callees_ == 0 && (which == direct || which == indirect || which == reference || which == tail_call)) {
      which = access;
    }
    if (self_ == 0 && which == recursion) which = growth;
    tally_.hit(std::string("inlined: ") + kDeeds[which]);
    switch (which) {
      case access: {
        const uint32_t at = r_.below(4) * 16384;
        if (r_.one_in(2)) {
          some(), c_.access(Op::i32_load, at), add_narrow();
        } else {
          some(), some(), c_.access(Op::i32_store, at);
        }
        return;
      }
      case second_memory:
        some();
        if (wide_) c_.op(Op::i64_extend_i32_u);
        c_.get(sum_).access(Op::i64_store, r_.below(2) * 32768, 1);
        return;
      case division:
        c_.get(0), c_.get(1).i32(15).op(Op::i32_and).op(r_.one_in(2) ? Op::i32_div_s : Op::i32_rem_u), add_narrow();
        return;
      case unreachable: rarely(), c_.if_(), c_.op(Op::unreachable).end(); return;
      case growth: {
        const uint32_t memory = r_.below(2);
        const bool is64 = memory == 1 && wide_;
        is64 ? c_.i64(r_.below(2)) : c_.i32(r_.below(2));
        c_.op(Op::memory_grow).u(memory);
        is64 ? add_wide() : add_narrow();
        c_.op(Op::memory_size).u(memory);
        is64 ? add_wide() : add_narrow();
        return;
      }
      case global:
        c_.global_get(1), add_narrow();
        c_.global_get(1).get(low_).op(Op::i32_add).i32(1).op(Op::i32_add).global_set(1);
        if (r_.one_in(2)) c_.get(sum_).global_set(2);
        if (r_.one_in(4)) c_.get(vector_).global_get(3).op(Op::v128_xor).global_set(3);
        return;
      case table: {
        table_index(r_.below(9));
        if (r_.one_in(3) || funcs_.empty()) {
          c_.op(Op::ref_null).byte(funcref);
        } else {
          c_.op(Op::ref_func).u(r_.of(funcs_).index);
        }
        c_.op(Op::table_set).u(0);
        return;
      }
      case host: some(), c_.call(host_), add_narrow(); return;
      case exception: {
        sometimes(), c_.if_();
        const bool first = r_.one_in(2);
        first ? c_.get(0) : c_.get(sum_).get(1);
        c_.op(Op::throw_).u(tags_[first ? 0 : 1]).end();
        return;
      }
      case direct: {
        const Small& callee = funcs_[r_.below(callees_)];
        arguments(callee.shape), c_.call(callee.index), keep(callee.shape);
        return;
      }
      case indirect: {
        const uint32_t shape = r_.below(3);
        arguments(shape);
        if (r_.one_in(2)) {
          table_index(r_.below(9));
        } else {
          c_.get(1).i32(7).op(Op::i32_and);
          if (table64_) c_.op(Op::i64_extend_i32_u);
        }
        c_.call_indirect(w_.type(shapes_[shape]), 0), keep(shape);
        return;
      }
      case reference: {
        const Small& callee = funcs_[r_.below(callees_)];
        arguments(callee.shape);
        c_.op(Op::ref_func).u(callee.index).op(Op::call_ref).u(w_.type(shapes_[callee.shape]));
        keep(callee.shape);
        return;
      }
      case loop:
        c_.i32(2 + r_.below(6)).set(n_).loop();
        deed(r_.below(std::size(kDeeds) - 1), 2);
        if (r_.one_in(2)) deed(direct, 2);
        c_.get(n_).i32(1).op(Op::i32_sub).tee(n_).i32(0).op(Op::i32_gt_s).br_if(0).end();
        return;
      case try_table: {
        const bool first = r_.one_in(2), all = r_.one_in(3);
        const Types caught = all ? Types{} : first ? Types{i32} : Types{i64, i32};
        // block (caught) { try_table (to the block) { ... } br past } keep
        c_.block();
        c_.block(BlockType::of(w_.type({{}, caught})));
        c_.op(Op::try_table).s(-64).u(1).byte(all ? 2 : 0);
        if (!all) c_.u(tags_[first ? 0 : 1]);
        c_.u(0);
        deed(r_.one_in(3) ? exception : direct, depth + 1);
        if (r_.one_in(2)) deed(r_.below(std::size(kDeeds) - 2), depth + 1);
        c_.end().br(1).end();
        if (!all) add_narrow();
        if (!all && !first) add_wide();
        c_.end();
        return;
      }
      case older_try: {
        c_.op(Op::try_).s(-64);
        deed(r_.one_in(3) ? exception : direct, depth + 1);
        if (r_.one_in(2)) deed(r_.below(std::size(kDeeds) - 2), depth + 1);
        if (r_.one_in(4)) {
          c_.op(Op::delegate).u(0);
          return;
        }
        c_.op(Op::catch_).u(tags_[0]), add_narrow();
        if (r_.one_in(3)) sometimes(), c_.if_().op(Op::rethrow).u(1).end();
        if (r_.one_in(2)) c_.op(Op::catch_all);
        c_.end();
        return;
      }
      case recursion:
        c_.global_get(fuel_).i32(300).op(Op::i32_gt_s).if_();
        arguments(shape_), c_.call(self_), keep(shape_);
        c_.end();
        return;
      case early_exit:
        sometimes(), c_.if_();
        result();
        c_.op(Op::return_).end();
        return;
      default: {  // a tail call
        const Small& callee = funcs_[r_.below(callees_)];
        if (callee.shape != shape_) return;
        sometimes(), c_.if_();
        arguments(callee.shape);
        c_.op(Op::return_call).u(callee.index).end();
        return;
      }
    }
  }

  /// Uses fuel up. Without it, the call traps.
  void burn() {
    c_.global_get(fuel_).i32(1).op(Op::i32_sub).global_set(fuel_);
    c_.global_get(fuel_).op(Op::i32_eqz).if_().op(Op::unreachable).end();
  }

  Random r_;
  Tally& tally_;
  ModuleWriter w_;
  Code c_;
  bool wide_ = false, table64_ = false;
  uint32_t host_ = 0, fuel_ = 0;
  std::vector<uint32_t> tags_;
  std::vector<Signature> shapes_;
  std::vector<Small> funcs_;
  // Of the function that is being made:
  uint32_t shape_ = 0, callees_ = 0, self_ = 0;
  uint32_t sum_ = 0, n_ = 0, low_ = 0, high_ = 0, real_ = 0, vector_ = 0;  // locals
};

}  // namespace

Bytes make_inlined(uint64_t number, Tally& tally) { return Inlined(number, tally).make(number); }

void expect_inlined(Tally& tally) {
  for (const char* name : kDeeds) tally.expect(std::string("inlined: ") + name);
}

}  // namespace vmrun::test::generate
