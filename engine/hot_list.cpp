// See hot_list.h.
#include "engine/hot_list.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "engine/cache.h"
#include "engine/cache_files.h"

namespace vmrun::engine {
namespace {

using tiering::HotUnit;

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

auto name_of(const HotUnit& unit) { return std::pair(unit.func_index, unit.unit); }

}  // namespace

const size_t kMostHotBytes = sizeof(HotHeader) + kMostHot * sizeof(HotUnit);

std::optional<std::vector<HotUnit>> parse_hot(std::span<const std::byte> bytes, const vm::Digest& content) {
  HotHeader header;
  if (bytes.size() < sizeof header || bytes.size() > kMostHotBytes) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  std::vector<HotUnit> units((bytes.size() - sizeof header) / sizeof(HotUnit));
  if (!units.empty()) std::memcpy(units.data(), bytes.data() + sizeof header, units.size() * sizeof(HotUnit));
  if (header.magic != kHotMagic || header.format != kHotFormat || header.count != units.size() ||
      header.content != content || header.hash != hash_of(header, units) ||
      !std::ranges::is_sorted(units, {}, &name_of)) {
    return std::nullopt;
  }
  return units;
}

std::vector<HotUnit> merge_hot(std::vector<HotUnit> now, std::span<const HotUnit> before) {
  std::vector<HotUnit> out = std::move(now);
  const size_t fresh = out.size();
  for (HotUnit& unit : out) {
    const auto old = std::ranges::lower_bound(before, name_of(unit), {}, &name_of);
    const bool known = old != before.end() && name_of(*old) == name_of(unit);
    const uint64_t heat = known ? old->heat : 0;
    // What was stored as optimised code is as hot as it was. Of all else the runs add up, to four times the heat of one
    // where all are alike.
    unit.heat = static_cast<uint32_t>(
        std::clamp<uint64_t>(unit.heat == 0 ? heat : unit.heat + heat / 4 * 3, tiering::kLeastHeat, kMostHeat));
  }
  for (HotUnit unit : before) {
    unit.heat = std::min(unit.heat / 2, kMostHeat);
    const bool again = std::ranges::binary_search(std::span(out).first(fresh), name_of(unit), {}, &name_of);
    if (!again && unit.heat >= tiering::kLeastHeat) out.push_back(unit);
  }
  if (out.size() > kMostHot) {
    std::ranges::nth_element(out, out.begin() + kMostHot, std::ranges::greater(), &HotUnit::heat);
    out.resize(kMostHot);
  }
  std::ranges::sort(out, {}, &name_of);
  return out;
}

std::vector<std::byte> format_hot(const vm::Digest& content, std::span<const HotUnit> units) {
  HotHeader header;
  header.count = static_cast<uint32_t>(units.size());
  header.content = content;
  header.hash = hash_of(header, units);
  std::vector<std::byte> out(sizeof header + units.size_bytes());
  std::memcpy(out.data(), &header, sizeof header);
  if (!units.empty()) std::memcpy(out.data() + sizeof header, units.data(), units.size_bytes());
  return out;
}

std::vector<HotUnit> read_hot(int folder, const vm::Digest& content) {
  uint64_t size = 0;
  Refusal refusal;
  const std::string name = hot_name(content_name(content));
  const FileDescriptor file(open_cache_file(folder, name, size, refusal));
  if (file.number < 0 || size > kMostHotBytes) return {};
  std::vector<std::byte> bytes(size);
  if (!read_whole(file.number, 0, bytes)) return {};
  auto units = parse_hot(bytes, content);
  if (units) return std::move(*units);
  VMRUN_LOG_AT(cache_log(), info, "{} is ignored: it is damaged or of another format", name);
  return {};
}

bool write_hot(int folder, const vm::Digest& content, std::span<const HotUnit> units) {
  NewFile file(folder);
  return file.write(format_hot(content, units)) && file.finish(hot_name(content_name(content)));
}

}  // namespace vmrun::engine
