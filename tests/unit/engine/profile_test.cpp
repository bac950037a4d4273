// Profiles of guests: what they spend time in is what the profile says, in each tier, on threads and in tasks.
#include "vmrun/profile.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "tests/unit/engine/fixture.h"
#include "vmrun/deadline.h"
#include "vmrun/executor.h"

#if !__has_feature(thread_sanitizer)  // a build for it gets no signals in guests, and so no samples

namespace vmrun::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Code = GuestProfile::Code;

constexpr milliseconds kLong{150};

nanoseconds used(clockid_t clock = CLOCK_THREAD_CPUTIME_ID) {
  timespec time{};
  clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

/// A guest of profile.wat, and an engine, unless there is one.
struct Prof {
  Engine engine;
  Store store{engine};
  Linker linker{engine};
  std::optional<Instance> instance;

  explicit Prof(Engine given) : engine(std::move(given)) {
    ok(linker.func_wrap("env", "work", [] {
      for (const auto end = used() + milliseconds(2); used() < end;) {
      }
    }));
    instance.emplace(ok(linker.instantiate(store, load(engine, "profile"))));
  }
  explicit Prof(Tiers tiers)
      : Prof(Engine([&] {
          Config config;
          config.tiers = tiers;
          return config;
        }())) {}

  /// Calls an export for so much of the thread's time.
  template <class... Args>
  void run_for(nanoseconds time, const char* name, Args... args) {
    const auto func = ok(ok(instance->func(name)).template typed<void(Args...)>());
    for (const auto end = used() + time; used() < end;) ok(func.call(args...));
  }
};

/// Time by the functions that it was spent in, themselves or with what they call.
struct Times {
  std::map<std::string, nanoseconds> self, with_callees;
  std::map<Code, nanoseconds> by_code;
  nanoseconds total{};

  explicit Times(const GuestProfile& profile) : total(profile.total()) {
    for (uint32_t i = 1; i < profile.nodes.size(); ++i) {
      const GuestProfile::Node& node = profile.nodes[i];
      REQUIRE(node.parent < i);
      self[profile.functions[node.function].name] += node.self;
      by_code[node.code] += node.self;
      std::vector<uint32_t> seen;
      for (uint32_t at = i; at != 0; at = profile.nodes[at].parent) {
        const uint32_t function = profile.nodes[at].function;
        if (std::ranges::find(seen, function) != seen.end()) continue;
        seen.push_back(function);
        with_callees[profile.functions[function].name] += node.self;
      }
    }
  }
  double share(const std::string& name) const { return part(self, name); }
  double share_with_callees(const std::string& name) const { return part(with_callees, name); }
  double share_of(Code code) const {
    const auto at = by_code.find(code);
    return at == by_code.end() ? 0 : static_cast<double>(at->second.count()) / static_cast<double>(total.count());
  }

 private:
  double part(const std::map<std::string, nanoseconds>& times, const std::string& name) const {
    const auto at = times.find(name);
    return at == times.end() ? 0 : static_cast<double>(at->second.count()) / static_cast<double>(total.count());
  }
};

struct TierCase {
  Tiers tiers;
  Code code;
};
constexpr TierCase kCases[] = {
    {Tiers::Interp, Code::Interp}, {Tiers::Baseline, Code::Baseline}, {Tiers::Opt, Code::Opt}};

TEST_CASE("a profile names what runs and who called it, in each tier") {
  for (const TierCase& tier : kCases) {
    CAPTURE(static_cast<int>(tier.code));
    Prof guest(tier.tiers);
    guest.run_for(milliseconds(1), "spin", 1000);
    auto profiler = ok(GuestProfiler::start(milliseconds(1)));
    const auto before = used();
    guest.run_for(kLong, "spin", 300'000);
    const auto spent = used() - before;
    const GuestProfile profile = profiler.take();
    const Times times(profile);
    CHECK(times.total > spent / 2);
    CHECK(times.total < spent * 3 / 2);
    CHECK(times.share("spin") > 0.8);
    CHECK(times.share_with_callees("middle") > 0.8);  // also where it was inlined
    CHECK(times.share_with_callees("outer") > 0.8);
    CHECK(times.share_of(tier.code) > 0.8);
    // What is outermost was called by the host.
    for (const GuestProfile::Node& node : profile.nodes) {
      if (&node != profile.nodes.data() && node.parent == 0 && node.self > times.total / 10) {
        CHECK(profile.functions[node.function].name == "outer");
        CHECK(profile.functions[node.function].module == "prof");
      }
    }
  }
}

TEST_CASE("a small function that is called again and again has its part") {
  for (const TierCase& tier : kCases) {
    CAPTURE(static_cast<int>(tier.code));
    Prof guest(tier.tiers);
    guest.run_for(milliseconds(1), "calls", 1000);
    auto profiler = ok(GuestProfiler::start(milliseconds(1)));
    guest.run_for(kLong, "calls", 300'000);
    const Times times(profiler.take());
    CHECK(times.share_with_callees("calls") > 0.8);
    CHECK(times.share("leaf") > 0.1);
    CHECK(times.share("calls") + times.share("leaf") > 0.8);
  }
}

TEST_CASE("deep stacks end where there is no more room, at their outer end") {
  for (const TierCase& tier : kCases) {
    CAPTURE(static_cast<int>(tier.code));
    Prof guest(tier.tiers);
    auto profiler = ok(GuestProfiler::start(milliseconds(1)));
    guest.run_for(kLong, "deep", 20, 300'000);
    Times times(profiler.take());
    CHECK(times.share("spin") > 0.8);
    CHECK(times.with_callees.count("[frames left out]") == 0);
    guest.run_for(kLong, "deep", 1000, 300'000);
    times = Times(profiler.take());
    CHECK(times.share("spin") > 0.8);
    CHECK(times.share_with_callees("[frames left out]") > 0.2);
  }
}

TEST_CASE("time in the host is the import's that was called") {
  for (const TierCase& tier : kCases) {
    CAPTURE(static_cast<int>(tier.code));
    Prof guest(tier.tiers);
    auto profiler = ok(GuestProfiler::start(milliseconds(1)));
    guest.run_for(kLong, "host", 3);
    const Times times(profiler.take());
    CHECK(times.share("[env.work]") > 0.8);
    CHECK(times.share_with_callees("host") > 0.8);
    CHECK(times.share_of(Code::Host) > 0.8);
  }
}

TEST_CASE("time in vmrun's own work is the instruction's that asked for it") {
  for (Tiers tiers : {Tiers::Baseline, Tiers::Opt}) {
    Prof guest(tiers);
    auto profiler = ok(GuestProfiler::start(milliseconds(1)));
    guest.run_for(kLong, "fill", 10);
    const Times times(profiler.take());
    CHECK(times.share("[memory.fill]") > 0.6);
    CHECK(times.share_with_callees("fill") > 0.8);
  }
}

TEST_CASE("a guest that traps right after has been counted") {
  Prof guest(Tiers::Auto);
  auto profiler = ok(GuestProfiler::start(milliseconds(1)));
  const auto func = ok(ok(guest.instance->func("trap")).typed<void(int32_t)>());
  for (const auto end = used() + kLong; used() < end;) CHECK(!func.call(3'000'000));
  const Times times(profiler.take());
  CHECK(times.share_with_callees("trap") > 0.8);
}

TEST_CASE("guests in tasks are sampled on whichever threads run them") {
  const Engine engine;
  auto executor = ok(Executor::create({.workers = 2}));
  auto profiler = ok(GuestProfiler::start(milliseconds(1)));
  const auto before = used(CLOCK_PROCESS_CPUTIME_ID);
  std::vector<std::unique_ptr<Prof>> guests;
  for (int i = 0; i < 4; ++i) guests.push_back(std::make_unique<Prof>(engine));
  for (int i = 0; i < 4; ++i) {
    ok(executor.spawn(guests[i]->store, [&guest = *guests[i], i] {
      const auto func = ok(ok(guest.instance->func(i % 2 ? "calls" : "spin")).typed<void(int32_t)>());
      // Slices of tasks end in between, so that guests change threads.
      for (int round = 0; round < 200; ++round) ok(func.call(300'000));
    }));
  }
  executor.wait_idle();
  const auto spent = used(CLOCK_PROCESS_CPUTIME_ID) - before;
  const GuestProfile profile = profiler.take();
  const Times times(profile);
  CHECK(times.total > spent / 3);
  CHECK(times.total < spent * 3 / 2);
  CHECK(times.share_with_callees("outer") + times.share_with_callees("calls") > 0.8);
  CHECK(times.share_with_callees("outer") > 0.1);
  CHECK(times.share_with_callees("calls") > 0.1);
  std::vector<uint32_t> threads;
  for (const GuestProfile::Tick& tick : profile.ticks) threads.push_back(tick.thread);
  std::ranges::sort(threads);
  threads.erase(std::unique(threads.begin(), threads.end()), threads.end());
  CHECK(threads.size() == 2);
}

TEST_CASE("a thread that has run guests before the profile is sampled too; one that ends is no trouble") {
  Prof guest(Tiers::Baseline);
  guest.run_for(milliseconds(2), "spin", 1000);
  for (int round = 0; round < 3; ++round) {
    auto profiler = ok(GuestProfiler::start(milliseconds(1)));
    std::thread([&] { guest.run_for(kLong / 2, "spin", 100'000); }).join();
    guest.run_for(kLong / 2, "calls", 100'000);
    const Times times(profiler.take());
    CHECK(times.share_with_callees("spin") > 0.2);
    CHECK(times.share_with_callees("calls") > 0.2);
  }
}

TEST_CASE("intervals of the kernel's tick and shorter ones take turns on a thread") {
  Prof guest(Tiers::Baseline);
  for (const int interval : {10, 1, 20, 2, 10}) {
    CAPTURE(interval);
    auto profiler = ok(GuestProfiler::start(milliseconds(interval)));
    const auto before = used();
    guest.run_for(2 * kLong, "spin", 300'000);
    const auto spent = used() - before;
    const Times times(profiler.take());
    CHECK(times.total > spent / 2);
    CHECK(times.total < spent * 3 / 2);
    CHECK(times.share("spin") > 0.8);
  }
}

TEST_CASE("a profile begins empty, and there is one at a time") {
  Prof guest(Tiers::Baseline);
  {
    auto profiler = ok(GuestProfiler::start(milliseconds(1)));
    guest.run_for(kLong / 3, "spin", 100'000);
    CHECK(profiler.take().samples() > 0);
    const auto second = GuestProfiler::start(milliseconds(1));
    REQUIRE(!second);
    CHECK(second.error().message == "no profile of guests: guests are sampled already");
  }
  auto profiler = ok(GuestProfiler::start(milliseconds(1)));
  CHECK(profiler.take().samples() == 0);
  CHECK(profiler.take().nodes.size() == 1);
  const auto between = profiler.take();
  CHECK(profile_text(between, ProfileFormat::Folded) == "");
}

TEST_CASE("what one profile has seen of a host call is not the next one's") {
  const Engine engine;
  Store store(engine);
  Linker linker(engine);
  std::optional<GuestProfiler> profiler;
  ok(linker.func_wrap("env", "work", [&] {
    for (const auto end = used() + kLong; used() < end;) {
    }
    profiler.reset();
    profiler.emplace(ok(GuestProfiler::start(milliseconds(1))));
  }));
  const Instance instance = ok(linker.instantiate(store, load(engine, "profile")));
  profiler.emplace(ok(GuestProfiler::start(milliseconds(1))));
  ok(ok(ok(instance.func("host")).typed<void(int32_t)>()).call(1));
  CHECK(profiler->take().total() < kLong / 2);
}

TEST_CASE("intervals beyond what there is are refused") {
  for (nanoseconds interval : {nanoseconds(49'999), nanoseconds(0), nanoseconds(-1), nanoseconds(10'000'000'001)}) {
    const auto profiler = GuestProfiler::start(interval);
    REQUIRE(!profiler);
    CHECK(profiler.error().kind == ErrorKind::Usage);
  }
  for (nanoseconds interval : {nanoseconds(50'000), nanoseconds(10'000'000'000)}) {
    CHECK(GuestProfiler::start(interval));
  }
}

TEST_CASE("a long name of a module or a function is cut in a profile, which has it for each function") {
  const Engine engine;
  std::ifstream file(VMRUN_FIXTURES "/engine_deadline.wasm", std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  record_compiles();
  const Module module = ok(Module::compile(
      engine, std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), std::string(100'000, 'M')));
  Store store(engine);
  Linker linker(engine);
  linker.unknown_imports_trap(true);
  const Instance instance = ok(linker.instantiate(store, module));
  auto profiler = ok(GuestProfiler::start(milliseconds(1)));
  {
    const Deadline deadline(store, kLong);
    CHECK_FALSE(ok(instance.func("spin")).call({}));
  }
  const GuestProfile profile = profiler.take();
  CHECK(profile.functions.size() > 1);
  for (const auto& function : profile.functions) CHECK(function.module.size() <= 403);
  for (const CompileRecord& record : compile_records().all) CHECK(record.module.size() <= 403);
}

TEST_CASE("names outlive the module") {
  std::optional<GuestProfiler> profiler;
  {
    Prof guest(Tiers::Auto);
    profiler.emplace(ok(GuestProfiler::start(milliseconds(1))));
    guest.run_for(kLong, "host", 3);
  }
  const Times times(profiler->take());
  CHECK(times.share("[env.work]") > 0.8);
  CHECK(times.share_with_callees("host") > 0.8);
}

}  // namespace
}  // namespace vmrun::test

#endif
