#include "interp/careful/regalloc.h"

#include <algorithm>

#include "interp/careful/limits.h"
#include "vm/base/assert.h"

namespace vmrun::interp::ir {

using vm::Op;

namespace {

/// A definition saves as much as a use and a half: the store and the latency of reading it back.
constexpr float kDefinitionWeight = 2;
bool is_pure(const Inst& x) {
  switch (x.kind) {
    case Kind::binary: return vm::family(x.op) != vm::Family::int_divide;
    case Kind::unary: return !vm::op_info(x.op).can_trap();
    case Kind::move:
    case Kind::select:
    case Kind::global_get:
    case Kind::binary2:
    case Kind::float2:
    case Kind::min_max: return true;
    default: return false;
  }
}

bool ends_path(const Inst& x) {
  return x.kind == Kind::branch || x.kind == Kind::br_table || x.kind == Kind::ret || x.kind == Kind::unreachable ||
         x.kind == Kind::tail_call;
}

/// Whether the instruction has operands in Function::extra (br_table's are labels).
bool has_list(const Inst& x) {
  return x.kind == Kind::call || x.kind == Kind::tail_call || x.kind == Kind::ret || x.kind == Kind::generic;
}

}  // namespace

template <class Fn>
void Allocator::for_successors(uint32_t block, Fn fn) const {
  int32_t begin = static_cast<int32_t>(f_->blocks[block].begin), end = block_end(block);
  bool falls_through = true;
  // The last instruction decides; a nop may stand behind a branch only if the branch itself became one.
  int32_t last = end - 1;
  while (last >= begin && f_->code[static_cast<size_t>(last)].kind == Kind::nop) last--;
  if (last >= begin) {
    const Inst& x = f_->code[static_cast<size_t>(last)];
    switch (x.kind) {
      case Kind::branch:
      case Kind::branch_if:
      case Kind::branch_float:
      case Kind::branch_test: fn(f_->label_block[x.target]); break;
      case Kind::br_table:
        for (uint32_t i = 0; i < x.count; i++) fn(f_->label_block[f_->extra[x.list + i]]);
        break;
      default: break;
    }
    falls_through = !ends_path(x);
  }
  if (falls_through && block + 1 < f_->blocks.size()) fn(block + 1);
}

template <class Fn>
void Allocator::for_uses(Inst& x, Fn fn) {
  if (x.a != kNoReg) fn(x.a);
  if (x.b != kNoReg) fn(x.b);
  if (x.c != kNoReg) fn(x.c);
  if (has_list(x)) {
    for (uint32_t i = 0; i < x.count; i++) fn(f_->extra[x.list + i]);
  }
}

bool Allocator::run(Function& f) {
  f_ = &f;
  find_reachable();
  find_globals();
  if (!solve_liveness() || !build_segments()) return false;
  join_webs();
  return assign();
}

void Allocator::find_reachable() {
  reachable_.assign(f_->blocks.size(), 0);
  worklist_.assign(1, 0);
  reachable_[0] = 1;
  while (!worklist_.empty()) {
    uint32_t block = worklist_.back();
    worklist_.pop_back();
    for_successors(block, [&](uint32_t s) {
      if (!reachable_[s]) {
        reachable_[s] = 1;
        worklist_.push_back(s);
      }
    });
  }
}

/// Numbers the registers that are live across blocks: used where they have not been defined before in the same block,
/// or met in several blocks.
void Allocator::find_globals() {
  size_t n = f_->regs.size();
  seen_in_.assign(n, 0);
  global_.assign(n, kNone);
  globals_.clear();
  auto make_global = [&](uint32_t reg) {
    if (global_[reg] != kNone) return;
    global_[reg] = static_cast<uint32_t>(globals_.size());
    globals_.push_back(reg);
  };
  for (uint32_t b = 0; b < f_->blocks.size(); b++) {
    if (!reachable_[b]) continue;
    for (int32_t i = static_cast<int32_t>(f_->blocks[b].begin), end = block_end(b); i < end; i++) {
      Inst& x = f_->code[static_cast<size_t>(i)];
      if (x.kind == Kind::nop) continue;
      for_uses(x, [&](uint32_t reg) {
        if (tracked(reg) && seen_in_[reg] != b + 1) make_global(reg);
      });
      if (x.d != kNoReg) {
        if (seen_in_[x.d] != 0 && seen_in_[x.d] != b + 1) make_global(x.d);
        seen_in_[x.d] = b + 1;
      }
    }
  }
}

bool Allocator::solve_liveness() {
  size_t blocks = f_->blocks.size(), edges = 0;
  words_ = static_cast<uint32_t>((globals_.size() + 63) / 64);
  for (uint32_t b = 0; b < blocks; b++) {
    if (reachable_[b]) for_successors(b, [&](uint32_t) { edges++; });
  }
  if ((blocks + edges) * words_ > kCarefulLivenessWords) return false;
  use_.assign(blocks * words_, 0);
  def_.assign(blocks * words_, 0);
  in_.assign(blocks * words_, 0);
  out_.assign(blocks * words_, 0);
  if (words_ == 0) return true;
  for (uint32_t b = 0; b < blocks; b++) {
    if (!reachable_[b]) continue;
    uint64_t *use = &use_[b * words_], *def = &def_[b * words_];
    for (int32_t i = static_cast<int32_t>(f_->blocks[b].begin), end = block_end(b); i < end; i++) {
      Inst& x = f_->code[static_cast<size_t>(i)];
      if (x.kind == Kind::nop) continue;
      for_uses(x, [&](uint32_t reg) {
        uint32_t g = global_[reg];
        if (g == kNone) return;
        uint64_t bit = uint64_t{1} << (g % 64);
        if ((def[g / 64] & bit) == 0) use[g / 64] |= bit;
      });
      if (x.d != kNoReg && global_[x.d] != kNone) {
        uint32_t g = global_[x.d];
        def[g / 64] |= uint64_t{1} << (g % 64);
      }
    }
  }
  bool changed = true;
  for (int passes = 0; changed && passes < kCarefulPasses; passes++) {
    changed = false;
    for (uint32_t b = static_cast<uint32_t>(blocks); b-- > 0;) {
      if (!reachable_[b]) continue;
      uint64_t* out = &out_[b * words_];
      for_successors(b, [&](uint32_t s) {
        const uint64_t* in = &in_[s * words_];
        for (uint32_t w = 0; w < words_; w++) out[w] |= in[w];
      });
      for (uint32_t w = 0; w < words_; w++) {
        uint64_t in = use_[b * words_ + w] | (out[w] & ~def_[b * words_ + w]);
        if (in != in_[b * words_ + w]) {
          in_[b * words_ + w] = in;
          changed = true;
        }
      }
    }
  }
  return !changed;
}

uint32_t Allocator::new_segment(uint32_t reg, int32_t end) {
  uint32_t s = static_cast<uint32_t>(segments_.size());
  segments_.push_back({reg, 0, end, s, 0, 0, false});
  return s;
}

/// Walks every block backwards: makes segments, replaces registers by them, and removes pure definitions nobody reads.
bool Allocator::build_segments() {
  size_t blocks = f_->blocks.size();
  segments_.clear();
  current_.assign(f_->regs.size(), kNone);
  live_in_.clear();
  live_out_.clear();
  live_in_begin_.assign(blocks + 1, 0);
  live_out_begin_.assign(blocks + 1, 0);
  for (uint32_t b = 0; b < blocks; b++) {
    live_in_begin_[b] = static_cast<uint32_t>(live_in_.size());
    live_out_begin_[b] = static_cast<uint32_t>(live_out_.size());
    int32_t begin = static_cast<int32_t>(f_->blocks[b].begin), end = block_end(b);
    if (!reachable_[b]) {
      // Its operands get no segments: nobody may look at them as if they had.
      for (int32_t i = begin; i < end; i++) {
        Inst& x = f_->code[static_cast<size_t>(i)];
        x.kind = Kind::nop;
        x.d = x.a = x.b = x.c = kNoReg;
      }
      continue;
    }
    if (segments_.size() > kCarefulSegments) return false;
    touched_.clear();
    for (uint32_t w = 0; w < words_; w++) {
      for (uint64_t bits = out_[b * words_ + w]; bits != 0; bits &= bits - 1) {
        uint32_t reg = globals_[w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits))];
        uint32_t s = new_segment(reg, 2 * end);
        segments_[s].used = true;
        current_[reg] = s;
        live_out_.push_back({reg, s});
        touched_.push_back(reg);
      }
    }
    for (int32_t i = end - 1; i >= begin; i--) {
      Inst& x = f_->code[static_cast<size_t>(i)];
      if (x.kind == Kind::nop) continue;
      float weight = kDepthWeight[x.depth];
      if (x.d != kNoReg) {
        if (!tracked(x.d)) {
          // A fixed slot: kept as a segment of its own.
          uint32_t s = new_segment(x.d, 2 * i + 2);
          segments_[s].begin = 2 * i + 1;
          segments_[s].used = true;
          x.d = s;
        } else {
          uint32_t s = current_[x.d];
          if (s == kNone && is_pure(x)) {
            x.kind = Kind::nop;
            x.d = x.a = x.b = x.c = kNoReg;
            continue;
          }
          int32_t at = x.kind == Kind::call ? 2 * i + 2 : 2 * i + 1;
          if (s == kNone) s = new_segment(x.d, at + 1);
          segments_[s].begin = at;
          segments_[s].weight += x.kind == Kind::generic ? 0 : weight * kDefinitionWeight;
          segments_[s].definitions += weight;
          current_[x.d] = kNone;
          x.d = s;
        }
      }
      float use_weight = x.kind == Kind::generic ? 0 : weight;
      for_uses(x, [&](uint32_t& reg) {
        if (!tracked(reg)) {
          uint32_t s = new_segment(reg, 2 * i + 1);
          segments_[s].begin = 2 * i;
          reg = s;
          return;
        }
        uint32_t s = current_[reg];
        if (s == kNone) {
          s = new_segment(reg, 2 * i + 1);
          current_[reg] = s;
          touched_.push_back(reg);
        }
        segments_[s].used = true;
        segments_[s].weight += use_weight;
        reg = s;
      });
    }
    for (uint32_t reg : touched_) {
      uint32_t s = current_[reg];
      if (s == kNone) continue;
      segments_[s].begin = 2 * begin;
      live_in_.push_back({reg, s});
      current_[reg] = kNone;
    }
  }
  live_in_begin_[blocks] = static_cast<uint32_t>(live_in_.size());
  live_out_begin_[blocks] = static_cast<uint32_t>(live_out_.size());
  return true;
}

uint32_t Allocator::find(uint32_t s) {
  while (segments_[s].web != s) {
    segments_[s].web = segments_[segments_[s].web].web;
    s = segments_[s].web;
  }
  return s;
}

/// Segments that an edge of the flow graph connects form a web.
void Allocator::join_webs() {
  size_t blocks = f_->blocks.size();
  for (uint32_t b = 0; b < blocks; b++) {
    if (!reachable_[b]) continue;
    for (uint32_t i = live_out_begin_[b]; i < live_out_begin_[b + 1]; i++) {
      current_[live_out_[i].reg] = live_out_[i].segment;
    }
    for_successors(b, [&](uint32_t s) {
      for (uint32_t i = live_in_begin_[s]; i < live_in_begin_[s + 1]; i++) {
        uint32_t out = current_[live_in_[i].reg];
        VMRUN_ASSERT(out != kNone, "what a block needs its predecessors have");
        uint32_t x = find(out), y = find(live_in_[i].segment);
        if (x != y) segments_[std::max(x, y)].web = std::min(x, y);
      }
    });
    for (uint32_t i = live_out_begin_[b]; i < live_out_begin_[b + 1]; i++) current_[live_out_[i].reg] = kNone;
  }
  // Number the webs; every segment gets its web's number. Roots come before their members.
  webs_.clear();
  size_t n = segments_.size();
  for (uint32_t s = 0; s < n; s++) {
    uint32_t root = find(s);
    segments_[s].web = root;
  }
  members_.assign(n, 0);
  // Webs are numbered in the order of their roots; a root has the smallest number of its web.
  touched_.assign(n, kNone);
  for (uint32_t s = 0; s < n; s++) {
    uint32_t root = segments_[s].web;
    if (root == s) {
      touched_[s] = static_cast<uint32_t>(webs_.size());
      webs_.push_back({0, 0, 0, 0, 0, 0, 0, -1, false, false});
    }
    Web& web = webs_[touched_[root]];
    web.count++;
    web.weight += segments_[s].weight;
    web.definitions += segments_[s].definitions;
    web.length += static_cast<uint32_t>(segments_[s].end - segments_[s].begin);
    if (int8_t hint = f_->regs[segments_[s].reg].hint; hint >= 0) web.hint = hint;
  }
  uint32_t first = 0;
  for (Web& web : webs_) {
    web.first = first;
    first += web.count;
    web.count = 0;
  }
  for (uint32_t s = 0; s < n; s++) {
    uint32_t number = touched_[segments_[s].web];
    Web& web = webs_[number];
    members_[web.first + web.count++] = s;
    segments_[s].web = number;
  }
}

}  // namespace vmrun::interp::ir
