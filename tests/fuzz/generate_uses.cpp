// Wherever an i32 is taken: every i32 or address operand of every row of the opcode table, and what has no signature
// there (bulk instructions, tables, branches, calls, returns).
#include <string_view>

#include "generate_identities.h"

namespace vmrun::test::generate {
namespace {

using vm::Imm;
using vm::OpInfo;
using M = Maker;

void nothing(M&) {}

/// What is on the stack becomes an i64.
void to_i64(M& m, char letter) {
  switch (letter) {
    case 'i':
    case 'p': m.c.op(m.r.one_in(3) ? Op::i64_extend_i32_s : Op::i64_extend_i32_u); break;
    case 'f': m.c.op(Op::i32_reinterpret_f32).op(Op::i64_extend_i32_u); break;
    case 'd': m.c.op(Op::i64_reinterpret_f64); break;
    case 'v':
      m.c.tee(M::xv).op(Op::i64x2_extract_lane).byte(0).get(M::xv).op(Op::i64x2_extract_lane).byte(1).op(Op::i64_add);
      break;
    default: break;
  }
}

void other_operand(M& m, char letter) {
  switch (letter) {
    case 'p': m.c.i32(m.r.below(512) * 16); break;
    case 'i':
      if (m.r.one_in(2)) {
        m.c.get(M::c32);
      } else {
        m.c.i32(m.edge());
      }
      break;
    case 'l': m.c.get(M::b); break;
    case 'f': m.c.get(M::c32).op(Op::f32_convert_i32_s); break;
    case 'd': m.c.get(M::b).op(Op::f64_convert_i64_s); break;
    default: m.c.get(M::b).op(Op::i64x2_splat); break;
  }
}

uint64_t any_offset(M& m) {
  static const std::vector<uint64_t> kOffsets = {
      0, 0, 0, 1, 4, 8, 16, 100, 0x7fff, 0xfff0, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff};
  return m.r.of(kOffsets);
}

void immediate(M& m, Op which) {
  const OpInfo& info = vm::op_info(which);
  const uint32_t lanes = info.imm == Imm::memarg_lane ? 16u >> info.access_log2 : 2;
  switch (info.imm) {
    case Imm::memarg:
      m.c.access(which, info.family == vm::Family::atomic ? any_offset(m) & ~uint64_t{7} : any_offset(m));
      break;
    case Imm::memarg_lane: m.c.access(which, any_offset(m)).byte(m.r.below(lanes)); break;
    case Imm::lane: m.c.op(which).byte(m.r.below(lanes)); break;
    case Imm::memory: m.c.op(which).u(0); break;
    default: m.c.op(which); break;
  }
}

/// The uses by one row of the opcode table.
void add_row(std::vector<Use>& uses, Op which) {
  const OpInfo& info = vm::op_info(which);
  const std::string_view signature = info.signature, mnemonic = info.mnemonic;
  if (signature == "*" || info.is_gc_object() || mnemonic.find("wait") != signature.npos) return;
  const std::string_view params = signature.substr(0, signature.find(':'));
  const std::string_view results = signature.substr(params.size() + 1);
  if (results.size() > 1) return;
  for (size_t at = 0; at < params.size(); ++at) {
    if (params[at] != 'i' && params[at] != 'p') continue;
    const bool address = params[at] == 'p' && info.imm != Imm::memory;
    Use use{std::string(mnemonic) + " " + std::to_string(at), {}, {}, address};
    use.before = [=](M& m) {
      for (size_t i = 0; i < at; ++i) other_operand(m, params[i]);
    };
    use.after = [=, atomic = info.family == vm::Family::atomic](M& m) {
      if (address && atomic && !m.r.one_in(3)) m.c.i32(~7u).op(Op::i32_and);
      for (size_t i = at + 1; i < params.size(); ++i) other_operand(m, params[i]);
      immediate(m, which);
      if (results.empty()) m.c.i64(0);
      if (!results.empty()) to_i64(m, results[0]);
    };
    uses.push_back(std::move(use));
  }
}

/// A bulk instruction: three i32s, of which `at` is the one that is there; the others are these numbers.
void add_bulk(std::vector<Use>& uses, const char* name, std::vector<uint32_t> operands, void (*emit)(M&),
              bool value_in_middle = false) {
  for (size_t at = 0; at < operands.size(); ++at) {
    if (value_in_middle && at == 1) continue;
    const auto push = [=](M& m, size_t i) {
      if (value_in_middle && i == 1) {
        m.c.op(Op::ref_func).u(m.widen_u);
      } else {
        m.c.i32(m.r.one_in(3) ? 0 : operands[i]);
      }
    };
    uses.push_back({std::string(name) + " " + std::to_string(at),
                    [=](M& m) {
                      for (size_t i = 0; i < at; ++i) push(m, i);
                    },
                    [=](M& m) {
                      for (size_t i = at + 1; i < operands.size(); ++i) push(m, i);
                      emit(m);
                      m.c.i64(1);
                    },
                    operands[at] >= 100});
  }
}

/// A select between two values by a comparison of the i32 with another wrapped one: what a minimum looks like.
void add_selects(std::vector<Use>& uses) {
  for (Op compare : ops_of(vm::Family::int_compare, 'i')) {
    const std::string name = vm::op_info(compare).mnemonic;
    uses.push_back({"select by " + name, [](M& m) { m.c.get(M::a).get(M::b); },
                    [=](M& m) { m.c.get(M::b).op(Op::i32_wrap_i64).op(compare).op(Op::select); }});
    uses.push_back({"select by reversed " + name, [](M& m) { m.c.get(M::a).get(M::b).get(M::b).op(Op::i32_wrap_i64); },
                    [=](M& m) { m.c.op(compare).op(Op::select); }});
    uses.push_back({"widened select by " + name, nothing, [=](M& m) {
                      m.c.tee(M::x32).get(M::b).op(Op::i32_wrap_i64).tee(M::y32);
                      m.c.get(M::x32).get(M::y32).op(compare).op(Op::select).op(Op::i64_extend_i32_u);
                    }});
    uses.push_back({"branch by " + name, [](M& m) { m.c.block(i64).get(M::a); },
                    [=](M& m) { m.c.get(M::b).op(Op::i32_wrap_i64).op(compare).br_if(0).drop().get(M::b).end(); }});
  }
}

void add_control(std::vector<Use>& uses) {
  const auto add = [&](const char* name, std::function<void(M&)> before, std::function<void(M&)> after) {
    uses.push_back({name, std::move(before), std::move(after)});
  };
  add("if", nothing, [](M& m) { m.c.if_(i64).get(M::a).else_().get(M::b).end(); });
  add("br_if", [](M& m) { m.c.block(i64).get(M::a); }, [](M& m) { m.c.br_if(0).drop().get(M::b).end(); });
  add(
      "br_if of itself", [](M& m) { m.c.block(i32); },
      [](M& m) { m.c.tee(M::x32).get(M::x32).br_if(0).i32(1).op(Op::i32_add).end().op(Op::i64_extend_i32_u); });
  add(
      "br_table", [](M& m) { m.c.block(i64).block().block().block(); },
      [](M& m) {
        m.c.op(Op::br_table).u(2).u(0).u(1).u(2).end().i64(5).br(2).end().get(M::a).br(1).end().get(M::b).end();
      });
  add("condition of select", [](M& m) { m.c.get(M::a).get(M::b); }, [](M& m) { m.c.op(Op::select); });
  add(
      "condition of select of f64", [](M& m) { m.c.f64_bits(1).f64_bits(2); },
      [](M& m) { m.c.op(Op::select).op(Op::i64_reinterpret_f64); });
  add(
      "condition of select of v128", [](M& m) { m.c.v128(1, 2).v128(3, 4); },
      [](M& m) { m.c.op(Op::select), to_i64(m, 'v'); });
  add("first of select", nothing, [](M& m) { m.c.i32(m.edge()).get(M::c32).op(Op::select).op(Op::i64_extend_i32_u); });
  add("argument", nothing, [](M& m) { m.c.call(m.r.one_in(2) ? m.widen_u : m.widen_s); });
  add("argument of the host", nothing, [](M& m) { m.c.call(m.host); });
  add("argument of call_indirect", nothing,
      [](M& m) { m.c.i32(m.r.below(8)).call_indirect(m.w.type_of(m.widen_u), 0); });
  add("argument of call_ref", nothing,
      [](M& m) { m.c.op(Op::ref_func).u(m.widen_u).op(Op::call_ref).u(m.w.type_of(m.widen_u)); });
  add(
      "index of call_indirect", [](M& m) { m.c.get(M::c32); },
      [](M& m) {
        if (!m.r.one_in(3)) m.c.i32(7).op(Op::i32_and);
        m.c.call_indirect(m.w.type_of(m.widen_u), 0);
      });
  add("result of a call", nothing, [](M& m) {
    // The code so far becomes a function of its own.
    const uint32_t f = m.w.func({{i64, i64, i32}, {i32}});
    Code body = std::move(m.c);
    if (m.r.one_in(4)) body.op(Op::return_);
    m.w.define(f, body.end(), M::locals());
    m.c = {};
    m.c.get(M::a).get(M::b).get(M::c32).call(f).op(m.r.one_in(3) ? Op::i64_extend_i32_s : Op::i64_extend_i32_u);
  });
  uses.back().alone = true;
  add("tail call", nothing, [](M& m) {
    const uint32_t f = m.w.func({{i64, i64, i32}, {i64}});
    Code body = std::move(m.c);
    if (m.r.one_in(2)) {
      body.op(Op::return_call).u(m.widen_u);
    } else {
      body.i32(m.r.below(8)).op(Op::return_call_indirect).u(m.w.type_of(m.widen_u)).u(0);
    }
    m.w.define(f, body.end(), M::locals());
    m.c = {};
    m.c.get(M::a).get(M::b).get(M::c32).call(f);
  });
  uses.back().alone = true;
  add("global", nothing, [](M& m) { m.c.global_set(M::kGlobal32).global_get(M::kGlobal32).op(Op::i64_extend_i32_u); });
  add(
      "exception", [](M& m) { m.c.block(i32).op(Op::try_table).s(-64).u(1).byte(0).u(m.tag).u(0); },
      [](M& m) { m.c.op(Op::throw_).u(m.tag).end().i32(9).end().op(Op::i64_extend_i32_u); });
  add("block", [](M& m) { m.c.block(i32); }, [](M& m) { m.c.end().op(Op::i64_extend_i32_u); });
  add("counter of a loop", nothing, [](M& m) {
    m.c.i32(15).op(Op::i32_and).set(M::x32).get(M::a).set(M::x64).loop();
    m.c.get(M::x64).i64(3).op(Op::i64_mul).get(M::x32).op(Op::i64_extend_i32_u).op(Op::i64_add).set(M::x64);
    m.c.get(M::x32).i32(1).op(Op::i32_sub).tee(M::x32).i32(0).op(Op::i32_gt_s).br_if(0).end().get(M::x64);
  });
  add("i64 arithmetic", nothing, [](M& m) {
    static const std::vector<Op> kOps = {Op::i64_add, Op::i64_sub, Op::i64_mul,   Op::i64_and,   Op::i64_or,
                                         Op::i64_xor, Op::i64_shl, Op::i64_shr_u, Op::i64_shr_s, Op::i64_rotl};
    m.c.op(m.r.one_in(3) ? Op::i64_extend_i32_s : Op::i64_extend_i32_u).get(M::a).op(m.r.of(kOps));
  });
  add(
      "count of an i64 shift", [](M& m) { m.c.get(M::a); },
      [](M& m) {
        static const std::vector<Op> kOps = {Op::i64_shl, Op::i64_shr_u, Op::i64_shr_s, Op::i64_rotl, Op::i64_rotr};
        m.c.op(Op::i64_extend_i32_u).op(m.r.of(kOps));
      });
  add("address of 64 bits", nothing, [](M& m) {
    m.c.op(Op::i64_extend_i32_u);
    if (m.memory64) m.c.access(Op::i64_load, any_offset(m), 1);
  });
  add(
      "sum of two addresses", [](M& m) { m.c.i32(m.r.below(100)); },
      [](M& m) { m.c.op(Op::i32_add).access(Op::i64_load16_u, m.r.below(64)); });
}

std::vector<Use> make_uses() {
  std::vector<Use> uses;
  for (size_t i = 0; i < vm::kOpCount; ++i) add_row(uses, static_cast<Op>(i));
  const auto op = [](Op which, std::initializer_list<uint32_t> rest, M& m) {
    m.c.op(which);
    for (uint32_t n : rest) m.c.u(n);
  };
  static const auto emit = op;
  add_bulk(uses, "memory.fill", {300, 7, 40}, [](M& m) { emit(Op::memory_fill, {0}, m); });
  add_bulk(uses, "memory.copy", {300, 330, 50}, [](M& m) { emit(Op::memory_copy, {0, 0}, m); });
  add_bulk(uses, "memory.init", {300, 3, 20}, [](M& m) { emit(Op::memory_init, {0, 0}, m); });
  add_bulk(uses, "table.copy", {3, 5, 2}, [](M& m) { emit(Op::table_copy, {0, 0}, m); });
  add_bulk(uses, "table.init", {3, 1, 2}, [](M& m) { emit(Op::table_init, {0, 0}, m); });
  add_bulk(uses, "table.fill", {10, 0, 2}, [](M& m) { emit(Op::table_fill, {0}, m); }, true);
  add_bulk(uses, "table.get", {3}, [](M& m) { m.c.op(Op::table_get).u(0).drop(); });
  uses.push_back({"table.get of externref", nothing,
                  [](M& m) { m.c.op(Op::table_get).u(1).op(Op::ref_is_null).op(Op::i64_extend_i32_u); }});
  uses.push_back({"table.set", nothing, [](M& m) { m.c.op(Op::ref_func).u(m.widen_s).op(Op::table_set).u(0).i64(2); }});
  uses.push_back({"table.grow", [](M& m) { m.c.op(Op::ref_null).byte(0x6f); },
                  [](M& m) { m.c.op(Op::table_grow).u(1).op(Op::i64_extend_i32_u); }});
  add_selects(uses);
  add_control(uses);
  return uses;
}

}  // namespace

const std::vector<Use>& all_uses() {
  static const std::vector<Use> uses = make_uses();
  return uses;
}

}  // namespace vmrun::test::generate
