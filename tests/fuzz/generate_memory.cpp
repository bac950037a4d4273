// Memories: addresses, accesses made of an index and a base, and bulk instructions.
#include <string_view>

#include "generate_body.h"

namespace vmrun::test::generate {

using vm::Imm;
using vm::Op;
using vm::OpInfo;

void Body::address(uint32_t m, unsigned depth, uint32_t align) {
  const bool wide = w_.memories[m].is64;
  if (r_.one_in(3)) {
    op(wide ? 0x42 : 0x41), s(r_.below(600) * align);
    return;
  }
  value(wide ? i64 : i32, depth + 1);
  if (r_.one_in(40)) return;
  op(wide ? 0x42 : 0x41), s(0x7ff0 & -static_cast<int64_t>(align));
  op(wide ? 0x83 : 0x71);
}

void Body::memarg(uint32_t m, unsigned natural, bool atomic) {
  const unsigned align = atomic ? natural : r_.below(natural + 1);
  op(align | (m != 0 ? 0x40 : 0));
  if (m != 0) u(m);
  uint64_t offset = r_.one_in(2) ? 0 : static_cast<uint64_t>(r_.below(64)) << natural;
  if (r_.one_in(100)) offset = w_.memories[m].is64 && r_.one_in(2) ? ~uint64_t{0} - 100 : 0xfffffff0;
  u(offset);
}

void Body::access(uint32_t m, uint32_t index, uint32_t base) {
  static const std::vector<Op> kAccesses = [] {
    std::vector<Op> ops;
    for (size_t i = 0; i < vm::kOpCount; ++i) {
      const OpInfo& info = vm::kOpInfo[i];
      const std::string_view signature = info.signature;
      if (info.imm == Imm::memarg && info.family != vm::Family::atomic && signature.size() == 3)
        ops.push_back(static_cast<Op>(i));
    }
    return ops;
  }();
  Op which = r_.of(kAccesses);
  for (int i = 0; i < 2 && vm::family(which) == vm::Family::vector_memory; ++i) which = r_.of(kAccesses);
  const OpInfo& info = vm::op_info(which);
  const std::string_view signature = info.signature;
  const bool wide = w_.memories[m].is64;
  const bool loads = signature[1] == ':';
  op(0x20), u(index);
  if (r_.one_in(2)) op(wide ? 0x42 : 0x41), s(info.access_log2), op(wide ? 0x86 : 0x74);  // shl
  if (!r_.one_in(4)) op(0x20), u(base), op(wide ? 0x7c : 0x6a);
  const Type t = type_of_letter(signature[loads ? 2 : 1]);
  if (!loads) {
    if (r_.one_in(2)) {
      value(t, kDeepest);
    } else {
      leaf(t);
    }
  }
  opcode(info);
  memarg(m, info.access_log2, false);
  if (!loads) return;
  denan(which, t);
  // Added up in a local, or only kept.
  const uint32_t sum = local_of(t);
  if ((t == i32 || t == i64) && r_.one_in(2)) op(0x20), u(sum), op(t == i32 ? 0x6a : 0x7c);
  op(0x21), u(sum);
}

void Body::memory_statement(unsigned depth) {
  const uint32_t m = any_memory(), from = any_memory();
  const uint32_t segment = r_.below(static_cast<uint32_t>(w_.datas.size()));
  // Constants, around the lengths up to which compilers copy and fill in place, and others of that size.
  const auto length = [&](bool wide) {
    if (r_.one_in(2)) {
      op(wide ? 0x42 : 0x41), s(r_.one_in(4) ? (1u << r_.below(9)) + r_.below(3) - 1 : r_.below(300));
      return;
    }
    value(wide ? i64 : i32, depth + 1);
    op(wide ? 0x42 : 0x41), s(r_.one_in(2) ? 0x7f : 0xff), op(wide ? 0x83 : 0x71);
  };
  // Some ranges end just before the memory's end as it was at first, or just behind it.
  const auto place = [&](uint32_t in) {
    if (!r_.one_in(4)) return address(in, depth, 1);
    op(w_.memories[in].is64 ? 0x42 : 0x41), s(int64_t{w_.memories[in].pages} * 65536 - r_.below(280));
  };
  switch (r_.below(5)) {
    case 0: place(m), value(i32, depth + 1), length(w_.memories[m].is64), op(0xfc), u(11), u(m); return;
    case 1:
      place(m), place(from), length(w_.memories[m].is64 && w_.memories[from].is64);
      op(0xfc), u(10), u(m), u(from);
      return;
    case 2:
    case 3:
      address(m, depth, 1), op(0x41), s(r_.below(20)), op(0x41), s(r_.below(w_.datas[segment] / 4 + 1));
      op(0xfc), u(8), u(segment), u(m);
      return;
    default:
      if (r_.one_in(8)) op(0xfc), u(9), u(segment);
      return;
  }
}

}  // namespace vmrun::test::generate
