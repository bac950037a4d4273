// What the optimising tier's tests share: a fixture as a module without an engine, compiled units, and a way to run
// them without trampolines: C++ calls machine code by its own convention, and helpers that do not return jump back
// here.
#pragma once

#include <doctest/doctest.h>
#include <setjmp.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "jit/crossing/abi.h"
#include "jit/plugin.h"
#include "tests/support/installed.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"

namespace vmrun::test {

using Vector = uint8_t __attribute__((vector_size(16)));

/// Machine code as C++ sees it, by the class of its first result.
template <class Result>
using Machine = Result(__attribute__((preserve_none)) *)(vm::Vcpu*, vm::Instance*, std::byte*, uint64_t, uint64_t,
                                                         uint64_t, uint64_t, uint64_t, uint64_t, vm::FuncCode*,
                                                         vm::Instance*, Vector, Vector, Vector, Vector, Vector, Vector,
                                                         Vector, Vector);

inline Vector vector_of(double v) {
  Vector out{};
  __builtin_memcpy(&out, &v, sizeof v);
  return out;
}
inline Vector vector_of(float v) {
  Vector out{};
  __builtin_memcpy(&out, &v, sizeof v);
  return out;
}

inline const jit::Plugin& plugin() {
  std::string why;
  const jit::Plugin* loaded = jit::load_plugin(&why);
  if (loaded == nullptr) FAIL(why);
  return *loaded;
}

/// A module with everything its code touches at run time, made by hand.
struct Bench {
  std::shared_ptr<vm::TypeRegistry> registry = std::make_shared<vm::TypeRegistry>();
  std::shared_ptr<vm::Module> module;
  std::vector<std::byte> bytes;
  vm::MemoryInst memory;
  vm::MemoryInst* memories[1] = {&memory};
  std::vector<vm::GlobalInst> globals;
  std::vector<vm::FuncRecord> records;
  std::vector<vm::FuncRecord*> funcs;
  std::vector<vm::Ref> elems;
  vm::TableInst table;
  vm::TableInst* tables[1] = {&table};
  std::vector<vm::Slot> area = std::vector<vm::Slot>(vm::kAreaBytes / 8);
  vm::Instance inst;
  vm::Vcpu cx;

  explicit Bench(const std::string& fixture) : Bench(vm::Image::open(VMRUN_FIXTURES "/" + fixture + ".wasm")) {}
  explicit Bench(std::span<const uint8_t> image) : Bench(vm::Image::copy(image)) {}
  explicit Bench(Result<std::shared_ptr<const vm::Image>> image) : bytes(1 << 17) {
    REQUIRE(image);
    auto decoded = vm::decode_module(*image, registry);
    REQUIRE(decoded);
    module = *decoded;
    memory.base = bytes.data();
    memory.bytes = 1 << 16;
    memory.guarded = true;
    globals.resize(module->globals.size());
    records.resize(module->funcs.size());
    elems.resize(4);
    for (uint32_t i = 0; i < module->funcs.size(); ++i) {
      module->code(i).module = module.get();
      module->code(i).func_index = i;
      records[i].type = module->funcs[i].type;
      records[i].func_index = i;
      records[i].instance = &inst;
      records[i].host_env = memory.base;  // what a wasm function has there
      records[i].code = &module->code(i);
      funcs.push_back(&records[i]);
    }
    table.elems = elems.data();
    table.size = elems.size();
    inst.memory0_base = memory.base;
    inst.memories = memories;
    inst.tables = tables;
    inst.own_globals = globals.data();
    inst.funcs = funcs.data();
    inst.module = module.get();
    inst.codes = module->codes.get();
    cx.helpers = helper_table();
    cx.area = area.data();
  }

  uint32_t index(const std::string& name) const {
    for (const vm::Export& e : module->exports) {
      if (e.kind == vm::ExternKind::func && e.name == name) return e.index;
    }
    FAIL("no function " << name);
    return 0;
  }

  jit::CompileRequest request(uint32_t func_index, uint32_t unit = jit::kWholeFunction) const {
    jit::CompileRequest request;
    request.module = module.get();
    request.func_index = func_index;
    request.unit = unit;
    request.inlining = Inlining::Off;  // a call is one
    return request;
  }

  /// Compiles and makes calls go there.
  const jit::CodeObject* compile(uint32_t func_index, uint32_t unit = jit::kWholeFunction) {
    const jit::CodeObject& code = installed(plugin().compiler->compile(request(func_index, unit)), *module);
    if (unit == jit::kWholeFunction) {
      module->code(func_index).machine.store(entry_of(code), std::memory_order_release);
    }
    return &code;
  }
  const jit::CodeObject* compile(const std::string& name) { return compile(index(name)); }

  /// The trap that the last call ended with.
  vm::TrapCode trap = vm::TrapCode::None;

  template <class Result>
  Result call(const void* code, std::vector<uint64_t> ints = {}, std::vector<Vector> vectors = {},
              vm::FuncCode* callee = nullptr) {
    ints.resize(jit::kIntParams);
    vectors.resize(jit::kVectorParams);
    trap = vm::TrapCode::None;
    jump_to() = this;
    if (setjmp(back) != 0) return Result{};
    auto machine = reinterpret_cast<Machine<Result>>(const_cast<void*>(code));
    return machine(&cx, &inst, memory.base, ints[0], ints[1], ints[2], ints[3], ints[4], ints[5], callee, nullptr,
                   vectors[0], vectors[1], vectors[2], vectors[3], vectors[4], vectors[5], vectors[6], vectors[7]);
  }
  template <class Result>
  Result run(const std::string& name, std::vector<uint64_t> ints = {}, std::vector<Vector> vectors = {}) {
    const jit::CodeObject* code = compile(name);
    return call<Result>(code->begin + code->entry, std::move(ints), std::move(vectors));
  }

 private:
  jmp_buf back;
  static Bench*& jump_to() {
    static Bench* bench = nullptr;
    return bench;
  }
  static void on_trap(vm::Vcpu*, uint64_t code) {
    jump_to()->trap = static_cast<vm::TrapCode>(code);
    longjmp(jump_to()->back, 1);
  }
  static const void* const* helper_table() {
    static const void* table[jit::kTailCallEntry + 1] = {};
    table[static_cast<size_t>(jit::Helper::trap)] = reinterpret_cast<const void*>(&on_trap);
    return table;
  }
};

}  // namespace vmrun::test
