// Images that come out of a pipe or from standard input.
#include <doctest/doctest.h>

#include "tests/unit/tools/command.h"
#include "tests/unit/tools/image.h"

namespace vmrun::test {
namespace {

std::string library() { return fixture("cli_values"); }

TEST_CASE("an image from standard input") {
  const std::string guest = fixture("cli_guest");
  for (const char* script : {"cat \"$1\" | $vmrun - x y", "$vmrun - x y < \"$1\"", "cat \"$1\" | $vmrun /dev/stdin x y",
                             "$vmrun /dev/stdin x y < \"$1\"", "cat \"$1\" | $vmrun run - x y"}) {
    CAPTURE(script);
    const auto r = run_script(script, {guest});
    CHECK(r.status == 0);
    CHECK(r.err == "");
    CHECK(r.out == "arg stdin\narg x\narg y\n");
  }
}

TEST_CASE("an image from a named pipe or a descriptor") {
  const auto r = run_script("$vmrun --invoke add <(cat \"$1\") 1 2", {library()});
  CHECK(r.status == 0);
  CHECK(r.out == "3\n");
  TemporaryDirectory dir;
  const auto fifo = run_script("mkfifo \"$2/pipe\"; cat \"$1\" > \"$2/pipe\" & $vmrun --invoke add \"$2/pipe\" 1 2",
                               {library(), dir.path()});
  CHECK(fifo.out == "3\n");
  CHECK(run_script("cat \"$1\" | $vmrun inspect -", {library()}).out.find("add (func") != std::string::npos);
  CHECK(run_script("cat \"$1\" | $vmrun objdump -", {library()}).out.find("i32.add") != std::string::npos);
  // A file of that name is ./-
  CHECK(run_script("cp \"$1\" \"$2/-\"; cd \"$2\"; $vmrun --invoke add ./- 1 2", {library(), dir.path()}).out == "3\n");
}

TEST_CASE("standard input is at its end for the guest") {
  for (const char* script : {"cat \"$1\" | $vmrun -", "$vmrun - < \"$1\"", "$vmrun /dev/stdin < \"$1\""}) {
    CAPTURE(script);
    const auto r = run_script(script, {fixture("cli_stdin")});
    CHECK(r.err == "");
    CHECK(r.status == 10);  // read nothing, and no error
  }
  CHECK(run_script("echo something | $vmrun \"$1\"", {fixture("cli_stdin")}).status == 11);
}

TEST_CASE("what comes out of a pipe is bounded") {
  const auto r = run_script("cat \"$1\" | $vmrun -W max-image-size=100 --invoke add - 1 2", {library()});
  CHECK(r.status == 1);
  CHECK(r.err ==
        "vmrun: error: standard input has more than the 100 bytes that an image may have (-W max-image-size)\n");
  // What never ends and is no image is not read to its end; what begins like one is read up to the limit.
  CHECK(run_vmrun({"/dev/zero"}).err ==
        "vmrun: error: '/dev/zero' is not a WebAssembly image: it begins with the bytes 00 00 00 00 instead of 00 61 "
        "73 6d\n");
  CHECK(run_script("{ printf '\\0asm\\1\\0\\0\\0'; cat /dev/zero; } | $vmrun -W max-image-size=1M -").err ==
        "vmrun: error: standard input has more than the 1048576 bytes that an image may have (-W max-image-size)\n");
}

TEST_CASE("standard input that is no image") {
  CHECK(run_vmrun({"-"}).err == "vmrun: error: standard input is empty\n");
  CHECK(run_script("echo '(module)' | $vmrun -").err ==
        "vmrun: error: standard input is WebAssembly text; translate it first: wat2wasm '-' -o image.wasm\n");
  CHECK(run_script("head -c 50 \"$1\" | $vmrun --invoke add - 1 2", {library()})
            .err.starts_with("vmrun: error: standard input cannot be loaded: "));
  CHECK(run_script("$vmrun - < /").err == "vmrun: error: standard input cannot be read: Is a directory\n");
}

TEST_CASE("a terminal is no image") {
  // `script` gives the command a terminal; where it is missing nothing is claimed.
  if (run_script("command -v script").status != 0) {
    MESSAGE("skipped: no program 'script' to make a terminal with");
    return;
  }
  const auto r = run_script("script -qec \"$vmrun -\" /dev/null < /dev/null");
  CHECK(r.out.find("standard input is a terminal; send an image into it: vmrun - < IMAGE") != std::string::npos);
}

}  // namespace
}  // namespace vmrun::test
