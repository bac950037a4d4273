// Which functions and loops of an image were hot: CONTENT.hot in a cache.
#pragma once

#include <span>
#include <vector>

#include "tiering/stored.h"
#include "vm/base/sha256.h"

namespace vmrun::engine {

/// The list of an image; empty: there is none, or it is damaged.
std::vector<tiering::HotUnit> read_hot(int folder, const vm::Digest& content);
/// What was hot in this process, and what was before, which fades.
std::vector<tiering::HotUnit> merge_hot(std::vector<tiering::HotUnit> now, std::span<const tiering::HotUnit> before);
bool write_hot(int folder, const vm::Digest& content, std::span<const tiering::HotUnit> units);

}  // namespace vmrun::engine
