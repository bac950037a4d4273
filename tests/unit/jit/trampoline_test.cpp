// Crossings between the host, the interpreter and machine code, with machine code made by hand: values of every class on
// both sides of what registers hold, tail calls, one limit for both stacks, OSR, traps on the way.
#if defined(__x86_64__)

#include <cstring>
#include <vector>

#include "interp/abi.h"
#include "tests/unit/jit/guest.h"
#include "vm/wasm/loops.h"

namespace vmrun::test {
namespace {

using vm::Outcome;
using vm::Slot;
using vm::ValType;

enum class Kind { interp, machine, host };
const char* name(Kind kind) { return kind == Kind::interp ? "interp" : kind == Kind::machine ? "machine" : "host"; }

/// The slots of `types` in reverse order of the values.
void reverse(const std::vector<ValType>& types, const Slot* args, Slot* results) {
  uint32_t end = 0;
  for (ValType type : types) end += type.slots();
  std::vector<Slot> copy(args, args + end);
  for (size_t i = types.size(); i-- > 0;) {
    end -= types[i].slots();
    for (uint32_t k = 0; k < types[i].slots(); ++k) *results++ = copy[end + k];
  }
}

struct Reverser {
  std::vector<ValType> types;
  int calls = 0;
  vm::Instance* caller = nullptr;
  static Outcome call(void* env, vm::Vcpu&, vm::Instance* caller, const Slot* args, Slot* results) {
    auto& self = *static_cast<Reverser*>(env);
    ++self.calls;
    self.caller = caller;
    reverse(self.types, args, results);
    return Outcome::Return;
  }
};

/// Machine code of `leaf`: reverses by way of its frame, in canonical slots.
void emit_leaf(x86::Assembler& a, const vm::FuncType& type) {
  static const x86::Gp kInts[] = {x86::r15, x86::rdi, x86::rsi, x86::rdx, x86::rcx, x86::r8};
  const auto frame = static_cast<int32_t>((8 * type.param_slots + 15) & ~15u);
  a.push(x86::rbp);
  a.mov(x86::rbp, x86::rsp);
  a.sub(x86::rsp, frame);
  a.mov(x86::rax, at(x86::r12, offsetof(vm::Vcpu, area)));
  jit::PlaceWalk params = jit::PlaceWalk::params();
  std::vector<uint32_t> slots;
  uint32_t slot = 0;
  for (ValType t : type.params) {
    const jit::Place place = params.next(t);
    const x86::Mem to = at(x86::rsp, 8 * slot);
    if (place.in == jit::Place::In::integer) a.mov(to, kInts[place.index]);
    x86::Xmm from = x86::xmm(place.index);
    if (place.in == jit::Place::In::area) {
      from = x86::xmm15;
      a.movups(from, x86::ptr(x86::rax, static_cast<int32_t>(16 * place.index)));
    }
    if (place.in != jit::Place::In::integer) {
      t.slots() == 2 ? a.movups(x86::ptr(x86::rsp, static_cast<int32_t>(8 * slot)), from) : a.movsd(to, from);
    }
    slots.push_back(slot);
    slot += t.slots();
  }
  a.mov(x86::rdx, x86::rax);
  jit::PlaceWalk results = jit::PlaceWalk::results();
  for (size_t i = type.params.size(); i-- > 0;) {
    const ValType t = type.params[i];
    const jit::Place place = results.next(t);
    if (place.in == jit::Place::In::integer) {
      a.mov(x86::rax, at(x86::rsp, 8 * slots[i]));
      continue;
    }
    const x86::Xmm to = place.in == jit::Place::In::vector ? x86::xmm0 : x86::xmm15;
    if (t.slots() == 2) {
      a.movups(to, x86::ptr(x86::rsp, static_cast<int32_t>(8 * slots[i])));
    } else {
      a.movsd(to, at(x86::rsp, 8 * slots[i]));
    }
    if (place.in == jit::Place::In::area) a.movups(x86::ptr(x86::rdx, static_cast<int32_t>(16 * place.index)), to);
  }
  epilogue(a);
}

/// Machine code of `call` and `indirect`: the parameters are where the callee wants them.
void emit_call(x86::Assembler& a, const vm::FuncType& type, uint32_t index, bool indirect) {
  a.push(x86::rbp);
  a.mov(x86::rbp, x86::rsp);
  a.sub(x86::rsp, 16);
  a.mov(x86::qword_ptr(x86::rbp, -8), x86::r12);
  a.mov(x86::qword_ptr(x86::rbp, -16), x86::r13);
  indirect ? callee_table(a, index) : callee_import(a, index);
  a.call(machine_entry());
  jit::PlaceWalk results = jit::PlaceWalk::results();
  jit::Place last{};
  for (ValType t : type.results) last = results.next(t);
  REQUIRE(last.in == jit::Place::In::area);
  a.mov(x86::r12, x86::qword_ptr(x86::rbp, -8));
  a.mov(x86::r13, x86::qword_ptr(x86::rbp, -16));
  a.mov(x86::r14, at(x86::r13, offsetof(vm::Instance, memory0_base)));
  a.mov(x86::rcx, at(x86::r14, 0));
  a.mov(x86::rdx, at(x86::r12, offsetof(vm::Vcpu, area)));
  a.add(at(x86::rdx, 16 * last.index), x86::rcx);
  epilogue(a);
}
void emit_tail(x86::Assembler& a, uint32_t index) {
  callee_import(a, index);
  a.jmp(machine_entry());
}

constexpr const char* kForms[] = {"call", "indirect", "tail"};
constexpr const char* kSignatures[] = {"i", "f", "v"};

/// A store with three instances of jit_crossing: first -> second -> last -> the host.
struct Chain {
  Engine engine{interpreted()};
  Store store{engine};
  Linker linker{engine};
  std::vector<std::shared_ptr<Reverser>> hosts;
  std::vector<Instance> instances;

  Chain() {
    for (const ImportType& import : fixture(engine, "jit_crossing").imports()) {
      hosts.push_back(std::make_shared<Reverser>());
      ok(linker.func_raw("next", import.name, *import.type.func(), &Reverser::call, hosts.back()));
    }
    for (int i = 0; i < 3; ++i) {
      instances.push_back(ok(linker.instantiate(store, fixture(engine, "jit_crossing"))));
      vm::Instance& inst = *instances.back().impl();
      const uint64_t number = uint64_t{1000} << (8 * i);
      std::memcpy(inst.memory0_base, &number, sizeof number);
    }
    for (uint32_t k = 0; k < 3; ++k) hosts[k]->types = type(k).params;
  }

  const vm::FuncType& type(uint32_t signature) { return instances[0].impl()->module->func_type(signature); }
  vm::FuncRecord& func(size_t instance, const char* form, uint32_t signature) {
    return record(instances[instance], std::string(form) + "_" + kSignatures[signature]);
  }
  /// Makes `next` what the instance's import of that signature and its table lead to.
  void link(size_t instance, uint32_t signature, vm::FuncRecord& next) {
    vm::Instance& inst = *instances[instance].impl();
    inst.funcs[signature] = &next;
    inst.tables[0]->elems[signature] = vm::Ref::of(&next);
  }
  /// The function, as machine code if `kind` says so.
  vm::FuncRecord& make(Kind kind, size_t instance, const char* form, uint32_t signature) {
    vm::FuncRecord& made = func(instance, form, signature);
    if (kind == Kind::interp) return made;
    give_machine_code(made, [&](x86::Assembler& a) {
      const std::string what = form;
      if (what == "leaf") emit_leaf(a, type(signature));
      if (what == "call" || what == "indirect") emit_call(a, type(signature), signature, what == "indirect");
      if (what == "tail") emit_tail(a, signature);
    });
    return made;
  }

  /// Calls `entered` with a different number in each slot and looks for them, reversed, with `added` to the last.
  void check(vm::FuncRecord& entered, uint32_t signature, uint64_t added) {
    const vm::FuncType& t = type(signature);
    std::vector<Slot> args(t.param_slots), expected(t.param_slots), results(t.param_slots);
    for (size_t i = 0; i < args.size(); ++i) args[i].bits = 0x1122334400000000ull * (i + 1) + 17 * i + 5;
    size_t slot = 0;
    for (ValType v : t.params) {
      if (v == vm::kI32 || v == vm::kF32) args[slot].bits &= 0xffffffff;
      slot += v.slots();
    }
    reverse(t.params, args.data(), expected.data());
    expected.back().bits += added;
    for (int round = 0; round < 2; ++round) {
      const vm::Vcpu& cx = store.impl().vcpu();
      std::byte* stack_end = cx.stack_end;
      REQUIRE(interp::invoke(store.impl().vcpu(), entered, args.data(), results.data()) == Outcome::Return);
      CHECK(cx.activation == nullptr);
      CHECK(cx.stack_end == stack_end);
      CHECK(cx.stack_limit == stack_end);
      CHECK(cx.native_limit == cx.native_end);
      slot = 0;
      for (size_t i = 0; i < t.results.size(); ++i) {
        CAPTURE(i);
        const bool narrow = t.results[i] == vm::kF32;
        for (uint32_t k = 0; k < t.results[i].slots(); ++k, ++slot) {
          const uint64_t got = narrow ? results[slot].as_i32() : results[slot].bits;
          CHECK(got == expected[slot].bits);
        }
      }
    }
  }
};

TEST_CASE("values cross every boundary, in registers and beyond, with the instance") {
  for (uint32_t signature = 0; signature < 3; ++signature) {
    for (const char* first_form : kForms) {
      for (const char* second_form : kForms) {
        for (int kinds = 0; kinds < 12; ++kinds) {
          const auto first = static_cast<Kind>(kinds & 1), second = static_cast<Kind>(kinds >> 1 & 1),
                     last = static_cast<Kind>(kinds >> 2);
          CAPTURE(kSignatures[signature]);
          CAPTURE(first_form);
          CAPTURE(second_form);
          CAPTURE(name(first));
          CAPTURE(name(second));
          CAPTURE(name(last));
          Chain chain;
          vm::FuncRecord& entered = chain.make(first, 0, first_form, signature);
          vm::FuncRecord& middle = chain.make(second, 1, second_form, signature);
          chain.link(0, signature, middle);
          if (last != Kind::host) chain.link(1, signature, chain.make(last, 2, "leaf", signature));
          const bool first_adds = std::string(first_form) != "tail", second_adds = std::string(second_form) != "tail";
          chain.check(entered, signature, (first_adds ? 1000 : 0) + (second_adds ? uint64_t{1000} << 8 : 0));
          if (last == Kind::host) {
            CHECK(chain.hosts[signature]->calls == 2);
            CHECK(chain.hosts[signature]->caller == chain.instances[1].impl());
          }
          chain.check(chain.make(last == Kind::machine ? last : Kind::interp, 2, "leaf", signature), signature, 0);
        }
      }
    }
  }
}

// ---- tail calls -----------------------------------------------------------------------------------------------------

/// ping and pong in machine code.
void emit_pong(x86::Assembler& a, uint32_t other) {
  const asmjit::Label more = a.newLabel();
  a.test(x86::r15, x86::r15);
  a.jnz(more);
  a.mov(x86::rax, x86::rdi);
  a.ret();
  a.bind(more);
  a.dec(x86::r15);
  a.inc(x86::rdi);
  callee_direct(a, other);
  a.jmp(machine_entry());
}
/// `pass` in machine code.
void emit_pass(x86::Assembler& a) {
  const asmjit::Label more = a.newLabel();
  a.test(x86::r15, x86::r15);
  a.jnz(more);
  a.mov(x86::rax, x86::rdi);
  a.ret();
  a.bind(more);
  a.dec(x86::r15);
  a.inc(x86::rdi);
  callee_table(a, 0);
  a.jmp(machine_entry());
}
void emit_from_table(x86::Assembler& a) {
  prologue(a);
  a.mov(x86::qword_ptr(x86::rbp, -16), x86::r13);
  callee_table(a, 0);
  a.call(machine_entry());
  a.mov(x86::r13, x86::qword_ptr(x86::rbp, -16));
  a.mov(x86::r14, at(x86::r13, offsetof(vm::Instance, memory0_base)));
  a.add(x86::rax, at(x86::r14, 0));
  epilogue(a);
}

constexpr uint64_t kRounds = 1'000'000;

uint64_t call2(Store& store, vm::FuncRecord& func, uint64_t a, uint64_t b) {
  Slot slots[2] = {Slot::i64(a), Slot::i64(b)};
  REQUIRE(interp::invoke(store.impl().vcpu(), func, slots, slots) == Outcome::Return);
  CHECK(store.impl().vcpu().activation == nullptr);
  return slots[0].bits;
}

TEST_CASE("a million tail calls that change the kind of frame each time") {
  Engine engine{interpreted()};
  Store store(engine);
  Linker linker(engine);
  Instance instance = ok(linker.instantiate(store, fixture(engine, "jit_pingpong")));
  vm::FuncRecord &ping = record(instance, "ping"), &pong = record(instance, "pong");
  give_machine_code(pong, [&](x86::Assembler& a) { emit_pong(a, ping.func_index); });
  CHECK(call2(store, ping, kRounds, 0) == kRounds);
  CHECK(call2(store, pong, kRounds, 0) == kRounds);
  CHECK(call2(store, pong, kRounds + 1, 0) == kRounds + 1);
  give_machine_code(ping, [&](x86::Assembler& a) { emit_pong(a, pong.func_index); });
  CHECK(call2(store, ping, kRounds, 0) == kRounds);
  jit::unlink_function(*pong.code);
  CHECK(call2(store, ping, kRounds, 0) == kRounds);
  jit::unlink_function(*ping.code);
  CHECK(call2(store, ping, kRounds, 0) == kRounds);
}

TEST_CASE("a million tail calls between instances of both kinds, beneath frames of both kinds") {
  for (int machine = 0; machine < 8; ++machine) {
    CAPTURE(machine);
    Engine engine{interpreted()};
    Store store(engine);
    Linker linker(engine);
    Instance caller = ok(linker.instantiate(store, fixture(engine, "jit_pingpong")));
    Instance one = ok(linker.instantiate(store, fixture(engine, "jit_pingpong")));
    Instance other = ok(linker.instantiate(store, fixture(engine, "jit_pingpong")));
    auto point = [](Instance from, Instance to) {
      from.impl()->tables[0]->elems[0] = vm::Ref::of(&record(to, "pass"));
    };
    point(caller, one);
    point(one, other);
    point(other, one);
    const uint64_t number = 7;
    std::memcpy(caller.impl()->memory0_base, &number, sizeof number);
    if ((machine & 1) != 0) give_machine_code(record(caller, "from_table"), emit_from_table);
    if ((machine & 2) != 0) give_machine_code(record(one, "pass"), emit_pass);
    if ((machine & 4) != 0) give_machine_code(record(other, "pass"), emit_pass);
    CHECK(call2(store, record(caller, "from_table"), kRounds, 0) == kRounds + number);
    CHECK(call2(store, record(caller, "from_table"), kRounds + 1, 5) == kRounds + 6 + number);
    CHECK(call2(store, record(one, "pass"), kRounds, 0) == kRounds);
  }
}

// ---- limits ---------------------------------------------------------------------------------------------------------

/// `down` and `deep` in machine code.
void emit_deep(x86::Assembler& a, uint32_t other) {
  prologue(a);
  a.mov(at(x86::r14, 8), x86::r15);
  a.mov(at(x86::r14, 16), x86::rsp);
  a.inc(x86::r15);
  callee_direct(a, other);
  a.call(machine_entry());
  a.inc(x86::rax);
  epilogue(a);
}

TEST_CASE("one limit holds for frames of both kinds together") {
  constexpr uint64_t kStack = 1u << 20;
  constexpr uint64_t kHostFrames = 32u << 10;  // large where sanitizers are at work
  uint64_t depths[4];
  for (int machine = 0; machine < 4; ++machine) {
    CAPTURE(machine);
    Engine engine{interpreted()};
    StoreLimits limits;
    limits.stack_bytes = kStack;
    Store store(engine, limits);
    Linker linker(engine);
    Instance instance = ok(linker.instantiate(store, fixture(engine, "jit_pingpong")));
    vm::FuncRecord &down = record(instance, "down"), &deep = record(instance, "deep");
    if ((machine & 1) != 0) give_machine_code(down, [&](x86::Assembler& a) { emit_deep(a, deep.func_index); });
    if ((machine & 2) != 0) give_machine_code(deep, [&](x86::Assembler& a) { emit_deep(a, down.func_index); });
    vm::Vcpu& cx = store.impl().vcpu();
    std::byte* memory = instance.impl()->memory0_base;
    for (int round = 0; round < 3; ++round) {
      Slot slot = Slot::i64(0);
      std::byte* sp = static_cast<std::byte*>(__builtin_frame_address(0));
      std::memcpy(memory + 16, &sp, sizeof sp);
      REQUIRE(interp::invoke(cx, round == 1 ? deep : down, &slot, &slot) == Outcome::Trap);
      CHECK(cx.trap == TrapCode::StackOverflow);
      CHECK(cx.backtrace.size() > 100);
      CHECK(cx.activation == nullptr);
      CHECK(cx.host_depth == 0);
      CHECK(cx.stack_end - cx.stack_base == static_cast<ptrdiff_t>(kStack));
      CHECK(cx.stack_limit == cx.stack_end);
      std::memcpy(&depths[machine], memory + 8, sizeof(uint64_t));
      std::byte* deepest;
      std::memcpy(&deepest, memory + 16, sizeof deepest);
      CHECK(sp - deepest <= static_cast<ptrdiff_t>(kStack + kHostFrames));
    }
    // And there is room again.
    Slot slots[2] = {Slot::i64(4), Slot::i64(0)};
    CHECK(interp::invoke(cx, record(instance, "ping"), slots, slots) == Outcome::Return);
  }
  // Frames of 48 bytes in machine code, of some 100 in the interpreter, and what the crossings need.
  CHECK(depths[3] > kStack / 60);
  CHECK(depths[0] > kStack / 150);
  CHECK(depths[1] > kStack / 300);
  CHECK(depths[2] > kStack / 300);
}

// ---- OSR ------------------------------------------------------------------------------------------------------------

struct Promoter : vm::TierHooks {
  const jit::CodeObject* code = nullptr;
  int calls = 0;
};

TEST_CASE("a loop goes on in machine code") {
  Engine engine{interpreted()};
  Store store(engine);
  Linker linker(engine);
  Instance instance = ok(linker.instantiate(store, fixture(engine, "jit_pingpong")));
  vm::FuncRecord& sum = record(instance, "sum");
  Promoter promoter;
  promoter.hot_loop = [](vm::TierHooks* self, vm::FuncCode& code, vm::LoopCode& loop, vm::Tier tier) {
    auto& p = *static_cast<Promoter*>(self);
    CHECK(tier == vm::Tier::interp);
    if (++p.calls < 3) return;
    REQUIRE(jit::prepare_loops(code));
    jit::publish_loop(loop, p.code->begin, vm::Tier::opt);
  };
  promoter.slice = 1000;
  // Locals: n, the vector in two slots, the sum so far. What is left adds up to n(n+1)/2.
  promoter.code = machine_code(sum.code, [](x86::Assembler& a) {
    prologue(a);
    a.mov(x86::rax, at(x86::r15, 0));
    a.mov(x86::rcx, x86::rax);
    a.inc(x86::rcx);
    a.imul(x86::rax, x86::rcx);
    a.shr(x86::rax, 1);
    a.add(x86::rax, at(x86::r15, 24));
    a.movups(x86::xmm0, x86::ptr(x86::r15, 8));
    epilogue(a);
  });
  auto* module = const_cast<vm::Module*>(instance.impl()->module);
  module->tiers = &promoter;
  // Code that counts no runs of its own has its entries counted by who enters it.
  const vm::TierCounts* counts = vm::counts_of(*sum.code);
  REQUIRE(counts != nullptr);
  for (int round = 0; round < 3; ++round) {
    constexpr uint64_t kCount = 100'000;
    Slot slots[3] = {Slot::i64(kCount), Slot::i64(0x1234567890), Slot::i64(0xabcdef)};
    REQUIRE(interp::invoke(store.impl().vcpu(), sum, slots, slots) == Outcome::Return);
    CHECK(slots[0].bits == kCount * (kCount + 1) / 2);
    CHECK(slots[1].bits == 0x1234567890);
    CHECK(slots[2].bits == 0xabcdef);
    CHECK(promoter.calls == 3);
  }
  CHECK(counts[static_cast<size_t>(vm::Tier::opt)].osr_entries == 3);
  jit::unlink_loop(*sum.code->loops.load()->find(sum.code->loops.load()->loops[0].offset));
  promoter.hot_loop = nullptr;
  Slot slots[3] = {Slot::i64(10'000)};
  REQUIRE(interp::invoke(store.impl().vcpu(), sum, slots, slots) == Outcome::Return);
  CHECK(slots[0].bits == 10'000ull * 10'001 / 2);
  CHECK(counts[static_cast<size_t>(vm::Tier::opt)].osr_entries == 3);
}

// ---- leaving --------------------------------------------------------------------------------------------------------

struct Refuser {
  Outcome outcome = Outcome::Trap;
  vm::FuncRecord* again = nullptr;  // called first, while there is one
  int depth = 0;
  static Outcome call(void* env, vm::Vcpu& cx, vm::Instance*, const Slot* args, Slot* results) {
    auto& self = *static_cast<Refuser*>(env);
    if (self.depth-- > 0) {
      Slot slots[2] = {args[0], args[1]};
      const Outcome inner = interp::invoke(cx, *self.again, slots, slots);
      results[0] = slots[0];
      return inner;
    }
    if (self.outcome == Outcome::Trap) cx.trap = TrapCode::Unreachable;
    if (self.outcome == Outcome::Error) cx.host_error = "no";
    results[0] = Slot::i64(args[0].bits + args[1].bits);
    return self.outcome;
  }
};

TEST_CASE("a host function's failure leaves frames of both kinds at once, through other host functions too") {
  for (int machine = 0; machine < 4; ++machine) {
    for (Outcome outcome : {Outcome::Return, Outcome::Trap, Outcome::Error}) {
      for (int depth : {0, 1, 5}) {
        CAPTURE(machine);
        CAPTURE(static_cast<int>(outcome));
        CAPTURE(depth);
        Engine engine{interpreted()};
        Store store(engine);
        Linker linker(engine);
        Instance first = ok(linker.instantiate(store, fixture(engine, "jit_pingpong")));
        Instance second = ok(linker.instantiate(store, fixture(engine, "jit_pingpong")));
        vm::FuncRecord &entered = record(first, "from_table"), &middle = record(second, "from_table");
        auto refuser = std::make_shared<Refuser>();
        refuser->outcome = outcome;
        refuser->again = &entered;
        vm::FuncRecord* host = store.impl().new_host_func(record(first, "pass").type, &Refuser::call, refuser);
        first.impl()->tables[0]->elems[0] = vm::Ref::of(&middle);
        second.impl()->tables[0]->elems[0] = vm::Ref::of(host);
        if ((machine & 1) != 0) give_machine_code(entered, emit_from_table);
        if ((machine & 2) != 0) give_machine_code(middle, emit_from_table);
        vm::Vcpu& cx = store.impl().vcpu();
        for (int round = 0; round < 3; ++round) {
          refuser->depth = depth;
          Slot slots[2] = {Slot::i64(30), Slot::i64(12)};
          CHECK(interp::invoke(cx, entered, slots, slots) == outcome);
          CHECK(cx.activation == nullptr);
          CHECK(cx.host_depth == 0);
          CHECK(cx.stack_limit == cx.stack_end);
          if (outcome == Outcome::Return) {
            CHECK(slots[0].bits == 42);
          } else {
            CHECK(cx.backtrace.size() == 2 * static_cast<size_t>(depth + 1));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace vmrun::test

#endif
