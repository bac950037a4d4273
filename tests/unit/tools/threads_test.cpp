// Images that start threads: they run as they are, and the command's limits and ends are those of all threads.
#include <doctest/doctest.h>

#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

constexpr int kTrap = 134;

TEST_CASE("a program's threads share its work, in every tier") {
  for (const std::string work : {"mandelbrot", "compress"}) {
    const auto one = run_vmrun({fixture("threads_work"), work, "1", "12"});
    CHECK(one.status == 0);
    CHECK(one.err.empty());
    CHECK(one.out.size() == 17);
    for (const std::string tier : {"auto", "interp", "baseline", "opt"}) {
      CAPTURE(tier);
      const auto five = run_vmrun({"-O", "tier=" + tier, "-S", "threads", fixture("threads_work"), work, "5", "12"});
      CHECK(five.status == 0);
      CHECK(five.out == one.out);
    }
  }
}

TEST_CASE("the limit of threads") {
  CHECK(run_vmrun({"-S", "max-threads=2", fixture("threads_work"), "compress", "2", "1"}).status == 0);
  CHECK(run_vmrun({"-S", "max-threads=2", fixture("threads_work"), "compress", "3", "1"}).status == 3);
  const auto none = run_vmrun({"-S", "threads=n", fixture("threads_work"), "compress", "2", "1"});
  CHECK(none.status == 1);
  CHECK(none.err.find("threads are off (-S threads=n)") != std::string::npos);
  const auto both = run_vmrun({"-S", "threads=n,max-threads=2", fixture("threads_work")});
  CHECK(both.status == 2);
  CHECK(run_vmrun({"-S", "max-threads=0", fixture("threads_work")}).status == 2);
}

TEST_CASE("how a program with threads ends") {
  // cli_threads.wat: two threads go on for ever.
  for (const std::string tier : {"auto", "interp", "baseline"}) {
    CAPTURE(tier);
    const auto exits = run_vmrun({"-O", "tier=" + tier, fixture("cli_threads")});
    CHECK(exits.status == 7);
    CHECK(exits.err.empty());
    const auto traps = run_vmrun({"-O", "tier=" + tier, fixture("cli_threads"), "1"});
    CHECK(traps.status == kTrap);
    CHECK(traps.err.starts_with("vmrun: trap: unreachable"));
    CHECK(traps.err.find("fails") != std::string::npos);
    CHECK(traps.err.find("wasi_thread_start") != std::string::npos);
    CHECK(run_vmrun({"-O", "tier=" + tier, fixture("cli_threads"), "1", "2"}).status == 0);
    const auto late = run_vmrun({"-O", "tier=" + tier, "-W", "timeout=100ms", fixture("cli_threads"), "1", "2", "3"});
    CHECK(late.status == kTrap);
    CHECK(late.err.starts_with("vmrun: trap: time limit of 100ms reached"));
  }
  CHECK(run_vmrun_with_ctrl_c({fixture("cli_threads"), "1", "2", "3"}, 200).status == 130);
}

TEST_CASE("each repetition has threads of its own") {
  const auto r = run_vmrun({"--repeat", "3", fixture("threads_work"), "compress", "3", "2"});
  CHECK(r.status == 0);
  CHECK(r.out.size() == 3 * 17);
  CHECK(r.out.substr(0, 17) == r.out.substr(17, 17));
}

TEST_CASE("a preloaded module imports the memory that threads share") {
  // The preloaded one needs three pages, the program one; the memory fits both.
  const std::vector<std::string> line{"--preload", "fill=" + fixture("cli_fills_memory"), fixture("cli_shares_memory")};
  const auto r = run_vmrun(line);
  CHECK(r.err == "");
  CHECK(r.status == 42);
  // Several guests have a memory each.
  std::vector<std::string> two{"--instances", "2"};
  two.insert(two.end(), line.begin(), line.end());
  CHECK(run_vmrun(two).status == 42);
  // A memory that a preloaded module exports is the one that counts, and comes after those that import it by themselves.
  const auto own = run_vmrun({"--preload", "env=" + fixture("cli_exports_memory"), "--preload",
                              "fill=" + fixture("cli_fills_memory"), fixture("cli_shares_memory")});
  CHECK(own.err == "");
  CHECK(own.status == 42);
  const auto early = run_vmrun({"--preload", "fill=" + fixture("cli_fills_memory"), "--preload",
                                "env=" + fixture("cli_exports_memory"), fixture("cli_shares_memory")});
  CHECK(early.status == 1);
  CHECK(early.err.find("unknown import: env.memory") != std::string::npos);
}

}  // namespace
}  // namespace vmrun::test
