// Stacks of guests, counted: what a sampling profiler has seen.
//
// The stacks are a tree. A node is an instruction of a function in a tier, beneath the calls that led there; it counts
// the samples that met exactly this stack. A time line says when which node was met, as long as there is room.
//
// Bounds: kNodes nodes, kTicks ticks, kModules modules, whatever guests do; memory is taken as it is used. What finds no
// node is charged to the stack above it and counted as cut; ticks beyond the last are counted. Samples are never lost.
//
// Threads. add() and its kin are async-signal-safe and wait for nobody: signal handlers of any number of threads call
// them at once. take() and forget() take a lock and may be called meanwhile; they see what was added before. reset() only
// while nobody adds.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "vm/runtime/activation.h"
#include "vm/wasm/module.h"

namespace vmrun::vm {

/// Frames of a sample, at most: the innermost ones.
inline constexpr size_t kMaxSampledFrames = 128;

/// What a frame of a sample runs.
enum class SampleCode : uint8_t {
  interp,
  baseline,
  opt,
  host,  // not the guest: a host function, or vmrun itself. No function; its caller's offset says which
  cut,   // frames that there was no room for
};

struct SampledFrame {
  uint32_t module = 0;  // Module::number
  uint32_t func = 0;
  uint32_t offset = 0;  // of the instruction in the image
  SampleCode code = SampleCode::interp;
  bool operator==(const SampledFrame&) const = default;
};
/// Of a guest's frame.
SampledFrame sampled(const FrameInfo& info);

/// The names that samples of a module need.
struct SampledModule {
  std::string name;
  std::map<uint32_t, std::string> funcs;  // by index: Module::func_label
  std::map<uint32_t, std::string>
      hosts;  // what is called at an offset: an import, or an instruction that vmrun helps with
};

/// All that was seen.
struct SampleSnapshot {
  struct Node {
    uint32_t parent = 0;  // less than the node's own number; node 0 is the root, which has no frame
    SampledFrame frame;
    uint64_t samples = 0, nanoseconds = 0;
  };
  struct Tick {
    uint64_t time;  // of the monotonic clock, in nanoseconds
    uint32_t thread, node, nanoseconds;
  };
  std::vector<Node> nodes;
  std::vector<Tick> ticks;  // by time
  std::map<uint32_t, SampledModule> modules;
  uint64_t cut = 0;         // samples that were charged to a part of their stack
  uint64_t late_ticks = 0;  // samples without a place on the time line
};

class Samples {
 public:
  static constexpr uint32_t kNodes = uint32_t{1} << 17, kTicks = uint32_t{1} << 20, kModules = 4096;

  /// With less room, for tests.
  explicit Samples(uint32_t nodes = kNodes, uint32_t ticks = kTicks);
  ~Samples();
  Samples(const Samples&) = delete;
  Samples& operator=(const Samples&) = delete;
  /// The process's own.
  static Samples& get();

  /// Whether there was memory for it.
  bool exists() const { return nodes_ != nullptr; }
  /// Forgets everything.
  void reset();

  /// Counts a sample of `nanoseconds` for the stack `frames`, innermost first. `cut`: frames beyond are missing.
  void add(std::span<const SampledFrame> frames, bool cut, uint64_t nanoseconds, uint64_t time, uint32_t thread);
  /// Says that samples name `module`, so that its names are there at the end. It lives.
  void name(const Module& module);

  /// What there is.
  SampleSnapshot take();
  /// `module` dies, in which no guest runs: its names are copied, if it was sampled.
  void forget(const Module& module);

 private:
  struct Node;
  struct Tick;
  uint32_t child(uint32_t parent, const SampledFrame& frame);
  /// Numbers of all nodes but the root.
  std::vector<uint32_t> used() const;
  void copy_names(const Module& module, SampledModule& out) const;

  const uint32_t node_mask_, tick_count_;
  std::byte* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  Node* nodes_ = nullptr;  // a hash table by parent and frame; number 0 is the root
  Tick* ticks_ = nullptr;
  std::atomic<uint32_t>* used_ = nullptr;  // numbers of the nodes in use; 0: about to be said
  std::atomic<uint32_t> next_used_{0};
  std::atomic<uint64_t> next_tick_{0}, cut_{0};
  std::atomic<const Module*> modules_[kModules] = {};
  std::mutex mutex_;
  std::map<uint32_t, SampledModule> gone_;
};

/// A module dies: the process's samples keep its names. Quick where nothing was sampled.
void forget_samples_of(const Module& module);

}  // namespace vmrun::vm
