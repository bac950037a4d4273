// Exceptions, traps and backtraces through every mixture of interpreter frames and machine frames.
#include "jit/crossing/unwind.h"

#include "jit/crossing/trampoline.h"
#include "tests/support/interp_fixture.h"
#include "tests/unit/jit/by_hand.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/layout.h"
#include "vm/runtime/store.h"
#include "vm/wasm/func_decoder_base.h"
#include "vm/wasm/opcode.h"

#if defined(__x86_64__)

namespace vmrun::jit::test {
namespace {

using vmrun::test::func;
using vmrun::test::ok;
using vmrun::test::World;

enum Func : uint32_t { kCall, kLeaf, kMid, kRethrower, kPasser, kCatcher, kNear, kSelf, kDeep, kDeeper };
constexpr uint32_t kChain[] = {kLeaf, kMid, kRethrower, kPasser, kCatcher};
constexpr uint32_t kTagE = 0, kTagOther = 1;
constexpr int32_t kThrow = 0, kUnreachable = 1, kOutOfBounds = 2, kHostThrow = 3, kHostTrap = 4, kReturn = 5;

struct Unwind : World {
  Instance instance{nullptr};
  std::vector<FrameInfo> seen;  // by the host function

  Unwind() : World((initialize(), Effort::Quick)) {
    ok(linker.func_wrap("env", "call", [this](Caller& caller, int32_t n) -> Result<void> {
      seen = caller.backtrace();
      Result<void> result = func<void(int32_t)>(instance, "passer").call(n);
      if (!result) return result.error();
      return {};
    }));
    instance = run("jit_unwind");
  }
  vm::FuncCode& code(uint32_t index) { return instance.impl()->module->code(index); }
  Result<int32_t> catcher(int32_t n) { return func<int32_t(int32_t)>(instance, "catcher").call(n); }
  Result<void> passer(int32_t n) { return func<void(int32_t)>(instance, "passer").call(n); }

  /// Offset of the n-th instruction `op` in the body of `index`.
  uint32_t offset(uint32_t index, vm::Op op, unsigned n = 0) {
    const vm::Module& module = *instance.impl()->module;
    const vm::ByteRange body = module.funcs[index].body;
    const uint8_t* p = vm::skip_locals(module.bytes() + body.begin);
    while (p < module.bytes() + body.end) {
      const auto at = static_cast<uint32_t>(p - module.bytes());
      if (vm::skip_instruction(p) == op && n-- == 0) return at;
    }
    FAIL("no such instruction");
    return 0;
  }

  void throw_e(ByHand& f) {
    f.a.mov(rdi, f.cx());
    f.a.mov(rcx, qword_ptr(rdi, offsetof(vm::Vcpu, area)));
    f.a.mov(rax, 41);
    f.a.mov(qword_ptr(rcx), rax);
    f.a.mov(rax, 7);
    f.a.mov(qword_ptr(rcx, 8), rax);
    f.a.mov(rsi, f.inst());
    f.a.mov(edx, kTagE);
    f.helper(Helper::throw_);
  }
  /// A pad's end in functions that return the sum of the payload's integers.
  void catch_e(ByHand& f) {
    f.match_tag(kTagE);
    f.a.xor_(esi, esi);
    f.helper(Helper::take_exception);
    f.reload();
    f.a.mov(rcx, rax);
    f.a.mov(eax, dword_ptr(rcx, vm::layout::exn::payload));
    f.a.add(eax, dword_ptr(rcx, vm::layout::exn::payload + 8));
    f.ret();
  }

  void machine(uint32_t index) {
    ByHand f(code(index));
    asmjit::Label pad = f.a.newLabel();
    switch (index) {
      case kLeaf: leaf(f); break;
      case kMid:
        f.call(kLeaf);
        f.mark(offset(kMid, vm::Op::call));
        f.ret();
        break;
      case kRethrower:
        f.call(kMid);
        f.mark(offset(kRethrower, vm::Op::call));
        f.pad(pad);
        f.ret();
        f.a.bind(pad);
        f.a.mov(esi, 1);
        f.helper(Helper::take_exception);
        f.a.mov(rsi, rax);
        f.helper(Helper::throw_ref);
        f.mark(offset(kRethrower, vm::Op::rethrow));
        break;
      case kPasser:
        f.call(kRethrower);
        f.mark(offset(kPasser, vm::Op::call));
        f.pad(pad);
        f.ret();
        f.a.bind(pad);
        f.match_tag(kTagOther);
        f.ret();
        break;
      case kCatcher:
      case kNear:
        f.call(index == kNear ? kLeaf : kPasser);
        f.mark(offset(index, vm::Op::call));
        f.pad(pad);
        f.a.mov(eax, -1);
        f.ret();
        f.a.bind(pad);
        catch_e(f);
        break;
      case kSelf:
        throw_e(f);
        f.pad(pad);
        f.a.bind(pad);
        catch_e(f);
        break;
      case kDeep:
        f.call(kDeeper);
        f.mark(offset(kDeep, vm::Op::call));
        f.ret();
        break;
    }
    f.publish(index % 2 == 0 ? vm::Tier::baseline : vm::Tier::opt);
  }
  void leaf(ByHand& f) {
    asmjit::Label trap = f.a.newLabel(), oob = f.a.newLabel(), host0 = f.a.newLabel(), host1 = f.a.newLabel(),
                  done = f.a.newLabel();
    for (auto [n, to] : {std::pair{kUnreachable, trap}, {kOutOfBounds, oob}, {kHostThrow, host0}, {kHostTrap, host1}}) {
      f.a.cmp(r15d, n);
      f.a.je(to);
    }
    f.a.test(r15d, r15d);
    f.a.jne(done);
    throw_e(f);
    f.mark(offset(kLeaf, vm::Op::throw_));
    f.a.bind(trap);
    f.a.mov(esi, static_cast<uint32_t>(TrapCode::Unreachable));
    f.helper(Helper::trap);
    f.mark(offset(kLeaf, vm::Op::unreachable));
    f.a.bind(oob);
    f.a.mov(eax, 16);
    f.a.mov(ecx, 0xfffffffc);
    f.a.add(rcx, rax);
    f.mark_next(offset(kLeaf, vm::Op::i32_load));
    f.a.mov(eax, dword_ptr(r14, rcx));
    f.ret();
    for (int i = 0; i < 2; ++i) {
      f.a.bind(i == 0 ? host0 : host1);
      f.a.mov(r15d, i);
      f.call_host(kCall);
      f.mark(offset(kLeaf, vm::Op::call, static_cast<unsigned>(i)));
      f.a.jmp(done);
    }
    f.a.bind(done);
    f.ret();
  }
};

/// What a call left: the result, or the trap or exception and where it happened.
template <class T>
std::string say(const Result<T>& result) {
  if (result) {
    if constexpr (std::is_void_v<T>)
      return "returned";
    else
      return std::to_string(*result);
  }
  std::string out = result.error().message;
  for (const FrameInfo& frame : result.error().backtrace)
    out += " " + frame.function + "+" + std::to_string(frame.offset);
  return out;
}
std::string say(const std::vector<FrameInfo>& frames) {
  std::string out;
  for (const FrameInfo& frame : frames) out += " " + frame.function + "+" + std::to_string(frame.offset);
  return out;
}

}  // namespace

TEST_CASE("every mixture of frames behaves as the interpreter's") {
  std::vector<std::string> expected;
  for (unsigned mask = 0; mask < 1u << std::size(kChain); ++mask) {
    CAPTURE(mask);
    Unwind u;
    // Two rounds: the second finds everything translated and all trampolines made.
    for (unsigned i = 0; i < std::size(kChain); ++i) {
      if ((mask >> i & 1) != 0) u.machine(kChain[i]);
    }
    std::vector<std::string> said;
    for (int round = 0; round < 2; ++round) {
      for (int32_t n : {kThrow, kUnreachable, kOutOfBounds, kHostThrow, kHostTrap, kReturn}) {
        said.push_back(say(u.catcher(n)));
        said.push_back(say(u.passer(n)));
        said.push_back(say(u.seen));
      }
      CHECK(u.instance.impl()->vcpu->activation == nullptr);
      CHECK(u.instance.impl()->vcpu->host_depth == 0);
    }
    if (mask == 0) expected = said;
    CHECK(said == expected);
  }
  CHECK(expected[0] == "48");  // caught
  CHECK(expected[1].rfind("uncaught exception rethrower+", 0) == 0);
  CHECK(expected[3].rfind("unreachable leaf+", 0) == 0);
  CHECK(expected[9] == "48");  // through the host
}

TEST_CASE("exceptions caught by the frame that throws and by its caller") {
  for (unsigned mask = 0; mask < 4; ++mask) {
    CAPTURE(mask);
    Unwind u;
    if ((mask & 1) != 0) u.machine(kLeaf), u.machine(kSelf);
    if ((mask & 2) != 0) u.machine(kNear);
    for (int i = 0; i < 3; ++i) {
      CHECK(ok(func<int32_t(int32_t)>(u.instance, "near").call(0)) == 48);
      CHECK(ok(func<int32_t()>(u.instance, "self").call()) == 48);
    }
  }
}

TEST_CASE("a stack that two kinds of frames exhaust is a trap") {
  Unwind u;
  u.machine(kDeep);
  for (int i = 0; i < 2; ++i) {
    Result<void> result = func<void(int32_t)>(u.instance, "deep").call(0);
    REQUIRE_FALSE(result);
    CHECK(result.error().trap == TrapCode::StackOverflow);
    CHECK(result.error().backtrace.size() == vm::kMaxBacktrace);
    CHECK(ok(func<int32_t(int32_t)>(u.instance, "catcher").call(0)) == 48);
  }
}

TEST_CASE("throws are counted by tier") {
  Unwind u;
  const_cast<vm::Module*>(u.instance.impl()->module)->count_runs = true;
  CHECK(ok(u.catcher(kThrow)) == 48);
  u.machine(kLeaf);
  CHECK(ok(u.catcher(kThrow)) == 48);
  CHECK_FALSE(u.catcher(kUnreachable));
  const vm::TierCounts* counts = u.code(kLeaf).counts.load();
  REQUIRE(counts != nullptr);
  CHECK(counts[0].throws == 1);
  CHECK(counts[0].traps == 0);
  CHECK(counts[static_cast<size_t>(vm::Tier::opt)].throws == 1);
  CHECK(counts[static_cast<size_t>(vm::Tier::opt)].traps == 1);
}

}  // namespace vmrun::jit::test

#endif
