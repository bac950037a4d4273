#include "jit/baseline/scan.h"

#include <algorithm>
#include <array>

#include "vm/wasm/func_decoder.h"
#include "vm/wasm/image.h"
#include "vm/wasm/limits.h"

namespace vmrun::jit::baseline {
namespace {

using vm::Op;

constexpr uint32_t kPlain = 0xffffffff;

/// Only so many loops around an access make it heavier, each by this factor.
constexpr uint32_t kWeighedLoops = 4, kLoopFactor = 8;
/// No weight wraps: what has the weight 0 is never initialised.
static_assert(uint64_t{vm::kMaxBodyBytes} <= UINT64_MAX >> (3 * kWeighedLoops) && kLoopFactor == 1 << 3);

/// How to pass over an instruction by its first byte.
enum class Step : uint8_t { none, leb, memarg, bytes4, bytes8, local, open, loop, close, call, slow };

constexpr std::array<Step, 256> make_steps() {
  std::array<Step, 256> steps{};
  steps.fill(Step::slow);
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    const vm::OpInfo& info = vm::kOpInfo[i];
    if (info.prefix != 0) continue;
    switch (info.imm) {
      case vm::Imm::none: steps[info.code] = Step::none; break;
      case vm::Imm::i32:
      case vm::Imm::i64:
      case vm::Imm::label:
      case vm::Imm::global:
      case vm::Imm::table:
      case vm::Imm::memory:
      case vm::Imm::tag: steps[info.code] = Step::leb; break;
      case vm::Imm::local: steps[info.code] = Step::local; break;
      case vm::Imm::memarg: steps[info.code] = Step::memarg; break;
      case vm::Imm::f32: steps[info.code] = Step::bytes4; break;
      case vm::Imm::f64: steps[info.code] = Step::bytes8; break;
      case vm::Imm::func:
      case vm::Imm::type:
      case vm::Imm::type_table: steps[info.code] = Step::call; break;
      default: break;
    }
  }
  auto set = [&](Op op, Step step) { steps[vm::op_info(op).code] = step; };
  for (Op op : {Op::block, Op::if_, Op::try_, Op::try_table}) set(op, Step::open);
  set(Op::loop, Step::loop);
  set(Op::end, Step::close);
  set(Op::delegate, Step::close);
  set(Op::memory_grow, Step::call);
  set(Op::ref_func, Step::leb);
  for (Op op : {Op::return_call, Op::return_call_indirect, Op::return_call_ref}) set(op, Step::slow);
  return steps;
}
constexpr std::array<Step, 256> kSteps = make_steps();

inline const uint8_t* skip_leb(const uint8_t* p) {
  while (*p++ & 0x80) {
  }
  return p;
}

inline uint32_t read_leb(const uint8_t*& p) {
  uint32_t value = *p & 0x7f;
  for (unsigned shift = 7; (*p++ & 0x80) != 0; shift += 7) value |= static_cast<uint32_t>(*p & 0x7f) << shift;
  return value;
}

}  // namespace

void BodyScan::run(const vm::Module& module, uint32_t func_index, size_t locals) {
  weights_.assign(locals, 0);
  loops_.clear();
  touched_.clear();
  frames_.clear();
  calls_ = false;
  const vm::FuncDecl& decl = module.funcs[func_index];
  vm::need_bytes(module, decl.body);
  const uint8_t* image = module.bytes();
  const uint8_t* p = vm::skip_locals(image + decl.body.begin);
  const uint8_t* end = image + decl.body.end;
  uint64_t unit = 1;
  uint32_t depth = 0, calls = 0;  // until its end, LoopScan::last holds the calls before it
  std::vector<uint32_t>& frames = frames_;
  while (p < end) {
    const uint8_t* at = p;
    switch (kSteps[*p]) {
      case Step::none: ++p; break;
      case Step::leb: p = skip_leb(p + 1); break;
      case Step::memarg: {
        bool has_memory = (p[1] & 0x40) != 0;
        p = skip_leb(p + 1);
        if (has_memory) p = skip_leb(p);
        p = skip_leb(p);
        break;
      }
      case Step::bytes4: p += 5; break;
      case Step::bytes8: p += 9; break;
      case Step::local: {
        bool write = *p != vm::op_info(Op::local_get).code;
        uint32_t local = read_leb(++p);
        weights_[local] += unit;
        if (depth != 0) touched_.push_back(local << 1 | static_cast<uint32_t>(write));
        break;
      }
      case Step::loop:
        frames.push_back(static_cast<uint32_t>(loops_.size()));
        loops_.push_back({static_cast<uint32_t>(at - image), static_cast<uint32_t>(touched_.size()), calls, false});
        if (++depth <= kWeighedLoops) unit *= kLoopFactor;
        p = vm::skip_immediates(vm::Imm::block, p + 1);
        break;
      case Step::open:
        frames.push_back(kPlain);
        vm::skip_instruction(p);
        break;
      case Step::close:
        if (*p != vm::op_info(Op::end).code)
          p = skip_leb(p + 1);
        else
          ++p;
        if (frames.empty()) break;  // the function's own
        if (frames.back() != kPlain) {
          LoopScan& loop = loops_[frames.back()];
          loop.calls = calls != loop.last;
          loop.last = static_cast<uint32_t>(touched_.size());
          if (depth-- <= kWeighedLoops) unit /= kLoopFactor;
        }
        frames.pop_back();
        break;
      case Step::call:
        ++calls;
        vm::skip_instruction(p);
        break;
      case Step::slow: vm::skip_instruction(p); break;
    }
  }
  calls_ = calls != 0;
}

}  // namespace vmrun::jit::baseline
