// What vmrun does when all is well: running, invoking, granting, inspecting, disassembling.
#include "tests/unit/tools/command.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

using vmrun::test::fixture;
using vmrun::test::run_vmrun;
using vmrun::test::TemporaryDirectory;

namespace {

std::string invoke(const std::vector<std::string>& invocation) {
  std::vector<std::string> args{"--invoke", invocation[0], fixture("cli_values")};
  args.insert(args.end(), invocation.begin() + 1, invocation.end());
  const auto r = run_vmrun(args);
  CHECK(r.status == 0);
  CHECK(r.err == "");
  return r.out;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("an empty image runs and does nothing") {
  const auto r = run_vmrun({fixture("cli_empty")});
  CHECK(r.status == 0);
  CHECK(r.out == "");
  CHECK(r.err == "");
}

TEST_CASE("--invoke takes arguments and prints results by type") {
  CHECK(invoke({"add", "2", "3"}) == "5\n");
  CHECK(invoke({"add", "4294967295", "-1"}) == "-2\n");
  CHECK(invoke({"add", "0x10", "-0x1"}) == "15\n");
  CHECK(invoke({"add64", "9223372036854775807", "1"}) == "-9223372036854775808\n");
  CHECK(invoke({"addf", "0.1", "0.2"}) == "0.3\n");
  CHECK(invoke({"addd", "0.1", "0.2"}) == "0.30000000000000004\n");
  CHECK(invoke({"addd", "1e21", "0"}) == "1000000000000000000000\n");
  CHECK(invoke({"addd", "inf", "-inf"}) == "NaN\n");
  CHECK(invoke({"addd", "-inf", "1"}) == "-inf\n");
  CHECK(invoke({"vector", "340282366920938463463374607431768211455"}) == "340282366920938463463374607431768211455\n");
  CHECK(invoke({"pair"}) == "-7\n0.1\n");
  CHECK(invoke({"nothing"}) == "");
  CHECK(invoke({"null_extern"}) == "<null externref>\n");
  CHECK(invoke({"function"}) == "<funcref>\n");
}

TEST_CASE("a guest's exit status is vmrun's") {
  CHECK(run_vmrun({fixture("cli_exit")}).status == 7);
  CHECK(run_vmrun({fixture("cli_guest"), "exit:42"}).status == 42);
}

TEST_CASE("arguments after the image are the guest's") {
  const auto r = run_vmrun({"run", fixture("cli_guest"), "--stats", "-W", "--", "x y"});
  CHECK(r.status == 0);
  CHECK(r.out == "arg cli_guest.wasm\narg --stats\narg -W\narg --\narg x y\n");
  CHECK(run_vmrun({"--argv0", "name", fixture("cli_guest")}).out == "arg name\n");
}

TEST_CASE("variables and directories are granted one by one") {
  auto r = run_vmrun({"--env", "A=1", "--env", "PATH", fixture("cli_guest"), "env:A", "env:HOME", "env:PATH"});
  CHECK(contains(r.out, "A=1\n"));
  CHECK(contains(r.out, "HOME=(unset)\n"));
  CHECK(!contains(r.out, "PATH=(unset)\n"));
  CHECK(contains(run_vmrun({"-S", "inherit-env", fixture("cli_guest"), "env:PATH"}).out, "PATH=/"));

  TemporaryDirectory dir;
  dir.write("note", "hello\n");
  r = run_vmrun({"--dir", dir.path() + "::/data", fixture("cli_guest"), "file:/data/note"});
  CHECK(r.status == 0);
  CHECK(contains(r.out, "hello\n"));
  CHECK(run_vmrun({fixture("cli_guest"), "file:" + dir.path() + "/note"}).status == 3);
}

TEST_CASE("modules can be preloaded for others to import") {
  const auto r =
      run_vmrun({"--preload", "math=" + fixture("cli_values"), "--invoke", "five", fixture("cli_needs_values")});
  CHECK(r.err == "");
  CHECK(r.out == "5\n");
}

TEST_CASE("functions that nobody provides may stay unused") {
  CHECK(run_vmrun({"-W", "unknown-imports-trap", fixture("cli_needs_import")}).status == 0);
}

TEST_CASE("proposals can be switched off") {
  const auto r = run_vmrun({"-W", "simd=n", fixture("cli_values")});
  CHECK(r.status == 1);
  CHECK(contains(r.err, "simd"));
}

TEST_CASE("every way of executing gives the same answer") {
  const std::vector<std::string> ways[] = {
      {"-O", "effort=quick"}, {"-O", "effort=careful"}, {"-O", "dense-memory"}, {"-O", "validation-threads=1"}};
  for (std::vector<std::string> args : ways) {
    args.insert(args.end(), {"--invoke", "addd", fixture("cli_values"), "1.5", "2.25"});
    CHECK(run_vmrun(args).out == "3.75\n");
  }
}

TEST_CASE("--repeat times each run, --stats tells about the last") {
  const auto r = run_vmrun({"--repeat", "3", "--stats", fixture("cli_guest")});
  CHECK(r.status == 0);
  CHECK(r.out == "arg cli_guest.wasm\narg cli_guest.wasm\narg cli_guest.wasm\n");
  CHECK(contains(r.err, "run 3 of 3: instantiate "));
  CHECK(contains(r.err, "load and validate"));
  CHECK(contains(r.err, "functions translated"));
}

TEST_CASE("system calls can be watched") {
  CHECK(contains(run_vmrun({"-D", "log=wasi=trace", fixture("cli_guest")}).err, "fd_write"));
}

TEST_CASE("help describes every option and key") {
  CHECK(contains(run_vmrun({"--help"}).out, "--invoke NAME"));
  CHECK(contains(run_vmrun({"help", "run"}).out, "-W, --wasm KEY[=VALUE]"));
  CHECK(contains(run_vmrun({"-W", "help"}).out, "unknown-imports-trap[=y|n]"));
  CHECK(contains(run_vmrun({"-O", "help"}).out, "effort=EFFORT"));
  CHECK(contains(run_vmrun({"-S", "help"}).out, "inherit-env"));
  CHECK(contains(run_vmrun({"-D", "help"}).out, "log=COMPONENT=LEVEL"));
  CHECK(run_vmrun({"--version"}).out.starts_with("vmrun "));
}

TEST_CASE("inspect") {
  const auto text = run_vmrun({"inspect", fixture("cli_traps")});
  CHECK(text.status == 0);
  CHECK(contains(text.out, "module 'traps'"));
  CHECK(contains(text.out, "exceptions"));
  CHECK(contains(text.out, "divide (func"));
  const auto json = run_vmrun({"inspect", "--json", fixture("cli_needs_import")});
  CHECK(json.out.starts_with("{\n"));
  CHECK(contains(json.out, "\"module\": \"env\""));
  CHECK(contains(json.out, "\"kind\": \"func\""));
}

TEST_CASE("objdump") {
  const auto all = run_vmrun({"objdump", fixture("cli_traps")});
  CHECK(all.status == 0);
  CHECK(contains(all.out, "<inner>"));
  CHECK(contains(all.out, "i32.div_s"));
  const auto one = run_vmrun({"objdump", "--function", "divide", fixture("cli_traps")});
  CHECK(contains(one.out, "(i32, i32) -> (i32)"));
  CHECK(!contains(one.out, "<inner>"));
  CHECK(run_vmrun({"objdump", "--function", "nothing like it", fixture("cli_traps")}).status == 2);
  // Machine code beneath the instructions it was made of.
  const auto code = run_vmrun({"objdump", "--tier=baseline", "--function", "divide", fixture("cli_traps")});
  const size_t gets = code.out.find("local.get"), divides = code.out.find("i32.div_s"), idiv = code.out.find("idiv");
  if (code.out.find("none: ") == std::string::npos) {
    REQUIRE(idiv != std::string::npos);
    CHECK(gets < divides);
    CHECK(divides < idiv);
  }
}

TEST_CASE("optimised code that was asked for and cannot be made is missed aloud") {
  TemporaryDirectory folder;
  folder.write("vmrun-opt.so", "not a library");
  setenv("VMRUN_PLUGINS", folder.path().c_str(), 1);
  const auto asked = run_vmrun({"-O", "tier=opt", "--invoke", "divide", fixture("cli_traps"), "6", "3"});
  const auto not_asked = run_vmrun({"--invoke", "divide", fixture("cli_traps"), "6", "3"});
  unsetenv("VMRUN_PLUGINS");
  CHECK(asked.status == 0);
  CHECK(asked.out == "2\n");
  CHECK(contains(asked.err, "no optimised code"));
  CHECK(not_asked.err.empty());
}

TEST_CASE("docs/cli.md holds the options as they are") {
  std::ifstream file(VMRUN_SOURCE "/docs/cli.md");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const std::string marker = "a test compares it. -->\n";
  const size_t at = text.find(marker);
  REQUIRE(at != std::string::npos);
  // If it differs: cut the file after the marker and append the output of `vmrun help --markdown`.
  CHECK(text.substr(at + marker.size()) == run_vmrun({"help", "--markdown"}).out);
}
