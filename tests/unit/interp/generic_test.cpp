// Generic handlers: every instruction that should have one does, its cells fit, and what the header promises about
// operands and registers holds when they run.
#include "interp/handlers/generic.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "interp/handlers/handler.h"
#include "vm/wasm/module.h"

using namespace vmrun;
using namespace vmrun::interp;
using vm::Op;

namespace {

/// What the handler after the last one saw.
struct Seen {
  const Cell* pc;
  uint64_t r[4];
  double f[4];
} seen;

VMRUN_HANDLER_ATTRS __attribute__((noinline)) void stop(VMRUN_PARAMS) {
  seen = {pc, {r0, r1, r2, r3}, {f0, f1, f2, f3}};
  asm volatile("" : : "r"(fp), "r"(mem), "r"(cx), "r"(inst));
}

/// Runs one instruction on the slots of `frame`.
void run(Op op, const vm::Immediate& imm, std::vector<uint64_t>& frame, std::vector<uint16_t> dst,
         std::vector<uint16_t> src) {
  vm::Module module;
  vm::Vcpu vcpu;
  vm::Instance instance;
  Cell cells[kMaxGenericCells + 1] = {};
  uint32_t n = emit_generic(cells, {module}, op, imm, dst.data(), src.data());
  REQUIRE(n > 0);
  cells[n].handler = &stop;
  cells->handler(cells, reinterpret_cast<std::byte*>(frame.data()), nullptr, &vcpu, &instance, 1, 2, 3, 4, 0.5, 1.5,
                 2.5, 3.5);
  CHECK(seen.pc == &cells[n]);
  for (unsigned i = 0; i < 4; ++i) {
    CHECK(seen.r[i] == i + 1);
    CHECK(seen.f[i] == i + 0.5);
  }
}

}  // namespace

TEST_CASE("every computing instruction has a generic form that fits") {
  vm::Module module;
  module.globals.push_back({{vm::kI32, true}, {}});
  module.globals.push_back({{vm::kV128, true}, {}});
  const uint16_t slots[] = {0, 2, 4, 6};
  size_t forms = 0;
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    Op op = static_cast<Op>(i);
    const vm::OpInfo& info = vm::op_info(op);
    CAPTURE(info.mnemonic);
    for (MemoryMode mode : {MemoryMode::guarded, MemoryMode::checked}) {
      for (uint32_t variant : {0u, 1u}) {
        vm::Immediate imm;
        imm.v128 = {};
        if (info.imm == vm::Imm::memarg || info.imm == vm::Imm::memarg_lane) imm.mem = {8, variant, 0};
        imm.index = imm.index2 = variant;
        imm.lane = 0;
        imm.type = variant == 0 ? vm::kI64 : vm::kV128;
        Cell cells[kMaxGenericCells + 1] = {};
        uint32_t n = emit_generic(cells, {module, mode}, op, imm, slots, slots);
        REQUIRE((n > 0) == has_generic_form(op));
        if (n == 0) continue;
        REQUIRE(n <= kMaxGenericCells);
        REQUIRE(cells[0].w != 0);
        ++forms;
      }
    }
    if (info.is_gc_object()) CHECK_FALSE(has_generic_form(op));
    // Whatever has a plain signature computes.
    if (info.signature[0] != '*' && !info.is_gc_object()) CHECK(has_generic_form(op));
  }
  CHECK(forms > 2000);
}

TEST_CASE("sources are read before the destination is written") {
  vm::Immediate none;
  std::vector<uint64_t> frame = {7, 5, 0, 0, 0, 0, 0, 0};
  run(Op::i32_sub, none, frame, {0}, {0, 1});
  CHECK(frame[0] == 2);
  // A vector result that overlaps half of an operand.
  frame = {1, 2, 10, 20, 100, 0, 0, 0};
  run(Op::i64x2_add, none, frame, {1}, {0, 2});
  CHECK(frame == std::vector<uint64_t>{1, 11, 22, 20, 100, 0, 0, 0});
  // Two results over their own operands.
  frame = {~uint64_t{0}, 1, 1, 2, 0, 0, 0, 0};
  run(Op::i64_add128, none, frame, {0, 1}, {0, 1, 2, 3});
  CHECK(frame[0] == 0);
  CHECK(frame[1] == 4);
  frame = {~uint64_t{0}, 2, 0, 0, 0, 0, 0, 0};
  run(Op::i64_mul_wide_u, none, frame, {1, 0}, {0, 1});
  CHECK(frame[1] == ~uint64_t{1});
  CHECK(frame[0] == 1);
}

TEST_CASE("results of 32 bits are zero-extended") {
  vm::Immediate none;
  std::vector<uint64_t> frame = {0xffffffff, 1, ~uint64_t{0}, 0};
  run(Op::i32_or, none, frame, {2}, {0, 1});
  CHECK(frame[2] == 0xffffffff);
  frame = {std::bit_cast<uint32_t>(1.5f), 0, ~uint64_t{0}, 0};
  run(Op::f32_neg, none, frame, {2}, {0});
  CHECK(frame[2] == std::bit_cast<uint32_t>(-1.5f));
  vm::Immediate minus_one;
  minus_one.i32 = -1;
  frame = {~uint64_t{0}};
  run(Op::i32_const, minus_one, frame, {0}, {});
  CHECK(frame[0] == 0xffffffff);
}

TEST_CASE("select of each size takes its condition last") {
  vm::Immediate imm;
  imm.type = vm::kI64;
  std::vector<uint64_t> frame = {11, 22, 0, 99, 99, 99, 99};
  run(Op::select, imm, frame, {3}, {0, 1, 2});
  CHECK(frame[3] == 22);
  imm.type = vm::kV128;
  frame = {1, 2, 3, 4, 1, 99, 99};
  run(Op::select, imm, frame, {5}, {0, 2, 4});
  CHECK(frame[5] == 1);
  CHECK(frame[6] == 2);
}

TEST_CASE("lane numbers and vector constants travel in the cells") {
  vm::Immediate imm;
  imm.v128 = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
  std::vector<uint64_t> frame(8);
  run(Op::v128_const, imm, frame, {0}, {});
  CHECK(frame[0] == imm.v128.lo);
  CHECK(frame[1] == imm.v128.hi);
  imm.lane = 9;
  run(Op::i8x16_extract_lane_u, imm, frame, {2}, {0});
  CHECK(frame[2] == 9);
  imm.lanes = {31, 30, 29, 28, 27, 26, 25, 24, 7, 6, 5, 4, 3, 2, 1, 0};
  frame = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u, 0x1716151413121110u, 0x1f1e1d1c1b1a1918u, 0, 0};
  run(Op::i8x16_shuffle, imm, frame, {4}, {0, 2});
  CHECK(frame[4] == 0x18191a1b1c1d1e1fu);
  CHECK(frame[5] == 0x0001020304050607u);
}
