// Lists of which functions and loops of an image were hot: their bytes, the files CONTENT.hot of a cache, and how runs add
// up.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "tiering/stored.h"
#include "vm/base/sha256.h"

namespace vmrun::engine {

/// Bytes of the longest list.
extern const size_t kMostHotBytes;
std::vector<std::byte> format_hot(const vm::Digest& content, std::span<const tiering::HotUnit> units);
/// Nothing: it is damaged, of another format or of another image.
std::optional<std::vector<tiering::HotUnit>> parse_hot(std::span<const std::byte> bytes, const vm::Digest& content);
/// What was hot in this process, and what was before, which fades.
std::vector<tiering::HotUnit> merge_hot(std::vector<tiering::HotUnit> now, std::span<const tiering::HotUnit> before);

/// The list of an image in a cache's folder; empty: there is none, or it is damaged.
std::vector<tiering::HotUnit> read_hot(int folder, const vm::Digest& content);
bool write_hot(int folder, const vm::Digest& content, std::span<const tiering::HotUnit> units);

}  // namespace vmrun::engine
