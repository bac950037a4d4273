// Registers and slots for webs.
#include <algorithm>

#include "interp/careful/regalloc.h"

namespace vmrun::interp::ir {

namespace {

/// What a move costs against these: a dispatch of its own.
constexpr float kMoveWeight = 3;

bool range_free(const CodeVector<uint64_t>& bits, int32_t begin, int32_t end) {
  size_t w = static_cast<size_t>(begin) / 64, last = static_cast<size_t>(end - 1) / 64;
  uint64_t mask = ~uint64_t{0} << (begin % 64);
  for (; w < last; w++, mask = ~uint64_t{0}) {
    if ((bits[w] & mask) != 0) return false;
  }
  mask &= ~uint64_t{0} >> (63 - (end - 1) % 64);
  return (bits[w] & mask) == 0;
}
void clear_range(CodeVector<uint64_t>& bits, int32_t begin, int32_t end) {
  size_t w = static_cast<size_t>(begin) / 64, last = static_cast<size_t>(end - 1) / 64;
  uint64_t mask = ~uint64_t{0} << (begin % 64);
  for (; w < last; w++, mask = ~uint64_t{0}) bits[w] &= ~mask;
  bits[w] &= ~(mask & (~uint64_t{0} >> (63 - (end - 1) % 64)));
}
void set_range(CodeVector<uint64_t>& bits, int32_t begin, int32_t end) {
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
      const CodeVector<Held>& held = held_[file][reg];
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
  short_lived_.clear();
  for (uint32_t w = 0; w < n; w++) {
    if (places_[w].loc != kSlot) {
      if (webs_[w].crosses) home_of(segments_[members_[webs_[w].first]].reg);
      continue;
    }
    webs_[w].saved = webs_[w].crosses = false;
    uint32_t number = segments_[members_[webs_[w].first]].reg;
    if (f_->regs[number].place == Place::callee_slot) continue;  // known when the frame's size is
    if (webs_[w].count == 1 && number >= f_->locals && f_->regs[number].place == Place::any &&
        f_->regs[number].cls != Class::vector && global_[number] == kNone) {
      short_lived_.push_back(w);
      continue;
    }
    uint32_t slot = home_of(number);
    if (slot > kMaxSlots - 64) return false;
    places_[w] = Operand::at_slot(slot);
  }
  if (!share_slots()) return false;
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

/// Values that live within one block take turns in slots.
bool Allocator::share_slots() {
  auto segment = [&](uint32_t w) -> const Segment& { return segments_[members_[webs_[w].first]]; };
  std::sort(short_lived_.begin(), short_lived_.end(),
            [&](uint32_t x, uint32_t y) { return segment(x).begin < segment(y).begin; });
  tenants_.clear();
  free_slots_.clear();
  uint32_t end = next_slot_;
  for (uint32_t w : short_lived_) {
    const Segment& s = segment(w);
    while (!tenants_.empty() && tenants_.front().end <= s.begin) {
      free_slots_.push_back(tenants_.front().slot);
      std::push_heap(free_slots_.begin(), free_slots_.end(), std::greater<>());
      std::pop_heap(tenants_.begin(), tenants_.end(), std::greater<>());
      tenants_.pop_back();
    }
    uint32_t slot = end;
    if (free_slots_.empty()) {
      if (++end > kMaxSlots - 63) return false;
    } else {
      slot = free_slots_.front();
      std::pop_heap(free_slots_.begin(), free_slots_.end(), std::greater<>());
      free_slots_.pop_back();
    }
    tenants_.push_back({s.end, slot});
    std::push_heap(tenants_.begin(), tenants_.end(), std::greater<>());
    home_[s.reg] = slot;
    places_[w] = Operand::at_slot(slot);
  }
  next_slot_ = end;
  return true;
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
