// See hot_list.h.
#include "engine/hot_list.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "engine/cache.h"
#include "engine/cache_files.h"

namespace vmrun::engine {

using tiering::HotUnit;

namespace {

constexpr std::array<char, 8> kHotMagic = {'v', 'm', 'r', 'u', 'n', '\0', 'h', 't'};
constexpr uint32_t kHotFormat = 1;
constexpr uint32_t kMostHot = 10'000;
/// More heat is not remembered: ten seconds.
constexpr uint32_t kMostHeat = 250'000'000;

struct HotHeader {
  std::array<char, 8> magic = kHotMagic;
  uint32_t format = kHotFormat;
  uint32_t count = 0;
  vm::Digest content;
  vm::Digest hash;  // of what stands above, and of the units that follow
};
static_assert(sizeof(HotHeader) == 80 && sizeof(HotUnit) == 16);

vm::Digest hash_of(const HotHeader& header, std::span<const HotUnit> units) {
  return vm::Sha256()
      .add(std::as_bytes(std::span(&header, 1)).first(offsetof(HotHeader, hash)))
      .add(std::as_bytes(units))
      .finish();
}

auto place_of(const HotUnit& unit) { return std::pair(unit.func_index, unit.unit); }

}  // namespace

std::vector<HotUnit> read_hot(int folder, const vm::Digest& content) {
  uint64_t bytes = 0;
  Refusal refusal;
  const std::string name = hot_name(content_name(content));
  const FileDescriptor file(open_cache_file(folder, name, bytes, refusal));
  HotHeader header;
  if (file.number < 0 || bytes < sizeof header || bytes > sizeof header + kMostHot * sizeof(HotUnit)) return {};
  std::vector<HotUnit> units((bytes - sizeof header) / sizeof(HotUnit));
  if (!read_whole(file.number, 0, std::as_writable_bytes(std::span(&header, 1))) ||
      !read_whole(file.number, sizeof header, std::as_writable_bytes(std::span(units)))) {
    return {};
  }
  if (header.magic != kHotMagic || header.format != kHotFormat || header.count != units.size() ||
      header.content != content || header.hash != hash_of(header, units) ||
      !std::ranges::is_sorted(units, {}, &place_of)) {
    VMRUN_LOG_AT(cache_log(), info, "{} is ignored: it is damaged or of another format", name);
    return {};
  }
  return units;
}

std::vector<HotUnit> merge_hot(std::vector<HotUnit> now, std::span<const HotUnit> before) {
  std::vector<HotUnit> out = std::move(now);
  const size_t fresh = out.size();
  for (HotUnit& unit : out) {
    const auto old = std::ranges::lower_bound(before, place_of(unit), {}, &place_of);
    const bool known = old != before.end() && place_of(*old) == place_of(unit);
    const uint64_t heat = known ? old->heat : 0;
    // What was stored as optimised code is as hot as it was. Of all else the runs add up, so that what is hot in many
    // short ones is optimised in the end.
    unit.heat = static_cast<uint32_t>(
        std::clamp<uint64_t>(unit.heat == 0 ? heat : unit.heat + heat / 4 * 3, tiering::kLeastHeat, kMostHeat));
  }
  for (HotUnit unit : before) {
    unit.heat = std::min(unit.heat / 2, kMostHeat);
    const bool again = std::ranges::binary_search(std::span(out).first(fresh), place_of(unit), {}, &place_of);
    if (!again && unit.heat >= tiering::kLeastHeat) out.push_back(unit);
  }
  if (out.size() > kMostHot) {
    std::ranges::nth_element(out, out.begin() + kMostHot, std::ranges::greater(), &HotUnit::heat);
    out.resize(kMostHot);
  }
  std::ranges::sort(out, {}, &place_of);
  return out;
}

bool write_hot(int folder, const vm::Digest& content, std::span<const HotUnit> units) {
  HotHeader header;
  header.count = static_cast<uint32_t>(units.size());
  header.content = content;
  header.hash = hash_of(header, units);
  NewFile file(folder);
  return file.write(std::as_bytes(std::span(&header, 1))) && file.write(std::as_bytes(units)) &&
         file.finish(hot_name(content_name(content)));
}

}  // namespace vmrun::engine
