// The trampolines of a shape for x86-64. Registers are those of jit/crossing/abi.h on the machine side and of interp/abi.h (by
// interp/cell.h, in preserve_none's order) on the interpreter's:
//   machine   r12 vCPU  r13 instance  r14 memory 0  r15 rdi rsi rdx rcx r8  xmm0..7  r9 callee  r11 caller's instance
//   interp    r12 pc    r13 fp        r14 memory 0  r15 vCPU  rdi instance  rsi r0  rdx r1  rcx r2  r8 r3  xmm0..3
// Neither side preserves anything but rbp. Handlers see rsp = native_sp throughout, 8 below a multiple of 16.
#include <asmjit/x86.h>

#include "interp/layout.h"
#include "jit/crossing/trampoline_maker.h"
#include "jit/crossing/unwind.h"
#include "vm/base/assert.h"
#include "vm/runtime/layout.h"

#if defined(__x86_64__)

namespace vmrun::jit {
namespace {

using namespace asmjit::x86;
using asmjit::Label;
using vm::Activation;
using vm::Vcpu;
using Reg = Gp;

namespace vcpu = vm::layout::vcpu;
namespace act = vm::layout::activation;
namespace func_code = vm::layout::func_code;
namespace cell = interp::layout::cell;
namespace link = interp::layout::link;

constexpr uint32_t kInterpKind = static_cast<uint32_t>(Activation::Kind::interp);
constexpr uint32_t kMachineKind = static_cast<uint32_t>(Activation::Kind::machine);

// What a trampoline's frame keeps beneath the saved rbp. from_machine: the record. A bridge: the vCPU and padding, then
// the record.
constexpr int32_t kRecord = (sizeof(Activation) + 15) & ~15;
constexpr int32_t kBridgeFrame = kRecord + 16;

class Maker {
 public:
  Maker(const Shape& shape, Trampolines& out) : shape_(shape), out_(out) {}

  bool make() {
    asmjit::CodeHolder code;
    // What fails here is memory for the code: then there is none of it.
    struct Errors final : asmjit::ErrorHandler {
      bool failed = false;
      void handleError(asmjit::Error error, const char* message, asmjit::BaseEmitter*) override {
        VMRUN_ASSERT(error == asmjit::kErrorOutOfMemory || error == asmjit::kErrorTooLarge, message);
        failed = true;
      }
    } errors;
    asmjit::Error missing = code.init(asmjit::Environment::host());
    code.setErrorHandler(&errors);
    missing |= code.attach(&a);
    if (missing != asmjit::kErrorOk) return false;
    struct Entry {
      void (Maker::*emit)();
      Label at;
    } entries[] = {{&Maker::from_host, {}},    {&Maker::bridge, {}}, {&Maker::osr, {}},
                   {&Maker::from_machine, {}}, {&Maker::exit, {}},   {&Maker::to_host, {}}};
    for (Entry& entry : entries) {
      a.align(asmjit::AlignMode::kCode, 16);
      entry.at = a.newLabel();
      a.bind(entry.at);
      (this->*entry.emit)();
      emit_slow();
    }
    if (errors.failed || code.flatten() != asmjit::kErrorOk || code.resolveUnresolvedLinks() != asmjit::kErrorOk) {
      return false;
    }
    CodeSpace& space = CodeSpace::get();
    const CodeSpace::Block block = space.allocate(code.codeSize(), CodeSpace::Use::trampoline);
    if (!block) return false;
    const asmjit::Error failed =
        code.relocateToBase(reinterpret_cast<uint64_t>(block.rx)) | code.copyFlattenedData(block.rw, block.size);
    VMRUN_ASSERT(failed == 0, "asmjit");
    auto object = std::make_unique<CodeObject>();
    object->begin = block.rx;
    object->size = static_cast<uint32_t>(code.codeSize());
    out_.object = space.publish(std::move(object), block);

    auto at = [&](size_t i) { return static_cast<const void*>(block.rx + code.labelOffset(entries[i].at)); };
    auto handler = [&](size_t i) { return reinterpret_cast<interp::Handler>(const_cast<void*>(at(i))); };
    out_.entries.from_host = reinterpret_cast<interp::MachineEntries::FromHost>(const_cast<void*>(at(0)));
    out_.entries.bridge.handler = handler(1);
    out_.entries.bridge.p = &out_.entries;
    out_.entries.osr.handler = handler(2);
    out_.from_machine = at(3);
    interp::make_exit_cells(out_.exits, handler(4));
    out_.to_host = at(5);
    return true;
  }

 private:
  static Mem at(Reg base, size_t offset) { return qword_ptr(base, static_cast<int32_t>(offset)); }
  static Mem slot(Reg base, uint32_t index) { return at(base, 8 * size_t{index}); }
  static Mem area(Reg base, uint32_t index) { return at(base, kAreaSlot * index); }
  static Reg int_param(uint32_t index) {
    static const Reg kRegs[] = {r15, rdi, rsi, rdx, rcx, r8};
    return kRegs[index];
  }
  void load(Xmm to, const Value& v, Mem from) { v.vector() ? a.movups(to, xmm_mem(from)) : a.movsd(to, from); }
  void store(Mem to, const Value& v, Xmm from) { v.vector() ? a.movups(xmm_mem(to), from) : a.movsd(to, from); }
  static Mem xmm_mem(Mem mem) {
    mem.setSize(16);
    return mem;
  }
  void move(Xmm to, Xmm from) {
    if (to.id() != from.id()) a.movaps(to, from);
  }
  /// Through rbx or xmm15.
  void copy(Mem to, Mem from, const Value& v) {
    if (v.vector()) {
      a.movups(xmm15, xmm_mem(from));
      a.movups(xmm_mem(to), xmm15);
    } else {
      a.mov(rbx, from);
      a.mov(to, rbx);
    }
  }

  // ---- values -------------------------------------------------------------------------------------------------------

  /// Parameters from slots at rax, but the interpreter's registers where `regs` (r0 in rsi, r1 in rdx, f0, f1), to
  /// machine registers and the area at r10.
  void to_machine_params(bool regs) {
    if (regs) {
      // Upwards in order of the registers, so the second one first.
      for (int k = 1; k >= 0; --k) {
        for (const Value& v : shape_.params) {
          if (v.cls != interp::RegClass::floating || v.interp_reg != k) continue;
          if (v.machine.in == Place::In::area) a.movsd(area(r10, v.machine.index), xmm(static_cast<uint32_t>(k)));
          if (v.machine.in == Place::In::vector) move(xmm(v.machine.index), xmm(static_cast<uint32_t>(k)));
        }
      }
    }
    for (const Value& v : shape_.params) {
      const bool in_reg = regs && v.interp_reg >= 0;
      if (v.machine.in == Place::In::vector && !in_reg) load(xmm(v.machine.index), v, slot(rax, v.slot));
      if (v.machine.in == Place::In::area && !in_reg) copy(area(r10, v.machine.index), slot(rax, v.slot), v);
    }
    for (const Value& v : shape_.params) {  // r0 and r1 come first, before their registers are used for others
      if (v.machine.in != Place::In::integer) continue;
      if (regs && v.interp_reg >= 0) {
        a.mov(int_param(v.machine.index), v.interp_reg == 0 ? rsi : rdx);
      } else {
        a.mov(int_param(v.machine.index), slot(rax, v.slot));
      }
    }
  }

  /// Parameters from machine registers and the area at `from_area`, to slots at `base`; those with an interpreter
  /// register only if `all`.
  void params_to_slots(Reg base, Reg from_area, bool all) {
    for (const Value& v : shape_.params) {
      if (v.interp_reg >= 0 && !all) continue;
      const Mem to = slot(base, v.slot);
      switch (v.machine.in) {
        case Place::In::integer: a.mov(to, int_param(v.machine.index)); break;
        case Place::In::vector: store(to, v, xmm(v.machine.index)); break;
        case Place::In::area: copy(to, area(from_area, v.machine.index), v); break;
      }
    }
  }

  /// From a machine call into handlers: r10 is the frame, r9 the callee, rsp native_sp. Uses all registers.
  void go_on_as_handlers() {
    a.mov(r11, at(r12, vcpu::area));
    params_to_slots(r10, r11, false);
    for (int k = 0; k < 2; ++k) {
      for (const Value& v : shape_.params) {
        if (v.cls != interp::RegClass::floating || v.interp_reg != k) continue;
        const Xmm to = xmm(static_cast<uint32_t>(k));
        if (v.machine.in == Place::In::area) a.movsd(to, area(r11, v.machine.index));
        if (v.machine.in == Place::In::vector) move(to, xmm(v.machine.index));
      }
    }
    a.mov(rdx, rdi);
    a.mov(rsi, r15);
    a.mov(r15, r12);
    a.mov(rdi, r13);
    a.mov(r13, r10);
    a.mov(r12, at(r9, func_code::entry));
    a.jmp(at(r12, 0));
  }

  // ---- limits -------------------------------------------------------------------------------------------------------

  /// Repeats a request to poll that a store of a limit may have overwritten.
  void check_stop(Reg cx) {
    Slow slow{a.newLabel(), a.newLabel(), cx};
    a.cmp(word_ptr(cx, vcpu::interrupt), 0);
    a.jne(slow.from);
    a.bind(slow.back);
    slow_.push_back(slow);
  }
  struct Slow {
    Label from, back;
    Reg cx;
  };
  std::vector<Slow> slow_;
  void emit_slow() {
    for (const Slow& slow : slow_) {
      a.bind(slow.from);
      a.mov(at(slow.cx, vcpu::stack_limit), 0);
      a.mov(at(slow.cx, vcpu::native_limit), -1);
      a.jmp(slow.back);
    }
    slow_.clear();
  }
  /// Puts back the limits that `record` keeps. Through rbx.
  void restore_limits(Reg cx, Reg record, bool to_machine) {
    a.mov(rbx, at(record, act::saved_stack_end));
    a.mov(at(cx, vcpu::stack_end), rbx);
    if (!to_machine) a.mov(at(cx, vcpu::stack_limit), rbx);
    a.mov(rbx, at(record, act::saved_native_end));
    a.mov(at(cx, vcpu::native_end), rbx);
    if (to_machine) a.mov(at(cx, vcpu::native_limit), rbx);
    check_stop(cx);
  }

  // ---- host to machine ----------------------------------------------------------------------------------------------

  // As MachineEntries::FromHost has them in preserve_none's order: r12 vCPU, r13 instance, r14 memory 0, r15 arguments,
  // rdi results, rsi activation, rdx callee.
  void from_host() {
    Label exit = a.newLabel();
    a.push(rbp);
    a.mov(rbp, rsp);
    a.push(rdi);
    a.push(r12);
    a.push(rax);  // for alignment
    a.lea(rax, ptr(exit));
    a.push(rax);  // where whoever does not return goes to
    a.mov(at(rsi, act::entry_fp), rbp);
    a.mov(at(rsi, act::native_sp), rsp);
    a.mov(r9, rdx);
    a.mov(rax, r15);
    if (params_in_area()) a.mov(r10, at(r12, vcpu::area));
    to_machine_params(false);
    a.mov(rax, at(r12, vcpu::fuel));
    a.call(at(r9, func_code::machine));
    if (!shape_.results.empty()) {
      a.mov(r11, at(rsp, 24));
      a.mov(r10, at(rsp, 16));
      if (results_in_area()) a.mov(r10, at(r10, vcpu::area));
      results_to_slots(r11, r10, true);
    }
    a.add(rsp, 8);
    a.bind(exit);
    a.add(rsp, 24);
    a.pop(rbp);
    a.ret();
  }
  bool params_in_area() const {
    for (const Value& v : shape_.params) {
      if (v.machine.in == Place::In::area) return true;
    }
    return false;
  }
  bool results_in_area() const {
    for (const Value& v : shape_.results) {
      if (v.machine.in == Place::In::area) return true;
    }
    return false;
  }

  /// Results from rax, xmm0 and the area at `from_area` to slots at `base`; one with an interpreter register only if
  /// `all`.
  void results_to_slots(Reg base, Reg from_area, bool all) {
    for (const Value& v : shape_.results) {
      if (v.interp_reg >= 0 && !all) continue;
      const Mem to = slot(base, v.slot);
      switch (v.machine.in) {
        case Place::In::integer: a.mov(to, rax); break;
        case Place::In::vector: store(to, v, xmm0); break;
        case Place::In::area: copy(to, area(from_area, v.machine.index), v); break;
      }
    }
  }
  /// Results from slots at `base`, but r0 in rsi and f0 in xmm0 where `regs`, to rax, xmm0 and the area at `to_area`.
  void slots_to_results(Reg base, Reg to_area, bool regs) {
    for (const Value& v : shape_.results) {
      const bool in_reg = regs && v.interp_reg >= 0;
      const Mem from = slot(base, v.slot);
      switch (v.machine.in) {
        case Place::In::integer: in_reg ? a.mov(rax, rsi) : a.mov(rax, from); break;
        case Place::In::vector:
          if (!in_reg) load(xmm0, v, from);
          break;
        case Place::In::area: copy(area(to_area, v.machine.index), from, v); break;
      }
    }
  }

  // ---- interpreter to machine ---------------------------------------------------------------------------------------

  void bridge() {
    Label oldest = a.newLabel(), push = a.newLabel();
    a.lea(r9, at(r12, static_cast<size_t>(-func_code::bridge)));
    a.mov(rax, at(r15, vcpu::activation));
    a.cmp(r13, at(rax, act::entry_fp));
    a.je(oldest);
    a.bind(push);
    push_machine();
    a.mov(rax, r13);
    machine_base();
    to_machine_params(true);
    a.mov(rax, at(r12, vcpu::fuel));
    a.call(at(r9, func_code::machine));
    return_to_handlers();

    // The oldest frame of its activation: if machine code called it, that activation goes.
    a.bind(oldest);
    a.cmp(byte_ptr(rax, act::from_host), 0);
    a.jne(push);
    restore_limits(r15, rax, true);
    a.mov(rbx, at(rax, act::previous));
    a.mov(at(r15, vcpu::activation), rbx);
    a.lea(rsp, at(rax, kRecord));
    a.pop(rbp);
    a.mov(rax, r13);
    machine_base();
    to_machine_params(true);
    a.mov(rax, at(r12, vcpu::fuel));
    a.jmp(at(r9, func_code::machine));
  }

  void osr() {
    a.mov(r9, rcx);
    a.mov(rax, at(r15, vcpu::activation));
    push_machine();
    a.mov(rax, r13);
    machine_base();
    a.mov(r15, rax);
    a.call(r8);
    return_to_handlers();
  }

  /// Makes a frame with a machine activation. rax is the running activation, r13 the frame that leaves it.
  void push_machine() {
    a.mov(at(rax, act::pc), 0);
    a.mov(at(rax, act::fp), r13);
    a.mov(at(rax, act::instance), rdi);
    a.push(rbp);
    a.mov(rbp, rsp);
    a.sub(rsp, kBridgeFrame);
    a.mov(at(rbp, static_cast<size_t>(-8)), r15);
    a.mov(at(rsp, act::previous), rax);
    a.mov(dword_ptr(rsp, act::kind), kMachineKind);
    a.mov(at(rsp, act::entry_fp), rbp);
    a.mov(at(rsp, act::top), r13);
    a.mov(rbx, at(r15, vcpu::stack_end));
    a.mov(r10, at(r15, vcpu::native_end));
    a.mov(at(rsp, act::saved_stack_end), rbx);
    a.mov(at(rsp, act::saved_native_end), r10);
    // max(floor, rbp - (stack_end - fp)): this frame counts
    a.sub(rbx, r13);
    a.mov(r10, rbp);
    a.sub(r10, rbx);
    a.mov(rbx, at(r15, vcpu::native_floor));
    a.cmp(r10, rbx);
    a.cmovb(r10, rbx);
    a.mov(at(r15, vcpu::native_end), r10);
    a.mov(at(r15, vcpu::native_limit), r10);
    a.mov(at(r15, vcpu::activation), rsp);
    check_stop(r15);
  }
  void machine_base() {
    a.mov(r12, r15);
    a.mov(r13, rdi);
    if (params_in_area()) a.mov(r10, at(r12, vcpu::area));
  }
  /// Behind the call: takes the activation away and returns as the frame that called would.
  void return_to_handlers() {
    a.mov(r15, at(rbp, static_cast<size_t>(-8)));
    a.mov(rcx, at(rsp, act::previous));
    a.mov(r13, at(rcx, act::fp));
    a.mov(rdi, at(rcx, act::instance));
    a.mov(at(r15, vcpu::activation), rcx);
    a.mov(r14, at(rdi, vm::layout::instance::memory0_base));
    restore_limits(r15, rsp, false);
    if (results_in_area()) a.mov(r10, at(r15, vcpu::area));
    if (!shape_.results.empty()) results_to_slots(r13, r10, false);
    if (!shape_.results.empty() && shape_.results[0].cls == interp::RegClass::integer) a.mov(rsi, rax);
    a.mov(rsp, rbp);
    a.pop(rbp);
    a.mov(r12, at(r13, static_cast<size_t>(link::pc)));
    a.movsxd(rbx, dword_ptr(r12, cell::imm));
    a.sub(r13, rbx);
    a.add(r12, static_cast<int32_t>(interp::kCallCells) * cell::bytes);
    a.jmp(at(r12, 0));
  }

  // ---- machine to interpreter ---------------------------------------------------------------------------------------

  void from_machine() {
    Label oldest = a.newLabel(), push = a.newLabel(), overflow = a.newLabel(), same = a.newLabel();
    a.mov(rax, at(r12, vcpu::activation));
    a.cmp(rbp, at(rax, act::entry_fp));
    a.je(oldest);
    a.bind(push);
    a.push(rbp);
    a.mov(rbp, rsp);
    a.sub(rsp, kRecord);
    caller_position();
    a.mov(at(rsp, act::previous), rax);
    a.mov(dword_ptr(rsp, act::kind), kInterpKind);
    a.mov(r10, at(rax, act::top));
    a.add(r10, static_cast<int32_t>(sizeof(interp::Link)));
    a.mov(at(rsp, act::entry_fp), r10);
    a.mov(r11, at(r12, vcpu::native_end));
    a.mov(rbx, at(r12, vcpu::stack_end));
    a.mov(at(rsp, act::saved_native_end), r11);
    a.mov(at(rsp, act::saved_stack_end), rbx);
    // min(real end, fp + (rsp - native_end)), the link counted
    a.lea(rbx, at(rsp, static_cast<size_t>(-static_cast<ptrdiff_t>(sizeof(interp::Link)))));
    a.sub(rbx, r11);
    a.add(rbx, r10);
    a.mov(r11, at(r12, vcpu::area));
    a.sub(r11, static_cast<int32_t>(vm::kStackRedZone));
    a.cmp(rbx, r11);
    a.cmova(rbx, r11);
    a.cmp(r10, rbx);
    a.ja(overflow);
    a.mov(at(r12, vcpu::stack_end), rbx);
    a.mov(at(r12, vcpu::stack_limit), rbx);
    a.mov(at(r12, vcpu::activation), rsp);
    check_stop(r12);
    a.mov(rbx, reinterpret_cast<uint64_t>(out_.exits));
    a.mov(at(r10, static_cast<size_t>(link::pc)), rbx);
    a.mov(rbx, rsp);
    a.sub(rsp, 8);
    a.mov(at(rbx, act::native_sp), rsp);
    go_on_as_handlers();

    // The caller's frame is gone, so what returns from here returns into the bridge: its activation goes too, and
    // handlers go on in the frame that it was made for.
    a.bind(oldest);
    a.cmp(byte_ptr(rax, act::from_host), 0);
    a.jne(push);
    restore_limits(r12, rax, false);
    a.mov(rax, at(rax, act::previous));
    a.mov(at(r12, vcpu::activation), rax);
    a.mov(rbp, at(rbp, 0));
    a.mov(rsp, at(rax, act::native_sp));
    a.mov(r10, at(rax, act::fp));
    a.mov(r11, at(rax, act::instance));
    // As for any tail call to another instance (interp/handlers/call.cpp).
    a.cmp(r11, r13);
    a.je(same);
    a.mov(rbx, reinterpret_cast<uint64_t>(interp::boundary_cell()));
    a.mov(rax, at(r10, static_cast<size_t>(link::pc)));
    a.cmp(rax, rbx);
    a.je(same);
    a.mov(at(r10, static_cast<size_t>(link::outer)), rax);
    a.mov(at(r10, static_cast<size_t>(link::inst)), r11);
    a.mov(at(r10, static_cast<size_t>(link::pc)), rbx);
    a.bind(same);
    go_on_as_handlers();

    a.bind(overflow);
    a.mov(rdi, r12);
    a.mov(esi, static_cast<uint32_t>(vm::TrapCode::StackOverflow));
    a.mov(rax, at(r12, vcpu::helpers));
    a.call(at(rax, 8 * static_cast<size_t>(Helper::trap)));
  }
  /// Stores where the caller of a trampoline with a frame stands in the running activation, which is rax. Through rbx.
  void caller_position() {
    a.mov(rbx, at(rbp, 8));
    a.mov(at(rax, act::pc), rbx);
    a.mov(rbx, at(rbp, 0));
    a.mov(at(rax, act::fp), rbx);
    a.lea(rbx, at(rbp, 16));
    a.mov(at(rax, act::sp), rbx);
  }

  /// The handler behind `exits`.
  void exit() {
    a.add(rsp, 8);
    restore_limits(r15, rsp, true);
    a.mov(rbx, at(rsp, act::previous));
    a.mov(at(r15, vcpu::activation), rbx);
    if (results_in_area()) a.mov(r10, at(r15, vcpu::area));
    slots_to_results(r13, r10, true);
    a.add(rsp, kRecord);
    a.mov(rdx, at(r15, vcpu::fuel));
    a.pop(rbp);
    a.ret();
  }

  // ---- machine to host ----------------------------------------------------------------------------------------------

  void to_host() {
    Label failed = a.newLabel(), stop = a.newLabel(), go_on = a.newLabel();
    const uint32_t slots = (std::max(shape_.param_slots, shape_.result_slots) + 1) & ~1u;
    a.push(rbp);
    a.mov(rbp, rsp);
    if (slots != 0) a.sub(rsp, static_cast<int32_t>(8 * slots));
    if (params_in_area()) a.mov(r10, at(r12, vcpu::area));
    params_to_slots(rsp, r10, true);
    a.mov(rax, at(r12, vcpu::activation));
    caller_position();
    a.mov(rax, at(r9, func_code::host));
    a.mov(rdi, at(rax, vm::layout::func_record::host_env));
    a.mov(rsi, r12);
    a.mov(rdx, r11);
    a.mov(rcx, rsp);
    a.mov(r8, rsp);
    a.call(at(rax, vm::layout::func_record::host));
    a.test(al, al);
    a.jne(failed);
    a.cmp(word_ptr(r12, vcpu::interrupt), 0);
    a.jne(stop);
    a.bind(go_on);
    if (results_in_area()) a.mov(r10, at(r12, vcpu::area));
    slots_to_results(rsp, r10, false);
    a.mov(rdx, at(r12, vcpu::fuel));
    a.leave();
    a.ret();

    // Signals do not stop the host: what they asked for meanwhile is served now. The results lie in the frame.
    a.bind(stop);
    a.mov(rdi, r12);
    a.mov(rax, reinterpret_cast<uint64_t>(&poll_after_host));
    a.call(rax);
    a.jmp(go_on);

    a.bind(failed);
    a.mov(rdi, r12);
    a.movzx(esi, al);
    a.mov(rax, reinterpret_cast<uint64_t>(&host_failed));
    a.call(rax);
  }

  const Shape& shape_;
  Trampolines& out_;
  Assembler a;
};

}  // namespace

std::unique_ptr<const Trampolines> make_trampolines(const Shape& shape) {
  auto made = std::make_unique<Trampolines>();
  if (!Maker(shape, *made).make()) return nullptr;
  return made;
}

}  // namespace vmrun::jit

#endif
