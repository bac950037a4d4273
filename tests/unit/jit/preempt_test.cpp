// Preemption by signal: loops made by hand that keep a value in every register, stopped some thousand times.
#include <doctest/doctest.h>

#include "vm/runtime/stop.h"

#if defined(__x86_64__)
#include <asmjit/x86.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "interp/entry.h"
#include "jit/code/code.h"
#include "jit/crossing/unwind.h"
#include "jit/stop/preempt.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/fault.h"

namespace vmrun::jit {
namespace {

namespace x86 = asmjit::x86;
using namespace std::chrono_literals;

/// What a loop leaves behind: every register but rsp and rbp, and the vectors.
struct State {
  uint64_t gprs[14];
  alignas(64) std::byte vectors[32][64];
  bool operator==(const State& other) const { return std::memcmp(this, &other, sizeof other) == 0; }
};

constexpr x86::Gp kRegs[] = {x86::rax, x86::rbx, x86::rcx, x86::rdx, x86::rsi, x86::rdi, x86::r8,
                             x86::r9,  x86::r10, x86::r11, x86::r12, x86::r13, x86::r14, x86::r15};

/// A function in the place of an interpreter's handler (interp/entry.h): rsi is the number of rounds, rdx the State to
/// fill. Each round changes each register by all of its bits, and hands the carry flag through to the next.
const CodeObject* make_loop(bool wide, bool preemptible) {
  asmjit::CodeHolder holder;
  holder.init(asmjit::Environment::host());
  x86::Assembler a(&holder);
  a.push(x86::rbp);
  a.mov(x86::rbp, x86::rsp);
  a.sub(x86::rsp, 32);
  a.mov(x86::qword_ptr(x86::rbp, -8), x86::rdx);
  a.mov(x86::qword_ptr(x86::rbp, -16), x86::rsi);
  for (uint32_t i = 0; i < std::size(kRegs); ++i) a.mov(kRegs[i], 0x9e3779b97f4a7c15ull * (i + 1));
  const uint32_t vectors = wide ? 32 : 16;
  for (uint32_t i = 0; i < vectors; ++i) {
    if (wide) {
      a.vpbroadcastq(x86::zmm(i), kRegs[i % 14]);
    } else {
      a.vmovq(x86::xmm(i), kRegs[i % 14]);
      a.vpbroadcastq(x86::ymm(i), x86::xmm(i));
    }
  }
  if (wide) {
    for (uint32_t i = 1; i < 8; ++i) a.kmovq(x86::k(i), kRegs[i]);
  }
  a.clc();
  const asmjit::Label loop = a.newLabel();
  const size_t begin = a.offset();
  a.bind(loop);
  for (const x86::Gp& reg : kRegs) a.adc(reg, reg);
  for (uint32_t i = 0; i < std::size(kRegs); ++i) a.lea(kRegs[i], x86::ptr(kRegs[i], kRegs[(i + 1) % 14], 1, 12345));
  for (uint32_t i = 0; i < vectors; ++i) {
    if (wide) {
      a.k(x86::k(1 + i % 7)).vpaddq(x86::zmm(i), x86::zmm(i), x86::zmm((i + 1) % vectors));
    } else {
      a.vpaddq(x86::ymm(i), x86::ymm(i), x86::ymm((i + 1) % vectors));
    }
  }
  a.dec(x86::qword_ptr(x86::rbp, -16));  // leaves the carry alone
  a.jnz(loop);
  const size_t end = a.offset();
  a.push(x86::rdx);
  a.mov(x86::rdx, x86::qword_ptr(x86::rbp, -8));
  for (uint32_t i = 0; i < std::size(kRegs); ++i) {
    if (kRegs[i] == x86::rdx) continue;
    a.mov(x86::qword_ptr(x86::rdx, static_cast<int32_t>(8 * i)), kRegs[i]);
  }
  a.pop(x86::rax);
  a.mov(x86::qword_ptr(x86::rdx, 3 * 8), x86::rax);
  for (uint32_t i = 0; i < vectors; ++i) {
    const auto at = static_cast<int32_t>(offsetof(State, vectors) + 64 * i);
    if (wide) {
      a.vmovdqu64(x86::ptr(x86::rdx, at), x86::zmm(i));
    } else {
      a.vmovdqu(x86::ptr(x86::rdx, at), x86::ymm(i));
    }
  }
  a.vzeroupper();
  a.leave();
  a.ret();

  CodeSpace& space = CodeSpace::get();
  CodeSpace::Block block = space.allocate(holder.codeSize());
  holder.relocateToBase(reinterpret_cast<uint64_t>(block.rx));
  holder.copyFlattenedData(block.rw, block.size);
  auto object = std::make_unique<CodeObject>();
  object->size = static_cast<uint32_t>(holder.codeSize());
  if (preemptible) object->preempt.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
  return space.publish(std::move(object), block);
}

/// A vCPU without a store: enough to run code that uses none.
struct Guest {
  vm::Vcpu cx;
  vm::Activation activation;
  std::vector<std::byte> stack = std::vector<std::byte>(4096);

  vm::Outcome run(const CodeObject* code, uint64_t rounds, State& state) {
    vm::fault_prepare_thread();
    activation = {};
    activation.kind = vm::Activation::Kind::machine;
    activation.from_host = true;
    activation.entry_fp = static_cast<std::byte*>(__builtin_frame_address(0));  // what the code's frame saves as rbp
    vm::Instance inst;
    interp::Cell cell{};
    cell.handler = reinterpret_cast<interp::Handler>(reinterpret_cast<uintptr_t>(code->begin));
    cx.activation = &activation;
    vm::Vcpu* before = vm::set_running(&cx);
    interp::enter_handlers(&cell, stack.data(), nullptr, &cx, &inst, rounds, reinterpret_cast<uint64_t>(&state),
                           &activation, 0, 0);
    cx.activation = nullptr;
    vm::end_running(&cx, before);
    return activation.outcome;
  }
};

std::atomic<uint64_t> yields{0};
thread_local uint64_t yields_here = 0;

/// Destroys what a scheduler may destroy, and goes to sleep now and then.
void rude_yield(vm::Vcpu&) {
  ++yields;
  asm volatile(
      "vpcmpeqd %%ymm0, %%ymm0, %%ymm0; vmovdqu %%ymm0, %%ymm1; vmovdqu %%ymm0, %%ymm2; vmovdqu %%ymm0, %%ymm8;"
      "vmovdqu %%ymm0, %%ymm15"
      :
      :
      : "xmm0", "xmm1", "xmm2", "xmm8", "xmm15");
  if (__builtin_cpu_supports("avx512bw")) {
    asm volatile("kxnorq %%k1, %%k1, %%k1; kmovq %%k1, %%k7" : : : "k1", "k7");
  }
  if (++yields_here % 64 == 0) std::this_thread::sleep_for(50us);
}

/// Calls `ask` every 200 µs until destroyed.
class Ticker {
 public:
  explicit Ticker(std::function<void()> ask)
      : thread_([this, ask = std::move(ask)] {
          while (!over_.load(std::memory_order_relaxed)) {
            std::this_thread::sleep_for(200us);
            ask();
          }
        }) {}
  ~Ticker() {
    over_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

struct Rounds {
  uint64_t rounds;
  State state;
};
/// Enough rounds for a quarter of a second, and what they come to when nobody disturbs.
Rounds measure(const CodeObject* code) {
  Guest guest;
  Rounds out{1'000'000, {}};
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(guest.run(code, out.rounds, out.state) == vm::Outcome::Return);
  const auto took = std::chrono::steady_clock::now() - start;
  out.rounds = static_cast<uint64_t>(static_cast<double>(out.rounds) * std::chrono::duration<double>(250ms).count() /
                                     std::chrono::duration<double>(took).count());
  out.state = {};
  REQUIRE(guest.run(code, out.rounds, out.state) == vm::Outcome::Return);
  return out;
}

void stop_four_loops(bool wide) {
  preempt_install();
  vm::set_request_server(vm::Request::yield, rude_yield);
  const CodeObject* code = make_loop(wide, true);
  const Rounds reference = measure(code);
  const uint64_t yields_before = yields;
  const PreemptCounts before = preempt_counts();
  constexpr unsigned kGuests = 4;
  constexpr uint64_t kOften = kGuests * 100;
  std::vector<Guest> guests(kGuests);
  std::vector<State> states(kGuests);
  std::atomic<unsigned> done{0}, wrong{0};
  std::atomic<bool> quiet{false};  // nobody sends signals any more
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kGuests; ++i) {
    threads.emplace_back([&, i] {
      // As often as it takes to be stopped often: on a busy machine those who ask wait too.
      do {
        states[i] = {};
        const bool ended = guests[i].run(code, reference.rounds, states[i]) == vm::Outcome::Return;
        wrong += ended && states[i] == reference.state ? 0 : 1;
      } while (yields - yields_before <= kOften || preempt_counts().stops - before.stops <= kOften);
      ++done;
      quiet.wait(false);
    });
  }
  {
    // Half of them by vCPU, half by thread.
    Ticker ticker([&] {
      for (unsigned i = 0; i < kGuests; ++i) {
        if (i % 2 == 0) {
          vm::ask(guests[i].cx, vm::Request::yield);
        } else {
          preempt_thread(threads[i].native_handle());
        }
      }
    });
    while (done != kGuests) std::this_thread::sleep_for(1ms);
  }
  quiet = true;
  quiet.notify_all();
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  vm::set_request_server(vm::Request::yield, nullptr);
  CodeSpace::get().retire(code);
  CHECK(CodeSpace::get().reclaim(CodeSpace::get().retirements(), {}) == 1);
}

TEST_CASE("loops that are stopped every 200 us keep all registers, vectors and flags" *
          doctest::skip(!kStopsBySignal)) {
  SUBCASE("AVX2") { stop_four_loops(false); }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
    SUBCASE("AVX-512") { stop_four_loops(true); }
  }
}

TEST_CASE("a stop that comes before or outside preemptible code is made up for" * doctest::skip(!kStopsBySignal)) {
  preempt_install();
  vm::set_request_server(vm::Request::yield, rude_yield);
  const CodeObject* loop = make_loop(false, true);
  const CodeObject* closed = make_loop(false, false);
  const Rounds reference = measure(loop);
  Guest guest;
  State state{};
  uint64_t before = yields;
  vm::ask(guest.cx, vm::Request::yield);  // nobody runs it yet
  REQUIRE(guest.run(loop, reference.rounds, state) == vm::Outcome::Return);
  CHECK(yields == before + 1);
  CHECK(state == reference.state);
  // Code without preemptible ranges is left alone, and the request stays.
  const PreemptCounts counts = preempt_counts();
  vm::ask(guest.cx, vm::Request::yield);
  do {  // until somebody tries again
    state = {};
    REQUIRE(guest.run(closed, reference.rounds, state) == vm::Outcome::Return);
    CHECK(yields == before + 1);
    CHECK(state == reference.state);
  } while (preempt_counts().retries <= counts.retries);
  CHECK(vm::stop_wanted(guest.cx));
  state = {};
  REQUIRE(guest.run(loop, reference.rounds, state) == vm::Outcome::Return);
  CHECK(yields == before + 2);
  CHECK(state == reference.state);
  vm::set_request_server(vm::Request::yield, nullptr);
  CodeSpace::get().retire(loop);
  CodeSpace::get().retire(closed);
  CHECK(CodeSpace::get().reclaim(CodeSpace::get().retirements(), {}) == 2);
}

TEST_CASE("an interrupt leaves an endless loop for the host" * doctest::skip(!kStopsBySignal)) {
  preempt_install();
  register_machine_code(CodeSpace::get().range());
  const CodeObject* loop = make_loop(false, true);
  vm::set_request_server(vm::Request::report, [](vm::Vcpu& cx) { cx.interrupt = true; });
  Guest guest;
  State state{};
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    vm::ask(guest.cx, vm::Request::report);
  });
  CHECK(guest.run(loop, UINT64_MAX, state) == vm::Outcome::Trap);
  CHECK(guest.cx.trap == vm::TrapCode::Interrupted);
  CHECK_FALSE(vm::stop_wanted(guest.cx));
  other.join();
  vm::set_request_server(vm::Request::report, nullptr);
  CodeSpace::get().retire(loop);
  CHECK(CodeSpace::get().reclaim(CodeSpace::get().retirements(), {}) == 1);
}

}  // namespace
}  // namespace vmrun::jit
#endif
