// A look ahead over a function body, at the speed of reading it: which locals are used most, counting loops, what each
// loop uses, and where the locals that have registers are not wanted any more. Everything else is decided in the one pass
// of compilation.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "vm/wasm/module.h"

namespace vmrun::jit::baseline {

struct LoopScan {
  uint32_t offset = 0;           // of the `loop` opcode in the image
  uint32_t first = 0, last = 0;  // range of BodyScan::touched: accesses inside, inner loops included
  bool calls = false;            // something inside clobbers all registers
};

/// Homes by their bits.
using HomeMask = uint32_t;
inline constexpr HomeMask kAllHomes = 0xffffffff;

/// Homes whose locals are read later, before they are written: of a call, behind it; of a block, at its end; of a loop, at its
/// header.
struct LivePoint {
  uint32_t offset = 0;  // of the instruction in the image
  HomeMask live = 0;
  HomeMask otherwise = 0;  // if: where its else part begins
};

class BodyScan {
 public:
  /// Reads the body of own function `func_index`, which has `locals` locals and is valid.
  void run(const vm::Module& module, uint32_t func_index, size_t locals);

  /// Accesses of local `i`, each counted 8 times more for every loop around it, up to four. 0: the body never names it.
  uint64_t weight(size_t i) const { return weights_[i]; }
  /// Loops in the order of their opcodes.
  std::span<const LoopScan> loops() const { return loops_; }
  /// An access inside a loop: its local, whether it is a write, and whether it stands in the loop's own body and in no
  /// block of it, so that every iteration that comes so far makes it.
  struct Access {
    uint32_t bits;
    uint32_t local() const { return bits >> 2; }
    bool is_write() const { return (bits & 1) != 0; }
    bool is_outermost() const { return (bits & 2) != 0; }
  };
  std::span<const Access> touched() const { return touched_; }
  bool calls() const { return calls_; }

  /// Homes that each loop uses, and those that it writes before it reads them, in each iteration.
  struct LoopUse {
    HomeMask uses, writes_first;
  };
  /// Walks back over the body that was run: what live() says is known then. Not where no call would profit, nor where there
  /// are branches on references. `home_of` has the home of each local; none is `no_home`.
  void find_live(std::span<const uint8_t> home_of, uint8_t no_home, std::span<const LoopUse> loops);
  /// What is known of the instruction at `offset`, which lies behind those that were asked for before. Null: nothing is.
  const LivePoint* live(uint32_t offset) {
    while (!points_.empty() && points_.back().offset < offset) points_.pop_back();
    return points_.empty() || points_.back().offset != offset ? nullptr : &points_.back();
  }

 private:
  // clang-format off
  enum class Event : uint8_t {
    read, write, target, exit, call, block, if_, loop, else_, catch_, end, loop_end, handler
  };
  // clang-format on
  /// The number is a local's, a branch's depth, how far from the body's begin an instruction stands, or a loop's.
  struct Seen {
    uint32_t bits;
    static constexpr unsigned kShift = 4;
    Event event() const { return static_cast<Event>(bits & ((1u << kShift) - 1)); }
    uint32_t number() const { return bits >> kShift; }
  };
  void walk_back(std::span<const uint8_t> home_of, uint8_t no_home, std::span<const LoopUse> loops);

  std::vector<uint64_t> weights_;
  std::vector<LoopScan> loops_;
  std::vector<Access> touched_;
  std::vector<uint32_t> frames_;    // per open block: index of the loop, or kPlain, or kTry
  std::vector<uint32_t> handlers_;  // of open try_tables: how deep they lead, and behind each one's how many there are
  std::unique_ptr<Seen[]> seen_;    // the body, for the way back: never more than it has bytes
  size_t seen_count_ = 0, seen_room_ = 0;
  uint32_t begin_ = 0;             // of the body in the image
  std::vector<LivePoint> points_;  // the first one last
  struct Frame;
  std::vector<Frame> open_;  // blocks, on the way back
  bool calls_ = false;
  bool is_known_ = false;  // where all branches lead
};

struct BodyScan::Frame {
  HomeMask label, end;  // where branches to it lead, and behind it
  HomeMask around;      // at any label from here outwards
  HomeMask handler;     // where an exception may lead that leaves a call in it
  HomeMask otherwise;   // if: where its else part begins
};

}  // namespace vmrun::jit::baseline
