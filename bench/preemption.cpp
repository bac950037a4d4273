// What preemption costs a guest that computes: a hot loop in a task, with slices and without, in turns.
//
//   preemption [ROUNDS]
//
// With slices the monitor looks at the clock and stops the guest by the signal at each slice's end, although nobody else
// waits to run; the guest saves its registers, looks for another task, finds none and goes on. Without, the same task runs to
// the end. A round has the turns off, on, on, off. The table has the processor time of the whole process (the monitor's and
// that of signals too), the ratio of the medians, the quartiles of the rounds' ratios, and what a stop takes by that. Slices
// of 10 ms are the default; the shorter ones make the cost of a stop stand out of the noise, which times stops a second is
// the same figure measured otherwise.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/guest_task.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

// (module (func (export "run") (param i64) (result i64) (local i64)
//   (loop $l
//     (local.set 1 (i64.add (i64.rotl (i64.xor (local.get 1) (local.get 0)) (i64.const 13)) (i64.const 12345)))
//     (br_if $l (i64.ne (i64.const 0) (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))
//   (local.get 1)))
constexpr uint8_t kImage[] = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01, 0x7e,
                              0x01, 0x7e, 0x03, 0x02, 0x01, 0x00, 0x07, 0x07, 0x01, 0x03, 0x72, 0x75, 0x6e, 0x00,
                              0x00, 0x0a, 0x26, 0x01, 0x24, 0x01, 0x01, 0x7e, 0x03, 0x40, 0x20, 0x01, 0x20, 0x00,
                              0x85, 0x42, 0x0d, 0x89, 0x42, 0xb9, 0xe0, 0x00, 0x7c, 0x21, 0x01, 0x42, 0x00, 0x20,
                              0x00, 0x42, 0x01, 0x7d, 0x22, 0x00, 0x52, 0x0d, 0x00, 0x0b, 0x20, 0x01, 0x0b};

template <class T>
T ok(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "preemption: %s\n", result.error().message.c_str());
    std::exit(1);
  }
  return std::move(*result);
}

double processor_seconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

struct Turn {
  double seconds = 0;
  uint64_t stops = 0;
};

/// Calls the loop `rounds` times round in a task.
Turn turn(const Engine& engine, const Module& module, int64_t rounds, std::chrono::microseconds slice, bool on) {
  sched::Config config;
  config.workers = 1;
  config.slice = slice;
  config.preempt_alone = on;
  sched::Scheduler scheduler(guest_scheduler_config(config));
  let_scheduler_stop_guests(scheduler);
  Turn turn;
  scheduler.spawn([&] {
    Store store(engine);
    const GuestTask here(store);
    Linker linker(engine);
    auto run = ok(ok(ok(linker.instantiate(store, module)).func("run")).typed<int64_t(int64_t)>());
    ok(run.call(rounds / 20));  // compiles it, and wakes what sleeps
    const uint64_t stops = scheduler.counters().preemptions;
    const double before = processor_seconds();
    ok(run.call(rounds));
    turn.seconds = processor_seconds() - before;
    turn.stops = scheduler.counters().preemptions - stops;
  });
  scheduler.wait_idle();
  return turn;
}

double at(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  if (rounds < 1) {
    std::fprintf(stderr, "usage: preemption [ROUNDS]\n");
    return 2;
  }
  Config config;
  config.tiers = Tiers::Baseline;  // one kind of machine code from the first call on, and no compiler beside it
  const Engine engine(config);
  const Module module = ok(Module::compile(engine, kImage));
  constexpr auto kLong = std::chrono::microseconds(10'000);
  const double probe = turn(engine, module, 50'000'000, kLong, false).seconds;
  const auto count = static_cast<int64_t>(50'000'000 * (0.25 / probe));  // a quarter of a second a turn

  std::printf("| slice, ms | off, ms | on, ms | stops a second | ratio | quartiles of the rounds | a stop, us |\n");
  std::printf("|--:|--:|--:|--:|--:|--:|--:|\n");
  for (const auto slice : {kLong, std::chrono::microseconds(1'000), std::chrono::microseconds(200)}) {
    std::vector<double> off, on, ratios;
    double stops = 0, seconds = 0;
    for (int i = 0; i < rounds; ++i) {
      Turn turns[4];
      for (int k = 0; k < 4; ++k) {
        const bool with = k == 1 || k == 2;
        turns[k] = turn(engine, module, count, slice, with);
        (with ? on : off).push_back(turns[k].seconds);
        if (with) {
          stops += static_cast<double>(turns[k].stops);
          seconds += turns[k].seconds;
        } else if (turns[k].stops != 0) {
          std::fprintf(stderr, "preemption: a guest without slices was stopped\n");
          return 1;
        }
      }
      ratios.push_back((turns[1].seconds + turns[2].seconds) / (turns[0].seconds + turns[3].seconds));
    }
    if (stops == 0) {
      std::fprintf(stderr, "preemption: no guest was stopped: nothing was measured\n");
      return 1;
    }
    const double a = at(off, 0.5), b = at(on, 0.5), each = stops / (2 * rounds);
    std::printf("| %.1f | %.2f | %.2f | %.0f | %.4f | %.4f to %.4f | %.1f |\n",
                static_cast<double>(slice.count()) / 1000, 1000 * a, 1000 * b, stops / seconds, b / a, at(ratios, 0.25),
                at(ratios, 0.75), (b - a) / each * 1e6);
    std::fflush(stdout);
  }
  return 0;
}
