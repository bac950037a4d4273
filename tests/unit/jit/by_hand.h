// Machine functions made by hand, by the rules of jit/crossing/abi.h, to stand in for what a compiler makes.
#pragma once

#include <asmjit/x86.h>
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "jit/code/code.h"
#include "jit/crossing/abi.h"
#include "jit/crossing/publish.h"
#include "tests/unit/jit/published.h"

namespace vmrun::jit::test {

using namespace asmjit::x86;

/// One function of machine code: emit, then publish.
class ByHand {
 public:
  asmjit::x86::Assembler a;

  /// Prologue: the frame keeps vCPU, instance and memory base at rbp - 8, - 16 and - 24, and has `locals` more slots.
  explicit ByHand(vm::FuncCode& func, uint32_t locals = 1) : func_(func) {
    code_.init(asmjit::Environment::host());
    code_.attach(&a);
    const auto frame = static_cast<int32_t>((3 + locals + 1) / 2 * 16);
    a.push(rbp);
    a.mov(rbp, rsp);
    asmjit::Label room = a.newLabel();
    a.sub(rsp, frame);
    a.mov(cx(), r12);
    a.mov(inst(), r13);
    a.mov(mem(), r14);
    a.cmp(rsp, qword_ptr(r12, offsetof(vm::Vcpu, native_limit)));
    a.jae(room);
    a.mov(local(0), r15);
    helper(Helper::stack_poll);
    mark(func.module->funcs[func.func_index].body.begin);
    a.mov(r15, local(0));
    reload();
    a.bind(room);
  }

  Mem cx() { return qword_ptr(rbp, -8); }
  Mem inst() { return qword_ptr(rbp, -16); }
  Mem mem() { return qword_ptr(rbp, -24); }
  Mem local(int32_t index) { return qword_ptr(rbp, -32 - 8 * index); }

  void reload() {
    a.mov(r12, cx());
    a.mov(r13, inst());
    a.mov(r14, mem());
  }
  void ret() {
    a.leave();
    a.ret();
  }
  /// What was emitted last, a call or an access, belongs to the instruction at `offset`.
  void mark(uint32_t offset) { marks_.push_back({static_cast<uint32_t>(a.offset()), offset}); }
  /// An exception out of the call that was emitted last lands at `pad`.
  void pad(asmjit::Label pad) { pads_.push_back({static_cast<uint32_t>(a.offset()), pad}); }
  /// The next instruction may fault and belongs to `offset`.
  void mark_next(uint32_t offset) { marks_.push_back({static_cast<uint32_t>(a.offset()), offset}); }

  /// Calls a helper; its arguments but the vCPU are in place.
  void helper(Helper which) {
    a.mov(rdi, cx());
    a.mov(r10, qword_ptr(rdi, offsetof(vm::Vcpu, helpers)));
    a.call(qword_ptr(r10, 8 * static_cast<int32_t>(which)));
  }
  /// Calls a function of the module.
  void call(uint32_t func_index) {
    const auto own = static_cast<int32_t>(func_index - func_.module->imported_funcs);
    a.mov(r9, qword_ptr(r13, offsetof(vm::Instance, codes)));
    a.add(r9, own * static_cast<int32_t>(sizeof(vm::FuncCode)));
    a.call(qword_ptr(r9, offsetof(vm::FuncCode, machine)));
  }
  /// Calls an imported function of the host.
  void call_host(uint32_t func_index) {
    a.mov(r11, r13);
    a.mov(r9, qword_ptr(r13, offsetof(vm::Instance, funcs)));
    a.mov(r9, qword_ptr(r9, 8 * static_cast<int32_t>(func_index)));
    a.mov(r13, qword_ptr(r9, offsetof(vm::FuncRecord, instance)));
    a.mov(r9, qword_ptr(r9, offsetof(vm::FuncRecord, code)));
    a.call(qword_ptr(r9, offsetof(vm::FuncCode, machine)));
  }
  /// At a pad: goes on if the exception in flight has the instance's tag, otherwise takes it further.
  void match_tag(uint32_t tag) {
    asmjit::Label matches = a.newLabel();
    a.mov(rcx, qword_ptr(rax, offsetof(vm::Vcpu, exception)));
    a.mov(rcx, qword_ptr(rcx, offsetof(vm::ExnCell, tag)));
    a.mov(rdx, inst());
    a.mov(rdx, qword_ptr(rdx, offsetof(vm::Instance, tags)));
    a.cmp(rcx, qword_ptr(rdx, 8 * static_cast<int32_t>(tag)));
    a.je(matches);
    helper(Helper::resume_throw);
    a.bind(matches);
  }

  /// Puts the code in force, until the test case ends.
  const CodeObject* publish(vm::Tier tier = vm::Tier::baseline) {
    REQUIRE(code_.flatten() == 0);
    CodeSpace& space = CodeSpace::get();
    CodeSpace::Block block = space.allocate(code_.codeSize());
    REQUIRE(block);
    REQUIRE(code_.relocateToBase(reinterpret_cast<uint64_t>(block.rx)) == 0);
    REQUIRE(code_.copyFlattenedData(block.rw, block.size) == 0);
    auto object = std::make_unique<CodeObject>();
    object->size = static_cast<uint32_t>(code_.codeSize());
    object->tier = tier;
    object->func = &func_;
    object->marks = marks_;
    for (const auto& [at, label] : pads_) object->pads.push_back({at, static_cast<uint32_t>(code_.labelOffset(label))});
    const CodeObject* published = until_end_of_case(space.publish(std::move(object), block));
    REQUIRE(publish_function(func_, published->begin, tier));
    return published;
  }

 private:
  struct Pad {
    uint32_t return_pc;
    asmjit::Label at;
  };
  asmjit::CodeHolder code_;
  vm::FuncCode& func_;
  std::vector<SourceMark> marks_;
  std::vector<Pad> pads_;
};

}  // namespace vmrun::jit::test
