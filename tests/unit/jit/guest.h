// Machine code made by hand for tests of what compilers and trampolines have to agree on.
#pragma once

#include <asmjit/x86.h>
#include <doctest/doctest.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "interp/interp.h"
#include "jit/code/code.h"
#include "jit/crossing/abi.h"
#include "jit/crossing/publish.h"
#include "jit/crossing/trampoline.h"
#include "tests/support/ok.h"
#include "tests/unit/jit/published.h"
#include "vm/runtime/store.h"
#include "vmrun/vmrun.h"

namespace vmrun::test {

namespace x86 = asmjit::x86;

/// An engine that compiles nothing by itself.
inline Config interpreted() {
  Config config;
  config.tiers = Tiers::Interp;
  return config;
}

inline Module fixture(const Engine& engine, const std::string& name) {
  return ok(Module::compile_file(engine, std::string(VMRUN_FIXTURES "/") + name + ".wasm"));
}
inline vm::FuncRecord& record(Instance instance, const std::string& name) { return *ok(instance.func(name)).impl(); }

/// Code from `emit`, published for `func` (null: nobody's) until the test case ends.
inline const jit::CodeObject* machine_code(vm::FuncCode* func, const std::function<void(x86::Assembler&)>& emit) {
  asmjit::CodeHolder holder;
  holder.init(asmjit::Environment::host());
  x86::Assembler a(&holder);
  emit(a);
  jit::CodeSpace& space = jit::CodeSpace::get();
  const jit::CodeSpace::Block block = space.allocate(holder.codeSize());
  REQUIRE(block);
  REQUIRE(holder.relocateToBase(reinterpret_cast<uint64_t>(block.rx)) == 0);
  REQUIRE(holder.copyFlattenedData(block.rw, block.size) == 0);
  auto object = std::make_unique<jit::CodeObject>();
  object->func = func;
  object->size = static_cast<uint32_t>(holder.codeSize());
  return jit::test::until_end_of_case(space.publish(std::move(object), block));
}
/// Puts code from `emit` in force as `func`'s.
inline void give_machine_code(vm::FuncRecord& func, const std::function<void(x86::Assembler&)>& emit) {
  const jit::CodeObject* object = machine_code(func.code, emit);
  REQUIRE(jit::publish_function(*func.code, object->begin, vm::Tier::baseline));
}

inline x86::Mem at(x86::Gp base, size_t offset) { return x86::qword_ptr(base, static_cast<int32_t>(offset)); }

inline void prologue(x86::Assembler& a, int32_t frame = 32) {
  a.push(x86::rbp);
  a.mov(x86::rbp, x86::rsp);
  a.sub(x86::rsp, frame);
  const asmjit::Label room = a.newLabel();
  a.cmp(x86::rsp, at(x86::r12, offsetof(vm::Vcpu, native_limit)));
  a.jae(room);
  // A poll keeps nothing but the parameters that a test's function has: r15 and rdi.
  a.mov(x86::qword_ptr(x86::rbp, -8), x86::rdi);
  a.mov(x86::rdi, x86::r12);
  a.mov(x86::rax, at(x86::r12, offsetof(vm::Vcpu, helpers)));
  a.call(at(x86::rax, 8 * static_cast<size_t>(jit::Helper::stack_poll)));
  a.mov(x86::rdi, x86::qword_ptr(x86::rbp, -8));
  a.bind(room);
}
inline void epilogue(x86::Assembler& a) {
  a.leave();
  a.ret();
}
/// r9 of a direct call of own function `index` (imports not counted).
inline void callee_direct(x86::Assembler& a, uint32_t index) {
  a.mov(x86::r9, at(x86::r13, offsetof(vm::Instance, codes)));
  if (index != 0) a.add(x86::r9, static_cast<int32_t>(index * sizeof(vm::FuncCode)));
}
/// r9, r11, r13 and r14 of a call through the record in rax.
inline void callee_record(x86::Assembler& a) {
  const asmjit::Label host = a.newLabel();
  a.mov(x86::r11, x86::r13);
  a.mov(x86::r9, at(x86::rax, offsetof(vm::FuncRecord, code)));
  a.mov(x86::r13, at(x86::rax, offsetof(vm::FuncRecord, instance)));
  a.test(x86::r13, x86::r13);
  a.jz(host);
  a.mov(x86::r14, at(x86::r13, offsetof(vm::Instance, memory0_base)));
  a.bind(host);
}
inline void callee_import(x86::Assembler& a, uint32_t index) {
  a.mov(x86::rax, at(x86::r13, offsetof(vm::Instance, funcs)));
  a.mov(x86::rax, at(x86::rax, 8 * size_t{index}));
  callee_record(a);
}
inline void callee_table(x86::Assembler& a, uint32_t element) {
  a.mov(x86::rax, at(x86::r13, offsetof(vm::Instance, tables)));
  a.mov(x86::rax, at(x86::rax, 0));
  a.mov(x86::rax, at(x86::rax, offsetof(vm::TableInst, elems)));
  a.mov(x86::rax, at(x86::rax, 8 * size_t{element}));
  callee_record(a);
}
inline x86::Mem machine_entry() { return at(x86::r9, offsetof(vm::FuncCode, machine)); }

}  // namespace vmrun::test
