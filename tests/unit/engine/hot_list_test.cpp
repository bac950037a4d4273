// How the heat of runs adds up.
#include "engine/hot_list.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tiering/stored.h"

using namespace vmrun;
using namespace vmrun::engine;
using tiering::HotUnit;
using tiering::kLeastHeat;

namespace {

constexpr uint32_t kWhole = 0xffffffff;

HotList of(std::vector<HotUnit> units, std::chrono::nanoseconds run = std::chrono::milliseconds(50)) {
  return {std::move(units), run};
}

}  // namespace

TEST_CASE("hot list: what is hot for little of each run is as hot after many as what one run spends on it") {
  // A tick of 4 ms in each second run, as what takes 2 ms of each has it.
  constexpr uint32_t kTick = 100'000;
  HotList list;
  for (int run = 0; run < 20; ++run) {
    list = merge_hot(
        of(run % 2 == 0 ? std::vector<HotUnit>{{7, kWhole, kTick}} : std::vector<HotUnit>{{8, kWhole, kTick}}), list);
  }
  REQUIRE(list.units.size() == 2);
  for (const HotUnit& unit : list.units) {
    CHECK(unit.heat > 8 * kTick);
    CHECK(unit.heat <= 10 * kTick);
  }
  for (int run = 0; run < 2000; ++run) {
    list = merge_hot(of({{7, kWhole, kTick}}), list);
    CHECK(list.units[0].heat <= 257 * kTick);
  }
  // What is not met again is forgotten at last.
  CHECK(list.units.size() == 1);
  CHECK(list.units[0].heat > 250 * kTick);
}

TEST_CASE("hot list: optimised code keeps its heat, and a refusal is kept") {
  const HotList before = of({{1, kWhole, 5'000'000}, {2, 40, 1'000'000, 77}, {3, kWhole, kLeastHeat}});
  const HotList list = merge_hot(of({{1, kWhole, 0}, {2, 40, 64}}), before);
  REQUIRE(list.units.size() == 2);
  CHECK(list.units[0].heat == 5'000'000);
  CHECK(list.units[1].heat == 1'000'000 - 1'000'000 / 256 + 64);
  CHECK(list.units[1].refused == 77);
}

TEST_CASE("hot list: code that came too late is asked for more and more seldom, and again after a while") {
  HotList list = merge_hot(of({{1, kWhole, kLeastHeat, 0, tiering::kLate}}), {});
  for (int run = 0; run < 100; ++run) {
    list = merge_hot(of({{1, kWhole, kLeastHeat, 0, tiering::kLate}}), list);
    CHECK(list.units[0].late <= tiering::kMostLate);
  }
  CHECK(list.units[0].late == tiering::kMostLate);
  for (int run = 0; run < tiering::kMostLate; ++run) list = merge_hot(of({{1, kWhole, kLeastHeat}}), list);
  CHECK(list.units[0].late == 0);
}

TEST_CASE("hot list: the time of runs is an average of the last ones, and survives the file") {
  using std::chrono::milliseconds;
  HotList list = merge_hot(of({{1, kWhole, kLeastHeat}}, milliseconds(40)), {});
  CHECK(list.run == milliseconds(40));
  list = merge_hot(of({{1, kWhole, 0}}, milliseconds(80)), list);
  CHECK(list.run == milliseconds(50));
  const vm::Digest content{};
  auto bytes = format_hot(content, list);
  const auto again = parse_hot(bytes, content);
  REQUIRE(again);
  CHECK(again->run == list.run);
  CHECK(again->units.size() == 1);
  for (size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] ^= std::byte{1};
    CHECK(!parse_hot(bytes, content));
    bytes[at] ^= std::byte{1};
  }
}

TEST_CASE("hot list: heat is that of so many runs, whatever has optimised code") {
  constexpr uint32_t kEach = 100'000;
  HotList list;
  for (uint32_t run = 1; run <= 1000; ++run) {
    // The second one gets its code after ten runs.
    list = merge_hot(of({{1, kWhole, kEach}, {2, kWhole, run <= 10 ? kEach : 0}}), list);
    CHECK(list.runs <= std::min(run, 256u) * 256);
    if (run == 3) CHECK(list.runs / 256.0 == doctest::Approx(3).epsilon(0.01));
    for (const HotUnit& unit : list.units) {
      CHECK(unit.heat * 256.0 / list.runs == doctest::Approx(kEach).epsilon(0.02));
    }
  }
  CHECK(list.runs > 250 * 256);
  const auto again = parse_hot(format_hot({}, list), {});
  REQUIRE(again);
  CHECK(again->runs == list.runs);
}
