// The evaluator of constant expressions. They are valid, so this only executes.
#include "vm/runtime/const_expr.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "vm/base/assert.h"
#include "vm/wasm/limits.h"
#include "vm/wasm/opcode.h"

namespace vmrun::vm {
namespace {

/// Reads the operands of valid code.
class Bytes {
 public:
  explicit Bytes(const uint8_t* at) : at_(at) {}
  uint8_t byte() { return *at_++; }
  uint32_t u32() {
    uint32_t result = 0;
    for (unsigned shift = 0;; shift += 7) {
      const uint8_t b = *at_++;
      result |= static_cast<uint32_t>(b & 0x7f) << shift;
      if ((b & 0x80) == 0) return result;
    }
  }
  int64_t s64() {
    uint64_t result = 0;
    unsigned shift = 0;
    for (;;) {
      const uint8_t b = *at_++;
      result |= static_cast<uint64_t>(b & 0x7f) << shift;
      shift += 7;
      if ((b & 0x80) != 0) continue;
      if (shift < 64 && (b & 0x40) != 0) result |= ~uint64_t{0} << shift;
      return static_cast<int64_t>(result);
    }
  }
  template <class T>
  T raw() {
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

 private:
  const uint8_t* at_;
};

TrapCode run(const Instance& instance, Bytes in, Slot* stack, Slot out[2]) {
  Slot* top = stack;
  const auto pop = [&] { return *--top; };
  for (;;) {
    const uint8_t first = in.byte();
    const uint16_t number = is_prefix(first) ? prefixed_op(first, in.u32()) : kOpByByte[first];
    VMRUN_ASSERT(number != kNoOp, "constant expression");
    switch (static_cast<Op>(number)) {
      case Op::end:
        out[0] = stack[0];
        if (top - stack == 2) out[1] = stack[1];
        return TrapCode::None;
      case Op::i32_const: *top++ = Slot::i32(static_cast<uint32_t>(in.s64())); break;
      case Op::i64_const: *top++ = Slot::i64(static_cast<uint64_t>(in.s64())); break;
      case Op::f32_const: *top++ = Slot::i32(in.raw<uint32_t>()); break;
      case Op::f64_const: *top++ = Slot::i64(in.raw<uint64_t>()); break;
      case Op::v128_const:
        store_v128(top, in.raw<V128>());
        top += 2;
        break;
      case Op::i32_add: {
        const uint32_t b = pop().as_i32(), a = pop().as_i32();
        *top++ = Slot::i32(a + b);
        break;
      }
      case Op::i32_sub: {
        const uint32_t b = pop().as_i32(), a = pop().as_i32();
        *top++ = Slot::i32(a - b);
        break;
      }
      case Op::i32_mul: {
        const uint32_t b = pop().as_i32(), a = pop().as_i32();
        *top++ = Slot::i32(a * b);
        break;
      }
      case Op::i64_add: {
        const uint64_t b = pop().as_i64(), a = pop().as_i64();
        *top++ = Slot::i64(a + b);
        break;
      }
      case Op::i64_sub: {
        const uint64_t b = pop().as_i64(), a = pop().as_i64();
        *top++ = Slot::i64(a - b);
        break;
      }
      case Op::i64_mul: {
        const uint64_t b = pop().as_i64(), a = pop().as_i64();
        *top++ = Slot::i64(a * b);
        break;
      }
      case Op::global_get: {
        const GlobalInst& global = *instance.globals[in.u32()];
        for (uint32_t i = 0; i < global.type.type.slots(); ++i) *top++ = global.value[i];
        break;
      }
      case Op::ref_null:
        in.s64();
        *top++ = Slot::ref(Ref::null());
        break;
      case Op::ref_func: *top++ = Slot::ref(Ref::of(instance.funcs[in.u32()])); break;
      case Op::ref_i31: {
        const uint32_t value = pop().as_i32();
        *top++ = Slot::ref(Ref::i31(value));
        break;
      }
      case Op::any_convert_extern:
      case Op::extern_convert_any: break;  // one representation for both hierarchies
      default: return TrapCode::Unsupported;
    }
  }
}

}  // namespace

TrapCode eval_const(const Instance& instance, ConstExpr expr, Slot out[2]) {
  const Bytes in(instance.module->bytes() + expr.begin);
  // An instruction that pushes takes at least two bytes for a slot (a v128 18 for two).
  const size_t most = expr.size() / 2 + 2;
  if (most <= 32) {
    Slot stack[32];
    return run(instance, in, stack, out);
  }
  // Valid code keeps to the limit on slots.
  std::unique_ptr<Slot[]> stack(new (std::nothrow) Slot[std::min<size_t>(most, kMaxFrameSlots)]);
  return stack == nullptr ? TrapCode::OutOfMemory : run(instance, in, stack.get(), out);
}

}  // namespace vmrun::vm
