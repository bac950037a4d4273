// Instructions by their rows of the opcode table, whose signatures say what operands they take.
#include <string_view>

#include "generate_body.h"

namespace vmrun::test::generate {

using vm::Imm;
using vm::Op;
using vm::OpInfo;

namespace {

bool starts(const OpInfo& info, std::string_view text) { return std::string_view(info.mnemonic).starts_with(text); }
bool contains(const OpInfo& info, std::string_view text) {
  return std::string_view(info.mnemonic).find(text) != std::string_view::npos;
}

/// Rows of the opcode table with a signature, by the type of their first result.
struct Rows {
  std::vector<Op> by_type[5];  // i32, i64, f32, f64, v128
  std::vector<Op> none;
  Rows() {
    for (size_t i = 0; i < vm::kOpCount; ++i) {
      const OpInfo& info = vm::kOpInfo[i];
      const std::string_view signature = info.signature;
      if (signature == "*" || info.is_gc_object() || contains(info, "wait")) continue;
      if (info.family == vm::Family::constant || info.imm == Imm::v128) continue;
      if (info.imm == Imm::memory) continue;
      const auto op = static_cast<Op>(i);
      const char result = signature.back();
      if (result == ':') {
        none.push_back(op);
      } else if (result != 'p') {
        by_type[0x7f - type_of_letter(signature[signature.find(':') + 1])].push_back(op);
      }
    }
  }
};

const Rows& rows() {
  static const Rows rows;
  return rows;
}

}  // namespace

Type type_of_letter(char letter) {
  switch (letter) {
    case 'l': return i64;
    case 'f': return f32;
    case 'd': return f64;
    case 'v': return v128;
    default: return i32;
  }
}

void Body::operation(Type t, unsigned depth) {
  const std::vector<Op>& fitting = rows().by_type[0x7f - t];
  Op which = r_.of(fitting);
  // The one-byte instructions, which the others outnumber, are chosen more often.
  if ((t == i32 || t == i64) && vm::op_info(which).prefix != 0) which = r_.of(fitting);
  row(which, depth);
  if (std::string_view(vm::op_info(which).signature).ends_with("ll")) op(0x1a);
  denan(which, t);
}

void Body::effect(unsigned depth) { row(r_.of(rows().none), depth); }

void Body::row(Op which, unsigned depth) {
  const OpInfo& info = vm::op_info(which);
  const std::string_view signature = info.signature;
  const bool atomic = info.family == vm::Family::atomic;
  const uint32_t m = any_memory();
  const bool divides = info.family == vm::Family::int_divide;
  const bool truncates = info.family == vm::Family::convert && info.can_trap();
  for (size_t i = 0; signature[i] != ':'; ++i) {
    if (signature[i] == 'p') {
      address(m, depth, atomic ? 1u << info.access_log2 : 1);
      continue;
    }
    const Type t = type_of_letter(signature[i]);
    value(t, depth + 1);
    if (divides && i == 1 && !r_.one_in(20)) op(t == i32 ? 0x41 : 0x42), s(1), op(t == i32 ? 0x72 : 0x84);
    if (truncates && !r_.one_in(20)) {  // a small number
      if (t == f32) op(0xfc), u(0), op(0x41), s(20), op(0x75), op(0xb2), op(0x8b);
      if (t == f64) op(0xfc), u(2), op(0x41), s(20), op(0x75), op(0xb7), op(0x99);
    }
  }
  opcode(info);
  switch (info.imm) {
    case Imm::memarg: memarg(m, info.access_log2, atomic); break;
    case Imm::memarg_lane: memarg(m, info.access_log2, false), op(r_.below(16u >> info.access_log2)); break;
    case Imm::lane: op(r_.below(16u >> info.access_log2)); break;
    case Imm::lanes:
      for (int i = 0; i < 16; ++i) op(r_.below(32));
      break;
    case Imm::zero_byte: op(0); break;
    default: break;
  }
}

void Body::denan(Op which, Type t) {
  const OpInfo& info = vm::op_info(which);
  if (t == f32 || t == f64) {
    const uint32_t local = scratch(t);
    op(0x22), u(local);
    op(t == f32 ? 0x43 : 0x44), raw(0, t == f32 ? 4 : 8);
    op(0x20), u(local), op(0x20), u(local);
    op(t == f32 ? 0x5b : 0x61), op(0x1b);
  } else if (t == v128 && (starts(info, "f32x4") || starts(info, "f64x2"))) {
    const uint32_t local = scratch(t);
    op(0x22), u(local), op(0x20), u(local), op(0x20), u(local);
    op(0xfd), u(starts(info, "f32x4") ? 0x41 : 0x47), op(0xfd), u(0x4e);
  }
}

}  // namespace vmrun::test::generate
