// Change-points in series of times whose answer is known.
#include "tools/steady.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace vmrun::tools {
namespace {

/// Levels with noise of so many percent, from one seed.
std::vector<double> series(const std::vector<std::pair<size_t, double>>& levels, double percent, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> noise(0, percent / 100);
  std::vector<double> out;
  for (const auto& [count, level] : levels) {
    for (size_t i = 0; i < count; ++i) out.push_back(level * std::exp(noise(random)));
  }
  return out;
}

bool near(size_t a, size_t b) { return a + 2 >= b && b + 2 >= a; }

TEST_CASE("steady: noise alone is flat") {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    for (double percent : {0.1, 1.0, 5.0}) {
      CHECK(find_stretches(series({{100, 1e6}}, percent, seed)).size() <= 2);
    }
  }
  CHECK(judge(series({{100, 1e6}}, 1)).kind == std::string("flat"));
  CHECK(judge(series({{100, 1e6}}, 1)).begin == 0);
}

TEST_CASE("steady: a step is found where it is") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const auto times = series({{30, 3e6}, {70, 1e6}}, 2, seed);
    const Steadiness s = judge(times);
    CHECK(s.kind == std::string("warms up"));
    CHECK(near(s.begin, 30));
    CHECK(s.median == doctest::Approx(1e6).epsilon(0.02));
  }
}

TEST_CASE("steady: tiers one after the other") {
  const auto stretches = find_stretches(series({{10, 9e6}, {20, 3e6}, {100, 1e6}}, 1));
  REQUIRE(stretches.size() == 3);
  CHECK(near(stretches[1].begin, 10));
  CHECK(near(stretches[2].begin, 30));
  CHECK(judge(series({{10, 9e6}, {20, 3e6}, {100, 1e6}}, 1)).kind == std::string("warms up"));
}

TEST_CASE("steady: a pause is no change of level") {
  auto times = series({{50, 1e6}}, 1);
  times[20] *= 40;
  times[35] *= 10;
  CHECK(judge(times).kind == std::string("flat"));
}

TEST_CASE("steady: what gets slower, and what ends in the middle of a change") {
  CHECK(judge(series({{50, 1e6}, {50, 2e6}}, 1)).kind == std::string("slows down"));
  const Steadiness s = judge(series({{96, 2e6}, {4, 1e6}}, 1));
  CHECK(s.kind == std::string("unsteady"));
  CHECK(s.begin == 100);
}

TEST_CASE("steady: few times, equal times, none") {
  CHECK(judge({}).kind == std::string("too few"));
  CHECK(judge(std::vector<double>{1, 2, 3}).kind == std::string("too few"));
  CHECK(judge(std::vector<double>(20, 5.0)).kind == std::string("flat"));
  CHECK(judge(std::vector<double>(20, 0.0)).kind == std::string("flat"));
}

TEST_CASE("steady: a long series takes no longer than one of the most that is looked at") {
  const auto times = series({{20'000, 2e6}, {80'000, 1e6}}, 2);
  const auto stretches = find_stretches(times);
  REQUIRE(stretches.size() >= 2);
  CHECK(stretches.back().end == times.size());
  CHECK(judge(times).begin > 19'000);
  CHECK(judge(times).begin < 21'000);
}

}  // namespace
}  // namespace vmrun::tools
