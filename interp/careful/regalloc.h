// Places for virtual registers: liveness per block, webs of values that must share a place, and registers by
// loop-weighted use. What gets no register lives in its slot for good; every handler takes slots, so there is no spill
// code. A call clobbers all registers: a web that lives across calls is in a register only if that pays for reloading it
// after each, and for saving it in its slot before each or whenever it is defined, whichever is rarer.
#pragma once

#include <cstdint>

#include "interp/careful/ir.h"
#include "interp/code_room.h"
#include "interp/emitter.h"

namespace vmrun::interp::ir {

class Allocator {
 public:
  /// Removes dead code from `f`, decides where everything is, and replaces the register numbers of its instructions and
  /// of `extra` by segment numbers that `operand` understands. False: the frame would be too large, or all this too
  /// much work (limits.h).
  bool run(Function& f);

  /// Where a segment is.
  Operand operand(uint32_t segment) const {
    const Segment& s = segments_[segment];
    return places_[s.web];
  }
  Class cls(uint32_t segment) const { return f_->regs[segments_[segment].reg].cls; }
  /// Whether it holds an i32, which has no upper half.
  bool i32(uint32_t segment) const { return f_->regs[segments_[segment].reg].i32; }
  /// Whether anything reads the value that this segment begins with.
  bool used(uint32_t segment) const { return segments_[segment].used; }

  bool reachable(uint32_t block) const { return reachable_[block]; }
  /// Slots of this frame, scratch slots included; a callee's frame begins kLinkSlots above.
  uint32_t frame_slots() const { return frame_slots_; }
  uint32_t scratch() const { return scratch_; }

  /// A web in a register that a call clobbers.
  struct Crossing {
    Operand reg, slot;
    Class cls;
    bool save;  // else the slot is up to date
  };
  /// Of the call whose `c` is `ordinal`.
  std::span<const Crossing> crossings(uint32_t ordinal) const {
    return {crossings_.data() + crossing_begin_[ordinal], crossing_begin_[ordinal + 1] - crossing_begin_[ordinal]};
  }
  /// Whether the definition that begins this segment must also be stored in its slot; which is `slot_of`.
  bool saved_at_definition(uint32_t segment) const { return webs_[segments_[segment].web].saved; }
  Operand slot_of(uint32_t segment) const { return Operand::at_slot(home_[segments_[segment].reg]); }

  /// What is live at the beginning of `block`: pairs of register and segment.
  struct Live {
    uint32_t reg, segment;
  };
  std::span<const Live> live_in(uint32_t block) const {
    return {live_in_.data() + live_in_begin_[block], live_in_begin_[block + 1] - live_in_begin_[block]};
  }

 private:
  struct Segment {
    uint32_t reg;
    int32_t begin, end;  // positions: 2 i + 1 for what instruction i defines, up to its last use at 2 i + 1
    uint32_t web;        // first: parent in the union of webs; later: the web's number
    float weight;        // of its uses and its definition
    float definitions;   // of its definition alone
    bool used;
  };

  void find_reachable();
  void find_globals();
  bool solve_liveness();
  bool build_segments();
  void join_webs();
  bool assign();

  template <class Fn>
  void for_successors(uint32_t block, Fn fn) const;
  template <class Fn>
  void for_uses(Inst& x, Fn fn);
  uint32_t find(uint32_t segment);
  uint32_t new_segment(uint32_t reg, int32_t end);
  int32_t block_end(uint32_t block) const {
    return block + 1 < f_->blocks.size() ? static_cast<int32_t>(f_->blocks[block + 1].begin)
                                         : static_cast<int32_t>(f_->code.size());
  }
  /// Callee slots are not allocated: a call's results and stack arguments are where the convention says.
  bool tracked(uint32_t reg) const {
    Place p = f_->regs[reg].place;
    return p == Place::any || p == Place::reg;
  }

  Function* f_ = nullptr;
  CodeVector<uint8_t> reachable_;
  CodeVector<uint32_t> worklist_;
  CodeVector<uint32_t> seen_in_;  // per register: block + 1 it was met in
  CodeVector<uint32_t> global_;   // per register: its number among those live across blocks, or kNone
  CodeVector<uint32_t> globals_;  // the other way round
  uint32_t words_ = 0;
  CodeVector<uint64_t> use_, def_, in_, out_;
  CodeVector<Segment> segments_;
  CodeVector<uint32_t> current_;  // per register: its open segment
  CodeVector<Live> live_in_, live_out_;
  CodeVector<uint32_t> live_in_begin_, live_out_begin_;
  CodeVector<uint32_t> touched_;
  // Webs.
  struct Web {
    float priority;
    float weight, definitions;
    float gain;  // what a register for it saves
    uint32_t length;
    uint32_t first, count;  // segments, in members_
    int8_t hint;
    bool saved;    // in a register, and its slot is written at each definition
    bool crosses;  // lives across calls
  };
  struct Call {
    int32_t position;
    float weight_before;  // of all calls up to here, this one excluded
  };
  /// Calls that `s` lives across: [first, last) in calls_.
  std::pair<size_t, size_t> calls_across(const Segment& s) const;
  float total_weight(size_t call) const { return call < calls_.size() ? calls_[call].weight_before : calls_weight_; }
  uint32_t home_of(uint32_t reg);
  bool share_slots();
  void list_crossings();
  CodeVector<uint32_t> short_lived_;  // webs in slots, each of one block and one definition
  struct Tenant {
    int32_t end;
    uint32_t slot;
    bool operator>(const Tenant& other) const { return end > other.end; }
  };
  CodeVector<Tenant> tenants_;       // values in shared slots: a heap, the one that ends first on top
  CodeVector<uint32_t> free_slots_;  // a heap, the lowest on top
  bool fits(const Web& web, int file, int reg) const;
  void take(uint32_t web, int file, int reg);
  void release(uint32_t web);
  void evict_for_gain();
  struct Held {
    int32_t begin, end;
    uint32_t web;
  };
  CodeVector<Held> held_[2][4];     // per register: who holds it when, by position
  CodeVector<uint64_t> won_[2][4];  // positions that eviction has given away for good
  CodeVector<uint32_t> candidates_, losers_, best_losers_;
  CodeVector<Call> calls_;
  float calls_weight_ = 0;
  CodeVector<Crossing> crossings_;
  CodeVector<uint32_t> crossing_begin_;
  CodeVector<Web> webs_;
  CodeVector<uint32_t> members_;
  CodeVector<Operand> places_;  // per web
  CodeVector<uint32_t> order_;
  CodeVector<uint64_t> busy_[2][4];  // per register file and register: bit per position
  struct Friend {
    uint32_t web, other;
  };
  CodeVector<Friend> friends_;  // webs that a move joins, by web
  CodeVector<uint32_t> home_;   // per register: its slot, or kNone
  uint32_t next_slot_ = 0, scratch_ = 0, frame_slots_ = 0;
};

inline constexpr uint32_t kScratchSlots = 10;
/// How much an instruction counts, by the loops around it.
inline constexpr float kDepthWeight[] = {1, 8, 64, 512, 4096, 32768, 262144, 2097152, 16777216};

}  // namespace vmrun::interp::ir
