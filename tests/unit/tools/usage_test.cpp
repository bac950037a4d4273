// A command line that is not quite right: what was meant is said.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/unit/tools/command.h"
#include "tests/unit/tools/image.h"

namespace vmrun::test {
namespace {

constexpr const char* kHelpRun = "; 'vmrun help run' lists what there is\n";
constexpr const char* kHelp = "; 'vmrun help' lists what there is\n";

/// The command line is wrong, and the one message is "vmrun: " and this.
void says(const std::string& message, const std::vector<std::string>& args) {
  const auto r = run_vmrun(args);
  CHECK(r.status == 2);
  CHECK(r.out == "");
  CHECK(r.err == "vmrun: " + message);
}

TEST_CASE("an option that is nearly one of ours") {
  says(std::string("unknown option '--evn'; the nearest is '--env'") + kHelpRun, {"--evn", "A=1", "x.wasm"});
  says(std::string("unknown option '--evn=A=1'; the nearest is '--env'") + kHelpRun, {"--evn=A=1", "x.wasm"});
  says(std::string("unknown option '-invoke'; the nearest is '--invoke'") + kHelpRun, {"-invoke", "f", "x.wasm"});
  says(std::string("unknown option '--timeout'; use -W timeout=TIME") + kHelpRun, {"--timeout", "1s", "x.wasm"});
  says(std::string("unknown option '--tier=opt'; use -O tier=TIER") + kHelpRun, {"--tier=opt", "x.wasm"});
  says(std::string("unknown option '--simd'; use -W simd") + kHelpRun, {"--simd", "x.wasm"});
  says("unknown option '--jsn'; the nearest is '--json'; 'vmrun help inspect' lists what there is\n",
       {"inspect", "--jsn", "x.wasm"});
  says(std::string("unknown option '--nonsense'") + kHelpRun, {"--nonsense", "x.wasm"});
  says(std::string("unknown option '-Z'") + kHelpRun, {"-Z", "x.wasm"});
}

TEST_CASE("a key that is nearly one of ours") {
  const auto key = [](const std::string& group, const std::string& text, const std::string& message) {
    says("-" + group + " has no key '" + text.substr(0, text.find('=')) + "'" + message + " ('-" + group +
             " help' lists them)" + kHelpRun,
         {"-" + group, text, "x.wasm"});
  };
  key("W", "max_memory_size=1M", "; the nearest is 'max-memory-size'");
  key("W", "max-memory=1M", "; the nearest is 'max-memory-size'");
  key("O", "tiers=opt", "; the nearest is 'tier'");
  key("W", "tier=opt", "; use -O tier=TIER");
  key("S", "timeout=1s", "; use -W timeout=TIME");
  key("W", "nonsense=1", "");
}

TEST_CASE("options of other engines") {
  const auto option = [](const std::string& text, const std::string& message) {
    says("unknown option '" + text + "'; " + message + kHelpRun, {text, "x.wasm"});
  };
  option("--mapdir", "use --dir HOST::GUEST");
  option("--mapdir=/a:/b", "use --dir HOST::GUEST");
  option("-mount", "use --dir HOST::GUEST");
  option("-mount=.:/", "use --dir HOST::GUEST");
  option("--volume", "use --dir HOST::GUEST");
  option("--fuel", "use -W fuel=N");
  option("-C", "-O says how vmrun compiles, and where it keeps compiled code");
  option("--singlepass", "use -O tier=baseline");
  option("--experimental-wasm-gc", "every proposal is on; -W KEY=n turns one off");
  option("-g", "use -D debug-info");
  says(std::string("-W has no key 'epoch-interruption'; use -W timeout=TIME ('-W help' lists them)") + kHelpRun,
       {"-W", "epoch-interruption", "x.wasm"});
  says(std::string("-S has no key 'http'; vmrun has WASI preview 1 alone ('-S help' lists them)") + kHelpRun,
       {"-S", "http", "x.wasm"});
  says(std::string("-O has no key 'opt-level'; use -O tier=TIER ('-O help' lists them)") + kHelpRun,
       {"-O", "opt-level=2", "x.wasm"});
}

TEST_CASE("what is neither a command nor an image") {
  const auto word = [](const std::string& text, const std::string& message) {
    says("there is no command '" + text + "', and no image of that name" + message + kHelp, {text, "x.wasm"});
  };
  word("precompile", "; 'vmrun compile' does that");
  word("validate", "; 'vmrun inspect' validates an image, and prints what is in it");
  word("version", "; 'vmrun --version' prints it");
  word("runn", "; the nearest is 'run'");
  word("list", "");
  word("inspct", "; the nearest is 'inspect'");
  word("frobnicate", "");
  says(std::string("there is no command 'objdmp'; the nearest is 'objdump'") + kHelp, {"help", "objdmp"});
  // A file of that name is run all the same, and what looks like a path is one.
  TemporaryDirectory dir;
  CHECK(run_script("cp \"$1\" \"$2/precompile\"; cd \"$2\"; $vmrun precompile", {fixture("cli_exit"), dir.path()})
            .status == 7);
  CHECK(run_vmrun({"precompile.wasm"}).err ==
        "vmrun: error: cannot open 'precompile.wasm': No such file or directory; check the path\n");
}

TEST_CASE("a log setting that is none") {
  says(std::string("-D log=wasi=loud: there is no level 'loud'; there are error, warn, info, debug, trace") + kHelpRun,
       {"-D", "log=wasi=loud", "x.wasm"});
  says(std::string("-D log=disk=trace: no component 'disk' has messages; there are cache, io, memory, serve, tiering, "
                   "wasi and all") +
           kHelpRun,
       {"-D", "log=disk=trace", "x.wasm"});
  setenv("VMRUN_LOG", "foo", 1);
  says("error: VMRUN_LOG: there is no level 'foo'; there are error, warn, info, debug, trace\n",
       {fixture("cli_empty")});
  setenv("VMRUN_LOG", "wasi=trace", 1);
  const auto traced = run_vmrun({fixture("cli_guest")});
  unsetenv("VMRUN_LOG");
  CHECK(traced.status == 0);
  CHECK(traced.err.find("[wasi] trace: fd_write") != std::string::npos);
}

TEST_CASE("an image that does not run by itself") {
  TemporaryDirectory dir;
  const auto library = [&](const std::vector<std::string>& args, const std::string& command) {
    const std::string path = fixture("cli_needs_values");
    std::vector<std::string> all{"--preload", "math=" + fixture("cli_values"), path};
    all.insert(all.end(), args.begin(), args.end());
    const auto r = run_vmrun(all);
    CHECK(r.status == 2);
    CHECK(r.out == "");
    CHECK(r.err == "vmrun: error: nothing was run: " + path + " has no _start; call an export: vmrun" +
                       command.substr(0, command.find('@')) + path + command.substr(command.find('@') + 1) +
                       "; it exports five\n");
  };
  library({}, " --invoke NAME @ ARGS...");
  library({"1", "2"}, " --invoke NAME @ 1 2");
  library({"--invoke", "five", "1", "-2"}, " --invoke five @ 1 -2");
  library({"--invoke=five", "-W", "timeout=1s", "a b"}, " --invoke=five -W timeout=1s @ 'a b'");
  // A reactor's initialiser is not a program either.
  const std::string reactor =
      dir.write("reactor.wasm", kImageHead + section(1, vec({kNothingToNothing})) + section(3, vec({u32(0)})) +
                                    section(7, vec({name("_initialize") + bytes({0, 0})})) +
                                    section(10, vec({body(kUnreachable)})));
  CHECK(run_vmrun({reactor}).err == "vmrun: error: nothing was run: " + reactor +
                                        " has no _start; call an export: vmrun --invoke NAME " + reactor +
                                        " ARGS...; it exports _initialize\n");
  // Nothing to call, and nothing asked for.
  CHECK(run_vmrun({fixture("cli_empty")}).status == 0);
  CHECK(run_vmrun({fixture("cli_empty"), "--invoke", "f"}).err ==
        "vmrun: error: nothing was run: " + fixture("cli_empty") + " has no _start and exports no function\n");
  // With a start function the image has run; arguments would be lost.
  const std::string starts =
      dir.write("starts.wasm", kImageHead + section(1, vec({kNothingToNothing})) + section(3, vec({u32(0)})) +
                                   section(7, vec({name("f") + bytes({0, 0})})) + section(8, u32(0)) +
                                   section(10, vec({body("")})));
  CHECK(run_vmrun({starts}).status == 0);
  CHECK(run_vmrun({starts, "--invoke", "f"}).err == "vmrun: error: only the start function was run: " + starts +
                                                        " has no _start; call an export: vmrun --invoke f " + starts +
                                                        "; it exports f\n");
}

TEST_CASE("options behind the image of an export that is called") {
  const auto r = run_vmrun({"--invoke", "five", "--preload", "math=" + fixture("cli_values"),
                            fixture("cli_needs_values"), "-W", "timeout=1s"});
  CHECK(r.status == 2);
  CHECK(r.err ==
        "vmrun: error: 'five' has type () -> (i32): it takes 0 arguments, and 2 were given; options stand before "
        "the image\n");
}

TEST_CASE("an image with garbage-collected objects") {
  TemporaryDirectory dir;
  const std::string types = section(1, vec({kNothingToNothing, bytes({0x5f, 1, 0x7f, 0})}));
  const std::string start = section(7, vec({name("_start") + bytes({0, 0})}));
  const std::string in_body = kImageHead + types + section(3, vec({u32(0)})) + start +
                              section(10, vec({body(bytes({0x41, 1, 0xfb, 0, 1, 0x1a}))}));
  CHECK(run_vmrun({dir.write("body.wasm", in_body)}).err ==
        "vmrun: error: garbage-collected objects are not executed yet: the image uses struct.new at offset 0x29\n");
  // In a constant expression; and before imports are looked for, since an image that cannot run needs none.
  const std::string in_global = kImageHead + types + section(2, vec({name("js") + name("f") + bytes({0, 0})})) +
                                section(6, vec({bytes({0x63, 1, 0, 0x41, 7, 0xfb, 0, 1, 0x0b})}));
  CHECK(run_vmrun({dir.write("global.wasm", in_global)}).err ==
        "vmrun: error: garbage-collected objects are not executed yet: the image uses struct.new at offset 0x24\n");
  CHECK(run_vmrun({"inspect", dir.write("body.wasm", in_body)}).status == 0);
  // An encoding from before the standard: what looks wrong is said, and that it would not help to put it right.
  const std::string old = kImageHead + types + section(3, vec({u32(0)})) + start +
                          section(10, vec({body(bytes({0x41, 1, 0xfb, 7, 10, 0x1a}))}));
  const auto r = run_vmrun({dir.write("old.wasm", old)});
  CHECK(r.status == 1);
  CHECK(r.err.find("unknown type 10") != std::string::npos);
  CHECK(r.err.find("; the image has garbage-collected types, and garbage-collected objects are not executed yet") !=
        std::string::npos);
}

}  // namespace
}  // namespace vmrun::test
