// See callees.h.
#include "jit/opt/callees.h"

#include <algorithm>
#include <optional>

#include "jit/opt/limits.h"
#include "vm/wasm/func_decoder.h"
#include "vm/wasm/image.h"

namespace vmrun::jit::opt {
namespace {

enum class CalleeEvent : uint8_t {
#define VMRUN_EVENT(name, parameters) name,
#include "vm/wasm/func_events.def"
};

/// Reads a body for its facts.
struct CalleeReader {
  struct Value {};
  struct Control {};
  Callees::Facts& facts;

#define VMRUN_EVENT(name, parameters) \
  void name(auto& d, auto&&... arguments) { saw(CalleeEvent::name, d, arguments...); }
#include "vm/wasm/func_events.def"

  void saw(CalleeEvent event, auto& d, auto&&... arguments) {
    switch (event) {
      case CalleeEvent::begin: facts.locals = static_cast<uint32_t>(d.locals().size()); break;
      case CalleeEvent::op: saw_op(arguments...); break;
      case CalleeEvent::end: facts.returns |= d.control_depth() == 1 && d.reachable(); break;
      // Whichever frame it is that they leave.
      case CalleeEvent::return_:
      case CalleeEvent::br:
      case CalleeEvent::br_if:
      case CalleeEvent::br_table:
      case CalleeEvent::br_on_null:
      case CalleeEvent::br_on_non_null:
      case CalleeEvent::br_on_cast: facts.returns = true; break;
      // The callee would take the frame of the function that it is inlined into.
      case CalleeEvent::return_call:
      case CalleeEvent::return_call_indirect:
      case CalleeEvent::return_call_ref: facts.possible = false; break;
      default: break;
    }
  }
  /// What no unit can contain would cost the caller its code.
  void saw_op(vm::Op op, auto&&...) { facts.possible &= vm::family(op) != vm::Family::object; }
  void saw_op(auto&&...) {}
};

/// The function of `ref.func`, if the expression is that.
std::optional<uint32_t> named_function(const vm::Module& image, const vm::ConstExpr& expression) {
  constexpr uint8_t kRefFunc = 0xd2, kEnd = 0x0b;
  const uint8_t* p = image.bytes() + expression.begin;
  const uint8_t* const end = image.bytes() + expression.end;
  if (p == end || *p != kRefFunc) return std::nullopt;
  ++p;
  uint32_t func_index = 0;
  if (vm::read_leb<uint32_t, 32>(p, end, func_index) != vm::LebStatus::ok || p == end || *p != kEnd) {
    return std::nullopt;
  }
  return func_index;
}

}  // namespace

Callees::Callees(const vm::Module& image) : image_(image), elements_left_(kMaxElementsRead) {}

const Callees::Facts& Callees::facts(uint32_t func_index) {
  const auto [at, fresh] = facts_.try_emplace(func_index);
  if (fresh) {
    CalleeReader reader{at->second};
    vm::FuncDecoder<CalleeReader, false>(image_, reader).decode(func_index);
  }
  return at->second;
}

void Callees::Targets::add(uint32_t func_index, uint32_t size) {
  if (count == kMany || std::find(funcs.begin(), funcs.begin() + count, func_index) != funcs.begin() + count) return;
  bytes += size;
  // Four of any size, more where they are small: what a call site brings in is to stay what it was.
  if (count == funcs.size() || (count >= kTargetsOfAnySize && bytes > kMostTargetBytes)) {
    count = kMany;
  } else {
    funcs[count++] = func_index;
  }
}

void Callees::find(uint32_t table, vm::TypeId type, Targets& targets) {
  // Whether there is more to look at, and somebody who may.
  auto goes_on = [&] {
    if (elements_left_ == 0) targets.count = kMany;
    return targets.count != kMany && elements_left_-- != 0;
  };
  auto look_at = [&](uint32_t func_index) {
    if (image_.funcs[func_index].type == type) targets.add(func_index, image_.funcs[func_index].body.size());
  };
  for (const vm::ElemSegment& segment : image_.elems) {
    if (!goes_on()) return;
    if (segment.mode != vm::SegmentMode::active || segment.table != table) continue;
    for (const uint32_t func_index : segment.funcs) {
      if (!goes_on()) return;
      look_at(func_index);
    }
    for (const vm::ConstExpr& expression : segment.exprs) {
      if (!goes_on()) return;
      if (const std::optional<uint32_t> func_index = named_function(image_, expression)) look_at(*func_index);
    }
  }
}

std::span<const uint32_t> Callees::in_table(uint32_t table, vm::TypeId type) {
  const auto [at, fresh] = targets_.try_emplace({table, type});
  if (fresh) find(table, type, at->second);
  if (at->second.count == kMany) return {};
  return std::span(at->second.funcs).first(at->second.count);
}

uint64_t Callees::bytes_of(uint32_t func_index, const InlineLimits& limits) const {
  const uint32_t size = image_.funcs[func_index].body.size();
  return func_index >= image_.imported_funcs && size <= limits.direct_bytes ? size : 0;
}

uint64_t Callees::bytes_of(uint32_t table, vm::TypeId type, const InlineLimits& limits) {
  uint64_t sum = 0;
  for (const uint32_t func_index : in_table(table, type)) {
    const uint32_t size = image_.funcs[func_index].body.size();
    if (func_index >= image_.imported_funcs && size <= limits.indirect_bytes) sum += size;
  }
  return sum;
}

CallPlan::CallPlan(const vm::Module& image, uint32_t func_index, Callees& callees, const InlineLimits& limits) {
  const vm::ByteRange body = image.funcs[func_index].body;
  vm::need_bytes(image, body);
  const uint8_t* p = vm::skip_locals(image.bytes() + body.begin);
  const uint8_t* const end = image.bytes() + body.end;
  std::vector<bool> is_loop;  // of the open blocks
  uint32_t loops = 0;
  auto index = [&](const uint8_t*& at) {
    uint32_t value = 0;
    vm::read_leb<uint32_t, 32>(at, end, value);  // the body is valid
    return value;
  };
  while (p < end) {
    const uint8_t* at = p + 1;
    switch (vm::skip_instruction(p)) {
      case vm::Op::loop:
        is_loop.push_back(true);
        ++loops;
        break;
      case vm::Op::block:
      case vm::Op::if_:
      case vm::Op::try_:
      case vm::Op::try_table: is_loop.push_back(false); break;
      case vm::Op::end:
      case vm::Op::delegate:
        if (is_loop.empty()) break;
        loops -= is_loop.back();
        is_loop.pop_back();
        break;
      case vm::Op::call: bytes_[std::min(loops, kDeepest)] += callees.bytes_of(index(at), limits); break;
      case vm::Op::call_indirect: {
        const vm::TypeId type = image.types[index(at)];
        bytes_[std::min(loops, kDeepest)] += callees.bytes_of(index(at), type, limits);
        break;
      }
      default: break;
    }
  }
}

void CallPlan::pass(uint32_t loops, uint64_t bytes) {
  uint64_t& left = bytes_[std::min(loops, kDeepest)];
  left -= std::min(left, bytes);
}

uint64_t CallPlan::to_come(uint32_t loops) const {
  uint64_t sum = 0;
  for (uint32_t i = std::min(loops, kDeepest + 1); i <= kDeepest; ++i) sum += bytes_[i];
  return sum;
}

}  // namespace vmrun::jit::opt
