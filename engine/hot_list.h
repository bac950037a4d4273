// Lists of which functions and loops of an image were hot: their bytes, the files CONTENT.hot of a cache, and how runs add
// up.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "tiering/stored.h"
#include "vm/base/sha256.h"

namespace vmrun::engine {

/// What earlier runs of an image found out about its heat.
struct HotList {
  std::vector<tiering::HotUnit> units;  // by rising function
  std::chrono::nanoseconds run{0};      // how long they took, on average; 0: there was none
  /// How many runs the heat is of, in 256ths: those that found some, each as its heat counts, those before the last 256 for
  /// less and less.
  uint32_t runs = 0;
};

/// Bytes of the longest list.
extern const size_t kMostHotBytes;
std::vector<std::byte> format_hot(const vm::Digest& content, const HotList& list);
/// Nothing: it is damaged, of another format or of another image.
std::optional<HotList> parse_hot(std::span<const std::byte> bytes, const vm::Digest& content);
/// What was hot in this run, which took so long, and what was in those before.
HotList merge_hot(HotList now, const HotList& before);

/// The list of an image in a cache's folder; empty: there is none, or it is damaged.
HotList read_hot(int folder, const vm::Digest& content);
bool write_hot(int folder, const vm::Digest& content, const HotList& list);

}  // namespace vmrun::engine
