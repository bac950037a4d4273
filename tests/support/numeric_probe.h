// Every plain instruction of the opcode table in small functions, for comparing tiers: numeric and vector instructions,
// loads and stores, each with its operands in several places. A function takes the addresses of its operands and of its
// result; operands that are addresses themselves come as they are.
#pragma once

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/module_bytes.h"
#include "vm/wasm/opcode.h"

namespace vmrun::test {

using Cell = std::array<uint8_t, 16>;

inline constexpr uint32_t kScratchMemory = 40000;  // where stores go
inline constexpr uint32_t kResults = 50000;

template <class T>
Cell cell_of(T value) {
  Cell cell{};
  for (size_t at = 0; at < 16; at += sizeof value) std::memcpy(cell.data() + at, &value, sizeof value);
  return cell;
}
template <class T>
void add_lanes(std::vector<Cell>& cells, const std::vector<T>& values) {
  constexpr size_t kLanes = 16 / sizeof(T);
  for (size_t i = 0; i + kLanes <= values.size(); i += kLanes) {
    std::memcpy(cells.emplace_back().data(), &values[i], 16);
  }
}

inline std::vector<float> edge_floats() {
  using L = std::numeric_limits<float>;
  return {0.0f,
          -0.0f,
          1.0f,
          -1.0f,
          L::infinity(),
          -L::infinity(),
          std::bit_cast<float>(0x7fc00000u),
          std::bit_cast<float>(0xffc12345u),
          std::bit_cast<float>(0x7fa00000u),
          std::bit_cast<float>(0xff800001u),
          L::denorm_min(),
          -L::denorm_min(),
          L::min(),
          L::max(),
          L::lowest(),
          0.5f,
          1.5f,
          2.5f,
          -0.5f,
          -1.5f,
          -2.5f,
          0.1f,
          3.7f,
          -3.7f,
          8388607.5f,
          8388609.0f,
          0x1p31f,
          -0x1p31f,
          2147483520.0f,
          0x1p32f,
          4294967040.0f,
          0x1p63f,
          -0x1p63f,
          0x1p64f,
          1e30f,
          -0.99999994f};
}
inline std::vector<double> edge_doubles() {
  using L = std::numeric_limits<double>;
  return {0.0,
          -0.0,
          1.0,
          -1.0,
          L::infinity(),
          -L::infinity(),
          std::bit_cast<double>(0x7ff8000000000000u),
          std::bit_cast<double>(0xfff8000000012345u),
          std::bit_cast<double>(0x7ff4000000000000u),
          std::bit_cast<double>(0xfff0000000000001u),
          L::denorm_min(),
          -L::denorm_min(),
          L::min(),
          L::max(),
          L::lowest(),
          0.5,
          1.5,
          2.5,
          -0.5,
          -1.5,
          0.1,
          4503599627370495.5,
          4503599627370497.0,
          2147483647.0,
          2147483647.5,
          2147483648.0,
          -2147483648.0,
          -2147483648.5,
          -2147483649.0,
          4294967295.0,
          4294967295.5,
          4294967296.0,
          0x1p63,
          -0x1p63,
          0x1p64,
          0x1.fffffffffffffp63,
          0x1.fffffefffffffp-127,
          -0.9999999999999999};
}

/// Values of each operand letter of vm/wasm/opcodes.def.
inline const std::vector<Cell>& values_of(char letter) {
  static const std::vector<Cell> ints = [] {
    std::vector<Cell> out;
    for (uint32_t v :
         {0u,          1u,          2u,          7u,          8u,         9u,          15u,         16u,
          31u,         32u,         33u,         63u,         64u,        65u,         0x7fu,       0x80u,
          0xffu,       0x100u,      0x7fffu,     0x8000u,     0xffffu,    0x12345678u, 0x7fffffffu, 0x80000000u,
          0x80000001u, 0xffffff80u, 0xffff8000u, 0xfffffffeu, 0xffffffffu}) {
      out.push_back(cell_of(v));
    }
    return out;
  }();
  static const std::vector<Cell> longs = [] {
    std::vector<Cell> out;
    for (uint64_t v : {uint64_t{0},
                       uint64_t{1},
                       uint64_t{2},
                       uint64_t{31},
                       uint64_t{32},
                       uint64_t{63},
                       uint64_t{64},
                       uint64_t{65},
                       uint64_t{0x80},
                       uint64_t{0x8000},
                       uint64_t{0x7fffffff},
                       uint64_t{0x80000000},
                       uint64_t{0xffffffff},
                       uint64_t{0x100000000},
                       uint64_t{0x123456789abcdef0},
                       uint64_t{0x7fffff4000000001},
                       uint64_t{0x7fffffffffffffff},
                       uint64_t{0x8000000000000000},
                       uint64_t{0x8000000000000401},
                       uint64_t{0xffffffff80000000},
                       uint64_t{0xffffffffffffff80},
                       ~uint64_t{1},
                       ~uint64_t{0}}) {
      out.push_back(cell_of(v));
    }
    return out;
  }();
  static const std::vector<Cell> floats = [] {
    std::vector<Cell> out;
    for (float v : edge_floats()) out.push_back(cell_of(v));
    return out;
  }();
  static const std::vector<Cell> doubles = [] {
    std::vector<Cell> out;
    for (double v : edge_doubles()) out.push_back(cell_of(v));
    return out;
  }();
  static const std::vector<Cell> vectors = [] {
    std::vector<Cell> out;
    for (uint64_t v : {uint64_t{0}, ~uint64_t{0}, uint64_t{0x8080808080808080}, uint64_t{0x7f7f7f7f7f7f7f7f},
                       uint64_t{0x8000800080008000}, uint64_t{0x8000000080000000}, uint64_t{0x8000000000000000},
                       uint64_t{0x7fffffffffffffff}, uint64_t{0x0101010101010101}}) {
      out.push_back(cell_of(v));
    }
    Cell up, mixed{};
    for (unsigned i = 0; i < 16; ++i) up[i] = static_cast<uint8_t>(i);
    out.push_back(up);
    uint64_t state = 1;
    for (int n = 0; n < 4; ++n) {
      for (uint8_t& byte : mixed) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        byte = static_cast<uint8_t>(state >> 56);
      }
      out.push_back(mixed);
    }
    add_lanes<int16_t>(
        out, {0x7fff, -0x8000, -1, 0, 1, 0x100, 0xff, -0x7fff, 0x80, 0x7f, -0x80, -0x81, 0x4000, -0x4000, 2, -2});
    add_lanes<int32_t>(out, {0x7fffffff, -0x7fffffff - 1, -1, 0, 0x8000, 0xffff, -0x8000, -0x8001});
    add_lanes(out, edge_floats());
    add_lanes(out, edge_doubles());
    return out;
  }();
  static const std::vector<Cell> addresses = [] {
    std::vector<Cell> out;
    for (uint32_t v : {kScratchMemory, kScratchMemory + 3, 65536u - 16, 65536u - 9, 65536u - 8, 65536u - 7, 65536u - 4,
                       65536u - 3, 65536u - 2, 65536u - 1, 65536u, 0x7fffffffu, 0xffffffffu}) {
      out.push_back(cell_of(v));
    }
    return out;
  }();
  switch (letter) {
    case 'i': return ints;
    case 'l': return longs;
    case 'f': return floats;
    case 'd': return doubles;
    case 'p': return addresses;
    default: return vectors;
  }
}

/// Where operands are and where the result goes.
enum class Variant {
  stack,     // straight from loads
  locals,    // in locals, which have registers
  homeless,  // in locals that have none
  slots,     // in the frame
  into,      // the result goes to the first operand's local
  crowded,   // while many other operands are live
  decided,   // the result is a condition
  constant,  // the last operand is a constant
};
inline constexpr Variant kVariants[] = {Variant::stack, Variant::locals,  Variant::homeless, Variant::slots,
                                        Variant::into,  Variant::crowded, Variant::decided,  Variant::constant};

struct Probe {
  vm::Op op;
  Bytes immediate;
  std::string operands;  // letters
  char result = 0;       // letter, or 0
  Variant variant = Variant::stack;
  Cell constant{};  // of the last operand
};

namespace probe {

inline uint8_t type_byte(char letter) {
  switch (letter) {
    case 'l': return 0x7e;
    case 'f': return 0x7d;
    case 'd': return 0x7c;
    case 'v': return 0x7b;
    default: return 0x7f;
  }
}
inline void local(Bytes& code, uint8_t opcode, uint32_t index) {
  code.push_back(opcode);
  append_u32(code, index);
}
inline void get(Bytes& code, uint32_t index) { local(code, 0x20, index); }
inline void set(Bytes& code, uint32_t index) { local(code, 0x21, index); }

inline void load(Bytes& code, char letter, uint32_t address_local, uint32_t offset = 0) {
  get(code, address_local);
  if (letter == 'p') return;
  switch (letter) {
    case 'i': code.push_back(0x28); break;
    case 'l': code.push_back(0x29); break;
    case 'f': code.push_back(0x2a); break;
    case 'd': code.push_back(0x2b); break;
    default: append(code, {0xfd, 0x00}); break;
  }
  code.push_back(0);
  append_u32(code, offset);
}
inline void store(Bytes& code, char letter, uint32_t offset = 0) {
  switch (letter) {
    case 'i': code.push_back(0x36); break;
    case 'l': code.push_back(0x37); break;
    case 'f': code.push_back(0x38); break;
    case 'd': code.push_back(0x39); break;
    default: append(code, {0xfd, 0x0b}); break;
  }
  code.push_back(0);
  append_u32(code, offset);
}
inline void constant(Bytes& code, char letter, const Cell& cell) {
  auto leb = [&](int64_t v) {
    for (;; v >>= 7) {
      const bool last = v >= -64 && v < 64;
      code.push_back(static_cast<uint8_t>((v & 0x7f) | (last ? 0 : 0x80)));
      if (last) return;
    }
  };
  auto raw = [&](size_t bytes) { code.insert(code.end(), cell.begin(), cell.begin() + static_cast<ptrdiff_t>(bytes)); };
  int32_t i;
  int64_t l;
  std::memcpy(&i, cell.data(), 4);
  std::memcpy(&l, cell.data(), 8);
  switch (letter) {
    case 'l': code.push_back(0x42), leb(l); break;
    case 'f': code.push_back(0x43), raw(4); break;
    case 'd': code.push_back(0x44), raw(8); break;
    case 'v': append(code, {0xfd, 0x0c}), raw(16); break;
    default: code.push_back(0x41), leb(i); break;
  }
}
inline void instruction(Bytes& code, const Probe& probe) {
  const vm::OpInfo& info = vm::op_info(probe.op);
  if (info.prefix != 0) {
    code.push_back(info.prefix);
    append_u32(code, info.code);
  } else {
    code.push_back(static_cast<uint8_t>(info.code));
  }
  append(code, probe.immediate);
}

}  // namespace probe

/// Locals and code of a function of type (i32 i32 i32 i32) -> (): the addresses of up to three operands, or operands
/// that are addresses, then of the result.
inline Bytes body_of(const Probe& p) {
  using namespace probe;
  constexpr uint32_t kOut = 3, kFirst = 4;
  const auto count = static_cast<uint32_t>(p.operands.size());
  const uint32_t result = kFirst + count;  // a local for the result
  constexpr uint32_t kDummies = 18;
  const bool dummies = p.variant == Variant::homeless;
  Bytes body;
  append_u32(body, count + 1 + (dummies ? 2 : 0));
  for (char letter : p.operands) append(body, {1, type_byte(letter)});
  append(body, {1, type_byte(p.result == 0 ? 'i' : p.result)});
  if (dummies) {
    append(body, {kDummies, type_byte('v')});
    append(body, {kDummies, type_byte('l')});
  }
  Bytes code;
  auto operand = [&](uint32_t i) {
    if (p.variant == Variant::constant && i + 1 == count) return constant(code, p.operands[i], p.constant);
    load(code, p.operands[i], i);
  };
  const bool by_local = p.variant == Variant::locals || p.variant == Variant::homeless || p.variant == Variant::into;
  if (dummies) {
    for (uint32_t i = 0; i < 2 * kDummies; ++i) {
      for (int n = 0; n < 6; ++n) get(code, result + 1 + i), code.push_back(0x1a);
    }
  }
  if (by_local) {
    for (uint32_t i = 0; i < count; ++i) operand(i), set(code, kFirst + i);
  }
  constexpr uint32_t kCrowd = 14;
  if (p.variant == Variant::crowded) {
    for (uint32_t i = 0; i < kCrowd; ++i) {
      load(code, 'v', kOut, 64 + 16 * i);
      load(code, 'l', kOut, 64 + 16 * i);
    }
  }
  const bool to_local = p.variant == Variant::into || p.variant == Variant::crowded;
  if (!to_local && p.result != 0) get(code, kOut);
  for (uint32_t i = 0; i < count; ++i) {
    if (by_local) {
      get(code, kFirst + i);
    } else {
      operand(i);
    }
  }
  if (p.variant == Variant::slots) append(code, {0x02, 0x40, 0x0b});
  instruction(code, p);
  if (p.result != 0) {
    if (p.variant == Variant::decided) append(code, {0x04, 0x7f, 0x41, 7, 0x05, 0x41, 9, 0x0b});
    if (to_local) {
      const bool same = p.variant == Variant::into && type_byte(p.operands[0]) == type_byte(p.result);
      const uint32_t where = same ? kFirst : result;
      set(code, where);
      get(code, kOut);
      get(code, where);
    }
    store(code, p.result);
  }
  if (p.variant == Variant::crowded) {  // what was live, by way of two sums
    const uint32_t words = result + 1, vectors = result + 2;
    body[0] = static_cast<uint8_t>(count + 3);
    append(body, {1, type_byte('l'), 1, type_byte('v')});
    for (uint32_t i = 0; i < kCrowd; ++i) {
      get(code, words);
      append(code, {0x7c, 0x42, 3, 0x7e});  // add, times 3
      set(code, words);
      get(code, vectors);
      append(code, {0xfd, 0x6e, 0x41, 1, 0xfd, 0x8b, 0x01});  // i8x16.add, i16x8.shl by 1
      set(code, vectors);
    }
    get(code, kOut), get(code, words), store(code, 'l', 16);
    get(code, kOut), get(code, vectors), store(code, 'v', 32);
  }
  code.push_back(0x0b);
  append(body, code);
  return body;
}

/// A module of such functions, exported as "0", "1" and so on, and of its memory, "memory".
inline Bytes probe_module(const std::vector<Probe>& probes) {
  Bytes out = test::kHeader, funcs, exports, code;
  test::append_section(out, 1, {1, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 0});
  append_u32(funcs, static_cast<uint32_t>(probes.size()));
  funcs.resize(funcs.size() + probes.size(), 0);
  test::append_section(out, 3, funcs);
  test::append_section(out, 5, {1, 0, 1});
  append_u32(exports, static_cast<uint32_t>(probes.size() + 1));
  append(exports, {6, 'm', 'e', 'm', 'o', 'r', 'y', 2, 0});
  for (uint32_t i = 0; i < probes.size(); ++i) {
    const std::string name = std::to_string(i);
    append_u32(exports, static_cast<uint32_t>(name.size()));
    exports.insert(exports.end(), name.begin(), name.end());
    exports.push_back(0);
    append_u32(exports, i);
  }
  test::append_section(out, 7, exports);
  append_u32(code, static_cast<uint32_t>(probes.size()));
  for (const Probe& probe : probes) {
    const Bytes body = body_of(probe);
    append_u32(code, static_cast<uint32_t>(body.size()));
    append(code, body);
  }
  test::append_section(out, 10, code);
  return out;
}

/// The immediates to try an instruction with.
inline std::vector<Bytes> immediates_of(vm::Op op) {
  const vm::OpInfo& info = vm::op_info(op);
  std::vector<Bytes> out;
  switch (info.imm) {
    case vm::Imm::none: out.push_back({}); break;
    case vm::Imm::memarg: out = {{0, 0}, {0, 5}}; break;
    case vm::Imm::lane:
      for (int i = 0; i < 16 >> info.access_log2; ++i) out.push_back({static_cast<uint8_t>(i)});
      break;
    case vm::Imm::memarg_lane:
      for (int i = 0; i < 16 >> info.access_log2; ++i) out.push_back({0, 2, static_cast<uint8_t>(i)});
      break;
    default: {  // of a shuffle: of words, halves, runs, one operand alone, what machines have instructions for, any
      auto wide = [&](unsigned bytes, std::vector<uint8_t> lanes) {
        Bytes imm;
        for (uint8_t lane : lanes) {
          for (unsigned k = 0; k < bytes; ++k) imm.push_back(static_cast<uint8_t>(lane * bytes + k));
        }
        out.push_back(imm);
      };
      wide(4, {0, 1, 2, 3});
      wide(4, {4, 5, 6, 7});
      wide(4, {3, 0, 2, 2});
      wide(4, {7, 4, 6, 6});
      wide(4, {1, 0, 6, 7});
      wide(4, {6, 7, 1, 3});
      wide(4, {0, 5, 2, 7});
      wide(4, {0, 6, 2, 5});
      for (unsigned bytes : {1u, 2u, 4u, 8u}) {
        const unsigned lanes = 16 / bytes;
        for (unsigned first : {0u, lanes / 2, lanes, lanes + lanes / 2}) {
          std::vector<uint8_t> zip;
          for (unsigned i = 0; i < lanes; ++i) {
            zip.push_back(static_cast<uint8_t>((first + i / 2 + (i % 2 != 0 ? lanes : 0)) % (2 * lanes)));
          }
          wide(bytes, zip);
        }
      }
      for (unsigned first : {1u, 5u, 15u, 17u, 30u}) {
        Bytes run;
        for (unsigned i = 0; i < 16; ++i) run.push_back(static_cast<uint8_t>((first + i) % 32));
        out.push_back(run);
      }
      Bytes blend, reversed, any;
      for (unsigned i = 0; i < 16; ++i) {
        blend.push_back(static_cast<uint8_t>(i % 3 == 0 ? i + 16 : i));
        reversed.push_back(static_cast<uint8_t>(15 - i));
        any.push_back(static_cast<uint8_t>((i * 7 + 3) % 32));
      }
      append(out.emplace_back(), blend);
      append(out.emplace_back(), reversed);
      append(out.emplace_back(), any);
      break;
    }
  }
  return out;
}

/// Whether an instruction is one that probes are made of: operands on the stack, at most one result, no control.
inline bool is_plain(vm::Op op) {
  const vm::OpInfo& info = vm::op_info(op);
  const std::string_view signature = info.signature;
  if (info.family == vm::Family::atomic) return false;
  const size_t colon = signature.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon > 3 || signature.size() - colon - 1 > 1) return false;
  if (signature.find_first_not_of("ilfdvp:") != std::string_view::npos) return false;
  return info.imm == vm::Imm::none || info.imm == vm::Imm::lane || info.imm == vm::Imm::lanes ||
         info.imm == vm::Imm::memarg || info.imm == vm::Imm::memarg_lane;
}

/// All probes of an instruction in the given variants.
inline std::vector<Probe> probes_of(vm::Op op, std::span<const Variant> variants) {
  std::vector<Probe> out;
  const std::string_view signature = vm::op_info(op).signature;
  const size_t colon = signature.find(':');
  for (const Bytes& immediate : immediates_of(op)) {
    for (Variant variant : variants) {
      Probe probe{op, immediate, std::string(signature.substr(0, colon)), 0, variant, {}};
      if (colon + 1 < signature.size()) probe.result = signature[colon + 1];
      if (variant == Variant::decided && probe.result != 'i') continue;
      if (variant != Variant::constant) {
        out.push_back(probe);
        continue;
      }
      const std::vector<Cell>& values = values_of(probe.operands.back());
      for (size_t i = 0; i < values.size(); i += probe.immediate.empty() ? 1 : 4) {
        probe.constant = values[i];
        out.push_back(probe);
      }
    }
  }
  return out;
}

/// Whether an instruction adds or multiplies floats: of two NaNs, compilers let either be the first operand, whose bits
/// the processor passes on.
inline bool any_nan(vm::Op op) {
  const std::string_view name = vm::op_info(op).mnemonic;
  return name[0] == 'f' && (name.ends_with(".add") || name.ends_with(".mul") || name.ends_with("madd"));
}

/// Whether results are the same, up to the bits of NaNs where `op` leaves them open.
inline bool same_result(vm::Op op, const uint8_t* a, const uint8_t* b) {
  if (std::memcmp(a, b, 16) == 0) return true;
  if (!any_nan(op)) return false;
  const bool f64 = std::string_view(vm::op_info(op).mnemonic).starts_with("f64");
  auto lanes = [&]<class T>(T) {
    for (size_t at = 0; at < 16; at += sizeof(T)) {
      T x, y;
      std::memcpy(&x, a + at, sizeof x);
      std::memcpy(&y, b + at, sizeof y);
      if (std::memcmp(&x, &y, sizeof x) != 0 && !(x != x && y != y)) return false;
    }
    return true;
  };
  return f64 ? lanes(0.0) : lanes(0.0f);
}

}  // namespace vmrun::test
