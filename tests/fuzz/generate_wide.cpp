// Many values at once: functions of up to hundreds of parameters and results of all types, called in every way, and
// blocks, loops and branches that take as many along.
#include "generate_aimed.h"
#include "generate_values.h"
#include "generate_writer.h"

namespace vmrun::test::generate {
namespace {

constexpr ValueLocals kLocals = {.narrow = 0, .wide = 1, .sum = 2, .vector = 3};
constexpr const char* kWays[] = {"call",   "call_indirect", "call_ref", "return_call", "return_call_indirect",
                                 "block",  "branch",        "br_table", "if",          "loop",
                                 "caught", "call in a try"};
constexpr uint32_t kCounts[] = {0, 1, 2, 5, 6, 7, 8, 9, 14, 15, 16, 17, 18, 30, 33, 64, 100, 127, 129, 200, 255, 257};

class Wide {
 public:
  Wide(uint64_t number, Tally& tally) : r_(number * 0x9e3779b97f4a7c15 + 5), tally_(tally) {}

  Bytes make(uint64_t number) {
    w_.memory({.pages = 1, .max = 1});
    w_.table({funcref, 4, 4});
    Bytes bytes(512);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(r_.bits());
    w_.initial(0, bytes);
    std::vector<uint32_t> callees;
    size_t pairs[3];
    for (size_t i = 0; i < 3; ++i) {
      pairs[i] = (number * 3 + i) % (std::size(kWays) * std::size(kCounts));
      const uint32_t count = kCounts[pairs[i] % std::size(kCounts)];
      tally_.hit("wide: " + std::to_string(count) + " values");
      // As many parameters, or as many results; the other side is small where there are hundreds.
      const uint32_t other = count > 64 ? r_.below(12) : kCounts[r_.below(15)];
      const bool results = r_.one_in(2);
      callees.push_back(callee(types(results ? other : count), types(results ? count : other)));
    }
    w_.elements(0, {callees[0], callees[1], callees[2], callees[0]});
    for (size_t i = 0; i < 3; ++i) {
      const size_t way = (pairs[i] + pairs[i] / std::size(kCounts)) % std::size(kWays);
      caller(callees[i], static_cast<uint32_t>(i), way, "f" + std::to_string(i));
    }
    return w_.build();
  }

 private:
  Types types(uint32_t count) {
    static const Types kMixed = {i32, i32, i64, i64, f32, f64, v128, externref};
    const Type one = r_.of(kMixed);
    const bool same = r_.one_in(4);
    Types out;
    for (uint32_t i = 0; i < count; ++i) out.push_back(same ? one : r_.of(kMixed));
    return out;
  }

  /// A function whose results are made of its parameters, in another order.
  uint32_t callee(const Types& params, const Types& results) {
    const uint32_t f = w_.func({params, results});
    const auto own = static_cast<uint32_t>(params.size());
    const ValueLocals locals = {.narrow = own, .wide = own + 1, .sum = own + 2, .vector = own + 3};
    Code c;
    // All parameters go into the sum, some of it into each result.
    for (uint32_t i = 0; i < own; ++i) {
      if (own > 40 && r_.one_in(2)) continue;
      c.get(i), add_to_sum(c, params[i], locals);
    }
    c.get(locals.sum).set(locals.wide).get(locals.sum).op(Op::i32_wrap_i64).set(locals.narrow);
    for (Type type : results) {
      std::vector<uint32_t> same;
      for (uint32_t i = 0; i < own; ++i) {
        if (params[i] == type) same.push_back(i);
      }
      if (!same.empty() && r_.one_in(2)) {
        c.get(r_.of(same));
      } else {
        push_value(c, r_, type, locals);
      }
    }
    if (r_.one_in(3)) c.op(Op::return_);
    w_.define(f, c.end(), {i32, i64, i64, v128});
    return f;
  }

  void caller(uint32_t callee, uint32_t element, size_t way, const std::string& name) {
    tally_.hit(std::string("wide: ") + kWays[way]);
    const Signature signature = w_.signature_of(callee);
    uint32_t target = callee;
    if (way == 3 || way == 4) {  // through a function that makes a tail call
      target = w_.func(signature);
      Code c;
      for (uint32_t i = 0; i < signature.params.size(); ++i) c.get(i);
      if (way == 3) c.op(Op::return_call).u(callee);
      if (way == 4) c.i32(element).op(Op::return_call_indirect).u(w_.type_of(callee)).u(0);
      w_.define(target, c.end());
    }
    const uint32_t through = w_.type({signature.results, signature.results});
    const uint32_t tag = way == 10 ? w_.tag(signature.results) : 0;
    const uint32_t given = w_.type({{}, signature.results});
    Code c;
    const auto take = [&] {
      for (size_t i = signature.results.size(); i-- > 0;) add_to_sum(c, signature.results[i], kLocals);
    };
    const auto call = [&] {
      for (Type type : signature.params) push_value(c, r_, type, kLocals);
      if (way == 1) {
        c.i32(element).call_indirect(w_.type_of(callee), 0);
      } else if (way == 2) {
        c.op(Op::ref_func).u(callee).op(Op::call_ref).u(w_.type_of(callee));
      } else {
        c.call(target);
      }
    };
    if (way == 10) c.block(BlockType::of(given)).op(Op::try_table).s(given).u(1).byte(0).u(tag).u(0);
    if (way == 11) c.op(Op::try_table).s(given).u(0);
    call();
    switch (way) {
      case 5: c.block(BlockType::of(through)).end(); break;
      case 6: c.block(BlockType::of(through)).get(kLocals.narrow).br_if(0).get(kLocals.narrow).br_if(0).end(); break;
      case 7:
        c.block(BlockType::of(through))
            .block(BlockType::of(through))
            .get(kLocals.narrow)
            .op(Op::br_table)
            .u(2)
            .u(0)
            .u(1)
            .u(0)
            .end()
            .end();
        break;
      case 8:
        c.get(kLocals.narrow).if_(BlockType::of(through));
        if (r_.one_in(2)) c.else_();
        c.end();
        break;
      case 9:  // around three times, by a count in a local that counts down
        c.i32(3).set(4).loop(BlockType::of(through)).get(4).i32(1).op(Op::i32_sub).tee(4).br_if(0).end();
        break;
      case 10: c.op(Op::throw_).u(tag).end().end(); break;
      case 11: c.end(); break;
      default: break;
    }
    take();
    c.get(kLocals.sum).end();
    const uint32_t f = w_.func({{i32, i64}, {i64}}, name);
    w_.define(f, std::move(c), {i64, v128, i32});
  }

  Random r_;
  Tally& tally_;
  ModuleWriter w_;
};

}  // namespace

Bytes make_wide(uint64_t number, Tally& tally) { return Wide(number, tally).make(number); }

void expect_wide(Tally& tally) {
  for (const char* way : kWays) tally.expect(std::string("wide: ") + way);
  for (uint32_t count : kCounts) tally.expect("wide: " + std::to_string(count) + " values");
}

}  // namespace vmrun::test::generate
