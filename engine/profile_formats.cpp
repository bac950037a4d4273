// A profile in the formats of other tools.
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "vmrun/base/text.h"
#include "vmrun/profile.h"

namespace vmrun {
namespace {

using Code = GuestProfile::Code;
using Node = GuestProfile::Node;

const char* tier_of(Code code) {
  constexpr const char* kNames[] = {"interp", "baseline", "opt", "host", "cut"};
  return kNames[static_cast<size_t>(code)];
}

/// Frames of a node, outermost first.
std::vector<uint32_t> path_to(const GuestProfile& profile, uint32_t node) {
  std::vector<uint32_t> path;
  for (; node != 0; node = profile.nodes[node].parent) path.push_back(node);
  std::ranges::reverse(path);
  return path;
}

/// A frame as it is shown: of a guest's function, or of a call in it that the guest's own compiler inlined.
struct Frame {
  uint32_t node;
  uint32_t function;        // among the profile's
  const SourceLine* place;  // null: unknown
  bool inlined;
};

/// Frames of a node, outermost first.
std::vector<Frame> frames_to(const GuestProfile& profile, uint32_t node) {
  std::vector<Frame> frames;
  for (uint32_t at : path_to(profile, node)) {
    const Node& here = profile.nodes[at];
    const std::vector<SourceLine>& places = profile.sources[here.source];
    if (places.empty()) frames.push_back({at, here.function, nullptr, false});
    for (size_t i = places.size(); i-- > 0;) frames.push_back({at, here.function, &places[i], i + 1 != places.size()});
  }
  return frames;
}

const std::string& name_of(const GuestProfile& profile, const Frame& frame) {
  static const std::string kUnknown = "[inlined]";
  if (!frame.inlined) return profile.functions[frame.function].name;
  return frame.place->function.empty() ? kUnknown : frame.place->function;
}
std::string label(const GuestProfile& profile, const Frame& frame) {
  const std::string& module = profile.functions[frame.function].module;
  return module.empty() ? name_of(profile, frame) : module + "!" + name_of(profile, frame);
}
/// The source file, or what stands for it: the module.
const std::string& file_of(const GuestProfile& profile, const Frame& frame) {
  if (frame.place != nullptr && !frame.place->file.empty()) return frame.place->file;
  return profile.functions[frame.function].module;
}

/// A string in JSON. Names are valid UTF-8 (engine/profile.cpp).
std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      out += c;
    }
  }
  return out += '"';
}

// ---- folded stacks --------------------------------------------------------------------------------------------------

std::string folded(const GuestProfile& profile) {
  // Lines by function: stacks that differ in offsets alone are one.
  std::map<std::string, uint64_t> lines;
  for (uint32_t i = 1; i < profile.nodes.size(); ++i) {
    const Node& node = profile.nodes[i];
    if (node.samples == 0) continue;
    std::string line;
    for (const Frame& frame : frames_to(profile, i)) {
      std::string name = printable(label(profile, frame));
      std::ranges::replace(name, ';', ':');
      (line += line.empty() ? "" : ";") += name;
    }
    lines[line] += static_cast<uint64_t>(node.self.count());
  }
  std::string out;
  for (const auto& [line, nanoseconds] : lines) {
    out += line + " " + std::to_string(std::max<uint64_t>((nanoseconds + 500) / 1000, 1)) + "\n";
  }
  return out;
}

// ---- pprof ----------------------------------------------------------------------------------------------------------

/// A message of protocol buffers: fields are added in any order.
class Message {
 public:
  void number(uint32_t field, uint64_t value) {
    varint(field << 3);
    varint(value);
  }
  void bytes(uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    out_ += value;
  }
  void message(uint32_t field, const Message& value) { bytes(field, value.out_); }
  void packed(uint32_t field, const std::vector<uint64_t>& values) {
    Message inner;
    for (uint64_t value : values) inner.varint(value);
    message(field, inner);
  }
  std::string take() { return std::move(out_); }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  std::string out_;
};

/// By the field numbers of profile.proto. A location is an instruction, with a line for each call that the guest's
/// compiler inlined, innermost first. Without debug information its line is the offset in the image.
std::string pprof(const GuestProfile& profile) {
  Message out;
  std::map<std::string, uint64_t> strings{{"", 0}};
  std::vector<std::string> table{""};
  const auto text = [&](const std::string& value) {
    const auto [at, fresh] = strings.try_emplace(value, table.size());
    if (fresh) table.push_back(value);
    return at->second;
  };
  const auto value_type = [&](const char* type, const char* unit) {
    Message message;
    message.number(1, text(type));
    message.number(2, text(unit));
    return message;
  };
  out.message(1, value_type("samples", "count"));
  out.message(1, value_type("cpu", "nanoseconds"));

  std::map<std::tuple<uint32_t, uint64_t, uint32_t>, uint64_t> locations;  // function, offset, source: id
  std::map<std::tuple<std::vector<uint64_t>, Code>, std::pair<uint64_t, uint64_t>> samples;
  for (uint32_t i = 1; i < profile.nodes.size(); ++i) {
    const Node& node = profile.nodes[i];
    if (node.samples == 0) continue;
    std::vector<uint64_t> ids;  // innermost first
    for (uint32_t at = i; at != 0; at = profile.nodes[at].parent) {
      const Node& frame = profile.nodes[at];
      const auto key = std::tuple(frame.function, frame.offset, frame.source);
      ids.push_back(locations.try_emplace(key, locations.size() + 1).first->second);
    }
    auto& [count, time] = samples[{std::move(ids), node.code}];
    count += node.samples;
    time += static_cast<uint64_t>(node.self.count());
  }
  for (const auto& [key, values] : samples) {
    Message sample, tier;
    sample.packed(1, std::get<0>(key));
    sample.packed(2, {values.first, values.second});
    tier.number(1, text("tier"));
    tier.number(2, text(tier_of(std::get<1>(key))));
    sample.message(3, tier);
    out.message(2, sample);
  }
  // One mapping for each module, so that its name shows.
  std::map<std::string, uint64_t> mappings;
  std::map<std::tuple<std::string, std::string, std::string>, uint64_t> functions;  // name, file, module: id
  for (const auto& [key, id] : locations) {
    const auto [function, offset, source] = key;
    const std::string& module = profile.functions[function].module;
    Message location;
    location.number(1, id);
    if (!module.empty()) location.number(2, mappings.try_emplace(module, mappings.size() + 1).first->second);
    location.number(3, offset);
    const std::vector<SourceLine>& places = profile.sources[source];
    for (size_t i = 0; i < std::max<size_t>(places.size(), 1); ++i) {
      const Frame frame{0, function, i < places.size() ? &places[i] : nullptr, i + 1 < places.size()};
      Message line;
      const std::tuple called(name_of(profile, frame), file_of(profile, frame), module);
      line.number(1, functions.try_emplace(called, functions.size() + 1).first->second);
      line.number(2, frame.place != nullptr ? frame.place->line : offset);
      if (frame.place != nullptr) line.number(3, frame.place->column);
      location.message(4, line);
    }
    out.message(4, location);
  }
  for (const auto& [module, id] : mappings) {
    Message mapping;
    mapping.number(1, id);
    mapping.number(3, uint64_t{1} << 32);  // limit: images are smaller
    mapping.number(5, text(module));
    mapping.number(7, 1);  // has_functions
    // has_filenames, has_line_numbers, has_inline_frames: nobody needs to look for them elsewhere.
    for (uint32_t field = 8; field <= 10 && profile.sources.size() > 1; ++field) mapping.number(field, 1);
    out.message(3, mapping);
  }
  for (const auto& [called, id] : functions) {
    Message message;
    message.number(1, id);
    message.number(2, text(std::get<0>(called)));
    message.number(3, text(std::get<0>(called)));
    message.number(4, text(std::get<1>(called)));
    out.message(5, message);
  }
  out.number(9, static_cast<uint64_t>(std::chrono::nanoseconds(profile.start.time_since_epoch()).count()));
  out.number(10, static_cast<uint64_t>(profile.duration.count()));
  out.message(11, value_type("cpu", "nanoseconds"));
  out.number(12, static_cast<uint64_t>(profile.interval.count()));
  out.number(14, text("cpu"));
  for (const std::string& value : table) out.bytes(6, value);
  return out.take();
}

// ---- speedscope -----------------------------------------------------------------------------------------------------

/// The ticks of each thread, in order of time.
std::map<uint32_t, std::vector<const GuestProfile::Tick*>> by_thread(const GuestProfile& profile) {
  std::map<uint32_t, std::vector<const GuestProfile::Tick*>> threads;
  for (const GuestProfile::Tick& tick : profile.ticks) threads[tick.thread].push_back(&tick);
  return threads;
}

/// The frames that speedscope shows: one for each function in a file, whatever the line.
class SpeedscopeFrames {
 public:
  explicit SpeedscopeFrames(const GuestProfile& profile) : profile_(profile) {}

  std::string stack(uint32_t node) {
    std::string out = "[";
    for (const Frame& frame : frames_to(profile_, node)) {
      const std::pair key(name_of(profile_, frame), file_of(profile_, frame));
      const auto [at, fresh] = numbers_.try_emplace(key, frames_.size());
      if (fresh) frames_.push_back({key.first, key.second, {}});
      if (frame.place != nullptr && frame.place->line != 0) {
        frames_[at->second].lines[frame.place->line] += profile_.nodes[node].self.count();
      }
      (out += out.size() > 1 ? "," : "") += std::to_string(at->second);
    }
    return out + "]";
  }
  /// All that stack() has named; their line is that with most time.
  std::string list() const {
    std::string out;
    for (const Shown& frame : frames_) {
      (out += out.empty() ? "" : ",") += "{\"name\":" + json_text(frame.name);
      if (!frame.file.empty()) out += ",\"file\":" + json_text(frame.file);
      const auto hottest = std::ranges::max_element(frame.lines, {}, [](const auto& line) { return line.second; });
      if (hottest != frame.lines.end()) out += ",\"line\":" + std::to_string(hottest->first);
      out += "}";
    }
    return out;
  }

 private:
  struct Shown {
    std::string name, file;
    std::map<uint32_t, int64_t> lines;  // time
  };
  const GuestProfile& profile_;
  std::vector<Shown> frames_;
  std::map<std::pair<std::string, std::string>, size_t> numbers_;
};

std::string speedscope_profile(const std::string& name, const std::string& samples, const std::string& weights,
                               uint64_t total) {
  return "{\"type\":\"sampled\",\"name\":" + json_text(name) +
         ",\"unit\":\"nanoseconds\",\"startValue\":0,\"endValue\":" + std::to_string(total) + ",\"samples\":[" +
         samples + "],\"weights\":[" + weights + "]}";
}

std::string speedscope(const GuestProfile& profile) {
  SpeedscopeFrames frames(profile);
  std::string out;
  std::string samples, weights;
  uint64_t total = 0;
  for (uint32_t i = 0; i < profile.nodes.size(); ++i) {
    const Node& node = profile.nodes[i];
    if (node.samples == 0) continue;
    const auto used = static_cast<uint64_t>(node.self.count());
    (samples += samples.empty() ? "" : ",") += frames.stack(i);
    (weights += weights.empty() ? "" : ",") += std::to_string(used);
    total += used;
  }
  out += speedscope_profile("all threads", samples, weights, total);
  for (const auto& [thread, ticks] : by_thread(profile)) {
    samples.clear(), weights.clear(), total = 0;
    for (const GuestProfile::Tick* tick : ticks) {
      const auto used = static_cast<uint64_t>(tick->used.count());
      (samples += samples.empty() ? "" : ",") += frames.stack(tick->node);
      (weights += weights.empty() ? "" : ",") += std::to_string(used);
      total += used;
    }
    out += "," + speedscope_profile("thread " + std::to_string(thread) + " in order", samples, weights, total);
  }
  return "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"vmrun\","
         "\"name\":\"vmrun guest profile\",\"activeProfileIndex\":0,\"shared\":{\"frames\":[" +
         frames.list() + "]},\"profiles\":[" + out + "]}\n";
}

// ---- trace events ---------------------------------------------------------------------------------------------------

/// Whole microseconds: readers keep times as floating point, or round begin and length each by itself, and a frame must
/// not seem to end after its caller.
int64_t micros(std::chrono::nanoseconds time) { return (time.count() + 500) / 1000; }

/// Events of a thread: a frame lasts for as long as samples in a row have it at the same depth, in the same tier.
/// Each is one event with its length ("X"): Chromium's reader does not pair a "B" with an "E" of the same moment.
class Trace {
 public:
  Trace(const GuestProfile& profile, std::string& out) : profile_(profile), out_(out) {
    metadata("process_name", 0, "guests of vmrun");
  }

  void thread(uint32_t number, const std::vector<const GuestProfile::Tick*>& ticks) {
    metadata("thread_name", number, "guests on thread " + std::to_string(number));
    std::vector<size_t> open;  // in events_
    std::chrono::nanoseconds end{};
    for (const GuestProfile::Tick* tick : ticks) {
      const std::chrono::nanoseconds begin = std::max(tick->time - tick->used, end);
      const std::vector<Frame> path = frames_to(profile_, tick->node);
      // After a pause nothing goes on.
      size_t same = 0;
      if (begin - end <= 2 * profile_.interval) {
        while (same < std::min(open.size(), path.size()) && goes_on(events_[open[same]].frame, path[same])) ++same;
      }
      close(open, same, end);
      for (; same < path.size(); ++same) {
        open.push_back(events_.size());
        events_.push_back({path[same], begin, begin});
      }
      end = std::max(tick->time, begin);
    }
    close(open, 0, end);
    for (const Event& event : events_) write(event, number);
    events_.clear();
  }

 private:
  struct Event {
    Frame frame;
    std::chrono::nanoseconds begin, end;
  };

  void begin_line() {
    out_ += first_ ? "\n" : ",\n";
    first_ = false;
  }
  void metadata(const char* what, uint32_t thread, const std::string& name) {
    begin_line();
    out_ += "{\"ph\":\"M\",\"pid\":1,\"tid\":" + std::to_string(thread) + ",\"ts\":0,\"name\":\"" + what +
            "\",\"args\":{\"name\":" + json_text(name) + "}}";
  }
  void write(const Event& event, uint32_t thread) {
    const Node& node = profile_.nodes[event.frame.node];
    begin_line();
    out_ += "{\"ph\":\"X\",\"pid\":1,\"tid\":" + std::to_string(thread) +
            ",\"cat\":\"guest\",\"ts\":" + std::to_string(micros(event.begin)) +
            ",\"dur\":" + std::to_string(micros(event.end) - micros(event.begin)) +
            ",\"name\":" + json_text(label(profile_, event.frame)) + ",\"args\":{\"tier\":\"" +
            std::string(tier_of(node.code)) + "\",\"offset\":" + std::to_string(node.offset);
    if (event.frame.place != nullptr && !event.frame.place->file.empty()) {
      out_ +=
          ",\"file\":" + json_text(event.frame.place->file) + ",\"line\":" + std::to_string(event.frame.place->line);
    }
    out_ += "}}";
  }
  bool goes_on(const Frame& a, const Frame& b) const {
    return a.function == b.function && profile_.nodes[a.node].code == profile_.nodes[b.node].code &&
           a.inlined == b.inlined && (!a.inlined || name_of(profile_, a) == name_of(profile_, b));
  }
  void close(std::vector<size_t>& open, size_t depth, std::chrono::nanoseconds end) {
    for (; open.size() > depth; open.pop_back()) events_[open.back()].end = end;
  }

  const GuestProfile& profile_;
  std::string& out_;
  std::vector<Event> events_;  // of the thread, in order of their begin, callers first
  bool first_ = true;
};

std::string trace(const GuestProfile& profile) {
  std::string out = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  Trace events(profile, out);
  for (const auto& [thread, ticks] : by_thread(profile)) events.thread(thread, ticks);
  return out + "\n]}\n";
}

}  // namespace

std::string profile_text(const GuestProfile& profile, ProfileFormat format) {
  switch (format) {
    case ProfileFormat::Folded: return folded(profile);
    case ProfileFormat::Pprof: return pprof(profile);
    case ProfileFormat::Speedscope: return speedscope(profile);
    case ProfileFormat::Trace: return trace(profile);
  }
  return {};
}

}  // namespace vmrun
