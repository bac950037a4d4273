// The matrix of the machine's spine: every way in which code of one tier calls code of another, times everything that
// may happen to the call. Each cell runs its module with the functions in the tiers it names and asserts the result,
// the backtrace and, by counters, where everything ran.
#include "tests/cross_tier/matrix.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "engine/guest_task.h"
#include "jit/code/code.h"
#include "jit/stop/preempt.h"
#include "sched/scheduler.h"
#include "tests/cross_tier/cases.h"
#include "tests/support/tiers_world.h"

namespace vmrun::spine {
namespace {

using namespace std::chrono_literals;

/// When what should happen at once is taken not to happen at all: no machine is so busy.
constexpr auto kGiveUp = 300s;

constexpr bool is_guest(Side side) { return side != Side::host; }
vm::Tier tier_of(Side side) { return static_cast<vm::Tier>(side); }

/// A position in a backtrace; offset 0: anywhere in the function.
struct Where {
  uint32_t func_index, offset;
};

class CellTest {
 public:
  /// With `inlined` all functions are optimised, and calls inlined.
  explicit CellTest(const Cell& cell, bool inlined = false)
      : cell_(cell),
        inlined_(inlined),
        plan_(plan(cell)),
        world_(World::nothing(), {}, inlined ? Inlining::All : Inlining::Off) {
    if (cell.callee == Side::host) add_host_callee();
    if (cell.scenario == Scenario::preempted) {
      ok(world_.linker.func_wrap("env", "where", [this] { return moved(); }));
    }
    module_.emplace(world_.compile(plan_.image));
    if (is_guest(cell.callee)) World::promote(*module_, plan_.callee, tier_of(cell.callee));
    if (plan_.has_caller) World::promote(*module_, plan_.caller, tier_of(cell.caller));
    if (plan_.has_outer) {
      World::promote(*module_, plan_.mid, mid_tier());
      World::promote(*module_, plan_.outer, outer_tier());
    }
    instance_.emplace(ok(world_.linker.instantiate(world_.store, *module_)));
    if (inlined && cell.kind != Kind::tail) check_inlined();
  }

  void run() {
    switch (cell_.scenario) {
      case Scenario::returns: return returns();
      case Scenario::multi_value: return multi_value();
      case Scenario::live_across: return live_across();
      case Scenario::trap: return trap();
      case Scenario::caught_by_caller: return caught();
      case Scenario::caught_far_up: return caught();
      case Scenario::rethrow: return rethrow();
      case Scenario::stack_overflow: return stack_overflow();
      case Scenario::preempted: return preempted();
      case Scenario::cancelled: return cancelled();
    }
  }

 private:
  bool tail() const { return cell_.kind == Kind::tail; }
  /// Mixed: neither the caller's nor the callee's, where there are three.
  vm::Tier mid_tier() const {
    if (inlined_) return vm::Tier::opt;
    return static_cast<vm::Tier>((static_cast<unsigned>(cell_.caller) + 1) % vm::kTiers);
  }
  vm::Tier outer_tier() const {
    if (inlined_) return vm::Tier::opt;
    return static_cast<vm::Tier>((static_cast<unsigned>(cell_.callee) + 2) % vm::kTiers);
  }

  Func entry() {
    // The host calls indirectly by what it finds in the table.
    if (cell_.caller == Side::host && cell_.kind == Kind::indirect) {
      const Val element = ok(ok(instance_->table("table")).get(0));
      return {&world_.store.impl(), reinterpret_cast<vm::FuncRecord*>(element.as_ref().bits)};
    }
    return ok(instance_->func(plan_.has_outer ? "outer" : plan_.has_caller ? "caller" : "callee"));
  }
  /// The interpreter tail-calls the host by calling it and returning: its frame is there while the host runs.
  bool keeps_frame() const { return cell_.callee == Side::host && cell_.caller == Side::interp; }
  /// One more than the callee's result unless the caller is gone or there is none.
  int32_t plus(int32_t n) const { return plan_.has_caller && !tail() ? n + 1 : n; }

  // ---- the host's side ----

  void add_host_callee() {
    const auto to_types = [](const Types& types) {
      std::vector<ValType> out;
      for (Type t : types) {
        out.push_back(t == i32    ? ValType(ValKind::I32)
                      : t == i64  ? ValType(ValKind::I64)
                      : t == f64  ? ValType(ValKind::F64)
                      : t == v128 ? ValType(ValKind::V128)
                                  : ValType::externref());
      }
      return out;
    };
    Types results = {i32};
    if (cell_.scenario == Scenario::returns) results = {i64};
    if (cell_.scenario == Scenario::multi_value) results = many_types_reversed();
    if (cell_.scenario == Scenario::live_across) results = {v128, externref, i64};
    ok(world_.linker.func("env", "callee", FuncType{to_types(plan_.params), to_types(results)},
                          [this](Caller& caller, std::span<const Val> args, std::span<Val> out) {
                            return host_callee(caller, args, out);
                          }));
  }

  Result<void> host_callee(Caller& caller, std::span<const Val> args, std::span<Val> out) {
    ++host_calls_;
    switch (cell_.scenario) {
      case Scenario::returns: out[0] = Val::i64(args[1].as_i64() - args[0].as_i32()); break;
      case Scenario::multi_value:
        for (size_t i = 0; i < args.size(); ++i) out[i] = args[args.size() - 1 - i];
        break;
      case Scenario::live_across: {
        const V128 v = args[0].as_v128();
        out[0] = Val::v128({v.lo * 2, v.hi * 2});
        out[1] = args[1];
        out[2] = Val::i64(args[2].as_i64() + 5);
        break;
      }
      case Scenario::trap: {
        Error error(ErrorKind::Trap, "");
        error.trap = TrapCode::MemoryOutOfBounds;
        return error;
      }
      case Scenario::caught_by_caller:
      case Scenario::caught_far_up:
      case Scenario::rethrow: {
        const Tag tag = ok(instance_->tag("tag0"));
        const std::vector<Val> values = {Val::i32(args[0].as_i32() + 1), Val::i64(77)};
        Error error(ErrorKind::Exception, "");
        error.exception = ok(tag.exception(values)).as_ref().bits;
        return error;
      }
      case Scenario::stack_overflow: {
        if (args[0].as_i32() == 0) {
          out[0] = Val::i32(5);
          break;
        }
        auto below = ok(caller.instance().func("caller")).call(args);
        if (!below) return below.error();
        out[0] = Val::i32((*below)[0].as_i32() + 1);
        break;
      }
      case Scenario::preempted: out[0] = Val::i32(args[0].as_i32() + 40); break;
      case Scenario::cancelled:
        world_.store.interrupt();
        out[0] = Val::i32(0);
        break;
    }
    return {};
  }

  /// Whether the guest has changed threads since it was first asked, machine code having been stopped in the middle of
  /// its loop (and not only when the host returned to it), or gives up.
  int32_t moved() {
    const long now = syscall(SYS_gettid);
    if (thread_ == 0) thread_ = now;
    const Side spinning = is_guest(cell_.callee) ? cell_.callee : cell_.caller;
    const bool stopped =
        !jit::kStopsBySignal || spinning == Side::interp || jit::preempt_counts().stops > stops_before_;
    if (now != thread_ && stopped) return 1;
    if (std::chrono::steady_clock::now() < give_up_) return 0;
    never_moved_ = true;
    return 1;
  }

  // ---- assertions ----

  /// The caller's code contains the callee.
  void check_inlined() {
    const void* entry = module_->impl()->code(plan_.caller).machine.load();
    const jit::CodeObject* code = jit::CodeSpace::get().find(entry);
    REQUIRE(code != nullptr);
    const bool has = std::ranges::any_of(
        code->inlined, [&](const jit::InlinedPlace& place) { return place.func_index == plan_.callee; });
    CHECK(has);
  }
  void check_ran(uint32_t func, vm::Tier tier, bool exactly_once) {
    const auto runs = World::runs(*module_, func);
    for (unsigned t = 0; t < vm::kTiers; ++t) {
      CAPTURE(func);
      CAPTURE(t);
      if (t != static_cast<unsigned>(tier)) {
        CHECK(runs[t] == 0);
      } else if (exactly_once) {
        CHECK(runs[t] == 1);
      } else {
        CHECK(runs[t] >= 1);
      }
    }
  }
  void check_runs(bool exactly_once = true) {
    if (is_guest(cell_.callee)) {
      check_ran(plan_.callee, tier_of(cell_.callee), exactly_once);
    } else {
      CHECK(host_calls_ >= 1);
    }
    if (plan_.has_caller) check_ran(plan_.caller, tier_of(cell_.caller), exactly_once);
    if (plan_.has_outer) {
      check_ran(plan_.mid, mid_tier(), exactly_once);
      check_ran(plan_.outer, outer_tier(), exactly_once);
    }
  }

  void check_backtrace(const Error& error, const std::vector<Where>& expected) {
    CAPTURE(error.to_string());
    REQUIRE(error.backtrace.size() == expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(i);
      CHECK(error.backtrace[i].module == "spine");
      CHECK(error.backtrace[i].func_index == expected[i].func_index);
      if (expected[i].offset != 0) CHECK(error.backtrace[i].offset == absolute(expected[i]));
    }
  }
  uint64_t absolute(const Where& where) const {
    return module_->impl()->funcs[where.func_index].body.begin + where.offset;
  }
  /// Frames at the callee's end, innermost first.
  std::vector<Where> frames(uint32_t callee_at) const {
    std::vector<Where> out;
    if (is_guest(cell_.callee)) out.push_back({plan_.callee, callee_at});
    if (plan_.has_caller && (!tail() || keeps_frame())) out.push_back({plan_.caller, plan_.caller_at});
    return out;
  }

  // ---- scenarios ----

  void returns() {
    auto results = ok(entry().call({Val::i32(7), Val::i64(100), Val::f64(2.5)}));
    CHECK(results[0].as_i64() == (plan_.has_caller && !tail() ? 1093 : 93));
    check_runs();
  }

  void multi_value() {
    std::vector<Val> args;
    int32_t n = 1;
    for (Type t : many_types()) {
      args.push_back(t == i64 ? Val::i64(n * 1000003) : t == f64 ? Val::f64(n * 0.5) : Val::i32(n));
      ++n;
    }
    auto results = ok(entry().call(args));
    REQUIRE(results.size() == args.size());
    for (size_t i = 0; i < args.size(); ++i) {
      CAPTURE(i);
      const Val& from = args[args.size() - 1 - i];
      if (i + 1 == args.size() && plan_.has_caller && !tail()) {
        CHECK(results[i].as_i64() == from.as_i64() + 1);
      } else {
        CHECK(results[i].to_string() == from.to_string());
      }
    }
    check_runs();
  }

  void live_across() {
    int cell = 0;
    const Val ref = Val::externref(world_.store, &cell);
    auto results = ok(entry().call({Val::v128({11, ~uint64_t{0} - 1}), ref, Val::i64(1000)}));
    const uint64_t times = plan_.has_caller && !tail() ? 3 : 2;
    CHECK(results[0].as_v128().lo == 11 * times);
    CHECK(results[0].as_v128().hi == (~uint64_t{0} - 1) * times);
    CHECK(results[1].as_ref().bits == ref.as_ref().bits);
    CHECK(results[2].as_i64() == (times == 3 ? 2005 : 1005));
    check_runs();
  }

  void trap() {
    auto result = entry().call({Val::i32(0x7ffffff0)});
    REQUIRE(!result);
    CHECK(result.error().kind == ErrorKind::Trap);
    CHECK(result.error().trap == TrapCode::MemoryOutOfBounds);
    check_backtrace(result.error(), frames(plan_.callee_at));
    check_runs();
  }

  void caught() {
    auto results = ok(entry().call({Val::i32(10)}));
    CHECK(results[0].as_i32() == 10 + 1 + 77);
    check_runs();
  }

  void rethrow() {
    if (plan_.has_outer) return caught();
    auto result = entry().call({Val::i32(10)});
    REQUIRE(!result);
    CHECK(result.error().kind == ErrorKind::Exception);
    check_backtrace(result.error(), frames(plan_.callee_at));
    check_runs();
  }

  void stack_overflow() {
    auto result = entry().call({Val::i32(1)});
    REQUIRE(!result);
    CHECK(result.error().kind == ErrorKind::Trap);
    CHECK(result.error().trap == TrapCode::StackOverflow);
    const auto& frames = result.error().backtrace;
    // Where all guest frames end in tail calls to the host there is none left to show.
    const size_t least = cell_.callee == Side::host && tail() && !keeps_frame() ? 0 : 20;
    REQUIRE(frames.size() >= least);
    for (size_t i = 2; i < least; ++i) {
      const uint32_t one = frames[i].func_index;
      CHECK((one == plan_.callee || (plan_.has_caller && !tail() && one == plan_.caller) ||
             (cell_.callee == Side::host && one == plan_.caller)));
      if (is_guest(cell_.callee) && plan_.has_caller && !tail()) CHECK(one != frames[i - 1].func_index);
    }
    check_runs(false);
    // Both stacks are as they were.
    auto again = ok(entry().call({Val::i32(0)}));
    CHECK(again[0].as_i32() == plus(5));
  }

  void preempted() {
    sched::Config config;
    config.workers = 2;
    config.slice = 500us;
    config.preempt_alone = true;
    config.stack_size = size_t{1} << 20;
    give_up_ = std::chrono::steady_clock::now() + kGiveUp;
    std::atomic<bool> over{false};
    std::optional<Result<std::vector<Val>>> result;
    stops_before_ = jit::preempt_counts().stops;
    {
      sched::Scheduler scheduler(guest_scheduler_config(config));
      let_scheduler_stop_guests(scheduler);
      scheduler.spawn([&] {
        GuestTask guest(world_.store);
        result.emplace(entry().call({Val::i32(2)}));
        over.store(true);
      });
      // Others that want the workers, so that the guest goes on wherever there is room. Each keeps its worker for long
      // enough that the other one, whose thread may have to wait for a processor, sees the guest waiting.
      for (int i = 0; i < 2; ++i) {
        scheduler.spawn([&] {
          while (!over.load(std::memory_order_relaxed)) {
            const auto until = std::chrono::steady_clock::now() + 1ms;
            while (std::chrono::steady_clock::now() < until) {
            }
            sched::yield();
          }
        });
      }
    }
    REQUIRE(result.has_value());
    CHECK(ok(std::move(*result))[0].as_i32() == plus(42));
    CHECK(!never_moved_);
    check_runs();
  }

  void cancelled() {
    std::thread asker;
    if (is_guest(cell_.callee)) {
      asker = std::thread([this] {
        // Not before it is in the callee's loop, however busy the machine is.
        const auto give_up = std::chrono::steady_clock::now() + kGiveUp;
        auto begun = [this] {
          const auto runs = World::runs(*module_, plan_.callee);
          return runs[0] + runs[1] + runs[2] != 0;
        };
        while (!begun() && std::chrono::steady_clock::now() < give_up) std::this_thread::sleep_for(1ms);
        std::this_thread::sleep_for(10ms);
        world_.store.interrupt();
      });
    }
    auto result = entry().call({Val::i32(1)});
    if (asker.joinable()) asker.join();
    REQUIRE(!result);
    CHECK(result.error().kind == ErrorKind::Trap);
    CHECK(result.error().trap == TrapCode::Interrupted);
    if (is_guest(cell_.callee)) {
      check_backtrace(result.error(), frames(0));
    } else if (!tail()) {
      check_backtrace(result.error(), {{plan_.caller, 0}});
    } else {
      // Seen by whoever goes on when the host has returned, or a little later.
      const auto& frames = result.error().backtrace;
      CAPTURE(result.error().to_string());
      REQUIRE(frames.size() >= 1);
      REQUIRE(frames.size() <= 3);
      const uint32_t chain[] = {plan_.outer, plan_.mid, plan_.caller};
      for (size_t i = 0; i < frames.size(); ++i) CHECK(frames[frames.size() - 1 - i].func_index == chain[i]);
    }
    check_runs(is_guest(cell_.callee) || !tail());
  }

  Cell cell_;
  bool inlined_;
  Plan plan_;
  World world_;
  std::optional<Module> module_;
  std::optional<Instance> instance_;
  int host_calls_ = 0;
  long thread_ = 0;
  uint64_t stops_before_ = 0;
  bool never_moved_ = false;
  std::chrono::steady_clock::time_point give_up_;
};

// ---- a test case per cell -------------------------------------------------------------------------------------------

constexpr unsigned kCells = std::size(kSides) * std::size(kSides) * std::size(kKinds) * kScenarios;
constexpr Cell cell_number(unsigned n) {
  const auto scenario = static_cast<Scenario>(n % kScenarios);
  n /= kScenarios;
  const Kind kind = kKinds[n % std::size(kKinds)];
  n /= std::size(kKinds);
  return {kSides[n / std::size(kSides)], kSides[n % std::size(kSides)], kind, scenario};
}

void run_cell(unsigned n) { CellTest(cell_number(n)).run(); }
std::string cell_name(unsigned n) {
  return impossible(cell_number(n)).empty() ? name_of(cell_number(n)) : std::string();
}
const int registered = register_cases<kCells, run_cell>(cell_name, __FILE__);

// The same within optimised code, where calls are inlined.
constexpr unsigned kInlinedCells = std::size(kKinds) * kScenarios;
constexpr Cell inlined_cell(unsigned n) {
  return {Side::opt, Side::opt, kKinds[n / kScenarios], static_cast<Scenario>(n % kScenarios)};
}
void run_inlined(unsigned n) { CellTest(inlined_cell(n), true).run(); }
std::string inlined_name(unsigned n) {
  return impossible(inlined_cell(n)).empty() ? name_of(inlined_cell(n)) + ", inlined" : std::string();
}
const int registered_inlined = register_cases<kInlinedCells, run_inlined>(inlined_name, __FILE__);

TEST_CASE("spine: cells that cannot be") {
  unsigned possible = 0;
  for (unsigned n = 0; n < kCells; ++n) {
    const Cell cell = cell_number(n);
    const std::string why = impossible(cell);
    if (why.empty()) {
      ++possible;
    } else {
      std::printf("impossible: %s (%s)\n", name_of(cell).c_str(), why.c_str());
    }
  }
  CHECK(registered + registered_inlined == 0);
  CHECK(possible == 384);
}

}  // namespace
}  // namespace vmrun::spine
