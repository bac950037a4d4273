// Tables of handlers whose dimensions have names: a selector finds a handler by naming the place in each dimension, and
// the table's maker asks for it by the same names. Both go by the table's one declaration.
//
//   using Dest = Dim<struct DestName, kLocs>;
//   VMRUN_TABLE(vmrun_left, LeftTable, Operation<4>, Dest, OperandB)
//
//   LeftTable::find(Operation<4>{i}, Dest{d}, OperandB{b})       the handler, or null if the table has none there
//   LeftTable::at<Dest>(index)                                   which destination entry `index` is for
//
// A table is a sequence of 32-bit distances from the entry to its handler, 0 where there is none: no relocations at load.
// Its last dimension varies fastest. VMRUN_HANDLER_TABLE in handlers.h makes it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "interp/cell.h"
#include "interp/handlers/handler.h"
#include "interp/select.h"
#include "vm/base/assert.h"
#include "vm/wasm/opcode.h"

namespace vmrun::interp {

/// A place in a dimension with `kCount` places, numbered from kFirstPlace on. Name, an incomplete type, keeps dimensions
/// apart that are equally large.
template <class Name, int kCount, int kFirstPlace = 0>
struct Dim {
  static constexpr int kExtent = kCount, kFirst = kFirstPlace;
  int place;
};

template <class... Dims>
struct Table {
  static constexpr int kSize = (Dims::kExtent * ... * 1);
  static_assert(((Dims::kExtent > 0) && ...));

  /// The entry at these places, one for each dimension in the table's order.
  static constexpr int index(Dims... places) {
#ifdef VMRUN_ASSERTIONS
    VMRUN_ASSERT(((places.place >= Dims::kFirst && places.place < Dims::kFirst + Dims::kExtent) && ...),
                 "a place beyond its dimension");
#endif
    int index = 0;
    ((index = index * Dims::kExtent + places.place - Dims::kFirst), ...);
    return index;
  }

  /// The place of entry `index` in dimension D.
  template <class D>
  static constexpr int at(int index) {
    static_assert((std::is_same_v<D, Dims> + ... + 0) == 1, "the table has this dimension, once");
    return index / stride<D>() % D::kExtent + D::kFirst;
  }

 private:
  /// How many entries lie between two neighbours in dimension D.
  template <class D>
  static constexpr int stride() {
    int stride = 1;
    bool behind = false;
    ((stride *= behind ? Dims::kExtent : 1, behind |= std::is_same_v<D, Dims>), ...);
    return stride;
  }
};

/// The handler that an entry of a table stands for.
[[gnu::always_inline]] inline Handler handler_at(const int32_t& entry) {
  if (entry == 0) return nullptr;
  return reinterpret_cast<Handler>(reinterpret_cast<uintptr_t>(&entry) + static_cast<intptr_t>(entry));
}

/// Declares the table `Name` with these dimensions; `symbol` is where its entries are.
#define VMRUN_TABLE(symbol, Name, ...)                                     \
  extern "C" __attribute__((visibility("hidden"))) const int32_t symbol[]; \
  struct Name : ::vmrun::interp::Table<__VA_ARGS__> {                      \
    template <class... Places>                                             \
    static ::vmrun::interp::Handler find(Places... places) {               \
      return ::vmrun::interp::handler_at(symbol[index(places...)]);        \
    }                                                                      \
  };

// ---- dimensions --------------------------------------------------------------------------------------------------------

inline constexpr int kLocs = 5;  // the slot and the registers of a file
static_assert(kIntRegs + 1 == kLocs && kFloatRegs + 1 == kLocs);
inline constexpr int kLocsOrImm = kLocs + 1;  // and kImm
static_assert(kImm == kLocs);

/// The place of an operation, or of whatever a list names, in the list.
template <const auto& kList>
struct OperationName;
template <const auto& kList>
using Operation = Dim<OperationName<kList>, static_cast<int>(std::size(kList))>;

/// Where a result goes and where operands are. Registers: not a slot. OrImm: or a constant in the code.
using Dest = Dim<struct DestName, kLocs>;
using DestRegister = Dim<struct DestName, kIntRegs, 1>;
using OperandA = Dim<struct OperandAName, kLocs>;
using OperandAOrImm = Dim<struct OperandAName, kLocsOrImm>;
using OperandB = Dim<struct OperandBName, kLocs>;
using OperandBOrImm = Dim<struct OperandBName, kLocsOrImm>;
using OperandC = Dim<struct OperandCName, kLocs>;
using OperandCOrImm = Dim<struct OperandCName, kLocsOrImm>;

/// Whether a branch goes back (and polls).
using Back = Dim<struct BackName, 2>;
/// Whether a comparison is inverted.
using Negate = Dim<struct NegateName, 2>;
/// Whether integers have 64 bits.
using Wide = Dim<struct WideName, 2>;
/// Addressing modes with the locations of their operands, one mode after the other.
template <Address... kModes>
struct Addresses {
  /// Places of one mode: for each location of its base, and of its index.
  static constexpr int count(Address mode) {
    switch (mode) {
      case Address::base_offset:
      case Address::wrapped: return kLocs;
      case Address::indexed:
      case Address::indexed_wrapped: return kLocs * kLocs;
      case Address::absolute: return 1;
    }
    return 0;
  }
  static constexpr bool has_index(Address mode) { return mode == Address::indexed || mode == Address::indexed_wrapped; }

  using Place = Dim<Addresses, (count(kModes) + ...)>;

  /// The place of an address, or -1 if the mode is none of these. A base or an index that the mode has not does not count.
  static constexpr int place(Address mode, int base, int index) {
    int first = 0, found = -1;
    auto look = [&](Address m) {
      if (m == mode) found = first + (m == Address::absolute ? 0 : has_index(m) ? base * kLocs + index : base);
      first += count(m);
    };
    (look(kModes), ...);
    return found;
  }

  struct Parts {
    Address mode;
    int base, index;
  };
  static constexpr Parts parts(int place) {
    Parts parts{};
    int first = 0;
    auto look = [&](Address m) {
      const int at = place - first;
      if (at >= 0 && at < count(m)) parts = has_index(m) ? Parts{m, at / kLocs, at % kLocs} : Parts{m, at, 0};
      first += count(m);
    };
    (look(kModes), ...);
    return parts;
  }
};

// ---- lists of operations -------------------------------------------------------------------------------------------------

/// The place of each operation in a list, -1 for those that are not in it.
template <class List>
constexpr auto make_op_index(const List& list) {
  std::array<int16_t, vm::kOpCount> index{};
  for (auto& entry : index) entry = -1;
  for (size_t i = 0; i < std::size(list); i++) index[static_cast<size_t>(list[i])] = static_cast<int16_t>(i);
  return index;
}

/// The operations of some families, in the order of their rows.
template <vm::Family... kFamilies>
inline constexpr auto kOpsOf = [] {
  constexpr auto belongs = [](size_t i) { return ((vm::kOpInfo[i].family == kFamilies) || ...); };
  constexpr size_t count = [=] {
    size_t n = 0;
    for (size_t i = 0; i < vm::kOpCount; i++) n += belongs(i);
    return n;
  }();
  std::array<vm::Op, count> ops{};
  for (size_t i = 0, n = 0; i < vm::kOpCount; i++) {
    if (belongs(i)) ops[n++] = static_cast<vm::Op>(i);
  }
  return ops;
}();

}  // namespace vmrun::interp
