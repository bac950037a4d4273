// Whatever vmrun is given that is wrong: one clear message on standard error, the right exit status, nothing left
// behind.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/tools/command.h"

using vmrun::test::fixture;
using vmrun::test::run_vmrun;
using vmrun::test::TemporaryDirectory;

namespace {

constexpr int kError = 1, kUsage = 2, kTrap = 134;

/// Runs vmrun in an empty directory that must stay empty, and expects `status` and one message that holds `said`.
void refuse(int status, const std::string& said, const std::vector<std::string>& args) {
  CAPTURE(said);
  TemporaryDirectory cwd;
  const auto r = run_vmrun(args, cwd.path());
  CAPTURE(r.err);
  CAPTURE(r.out);
  CHECK(r.status == status);
  CHECK(r.out.empty());
  CHECK(r.err.starts_with("vmrun: "));
  CHECK(r.err.find(said) != std::string::npos);
  // A backtrace is indented; everything else is the one line.
  size_t lines = 0;
  for (size_t at = 0; at < r.err.size(); at = r.err.find('\n', at) + 1) lines += r.err[at] != ' ';
  CHECK(lines == 1);
  CHECK(r.err.ends_with('\n'));
  CHECK(std::filesystem::is_empty(cwd.path()));
}

void trap(const std::string& name, const std::vector<std::string>& invocation) {
  std::vector<std::string> args{"--invoke", invocation[0], fixture("cli_traps")};
  args.insert(args.end(), invocation.begin() + 1, invocation.end());
  refuse(kTrap, "trap: " + name, args);
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

TEST_CASE("files that are no images") {
  TemporaryDirectory dir;
  refuse(kError, "cannot open 'missing.wasm': No such file", {"missing.wasm"});
  refuse(kError, "is a directory", {dir.path()});
  refuse(kError, "'/dev/null' is empty", {"/dev/null"});
  refuse(kError, "is empty", {dir.write("empty.wasm", "")});
  refuse(kError, "is WebAssembly text; translate it first: wat2wasm", {dir.write("text.wat", "(module)\n")});
  refuse(kError, "is WebAssembly text", {dir.write("comment.wat", ";; a comment\n(module)\n")});
  refuse(kError, "is not a WebAssembly image", {dir.write("notes.txt", "Dear diary,\n")});
  refuse(kError, "is an ELF file", {"/proc/self/exe"});
  refuse(kError, "is compressed with gzip", {dir.write("packed.wasm", "\x1f\x8b\x08 and so on")});
  refuse(kError, "is a WebAssembly component", {dir.write("component.wasm", std::string("\0asm\x0d\0\1\0", 8))});
  refuse(kError, "version", {dir.write("version.wasm", std::string("\0asm\x07\0\0\0", 8))});
  if (geteuid() != 0) {
    const std::string path = dir.write("secret.wasm", std::string("\0asm\1\0\0\0", 8));
    std::filesystem::permissions(path, std::filesystem::perms::none);
    refuse(kError, "Permission denied", {path});
  }
}

TEST_CASE("an image cut off anywhere is refused") {
  TemporaryDirectory dir;
  const std::string image = bytes_of(fixture("cli_traps"));
  REQUIRE(image.size() > 100);
  // Every length would take seconds; a prime step meets all kinds of places.
  for (size_t size = 1; size < image.size(); size += 13) {
    CAPTURE(size);
    const auto r = run_vmrun({"--invoke", "divide", dir.write("cut.wasm", image.substr(0, size)), "4", "2"});
    CAPTURE(r.err);
    // Cut exactly between two sections it may be a smaller but valid module: without names, or without the export.
    if (r.status == 0) {
      CHECK(r.out == "2\n");
      continue;
    }
    CHECK((r.status == kError || (r.status == kUsage && r.err.find("exports no function") != std::string::npos)));
    CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
  }
}

TEST_CASE("malformed, invalid and oversized images say where") {
  TemporaryDirectory dir;
  const std::string head("\0asm\1\0\0\0", 8);
  refuse(kError, "0x", {dir.write("section.wasm", head + std::string("\x0f\x01\x00", 3))});
  refuse(kError, "0x", {dir.write("counts.wasm", head + std::string("\x01\x05\xff\xff\xff\xff\x0f", 7))});
  refuse(kError, "0x", {dir.write("sizes.wasm", head + std::string("\x01\xff\xff\xff\xff\x0f", 6))});
  // (func (result i32)) with an empty body
  refuse(kError, "0x",
         {dir.write("invalid.wasm", head + std::string("\x01\x05\x01\x60\x00\x01\x7f\x03\x02\x01\x00"
                                                       "\x0a\x04\x01\x02\x00\x0b",
                                                       17))});
  refuse(kError, "image", {"-W", "max-image-size=20", fixture("cli_traps")});
}

TEST_CASE("what the command line gets wrong") {
  refuse(kUsage, "no image given", {});
  refuse(kUsage, "no image given", {"run"});
  refuse(kUsage, "unknown option '--nonsense'", {"--nonsense", fixture("cli_empty")});
  refuse(kUsage, "needs a value", {"--invoke"});
  refuse(kUsage, "-W has no key 'nonsense'", {"-W", "nonsense=1", fixture("cli_empty")});
  refuse(kUsage, "needs a value", {"-W", "timeout", fixture("cli_empty")});
  refuse(kUsage, "is not a size", {"-W", "max-memory-size=much", fixture("cli_empty")});
  refuse(kUsage, "neither y nor n", {"-W", "simd=maybe", fixture("cli_empty")});
  refuse(kUsage, "none of quick, careful and auto", {"-O", "effort=heroic", fixture("cli_empty")});
  refuse(kUsage, "expected NAME=IMAGE", {"--preload", "name", fixture("cli_empty")});
  refuse(kUsage, "at least 1", {"--repeat", "0", fixture("cli_empty")});
  refuse(kUsage, "one image", {"inspect"});
  refuse(kUsage, "there is no command 'nonsense'", {"help", "nonsense"});
  refuse(kUsage, "wast needs scripts", {"wast"});
  refuse(kError, "cannot open", {"wast", "missing.json"});
}

TEST_CASE("imports, exports and arguments that do not fit") {
  refuse(kError, "unknown import", {fixture("cli_needs_import")});
  refuse(kError, "unknown import", {"--preload", "env=" + fixture("cli_empty"), fixture("cli_needs_import")});
  refuse(kError, "incompatible import type",
         {"--preload", "math=" + fixture("cli_other_add"), "--invoke", "five", fixture("cli_needs_values")});
  refuse(kTrap, "unknown import called: env.missing",
         {"-W", "unknown-imports-trap", "--invoke", "call", fixture("cli_needs_import")});
  refuse(kUsage, "exports no function 'subtract'; it exports add", {"--invoke", "subtract", fixture("cli_values")});
  refuse(kUsage, "exports no function 'answer'", {"--invoke", "answer", fixture("cli_values")});
  refuse(kUsage, "takes 2 arguments, and 1 was given", {"--invoke", "add", fixture("cli_values"), "1"});
  refuse(kUsage, "takes 2 arguments, and 3 were given", {"--invoke", "add", fixture("cli_values"), "1", "2", "3"});
  refuse(kUsage, "argument 2 of 'add', of type i32: 'two' is not an i32",
         {"--invoke", "add", fixture("cli_values"), "1", "two"});
  refuse(kUsage, "is not an i32", {"--invoke", "add", fixture("cli_values"), "1", "4294967296"});
  refuse(kUsage, "is not an f64", {"--invoke", "addd", fixture("cli_values"), "1", "1.5x"});
}

TEST_CASE("directories that cannot be opened") {
  refuse(kError, "/no/such/place", {"--dir", "/no/such/place", fixture("cli_guest")});
  TemporaryDirectory dir;
  const std::string file = dir.write("file", "text");
  refuse(kError, file, {"--dir", file + "::/", fixture("cli_guest")});
}

TEST_CASE("limits") {
  refuse(kError, "memory", {"-W", "max-memory-size=1M", fixture("cli_big_memory")});
  refuse(kError, "table", {"-W", "max-table-elements=1000", fixture("cli_big_table")});
  refuse(kError, "instance", {"-W", "max-instances=1", "--preload", "a=" + fixture("cli_empty"), fixture("cli_empty")});
  const auto grown = run_vmrun({"-W", "max-memory-size=64K", "--invoke", "grow", fixture("cli_traps"), "1"});
  CHECK(grown.status == 0);
  CHECK(grown.out == "-1\n");
  refuse(kTrap,
         "trap: ", {"-W", "max-memory-size=64K,trap-on-grow-failure", "--invoke", "grow", fixture("cli_traps"), "1"});
  trap("call stack exhausted", {"recurse", "0"});
  refuse(kTrap, "call stack exhausted", {"-W", "max-wasm-stack=64K", "--invoke", "recurse", fixture("cli_traps"), "0"});
}

TEST_CASE("traps have the specification's names") {
  trap("unreachable", {"unreachable"});
  trap("integer divide by zero", {"divide", "1", "0"});
  trap("integer overflow", {"divide", "-2147483648", "-1"});
  trap("invalid conversion to integer", {"convert", "nan"});
  trap("integer overflow", {"convert", "1e30"});
  trap("out of bounds memory access", {"load", "65533"});
  trap("out of bounds memory access", {"load", "-1"});
  trap("out of bounds memory access", {"store", "65536"});
  trap("out of bounds memory access", {"fill", "65530", "7"});
  trap("undefined element", {"indirect", "3"});
  trap("uninitialized element", {"indirect", "1"});
  trap("indirect call type mismatch", {"mismatch"});
  trap("out of bounds table access", {"table_get", "3"});
  refuse(kTrap, "trap: unreachable", {fixture("cli_start_trap")});
  refuse(kTrap, "uncaught exception", {"--invoke", "throw", fixture("cli_traps")});
}

TEST_CASE("a backtrace names module, function and offset") {
  const auto r = run_vmrun({"--invoke", "unreachable", fixture("cli_traps")});
  CHECK(r.err.find("0: traps!inner @ 0x") != std::string::npos);
  CHECK(r.err.find("1: traps!middle @ 0x") != std::string::npos);
  CHECK(r.err.find("2: traps!start_unreachable @ 0x") != std::string::npos);
}
