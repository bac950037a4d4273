// The screen of vmrun top.
#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "tools/report.h"
#include "tools/top.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& object, const char* name) {
  const Json value = object.is_object() ? object.value(name, Json()) : Json();
  return value.is_string() ? printable(value.get<std::string>()) : std::string();
}
double number_of(const Json& object, const char* name) {
  const Json value = object.is_object() ? object.value(name, Json()) : Json();
  return value.is_number() ? value.get<double>() : 0;
}

/// The metrics of an answer by name.
class Metrics {
 public:
  explicit Metrics(const Json& answer) {
    for (const Json& metric : answer["metrics"]) families_[metric["name"].get<std::string>()] = &metric["values"];
  }
  bool has(const std::string& name) const { return families_.contains(name); }
  /// The sum of the values whose label is `text`; without a label, of all.
  double sum(const std::string& name, const char* label = nullptr, const char* text = nullptr) const {
    double out = 0;
    for (const Json& value : values(name)) {
      if (label == nullptr || text_of(value.value("labels", Json()), label) == text) out += number_of(value, "value");
    }
    return out;
  }
  const Json& values(const std::string& name) const {
    static const Json none = Json::array();
    const auto at = families_.find(name);
    return at != families_.end() ? *at->second : none;
  }

 private:
  std::map<std::string, const Json*> families_;
};

/// What a histogram has that it did not have before: its share's bound, in seconds; none: nothing was added.
double percentile(const Metrics& before, const Metrics& now, const std::string& name, double share) {
  if (now.values(name).empty()) return 0;
  const Json& value = now.values(name)[0];
  const Json& was = before.values(name).empty() ? value : before.values(name)[0];
  const double all = number_of(value, "count") - number_of(was, "count");
  const Json buckets = value.value("buckets", Json::array()), old = was.value("buckets", Json::array());
  for (size_t i = 0; all > 0 && i < buckets.size() && i < old.size(); ++i) {
    const auto of = [&](const Json& bucket, size_t which) {
      return bucket.size() == 2 && bucket[which].is_number() ? bucket[which].get<double>() : 0;
    };
    if (of(buckets[i], 1) - of(old[i], 1) >= share * all) return of(buckets[i], 0);
  }
  return 0;
}

std::string bytes_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return strf(unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
}

std::string seconds_text(double seconds) {
  if (seconds <= 0) return "-";
  if (seconds < 1e-3) return strf("%.0f us", seconds * 1e6);
  if (seconds < 1) return strf("%.1f ms", seconds * 1e3);
  return strf("%.1f s", seconds);
}

std::string time_up(double nanoseconds) {
  const auto seconds = static_cast<long long>(nanoseconds / 1e9);
  return strf("%lld:%02lld:%02lld", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string age_text(double nanoseconds) {
  return nanoseconds < 10e9 ? strf("%.1f s", nanoseconds / 1e9) : time_up(nanoseconds);
}

/// A line of a name and what there is under it.
std::string row(const char* name, const std::string& rest) { return strf("%-11s%s", name, rest.c_str()); }

class Screen {
 public:
  Screen(const Json& before, const Json& now, double seconds, const TopLook& look)
      : old_json_(before), json_(now), old_(before), now_(now), seconds_(std::max(seconds, 1e-3)), look_(look) {}

  std::vector<std::string> lines() {
    head();
    guests();
    scheduler();
    compiles();
    requests();
    functions();
    tasks();
    for (std::string& line : lines_) {
      size_t width = std::min(line.size(), look_.width);
      // Not in the middle of a character.
      while (width != 0 && width < line.size() && (static_cast<unsigned char>(line[width]) & 0xc0) == 0x80) --width;
      line.resize(width);
    }
    if (look_.height != 0 && lines_.size() > look_.height) lines_.resize(look_.height);
    return std::move(lines_);
  }

 private:
  double rate(const std::string& name, const char* label = nullptr, const char* text = nullptr) const {
    return std::max(0.0, now_.sum(name, label, text) - old_.sum(name, label, text)) / seconds_;
  }
  void head() {
    std::string command;
    for (const Json& word : json_["command"]) {
      if (word.is_string()) command += (command.empty() ? "" : " ") + printable(word.get<std::string>());
    }
    lines_.push_back(strf("vmrun %s, process %.0f, up %s: %s", text_of(json_, "vmrun").c_str(), number_of(json_, "pid"),
                          time_up(number_of(json_, "up_ns")).c_str(), command.c_str()));
    lines_.push_back(row("processor", strf("%.1f %%, %.0f threads, %.0f descriptors", 100 * rate("process_cpu_seconds"),
                                           now_.sum("process_threads"), now_.sum("process_open_fds"))));
    lines_.push_back(row("memory", bytes_text(now_.sum("process_resident_memory_bytes")) + " resident, " +
                                       bytes_text(now_.sum("vmrun_linear_memory_bytes")) + " linear, " +
                                       bytes_text(now_.sum("vmrun_code_memory_bytes")) + " code"));
  }
  void guests() {
    std::string text = strf("%.0f running, %.0f suspended, %.0f idle", now_.sum("vmrun_guests", "state", "running"),
                            now_.sum("vmrun_guests", "state", "suspended"), now_.sum("vmrun_guests", "state", "idle"));
    text += strf("; %.0f traps", now_.sum("vmrun_traps"));
    lines_.push_back(row("guests", text));
  }
  void scheduler() {
    if (!now_.has("vmrun_tasks")) return;
    const auto tasks = [&](const char* state) { return now_.sum("vmrun_tasks", "state", state); };
    lines_.push_back(
        row("tasks",
            strf("%.0f running, %.0f ready, %.0f waiting, %.0f in calls of the system; %.0f workers", tasks("running"),
                 tasks("ready"), tasks("waiting"), tasks("in_system_call"), now_.sum("vmrun_workers"))));
    constexpr const char* kLatency = "vmrun_scheduler_queue_latency_seconds";
    lines_.push_back(
        row("scheduler",
            strf("%.0f switches/s, %.0f parks/s, %.0f preemptions/s, %.0f steals/s; in the queue %s (99 %%: %s)",
                 rate("vmrun_scheduler_switches"), rate("vmrun_scheduler_parks"), rate("vmrun_scheduler_preemptions"),
                 rate("vmrun_scheduler_steals"), seconds_text(percentile(old_, now_, kLatency, 0.5)).c_str(),
                 seconds_text(percentile(old_, now_, kLatency, 0.99)).c_str())));
    lines_.push_back(row(
        "I/O", strf("%.0f waiting, %.0f transfers; %.0f reads/s, %.0f writes/s, %.0f accepts/s",
                    now_.sum("vmrun_io_in_flight", "kind", "wait"), now_.sum("vmrun_io_in_flight", "kind", "transfer"),
                    rate("vmrun_io_calls", "kind", "read") + rate("vmrun_io_calls", "kind", "receive"),
                    rate("vmrun_io_calls", "kind", "write") + rate("vmrun_io_calls", "kind", "send"),
                    rate("vmrun_io_calls", "kind", "accept"))));
  }
  void compiles() {
    std::string text = strf("%.0f waiting, %.0f at work", now_.sum("vmrun_compile_queue_length"),
                            now_.sum("vmrun_compile_threads_busy"));
    for (const auto& [tier, name] : {std::pair("baseline", "baseline"), std::pair("opt", "optimised")}) {
      text += strf("; %s: %.0f functions and loops, %s", name, now_.sum("vmrun_promotions", "tier", tier),
                   seconds_text(now_.sum("vmrun_compile_seconds", "tier", tier)).c_str());
    }
    lines_.push_back(row("compiles", text));
  }
  void requests() {
    if (!now_.has("vmrun_server_connections")) return;
    std::string text = strf("%.0f open; %.0f guests/s, %.0f running, %.0f failed",
                            now_.sum("vmrun_server_open_connections"), rate("vmrun_server_guests"),
                            now_.sum("vmrun_server_running_guests"), now_.sum("vmrun_server_guest_failures"));
    lines_.push_back(row("server", text));
    if (!now_.has("vmrun_http_requests")) return;
    constexpr const char* kDuration = "vmrun_http_request_duration_seconds";
    text = strf("%.0f/s, took %s (99 %%: %s)", rate("vmrun_http_requests"),
                seconds_text(percentile(old_, now_, kDuration, 0.5)).c_str(),
                seconds_text(percentile(old_, now_, kDuration, 0.99)).c_str());
    for (const Json& value : now_.values("vmrun_http_requests")) {
      text += strf("; %s: %.0f", text_of(value.value("labels", Json()), "code").c_str(), number_of(value, "value"));
    }
    lines_.push_back(row("requests", text));
  }
  /// What was used since the last answer, or all in all where nothing was.
  void functions() {
    const Json& sampling = json_["sampling"];
    if (!sampling.is_object()) {
      lines_.emplace_back();
      lines_.emplace_back("guests are not sampled: p, or --sample, has it done (some 0.2 % of the processor)");
      return;
    }
    const Json none = Json::object(), empty = Json::array();
    const Json& was = old_json_["sampling"].is_object() ? old_json_["sampling"] : none;
    const bool is_new = number_of(sampling, "total_ns") > number_of(was, "total_ns");
    std::map<std::string, double> times;
    const auto key_of = [](const Json& f) {
      return text_of(f, "code") + '\n' + text_of(f, "module") + '\n' + text_of(f, "function") + '\n' +
             strf("%.0f", number_of(f, "index"));
    };
    if (is_new && was.contains("functions")) {
      for (const Json& f : was["functions"]) times[key_of(f)] -= number_of(f, "self_ns");
    }
    struct Used {
      double time;
      std::string code, name;
    };
    std::vector<Used> all;
    double sum =
        is_new ? number_of(sampling, "total_ns") - number_of(was, "total_ns") : number_of(sampling, "total_ns");
    sum = std::max(sum, 1.0);
    for (const Json& f : sampling.contains("functions") ? sampling["functions"] : empty) {
      const double time = number_of(f, "self_ns") + times[key_of(f)];
      if (time <= 0) continue;
      const std::string module = text_of(f, "module");
      all.push_back({time, text_of(f, "code"), (module.empty() ? "" : module + "!") + text_of(f, "function")});
    }
    std::ranges::sort(all, std::greater<>(), &Used::time);
    const Json tiers = sampling.value("self_ns", none), old_tiers = is_new ? was.value("self_ns", none) : none;
    std::string shares;
    for (const auto& [code, name] : {std::pair("interp", "interpreter"), std::pair("baseline", "baseline"),
                                     std::pair("opt", "optimised"), std::pair("host", "host and vmrun")}) {
      const double time = number_of(tiers, code) - number_of(old_tiers, code);
      if (time > 0) shares += strf("%s%s %.1f %%", shares.empty() ? "" : ", ", name, 100 * time / sum);
    }
    lines_.push_back(row("guest time", shares.empty() ? "none" : shares));
    lines_.emplace_back();
    lines_.push_back(strf("%8s  %-9s %s", "TIME %", "TIER", "FUNCTION"));
    const size_t most = look_.height == 0 ? 20 : std::max<size_t>(3, look_.height / 3);
    for (size_t i = 0; i < std::min(most, all.size()); ++i) {
      lines_.push_back(strf("%8.1f  %-9s %s", 100 * all[i].time / sum, all[i].code.c_str(), all[i].name.c_str()));
    }
  }
  void tasks() {
    struct Task {
      double id, age, recent, memory;
      std::string name, state;
    };
    std::vector<Task> all;
    for (const Json& task : json_["tasks"]) {
      all.push_back({number_of(task, "id"), number_of(task, "age_ns"), number_of(task, "recent_ns"),
                     number_of(task, "memory_bytes"), text_of(task, "name"), text_of(task, "state")});
    }
    std::ranges::sort(all, [this](const Task& a, const Task& b) {
      switch (look_.sort) {
        case TopSort::Processor: return std::pair(b.recent, a.id) < std::pair(a.recent, b.id);
        case TopSort::Memory: return std::pair(b.memory, a.id) < std::pair(a.memory, b.id);
        case TopSort::Age: return std::pair(b.age, a.id) < std::pair(a.age, b.id);
        case TopSort::State: return std::tie(a.state, a.id) < std::tie(b.state, b.id);
        case TopSort::Name: break;
      }
      return std::tie(a.name, a.id) < std::tie(b.name, b.id);
    });
    const double since = number_of(json_, "tasks_since_ns");
    lines_.emplace_back();
    lines_.push_back(strf("%8s  %6s %9s %9s  %-16s %s", "TASK", "CPU %", "MEMORY", "AGE", "NAME", "STATE"));
    for (const Task& task : all) {
      // More than all of a processor is a look at a task in the middle of a switch.
      const std::string share = since > 0 ? strf("%.1f", std::clamp(100 * task.recent / since, 0.0, 100.0)) : "-";
      const std::string memory = task.memory > 0 ? bytes_text(task.memory) : "-";
      lines_.push_back(strf("%8.0f  %6s %9s %9s  %-16s %s", task.id, share.c_str(), memory.c_str(),
                            age_text(task.age).c_str(), task.name.c_str(), task.state.c_str()));
    }
    if (const double more = number_of(json_, "tasks_left_out"); more > 0) lines_.push_back(strf("%8.0f  more", more));
  }

  const Json& old_json_;
  const Json& json_;
  const Metrics old_, now_;
  const double seconds_;
  const TopLook look_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> top_screen(const Json& before, const Json& now, double seconds, const TopLook& look) {
  return Screen(before, now, seconds, look).lines();
}

}  // namespace vmrun::tools
