// When a series of times has become steady.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace vmrun::tools {

/// A run of times that differ by noise only.
struct Stretch {
  size_t begin = 0, end = 0;  // of the series
  double median = 0;
};

/// Where the level of a series changes. Of all ways to cut it into stretches of at least three times, the one with the least
/// squared error of the logarithms, where each further stretch must save more than noise would (Jackson et al. 2005; Killick
/// et al. 2012 for the penalty's form). Single outliers are smoothed away by a median of five; the noise is taken from
/// neighbours' differences. Neighbouring stretches within two percent are one. At most 4096 times are looked at; a longer
/// series is looked at in steps.
std::vector<Stretch> find_stretches(std::span<const double> times);

/// What the stretches say of a series.
struct Steadiness {
  const char* kind = "";  // "flat", "warms up", "slows down", "unsteady", "too few"
  size_t begin = 0;       // first time of the steady stretch; the series' end where there is none
  double median = 0;      // of the last stretch
};
/// Steady is the last stretch, if it holds at least five times and a tenth of all.
Steadiness judge(std::span<const double> times);

}  // namespace vmrun::tools
