// GuestProfiler: from the samples of the process to a profile that names everything.
#include "vmrun/profile.h"

#include <map>
#include <tuple>

#include "engine/exceptions.h"
#include "jit/code/announce.h"
#include "jit/code/compiled.h"
#include "jit/stop/guest_samples.h"
#include "tiering/events.h"
#include "vm/runtime/samples.h"
#include "vmrun/base/text.h"

namespace vmrun {
namespace {

using std::chrono::nanoseconds;

static_assert(static_cast<int>(GuestProfile::Code::Opt) == static_cast<int>(vm::SampleCode::opt));
static_assert(static_cast<int>(GuestProfile::Code::Host) == static_cast<int>(vm::SampleCode::host));
static_assert(static_cast<int>(GuestProfile::Code::Cut) == static_cast<int>(vm::SampleCode::cut));

/// The functions of a profile, each once.
class Functions {
 public:
  Functions(const vm::SampleSnapshot& snapshot, std::vector<GuestProfile::Function>& out)
      : snapshot_(snapshot), out_(out) {}

  uint32_t number(const vm::SampleSnapshot::Node& node) {
    const vm::SampledFrame& frame = node.frame;
    switch (frame.code) {
      case vm::SampleCode::host: return add({{}, host(snapshot_.nodes[node.parent].frame), 0});
      case vm::SampleCode::cut: return add({{}, "[frames left out]", 0});
      default: break;
    }
    const auto module = snapshot_.modules.find(frame.module);
    if (module == snapshot_.modules.end()) {
      return add({"[module without a name]", "func[" + std::to_string(frame.func) + "]", frame.func});
    }
    const auto name = module->second.funcs.find(frame.func);
    std::string label = name != module->second.funcs.end() ? name->second : "func[" + std::to_string(frame.func) + "]";
    return add({module->second.name, std::move(label), frame.func});
  }

 private:
  /// What a frame calls that is not the guest's.
  std::string host(const vm::SampledFrame& caller) const {
    const auto module = snapshot_.modules.find(caller.module);
    if (module != snapshot_.modules.end()) {
      const auto name = module->second.hosts.find(caller.offset);
      if (name != module->second.hosts.end() && !name->second.empty()) return "[" + name->second + "]";
    }
    return "[vmrun]";
  }
  /// What images and files call things becomes valid UTF-8, without control characters, and not too long: a module's name
  /// stands in a profile once for each of its functions.
  uint32_t add(GuestProfile::Function function) {
    function.module = printable_name(function.module);
    function.name = printable_name(function.name);
    const auto key = std::tuple(function.module, function.name, function.index);
    const auto [at, fresh] = numbers_.try_emplace(key, static_cast<uint32_t>(out_.size()));
    if (fresh) out_.push_back(std::move(function));
    return at->second;
  }

  const vm::SampleSnapshot& snapshot_;
  std::vector<GuestProfile::Function>& out_;
  std::map<std::tuple<std::string, std::string, uint32_t>, uint32_t> numbers_;
};

size_t size_of(const std::vector<SourceLine>& lines) {
  size_t bytes = sizeof(std::vector<SourceLine>);
  for (const SourceLine& line : lines) bytes += sizeof line + line.function.size() + line.file.size();
  return bytes;
}

}  // namespace

uint64_t GuestProfile::samples() const {
  uint64_t sum = 0;
  for (const Node& node : nodes) sum += node.samples;
  return sum;
}

nanoseconds GuestProfile::total() const {
  nanoseconds sum{};
  for (const Node& node : nodes) sum += node.self;
  return sum;
}

Result<GuestProfiler> GuestProfiler::start(nanoseconds interval) try {
  if (interval < std::chrono::microseconds(50) || interval > std::chrono::seconds(10)) {
    return Error(ErrorKind::Usage, "the interval of a profile must be between 50us and 10s");
  }
  GuestProfiler made(interval);
  std::string why;
  if (!jit::start_guest_samples(interval.count(), &why)) {
    made.running_ = false;
    return Error(ErrorKind::Unsupported, "no profile of guests: " + why);
  }
  jit::marking_all.store(true, std::memory_order_relaxed);  // samples come between calls, too
  return made;
}
VMRUN_CATCH_OUR_EXCEPTIONS

GuestProfiler::GuestProfiler(nanoseconds interval)
    : interval_(interval), begin_(std::chrono::steady_clock::now()), start_(std::chrono::system_clock::now()) {}

GuestProfiler::GuestProfiler(GuestProfiler&& other) noexcept
    : running_(other.running_), interval_(other.interval_), begin_(other.begin_), start_(other.start_) {
  other.running_ = false;
}

GuestProfiler::~GuestProfiler() {
  if (running_) jit::stop_guest_samples();
}

GuestProfile GuestProfiler::take() const {
  const vm::SampleSnapshot snapshot = vm::Samples::get().take();
  GuestProfile out;
  out.interval = interval_;
  out.duration = std::chrono::steady_clock::now() - begin_;
  out.start = start_;
  out.cut = snapshot.cut;
  out.late_ticks = snapshot.late_ticks;
  out.nodes.reserve(snapshot.nodes.size());
  out.functions.push_back({{}, "[all]", 0});
  Functions functions(snapshot, out.functions);
  for (const vm::SampleSnapshot::Node& node : snapshot.nodes) {
    const bool root = out.nodes.empty();
    out.nodes.push_back({node.parent, root ? 0 : functions.number(node), node.frame.offset,
                         static_cast<GuestProfile::Code>(node.frame.code), node.samples, nanoseconds(node.nanoseconds),
                         0});
  }
  const auto begin = begin_.time_since_epoch();
  out.ticks.reserve(snapshot.ticks.size());
  for (const vm::SampleSnapshot::Tick& tick : snapshot.ticks) {
    out.ticks.push_back(
        {nanoseconds(static_cast<int64_t>(tick.time)) - begin, tick.thread, tick.node, nanoseconds(tick.nanoseconds)});
  }
  return out;
}

void add_sources(GuestProfile& profile, const Module& module) {
  constexpr size_t kMostBytes = size_t{64} << 20;
  const std::string name = printable_name(module.name());
  const vm::Module& image = *module.impl();
  std::map<uint64_t, uint32_t> known;  // by offset
  size_t bytes = 0;
  for (const auto& lines : profile.sources) bytes += size_of(lines);
  for (GuestProfile::Node& node : profile.nodes) {
    const GuestProfile::Function& function = profile.functions[node.function];
    if (node.code == GuestProfile::Code::Host || node.code == GuestProfile::Code::Cut || function.module != name ||
        function.index >= image.funcs.size()) {
      continue;
    }
    const vm::ByteRange body = image.funcs[function.index].body;
    if (node.offset < body.begin || node.offset >= body.end) continue;
    const auto [at, fresh] = known.try_emplace(node.offset, 0);
    if (fresh && bytes < kMostBytes) {
      std::vector<SourceLine> lines = module.source_at(node.offset);
      // As names do, files become valid UTF-8 without control characters.
      for (SourceLine& line : lines) {
        line.function = printable(line.function);
        line.file = printable(line.file);
      }
      if (!lines.empty()) {
        bytes += size_of(lines);
        at->second = static_cast<uint32_t>(profile.sources.size());
        profile.sources.push_back(std::move(lines));
      }
    }
    node.source = at->second;
  }
}

// ---- what the tiers did ---------------------------------------------------------------------------------------------

void record_compiles() { tiering::CompileEvents::want(); }

CompileRecords compile_records() {
  CompileRecords out;
  for (tiering::CompileEvent& event : tiering::CompileEvents::take(out.left_out)) {
    const auto time = [](double ns) { return nanoseconds(static_cast<int64_t>(ns)); };
    CompileRecord& record = out.all.emplace_back();
    record.module = printable_name(event.module_name);
    record.function = printable_name(event.function);
    record.func_index = event.func_index;
    if (event.unit != jit::kWholeFunction) record.loop = jit::loop_of(event.unit);
    record.from = static_cast<Tier>(event.why.from);
    record.tier = static_cast<Tier>(event.tier);
    record.reason = event.why.reason;
    record.work = event.why.work;
    record.heat = time(event.why.heat);
    record.gain = time(event.why.gain);
    record.cost = time(event.why.cost);
    record.waiting = event.why.waiting;
    record.idle = event.why.idle;
    record.background = event.background;
    record.thread = event.thread;
    record.wasm_bytes = event.wasm_bytes;
    record.code_bytes = event.code_bytes;
    record.begin = std::chrono::steady_clock::time_point(nanoseconds(event.begin));
    if (event.why.asked != 0) record.waited = nanoseconds(event.begin - event.why.asked);
    record.compiling = nanoseconds(event.compiling);
    record.installing = nanoseconds(event.installing);
    record.publishing = nanoseconds(event.publishing);
    record.failure = std::move(event.failure);
  }
  return out;
}

}  // namespace vmrun
