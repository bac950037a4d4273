// Pairs of integer operations, minimum and maximum, counted loops, test-and-branch, moves in pairs.
#include "interp/formulas.h"
#include "interp/fused.h"
#include "interp/handlers.h"

namespace vmrun::interp::ir {

using vm::Op;

namespace {

template <auto F>
using OperandOf = typename Signature<decltype(F)>::First;

template <auto F1, auto F2, int D, int A, int C>
VMRUN_HANDLER imm_then_reg(VMRUN_PARAMS) {
  using T = OperandOf<F1>;
  T k = static_cast<T>(static_cast<int64_t>(static_cast<int16_t>(pc->d)));
  T x = VMRUN_GET(T, A, b), z = VMRUN_GET(T, C, c);
  VMRUN_SET(D, a, rules::imm_then_reg(F1, F2, x, k, z));
  VMRUN_NEXT;
}
template <auto F1, auto F2, int D, int A, int B>
VMRUN_HANDLER reg_then_imm(VMRUN_PARAMS) {
  using T = OperandOf<F1>;
  T k = static_cast<T>(static_cast<int64_t>(static_cast<int16_t>(pc->d)));
  T x = VMRUN_GET(T, A, b), y = VMRUN_GET(T, B, c);
  VMRUN_SET(D, a, rules::reg_then_imm(F1, F2, x, y, k));
  VMRUN_NEXT;
}
template <auto F1, auto F2, int D, int A, int B, int C>
VMRUN_HANDLER reg_then_reg(VMRUN_PARAMS) {
  using T = OperandOf<F1>;
  T x = VMRUN_GET(T, A, b), y = VMRUN_GET(T, B, c), z = VMRUN_GET(T, C, d);
  VMRUN_SET(D, a, rules::reg_then_reg(F1, F2, x, y, z));
  VMRUN_NEXT;
}
template <auto F1, auto F2, int D, int A>
VMRUN_HANDLER imm_then_imm(VMRUN_PARAMS) {
  using T = OperandOf<F1>;
  T x = VMRUN_GET(T, A, b);
  VMRUN_SET(D, a, rules::imm_then_imm(F1, F2, x, static_cast<T>(pc[1].w), static_cast<T>(pc[1].u)));
  VMRUN_NEXT2;
}
template <auto F1, auto F2, int D, int A>
VMRUN_HANDLER xor_pair(VMRUN_PARAMS) {
  using T = OperandOf<F1>;
  T x = VMRUN_GET(T, A, b);
  VMRUN_SET(D, a, rules::xor_pair(F1, F2, x, T{pc->c}, T{pc->d}));
  VMRUN_NEXT;
}

struct OpPair {
  Op o1, o2;
};
template <const auto& kPairs>
struct PairList {
  static constexpr int kCount = static_cast<int>(std::size(kPairs));
  template <int I>
  static constexpr auto first = vm::kMeaning<kPairs[I].o1>;
  template <int I>
  static constexpr auto second = vm::kMeaning<kPairs[I].o2>;
};
// The pairs.
constexpr OpPair kImmThenReg[] = {
    {Op::i32_shl, Op::i32_add},   {Op::i32_shl, Op::i32_xor},   {Op::i32_shl, Op::i32_or},
    {Op::i32_shr_u, Op::i32_xor}, {Op::i32_shr_u, Op::i32_add}, {Op::i32_shr_u, Op::i32_and},
    {Op::i32_shr_u, Op::i32_or},  {Op::i32_shr_s, Op::i32_add}, {Op::i32_rotl, Op::i32_xor},
    {Op::i32_rotl, Op::i32_add},  {Op::i32_and, Op::i32_add},   {Op::i32_and, Op::i32_or},
    {Op::i32_and, Op::i32_xor},   {Op::i32_add, Op::i32_add},   {Op::i32_add, Op::i32_and},
    {Op::i32_mul, Op::i32_add},   {Op::i32_xor, Op::i32_and},   {Op::i64_shl, Op::i64_add},
    {Op::i64_shl, Op::i64_xor},   {Op::i64_shl, Op::i64_or},    {Op::i64_shr_u, Op::i64_xor},
    {Op::i64_shr_u, Op::i64_add}, {Op::i64_rotl, Op::i64_xor},  {Op::i64_rotl, Op::i64_add},
    {Op::i64_and, Op::i64_add},   {Op::i64_and, Op::i64_or},    {Op::i64_mul, Op::i64_add},
};
constexpr OpPair kRegThenImm[] = {
    {Op::i32_add, Op::i32_add}, {Op::i32_add, Op::i32_and},  {Op::i32_xor, Op::i32_and},   {Op::i32_and, Op::i32_shl},
    {Op::i32_add, Op::i32_shl}, {Op::i32_sub, Op::i32_add},  {Op::i32_xor, Op::i32_rotl},  {Op::i32_sub, Op::i32_shr_s},
    {Op::i32_mul, Op::i32_add}, {Op::i32_or, Op::i32_and},   {Op::i32_shr_u, Op::i32_and}, {Op::i32_add, Op::i32_rotl},
    {Op::i64_add, Op::i64_add}, {Op::i64_xor, Op::i64_rotl}, {Op::i64_add, Op::i64_and},   {Op::i64_shr_u, Op::i64_and},
    {Op::i64_mul, Op::i64_add}, {Op::i64_add, Op::i64_rotl},
};
constexpr OpPair kRegThenReg[] = {
    {Op::i32_add, Op::i32_add}, {Op::i32_xor, Op::i32_and}, {Op::i32_xor, Op::i32_xor}, {Op::i32_and, Op::i32_xor},
    {Op::i32_and, Op::i32_or},  {Op::i32_and, Op::i32_add}, {Op::i32_xor, Op::i32_add}, {Op::i32_mul, Op::i32_add},
    {Op::i32_add, Op::i32_xor}, {Op::i32_or, Op::i32_or},   {Op::i32_or, Op::i32_and},  {Op::i32_sub, Op::i32_add},
    {Op::i64_add, Op::i64_add}, {Op::i64_mul, Op::i64_add}, {Op::i64_xor, Op::i64_xor}, {Op::i64_xor, Op::i64_add},
    {Op::i64_add, Op::i64_xor}, {Op::i64_and, Op::i64_or},  {Op::i64_and, Op::i64_xor},
};
constexpr OpPair kImmThenImm[] = {
    {Op::i32_shr_u, Op::i32_and}, {Op::i32_and, Op::i32_shl},   {Op::i32_shl, Op::i32_add},
    {Op::i32_shl, Op::i32_and},   {Op::i32_and, Op::i32_shr_u}, {Op::i32_and, Op::i32_add},
    {Op::i32_add, Op::i32_and},   {Op::i32_mul, Op::i32_add},   {Op::i32_add, Op::i32_shl},
    {Op::i32_add, Op::i32_shr_u}, {Op::i32_rotl, Op::i32_and},  {Op::i32_and, Op::i32_rotl},
    {Op::i32_and, Op::i32_or},    {Op::i32_shr_s, Op::i32_and}, {Op::i32_shr_u, Op::i32_mul},
    {Op::i32_shl, Op::i32_shr_s}, {Op::i32_and, Op::i32_eq},    {Op::i32_and, Op::i32_ne},
    {Op::i32_and, Op::i32_lt_u},  {Op::i32_add, Op::i32_lt_u},  {Op::i32_add, Op::i32_gt_u},
    {Op::i32_shl, Op::i32_or},    {Op::i32_mul, Op::i32_shr_u}, {Op::i64_shr_u, Op::i64_and},
    {Op::i64_and, Op::i64_shl},   {Op::i64_shl, Op::i64_add},   {Op::i64_and, Op::i64_shr_u},
    {Op::i64_mul, Op::i64_add},   {Op::i64_and, Op::i64_eq},    {Op::i64_add, Op::i64_and},
};
constexpr OpPair kXorPair[] = {
    {Op::i32_rotl, Op::i32_rotl},   {Op::i32_rotr, Op::i32_rotr},  {Op::i32_rotl, Op::i32_shr_u},
    {Op::i32_shr_u, Op::i32_shr_u}, {Op::i32_shl, Op::i32_shr_u},  {Op::i32_rotr, Op::i32_shr_u},
    {Op::i64_rotl, Op::i64_rotl},   {Op::i64_rotl, Op::i64_shr_u}, {Op::i64_shl, Op::i64_shr_u},
    {Op::i64_rotr, Op::i64_rotr},   {Op::i64_rotr, Op::i64_shr_u},
};
using ImmThenReg = PairList<kImmThenReg>;
using RegThenImm = PairList<kRegThenImm>;
using RegThenReg = PairList<kRegThenReg>;
using ImmThenImm = PairList<kImmThenImm>;
using XorPair = PairList<kXorPair>;

struct ImmThenRegGen {
  static constexpr int kSize = ImmThenReg::kCount * 125;
  template <int I>
  static constexpr Handler get() {
    return &imm_then_reg<ImmThenReg::first<I / 125>, ImmThenReg::second<I / 125>, I / 25 % 5, I / 5 % 5, I % 5>;
  }
};
struct RegThenImmGen {
  static constexpr int kSize = RegThenImm::kCount * 125;
  template <int I>
  static constexpr Handler get() {
    constexpr int a = I / 5 % 5, b = I % 5;
    if constexpr (vm::commutes(kRegThenImm[I / 125].o1) && a > b) {
      return nullptr;
    } else {
      return &reg_then_imm<RegThenImm::first<I / 125>, RegThenImm::second<I / 125>, I / 25 % 5, a, b>;
    }
  }
};
struct RegThenRegGen {
  static constexpr int kSize = RegThenReg::kCount * 625;
  template <int I>
  static constexpr Handler get() {
    constexpr int a = I / 25 % 5, b = I / 5 % 5;
    if constexpr (vm::commutes(kRegThenReg[I / 625].o1) && a > b) {
      return nullptr;
    } else {
      return &reg_then_reg<RegThenReg::first<I / 625>, RegThenReg::second<I / 625>, I / 125 % 5, a, b, I % 5>;
    }
  }
};
struct ImmThenImmGen {
  static constexpr int kSize = ImmThenImm::kCount * 25;
  template <int I>
  static constexpr Handler get() {
    return &imm_then_imm<ImmThenImm::first<I / 25>, ImmThenImm::second<I / 25>, I / 5 % 5, I % 5>;
  }
};
struct XorPairGen {
  static constexpr int kSize = XorPair::kCount * 25;
  template <int I>
  static constexpr Handler get() {
    return &xor_pair<XorPair::first<I / 25>, XorPair::second<I / 25>, I / 5 % 5, I % 5>;
  }
};

// ---- minimum and maximum -----------------------------------------------------------------------------------------------

template <auto F, int D, int A, int B>
VMRUN_HANDLER min_max(VMRUN_PARAMS) {
  using T = OperandOf<F>;
  T x = VMRUN_GET(T, A, b), y = VMRUN_GET(T, B, c);
  VMRUN_SET(D, a, rules::choose(F, x, y));
  VMRUN_NEXT;
}
constexpr Op kMinMaxOps[] = {Op::i32_lt_s, Op::i32_lt_u, Op::i32_gt_s, Op::i32_gt_u, Op::i64_lt_s, Op::i64_gt_s};
using MinMaxFunctions = FunctionsOf<kMinMaxOps>;
struct MinMaxGen {
  static constexpr int kSize = MinMaxFunctions::kCount * 125;
  template <int I>
  static constexpr Handler get() {
    return &min_max<MinMaxFunctions::at<I / 125>, I / 25 % 5, I / 5 % 5, I % 5>;
  }
};

// ---- branches ----------------------------------------------------------------------------------------------------------

template <bool Equal, bool Back, int A, int B>
VMRUN_HANDLER branch_test(VMRUN_PARAMS) {
  uint32_t x = VMRUN_GET(uint32_t, A, a), y;
  if constexpr (B == kImm) {
    y = static_cast<uint32_t>(pc[1].u);
  } else {
    y = VMRUN_GET(uint32_t, B, b);
  }
  if (((x & y) == 0) == Equal) {
    if constexpr (Back) {
      VMRUN_BACK_EDGE(pc + pc->imm);
    } else {
      VMRUN_DISPATCH(pc + pc->imm);
    }
  }
  if constexpr (B == kImm) {
    VMRUN_NEXT2;
  } else {
    VMRUN_NEXT;
  }
}
// Index: ((equal * 2 + back) * 5 + a) * 6 + b
struct BranchTestGen {
  static constexpr int kSize = 4 * 30;
  template <int I>
  static constexpr Handler get() {
    return &branch_test<(I / 60 != 0), (I / 30 % 2 != 0), I / 6 % 5, I % 6>;
  }
};

template <auto F, int A, int B>
VMRUN_HANDLER count_branch(VMRUN_PARAMS) {
  using T = OperandOf<F>;
  T x = static_cast<T>(VMRUN_GET(T, A, a) + static_cast<T>(static_cast<int64_t>(static_cast<int16_t>(pc->b)))), y;
  VMRUN_SET(A, a, x);
  if constexpr (B == kImm) {
    y = static_cast<T>(pc[1].u);
  } else {
    y = VMRUN_GET_OF(T, B, pc[1], a);
  }
  if (F(x, y)) VMRUN_BACK_EDGE(pc + pc->imm);
  VMRUN_NEXT2;
}
constexpr const auto& kCountOps = kOpsOf<vm::Family::int_compare>;
using CountFunctions = FunctionsOf<kCountOps>;
constexpr auto kCountIndex = make_op_index(kCountOps);
struct CountBranchGen {
  static constexpr int kSize = CountFunctions::kCount * 30;
  template <int I>
  static constexpr Handler get() {
    return &count_branch<CountFunctions::at<I / 30>, I / 6 % 5, I % 6>;
  }
};

// ---- moves -------------------------------------------------------------------------------------------------------------

template <int D1, int A1, int D2, int A2>
VMRUN_HANDLER move_move(VMRUN_PARAMS) {
  uint64_t x, y;
  if constexpr (A1 == kImm) {
    x = static_cast<uint32_t>(pc->imm);
  } else {
    x = VMRUN_GET(uint64_t, A1, b);
  }
  VMRUN_SET(D1, a, x);
  if constexpr (A2 == kImm) {
    y = static_cast<uint32_t>(pc[1].imm);
  } else {
    y = VMRUN_GET_OF(uint64_t, A2, pc[1], b);
  }
  VMRUN_SET_OF(D2, pc[1], a, y);
  VMRUN_NEXT2;
}
struct MoveMoveGen {
  static constexpr int kSize = 30 * 30;
  template <int I>
  static constexpr Handler get() {
    return &move_move<I / 180, I / 30 % 6, I / 6 % 5, I % 6>;
  }
};

// ---- returns -----------------------------------------------------------------------------------------------------------

template <auto F, int A, int B>
VMRUN_HANDLER binary_return(VMRUN_PARAMS) {
  using T = OperandOf<F>;
  T x = VMRUN_GET(T, A, b), y;
  if constexpr (B == kImm) {
    y = static_cast<T>(static_cast<int64_t>(pc->imm));
  } else {
    y = VMRUN_GET(T, B, c);
  }
  r0 = F(x, y);
  VMRUN_RETURN;
}
constexpr Op kReturnOps[] = {Op::i32_add, Op::i32_sub, Op::i32_mul,   Op::i32_and, Op::i32_or,
                             Op::i32_xor, Op::i32_shl, Op::i32_shr_u, Op::i64_add, Op::i64_sub,
                             Op::i64_mul, Op::i64_and, Op::i64_or,    Op::i64_xor};
using ReturnFunctions = FunctionsOf<kReturnOps>;
constexpr auto kReturnIndex = make_op_index(kReturnOps);
struct BinaryReturnGen {
  static constexpr int kSize = ReturnFunctions::kCount * 30;
  template <int I>
  static constexpr Handler get() {
    return &binary_return<ReturnFunctions::at<I / 30>, I / 6 % 5, I % 6>;
  }
};

template <size_t N>
int find_pair(const OpPair (&list)[N], Op o1, Op o2) {
  for (size_t i = 0; i < N; i++) {
    if (list[i].o1 == o1 && list[i].o2 == o2) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

// clang-format off
VMRUN_HANDLER_TABLE(vmrun_imm_then_reg, ImmThenRegGen)
VMRUN_HANDLER_TABLE(vmrun_reg_then_imm, RegThenImmGen)
VMRUN_HANDLER_TABLE(vmrun_reg_then_reg, RegThenRegGen)
VMRUN_HANDLER_TABLE(vmrun_imm_then_imm, ImmThenImmGen)
VMRUN_HANDLER_TABLE(vmrun_xor_pair, XorPairGen)
VMRUN_HANDLER_TABLE(vmrun_min_max, MinMaxGen)
VMRUN_HANDLER_TABLE(vmrun_branch_test, BranchTestGen)
VMRUN_HANDLER_TABLE(vmrun_count_branch, CountBranchGen)
VMRUN_HANDLER_TABLE(vmrun_move_move, MoveMoveGen)
VMRUN_HANDLER_TABLE(vmrun_binary_return, BinaryReturnGen)
// clang-format on

namespace {
constexpr auto kOuter = [] {
  std::array<bool, vm::kOpCount> outer{};
  for (const OpPair& p : kImmThenReg) outer[static_cast<size_t>(p.o2)] = true;
  for (const OpPair& p : kRegThenImm) outer[static_cast<size_t>(p.o2)] = true;
  for (const OpPair& p : kRegThenReg) outer[static_cast<size_t>(p.o2)] = true;
  for (const OpPair& p : kImmThenImm) outer[static_cast<size_t>(p.o2)] = true;
  outer[static_cast<size_t>(Op::i32_xor)] = outer[static_cast<size_t>(Op::i64_xor)] = true;
  return outer;
}();
}  // namespace

bool is_fusible_outer(Op outer) { return kOuter[static_cast<size_t>(outer)]; }

int fused_pair(Form form, Op o1, Op o2) {
  switch (form) {
    case Form::imm_then_reg: return find_pair(kImmThenReg, o1, o2);
    case Form::reg_then_imm: return find_pair(kRegThenImm, o1, o2);
    case Form::reg_then_reg: return find_pair(kRegThenReg, o1, o2);
    case Form::imm_then_imm: return find_pair(kImmThenImm, o1, o2);
    case Form::xor_pair: return find_pair(kXorPair, o1, o2);
  }
  return -1;
}

Handler select_pair(Form form, int pair, int d, int a, int b, int c) {
  switch (form) {
    case Form::imm_then_reg: return lookup_vmrun_imm_then_reg(((pair * 5 + d) * 5 + a) * 5 + c);
    case Form::reg_then_imm: return lookup_vmrun_reg_then_imm(((pair * 5 + d) * 5 + a) * 5 + b);
    case Form::reg_then_reg: return lookup_vmrun_reg_then_reg((((pair * 5 + d) * 5 + a) * 5 + b) * 5 + c);
    case Form::imm_then_imm: return lookup_vmrun_imm_then_imm((pair * 5 + d) * 5 + a);
    case Form::xor_pair: return lookup_vmrun_xor_pair((pair * 5 + d) * 5 + a);
  }
  return nullptr;
}

int fused_min_max(Op compare) {
  for (int i = 0; i < MinMaxFunctions::kCount; i++) {
    if (kMinMaxOps[i] == compare) return i;
  }
  return -1;
}
Handler select_min_max(int index, int d, int a, int b) {
  return lookup_vmrun_min_max(((index * 5 + d) * 5 + a) * 5 + b);
}

Handler select_branch_test(Op op, bool back, int a, int b) {
  return lookup_vmrun_branch_test((((op == Op::i32_eq) * 2 + back) * 5 + a) * 6 + b);
}

Handler select_count_branch(Op compare, int a, int x) {
  int i = kCountIndex[static_cast<size_t>(compare)];
  return i < 0 ? nullptr : lookup_vmrun_count_branch((i * 5 + a) * 6 + x);
}

Handler select_move_move(int d1, int a1, int d2, int a2) {
  return lookup_vmrun_move_move(((d1 * 6 + a1) * 5 + d2) * 6 + a2);
}

Handler select_binary_return(Op op, int a, int b) {
  int i = kReturnIndex[static_cast<size_t>(op)];
  return i < 0 ? nullptr : lookup_vmrun_binary_return((i * 5 + a) * 6 + b);
}

}  // namespace vmrun::interp::ir
