#include "interp/rules.h"

#include <array>
#include <utility>

#include "vm/numeric/meaning.h"

namespace vmrun::interp::rules {

using vm::Family;
using vm::Op;

namespace {

using Folder = uint64_t (*)(uint64_t a, uint64_t b);

template <class R, class T>
constexpr T operand_type(R (*)(T, T));

template <Op op>
uint64_t folded(uint64_t a, uint64_t b) {
  using T = decltype(operand_type(vm::kMeaning<op>));
  return vm::kMeaning<op>(static_cast<T>(a), static_cast<T>(b));
}

template <Op op>
constexpr Folder folder_of() {
  if constexpr (vm::family(op) == Family::int_binary || vm::family(op) == Family::int_compare) {
    return &folded<op>;
  } else {
    return nullptr;
  }
}

constexpr auto kFolders = []<size_t... I>(std::index_sequence<I...>) {
  return std::array<Folder, vm::kOpCount>{folder_of<static_cast<Op>(I)>()...};
}(std::make_index_sequence<vm::kOpCount>{});

}  // namespace

bool fold(Op op, uint64_t a, uint64_t b, uint64_t& out) {
  const Folder folder = kFolders[static_cast<size_t>(op)];
  if (folder == nullptr) return false;
  out = folder(a, b);
  return true;
}

}  // namespace vmrun::interp::rules
