// Functions of one instruction each, above a stack of live operands: none to two dozen of them, now and then hundreds.
// Every row of the opcode table occurs, those that need certain registers (shifts, rotations, divisions, wide products,
// atomic exchanges, calls, bulk instructions) with every depth: a module's number decides which pairs it holds.
#include <string_view>

#include "generate_aimed.h"
#include "generate_values.h"
#include "generate_writer.h"

namespace vmrun::test::generate {
namespace {

constexpr size_t kFunctions = 12, kDepths = 25;
constexpr ValueLocals kLocals = {.narrow = 0, .wide = 1, .sum = 2, .vector = 3};

/// An instruction with its operands' types; "call" and the like are not rows of one signature.
struct Row {
  std::string name;
  Op op = Op::nop;
  Types params, results;
  int special = 0;  // 1 call, 2 call_indirect, 3 call of the host, 4 memory.fill, 5 memory.copy, 6 select, 7 branch
};

Type type_of(char letter) {
  switch (letter) {
    case 'l': return i64;
    case 'f': return f32;
    case 'd': return f64;
    case 'v': return v128;
    default: return i32;
  }
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

struct Rows {
  // Of integers and in certain registers; in other certain registers; all others.
  std::vector<Row> tight, fixed, others;
  Rows() {
    for (size_t i = 0; i < vm::kOpCount; ++i) add(static_cast<Op>(i));
    fixed.push_back({"call", Op::call, {i32, i64, f64}, {i64}, 1});
    fixed.push_back({"call_indirect", Op::call_indirect, {i32, i64, f64, i32}, {i64}, 2});
    fixed.push_back({"call of the host", Op::call, {i32, i64}, {i32}, 3});
    fixed.push_back({"memory.fill", Op::memory_fill, {i32, i32, i32}, {}, 4});
    fixed.push_back({"memory.copy", Op::memory_copy, {i32, i32, i32}, {}, 5});
    fixed.push_back({"select", Op::select, {i64, i64, i32}, {i64}, 6});
    fixed.push_back({"select of v128", Op::select, {v128, v128, i32}, {v128}, 6});
    fixed.push_back({"br_if", Op::br_if, {i32}, {i32}, 7});
  }

 private:
  void add(Op op) {
    const vm::OpInfo& info = vm::op_info(op);
    const std::string_view signature = info.signature, mnemonic = info.mnemonic;
    if (signature == "*" || info.is_gc_object() || has(mnemonic, "wait")) return;
    if (info.family == vm::Family::constant || info.imm == vm::Imm::v128 || info.imm == vm::Imm::memory) return;
    const size_t colon = signature.find(':');
    if (signature.size() == 1) return;
    // No arithmetic that may make a NaN.
    const bool result_floats = has(signature.substr(colon), "f") || has(signature.substr(colon), "d");
    const bool safe = has(mnemonic, "convert") || has(mnemonic, "reinterpret") || has(mnemonic, "load");
    if ((result_floats && !safe) || has(mnemonic, "f32x4") || has(mnemonic, "f64x2") || has(mnemonic, "relaxed"))
      return;
    if (info.family == vm::Family::convert && info.can_trap()) return;
    Row row{mnemonic.data(), op, {}, {}};
    for (char letter : signature.substr(0, colon)) row.params.push_back(type_of(letter));
    for (char letter : signature.substr(colon + 1)) row.results.push_back(type_of(letter));
    static constexpr std::string_view kTight[] = {".shl", ".shr_", ".rot", ".div_", ".rem_", "wide"};
    static constexpr std::string_view kFixed[] = {"128",    "cmpxchg", "xchg", ".rmw.and", ".rmw.or", "rmw.add",
                                                  "popcnt", "ctz",     "clz",  "swizzle",  "shuffle", "_lane"};
    const auto holds = [&](auto& parts) {
      for (std::string_view part : parts) {
        if (has(mnemonic, part) && !mnemonic.starts_with("v128")) return true;
      }
      return false;
    };
    const bool scalar = mnemonic.starts_with("i32.") || mnemonic.starts_with("i64.");
    (scalar && holds(kTight) ? tight : holds(kFixed) || holds(kTight) ? fixed : others).push_back(std::move(row));
  }
};
const Rows& rows() {
  static const Rows rows;
  return rows;
}

class Pressure {
 public:
  Pressure(uint64_t number, Tally& tally) : r_(number * 0x9e3779b97f4a7c15 + 4), tally_(tally) {}

  Bytes make(uint64_t number) {
    host_ = w_.import({{i32, i64}, {i32}});
    w_.memory({.pages = 1, .max = 2});
    w_.table({funcref, 4, 4});
    Bytes bytes(512);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(r_.bits());
    // Small numbers too, which are counts of shifts.
    for (size_t i = 0; i < bytes.size(); i += 4) {
      if (r_.one_in(2)) bytes[i] = static_cast<uint8_t>(r_.below(64)), bytes[i + 1] = bytes[i + 2] = bytes[i + 3] = 0;
    }
    w_.initial(0, bytes);
    callee_ = w_.func({{i32, i64, f64}, {i64}});
    w_.define(callee_, Code()
                           .get(0)
                           .op(Op::i64_extend_i32_u)
                           .get(1)
                           .op(Op::i64_xor)
                           .get(2)
                           .op(Op::i64_reinterpret_f64)
                           .op(Op::i64_add)
                           .end());
    w_.elements(0, {callee_, callee_, callee_, callee_});
    // Half of the functions have a row of the first list, a quarter each one of the others.
    for (size_t i = 0; i < kFunctions; ++i) {
      const std::string name = "f" + std::to_string(i);
      const size_t quarter = i / 4, quarters = kFunctions / 4;
      if (i % 4 == 3) {
        const std::vector<Row>& others = rows().others;
        function(others[(number * quarters + quarter) % others.size()],
                 r_.one_in(40) ? 100 + r_.below(400) : r_.below(kDepths), name);
      } else if (i % 4 == 2) {
        pair(rows().fixed, number * quarters + quarter, name);
      } else {
        pair(rows().tight, number * 2 * quarters + 2 * quarter + i % 4, name);
      }
    }
    return w_.build();
  }

 private:
  Type any_type() {
    static const Types kTypes = {i32, i32, i32, i64, i64, f32, f64, v128};
    return r_.of(kTypes);
  }

  /// A row of the list with a depth: consecutive numbers go through all pairs.
  void pair(const std::vector<Row>& list, size_t number, const std::string& name) {
    const size_t all = number % (list.size() * kDepths), depth = (all + all / list.size()) % kDepths;
    tally_.hit("pressure: " + std::to_string(depth) + " operands beneath");
    function(list[all % list.size()], depth, name);
  }

  void function(const Row& row, size_t depth, const std::string& name) {
    tally_.hit("pressure: " + row.name);
    c_ = {};
    // Of one type that fills all registers of a kind, of loads alone, or mixed.
    const uint32_t mode = r_.below(6);
    const bool loads = mode < 3;
    const Type one = mode == 0 || mode == 3 ? i32 : mode == 1 || mode == 4 ? i64 : v128;
    Types beneath;
    for (size_t i = 0; i < depth; ++i) {
      beneath.push_back(mode == 5 ? any_type() : one);
      push_value(c_, r_, beneath.back(), kLocals, loads || r_.one_in(2));
    }
    instruction(row);
    if (one != v128 && mode != 5 && row.results == Types{one}) {  // straight into each other
      static const std::vector<Op> kNarrow = {Op::i32_add, Op::i32_sub, Op::i32_xor, Op::i32_mul};
      static const std::vector<Op> kWide = {Op::i64_add, Op::i64_sub, Op::i64_xor, Op::i64_mul};
      for (size_t i = 0; i < depth; ++i) c_.op(r_.of(one == i32 ? kNarrow : kWide));
      add_to_sum(c_, one, kLocals);
    } else {
      for (size_t i = row.results.size(); i-- > 0;) add_to_sum(c_, row.results[i], kLocals);
      for (size_t i = depth; i-- > 0;) add_to_sum(c_, beneath[i], kLocals);
    }
    c_.get(kLocals.sum).end();
    const uint32_t f = w_.func({{i32, i64}, {i64}}, name);
    w_.define(f, std::move(c_), {i64, v128});
  }

  /// As often a constant as a local, as a load, as anything.
  void operand(Type type) {
    const uint32_t how = r_.below(4);
    if (how == 0 && type == i32) {
      c_.i32(r_.one_in(2) ? 1 + r_.below(40) : static_cast<uint32_t>(r_.bits()));
    } else if (how == 0 && type == i64) {
      c_.i64(r_.one_in(2) ? 1 + r_.below(70) : r_.bits());
    } else if (how == 1 && (type == i32 || type == i64)) {
      c_.get(type == i32 ? kLocals.narrow : kLocals.wide);
    } else {
      push_value(c_, r_, type, kLocals, how == 2);
    }
  }

  void instruction(const Row& row) {
    const vm::OpInfo& info = vm::op_info(row.op);
    const bool divides = has(row.name, ".div_") || has(row.name, ".rem_");
    if (row.special == 7) c_.block(i32).i32(9);
    for (size_t i = 0; i < row.params.size(); ++i) {
      const bool address = (info.imm == vm::Imm::memarg || info.imm == vm::Imm::memarg_lane) && i == 0;
      if (address || row.special == 4 || row.special == 5) {
        if (r_.one_in(2)) {
          c_.i32(r_.below(20) * 16);
        } else {
          push_value(c_, r_, i32, kLocals, r_.one_in(2));
          c_.i32(0xf0).op(Op::i32_and);
        }
        continue;
      }
      operand(row.params[i]);
      if (divides && i == 1 && !r_.one_in(10)) {
        row.params[i] == i32 ? c_.i32(1).op(Op::i32_or) : c_.i64(1).op(Op::i64_or);
      }
      if (row.special == 2 && i == 3) c_.i32(3).op(Op::i32_and);
    }
    switch (row.special) {
      case 1: c_.call(callee_); return;
      case 2: c_.call_indirect(w_.type_of(callee_), 0); return;
      case 3: c_.call(host_); return;
      case 4: c_.op(row.op).u(0); return;
      case 5: c_.op(row.op).u(0).u(0); return;
      case 7: c_.br_if(0).i32(1).op(Op::i32_add).end(); return;
      default: break;
    }
    switch (info.imm) {
      case vm::Imm::memarg: c_.access(row.op, 8 * r_.below(8)); break;
      case vm::Imm::memarg_lane: c_.access(row.op, 8 * r_.below(8)).byte(r_.below(16u >> info.access_log2)); break;
      case vm::Imm::lane: c_.op(row.op).byte(r_.below(2)); break;
      case vm::Imm::lanes:
        c_.op(row.op);
        for (int i = 0; i < 16; ++i) c_.byte(r_.below(32));
        break;
      case vm::Imm::zero_byte: c_.op(row.op).byte(0); break;
      default: c_.op(row.op); break;
    }
  }

  Random r_;
  Tally& tally_;
  ModuleWriter w_;
  Code c_;
  uint32_t host_ = 0, callee_ = 0;
};

}  // namespace

Bytes make_pressure(uint64_t number, Tally& tally) { return Pressure(number, tally).make(number); }

void expect_pressure(Tally& tally) {
  for (const std::vector<Row>* list : {&rows().tight, &rows().fixed, &rows().others}) {
    for (const Row& row : *list) tally.expect("pressure: " + row.name);
  }
  for (size_t depth = 0; depth < kDepths; ++depth)
    tally.expect("pressure: " + std::to_string(depth) + " operands beneath");
}

}  // namespace vmrun::test::generate
