// Machine frames and faults on x86-64. Frames are walked by rbp (jit/crossing/abi.h); which function a return address belongs to
// and whether an exception lands there is said by its CodeObject, found without a lock.
#include "jit/crossing/unwind.h"

#if defined(__x86_64__)

#include <signal.h>
#include <ucontext.h>

#include "jit/code/code.h"
#include "jit/crossing/abi.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"

namespace vmrun::jit {
namespace {

using vm::Activation;
using vm::FrameAt;
using vm::FrameInfo;

/// What a frame's rbp points to.
struct FrameLink {
  std::byte* fp;
  const std::byte* pc;
};
const FrameLink& link_of(const std::byte* fp) { return *reinterpret_cast<const FrameLink*>(fp); }

/// What a frame of baseline code runs: jit/baseline/compiler.h says where that stands.
vm::Instance* baseline_instance(const std::byte* fp) {
  return *reinterpret_cast<vm::Instance* const*>(fp + kBaselineInstance);
}

// ---- walking --------------------------------------------------------------------------------------------------------

bool begin(FrameAt& at) { return at.fp != at.activation->entry_fp; }

bool up(FrameAt& at) {
  const FrameLink caller = link_of(at.fp);
  at.sp = at.fp + sizeof(FrameLink);
  at.pc = caller.pc;
  at.fp = caller.fp;
  at.exact = false;
  return at.fp != at.activation->entry_fp;
}

bool describe(const FrameAt& at, FrameInfo& info) {
  // A return address may lie behind the last instruction of its function.
  auto* inside = static_cast<const std::byte*>(at.pc) - (at.exact ? 0 : 1);
  const CodeObject* object = CodeSpace::get().find(inside);
  if (object == nullptr || object->func == nullptr) return false;
  const uint32_t place = at.call != 0 ? at.call : object->place(at.pc, !at.exact);
  if ((place & kInlined) == 0) {
    info.code = object->func;
    info.offset = place;
  } else {
    const InlinedPlace& inlined = object->inlined[place & ~kInlined];
    info.code = &object->func->module->code(inlined.func_index);
    info.offset = inlined.offset;
    info.call = inlined.caller;
  }
  info.tier = object->tier;
  // Of frames that a throw has left behind, the place alone is known (vm/runtime/unwound.h).
  info.instance = object->tier == vm::Tier::baseline && at.fp != nullptr ? baseline_instance(at.fp) : nullptr;
  info.pc = at.pc;
  return true;
}

/// Whether the frame is a loop unit's.
bool joined(const FrameAt& at) {
  const CodeObject* object = CodeSpace::get().find(static_cast<const std::byte*>(at.pc) - (at.exact ? 0 : 1));
  return object != nullptr && is_alone(object->unit);
}

/// What a search finds behind a return address.
struct Found {
  const void* pad;  // null: nothing lands here
  bool is_alone;    // the frame and its caller's are one of the guest's
};

[[gnu::noinline]] Found look_up(const std::byte* pc) {
  const CodeObject* object = CodeSpace::get().find(pc - 1);
  if (object == nullptr) return {nullptr, false};
  return {object->pads.empty() ? nullptr : object->pad(pc), is_alone(object->unit)};
}

vm::Transfer land(vm::Vcpu& cx, Activation& segment) {
  // Code that frames stand in is not freed meanwhile.
  const uint64_t frees = CodeSpace::frees();
  vm::Unwound& unwound = cx.store->unwound();
  auto* pc = static_cast<const std::byte*>(segment.pc);
  std::byte* fp = segment.fp;
  void* sp = segment.sp;
  bool told = false;  // of the frame, by the one that it has called
  while (fp != segment.entry_fp) {
    if (!told) unwound.add({pc, nullptr, Activation::Kind::machine, false});
    vm::Unwound::Known* known = unwound.known(pc, frees);
    Found found{};
    if (known != nullptr && known->return_pc == pc) [[likely]] {
      found.pad = known->pad;
    } else {
      found = look_up(pc);
      if (known != nullptr && !found.is_alone) *known = {pc, found.pad};
    }
    told = found.is_alone;
    if (found.pad != nullptr) {
      segment.fp = fp;
      return {found.pad, sp};
    }
    const FrameLink caller = link_of(fp);
    sp = fp + sizeof(FrameLink);
    pc = caller.pc;
    fp = caller.fp;
  }
  return {};
}

}  // namespace

vm::Transfer land_quickly(vm::Vcpu& cx) {
  Activation& segment = *cx.activation;
  vm::Unwound& unwound = cx.store->unwound();
  vm::Unwound::Record* record = unwound.begin_quickly(CodeSpace::frees());
  if (record == nullptr) return {};
  auto* pc = static_cast<const std::byte*>(segment.pc);
  std::byte* fp = segment.fp;
  void* sp = segment.sp;
  for (uint32_t count = 0; count < vm::kMaxBacktrace && fp != segment.entry_fp; ++count) {
    record->positions[count] = {pc, nullptr, Activation::Kind::machine, false};
    const vm::Unwound::Known& known = record->place_of(pc);
    if (known.return_pc != pc) return {};
    if (known.pad != nullptr) {
      segment.fp = fp;
      unwound.quickly_landed(count + 1);
      return {known.pad, sp};
    }
    const FrameLink caller = link_of(fp);
    sp = fp + sizeof(FrameLink);
    pc = caller.pc;
    fp = caller.fp;
  }
  return {};
}

namespace {

constexpr vm::SegmentOps kFrames{begin, up, describe, land, joined};

// ---- leaving --------------------------------------------------------------------------------------------------------

vm::Transfer poll_returning(vm::Vcpu* cx) {
  const vm::TrapCode code = vm::poll_on_return(*cx);
  return code == vm::TrapCode::None ? vm::Transfer{} : vm::leave_by_trap(*cx, code);
}

// ---- faults ---------------------------------------------------------------------------------------------------------

vm::Transfer leave_by_fault(vm::Vcpu* cx) { return vm::leave_to_host(*cx, vm::Outcome::Trap); }

/// Where a faulting thread goes on: rdi is the vCPU, rsp that of the frame that faulted, beneath which all is free.
__attribute__((naked)) void fault_exit() {
  asm("andq $-16, %%rsp\n"
      "movq %%rdi, %%rbx\n"
      "callq %P0\n"
      "movq %%rbx, %%rdi\n"
      "movq %%rax, %%rsi\n"
      "jmp %P1"
      :
      : "i"(&leave_by_fault), "i"(&vm::transfer));
}

/// A register by its number in an instruction, in a signal's context.
greg_t register_value(const ucontext_t& context, unsigned number) {
  static constexpr int kRegs[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return context.uc_mcontext.gregs[kRegs[number]];
}

/// Which of its two faults `div` or `idiv` by a register had. Compiled code divides by nothing else.
vm::TrapCode division_trap(const ucontext_t& context) {
  auto* at = reinterpret_cast<const uint8_t*>(context.uc_mcontext.gregs[REG_RIP]);
  const uint8_t rex = (*at & 0xf0) == 0x40 ? *at++ : 0;
  if (at[0] != 0xf7 || at[1] >> 6 != 3) return vm::TrapCode::None;
  const greg_t divisor = register_value(context, (at[1] & 7) | (rex & 1) << 3);
  const bool zero = (rex & 8) != 0 ? divisor == 0 : static_cast<uint32_t>(divisor) == 0;
  return zero ? vm::TrapCode::IntegerDivideByZero : vm::TrapCode::IntegerOverflow;
}

/// Runs in the signal handler.
bool redirect(int signal, const void*, void* ucontext) {
  auto& context = *static_cast<ucontext_t*>(ucontext);
  greg_t* regs = context.uc_mcontext.gregs;
  auto* pc = reinterpret_cast<const std::byte*>(regs[REG_RIP]);
  vm::Vcpu* cx = vm::running_vcpu;
  const CodeObject* object = CodeSpace::get().find(pc);
  if (cx == nullptr || object == nullptr || object->func == nullptr) return false;
  Activation* running = cx->activation;
  if (running == nullptr || running->kind != Activation::Kind::machine) return false;
  cx->trap = signal == SIGFPE ? division_trap(context) : vm::TrapCode::MemoryOutOfBounds;
  if (cx->trap == vm::TrapCode::None) return false;
  running->pc = pc;
  running->fp = reinterpret_cast<std::byte*>(regs[REG_RBP]);
  running->sp = reinterpret_cast<void*>(regs[REG_RSP]);
  running->exact = true;
  regs[REG_RDI] = reinterpret_cast<greg_t>(cx);
  regs[REG_RIP] = reinterpret_cast<greg_t>(&fault_exit);
  return true;
}

}  // namespace

__attribute__((naked)) void host_failed(vm::Vcpu*, vm::Outcome) {
  asm("andq $-16, %%rsp\n"
      "movq %%rdi, %%rbx\n"
      "movzbl %%sil, %%esi\n"
      "callq %P0\n"
      "movq %%rbx, %%rdi\n"
      "movq %%rax, %%rsi\n"
      "jmp %P1"
      :
      : "i"(&vm::host_failed), "i"(&vm::transfer));
}

__attribute__((naked)) void poll_after_host(vm::Vcpu*) {
  asm("pushq %%rdi\n"
      "callq %P0\n"
      "popq %%rdi\n"
      "testq %%rax, %%rax\n"
      "jnz 1f\n"
      "retq\n"
      "1:\n"
      "movq %%rax, %%rsi\n"
      "jmp %P1"
      :
      : "i"(&poll_returning), "i"(&vm::transfer));
}

void register_machine_code(std::span<const std::byte> code) {
  vm::set_segment_ops(Activation::Kind::machine, &kFrames);
  if (!code.empty()) vm::fault_register_code(code.data(), code.data() + code.size(), "compiled code", redirect);
}

}  // namespace vmrun::jit

#endif
