// A look ahead over a function body, at the speed of reading it: which locals are used most, counting loops, and what
// each loop uses. Everything else is decided in the one pass of compilation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vm/wasm/module.h"

namespace vmrun::jit::baseline {

struct LoopScan {
  uint32_t offset = 0;           // of the `loop` opcode in the image
  uint32_t first = 0, last = 0;  // range of BodyScan::touched: accesses inside, inner loops included
  bool calls = false;            // something inside clobbers all registers
};

class BodyScan {
 public:
  /// Reads the body of own function `func_index`, which has `locals` locals and is valid.
  void run(const vm::Module& module, uint32_t func_index, size_t locals);

  /// Accesses of local `i`, each counted 8 times more for every loop around it, up to four. 0: the body never names it.
  uint64_t weight(size_t i) const { return weights_[i]; }
  /// Loops in the order of their opcodes.
  std::span<const LoopScan> loops() const { return loops_; }
  /// Accesses inside loops: local << 1 | is_write.
  std::span<const uint32_t> touched() const { return touched_; }
  bool calls() const { return calls_; }

 private:
  std::vector<uint64_t> weights_;
  std::vector<LoopScan> loops_;
  std::vector<uint32_t> touched_;
  std::vector<uint32_t> frames_;  // per open block: index of the loop, or kPlain
  bool calls_ = false;
};

}  // namespace vmrun::jit::baseline
