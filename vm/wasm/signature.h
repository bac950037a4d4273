// The signatures of vm/wasm/opcodes.def at compile time, and the distinct ones (shapes) that plain instructions have.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "vm/wasm/opcode.h"

namespace vmrun::vm {

/// A parsed signature: the letters of its operands and results.
struct Sig {
  uint8_t params = 0, results = 0;
  char param[4] = {}, result[2] = {};

  constexpr Sig() = default;
  constexpr explicit Sig(std::string_view text) {
    bool after = false;
    for (char c : text) {
      if (c == ':') {
        after = true;
      } else if (after) {
        result[results++] = c;
      } else {
        param[params++] = c;
      }
    }
  }
};

/// The type a letter stands for; `address` is what 'p' means.
constexpr ValType letter_type(char letter, ValType address = kI32) {
  switch (letter) {
    case 'i': return kI32;
    case 'l': return kI64;
    case 'f': return kF32;
    case 'd': return kF64;
    case 'v': return kV128;
    default: return address;
  }
}

/// Each instruction's signature; one operand of letter '*' where the instruction has a rule of its own.
inline constexpr auto kSignatures = [] {
  std::array<Sig, kOpCount> signatures{};
  for (size_t i = 0; i < kOpCount; ++i) signatures[i] = Sig(kOpInfo[i].signature);
  return signatures;
}();
constexpr const Sig& signature(Op op) { return kSignatures[static_cast<size_t>(op)]; }
constexpr bool has_own_rule(Op op) { return signature(op).param[0] == '*'; }

/// Whether the first operand, or the first result, of an instruction is of a type: of a numeric type, and by the opcode
/// table alone. An address has no such type.
constexpr bool takes(Op op, ValType type) { return letter_type(signature(op).param[0], kBottom) == type; }
constexpr bool gives(Op op, ValType type) { return letter_type(signature(op).result[0], kBottom) == type; }

// clang-format off
#define VMRUN_SHAPES(X)                                                                                              \
  X(none_, ":") X(none_v, ":v")                                                                                      \
  X(i_i, "i:i") X(i_l, "i:l") X(i_f, "i:f") X(i_d, "i:d") X(l_i, "l:i") X(l_l, "l:l") X(l_f, "l:f") X(l_d, "l:d")    \
  X(f_i, "f:i") X(f_l, "f:l") X(f_f, "f:f") X(f_d, "f:d") X(d_i, "d:i") X(d_l, "d:l") X(d_f, "d:f") X(d_d, "d:d")    \
  X(ii_i, "ii:i") X(ll_i, "ll:i") X(ll_l, "ll:l") X(ff_i, "ff:i") X(ff_f, "ff:f") X(dd_i, "dd:i") X(dd_d, "dd:d")    \
  X(llll_ll, "llll:ll") X(ll_ll, "ll:ll")                                                                            \
  X(v_v, "v:v") X(vv_v, "vv:v") X(vvv_v, "vvv:v") X(v_i, "v:i") X(v_l, "v:l") X(v_f, "v:f") X(v_d, "v:d")            \
  X(i_v, "i:v") X(l_v, "l:v") X(f_v, "f:v") X(d_v, "d:v")                                                            \
  X(vi_v, "vi:v") X(vl_v, "vl:v") X(vf_v, "vf:v") X(vd_v, "vd:v")                                                    \
  X(p_v, "p:v") X(pv_, "pv:") X(pv_v, "pv:v") X(p_i, "p:i") X(p_l, "p:l") X(pi_, "pi:") X(pl_, "pl:")                \
  X(pi_i, "pi:i") X(pl_l, "pl:l") X(pii_i, "pii:i") X(pll_l, "pll:l") X(pil_i, "pil:i") X(pll_i, "pll:i")            \
  X(pip_, "pip:")
// clang-format on

/// The signature of a plain instruction as a small number; `other` where there is a rule of its own, or where the
/// decoder names the instruction itself.
enum class Shape : uint8_t {
  other,
#define VMRUN_SHAPE(name, text) name,
  VMRUN_SHAPES(VMRUN_SHAPE)
#undef VMRUN_SHAPE
};

constexpr Shape shape_of(std::string_view text) {
#define VMRUN_SHAPE(name, t) \
  if (text == t) return Shape::name;
  VMRUN_SHAPES(VMRUN_SHAPE)
#undef VMRUN_SHAPE
  return Shape::other;
}

inline constexpr auto kShapes = [] {
  std::array<Shape, kOpCount> shapes{};
  for (size_t i = 0; i < kOpCount; ++i) shapes[i] = shape_of(kOpInfo[i].signature);
  return shapes;
}();

}  // namespace vmrun::vm
