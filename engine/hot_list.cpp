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
constexpr uint32_t kHotFormat = 3;
constexpr uint32_t kMostHot = 10'000;
/// More heat is not remembered: ten seconds.
constexpr uint32_t kMostHeat = 250'000'000;
/// What a run leaves of the heat of those before: some 256 runs count. Heat that is not met fades alike, because a tick finds
/// what takes little of a run only now and then.
constexpr uint32_t fade(uint32_t heat) { return heat - heat / 256; }
/// A run, as HotList::runs counts, and as many as there can be.
constexpr uint32_t kOneRun = 256, kMostRuns = 256 * kOneRun;
/// Of how many runs the average is taken that says how long they are.
constexpr int64_t kRuns = 4;

struct HotHeader {
  std::array<char, 8> magic = kHotMagic;
  uint32_t format = kHotFormat;
  uint32_t count = 0;
  vm::Digest content;
  uint64_t run = 0;   // HotList::run
  uint32_t runs = 0;  // HotList::runs
  uint32_t unused = 0;
  vm::Digest hash;  // of what stands above, and of the units that follow
};
static_assert(sizeof(HotHeader) == 96 && sizeof(HotUnit) == 16);

vm::Digest hash_of(const HotHeader& header, std::span<const HotUnit> units) {
  return vm::Sha256()
      .add(std::as_bytes(std::span(&header, 1)).first(offsetof(HotHeader, hash)))
      .add(std::as_bytes(units))
      .finish();
}

auto name_of(const HotUnit& unit) { return std::pair(unit.func_index, unit.unit); }

}  // namespace

const size_t kMostHotBytes = sizeof(HotHeader) + kMostHot * sizeof(HotUnit);

std::optional<HotList> parse_hot(std::span<const std::byte> bytes, const vm::Digest& content) {
  HotHeader header;
  if (bytes.size() < sizeof header || bytes.size() > kMostHotBytes) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  HotList list;
  std::vector<HotUnit>& units = list.units;
  units.resize((bytes.size() - sizeof header) / sizeof(HotUnit));
  if (!units.empty()) std::memcpy(units.data(), bytes.data() + sizeof header, units.size() * sizeof(HotUnit));
  if (header.magic != kHotMagic || header.format != kHotFormat || header.count != units.size() ||
      header.content != content || header.hash != hash_of(header, units) ||
      !std::ranges::is_sorted(units, {}, &name_of)) {
    return std::nullopt;
  }
  list.runs = std::min(header.runs, kMostRuns);
  list.run = std::chrono::nanoseconds(std::min<uint64_t>(header.run, INT64_MAX / kRuns));
  return list;
}

HotList merge_hot(HotList now, const HotList& before) {
  std::vector<HotUnit>& out = now.units;
  const size_t fresh = out.size();
  now.runs = fade(std::min(before.runs, kMostRuns)) + kOneRun;
  for (HotUnit& unit : out) {
    const auto old = std::ranges::lower_bound(before.units, name_of(unit), {}, &name_of);
    const bool known = old != before.units.end() && name_of(*old) == name_of(unit);
    // What was stored as optimised code is as hot in each run as it was. Of all else the runs add up.
    uint64_t heat = 0;
    if (known && unit.heat == 0) {
      heat = before.runs == 0 ? old->heat : uint64_t{old->heat} * now.runs / std::min(before.runs, kMostRuns);
    } else if (known) {
      heat = fade(old->heat);
    }
    unit.heat = static_cast<uint32_t>(std::clamp<uint64_t>(unit.heat + heat, tiering::kLeastHeat, kMostHeat));
    if (unit.refused == 0 && known) unit.refused = old->refused;
    const uint32_t late = known && old->late != 0 ? unit.late + old->late - 1u : unit.late;
    unit.late = static_cast<uint16_t>(std::min<uint32_t>(late, tiering::kMostLate));
  }
  for (HotUnit unit : before.units) {
    unit.heat = std::min(fade(unit.heat), kMostHeat);
    unit.late = std::min<uint16_t>(unit.late, tiering::kMostLate);
    if (unit.late != 0) --unit.late;
    const bool again = std::ranges::binary_search(std::span(out).first(fresh), name_of(unit), {}, &name_of);
    if (!again && unit.heat >= tiering::kLeastHeat) out.push_back(unit);
  }
  if (out.size() > kMostHot) {
    std::ranges::nth_element(out, out.begin() + kMostHot, std::ranges::greater(), &HotUnit::heat);
    out.resize(kMostHot);
  }
  std::ranges::sort(out, {}, &name_of);
  if (before.run.count() != 0) now.run = (before.run * (kRuns - 1) + now.run) / kRuns;
  return now;
}

std::vector<std::byte> format_hot(const vm::Digest& content, const HotList& list) {
  const std::span units(list.units);
  HotHeader header;
  header.count = static_cast<uint32_t>(units.size());
  header.content = content;
  header.run = static_cast<uint64_t>(list.run.count());
  header.runs = list.runs;
  header.hash = hash_of(header, units);
  std::vector<std::byte> out(sizeof header + units.size_bytes());
  std::memcpy(out.data(), &header, sizeof header);
  if (!units.empty()) std::memcpy(out.data() + sizeof header, units.data(), units.size_bytes());
  return out;
}

HotList read_hot(int folder, const vm::Digest& content) {
  uint64_t size = 0;
  Refusal refusal;
  const std::string name = hot_name(content_name(content));
  const FileDescriptor file(open_cache_file(folder, name, size, refusal));
  if (file.number < 0 || size > kMostHotBytes) return {};
  std::vector<std::byte> bytes(size);
  if (!read_whole(file.number, 0, bytes)) return {};
  auto list = parse_hot(bytes, content);
  if (list) return std::move(*list);
  VMRUN_LOG_AT(cache_log(), info, "{} is ignored: it is damaged or of another format", name);
  return {};
}

bool write_hot(int folder, const vm::Digest& content, const HotList& list) {
  NewFile file(folder);
  return file.write(format_hot(content, list)) && file.finish(hot_name(content_name(content)));
}

}  // namespace vmrun::engine
