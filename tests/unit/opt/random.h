// Random functions for comparing tiers: nested blocks, loops, ifs and tries of both kinds with operands of every type
// beneath them, calls that throw, and now and then a trap. Each ends: what it still may do is counted down in a local.
#pragma once

#include <random>
#include <vector>

#include "tests/support/module_builder.h"

namespace vmrun::test {

/// A module with function 0, which throws or not by its argument, and function 1 of type [i32] -> [i64], the random one.
class RandomModule {
 public:
  explicit RandomModule(uint64_t seed) : random_(seed) {
    using namespace spine;
    void_type_ = m_.type({}, {});
    const uint32_t thrower = m_.func("thrower", m_.type({i32}, {i32}));
    const uint32_t subject = m_.func("subject", m_.type({i32}, {i64}));
    tags_[0] = m_.tag(m_.type({i32, v128, f64}, {}));
    tags_[1] = m_.tag(void_type_);
    define_thrower(thrower);

    // Locals: 0 the argument, 1 what is left to do, 2 the sum; then those of each type.
    c_.i32_const(120 + pick(200)).set(1);
    c_.block();
    labels_ = {{{}, false, false}, {{}, false, false}};
    for (int i = 0; i < 4; ++i) statement(3);
    if (!looped_) loop(2);
    c_.end();
    for (uint32_t i = 3; i < 3 + kLocals.size(); ++i) c_.get(i), consume(kLocals[i - 3]);
    c_.get(2);
    Types locals = {i32, i64};
    locals.insert(locals.end(), kLocals.begin(), kLocals.end());
    m_.define(subject, c_, locals);
    image = m_.build();
  }
  spine::Bytes image;

 private:
  using Type = spine::Type;
  using Types = spine::Types;
  struct Label {
    Types types;  // what a branch to it takes
    bool loop, caught;
  };
  inline static const Types kLocals = {spine::i32,     spine::i32,       spine::i64,   spine::i64,
                                       spine::f32,     spine::f64,       spine::v128,  spine::v128,
                                       spine::funcref, spine::externref, spine::exnref};

  uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  Type any_type() { return kLocals[pick(static_cast<uint32_t>(kLocals.size()))]; }
  Types some_types(uint32_t most) {
    Types out(pick(most + 1));
    for (Type& t : out) t = any_type();
    return out;
  }
  uint32_t local(Type t) {
    for (;;) {
      const uint32_t i = pick(static_cast<uint32_t>(kLocals.size()));
      if (kLocals[i] == t) return 3 + i;
    }
  }

  void define_thrower(uint32_t index) {
    using namespace spine;
    Code t;
    // Argument 1 mod 4: throws with a payload, 2: without one, otherwise returns three times it.
    t.get(0).i32_const(3).op({0x71}).i32_const(1).i32_eq().op({0x04, 0x40});
    t.get(0).get(0).op({0xfd, 0x11}).get(0).op({0xb8}).throw_(tags_[0]).end();
    t.get(0).i32_const(3).op({0x71}).i32_const(2).i32_eq().op({0x04, 0x40}).throw_(tags_[1]).end();
    t.get(0).i32_const(3).op({0x6c});
    m_.define(index, t);
  }

  void vector_const() {
    c_.op({0xfd, 0x0c});
    for (int i = 0; i < 16; ++i) c_.op({static_cast<uint8_t>(random_())});
  }
  /// Pushes a value.
  void produce(Type t) {
    using namespace spine;
    if (pick(3) != 0) {
      c_.get(local(t));
    } else {
      switch (t) {
        case i32: c_.i32_const(static_cast<int32_t>(random_())); break;
        case i64: c_.i64_const(static_cast<int64_t>(random_())); break;
        case f32: c_.op({0x43, 0, 0, static_cast<uint8_t>(pick(128)), 0x42}); break;
        case f64: c_.f64_const(pick(1000)); break;
        case v128: vector_const(); break;
        case funcref: c_.op({0xd2, 0}); break;  // only what a table or an export names
        case externref: c_.op({0xd0, 0x6f}); break;
        case exnref: c_.op({0xd0, 0x69}); break;
      }
      return;
    }
    if (pick(2) != 0) return;
    switch (t) {
      case i32: c_.i32_const(static_cast<int32_t>(pick(100))).i32_add(); break;
      case i64: c_.get(2).op({0x85}); break;
      case f32: c_.op({0x43, 0, 0, 0x80, 0x3f}).op({0x92}); break;
      case f64: c_.f64_const(0.5).f64_add(); break;
      case v128: vector_const(), c_.i64x2_add(); break;
      default: break;
    }
  }
  void produce(const Types& types) {
    for (Type t : types) produce(t);
  }
  /// Pops a value into the sum.
  void consume(Type t) {
    using namespace spine;
    switch (t) {
      case i32: c_.i64_extend_i32_u(); break;
      case i64: break;
      case f32: c_.op({0xbc}).i64_extend_i32_u(); break;
      case f64: c_.op({0xbd}); break;
      case v128: c_.op({0xfd, 0x1d, static_cast<uint8_t>(pick(2))}); break;
      default: c_.op({0xd1}).i64_extend_i32_u(); break;
    }
    c_.get(2).i64_const(0x9e3779b1).op({0x7e}).i64_add().set(2);
  }
  void consume(const Types& types) {
    for (size_t i = types.size(); i-- > 0;) consume(types[i]);
  }
  void condition() {
    // A bit of the sum.
    c_.get(2).i64_const(static_cast<int64_t>(pick(40))).op({0x88}).i32_wrap_i64().i32_const(1).op({0x71});
  }

  void statements(int depth) {
    for (uint32_t i = 1 + pick(3); i > 0; --i) statement(depth);
  }
  void statement(int depth) {
    using namespace spine;
    if (depth > 0) {
      const Types beneath = some_types(2);
      produce(beneath);
      switch (pick(6)) {
        case 0: block(depth - 1); break;
        case 1: if_else(depth - 1); break;
        case 2: try_table(depth - 1); break;
        case 3: old_try(depth - 1); break;
        default: loop(depth - 1); break;
      }
      consume(beneath);
      return;
    }
    switch (pick(9)) {
      case 0: leave(); break;
      case 1:
        c_.get(2).i32_wrap_i64().call(0);
        consume(i32);
        break;
      case 2: {
        const Type t = any_type();
        produce(t);
        consume(t);
        break;
      }
      case 3:
        if (pick(8) == 0) {  // a division that may trap
          c_.get(2).get(2).i64_const(63).op({0x83}).op({0x7f}).set(2);
          break;
        }
        [[fallthrough]];
      default: {
        const Type t = any_type();
        produce(t);
        c_.set(local(t));
      }
    }
  }
  /// Perhaps branches out.
  void leave() {
    const uint32_t depth = pick(static_cast<uint32_t>(labels_.size() - 1));
    const Label& to = labels_[labels_.size() - 1 - depth];
    if (to.loop) count_down();
    const Types types = to.types;
    c_.block();
    produce(types);
    condition();
    c_.br_if(depth + 1);
    for (size_t i = 0; i < types.size(); ++i) c_.drop();
    c_.end();
  }
  /// Leaves the function's body when enough was done.
  void count_down() {
    c_.get(1).i32_const(1).i32_sub().tee(1).i32_eqz().br_if(static_cast<uint32_t>(labels_.size() - 2));
  }
  int64_t block_type(const Types& params, const Types& results) { return m_.type(params, results); }

  void block(int depth) {
    const Types results = some_types(2);
    c_.block(block_type({}, results));
    labels_.push_back({results, false, false});
    statements(depth);
    produce(results);
    if (pick(2) == 0) condition(), c_.br_if(0);
    labels_.pop_back();
    c_.end();
    consume(results);
  }
  void if_else(int depth) {
    const Types params = some_types(2), results = some_types(2);
    produce(params);
    condition();
    c_.op({0x04}).s(block_type(params, results));
    labels_.push_back({results, false, false});
    consume(params);
    statements(depth);
    produce(results);
    c_.op({0x05});
    consume(params);
    if (pick(2) == 0) statements(depth);
    produce(results);
    labels_.pop_back();
    c_.end();
    consume(results);
  }
  void loop(int depth) {
    looped_ = true;
    const Types params = some_types(2);
    produce(params);
    c_.loop(block_type(params, params));
    labels_.push_back({params, true, false});
    consume(params);
    count_down();
    statements(depth);
    produce(params);
    count_down();
    condition();
    c_.br_if(0);
    labels_.pop_back();
    c_.end();
    consume(params);
  }
  void perhaps_throw() {
    using namespace spine;
    switch (pick(3)) {
      case 0:
        condition(), c_.op({0x04, 0x40});
        produce({i32, v128, f64});
        c_.throw_(tags_[0]).end();
        break;
      case 1:
        c_.get(2).i32_wrap_i64().call(0);
        consume(i32);
        break;
      default: break;
    }
  }
  void try_table(int depth) {
    using namespace spine;
    const Types payload = {i32, v128, f64}, with_ref = {i32, v128, f64, exnref};
    const bool ref = pick(2) != 0, all = pick(2) != 0;
    // Blocks around the try for what its clauses take; both lead to the end.
    const Types caught = ref ? with_ref : payload;
    c_.block();
    labels_.push_back({{}, false, false});
    c_.block(block_type({}, caught));
    labels_.push_back({caught, false, false});
    c_.op({0x1f, 0x40});
    c_.u(all ? 2 : 1).op({static_cast<uint8_t>(ref ? 1 : 0)}).u(tags_[0]).u(0);
    if (all) c_.op({0x02}).u(1);
    labels_.push_back({{}, false, false});
    statements(depth);
    perhaps_throw();
    labels_.pop_back();
    c_.end().br(1);
    labels_.pop_back();
    c_.end();
    if (ref) c_.set(local(exnref));
    consume(payload);
    if (ref && pick(3) == 0) condition(), c_.op({0x04, 0x40}).get(local(exnref)).throw_ref().end();
    labels_.pop_back();
    c_.end();
  }
  void old_try(int depth) {
    using namespace spine;
    const Types payload = {i32, v128, f64}, results = some_types(2);
    c_.op({0x06}).s(block_type({}, results));
    labels_.push_back({results, false, false});
    statements(depth);
    perhaps_throw();
    produce(results);
    if (pick(4) == 0) {
      // To a try around it, or the caller.
      const uint32_t to = pick(static_cast<uint32_t>(labels_.size() - 1));
      labels_.pop_back();
      c_.op({0x18}).u(to);
      consume(results);
      return;
    }
    labels_.back().caught = true;
    if (pick(3) != 0) {
      c_.op({0x07}).u(tags_[0]);
      consume(payload);
      statements(depth);
      rethrow();
      produce(results);
    }
    if (pick(3) != 0) {
      c_.op({0x19});
      statements(depth);
      rethrow();
      produce(results);
    }
    labels_.pop_back();
    c_.end();
    consume(results);
  }
  void rethrow() {
    if (pick(2) == 0) return;
    uint32_t depth = 0;
    for (uint32_t i = 0; i < labels_.size(); ++i) {
      if (labels_[labels_.size() - 1 - i].caught && pick(2) == 0) depth = i;
    }
    if (!labels_[labels_.size() - 1 - depth].caught) return;
    condition();
    c_.op({0x04, 0x40}).op({0x09}).u(depth + 1).end();
  }

  std::mt19937_64 random_;
  spine::ModuleBuilder m_;
  spine::Code c_;
  std::vector<Label> labels_;  // outermost first
  uint32_t void_type_ = 0, tags_[2] = {};
  bool looped_ = false;
};

}  // namespace vmrun::test
