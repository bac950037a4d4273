// Floating-point instructions and conversions. Results of NaNs follow the processor, which propagates the first operand's
// payload: what the specification allows.
#include <bit>

#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

void FunctionCompiler::float_binary(D& d, InstId id, const V* args, V* result) {
  uint8_t left = fetch_vec(args[0]);
  asmjit::Operand right = source_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.emit(id, x(to), x(left), right);
  result_reg(*result, to);
}

/// The smaller of zeros of different sign is the negative one, the greater the positive one; a NaN makes a NaN.
void FunctionCompiler::float_min_max(D&, bool max, bool f64, const V* args, V* result) {
  uint8_t a = fetch_vec(args[0]), b = fetch_vec(args[1]);
  uint8_t to = take_vec();
  Label done = a_.new_label(), equal = a_.new_label(), nan = a_.new_label();
  a_.emit(f64 ? Inst::kIdVucomisd : Inst::kIdVucomiss, x(a), x(b));
  a_.jp(nan);
  a_.je(equal);
  InstId id = f64 ? (max ? Inst::kIdVmaxsd : Inst::kIdVminsd) : (max ? Inst::kIdVmaxss : Inst::kIdVminss);
  a_.emit(id, x(to), x(a), x(b));
  a_.jmp(done);
  a_.bind(nan);
  a_.emit(f64 ? Inst::kIdVaddsd : Inst::kIdVaddss, x(to), x(a), x(b));
  a_.jmp(done);
  a_.bind(equal);
  a_.emit(max ? Inst::kIdVandps : Inst::kIdVorps, x(to), x(a), x(b));
  a_.bind(done);
  result_reg(*result, to);
}

void FunctionCompiler::float_compare(D& d, Comparison which, bool f64, const V* args, V* result) {
  const V *a = &args[0], *b = &args[1];
  const InstId ucomis = f64 ? Inst::kIdVucomisd : Inst::kIdVucomiss;
  if (which == Comparison::eq || which == Comparison::ne) {
    // Unordered sets ZF too: compare to a mask instead.
    uint8_t left = fetch_vec(*a);
    asmjit::Operand right = source_vec(*b);
    a_.emit(f64 ? Inst::kIdVcmpsd : Inst::kIdVcmpss, x(kVectorScratch), x(left), right,
            asmjit::Imm(which == Comparison::eq ? 0 : 4));
    a_.vmovd(w(kScratch), x(kVectorScratch));
    a_.test(w(kScratch), w(kScratch));
    return set_flags(d, Cond::kNE, 2, result);
  }
  if (which == Comparison::lt || which == Comparison::le) std::swap(a, b);
  uint8_t left = fetch_vec(*a);
  asmjit::Operand right = source_vec(*b);
  a_.emit(ucomis, x(left), right);
  set_flags(d, which == Comparison::lt || which == Comparison::gt ? Cond::kA : Cond::kAE, 2, result);
}

void FunctionCompiler::float_sign(D& d, Op op, bool f64, const V* args, V* result) {
  const uint64_t sign = f64 ? uint64_t{1} << 63 : 0x8000000080000000;
  Mem sign_mask = pool({sign, sign}), rest_mask = pool({~sign, ~sign});
  uint8_t from = fetch_vec(args[0]);
  if (op == Op::f32_abs || op == Op::f64_abs) {
    uint8_t to = target(d, true, 1, &args[0], nullptr);
    a_.vandps(x(to), x(from), rest_mask);
    return result_reg(*result, to);
  }
  if (op == Op::f32_neg || op == Op::f64_neg) {
    uint8_t to = target(d, true, 1, &args[0], nullptr);
    a_.vxorps(x(to), x(from), sign_mask);
    return result_reg(*result, to);
  }
  uint8_t sign_from = fetch_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.vandps(x(kVectorScratch), x(sign_from), sign_mask);
  a_.vandps(x(to), x(from), rest_mask);
  a_.vorps(x(to), x(to), x(kVectorScratch));
  result_reg(*result, to);
}

/// Rounding by the processor's mode number, or the square root (16).
void FunctionCompiler::float_round(D& d, unsigned mode, bool f64, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  if (mode == 16) {
    a_.emit(f64 ? Inst::kIdVsqrtsd : Inst::kIdVsqrtss, x(to), x(from), x(from));
  } else {
    a_.emit(f64 ? Inst::kIdVroundsd : Inst::kIdVroundss, x(to), x(from), x(from), asmjit::Imm(mode));
  }
  result_reg(*result, to);
}

void FunctionCompiler::convert_float(D& d, InstId id, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.emit(id, x(to), x(from), x(from));
  result_reg(*result, to);
}

void FunctionCompiler::reinterpret(D& d, const V* args, V* result) {
  const V& a = args[0];
  const bool to_vec = is_vec(result->type);
  const bool wide = result->type == vm::kF64 || result->type == vm::kI64;
  if (a.kind == Kind::constant) {
    set_const(*result, a.bits, result->slot);
    return;
  }
  if (to_vec) {
    uint8_t from = fetch_int(a);
    uint8_t to = target(d, true, 1, nullptr, nullptr);
    if (wide) {
      a_.vmovq(x(to), q(from));
    } else {
      a_.vmovd(x(to), w(from));
    }
    return result_reg(*result, to);
  }
  uint8_t from = fetch_vec(a);
  uint8_t to = target(d, false, 1, nullptr, nullptr);
  if (wide) {
    a_.vmovq(q(to), x(from));
  } else {
    a_.vmovd(w(to), x(from));
  }
  result_reg(*result, to);
}

namespace {

uint64_t float_bits(bool f64, double value) {
  return f64 ? std::bit_cast<uint64_t>(value) : std::bit_cast<uint32_t>(static_cast<float>(value));
}

}  // namespace

void FunctionCompiler::truncate(D& d, bool from64, bool to64, bool is_signed, bool saturate, const V* args, V* result) {
  const InstId cvtt = from64 ? Inst::kIdVcvttsd2si : Inst::kIdVcvttss2si;
  const InstId ucomis = from64 ? Inst::kIdVucomisd : Inst::kIdVucomiss;
  const InstId sub = from64 ? Inst::kIdVsubsd : Inst::kIdVsubss;
  constexpr double k2to63 = 9223372036854775808.0;
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = take_int();
  Label done = a_.new_label(), bad = a_.new_label();
  if (!to64) {
    // By way of 64 bits: what does not fit 32 is out of range, and so is the 64-bit form's answer to what it cannot do.
    a_.emit(cvtt, q(to), x(from));
    if (is_signed) {
      a_.movsxd(q(kScratch), w(to));
    } else {
      a_.mov(w(kScratch), w(to));
    }
    a_.cmp(q(kScratch), q(to));
    if (is_signed) a_.mov(w(to), w(to));
    a_.je(done);
  } else if (is_signed) {
    a_.emit(cvtt, q(to), x(from));
    a_.cmp(q(to), 1);
    a_.jno(done);  // anything but the smallest integer
    if (!saturate) {
      a_.emit(ucomis, x(from), pool(float_bits(from64, -k2to63)));
      a_.jp(bad);
      a_.je(done);
    }
  } else {
    Label high = a_.new_label();
    a_.emit(ucomis, x(from), pool(float_bits(from64, k2to63)));
    a_.jp(bad);
    a_.jae(high);
    a_.emit(cvtt, q(to), x(from));
    a_.test(q(to), q(to));
    a_.jns(done);
    a_.jmp(bad);
    a_.bind(high);
    a_.emit(sub, x(kVectorScratch), x(from), pool(float_bits(from64, k2to63)));
    a_.emit(cvtt, q(to), x(kVectorScratch));
    a_.test(q(to), q(to));
    a_.js(bad);
    a_.btc(q(to), 63);
    a_.jmp(done);
  }
  a_.bind(bad);
  if (!saturate) {
    a_.emit(ucomis, x(from), x(from));
    trap_if(d, Cond::kP, TrapCode::InvalidConversionToInteger);
    trap(d, TrapCode::IntegerOverflow);
  } else {
    // NaN: 0; below: the smallest; above: the greatest.
    Label above = a_.new_label();
    a_.xor_(w(to), w(to));
    a_.vxorps(x(kVectorScratch), x(kVectorScratch), x(kVectorScratch));
    a_.emit(ucomis, x(from), x(kVectorScratch));
    a_.jp(done);
    a_.ja(above);
    if (is_signed) load_const(to, to64 ? uint64_t{1} << 63 : 0x80000000u);
    a_.jmp(done);
    a_.bind(above);
    load_const(to, to64 ? (is_signed ? INT64_MAX : UINT64_MAX) : (is_signed ? 0x7fffffffu : 0xffffffffu));
  }
  a_.bind(done);
  result_reg(*result, to);
}

void FunctionCompiler::int_to_float(D& d, bool from64, bool is_signed, bool to64, const V* args, V* result) {
  const InstId cvt = to64 ? Inst::kIdVcvtsi2sd : Inst::kIdVcvtsi2ss;
  uint8_t from = index_of(args[0]).reg();  // with a clean upper half
  uint8_t to = target(d, true, 1, nullptr, nullptr);
  a_.vxorps(x(to), x(to), x(to));  // the upper part must not wait for what was there
  if (!from64) {
    // Unsigned ones are zero-extended.
    a_.emit(cvt, x(to), x(to), gp(from, !is_signed));
  } else if (is_signed) {
    a_.emit(cvt, x(to), x(to), q(from));
  } else {
    uint8_t half = take_int();  // before the branch: it may spill
    Label high = a_.new_label(), done = a_.new_label();
    a_.test(q(from), q(from));
    a_.js(high);
    a_.emit(cvt, x(to), x(to), q(from));
    a_.jmp(done);
    a_.bind(high);
    // Half of it, the lowest bit kept for rounding, twice.
    a_.mov(q(kScratch), q(from));
    a_.mov(q(half), q(from));
    a_.shr(q(kScratch), 1);
    a_.and_(w(half), 1);
    a_.or_(q(kScratch), q(half));
    a_.emit(cvt, x(to), x(to), q(kScratch));
    a_.emit(to64 ? Inst::kIdVaddsd : Inst::kIdVaddss, x(to), x(to), x(to));
    a_.bind(done);
  }
  result_reg(*result, to);
}

}  // namespace vmrun::jit::baseline
