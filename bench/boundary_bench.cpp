// What it costs to cross between the host, the interpreter and machine code. The machine code is made by hand, so that no
// compiler's choices are part of the figures.
//
// Figures are per crossing and back; `..._loop` is the loop around the calls alone, to be subtracted.
//
//   bench_boundary --benchmark_min_time=0.2
#include <asmjit/x86.h>
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "interp/interp.h"
#include "jit/abi.h"
#include "jit/code.h"
#include "jit/publish.h"
#include "vm/store.h"
#include "vmrun/vmrun.h"

namespace {

using namespace vmrun;
namespace x86 = asmjit::x86;

/// (module
///   (import "env" "add1" (func $host (param i32) (result i32)))
///   (func $leaf (export "leaf") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
///   (func (export "call_host") (param i32)      ;; calls $host that many times
///     (loop (drop (call $host (i32.const 1)))
///           (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
///   (func (export "call_leaf") (param i32)      ;; calls $leaf that many times
///     (loop (drop (call $leaf (i32.const 1)))
///           (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
///   (func (export "loop") (param i32)           ;; neither
///     (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
constexpr uint8_t kImage[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0a, 0x02, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x60, 0x01, 0x7f,
    0x00, 0x02, 0x0c, 0x01, 0x03, 0x65, 0x6e, 0x76, 0x04, 0x61, 0x64, 0x64, 0x31, 0x00, 0x00, 0x03, 0x05, 0x04, 0x00,
    0x01, 0x01, 0x01, 0x07, 0x27, 0x04, 0x04, 0x6c, 0x65, 0x61, 0x66, 0x00, 0x01, 0x09, 0x63, 0x61, 0x6c, 0x6c, 0x5f,
    0x68, 0x6f, 0x73, 0x74, 0x00, 0x02, 0x09, 0x63, 0x61, 0x6c, 0x6c, 0x5f, 0x6c, 0x65, 0x61, 0x66, 0x00, 0x03, 0x04,
    0x6c, 0x6f, 0x6f, 0x70, 0x00, 0x04, 0x0a, 0x40, 0x04, 0x07, 0x00, 0x20, 0x00, 0x41, 0x01, 0x6a, 0x0b, 0x13, 0x00,
    0x03, 0x40, 0x41, 0x01, 0x10, 0x00, 0x1a, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b, 0x13,
    0x00, 0x03, 0x40, 0x41, 0x01, 0x10, 0x01, 0x1a, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b,
    0x0e, 0x00, 0x03, 0x40, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x0b,
};
constexpr uint32_t kLeaf = 0;  // among own functions
constexpr int32_t kRounds = 10000;

template <class T>
T ok(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
    std::exit(1);
  }
  return std::move(*result);
}

Linker linker_for(const Engine& engine) {
  Linker linker(engine);
  auto add1 = [](void*, vm::Vcpu&, vm::Instance*, const Slot* args, Slot* results) {
    results[0] = Slot::i32(args[0].as_i32() + 1);
    return Outcome::Return;
  };
  if (!linker.func_raw("env", "add1", FuncType{{ValKind::I32}, {ValKind::I32}}, add1, nullptr)) std::exit(1);
  return linker;
}

x86::Mem at(x86::Gp base, size_t offset) { return x86::qword_ptr(base, static_cast<int32_t>(offset)); }

/// An engine that compiles nothing by itself.
Config interpreted() {
  Config config;
  config.tiers = Tiers::Interp;
  return config;
}

/// An instance whose functions stay what they are until they are given machine code.
struct Guest {
  Engine engine{interpreted()};
  Store store{engine};
  Instance instance = ok(linker_for(engine).instantiate(store, ok(Module::compile(engine, kImage))));

  vm::FuncRecord& record(const char* name) { return *ok(instance.func(name)).impl(); }
  vm::FuncRecord& machine(const char* name, const std::function<void(x86::Assembler&)>& emit) {
    vm::FuncRecord& func = record(name);
    asmjit::CodeHolder holder;
    holder.init(asmjit::Environment::host());
    x86::Assembler a(&holder);
    emit(a);
    jit::CodeSpace& space = jit::CodeSpace::get();
    const jit::CodeSpace::Block block = space.allocate(holder.codeSize());
    if (!block || holder.relocateToBase(reinterpret_cast<uint64_t>(block.rx)) != 0 ||
        holder.copyFlattenedData(block.rw, block.size) != 0) {
      std::exit(1);
    }
    auto object = std::make_unique<jit::CodeObject>();
    object->func = func.code;
    if (!jit::publish_function(*func.code, space.publish(std::move(object), block)->begin, vm::Tier::baseline)) {
      std::exit(1);
    }
    return func;
  }
  vm::FuncRecord& machine_leaf() {
    return machine("leaf", [](x86::Assembler& a) {
      prologue(a);
      a.lea(x86::eax, x86::ptr(x86::r15, 1));
      a.leave();
      a.ret();
    });
  }
  static void prologue(x86::Assembler& a) {
    a.push(x86::rbp);
    a.mov(x86::rbp, x86::rsp);
    a.sub(x86::rsp, 32);
    const asmjit::Label room = a.newLabel();
    a.cmp(x86::rsp, at(x86::r12, offsetof(vm::Vcpu, native_limit)));
    a.jae(room);
    a.mov(x86::rdi, x86::r12);
    a.mov(x86::rax, at(x86::r12, offsetof(vm::Vcpu, helpers)));
    a.call(at(x86::rax, 8 * static_cast<size_t>(jit::Helper::stack_poll)));
    a.bind(room);
  }
  /// Machine code of call_leaf or call_host.
  vm::FuncRecord& machine_calls(const char* name, bool host) {
    return machine(name, [host](x86::Assembler& a) {
      prologue(a);
      a.mov(x86::qword_ptr(x86::rbp, -8), x86::r12);
      a.mov(x86::qword_ptr(x86::rbp, -16), x86::r13);
      a.mov(x86::qword_ptr(x86::rbp, -24), x86::r15);
      const asmjit::Label loop = a.newLabel();
      a.bind(loop);
      a.mov(x86::r15d, 1);
      if (host) {
        a.mov(x86::rax, at(x86::r13, offsetof(vm::Instance, funcs)));
        a.mov(x86::rax, at(x86::rax, 0));
        a.mov(x86::r11, x86::r13);
        a.mov(x86::r9, at(x86::rax, offsetof(vm::FuncRecord, code)));
      } else {
        a.mov(x86::r9, at(x86::r13, offsetof(vm::Instance, codes)));
        static_assert(kLeaf == 0);
      }
      a.call(at(x86::r9, offsetof(vm::FuncCode, machine)));
      a.mov(x86::r12, x86::qword_ptr(x86::rbp, -8));
      a.mov(x86::r13, x86::qword_ptr(x86::rbp, -16));
      a.dec(x86::qword_ptr(x86::rbp, -24));
      a.jnz(loop);
      a.leave();
      a.ret();
    });
  }
  void call(vm::FuncRecord& func, int32_t n, benchmark::State& state) {
    Slot slot = Slot::i32(static_cast<uint32_t>(n));
    if (interp::invoke(store.impl().vcpu(), func, &slot, &slot) != Outcome::Return) state.SkipWithError("call");
    benchmark::DoNotOptimize(slot);
  }
  void loop(benchmark::State& state, vm::FuncRecord& func) {
    while (state.KeepRunningBatch(kRounds)) call(func, kRounds, state);
  }
};

void host_to_interp(benchmark::State& state) {
  Guest g;
  vm::FuncRecord& leaf = g.record("leaf");
  for (auto _ : state) g.call(leaf, 1, state);
}
BENCHMARK(host_to_interp);

void host_to_machine(benchmark::State& state) {
  Guest g;
  vm::FuncRecord& leaf = g.machine_leaf();
  for (auto _ : state) g.call(leaf, 1, state);
}
BENCHMARK(host_to_machine);

/// The same through the embedding interface.
void typed_host_to_machine(benchmark::State& state) {
  Guest g;
  g.machine_leaf();
  auto leaf = ok(ok(g.instance.func("leaf")).typed<int32_t(int32_t)>());
  int32_t n = 0;
  for (auto _ : state) n = *leaf.call(n);
  benchmark::DoNotOptimize(n);
}
BENCHMARK(typed_host_to_machine);

void interp_loop(benchmark::State& state) {
  Guest g;
  g.loop(state, g.record("loop"));
}
BENCHMARK(interp_loop);

void interp_to_host(benchmark::State& state) {
  Guest g;
  g.loop(state, g.record("call_host"));
}
BENCHMARK(interp_to_host);

void interp_to_interp(benchmark::State& state) {
  Guest g;
  g.loop(state, g.record("call_leaf"));
}
BENCHMARK(interp_to_interp);

void interp_to_machine(benchmark::State& state) {
  Guest g;
  g.machine_leaf();
  g.loop(state, g.record("call_leaf"));
}
BENCHMARK(interp_to_machine);

void machine_to_host(benchmark::State& state) {
  Guest g;
  g.loop(state, g.machine_calls("call_host", true));
}
BENCHMARK(machine_to_host);

void machine_to_interp(benchmark::State& state) {
  Guest g;
  g.loop(state, g.machine_calls("call_leaf", false));
}
BENCHMARK(machine_to_interp);

void machine_to_machine(benchmark::State& state) {
  Guest g;
  g.machine_leaf();
  g.loop(state, g.machine_calls("call_leaf", false));
}
BENCHMARK(machine_to_machine);

[[gnu::noinline]] int32_t native_leaf(int32_t n) {
  asm volatile("" : "+r"(n));
  return n + 1;
}

/// A native program's loop that calls a function: what machine_to_machine is compared with.
void native_to_native(benchmark::State& state) {
  while (state.KeepRunningBatch(kRounds)) {
    for (int32_t n = kRounds; n != 0; --n) {
      benchmark::DoNotOptimize(n);
      benchmark::DoNotOptimize(native_leaf(1));
    }
  }
}
BENCHMARK(native_to_native);

}  // namespace
