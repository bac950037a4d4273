// The tree of stacks and its time line: see samples.h.
#include "vm/runtime/samples.h"

#include <sys/mman.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "vm/wasm/image.h"

namespace vmrun::vm {

/// `state` says who may read: a writer claims an empty node, fills it and releases it.
struct Samples::Node {
  enum : uint32_t { empty, claimed, ready };
  std::atomic<uint32_t> state;
  uint32_t parent;
  SampledFrame frame;
  std::atomic<uint64_t> samples, nanoseconds;
};

struct Samples::Tick {
  uint64_t time;
  uint32_t thread;
  std::atomic<uint32_t> nanoseconds;  // stored last; 0: not there yet
  uint32_t node;
};

namespace {

/// Steps of a probe before a node counts as not to be had.
constexpr uint32_t kProbes = 32;

uint64_t hash(uint32_t parent, const SampledFrame& frame) {
  uint64_t h = 0x9e3779b97f4a7c15;
  for (uint64_t part : {uint64_t{parent} << 32 | frame.module, uint64_t{frame.func} << 32 | frame.offset,
                        uint64_t{static_cast<uint8_t>(frame.code)}}) {
    h = (h ^ part) * 0xff51afd7ed558ccd;
    h ^= h >> 32;
  }
  return h;
}

/// What the instruction at `offset` asks of somebody else, or nothing that has a name.
std::string host_name(const Module& module, uint32_t func, uint32_t offset) {
  need_bytes(module, module.funcs[func].body);
  const uint8_t* at = module.bytes() + offset;
  const uint8_t* end = module.bytes() + module.funcs[func].body.end;
  if (at >= end) return {};
  const bool call = *at == 0x10 || *at == 0x12;  // call, return_call
  if (call) {
    uint32_t callee = 0;
    for (unsigned shift = 0; ++at < end && shift < 35; shift += 7) {
      callee |= static_cast<uint32_t>(*at & 0x7f) << shift;
      if (*at < 0x80) break;
    }
    if (callee >= module.imported_funcs) return {};
    for (const Import& import : module.imports) {
      if (import.kind != ExternKind::func || import.index != callee) continue;
      return std::string(import.module) + "." + std::string(import.name);
    }
    return {};
  }
  // Memory and table instructions, which the runtime does.
  if (*at == 0x40) return "memory.grow";
  if (*at != 0xfc || at + 1 >= end) return {};
  constexpr const char* kNames[] = {"memory.init", "data.drop",  "memory.copy", "memory.fill", "table.init",
                                    "elem.drop",   "table.copy", "table.grow",  "table.size",  "table.fill"};
  const unsigned which = at[1] - 8u;
  return which < std::size(kNames) ? kNames[which] : "";
}

constinit std::atomic<Samples*> process_samples{nullptr};

}  // namespace

SampledFrame sampled(const FrameInfo& info) {
  const Module* module = info.code->module;
  return {module != nullptr ? module->number : 0, info.code->func_index, info.offset,
          static_cast<SampleCode>(info.tier)};
}

Samples::Samples(uint32_t nodes, uint32_t ticks) : node_mask_(nodes - 1), tick_count_(ticks) {
  const size_t node_bytes = sizeof(Node) * size_t{nodes}, tick_bytes = sizeof(Tick) * size_t{ticks};
  memory_bytes_ = node_bytes + tick_bytes + sizeof(uint32_t) * size_t{nodes};
  void* memory =
      mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return;
  memory_ = static_cast<std::byte*>(memory);
  // Zero pages are empty nodes and ticks.
  nodes_ = reinterpret_cast<Node*>(memory_);
  ticks_ = reinterpret_cast<Tick*>(memory_ + node_bytes);
  used_ = reinterpret_cast<std::atomic<uint32_t>*>(memory_ + node_bytes + tick_bytes);
  nodes_[0].state.store(Node::ready, std::memory_order_relaxed);
}

Samples::~Samples() {
  if (memory_ != nullptr) munmap(memory_, memory_bytes_);
}

Samples& Samples::get() {
  static auto* samples = [] {
    auto* made = new Samples;  // modules die while the process ends
    process_samples.store(made, std::memory_order_release);
    return made;
  }();
  return *samples;
}

void Samples::reset() {
  std::lock_guard lock(mutex_);
  if (!exists()) return;
  madvise(memory_, memory_bytes_, MADV_DONTNEED);
  nodes_[0].state.store(Node::ready, std::memory_order_relaxed);
  next_tick_.store(0, std::memory_order_relaxed);
  next_used_.store(0, std::memory_order_relaxed);
  cut_.store(0, std::memory_order_relaxed);
  for (auto& module : modules_) module.store(nullptr, std::memory_order_relaxed);
  gone_.clear();
}

/// The node of `frame` beneath `parent`, or 0 where there is no room. A node that another thread is filling is passed
/// by: who waited here might wait for the code that it has interrupted. take() puts twins together.
uint32_t Samples::child(uint32_t parent, const SampledFrame& frame) {
  auto at = static_cast<uint32_t>(hash(parent, frame)) & node_mask_;
  for (uint32_t step = 0; step < kProbes; ++step, at = (at + 1) & node_mask_) {
    Node& node = nodes_[at];
    uint32_t state = node.state.load(std::memory_order_acquire);
    if (state == Node::empty && node.state.compare_exchange_strong(state, Node::claimed, std::memory_order_acquire)) {
      node.parent = parent;
      node.frame = frame;
      node.state.store(Node::ready, std::memory_order_release);
      used_[next_used_.fetch_add(1, std::memory_order_relaxed)].store(at, std::memory_order_release);
      return at;
    }
    if (state == Node::ready && at != 0 && node.parent == parent && node.frame == frame) return at;
  }
  return 0;
}

void Samples::add(std::span<const SampledFrame> frames, bool cut, uint64_t nanoseconds, uint64_t time,
                  uint32_t thread) {
  uint32_t node = 0;
  if (cut) node = child(0, {.code = SampleCode::cut});
  for (size_t i = frames.size(); i != 0; --i) {
    const uint32_t next = child(node, frames[i - 1]);
    if (next == 0) {
      cut_.fetch_add(1, std::memory_order_relaxed);
      break;
    }
    node = next;
  }
  nodes_[node].samples.fetch_add(1, std::memory_order_relaxed);
  nodes_[node].nanoseconds.fetch_add(nanoseconds, std::memory_order_relaxed);
  const uint64_t number = next_tick_.fetch_add(1, std::memory_order_relaxed);
  if (number >= tick_count_) return;
  Tick& tick = ticks_[number];
  tick.time = time;
  tick.thread = thread;
  tick.node = node;
  tick.nanoseconds.store(static_cast<uint32_t>(std::clamp<uint64_t>(nanoseconds, 1, UINT32_MAX)),
                         std::memory_order_release);
}

void Samples::name(const Module& module) {
  if (module.number >= kModules) return;
  std::atomic<const Module*>& slot = modules_[module.number];
  if (slot.load(std::memory_order_relaxed) == nullptr) slot.store(&module, std::memory_order_release);
}

std::vector<uint32_t> Samples::used() const {
  std::vector<uint32_t> out;
  const uint32_t count = next_used_.load(std::memory_order_relaxed);
  out.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    if (const uint32_t at = used_[i].load(std::memory_order_acquire); at != 0) out.push_back(at);
  }
  return out;
}

/// Of all nodes of the module.
void Samples::copy_names(const Module& module, SampledModule& out) const {
  out.name = module.display_name();
  for (uint32_t i : used()) {
    const Node& node = nodes_[i];
    const Node& named = node.frame.code == SampleCode::host ? nodes_[node.parent] : node;
    const SampledFrame& frame = named.frame;
    if (&named == nodes_ || frame.module != module.number || frame.code > SampleCode::opt) continue;
    if (&named == &node) {
      if (!out.funcs.contains(frame.func)) out.funcs.emplace(frame.func, module.func_label(frame.func));
    } else if (!out.hosts.contains(frame.offset)) {
      out.hosts.emplace(frame.offset, host_name(module, frame.func, frame.offset));
    }
  }
}

SampleSnapshot Samples::take() {
  std::lock_guard lock(mutex_);
  SampleSnapshot out;
  out.nodes.emplace_back();
  if (!exists()) return out;
  // Children by parent, then numbered from the root down, twins as one.
  std::unordered_multimap<uint32_t, uint32_t> children;
  for (uint32_t i : used()) children.emplace(nodes_[i].parent, i);
  std::unordered_map<uint32_t, uint32_t> numbers{{0, 0}};  // of the table's nodes in the snapshot
  const auto count = [&](uint32_t at, uint32_t number) {
    out.nodes[number].samples += nodes_[at].samples.load(std::memory_order_relaxed);
    out.nodes[number].nanoseconds += nodes_[at].nanoseconds.load(std::memory_order_relaxed);
  };
  count(0, 0);
  std::vector<std::vector<uint32_t>> twins{{0}};  // by number: the table's nodes
  for (uint32_t number = 0; number < twins.size(); ++number) {
    std::vector<uint32_t> below;
    for (uint32_t at : twins[number]) {
      const auto [first, last] = children.equal_range(at);
      for (auto it = first; it != last; ++it) below.push_back(it->second);
    }
    const auto key = [&](uint32_t at) {
      const SampledFrame& f = nodes_[at].frame;
      return std::tuple(f.module, f.func, f.offset, f.code);
    };
    std::ranges::sort(below, {}, key);
    const auto begin = static_cast<uint32_t>(out.nodes.size());
    for (uint32_t at : below) {
      if (out.nodes.size() == begin || out.nodes.back().frame != nodes_[at].frame) {
        out.nodes.push_back({number, nodes_[at].frame, 0, 0});
        twins.emplace_back();
      }
      const auto its = static_cast<uint32_t>(out.nodes.size() - 1);
      twins[its].push_back(at);
      numbers[at] = its;
      count(at, its);
    }
  }
  const uint64_t ticks = next_tick_.load(std::memory_order_relaxed);
  const uint64_t kept = std::min<uint64_t>(ticks, tick_count_);
  out.late_ticks = ticks - kept;
  out.cut = cut_.load(std::memory_order_relaxed);
  for (uint64_t i = 0; i < kept; ++i) {
    const uint32_t nanoseconds = ticks_[i].nanoseconds.load(std::memory_order_acquire);
    const auto node = numbers.find(ticks_[i].node);
    if (nanoseconds != 0 && node != numbers.end()) {
      out.ticks.push_back({ticks_[i].time, ticks_[i].thread, node->second, nanoseconds});
    }
  }
  std::ranges::sort(out.ticks, {}, &SampleSnapshot::Tick::time);
  out.modules = gone_;
  for (const auto& slot : modules_) {
    if (const Module* module = slot.load(std::memory_order_acquire)) copy_names(*module, out.modules[module->number]);
  }
  return out;
}

void Samples::forget(const Module& module) {
  if (module.number >= kModules) return;
  std::lock_guard lock(mutex_);
  std::atomic<const Module*>& slot = modules_[module.number];
  if (slot.load(std::memory_order_relaxed) != &module) return;
  copy_names(module, gone_[module.number]);
  slot.store(nullptr, std::memory_order_relaxed);
}

void forget_samples_of(const Module& module) {
  if (Samples* samples = process_samples.load(std::memory_order_acquire)) samples->forget(module);
}

}  // namespace vmrun::vm
