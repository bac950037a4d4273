// Names that guests choose: what a terminal would obey is escaped wherever a name is printed, and a failure stays a line.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/tools/command.h"
#include "tests/unit/tools/image.h"

namespace vmrun::test {
namespace {

// Clears the screen, sets the title, begins a line that looks like ours, overrides the direction, and is C1's CSI.
const std::string kEvil = "a\x1b[2J\x07\nvmrun: all is well\xc2\x9b\xe2\x80\xae";
const std::string kTame = "a\\x1b[2J\\x07\\x0avmrun: all is well\\u{9b}\\u{202e}";

/// A program whose function of that name traps, in a module of that name, exported by that name.
std::string evil_program() {
  const std::string names =
      section(0, name("name") + section(0, name(kEvil)) + section(1, vec({u32(0) + name(kEvil)})));
  return kImageHead + section(1, vec({kNothingToNothing})) + section(3, vec({u32(0)})) +
         section(7, vec({name("_start") + bytes({0, 0}), name(kEvil) + bytes({0, 0})})) +
         section(10, vec({body(kUnreachable)})) + names + section(0, name(kEvil) + "contents");
}

std::string evil_import() {
  return kImageHead + section(1, vec({kNothingToNothing})) + section(2, vec({name(kEvil) + name("f") + bytes({0, 0})}));
}

/// No control character but the ends of lines, and no other line than `lines`.
void check_tame(const std::string& text, long lines) {
  CAPTURE(text);
  CHECK(std::count(text.begin(), text.end(), '\n') == lines);
  CHECK(std::ranges::none_of(text, [](unsigned char c) { return (c < 0x20 && c != '\n') || c == 0x7f; }));
  CHECK(text.find("\xc2\x9b") == std::string::npos);
  CHECK(text.find("\xe2\x80\xae") == std::string::npos);
}

TEST_CASE("a backtrace escapes the names of module and function") {
  TemporaryDirectory dir;
  const auto r = run_vmrun({dir.write("evil.wasm", evil_program())});
  CHECK(r.status == 134);
  CHECK(r.err ==
        "vmrun: trap: unreachable\n    0: " + kTame + "!" + kTame + " @ 0x" + r.err.substr(r.err.rfind("0x") + 2));
  check_tame(r.err, 2);
}

TEST_CASE("messages escape names, and are one line") {
  TemporaryDirectory dir;
  const std::string program = dir.write("evil.wasm", evil_program());
  const auto link = run_vmrun({dir.write("import.wasm", evil_import())});
  CHECK(link.status == 1);
  CHECK(link.err == "vmrun: error: unknown import: " + kTame + ".f, a (func); provide it with --preload " + kTame +
                        "=IMAGE, or let it trap when it is called: -W unknown-imports-trap\n");
  const auto no_export = run_vmrun({"--invoke", "nothing", program});
  CHECK(no_export.status == 2);
  CHECK(no_export.err == "vmrun: error: the image exports no function 'nothing'; it exports _start, " + kTame + "\n");
  // What the user writes is not obeyed either.
  check_tame(run_vmrun({kEvil + ".wasm"}).err, 1);
  check_tame(run_vmrun({"--" + kEvil}).err, 1);
  check_tame(run_vmrun({kEvil}).err, 1);
  check_tame(run_vmrun({"-W", kEvil, program}).err, 1);
}

TEST_CASE("an error of validation names the function without its control characters") {
  TemporaryDirectory dir;
  std::string image = evil_program();
  image.replace(image.find(body(kUnreachable)), 4, body(bytes({0x6a})));  // i32.add without operands
  const auto r = run_vmrun({dir.write("invalid.wasm", image)});
  CHECK(r.status == 1);
  CHECK(r.err.find("at i32.add in function 0 (" + kTame + ")") != std::string::npos);
  check_tame(r.err, 1);
}

TEST_CASE("inspect and objdump escape names") {
  TemporaryDirectory dir;
  const std::string program = dir.write("evil.wasm", evil_program());
  const auto text = run_vmrun({"inspect", program});
  CHECK(text.out.find("module '" + kTame + "'") != std::string::npos);
  CHECK(text.out.find("custom '" + kTame + "'") != std::string::npos);
  CHECK(text.out.find("\n  " + kTame + " (func)\n") != std::string::npos);
  CHECK(text.out.find("the largest '" + kTame + "'") != std::string::npos);
  check_tame(text.out, std::count(text.out.begin(), text.out.end(), '\n'));
  const auto json = run_vmrun({"inspect", "--json", program});
  CHECK(json.out.find("a\\u001b[2J\\u0007\\nvmrun: all is well\\u009b\\u202e") != std::string::npos);
  check_tame(json.out, std::count(json.out.begin(), json.out.end(), '\n'));
  const auto code = run_vmrun({"objdump", program});
  CHECK(code.out.find("<" + kTame + ">") != std::string::npos);
  CHECK(code.out.find("(export \"_start\", \"" + kTame + "\")") != std::string::npos);
  check_tame(code.out, 3);
}

TEST_CASE("the test suite's runner escapes what scripts say") {
  TemporaryDirectory dir;
  dir.write("evil.wasm", evil_import());
  const auto r =
      run_vmrun({"wast", dir.write("script.json", R"({"commands": [)"
                                                  R"({"type": "module", "line": 1, "filename": "evil.wasm"},)"
                                                  R"({"type": "action", "line": 2, "action":)"
                                                  R"({"type": "invoke", "module": "x\u001b\u009b"}}]})")});
  CHECK(r.status == 1);
  CHECK(r.out.find(":1: module: ") != std::string::npos);
  CHECK(r.out.find(kTame) != std::string::npos);
  CHECK(r.out.find("there is no module 'x\\x1b\\u{9b}'") != std::string::npos);
  check_tame(r.out, std::count(r.out.begin(), r.out.end(), '\n'));
}

TEST_CASE("a function without a name is called what it is exported or imported as") {
  TemporaryDirectory dir;
  // Functions: an import, one that is exported, one that is not; each calls the one before.
  const std::string image = kImageHead + section(1, vec({kNothingToNothing})) +
                            section(2, vec({name("env") + name("log") + bytes({0, 0})})) +
                            section(3, vec({u32(0), u32(0)})) +
                            section(7, vec({name("_start") + bytes({0, 1}), name("again") + bytes({0, 1})})) +
                            section(10, vec({body(bytes({0x10, 2})), body(bytes({0x10, 0, 0}))}));
  const std::string path = dir.write("stripped.wasm", image);
  const auto code = run_vmrun({"objdump", path});
  CHECK(code.out.find("func[1] <_start>") != std::string::npos);
  CHECK(code.out.find("func[2] ()") != std::string::npos);
  CHECK(code.out.find("call 0 (; log ;)") != std::string::npos);
  const std::string trapping =
      dir.write("traps.wasm", kImageHead + section(1, vec({kNothingToNothing})) + section(3, vec({u32(0), u32(0)})) +
                                  section(7, vec({name("_start") + bytes({0, 0})})) +
                                  section(10, vec({body(bytes({0x10, 1})), body(kUnreachable)})));
  const auto r = run_vmrun({trapping});
  CHECK(r.err.find("0: traps.wasm!func[1] @") != std::string::npos);
  CHECK(r.err.find("1: traps.wasm!_start @") != std::string::npos);
}

TEST_CASE("log lines escape what guests say") {
  TemporaryDirectory dir;
  // The guest opens a path of its own making; the trace shows it.
  const auto r =
      run_vmrun({"-D", "log=wasi=trace", "--dir", dir.path() + "::/", fixture("cli_guest"), "file:/" + kEvil});
  const size_t at = r.err.find("[wasi] trace: path_open");
  REQUIRE(at != std::string::npos);
  const std::string line = r.err.substr(at, r.err.find('\n', at) + 1 - at);
  CHECK(line.find("path=\"" + kTame + "\"") != std::string::npos);
  check_tame(line, 1);
}

}  // namespace
}  // namespace vmrun::test
