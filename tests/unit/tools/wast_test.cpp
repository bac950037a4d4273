// vmrun wast on scripts of our own: what counts as a pass, and what the ledger excuses and demands.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/unit/tools/command.h"

using vmrun::test::fixture;
using vmrun::test::run_vmrun;
using vmrun::test::TemporaryDirectory;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// A directory with the script `commands` in NAME/NAME.json, and the images it may use.
class Suite {
 public:
  explicit Suite(const std::string& commands) {
    const std::string folder = dir_.path() + "/suite/script";
    std::filesystem::create_directories(folder);
    for (const char* image : {"cli_values", "cli_traps", "cli_needs_import", "cli_start_trap"}) {
      std::filesystem::copy(fixture(image), folder + "/" + image + ".wasm");
    }
    dir_.write("suite/script/bad.wasm", "not an image");
    dir_.write("suite/script/script.json", R"({"source_filename": "script.wast", "commands": [)" + commands + "]}");
  }
  vmrun::test::CommandResult run(const std::string& ledger = {}, const std::vector<std::string>& options = {}) const {
    std::vector<std::string> args{"wast"};
    args.insert(args.end(), options.begin(), options.end());
    if (!ledger.empty()) args.insert(args.end(), {"--ledger", dir_.write("ledger.txt", ledger)});
    args.push_back(dir_.path() + "/suite");
    return run_vmrun(args);
  }

 private:
  TemporaryDirectory dir_;
};

const std::string kValues = R"({"type": "module", "line": 1, "filename": "cli_values.wasm", "module_type": "binary"},)";
const std::string kTraps = R"({"type": "module", "line": 1, "filename": "cli_traps.wasm"},)";

std::string add(int line, const char* sum) {
  return R"({"type": "assert_return", "line": )" + std::to_string(line) +
         R"(, "action": {"type": "invoke", "field": "add", "args": [{"type": "i32", "value": "1"},)"
         R"({"type": "i32", "value": "4294967295"}]}, "expected": [{"type": "i32", "value": ")" +
         sum + "\"}]}";
}

std::string addf(const char* args, const char* expected) {
  return R"({"type": "assert_return", "line": 2, "action": {"type": "invoke", "field": "addf", "args": [)" +
         std::string(args) + R"(]}, "expected": [)" + expected + "]}";
}

}  // namespace

TEST_CASE("a script that holds passes") {
  const auto r = Suite(kValues + add(2, "0") + "," + add(3, "0")).run();
  CHECK(r.status == 0);
  CHECK(contains(r.out, "core                                 1          2       2        0        0      0"));
}

TEST_CASE("a failure is named with script and line, and fails the run") {
  const auto r = Suite(kValues + add(2, "0") + "," + add(3, "7")).run();
  CHECK(r.status == 1);
  CHECK(contains(r.out, "script:3: assert_return: expected i32:0x00000007, got i32:0x00000000"));
}

TEST_CASE("the ledger excuses a failure, and only that one") {
  const Suite suite(kValues + add(2, "0") + "," + add(3, "7"));
  CHECK(suite.run("script:3 a reason of its own\n").status == 0);
  CHECK(contains(suite.run("script:3 a reason of its own\n").out, "a reason of its own"));
  CHECK(suite.run("script:* any of it\n").status == 0);
  CHECK(suite.run("scr/*:* elsewhere\n").status == 1);
}

TEST_CASE("a pass that the ledger does not expect fails the run") {
  const Suite suite(kValues + add(2, "0"));
  const auto passed = suite.run("script:2 was broken once\n");
  CHECK(passed.status == 1);
  CHECK(contains(passed.out, "unexpected pass"));
  CHECK(suite.run("script:* nothing fails\n").status == 1);
  CHECK(contains(suite.run("script:99 no such line\n").out, "where there is no command"));
  CHECK(suite.run("another:5 not run here\n").status == 0);
}

TEST_CASE("what depends on an excused module is excused with it") {
  const Suite suite(R"({"type": "module", "line": 1, "filename": "bad.wasm", "name": "M"},)"
                    R"({"type": "register", "line": 2, "as": "m", "name": "M"},)" +
                    add(3, "0"));
  CHECK(suite.run().status == 1);
  CHECK(suite.run("script:1 broken on purpose\n").status == 0);
}

TEST_CASE("a bad ledger is refused") {
  const Suite suite(kValues + add(2, "0"));
  CHECK(contains(suite.run("nonsense\n").err, "line 1"));
  CHECK(contains(suite.run("# fine\nwithout telepathy script\n").err, "there is no proposal 'telepathy'"));
}

TEST_CASE("floats match by bits or by class of NaN") {
  const char* kNanArgs = R"({"type": "f32", "value": "2143289344"}, {"type": "f32", "value": "0"})";  // 0x7fc00000
  CHECK(Suite(kValues + addf(kNanArgs, R"({"type": "f32", "value": "nan:canonical"})")).run().status == 0);
  CHECK(Suite(kValues + addf(kNanArgs, R"({"type": "f32", "value": "nan:arithmetic"})")).run().status == 0);
  CHECK(Suite(kValues + addf(kNanArgs, R"({"type": "f32", "value": "0"})")).run().status == 1);
  CHECK(Suite(kValues + addf(kNanArgs, R"({"type": "either", "values": [{"type": "f32", "value": "1"},
                                          {"type": "f32", "value": "nan:canonical"}]})"))
            .run()
            .status == 0);
  const char* kZeros = R"({"type": "f32", "value": "2147483648"}, {"type": "f32", "value": "2147483648"})";  // -0 twice
  CHECK(Suite(kValues + addf(kZeros, R"({"type": "f32", "value": "2147483648"})")).run().status == 0);
  CHECK(Suite(kValues + addf(kZeros, R"({"type": "f32", "value": "0"})")).run().status == 1);
  CHECK(Suite(kValues + addf(kZeros, R"({"type": "f32", "value": "nan:canonical"})")).run().status == 1);
}

TEST_CASE("traps, exceptions, exhaustion and refusals") {
  const auto invoke = [](const char* type, const char* field, const char* text) {
    return std::string(R"({"type": ")") + type + R"(", "line": 2, "text": ")" + text +
           R"(", "action": {"type": "invoke", "field": ")" + field + R"(", "args": []}})";
  };
  CHECK(Suite(kTraps + invoke("assert_trap", "unreachable", "unreachable")).run().status == 0);
  CHECK(Suite(kTraps + invoke("assert_trap", "unreachable", "integer overflow")).run().status == 1);
  CHECK(Suite(kTraps + invoke("assert_exception", "throw", "")).run().status == 0);
  CHECK(Suite(kTraps + invoke("assert_trap", "throw", "unreachable")).run().status == 1);
  CHECK(Suite(kTraps + invoke("assert_return", "throw", "")).run().status == 1);

  const auto refuse = [](const char* type, const char* file, const char* text) {
    return std::string(R"({"type": ")") + type + R"(", "line": 2, "filename": ")" + file + R"(", "text": ")" + text +
           R"(", "module_type": "binary"})";
  };
  CHECK(Suite(refuse("assert_malformed", "bad.wasm", "magic")).run().status == 0);
  CHECK(Suite(refuse("assert_invalid", "cli_values.wasm", "type mismatch")).run().status == 1);
  CHECK(Suite(refuse("assert_unlinkable", "cli_needs_import.wasm", "unknown import")).run().status == 0);
  CHECK(Suite(refuse("assert_unlinkable", "cli_values.wasm", "unknown import")).run().status == 1);
  CHECK(Suite(refuse("assert_uninstantiable", "cli_start_trap.wasm", "unreachable")).run().status == 0);
  CHECK(Suite(refuse("assert_uninstantiable", "cli_values.wasm", "unreachable")).run().status == 1);
}

TEST_CASE("modules in the text format are skipped and counted") {
  const auto r =
      Suite(R"({"type": "assert_malformed", "line": 2, "filename": "x.wat", "text": "x", "module_type": "text"})")
          .run();
  CHECK(r.status == 0);
  CHECK(contains(r.out, "skipped: 1 assertions"));
}

TEST_CASE("what is no script is refused") {
  CHECK(contains(Suite("").run().out, "0"));
  const auto unknown = Suite(R"({"type": "assert_magic", "line": 4})").run();
  CHECK(unknown.status == 1);
  CHECK(contains(unknown.err, "line 4: unknown command 'assert_magic'"));
  TemporaryDirectory dir;
  CHECK(contains(run_vmrun({"wast", dir.path()}).err, "holds no test scripts"));
  CHECK(contains(run_vmrun({"wast", dir.write("x.json", "{")}).err, "is not a test script"));
}

TEST_CASE("functions are counted where they ran") {
  const Suite suite(kValues + add(2, "0") + "," + add(3, "0") + "," + add(4, "0"));
  auto r = suite.run({}, {"--tier", "steps", "--count"});
  CHECK(r.status == 0);
  CHECK(contains(r.out,
                 "interp              0          0          0            1            0\n"
                 "baseline            1          0          0            1            0\n"
                 "opt                 1          0          0            1            0\n"
                 "functions that ran: 1, elsewhere than wanted: 0\n"));
  r = suite.run({}, {"--tier", "opt", "--count"});
  CHECK(r.status == 0);
  CHECK(contains(r.out,
                 "interp              0          0          0            0            0\n"
                 "baseline            0          0          0            0            0\n"
                 "opt                 1          0          0            1            0\n"));
}

TEST_CASE("a file that is no script in JSON: what to do") {
  TemporaryDirectory dir;
  const auto about = [&](const std::string& file, const std::string& contents) {
    const std::string path = dir.write(file, contents);
    const auto r = run_vmrun({"wast", path});
    CHECK(r.status == 1);
    const std::string start = "vmrun: error: '" + path + "' ";
    REQUIRE(r.err.starts_with(start));
    return r.err.substr(start.size());
  };
  const std::string stem = dir.path() + "/a";
  const std::string translate = "is in the text format; translate it first: wast2json --enable-all '" + stem +
                                ".wast' -o '" + stem + ".json', then run '" + stem + ".json'\n";
  CHECK(about("a.wast", ";; a script\n(module)") == translate);
  CHECK(about("a.wast", "\n  (module)") == translate);
  CHECK(about("b.json", "{\n  \"commands\": [\n oops") ==
        "is not a test script: line 3 is not JSON, as wast2json writes it\n");
  CHECK(about("c.json", "") == "is not a test script: line 1 is not JSON, as wast2json writes it\n");
  CHECK(about("d.json", "{}") == "is not a test script: it is JSON, but not what wast2json writes\n");
  CHECK(about("e.wasm", std::string("\0asm\1\0\0\0", 8)) ==
        "is an image, not a test script; run it with 'vmrun run'\n");
}
