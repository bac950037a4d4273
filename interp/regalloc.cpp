#include "interp/regalloc.h"

#include <algorithm>

#include "vm/assert.h"

namespace vmrun::interp::ir {

using vm::Op;

namespace {

constexpr float kDepthWeight[] = {1, 8, 64, 512, 4096, 32768, 262144, 2097152, 16777216};
/// A definition saves as much as a use and a half: the store and the latency of reading it back.
constexpr float kDefinitionWeight = 2;
/// What a move costs against these: a dispatch of its own.
constexpr float kMoveWeight = 3;

bool is_pure(const Inst& x) {
  switch (x.kind) {
    case Kind::binary:
      switch (x.op) {
        case Op::i32_div_s: case Op::i32_div_u: case Op::i32_rem_s: case Op::i32_rem_u: case Op::i64_div_s:
        case Op::i64_div_u: case Op::i64_rem_s: case Op::i64_rem_u:
          return false;
        default: return true;
      }
    case Kind::unary: return !vm::op_info(x.op).can_trap();
    case Kind::move: case Kind::select: case Kind::global_get: case Kind::binary2: case Kind::float2:
    case Kind::min_max:
      return true;
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
      case Kind::branch: case Kind::branch_if: case Kind::branch_float: case Kind::branch_test:
        fn(f_->label_block[x.target]);
        break;
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
  solve_liveness();
  build_segments();
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

void Allocator::solve_liveness() {
  size_t blocks = f_->blocks.size();
  words_ = static_cast<uint32_t>((globals_.size() + 63) / 64);
  use_.assign(blocks * words_, 0);
  def_.assign(blocks * words_, 0);
  in_.assign(blocks * words_, 0);
  out_.assign(blocks * words_, 0);
  if (words_ == 0) return;
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
  for (bool changed = true; changed;) {
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
}

uint32_t Allocator::new_segment(uint32_t reg, int32_t end) {
  uint32_t s = static_cast<uint32_t>(segments_.size());
  segments_.push_back({reg, 0, end, s, 0, 0, false});
  return s;
}

/// Walks every block backwards: makes segments, replaces registers by them, and removes pure definitions nobody reads.
void Allocator::build_segments() {
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

namespace {
bool range_free(const std::vector<uint64_t>& bits, int32_t begin, int32_t end) {
  size_t w = static_cast<size_t>(begin) / 64, last = static_cast<size_t>(end - 1) / 64;
  uint64_t mask = ~uint64_t{0} << (begin % 64);
  for (; w < last; w++, mask = ~uint64_t{0}) {
    if ((bits[w] & mask) != 0) return false;
  }
  mask &= ~uint64_t{0} >> (63 - (end - 1) % 64);
  return (bits[w] & mask) == 0;
}
void clear_range(std::vector<uint64_t>& bits, int32_t begin, int32_t end) {
  size_t w = static_cast<size_t>(begin) / 64, last = static_cast<size_t>(end - 1) / 64;
  uint64_t mask = ~uint64_t{0} << (begin % 64);
  for (; w < last; w++, mask = ~uint64_t{0}) bits[w] &= ~mask;
  bits[w] &= ~(mask & (~uint64_t{0} >> (63 - (end - 1) % 64)));
}
void set_range(std::vector<uint64_t>& bits, int32_t begin, int32_t end) {
  size_t w = static_cast<size_t>(begin) / 64, last = static_cast<size_t>(end - 1) / 64;
  uint64_t mask = ~uint64_t{0} << (begin % 64);
  for (; w < last; w++, mask = ~uint64_t{0}) bits[w] |= mask;
  bits[w] |= mask & (~uint64_t{0} >> (63 - (end - 1) % 64));
}
}  // namespace

std::pair<size_t, size_t> Allocator::calls_across(const Segment& s) const {
  auto after = [](int32_t position, const Call& c) { return position < c.position; };
  auto before = [](const Call& c, int32_t position) { return c.position < position; };
  auto first = std::upper_bound(calls_.begin(), calls_.end(), s.begin, after);
  auto last = std::lower_bound(first, calls_.end(), s.end, before);
  return {static_cast<size_t>(first - calls_.begin()), static_cast<size_t>(last - calls_.begin())};
}

/// The slot of a register that has one: a local's is canonical, any other gets the next free one.
uint32_t Allocator::home_of(uint32_t number) {
  if (home_[number] == kNone) {
    const Reg& reg = f_->regs[number];
    if (reg.place == Place::own_slot || number < f_->locals) {
      home_[number] = reg.slot;
    } else {
      home_[number] = next_slot_;
      next_slot_ += reg.cls == Class::vector ? 2 : 1;
    }
  }
  return home_[number];
}

bool Allocator::fits(const Web& web, int file, int reg) const {
  for (uint32_t i = 0; i < web.count; i++) {
    const Segment& s = segments_[members_[web.first + i]];
    if (!range_free(busy_[file][reg], s.begin, s.end)) return false;
  }
  return true;
}

void Allocator::take(uint32_t number, int file, int reg) {
  const Web& web = webs_[number];
  for (uint32_t i = 0; i < web.count; i++) {
    const Segment& s = segments_[members_[web.first + i]];
    set_range(busy_[file][reg], s.begin, s.end);
  }
  places_[number] = Operand::reg(reg + 1);
}

void Allocator::release(uint32_t number) {
  const Web& web = webs_[number];
  int file = f_->regs[segments_[members_[web.first]].reg].cls == Class::floating, reg = places_[number].loc - 1;
  for (uint32_t i = 0; i < web.count; i++) {
    const Segment& s = segments_[members_[web.first + i]];
    clear_range(busy_[file][reg], s.begin, s.end);
  }
  places_[number] = Operand{};
}

/// Dense use decides first, so that short values lie scattered over all registers and a long one, however much it is
/// used, may find none free throughout. Here the heaviest of those get a register where that gains more than what its
/// holders lose.
void Allocator::evict_for_gain() {
  constexpr float kWorthwhile = 16;
  constexpr size_t kCandidates = 24;
  candidates_.clear();
  for (uint32_t w : order_) {
    if (places_[w].loc == kSlot && webs_[w].gain >= kWorthwhile) candidates_.push_back(w);
  }
  if (candidates_.empty()) return;
  auto heavier = [&](uint32_t x, uint32_t y) {
    return webs_[x].gain != webs_[y].gain ? webs_[x].gain > webs_[y].gain : x < y;
  };
  if (candidates_.size() > kCandidates) {
    std::partial_sort(candidates_.begin(), candidates_.begin() + kCandidates, candidates_.end(), heavier);
    candidates_.resize(kCandidates);
  } else {
    std::sort(candidates_.begin(), candidates_.end(), heavier);
  }
  for (auto& file : held_) {
    for (auto& reg : file) reg.clear();
  }
  for (const Segment& s : segments_) {
    const Operand& place = places_[s.web];
    if (place.loc < 1 || place.loc > 4) continue;
    held_[f_->regs[s.reg].cls == Class::floating][place.loc - 1].push_back({s.begin, s.end, s.web});
  }
  for (int file = 0; file < 2; file++) {
    for (int reg = 0; reg < 4; reg++) {
      std::sort(held_[file][reg].begin(), held_[file][reg].end(),
                [](const Held& x, const Held& y) { return x.begin < y.begin; });
      won_[file][reg].assign(busy_[file][reg].size(), 0);
    }
  }
  for (uint32_t w : candidates_) {
    const Web& web = webs_[w];
    int file = f_->regs[segments_[members_[web.first]].reg].cls == Class::floating;
    float best_gain = 0;
    int best = -1;
    for (int reg = 0; reg < 4; reg++) {
      losers_.clear();
      float loss = 0;
      bool possible = true;
      const std::vector<Held>& held = held_[file][reg];
      for (uint32_t i = 0; i < web.count && possible; i++) {
        const Segment& s = segments_[members_[web.first + i]];
        possible = range_free(won_[file][reg], s.begin, s.end);
        auto h = std::lower_bound(held.begin(), held.end(), s.begin,
                                  [](const Held& x, int32_t position) { return x.end <= position; });
        for (; h != held.end() && h->begin < s.end && possible; ++h) {
          if (places_[h->web].loc != reg + 1) continue;  // evicted before
          if (std::find(losers_.begin(), losers_.end(), h->web) != losers_.end()) continue;
          losers_.push_back(h->web);
          loss += webs_[h->web].gain;
          possible = loss < web.gain && f_->regs[segments_[members_[webs_[h->web].first]].reg].place == Place::any &&
                     losers_.size() < 200;
        }
      }
      if (possible && web.gain - loss > best_gain) {
        best_gain = web.gain - loss;
        best = reg;
        best_losers_ = losers_;
      }
    }
    if (best < 0) continue;
    for (uint32_t loser : best_losers_) release(loser);
    take(w, file, best);
    for (uint32_t i = 0; i < web.count; i++) {
      const Segment& s = segments_[members_[web.first + i]];
      set_range(won_[file][best], s.begin, s.end);
    }
    std::sort(best_losers_.begin(), best_losers_.end(), heavier);
    for (uint32_t loser : best_losers_) {
      for (int reg = 3; reg >= 0; reg--) {
        if (!fits(webs_[loser], file, reg)) continue;
        take(loser, file, reg);
        // Its positions there are not in held_: nothing may evict it again.
        for (uint32_t i = 0; i < webs_[loser].count; i++) {
          const Segment& s = segments_[members_[webs_[loser].first + i]];
          set_range(won_[file][reg], s.begin, s.end);
        }
        break;
      }
    }
  }
}

bool Allocator::assign() {
  size_t n = webs_.size();
  size_t position_words = (2 * f_->code.size() + 2) / 64 + 1;
  for (auto& file : busy_) {
    for (auto& bits : file) bits.assign(position_words, 0);
  }
  calls_.clear();
  calls_weight_ = 0;
  if (f_->has_call) {
    for (size_t i = 0; i < f_->code.size(); i++) {
      Inst& x = f_->code[i];
      if (x.kind != Kind::call) continue;
      x.c = static_cast<uint32_t>(calls_.size());
      calls_.push_back({static_cast<int32_t>(2 * i + 1), calls_weight_});
      calls_weight_ += kDepthWeight[x.depth];
    }
  }
  places_.assign(n, Operand{});
  order_.clear();
  auto reg_of = [&](const Web& web) -> const Reg& { return f_->regs[segments_[members_[web.first]].reg]; };

  for (uint32_t w = 0; w < n; w++) {
    const Reg& reg = reg_of(webs_[w]);
    if (reg.place == Place::reg) {
      take(w, reg.cls == Class::floating, static_cast<int>(reg.slot));
    } else if (reg.place == Place::any && reg.cls != Class::vector) {
      Web& web = webs_[w];
      float gain = web.weight;
      if (!calls_.empty()) {
        float across = 0;
        for (uint32_t i = 0; i < web.count; i++) {
          auto [first, last] = calls_across(segments_[members_[web.first + i]]);
          if (first < last) web.crosses = true;
          across += total_weight(last) - total_weight(first);
        }
        if (web.crosses) {
          web.saved = web.definitions < across;
          gain -= kMoveWeight * (across + std::min(across, web.definitions));
        }
      }
      if (gain <= 0) continue;
      web.gain = gain;
      web.priority = gain / static_cast<float>(web.length + 4);
      order_.push_back(w);
    }
  }
  std::sort(order_.begin(), order_.end(), [&](uint32_t x, uint32_t y) {
    return webs_[x].priority != webs_[y].priority ? webs_[x].priority > webs_[y].priority : x < y;
  });

  // Webs that a move joins do well in the same place.
  friends_.clear();
  for (const Inst& x : f_->code) {
    bool joins = (x.kind == Kind::move && (x.flags & kConstA) == 0) ||
                 (x.kind == Kind::binary && (x.flags & kConstB) != 0 && x.a != kNoReg &&
                  segments_[x.a].reg == segments_[x.d == kNoReg ? x.a : x.d].reg);
    if (!joins || x.d == kNoReg || x.a == kNoReg) continue;
    uint32_t d = segments_[x.d].web, a = segments_[x.a].web;
    if (d == a) continue;
    friends_.push_back({d, a});
    friends_.push_back({a, d});
  }
  std::sort(friends_.begin(), friends_.end(), [](const Friend& x, const Friend& y) { return x.web < y.web; });

  for (uint32_t w : order_) {
    const Web& web = webs_[w];
    int file = reg_of(web).cls == Class::floating;
    int got = -1;
    auto friends = std::lower_bound(friends_.begin(), friends_.end(), w,
                                    [](const Friend& f, uint32_t number) { return f.web < number; });
    for (; friends != friends_.end() && friends->web == w && got < 0; ++friends) {
      const Operand& other = places_[friends->other];
      if (other.loc >= 1 && other.loc <= 4 && fits(web, file, other.loc - 1)) got = other.loc - 1;
    }
    if (got < 0 && web.hint >= 0 && fits(web, file, web.hint)) got = web.hint;
    for (int r = 3; r >= 0 && got < 0; r--) {
      if (fits(web, file, r)) got = r;
    }
    if (got >= 0) take(w, file, got);
  }
  evict_for_gain();

  home_.assign(f_->regs.size(), kNone);
  next_slot_ = f_->first_temp;
  for (uint32_t w = 0; w < n; w++) {
    if (places_[w].loc != kSlot) {
      if (webs_[w].crosses) home_of(segments_[members_[webs_[w].first]].reg);
      continue;
    }
    webs_[w].saved = webs_[w].crosses = false;
    uint32_t number = segments_[members_[webs_[w].first]].reg;
    if (f_->regs[number].place == Place::callee_slot) continue;  // known when the frame's size is
    uint32_t slot = home_of(number);
    if (slot > kMaxSlots - 64) return false;
    places_[w] = Operand::at_slot(slot);
  }
  list_crossings();
  scratch_ = next_slot_;
  frame_slots_ = next_slot_ + kScratchSlots;
  uint32_t callee = frame_slots_ + kLinkSlots;
  for (uint32_t w = 0; w < n; w++) {
    const Reg& reg = reg_of(webs_[w]);
    if (reg.place != Place::callee_slot) continue;
    if (callee + reg.slot > kMaxSlots - 64) return false;
    places_[w] = Operand::at_slot(callee + reg.slot);
  }
  return frame_slots_ < kMaxSlots - 64;
}

/// Per call, the webs in registers that live across it.
void Allocator::list_crossings() {
  crossing_begin_.assign(calls_.size() + 1, 0);
  crossings_.clear();
  if (calls_.empty()) return;
  auto for_crossings = [&](auto fn) {
    for (const Web& web : webs_) {
      if (!web.crosses) continue;
      for (uint32_t i = 0; i < web.count; i++) {
        auto [first, last] = calls_across(segments_[members_[web.first + i]]);
        for (size_t c = first; c < last; c++) fn(web, c);
      }
    }
  };
  for_crossings([&](const Web&, size_t c) { crossing_begin_[c + 1]++; });
  for (size_t c = 0; c < calls_.size(); c++) crossing_begin_[c + 1] += crossing_begin_[c];
  crossings_.resize(crossing_begin_.back());
  for_crossings([&](const Web& web, size_t c) {
    uint32_t segment = members_[web.first];
    crossings_[crossing_begin_[c]++] = {operand(segment), slot_of(segment), cls(segment), !web.saved};
  });
  for (size_t c = calls_.size(); c > 0; c--) crossing_begin_[c] = crossing_begin_[c - 1];
  crossing_begin_[0] = 0;
}

}  // namespace vmrun::interp::ir
