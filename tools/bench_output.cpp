// What vmrun bench prints: text, JSON, and a picture of the work done against time.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/bench.h"
#include "tools/report.h"
#include "tools/steady.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

std::string time_of(int64_t ns) {
  const auto value = static_cast<double>(ns);
  if (ns >= 1'000'000'000) return strf("%.2f s", value / 1e9);
  if (ns >= 1'000'000) return strf("%.2f ms", value / 1e6);
  return strf("%.1f us", value / 1e3);
}

/// What follows from a run's times.
struct Figures {
  Steadiness steady;
  int64_t steady_at = 0;  // when the steady stretch begins
  int64_t paused = 0, longest = 0;

  explicit Figures(const BenchRun& run) {
    std::vector<double> times;
    times.reserve(run.iterations.size());
    for (const auto& one : run.iterations) times.push_back(static_cast<double>(one.end - one.begin));
    steady = judge(times);
    const bool is = steady.begin < run.iterations.size();
    steady_at = is ? run.iterations[steady.begin].begin : 0;
    for (int64_t pause : run.pauses) paused += pause, longest = std::max(longest, pause);
  }
  bool is_steady(const BenchRun& run) const { return steady.begin < run.iterations.size(); }
};

std::string row(const std::vector<std::string>& cells) {
  std::string out;
  for (size_t i = 0; i < cells.size(); ++i) {
    const int width = i == 0 ? 10 : 12;
    out += strf(i == 0 ? "%-*s" : "%*s", width, cells[i].c_str());
  }
  return out + "\n";
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

/// A round number of at least `value`.
double round_up(double value) {
  double unit = 1;
  while (unit * 10 <= value) unit *= 10;
  while (unit > value) unit /= 10;
  for (double step : {1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0}) {
    if (unit * step >= value) return unit * step;
  }
  return value;
}

}  // namespace

std::string bench_text(const std::string& image, const std::vector<BenchRun>& runs) {
  std::string out = printable(image) + ": from the start of a process\n\n";
  out += row({"", "first", "baseline", "optimised", "steady", "after", "iteration", "steady it.", "pauses", "longest"});
  std::string failures, notes;
  for (const BenchRun& run : runs) {
    if (!run.failure.empty()) {
      failures += run.name + ": not measured: " + printable(run.failure) + "\n";
      continue;
    }
    const Figures f(run);
    const auto& first = run.iterations.front();
    const auto when = [](const std::optional<int64_t>& time) { return time ? time_of(*time) : std::string("-"); };
    out += row({run.name, run.each_in_a_process ? "-" : time_of(run.first), when(run.baseline), when(run.opt),
                f.is_steady(run) ? time_of(f.steady_at) : "never",
                f.is_steady(run) ? strf("%zu it.", f.steady.begin) : "-", time_of(first.end - first.begin),
                time_of(static_cast<int64_t>(f.steady.median)), strf("%zu", run.pauses.size()), time_of(f.longest)});
    const bool too_few = f.steady.kind == std::string_view("too few");
    notes +=
        strf("%s: %s; %zu iterations in %s", run.name.c_str(), too_few ? "too few iterations to say" : f.steady.kind,
             run.iterations.size(), time_of(run.iterations.back().end).c_str());
    notes += run.each_in_a_process ? ", each in a process of its own\n"
                                   : strf(", %s of processor time, %s of it compiling\n",
                                          time_of(run.processor).c_str(), time_of(run.compile).c_str());
  }
  out +=
      "\nfirst: the guest's first instruction. baseline, optimised: the first code of that tier is in force.\n"
      "steady: the times stop changing, found by change-points; after so many iterations. iteration: the first one.\n"
      "pauses: compiles of 100 us and more that the guest waited for.\n\n";
  return out + notes + failures;
}

std::string bench_json(const std::string& image, const std::vector<BenchRun>& runs) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const BenchRun& run : runs) {
    nlohmann::ordered_json one = {{"name", run.name}};
    if (!run.failure.empty()) {
      one["failure"] = run.failure;
      all.push_back(std::move(one));
      continue;
    }
    const Figures f(run);
    const auto number = [](const std::optional<int64_t>& time) {
      return time ? nlohmann::ordered_json(*time) : nlohmann::ordered_json();
    };
    one["first_instruction_ns"] = run.each_in_a_process ? nlohmann::ordered_json() : nlohmann::ordered_json(run.first);
    one["baseline_ns"] = number(run.baseline);
    one["optimised_ns"] = number(run.opt);
    one["kind"] = f.steady.kind;
    one["steady_ns"] = f.is_steady(run) ? nlohmann::ordered_json(f.steady_at) : nlohmann::ordered_json();
    one["steady_after"] = f.is_steady(run) ? nlohmann::ordered_json(f.steady.begin) : nlohmann::ordered_json();
    one["steady_iteration_ns"] = static_cast<int64_t>(f.steady.median);
    one["pauses_ns"] = run.pauses;
    one["compile_ns"] = run.compile;
    one["processor_ns"] = run.processor;
    one["each_in_a_process"] = run.each_in_a_process;
    nlohmann::ordered_json iterations = nlohmann::ordered_json::array();
    for (const auto& i : run.iterations) iterations.push_back({i.begin, i.end});
    one["iterations_ns"] = std::move(iterations);
    all.push_back(std::move(one));
  }
  const nlohmann::ordered_json out = {
      {"format", "vmrun-bench"}, {"version", 1}, {"vmrun", VMRUN_VERSION}, {"image", image}, {"runs", std::move(all)}};
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string bench_svg(const std::string& image, const std::vector<BenchRun>& runs) {
  constexpr int kWidth = 720, kHeight = 400, kLeft = 60, kTop = 40, kRight = 20, kBottom = 45;
  constexpr size_t kPoints = 200;
  double work = 1, time = 1;
  for (const BenchRun& run : runs) {
    if (run.iterations.empty() || !run.failure.empty()) continue;
    work = std::max(work, static_cast<double>(run.iterations.size()));
    time = std::max(time, static_cast<double>(run.iterations.back().end) / 1e6);
  }
  work = round_up(work), time = round_up(time);
  const auto x = [&](double ms) { return kLeft + (kWidth - kLeft - kRight) * ms / time; };
  const auto y = [&](double n) { return kHeight - kBottom - (kHeight - kTop - kBottom) * n / work; };
  std::string out = strf(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"system-ui, sans-serif\" "
      "font-size=\"12\">\n"
      "<style>\n"
      ":root { --text: #1b1f24; --line: #d0d7de; --page: #fff; }\n"
      "@media (prefers-color-scheme: dark) { :root { --text: #e4e9ef; --line: #303842; --page: #0f1318; } }\n"
      "text { fill: var(--text); } .grid { stroke: var(--line); } .page { fill: var(--page); }\n"
      "path { fill: none; stroke-width: 2; }\n"
      "</style>\n<rect class=\"page\" width=\"%d\" height=\"%d\"/>\n",
      kWidth, kHeight, kWidth, kHeight);
  out += strf("<text x=\"%d\" y=\"20\" font-size=\"14\">%s: runs done against time since the start</text>\n", kLeft,
              escaped(image.substr(image.rfind('/') + 1)).c_str());
  for (int i = 0; i <= 5; ++i) {
    const double n = work * i / 5, ms = time * i / 5;
    out +=
        strf("<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", kLeft, kWidth - kRight, y(n), y(n));
    out += strf("<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", kLeft - 6, y(n) + 4, n);
    out += strf("<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%g ms</text>\n", x(ms), kHeight - kBottom + 18,
                i == 5 ? "end" : "middle", ms);
  }
  constexpr const char* kColours[] = {"#3fa876", "#e09a1a", "#4a8fdc", "#b065d8", "#e0568a", "#8a7a5c", "#2aa5a5"};
  size_t colour = 0;
  int legend = kLeft;
  for (const BenchRun& run : runs) {
    if (run.iterations.empty() || !run.failure.empty()) continue;
    const char* its = kColours[colour++ % std::size(kColours)];
    std::string path = strf("M%.1f %.1f", x(static_cast<double>(run.iterations.front().begin) / 1e6), y(0));
    const size_t step = run.iterations.size() / kPoints + 1;
    for (size_t i = 0; i < run.iterations.size(); i += step) {
      const size_t at = std::min(i + step, run.iterations.size()) - 1;
      path += strf("L%.1f %.1f", x(static_cast<double>(run.iterations[at].end) / 1e6), y(static_cast<double>(at + 1)));
    }
    out += strf("<path d=\"%s\" stroke=\"%s\"/>\n", path.c_str(), its);
    out += strf("<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%d\" y=\"%d\">%s</text>\n",
                legend, kHeight - 18, its, legend + 16, kHeight - 8, escaped(run.name).c_str());
    legend += 90;
  }
  return out + "</svg>\n";
}

}  // namespace vmrun::tools
