// The modules of the matrix's cells.
#include <algorithm>

#include "tests/cross_tier/matrix.h"

namespace vmrun::spine {

const char* to_string(Side side) {
  constexpr const char* kNames[] = {"interp", "baseline", "opt", "host"};
  return kNames[static_cast<unsigned>(side)];
}
const char* to_string(Kind kind) {
  constexpr const char* kNames[] = {"call", "indirect call", "tail call"};
  return kNames[static_cast<unsigned>(kind)];
}
const char* to_string(Scenario scenario) {
  constexpr const char* kNames[kScenarios] = {"returns",          "multi-value",   "live across", "trap",
                                              "caught by caller", "caught far up", "rethrow",     "stack overflow",
                                              "preempted",        "cancelled"};
  return kNames[static_cast<unsigned>(scenario)];
}

std::string name_of(const Cell& cell) {
  return std::string(to_string(cell.scenario)) + ": " + to_string(cell.kind) + " " + to_string(cell.caller) + " to " +
         to_string(cell.callee);
}

std::string impossible(const Cell& cell) {
  if (cell.caller == Side::host) {
    if (cell.callee == Side::host) return "no guest takes part";
    if (cell.kind == Kind::tail) return "the host has no tail calls into guests";
    if (cell.scenario == Scenario::caught_by_caller) return "the host gets an error, which 'rethrow' asserts";
    if (cell.scenario == Scenario::caught_far_up) return "a call from the host has no guest frames further up";
    if (cell.scenario == Scenario::live_across) return {};
  }
  if (cell.kind == Kind::tail && (cell.scenario == Scenario::caught_by_caller || cell.scenario == Scenario::rethrow)) {
    return "a tail call ends its caller, and so the caller's handlers";
  }
  return {};
}

Types many_types() {
  Types t;
  for (int i = 0; i < 9; ++i) t.push_back(i64), t.push_back(f64);
  t.push_back(i32);
  return t;
}
Types many_types_reversed() {
  Types t = many_types();
  std::reverse(t.begin(), t.end());
  return t;
}

namespace {

/// Emits the cell's call of the callee with its arguments on the stack; the instruction is marked "call".
void emit_call(Code& c, Kind kind, uint32_t callee, uint32_t type) {
  switch (kind) {
    case Kind::call: c.mark("call").call(callee); break;
    case Kind::indirect: c.i32_const(0).mark("call").call_indirect(type); break;
    case Kind::tail: c.mark("call").return_call(callee); break;
  }
}

struct Maker {
  explicit Maker(const Cell& c) : cell(c) {}
  const Cell& cell;
  ModuleBuilder m;
  Plan p;
  uint32_t type = 0;

  bool host_callee() const { return cell.callee == Side::host; }
  bool host_caller() const { return cell.caller == Side::host; }
  bool tail() const { return cell.kind == Kind::tail; }

  /// Names the functions; bodies follow.
  void functions(const Types& params, const Types& results, bool outer = false) {
    p.params = params;
    type = m.type(params, results);
    if (host_callee()) p.callee = m.import("callee", type);
    if (cell.scenario == Scenario::preempted) m.import("where", m.type({}, {i32}));
    if (!host_callee()) p.callee = m.func("callee", type);
    if (!host_caller()) {
      p.has_caller = true;
      p.caller = m.func("caller", type);
    }
    if (outer) {
      p.has_outer = true;
      p.mid = m.func("mid", type);
      p.outer = m.func("outer", type);
    }
    m.element(p.callee);
  }
  void callee(const Code& c, const Types& locals = {}) {
    if (!host_callee()) m.define(p.callee, c, locals);
  }
  void caller(const Code& c, const Types& locals = {}) {
    if (!host_caller()) m.define(p.caller, c, locals);
  }
  Code call_with_params() const {
    Code c;
    for (uint32_t i = 0; i < p.params.size(); ++i) c.get(i);
    emit_call(c, cell.kind, p.callee, type);
    return c;
  }
  Plan done() {
    p.image = m.build();
    if (!host_callee()) p.callee_at = m.offset(p.callee, "here");
    if (p.has_caller) p.caller_at = m.offset(p.caller, "call");
    if (p.has_outer) {
      p.mid_at = m.offset(p.mid, "call");
      p.outer_at = m.offset(p.outer, "call");
    }
    return std::move(p);
  }

  /// (i32) -> i32: calls `callee` and catches what it throws in `tag` (i32 i64): their sum.
  Code catching(uint32_t tag, uint32_t pair, Code call) const {
    Code c;
    c.block(pair).try_table(i32 - 0x80, 0, tag, 0).get(0);
    const size_t base = c.bytes.size();
    for (auto& [name, at] : call.marks) c.marks.emplace_back(name, base + at);
    append(c.bytes, call.bytes);
    return c.end().ret().end().i32_wrap_i64().i32_add();
  }
};

Plan returns(const Cell& cell) {
  Maker k(cell);
  k.functions({i32, i64, f64}, {i64});
  k.callee(Code().get(1).get(0).i64_extend_i32_u().i64_sub());
  Code c = k.call_with_params();
  if (!k.tail()) c.i64_const(1000).i64_add();
  k.caller(c);
  return k.done();
}

Plan multi_value(const Cell& cell) {
  Maker k(cell);
  k.functions(many_types(), many_types_reversed());
  Code back;
  for (uint32_t i = 19; i-- > 0;) back.get(i);
  k.callee(back);
  Code c = k.call_with_params();
  if (!k.tail()) c.i64_const(1).i64_add();  // the last result, which was the first parameter
  k.caller(c);
  return k.done();
}

Plan live_across(const Cell& cell) {
  Maker k(cell);
  k.functions({v128, externref, i64}, {v128, externref, i64});
  k.callee(Code().get(0).get(0).i64x2_add().get(1).get(2).i64_const(5).i64_add());
  Code c = k.call_with_params();
  // All three parameters live on: the vector is added, the reference returned, the integer added.
  if (!k.tail()) c.set(5).set(4).get(0).i64x2_add().get(1).get(5).get(2).i64_add();
  k.caller(c, {i64, externref, i64});
  return k.done();
}

Plan trap(const Cell& cell) {
  Maker k(cell);
  k.functions({i32}, {i32});
  k.callee(Code().get(0).mark("here").i32_load());
  Code c = k.call_with_params();
  if (!k.tail()) c.i32_const(1).i32_add();
  k.caller(c);
  return k.done();
}

Code thrower(uint32_t tag) { return Code().get(0).i32_const(1).i32_add().i64_const(77).mark("here").throw_(tag); }

Plan caught_by_caller(const Cell& cell) {
  Maker k(cell);
  k.functions({i32}, {i32});
  const uint32_t tag = k.m.tag(k.m.type({i32, i64}, {}));
  const uint32_t pair = k.m.type({}, {i32, i64});
  k.callee(thrower(tag));
  Code call;
  emit_call(call, cell.kind, k.p.callee, k.type);
  k.caller(k.catching(tag, pair, call));
  return k.done();
}

/// outer catches what callee threw, over mid and caller.
Plan caught_far_up(const Cell& cell) {
  Maker k(cell);
  k.functions({i32}, {i32}, true);
  const uint32_t tag = k.m.tag(k.m.type({i32, i64}, {}));
  const uint32_t other = k.m.tag(k.m.type({}, {}));
  const uint32_t pair = k.m.type({}, {i32, i64});
  k.callee(thrower(tag));
  Code c = k.call_with_params();
  if (!k.tail()) c.i32_const(1).i32_add();
  k.caller(c);
  // A handler on the way that does not match.
  k.m.define(k.p.mid, Code()
                          .block()
                          .try_table(i32 - 0x80, 0, other, 0)
                          .get(0)
                          .mark("call")
                          .call(k.p.caller)
                          .end()
                          .ret()
                          .end()
                          .i32_const(-1));
  k.m.define(k.p.outer, k.catching(tag, pair, Code().mark("call").call(k.p.mid)));
  return k.done();
}

/// caller catches by reference and throws again; outer catches. A host that calls gets the uncaught exception instead.
Plan rethrow(const Cell& cell) {
  Maker k(cell);
  k.functions({i32}, {i32}, cell.caller != Side::host);
  const uint32_t tag = k.m.tag(k.m.type({i32, i64}, {}));
  const uint32_t pair = k.m.type({}, {i32, i64});
  const uint32_t with_ref = k.m.type({}, {i32, i64, exnref});
  if (k.host_caller()) {
    // The callee itself catches and throws again.
    k.callee(Code()
                 .block(with_ref)
                 .try_table(i32 - 0x80, 1, tag, 0)
                 .get(0)
                 .i64_const(77)
                 .throw_(tag)
                 .end()
                 .ret()
                 .end()
                 .mark("here")
                 .throw_ref());
    return k.done();
  }
  k.callee(thrower(tag));
  Code c;
  c.block(with_ref).try_table(i32 - 0x80, 1, tag, 0).get(0);
  emit_call(c, cell.kind, k.p.callee, k.type);
  c.end().ret().end().throw_ref();
  k.caller(c);
  k.m.define(k.p.mid, Code().get(0).mark("call").call(k.p.caller).i32_const(1).i32_add());
  k.m.define(k.p.outer, k.catching(tag, pair, Code().mark("call").call(k.p.mid)));
  return k.done();
}

Plan stack_overflow(const Cell& cell) {
  Maker k(cell);
  k.functions({i32}, {i32});
  // Ends at once for 0, so that the test can see that all is well afterwards.
  const uint32_t again = k.host_caller() ? k.p.callee : k.p.caller;
  k.callee(
      Code().block().get(0).br_if(0).i32_const(5).ret().end().get(0).mark("here").call(again).i32_const(1).i32_add());
  Code c = k.call_with_params();
  if (!k.tail()) c.i32_const(1).i32_add();
  k.caller(c);
  return k.done();
}

/// The loop runs until the host says that the thread has changed (`where` returns 1), with much work in between.
Code until_moved(uint32_t where) {
  Code c;
  c.loop();                    // l0
  c.i32_const(200000).set(1);  //
  c.loop();                    // spin, and leave traces that no compiler can do without
  c.get(1).i32_const(0xfffc).op({0x71}).get(1).get(2).i32_add().i32_store();
  c.get(1).i32_const(1).i32_sub().tee(1).br_if(0).end();
  c.get(2).i32_const(1).i32_add().set(2);
  c.call(where).i32_eqz().br_if(0);
  c.end();
  return c;
}

Plan preempted(const Cell& cell) {
  Maker k(cell);
  k.functions({i32}, {i32});
  const uint32_t where = k.host_callee() ? 1 : 0;
  if (k.host_callee()) {
    // The host's own code is never stopped, so its caller is, and calls it from then on.
    Code c = until_moved(where);
    append(c.bytes, Code().get(0).bytes);
    emit_call(c, cell.kind, k.p.callee, k.type);
    if (!k.tail()) c.i32_const(1).i32_add();
    k.caller(c, {i32, i32});
    return k.done();
  }
  Code body = until_moved(where);
  append(body.bytes, Code().get(0).i32_const(40).i32_add().bytes);
  k.callee(body, {i32, i32});
  Code c = k.call_with_params();
  if (!k.tail()) c.i32_const(1).i32_add();
  k.caller(c);
  return k.done();
}

Plan cancelled(const Cell& cell) {
  Maker k(cell);
  k.functions({i32}, {i32}, cell.callee == Side::host && cell.kind == Kind::tail);
  Code spin;
  if (k.host_callee()) {
    // The host asks for the interrupt; its caller calls it until that is noticed. When the call is a tail call, those
    // further out do.
    if (k.tail()) {
      k.caller(k.call_with_params());
      k.m.define(k.p.mid, Code().get(0).mark("call").call(k.p.caller).i32_const(1).i32_add());
      k.m.define(k.p.outer, Code().loop().get(0).mark("call").call(k.p.mid).drop().br(0).end().unreachable());
      return k.done();
    }
    Code c;
    c.loop().get(0);
    const size_t base = c.bytes.size();
    Code call;
    emit_call(call, cell.kind, k.p.callee, k.type);
    for (auto& [name, at] : call.marks) c.marks.emplace_back(name, base + at);
    append(c.bytes, call.bytes);
    c.drop().br(0).end().unreachable();
    k.caller(c);
    return k.done();
  }
  spin.loop().get(0).i32_const(1).i32_add().set(0).br(0).end().unreachable();
  k.callee(spin);
  Code c = k.call_with_params();
  if (!k.tail()) c.i32_const(1).i32_add();
  k.caller(c);
  return k.done();
}

}  // namespace

Plan plan(const Cell& cell) {
  constexpr Plan (*kPlans[kScenarios])(const Cell&) = {returns,          multi_value,   live_across, trap,
                                                       caught_by_caller, caught_far_up, rethrow,     stack_overflow,
                                                       preempted,        cancelled};
  return kPlans[static_cast<unsigned>(cell.scenario)](cell);
}

}  // namespace vmrun::spine
