#include "jit/baseline/scan.h"

#include <algorithm>
#include <array>

#include "vm/base/assert.h"
#include "vm/wasm/func_decoder.h"
#include "vm/wasm/image.h"
#include "vm/wasm/limits.h"

namespace vmrun::jit::baseline {
namespace {

using vm::Op;

/// Locals, depths, loops and places in a body, with what is seen there, fit into a word.
static_assert(uint64_t{vm::kMaxBodyBytes} <= uint64_t{1} << 28);

/// What so many instructions have left is not kept for the next body.
constexpr size_t kMostSeen = size_t{1} << 15;

/// Of frames that are no loops.
constexpr uint32_t kPlain = 0xffffffff, kTry = 0xfffffffe;
constexpr bool is_loop(uint32_t frame) { return frame < kTry; }

/// Only so many loops around an access make it heavier, each by this factor.
constexpr uint32_t kWeighedLoops = 4, kLoopFactor = 8;
/// No weight wraps: what has the weight 0 is never initialised.
static_assert(uint64_t{vm::kMaxBodyBytes} <= UINT64_MAX >> (3 * kWeighedLoops) && kLoopFactor == 1 << 3);

/// How to pass over an instruction by its first byte.
// clang-format off
enum class Step : uint8_t {
  none, leb, memarg, bytes4, bytes8, local, open, try_table, loop, else_, catch_, close, call, branch, branches, exit,
  unknown, slow
};
// clang-format on

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
  for (Op op : {Op::block, Op::if_, Op::try_}) set(op, Step::open);
  set(Op::try_table, Step::try_table);
  for (Op op : {Op::catch_, Op::catch_all}) set(op, Step::catch_);
  set(Op::else_, Step::else_);
  for (Op op : {Op::br, Op::br_if}) set(op, Step::branch);
  set(Op::br_table, Step::branches);
  for (Op op : {Op::unreachable, Op::return_, Op::throw_, Op::throw_ref, Op::rethrow}) set(op, Step::exit);
  for (Op op : {Op::br_on_null, Op::br_on_non_null}) set(op, Step::unknown);
  set(Op::loop, Step::loop);
  set(Op::end, Step::close);
  set(Op::delegate, Step::close);
  set(Op::memory_grow, Step::call);
  set(Op::ref_func, Step::leb);
  for (Op op : {Op::return_call, Op::return_call_indirect, Op::return_call_ref}) set(op, Step::exit);
  return steps;
}
constexpr std::array<Step, 256> kSteps = make_steps();

/// Of instructions on typed objects.
constexpr uint8_t kReferencePrefix = 0xfb;

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
  points_.clear();
  handlers_.clear();
  is_known_ = true;
  const vm::FuncDecl& decl = module.funcs[func_index];
  vm::need_bytes(module, decl.body);
  const uint8_t* image = module.bytes();
  const uint8_t* p = vm::skip_locals(image + decl.body.begin);
  const uint8_t* end = image + decl.body.end;
  seen_count_ = 0;
  if (decl.body.size() > seen_room_) {
    const size_t room = std::max<size_t>(decl.body.size(), kMostSeen);
    seen_ = std::make_unique_for_overwrite<Seen[]>(room);
    seen_room_ = room;
  }
  begin_ = decl.body.begin;
  Seen* seen = seen_.get();
  const auto saw = [&seen](Event event, uint32_t number) {
    *seen++ = {number << Seen::kShift | static_cast<uint32_t>(event)};
  };
  const auto from_begin = [start = image + decl.body.begin](const uint8_t* at) {
    return static_cast<uint32_t>(at - start);
  };
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
        if (depth != 0) {
          const bool outermost = is_loop(frames.back());
          touched_.push_back({local << 2 | static_cast<uint32_t>(outermost) << 1 | static_cast<uint32_t>(write)});
        }
        saw(write ? Event::write : Event::read, local);
        break;
      }
      case Step::loop:
        saw(Event::loop, from_begin(at));
        frames.push_back(static_cast<uint32_t>(loops_.size()));
        loops_.push_back({static_cast<uint32_t>(at - image), static_cast<uint32_t>(touched_.size()), calls, false});
        if (++depth <= kWeighedLoops) unit *= kLoopFactor;
        p = vm::skip_immediates(vm::Imm::block, p + 1);
        break;
      case Step::open:
        saw(*p == vm::op_info(Op::if_).code ? Event::if_ : Event::block, from_begin(at));
        frames.push_back(kPlain);
        vm::skip_instruction(p);
        break;
      case Step::try_table: {
        saw(Event::block, from_begin(at));
        p = vm::skip_immediates(vm::Imm::block, p + 1);
        const uint32_t count = read_leb(p);
        for (uint32_t i = 0; i < count; ++i) {
          const auto kind = static_cast<vm::CatchKind>(*p++);
          if (kind == vm::CatchKind::catch_ || kind == vm::CatchKind::catch_ref) p = skip_leb(p);
          handlers_.push_back(read_leb(p));
        }
        frames.push_back(kTry);
        handlers_.push_back(count);
        break;
      }
      case Step::catch_:
        saw(Event::catch_, 0);
        vm::skip_instruction(p);
        break;
      case Step::else_:
        saw(Event::else_, 0);
        ++p;
        break;
      case Step::branch: {
        const bool goes_on = *p++ != vm::op_info(Op::br).code;
        saw(Event::target, read_leb(p));
        if (!goes_on) saw(Event::exit, 0);
        break;
      }
      case Step::branches:
        ++p;
        for (uint64_t count = uint64_t{read_leb(p)} + 1; count != 0; --count) saw(Event::target, read_leb(p));
        saw(Event::exit, 0);
        break;
      case Step::exit:
        saw(Event::exit, 0);
        vm::skip_instruction(p);
        break;
      case Step::unknown:
        is_known_ = false;
        vm::skip_instruction(p);
        break;
      case Step::close:
        if (*p != vm::op_info(Op::end).code)
          p = skip_leb(p + 1);
        else
          ++p;
        if (frames.empty()) break;  // the function's own
        is_loop(frames.back()) ? saw(Event::loop_end, frames.back()) : saw(Event::end, 0);
        if (frames.back() == kTry) {
          const uint32_t count = handlers_.back();
          handlers_.pop_back();
          for (uint32_t i = 0; i < count; ++i) {
            saw(Event::handler, handlers_.back());
            handlers_.pop_back();
          }
        }
        if (is_loop(frames.back())) {
          LoopScan& loop = loops_[frames.back()];
          loop.calls = calls != loop.last;
          loop.last = static_cast<uint32_t>(touched_.size());
          if (depth-- <= kWeighedLoops) unit /= kLoopFactor;
        }
        frames.pop_back();
        break;
      case Step::call:
        ++calls;
        saw(Event::call, from_begin(at));
        vm::skip_instruction(p);
        break;
      case Step::slow:
        is_known_ &= *p != kReferencePrefix;  // casts that branch are among those
        vm::skip_instruction(p);
        break;
    }
  }
  calls_ = calls != 0;
  seen_count_ = static_cast<size_t>(seen - seen_.get());
  VMRUN_ASSERT(seen_count_ <= seen_room_, "no byte of a body is seen twice");
}

void BodyScan::find_live(std::span<const uint8_t> home_of, uint8_t no_home, std::span<const LoopUse> loops) {
  if (is_known_ && calls_) walk_back(home_of, no_home, loops);
  if (seen_room_ <= kMostSeen) return;
  seen_.reset();
  seen_room_ = 0;
}

void BodyScan::walk_back(std::span<const uint8_t> home_of, uint8_t no_home, std::span<const LoopUse> loops) {
  HomeMask live = 0, handler = 0;
  open_.clear();
  open_.push_back({});
  for (size_t i = seen_count_; i-- > 0;) {
    const Event event = seen_[i].event();
    const uint32_t number = seen_[i].number();
    if (event <= Event::write) {  // most are
      const uint8_t home = home_of[number];
      const HomeMask bit = HomeMask{home != no_home} << (home & 31);
      live = event == Event::read ? live | bit : live & ~bit;
      continue;
    }
    switch (event) {
      case Event::read:
      case Event::write: break;
      case Event::target: live |= open_[open_.size() - 1 - number].label; break;
      case Event::exit: live = open_.back().handler; break;
      case Event::call:
        live |= open_.back().handler;
        points_.push_back({begin_ + number, live});
        break;
      case Event::handler: handler |= open_[open_.size() - 1 - number].label; break;
      case Event::end:
        open_.push_back({live, live, open_.back().around | live, open_.back().handler | handler, live});
        handler = 0;
        break;
      case Event::catch_:
        open_.back().handler |= live;
        live = open_.back().end;
        break;
      case Event::loop_end: {
        // What the header wants is known when the way back has come to it. Until then: all that the loop uses, and all
        // that is wanted where it may be left to.
        const HomeMask around = open_.back().around | open_.back().handler | live;
        const HomeMask header = (loops[number].uses & ~loops[number].writes_first) | around;
        open_.push_back({header, live, around | header, open_.back().handler, 0});
        break;
      }
      case Event::else_:
        open_.back().otherwise = live;
        live = open_.back().end;
        break;
      case Event::if_:
        points_.push_back({begin_ + number, open_.back().label, open_.back().otherwise});
        live |= open_.back().otherwise;
        open_.pop_back();
        break;
      case Event::block:
        points_.push_back({begin_ + number, open_.back().label});
        open_.pop_back();
        break;
      case Event::loop:
        VMRUN_ASSERT((live & ~open_.back().label) == 0, "a loop wants no more than it uses or leaves to others");
        points_.push_back({begin_ + number, live});
        open_.pop_back();
        break;
    }
  }
}

}  // namespace vmrun::jit::baseline
