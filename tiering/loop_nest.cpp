// A walk over a body for its loops: see loop_nest.h.
#include "tiering/loop_nest.h"

#include <algorithm>

#include "jit/code/compiled.h"
#include "vm/base/assert.h"
#include "vm/wasm/func_decoder_base.h"
#include "vm/wasm/image.h"
#include "vm/wasm/opcode.h"

namespace vmrun::tiering {
namespace {

using policy::Work;
using vm::Op;

/// The instructions that decide what a stretch of code is.
struct Seen {
  bool calls = false, switches = false, accesses = false, floats = false, vectors = false;

  void add(Op op) {
    switch (op) {
      case Op::call:
      case Op::call_indirect:
      case Op::call_ref: calls = true; return;
      default: break;
    }
    const vm::Family family = vm::op_info(op).family;
    accesses |= family == vm::Family::load || family == vm::Family::store || family == vm::Family::vector_memory;
    floats |= family == vm::Family::float_binary;
    vectors |= vm::is_vector(family);
  }
  Work work() const {
    if (switches) return Work::switches;
    if (calls) return Work::calls;
    // A processor takes as long for these whoever has written the code.
    if (vectors || (floats && !accesses)) return Work::arithmetic;
    return accesses ? Work::memory : Work::plain;
  }
};

}  // namespace

LoopNest::LoopNest(const vm::Module& module, uint32_t func_index, const vm::LoopTable& loops) : loops_(loops.count) {
  std::vector<Seen> seen(loops.count + 1);  // by index; the last is of what stands in no loop
  struct Open {
    uint32_t inside;  // the innermost loop inside the block, the block itself included, or kNone
    bool is_loop;     // the block is that loop
  };
  std::vector<Open> open;
  uint32_t next = 0;  // the first loop of the table that has not come yet
  const vm::ByteRange body = module.funcs[func_index].body;
  vm::need_bytes(module, body);
  const uint8_t* p = vm::skip_locals(module.bytes() + body.begin);
  const uint8_t* end = module.bytes() + body.end;
  const uint64_t most_inlined = policy::kMostInlined + uint64_t{body.size()} * policy::kMostInlinedPercent / 100;
  uint64_t inlined = 0;
  auto expect_inlined = [&](uint64_t bytes, uint32_t inside) {
    if (bytes > policy::kInlinedBytes || inlined + bytes > most_inlined) return;
    inlined += bytes;
    if (inside != kNone) loops_[inside].inlined += static_cast<uint32_t>(bytes);
  };
  while (p < end) {
    const auto at = static_cast<uint32_t>(p - module.bytes());
    const uint32_t inside = open.empty() ? kNone : open.back().inside;
    const uint8_t* operands = p + 1;
    const Op op = vm::skip_instruction(p);
    if (op == Op::call) {
      uint32_t callee = 0;
      vm::read_leb<uint32_t, 32>(operands, end, callee);
      if (callee >= module.imported_funcs) expect_inlined(module.funcs[callee].body.size(), inside);
    } else if (op == Op::call_indirect) {
      expect_inlined(policy::kGuessedBytes, inside);
    }
    switch (op) {
      case Op::loop:
        // The table may lack loops that cannot be reached; nor can those inside them.
        if (next == loops.count || loops.loops[next].offset != at) {
          open.push_back({inside, false});
          break;
        }
        if (inside != kNone) loops_[inside].innermost = false;
        loops_[next].outer = inside;
        loops_[next].begin = at;
        open.push_back({next++, true});
        break;
      case Op::block:
      case Op::if_:
      case Op::try_:
      case Op::try_table: open.push_back({inside, false}); break;
      case Op::end:
      case Op::delegate:
        if (open.empty()) break;
        if (open.back().is_loop) {
          loops_[inside].end = at;
          if (loops_[inside].outer != kNone) loops_[loops_[inside].outer].inlined += loops_[inside].inlined;
        }
        open.pop_back();
        break;
      case Op::br_table: {
        uint32_t targets = 0;
        vm::read_leb<uint32_t, 32>(operands, end, targets);
        seen[inside != kNone ? inside : loops.count].switches |= targets >= policy::kLargeSwitch;
        break;
      }
      default: seen[inside != kNone ? inside : loops.count].add(op); break;
    }
  }
  VMRUN_ASSERT(next == loops.count, "a function's loops are in its body");
  for (uint32_t i = 0; i < loops.count; ++i) loops_[i].work = seen[i].work();
  outside_ = seen[loops.count].work();
  inlined_ = static_cast<uint32_t>(inlined);
}

LoopNest::Around LoopNest::around(uint32_t loop) const {
  Around result;
  for (; loop != kNone && result.first_ != 0; loop = loops_[loop].outer) result.indices_[--result.first_] = loop;
  return result;
}

vm::ByteRange LoopNest::range(const vm::LoopTable& loops, uint32_t unit) const {
  const vm::LoopCode* entry = unit != jit::kWholeFunction ? loops.find(jit::loop_of(unit)) : nullptr;
  if (entry == nullptr) return {0, UINT32_MAX};
  const auto loop = static_cast<uint32_t>(entry - loops.loops);
  if (jit::is_alone(unit)) return {loops_[loop].begin, loops_[loop].end};
  const uint32_t outermost = around(loop).outermost();
  return {loops_[outermost].begin, loops_[outermost].end};
}

uint32_t LoopNest::loop_at(uint32_t offset) const {
  auto after = std::upper_bound(loops_.begin(), loops_.end(), offset,
                                [](uint32_t o, const Loop& loop) { return o < loop.begin; });
  if (after == loops_.begin()) return kNone;
  auto loop = static_cast<uint32_t>(after - loops_.begin()) - 1;
  while (loop != kNone && loops_[loop].end <= offset) loop = loops_[loop].outer;
  return loop;
}

}  // namespace vmrun::tiering
