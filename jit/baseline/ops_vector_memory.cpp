// Vector loads and stores other than whole vectors.
#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

std::span<const FunctionCompiler::Row> FunctionCompiler::vector_memory_rows() {
  using F = FunctionCompiler;
  static constexpr Row kRows[] = {
      {Op::v128_load8x8_s, &F::vec_load, Inst::kIdVpmovsxbw},
      {Op::v128_load8x8_u, &F::vec_load, Inst::kIdVpmovzxbw},
      {Op::v128_load16x4_s, &F::vec_load, Inst::kIdVpmovsxwd},
      {Op::v128_load16x4_u, &F::vec_load, Inst::kIdVpmovzxwd},
      {Op::v128_load32x2_s, &F::vec_load, Inst::kIdVpmovsxdq},
      {Op::v128_load32x2_u, &F::vec_load, Inst::kIdVpmovzxdq},
      {Op::v128_load8_splat, &F::vec_load, Inst::kIdVpbroadcastb},
      {Op::v128_load16_splat, &F::vec_load, Inst::kIdVpbroadcastw},
      {Op::v128_load32_splat, &F::vec_load, Inst::kIdVbroadcastss},
      {Op::v128_load64_splat, &F::vec_load, Inst::kIdVmovddup},
      {Op::v128_load32_zero, &F::vec_load, Inst::kIdVmovss},
      {Op::v128_load64_zero, &F::vec_load, Inst::kIdVmovsd},
      {Op::v128_load8_lane, &F::vec_load_lane, Inst::kIdVpinsrb},
      {Op::v128_load16_lane, &F::vec_load_lane, Inst::kIdVpinsrw},
      {Op::v128_load32_lane, &F::vec_load_lane, Inst::kIdVpinsrd},
      {Op::v128_load64_lane, &F::vec_load_lane, Inst::kIdVpinsrq},
      {Op::v128_store8_lane, &F::vec_store_lane, Inst::kIdVpextrb},
      {Op::v128_store16_lane, &F::vec_store_lane, Inst::kIdVpextrw},
      {Op::v128_store32_lane, &F::vec_store_lane, Inst::kIdVpextrd},
      {Op::v128_store64_lane, &F::vec_store_lane, Inst::kIdVpextrq},
  };
  return kRows;
}

/// The accessed bytes of memory as an operand. To be followed by the access.
asmjit::x86::Mem FunctionCompiler::vector_access(D& d, const Row& row, const Imm& imm, const V& index) {
  const unsigned size = access_size(row);
  Mem mem = address(d, imm.mem, index, size);
  mem.setSize(size);
  mark(d);
  return mem;
}

void FunctionCompiler::vec_load(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  uint8_t to = target(d, true, 1, nullptr, nullptr);
  Mem mem = vector_access(d, row, imm, args[0]);
  a_.emit(row.id, x(to), mem);
  result_reg(*result, to);
}

void FunctionCompiler::vec_load_lane(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  uint8_t from = fetch_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[1], nullptr);
  Mem mem = vector_access(d, row, imm, args[0]);
  a_.emit(row.id, x(to), x(from), mem, asmjit::Imm(imm.lane));
  result_reg(*result, to);
}

void FunctionCompiler::vec_store_lane(D& d, const Row& row, const Imm& imm, const V* args, V*) {
  uint8_t from = fetch_vec(args[1]);
  Mem mem = vector_access(d, row, imm, args[0]);
  // The halves and the lowest quarter have stores of their own, which are faster.
  if (row.id == Inst::kIdVpextrq) {
    a_.emit(imm.lane == 0 ? Inst::kIdVmovlps : Inst::kIdVmovhps, mem, x(from));
  } else if (row.id == Inst::kIdVpextrd && imm.lane == 0) {
    a_.vmovss(mem, x(from));
  } else {
    a_.emit(row.id, mem, x(from), asmjit::Imm(imm.lane));
  }
}

}  // namespace vmrun::jit::baseline
