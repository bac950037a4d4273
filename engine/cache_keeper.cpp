// See cache_keeper.h.
#include "engine/cache_keeper.h"

#include <algorithm>

namespace vmrun::engine {
namespace {

/// Baseline code is stored anew when what is new of it took so long to make: less is compiled as fast as a file is
/// written.
constexpr uint64_t kWorthNanoseconds = 2'000'000;

}  // namespace

bool is_worth_storing(const tiering::News& news, const tiering::News& saved, bool validated) {
  const auto more = [&](vm::Tier tier) {
    return news.units[static_cast<unsigned>(tier)] > saved.units[static_cast<unsigned>(tier)];
  };
  return more(vm::Tier::opt) || validated || (news.damaged && !saved.damaged) ||
         (more(vm::Tier::baseline) && news.nanoseconds >= saved.nanoseconds + kWorthNanoseconds);
}

bool has_heat(const tiering::News& news) {
  return std::ranges::any_of(news.hot, [](const tiering::HotUnit& unit) { return unit.heat != 0; });
}

}  // namespace vmrun::engine
