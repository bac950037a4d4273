// vmrun compile, and running what it makes.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/tools/command.h"

using namespace vmrun::test;
namespace fs = std::filesystem;

namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Refused with one line that names the file and says why.
void check_refused(const std::string& path, const std::string& why) {
  const CommandResult run = run_vmrun({path});
  CAPTURE(run.err);
  CHECK(run.status == 1);
  CHECK(run.out.empty());
  CHECK(says(run.err, why));
  CHECK(says(run.err, fs::path(path).filename().string()));
  CHECK(run.err.find('\n') == run.err.size() - 1);
}

}  // namespace

TEST_CASE("compile: a C program runs as compiled, in a fresh process, without compiling") {
  const TemporaryDirectory folder;
  for (const bool all_opt : {false, true}) {
    const std::string file = folder.path() + "/x.cwasm";
    std::vector<std::string> args{"compile", fixture("cli_guest"), "-o", file};
    if (all_opt) args.emplace_back("--all-opt");
    const CommandResult made = run_vmrun(args);
    CAPTURE(made.err);
    REQUIRE(made.status == 0);
    CHECK(made.err.empty());
    CHECK(says(made.out, all_opt ? "of optimised code" : "functions of baseline and 0 of optimised code"));
    const CommandResult plain = run_vmrun({"--argv0", "x", "-O", "cache=off", fixture("cli_guest"), "a", "b c"});
    const CommandResult ran = run_vmrun({"--argv0", "x", "--stats", "-O", "cache=off", file, "a", "b c"});
    CHECK(ran.status == plain.status);
    CHECK(ran.out == plain.out);
    CAPTURE(ran.err);
    CHECK(says(ran.err, "code that was stored"));
    CHECK(says(ran.err, "0 quickly, 0 carefully"));
    // Traps and their places are those of the image.
    const CommandResult trap = run_vmrun({"compile", fixture("cli_traps"), "-o", file});
    REQUIRE(trap.status == 0);
    for (const char* name : {"unreachable", "throw"}) {
      const CommandResult a = run_vmrun({"-O", "cache=off", "--invoke", name, fixture("cli_traps")});
      const CommandResult b = run_vmrun({"--invoke", name, file});
      CHECK(a.status == 134);
      CHECK(b.status == 134);
      std::string text = b.err;
      for (size_t at; (at = text.find("x.cwasm")) != text.npos;) text.replace(at, 7, "cli_traps.wasm");
      CHECK(text == a.err);
    }
  }
}

TEST_CASE("compile: nothing takes the place of its source, and files are as private as the process's mask says") {
  const TemporaryDirectory folder;
  const std::string image = folder.path() + "/a.wasm", link = folder.path() + "/b.wasm";
  fs::copy_file(fixture("cli_traps"), image);
  fs::create_symlink("a.wasm", link);
  const auto size = fs::file_size(image);
  for (const std::string& output : {image, folder.path() + "/./a.wasm", link}) {
    const CommandResult r = run_vmrun({"compile", image, "-o", output});
    CAPTURE(r.err);
    CHECK(r.status == 2);
    CHECK(says(r.err, "would take the place of"));
    CHECK(fs::file_size(image) == size);
  }
  for (const auto& [mask, mode] : {std::pair("022", 0644u), std::pair("077", 0600u), std::pair("002", 0664u)}) {
    const std::string file = folder.path() + "/" + mask + ".cwasm";
    const CommandResult r = run_script("umask $1; \"$vmrun\" compile \"$2\" -o \"$3\"", {mask, image, file});
    REQUIRE(r.status == 0);
    CHECK(static_cast<unsigned>(fs::status(file).permissions()) == mode);
  }
}

TEST_CASE("compile: what fits neither this build nor this processor, and what is damaged, is refused with one line") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/x.cwasm";
  REQUIRE(run_vmrun({"compile", fixture("cli_guest"), "-o", file}).status == 0);
  const std::string good = read_file(file);
  check_refused(folder.write("empty.cwasm", ""), "is empty");
  check_refused(folder.write("head.cwasm", good.substr(0, 20)), "cut short");
  check_refused(folder.write("half.cwasm", good.substr(0, good.size() / 2)), "cut short");
  std::string bytes = good;
  bytes[8] = 99;
  check_refused(folder.write("format.cwasm", bytes), "format 99");
  bytes = good;
  bytes[40] ^= 1;
  check_refused(folder.write("header.cwasm", bytes), "damaged");
  bytes = good;
  bytes[4096 + 1000] ^= 1;
  check_refused(folder.write("image.cwasm", bytes), "damaged");
  // Its own image is not at stake where code is damaged: it is compiled anew, and a line tells.
  bytes = good;
  for (size_t at = good.size() - 2000; at < good.size(); ++at) bytes[at] ^= 0x55;
  const CommandResult plain = run_vmrun({"--argv0", "x", "-O", "cache=off", fixture("cli_guest")});
  const CommandResult ran = run_vmrun({"--argv0", "x", "-O", "cache=off", folder.write("code.cwasm", bytes)});
  CHECK(ran.status == plain.status);
  CHECK(ran.out == plain.out);
}

TEST_CASE("compile: options fit, or are refused") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/x.cwasm", image = fixture("cli_guest");
  CHECK(run_vmrun({"compile", image}).status == 2);
  CHECK(run_vmrun({"compile", "-o", file}).status == 2);
  CHECK(run_vmrun({"compile", image, image, "-o", file}).status == 2);
  CHECK(run_vmrun({"compile", image, "-o", file, "-O", "tier=interp"}).status == 2);
  CHECK(run_vmrun({"compile", image, "-o", "/nonexistent/x.cwasm"}).status == 1);
  CHECK(run_vmrun({"compile", "/nonexistent.wasm", "-o", file}).status == 1);
  CHECK(!fs::exists(file));
  CHECK(run_vmrun({"compile", "--help"}).status == 0);
  // Code for dense memories is used with them, and not without.
  REQUIRE(run_vmrun({"compile", "-O", "dense-memory", image, "-o", file}).status == 0);
  CHECK(says(run_vmrun({"--stats", "-O", "dense-memory", file}).err, "code that was stored"));
  CHECK(!says(run_vmrun({"--stats", file}).err, "code that was stored"));
  // A compiled image is compiled again.
  CHECK(run_vmrun({"compile", file, "-o", file}).status == 0);
  CHECK(says(run_vmrun({"--stats", file}).err, "code that was stored"));
}

TEST_CASE("compile: inspect and objdump show what is in it") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/x.cwasm";
  REQUIRE(run_vmrun({"compile", fixture("opt_basic"), "-o", file}).status == 0);
  const CommandResult inspected = run_vmrun({"inspect", file});
  CHECK(inspected.status == 0);
  CHECK(says(inspected.out, "compiled: by this build of vmrun"));
  CHECK(says(inspected.out, "baseline code: 21 functions"));
  CHECK(says(inspected.out, "functions: 21"));
  CHECK(says(run_vmrun({"inspect", "--json", file}).out, "\"this_build\": true"));
  CHECK(!says(run_vmrun({"inspect", fixture("opt_basic")}).out, "compiled:"));
  CHECK(run_vmrun({"objdump", file}).out == run_vmrun({"objdump", fixture("opt_basic")}).out);
  CHECK(says(run_vmrun({"objdump", "--tier", "baseline", "-f", "add", file}).out, "ret"));
  // Those of another build can be looked at, and compiled again.
  std::string bytes = read_file(file);
  bytes[0] = 'V';
  CHECK(run_vmrun({"inspect", folder.write("y.cwasm", bytes)}).status == 1);
}

TEST_CASE("compile: the code of a file that the guest may write is not run") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/x.cwasm", image = fixture("cli_guest");
  fs::create_directory(folder.path() + "/sub");
  fs::create_directory_symlink(folder.path(), folder.path() + "/sub/link");
  REQUIRE(run_vmrun({"compile", image, "-o", file}).status == 0);
  const auto stored = [&](const std::vector<std::string>& options, const std::string& cwd = {}) {
    std::vector<std::string> args{"--stats", "-O", "cache=off"};
    args.insert(args.end(), options.begin(), options.end());
    const CommandResult ran = run_vmrun(args, cwd);
    const bool used = says(ran.err, "code that was stored");
    CHECK(used == !says(ran.err, "where the guest may write"));
    CHECK(says(ran.err, "image "));  // it ran
    return used;
  };
  CHECK(stored({file}));
  CHECK(stored({"--dir", folder.path() + "/sub", file}));
  CHECK(stored({"--dir", folder.path() + "::/::ro", file}));
  CHECK(!stored({"--dir", folder.path(), file}));
  CHECK(!stored({"--dir", folder.path() + "/::/x", file}));
  CHECK(!stored({"--dir", folder.path() + "/sub/..", file}));
  CHECK(!stored({"--dir", folder.path() + "/sub/link", file}));
  CHECK(!stored({"--dir", "/", file}));
  CHECK(!stored({"--dir", ".", "x.cwasm"}, folder.path()));
  CHECK(!stored({"--dir", folder.path(), folder.path() + "/sub/link/x.cwasm"}));
  // By a link that the guest may replace.
  CHECK(!stored({"--dir", folder.path() + "/sub", folder.path() + "/sub/link/x.cwasm"}));
}

TEST_CASE("compile: with a key, what was made with it is run, also where the guest may write, and nothing else is") {
  const TemporaryDirectory folder, keys;
  const std::string file = folder.path() + "/x.cwasm", plain = folder.path() + "/y.cwasm", image = fixture("cli_guest");
  const std::string key = keys.write("key", std::string(32, 'k')), other = keys.write("other", std::string(32, 'o'));
  REQUIRE(run_vmrun({"compile", "--mac-key", key, image, "-o", file}).status == 0);
  REQUIRE(run_vmrun({"compile", image, "-o", plain}).status == 0);
  const auto runs = [&](const std::vector<std::string>& options) {
    std::vector<std::string> args{"--stats", "-O", "cache=off"};
    args.insert(args.end(), options.begin(), options.end());
    const CommandResult ran = run_vmrun(args);
    CAPTURE(ran.err);
    return says(ran.err, "code that was stored") && !says(ran.err, "warning");
  };
  CHECK(runs({"--mac-key", key, file}));
  CHECK(runs({"--mac-key", key, "--dir", folder.path(), file}));
  CHECK(runs({file}));
  CHECK(says(run_script("$vmrun --stats --mac-key \"$1\" - < \"$2\"", {key, file}).err, "code that was stored"));
  const auto refused = [&](const std::vector<std::string>& args, const std::string& why, int status = 1) {
    const CommandResult ran = run_vmrun(args);
    CAPTURE(ran.err);
    CHECK(ran.status == status);
    CHECK(ran.out.empty());
    CHECK(says(ran.err, why));
  };
  refused({"--mac-key", other, file}, "not right under this key");
  refused({"--mac-key", key, plain}, "there is no MAC");
  refused({"--mac-key", key, image}, "there is no MAC");
  refused({"--mac-key", key, "--preload", "m=" + plain, file}, "there is no MAC");
  refused({"--mac-key", folder.write("short", "secret"), file}, "32 to 4096 bytes", 2);
  refused({"--mac-key", keys.path() + "/none", file}, "cannot read the key", 2);
  for (const char* mode : {"", "::/k", "::/k::ro"}) {
    refused({"--mac-key", key, "--dir", keys.path() + mode, file}, "where the guest may read it", 2);
  }
  std::string bytes = read_file(file);
  bytes[bytes.size() - 100] ^= 1;
  refused({"--mac-key", key, folder.write("z.cwasm", bytes)}, "not right under this key");
  CHECK(says(run_vmrun({"inspect", file}).out, ", and a MAC"));
  CHECK(!says(run_vmrun({"inspect", plain}).out, ", and a MAC"));
  CHECK(says(run_vmrun({"inspect", "--json", file}).out, "\"mac\": true"));
  // It is what anybody computes who has the key.
  const CommandResult computed = run_script(
      "command -v openssl >/dev/null || exit 0; size=$(($(stat -c %s \"$1\") - 48)); "
      "{ printf 'vmrun stored code\\016\\0\\0\\0\\0\\0\\0\\0compiled image'; head -c $size \"$1\"; } | "
      "openssl dgst -sha256 -mac HMAC -macopt key:$(head -c 32 /dev/zero | tr '\\0' k) | sed 's/.*= //'; "
      "tail -c 32 \"$1\" | od -An -v -tx1 | tr -d ' \\n'",
      {file});
  if (computed.out.empty()) {
    MESSAGE("skipped: there is no openssl command");
  } else {
    REQUIRE(computed.out.size() == 129);
    CHECK(computed.out.substr(0, 64) == computed.out.substr(65));
  }
}
