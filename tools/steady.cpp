// Change-points; see steady.h.
#include "tools/steady.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vmrun::tools {
namespace {

constexpr size_t kShortest = 3, kFewest = 5;
constexpr size_t kMost = 4096;
constexpr double kSame = 0.02;

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Each value by the median of it and its four neighbours.
std::vector<double> smoothed(std::span<const double> values) {
  std::vector<double> out;
  out.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t reach = std::min({size_t{2}, i, values.size() - 1 - i});
    out.push_back(median_of(
        {values.begin() + static_cast<ptrdiff_t>(i - reach), values.begin() + static_cast<ptrdiff_t>(i + reach + 1)}));
  }
  return out;
}

/// The standard deviation of the noise, by the median of neighbours' differences, which jumps hardly change.
double noise_of(std::span<const double> values) {
  std::vector<double> differences;
  for (size_t i = 1; i < values.size(); ++i) differences.push_back(std::fabs(values[i] - values[i - 1]));
  constexpr double kMedianOfNormalDifference = 0.9539;
  return std::max(median_of(std::move(differences)) / kMedianOfNormalDifference, 1e-3);
}

/// Beginnings of the best stretches, by dynamic programming over where the last one begins.
std::vector<size_t> cut(std::span<const double> values, double penalty) {
  const size_t n = values.size();
  std::vector<double> sums(n + 1), squares(n + 1);
  for (size_t i = 0; i < n; ++i) {
    sums[i + 1] = sums[i] + values[i];
    squares[i + 1] = squares[i] + values[i] * values[i];
  }
  const auto error = [&](size_t begin, size_t end) {
    const double sum = sums[end] - sums[begin];
    return squares[end] - squares[begin] - sum * sum / static_cast<double>(end - begin);
  };
  std::vector<double> best(n + 1, std::numeric_limits<double>::infinity());
  std::vector<size_t> last(n + 1, 0);
  best[0] = -penalty;
  for (size_t end = kShortest; end <= n; ++end) {
    for (size_t begin = 0; begin + kShortest <= end; ++begin) {
      const double total = best[begin] + error(begin, end) + penalty;
      if (total < best[end]) best[end] = total, last[end] = begin;
    }
  }
  std::vector<size_t> out;
  for (size_t end = n; end != 0; end = last[end]) out.push_back(last[end]);
  std::ranges::reverse(out);
  return out;
}

}  // namespace

std::vector<Stretch> find_stretches(std::span<const double> times) {
  if (times.empty()) return {};
  const auto stretch = [&](size_t begin, size_t end) {
    const auto part = times.subspan(begin, end - begin);
    return Stretch{begin, end, median_of({part.begin(), part.end()})};
  };
  if (times.size() < 2 * kShortest) return {stretch(0, times.size())};
  const size_t step = (times.size() + kMost - 1) / kMost;
  std::vector<double> logs;
  for (size_t i = 0; i < times.size(); i += step) logs.push_back(std::log(std::max(times[i], 1e-12)));
  const double noise = noise_of(logs);
  const double penalty = 4 * noise * noise * std::log(static_cast<double>(logs.size()));
  std::vector<size_t> begins = cut(smoothed(logs), penalty);
  std::vector<Stretch> out;
  for (size_t i = 0; i < begins.size(); ++i) {
    const size_t end = i + 1 < begins.size() ? begins[i + 1] * step : times.size();
    const Stretch next = stretch(begins[i] * step, end);
    if (!out.empty() && std::fabs(next.median / out.back().median - 1) < kSame) {
      out.back() = stretch(out.back().begin, end);
    } else {
      out.push_back(next);
    }
  }
  return out;
}

Steadiness judge(std::span<const double> times) {
  const std::vector<Stretch> stretches = find_stretches(times);
  if (stretches.empty()) return {"too few", 0, 0};
  const Stretch& last = stretches.back();
  if (times.size() < kFewest) return {"too few", times.size(), last.median};
  const size_t length = last.end - last.begin;
  if (length < kFewest || length < times.size() / 10) return {"unsteady", times.size(), last.median};
  if (stretches.size() == 1) return {"flat", last.begin, last.median};
  double fastest = last.median;
  for (const Stretch& one : stretches) fastest = std::min(fastest, one.median);
  return {fastest < last.median * (1 - kSame) ? "slows down" : "warms up", last.begin, last.median};
}

}  // namespace vmrun::tools
