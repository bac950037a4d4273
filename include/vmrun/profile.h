// Profiles of guests by sampling: where they spend processor time, in all tiers and in host functions, with their stacks.
//
//   vmrun::Engine engine;
//   auto profiler = vmrun::GuestProfiler::start(std::chrono::milliseconds(1));
//   ... run guests, on threads or in tasks ...
//   std::string file = vmrun::profile_text(profiler->take(), vmrun::ProfileFormat::Speedscope);
//
// Each thread that runs guests is interrupted by SIGURG at that interval. A sample counts for the processor time that the
// thread has used since its last one, so that waiting counts for nothing. Time in a host function, or in vmrun's own work for
// the guest, is counted when the guest goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/base/tiers.h"
#include "vmrun/module.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// What was seen. Plain data: it names everything, and needs no module or engine to live.
struct GuestProfile {
  /// What a frame runs.
  enum class Code : uint8_t {
    Interp,
    Baseline,
    Opt,
    Host,  ///< a host function by its import's name, an instruction that the runtime does, or vmrun's own work
    Cut,   ///< the outer frames of stacks that are deeper than 128
  };
  struct Function {
    std::string module;  ///< empty: no guest's
    std::string name;    ///< from the name section, an export or import, else "func[N]"
    uint32_t index = 0;  ///< in its module
  };
  /// A frame beneath its callers. Functions that optimised code inlined have frames like others.
  struct Node {
    uint32_t parent = 0;    ///< always less than the node's own number
    uint32_t function = 0;  ///< among `functions`
    uint64_t offset = 0;    ///< byte offset of the instruction in the image: the call, or where it was interrupted
    Code code = Code::Interp;
    uint64_t samples = 0;           ///< that ended here
    std::chrono::nanoseconds self;  ///< processor time of these
    uint32_t source = 0;            ///< among `sources`
  };
  struct Tick {
    std::chrono::nanoseconds time;  ///< since the start
    uint32_t thread;                ///< the kernel's number
    uint32_t node;
    std::chrono::nanoseconds used;
  };
  std::vector<Function> functions;
  std::vector<Node> nodes;  ///< parents first; number 0 is the root and no frame
  std::vector<Tick> ticks;  ///< in order of time; the first 1048576 of them
  /// Places in the source that add_sources() has found, as FrameInfo::source has them; number 0 is the unknown one.
  std::vector<std::vector<SourceLine>> sources = {{}};
  uint64_t late_ticks = 0;  ///< samples that are not in `ticks`
  uint64_t cut = 0;  ///< samples whose innermost frames are missing, because there were too many different stacks
  std::chrono::nanoseconds interval{}, duration{};
  std::chrono::system_clock::time_point start;

  uint64_t samples() const;
  std::chrono::nanoseconds total() const;
};

/// Looks up where frames of `module` are in its source (Module::source_at): those in a module of its name, at offsets in the
/// function that they name. At most 64 MiB of places; frames beyond stay without.
void add_sources(GuestProfile& profile, const Module& module);

enum class ProfileFormat : uint8_t {
  Folded,      ///< a line for each stack, as flamegraph.pl and inferno read it; counts are microseconds
  Pprof,       ///< profile.proto, not compressed: `go tool pprof FILE`
  Speedscope,  ///< JSON for https://www.speedscope.app
  Trace,       ///< trace events in JSON, for Perfetto and chrome://tracing
};

/// The profile in the format of another tool.
std::string profile_text(const GuestProfile& profile, ProfileFormat format);

/// Samples all guests of the process, from its start to its end. One at a time. Its functions may be called from any
/// thread; start() comes after the first engine.
class GuestProfiler {
 public:
  /// From 50 microseconds to 10 seconds. Memory: what different stacks need, at most 32 MiB. Errors: Usage (the interval;
  /// there is one already), Unsupported (a build for ThreadSanitizer), Limit (no memory).
  static Result<GuestProfiler> start(std::chrono::nanoseconds interval = std::chrono::milliseconds(10));
  GuestProfiler(GuestProfiler&& other) noexcept;
  GuestProfiler& operator=(GuestProfiler&&) = delete;
  ~GuestProfiler();
  /// What was seen since the start.
  GuestProfile take() const;

 private:
  explicit GuestProfiler(std::chrono::nanoseconds interval);
  bool running_ = true;
  std::chrono::nanoseconds interval_;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::system_clock::time_point start_;
};

// ---- what the tiers did ----

/// A compile, and why it was asked for.
struct CompileRecord {
  std::string module, function;
  uint32_t func_index = 0;
  std::optional<uint64_t> loop;  ///< its code is entered at this loop; none: the whole function
  Tier from = Tier::Interp;      ///< what the figures compare with
  Tier tier = Tier::Baseline;
  std::string reason;  ///< "first call", "entered often", "the hot loop", ...
  std::string work;    ///< what the code does, as far as that was weighed; else empty
  /// Time that the block has used so far, what of it the better code would have saved, and what the compile was taken to
  /// cost. Zero where nothing was weighed.
  std::chrono::nanoseconds heat{}, gain{}, cost{};
  uint32_t waiting = 0;     ///< compiles that waited when this one was asked for
  bool idle = false;        ///< a processor had nothing else to do
  bool background = false;  ///< on a compile thread
  uint32_t thread = 0;      ///< the kernel's number
  uint64_t wasm_bytes = 0, code_bytes = 0;
  std::chrono::steady_clock::time_point begin;
  std::chrono::nanoseconds waited{}, compiling{}, installing{}, publishing{};
  std::string failure;  ///< empty: its code was in force
};
struct CompileRecords {
  std::vector<CompileRecord> all;  ///< in order of their ends; the first 65536
  uint64_t left_out = 0;
};

/// Records all compiles of the process from now on. Any thread.
void record_compiles();
/// What has been recorded. Any thread.
CompileRecords compile_records();

}  // namespace vmrun
#pragma GCC visibility pop
