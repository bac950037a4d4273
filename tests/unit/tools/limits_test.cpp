// What a user reads at a limit: which option moves it, and never more than a screen of what an image calls its things.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/tools/command.h"
#include "tests/unit/tools/image.h"

namespace vmrun::test {
namespace {

constexpr int kError = 1, kTrap = 134, kCtrlC = 130;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Under `ulimit -s 8192`, unless the stack is smaller already.
CommandResult run_on_8m(const std::vector<std::string>& args, const std::string& limit = "-s 8192") {
  return run_script("ulimit " + limit + "; exec \"$vmrun\" \"$@\"", args);
}

/// (func (export "deep") (param i32) (result i32)): calls itself as often as its parameter says, and counts that.
std::string deep_image() {
  const std::string code = bytes({0x20, 0, 0x45, 0x04, 0x7f, 0x41, 0, 0x05,                // n == 0 ? 0 :
                                  0x20, 0, 0x41, 1, 0x6b, 0x10, 0, 0x41, 1, 0x6a, 0x0b});  // deep(n - 1) + 1
  return kImageHead + section(1, vec({bytes({0x60, 1, 0x7f, 1, 0x7f})})) + section(3, vec({u32(0)})) +
         section(7, vec({name("deep") + bytes({0, 0})})) + section(10, vec({body(code)}));
}

TEST_CASE("-W fuel ends a guest at the same place in every tier") {
  TemporaryDirectory dir;
  const std::string image = dir.write("deep.wasm", deep_image());
  for (const char* tier : {"interp", "baseline", "opt", "auto"}) {
    CAPTURE(tier);
    const auto run = [&](const char* fuel) {
      return run_vmrun(
          {"-O", std::string("tier=") + tier, "-W", std::string("fuel=") + fuel, "--invoke", "deep", image, "3"});
    };
    // 1 to enter, 3 to look at n; 4 for the call, 2 behind it; 1 for the last: three times 10 and 5.
    const auto enough = run("35");
    CAPTURE(enough.err);
    CHECK(enough.status == 0);
    CHECK(enough.out == "3\n");
    const auto poor = run("34");
    CHECK(poor.status == kTrap);
    CHECK(contains(poor.err, "trap: out of fuel"));
    CHECK(contains(poor.err, "deep @ "));
    CHECK(run("0").status == kTrap);
  }
  const auto word = run_vmrun({"-W", "fuel=lots", image});
  CHECK(word.status == 2);
}

TEST_CASE("-W cpu-time ends a guest that computes, and none that waits") {
  const auto late = run_vmrun({"-W", "cpu-time=50ms", "--invoke", "loop", fixture("stop_spin")});
  CAPTURE(late.err);
  CHECK(late.status == kTrap);
  CHECK(contains(late.err, "trap: interrupted: the processor time of the store is used up"));
  const auto waits = run_vmrun({"-W", "cpu-time=50ms,timeout=300ms", fixture("cli_wait")});
  CHECK(waits.status == kTrap);
  CHECK(contains(waits.err, "time limit of 300ms reached"));
  CHECK(run_vmrun({"-W", "cpu-time=soon", fixture("cli_empty")}).status == 2);
  // Several guests: each its own.
  const auto many = run_vmrun({"-W", "cpu-time=50ms", "--instances", "2", "--invoke", "loop", fixture("stop_spin")});
  CHECK(many.status != 0);
}

TEST_CASE("-O guard-pages=n checks accesses instead") {
  TemporaryDirectory dir;
  const std::string image = dir.write("deep.wasm", deep_image());
  const auto run = run_vmrun({"-O", "guard-pages=n", "--invoke", "deep", image, "3"});
  CHECK(run.out == "3\n");
  CHECK(run_vmrun({"-O", "guard-pages=maybe", image}).status == 2);
}

TEST_CASE("-W max-wasm-stack holds in every tier, whatever the thread's own stack is") {
  TemporaryDirectory dir;
  const std::string image = dir.write("deep.wasm", deep_image());
  for (const char* tier : {"interp", "baseline", "opt", "interp+baseline", "auto"}) {
    CAPTURE(tier);
    const std::string way = std::string("tier=") + tier;
    const auto deep = run_on_8m({"-O", way, "-W", "max-wasm-stack=1G", "--invoke", "deep", image, "1000000"});
    CAPTURE(deep.err);
    CHECK(deep.status == 0);
    CHECK(deep.out == "1000000\n");
    const auto endless = run_on_8m({"-O", way, "-W", "max-wasm-stack=32M", "--invoke", "deep", image, "-1"});
    CHECK(endless.status == kTrap);
    CHECK(endless.err.starts_with("vmrun: trap: call stack exhausted; -W max-wasm-stack=SIZE gives the guest more\n"));
  }
}

TEST_CASE("a guest on a stack of its own ends as any other") {
  const std::string stack = "max-wasm-stack=64M";
  const auto exits = run_on_8m({"-W", stack, fixture("cli_exit")});
  CHECK(exits.status == run_vmrun({fixture("cli_exit")}).status);
  const auto out = run_on_8m({"-W", stack, "--invoke", "divide", fixture("cli_traps"), "1", "0"});
  CHECK(out.status == kTrap);
  CHECK(out.err.starts_with("vmrun: trap: integer divide by zero\n  "));
  const auto late = run_on_8m({"-W", stack + ",timeout=100ms", "--invoke", "loop", fixture("stop_spin")});
  CHECK(late.status == kTrap);
  CHECK(late.err.starts_with("vmrun: trap: time limit of 100ms reached\n  "));
  const auto waits = run_on_8m({"-W", stack + ",timeout=100ms", fixture("cli_wait")});
  CHECK(waits.status == kTrap);
  const auto alarm = run_script(
      "ulimit -s 8192; (sleep 0.5; kill -ALRM $$) & exec \"$vmrun\" -W max-wasm-stack=64M --invoke loop \"$1\"",
      {fixture("stop_spin")});
  CHECK(alarm.status == -14);
  const auto full =
      run_script("\"$vmrun\" -W max-wasm-stack=64M --invoke add \"$1\" 1 2 > /dev/full", {fixture("cli_values")});
  CHECK(full.status == kError);
}

#if !__has_feature(thread_sanitizer)  // which keeps signals back
TEST_CASE("Ctrl-C ends a guest on a stack of its own") {
  for (const char* name : {"loop", "calls"}) {
    CommandResult r;
    for (int after = 150; after < 20'000; after *= 4) {
      r = run_vmrun_with_ctrl_c({"-W", "max-wasm-stack=1G", "--invoke", name, fixture("stop_spin")}, after);
      if (contains(r.err, "0: spin!")) break;
    }
    CHECK(r.status == kCtrlC);
    CHECK(contains(r.err, "vmrun: trap: interrupted"));
    CHECK(contains(r.err, "0: spin!"));
  }
  const auto waits = run_vmrun_with_ctrl_c({"-W", "max-wasm-stack=1G", fixture("cli_wait")}, 500);
  CHECK(waits.status == kCtrlC);
}
#endif

#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)  // which need more of both
TEST_CASE("guests for which there is no memory fail, and the others run") {
  // Address space for some of them: what is missing is a memory, a stack, the cell of a task or the main thread's own.
  for (const char* kib : {"1000000", "2000000", "4000000"}) {
    const CommandResult r = run_script(
        "ulimit -v \"$2\"; "
        "exec \"$vmrun\" --workers 2 --instances 5000 -W timeout=500ms -O dense-memory,cache=off \"$1\"",
        {fixture("cli_wait"), kib});
    CAPTURE(kib);
    CAPTURE(r.err);
    CHECK_FALSE(contains(r.err, "terminate"));
    if (contains(r.err, "failed to register TLS destructor")) {
      MESSAGE("a thread started without any memory, which ends a process of glibc (docs/limits.md)");
      continue;
    }
    CHECK((r.status == 1 || r.status == 134));  // of the first that failed
    CHECK(contains(r.err, "more guests failed"));
  }
}

TEST_CASE("a process that may make no thread says so") {
  // The limit does not count for root, who becomes somebody else for it.
  constexpr const char* kScript =
      "as=; [ \"$(id -u)\" != 0 ] || as='setpriv --reuid=54321 --clear-groups'; "
      "exec timeout 60 $as prlimit --nproc=1:1 \"$vmrun\" \"$@\"";
  if (const CommandResult r = run_script(kScript, {"--version"}); r.status != 0) {
    MESSAGE("left out: nobody else may run the command here: " << r.err);
    return;
  }
  for (const std::vector<std::string>& args : {std::vector<std::string>{"-W", "timeout=1s", fixture("cli_guest")},
                                               {"--workers", "2", fixture("cli_guest")},
                                               {"serve", "--http", "127.0.0.1:0", fixture("serve_cgi")}}) {
    const CommandResult r = run_script(kScript, args);
    CAPTURE(args[0]);
    CAPTURE(r.err);
    CHECK(r.status == 1);
    CHECK(contains(r.err, "no thread"));
  }
}

TEST_CASE("a process whose stack is too small for guests runs them on another") {
  const auto r = run_on_8m({"--invoke", "add", fixture("cli_values"), "2", "3"}, "-s 160");
  CAPTURE(r.err);
  CHECK(r.status == 0);
  CHECK(r.out == "5\n");
}

TEST_CASE("a stack for which there is no room is an error that names the option") {
  const auto r = run_on_8m({"-W", "max-wasm-stack=8G", fixture("cli_empty")}, "-v 2000000");
  CHECK(r.status == kError);
  CHECK(contains(r.err, "8589934592 bytes"));
  CHECK(contains(r.err, "-W max-wasm-stack=SIZE"));
}
#endif

TEST_CASE("limits name their options") {
  const auto says = [](const std::vector<std::string>& args, const std::string& part) {
    const auto r = run_vmrun(args);
    CAPTURE(r.err);
    CHECK(r.status == kError);
    CHECK(contains(r.err, part));
  };
  const std::string big = fixture("cli_big_memory");
  says({"-W", "max-memory-size=1M", big}, "-W help lists the limits");
  says({"-W", "max-table-elements=1000", fixture("cli_big_table")}, "-W help lists the limits");
  says({"-W", "max-image-size=10", fixture("cli_values")},
       "has more than the 10 bytes that an image may have (-W max-image-size)");
  says({"-O", "dense-memory,dense-memory-max=4K", big}, "-O dense-memory-max");
  says({"-S", "max-descriptors=3", "--dir", "/tmp::/", fixture("cli_guest")},
       "the guest is given 4 descriptors, but may have 3 open (WasiConfig::max_descriptors); -S max-descriptors=N "
       "allows");
  const auto few = run_script("ulimit -n 7; exec \"$vmrun\" --dir /tmp::/ \"$1\"", {fixture("cli_guest")});
  CHECK(few.status == kError);
  CHECK(contains(few.err, "'ulimit -n' allows more"));
  const auto grow =
      run_vmrun({"-W", "max-memory-size=64K,trap-on-grow-failure", "--invoke", "grow", fixture("cli_traps"), "1"});
  CHECK(grow.status == kTrap);
  CHECK(contains(grow.err, "trap: out of memory; -W help lists the limits\n"));
}

TEST_CASE("long names are cut in messages") {
  TemporaryDirectory dir;
  const std::string longest(100'000, '\1');
  std::vector<std::string> imports;
  for (int i = 0; i < 10; ++i) imports.push_back(name(longest) + name(longest) + bytes({0, 0}));
  const std::string importing = kImageHead + section(1, vec({kNothingToNothing})) + section(2, vec(imports));
  const auto missing = run_vmrun({dir.write("imports.wasm", importing)});
  CHECK(missing.status == kError);
  CHECK(contains(missing.err, "unknown imports: \\x01"));
  CHECK(contains(missing.err, "..."));
  CHECK(missing.err.size() < 50'000);

  // The same name for an export, the module and its function, which traps.
  const std::string names =
      name("name") + bytes({0}) + name(name(longest)) + bytes({1}) + name(u32(1) + u32(0) + name(longest));
  const std::string trapping = kImageHead + section(1, vec({kNothingToNothing})) + section(3, vec({u32(0)})) +
                               section(7, vec({name(longest) + bytes({0, 0})})) +
                               section(10, vec({body(kUnreachable)})) + section(0, names);
  const std::string image = dir.write("names.wasm", trapping);
  const auto nothing = run_vmrun({image});
  CHECK(nothing.status == 2);
  CHECK(contains(nothing.err, "it exports \\x01"));
  CHECK(nothing.err.size() < 10'000);
  const std::string start =
      dir.write("start.wasm", kImageHead + section(1, vec({kNothingToNothing})) + section(3, vec({u32(0)})) +
                                  section(8, u32(0)) + section(10, vec({body(kUnreachable)})) + section(0, names));
  const auto trap = run_vmrun({start});
  CHECK(trap.status == kTrap);
  CHECK(contains(trap.err, "0: \\x01"));
  CHECK(trap.err.size() < 10'000);
}

}  // namespace
}  // namespace vmrun::test
