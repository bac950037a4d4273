// vmrun compile, and running what it makes.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

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

/// The file with the mode of a program that nobody may write.
std::string as_program(const std::string& path) {
  fs::permissions(path, fs::perms(0555));
  return path;
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

TEST_CASE(
    "compile: nothing takes the place of its source, and files are programs that nobody may write, as private as the "
    "mask says") {
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
  for (const auto& [mask, mode] : {std::pair("022", 0555u), std::pair("077", 0500u), std::pair("002", 0555u)}) {
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
  const CommandResult ran =
      run_vmrun({"--argv0", "x", "-O", "cache=off", as_program(folder.write("code.cwasm", bytes))});
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

TEST_CASE("compile: machine code in a file is run where the user says so, and no guest can have written it") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/x.cwasm", image = fixture("cli_guest");
  REQUIRE(run_vmrun({"compile", image, "-o", file}).status == 0);
  const std::string bytes = read_file(file), other = as_program(folder.write("app.wasm", bytes));
  const std::string planted = folder.write("planted.cwasm", bytes), data = folder.write("data", bytes);
  fs::create_symlink("data", folder.path() + "/link.cwasm");
  fs::create_symlink("x.cwasm", folder.path() + "/link");
  fs::create_directory(folder.path() + "/sub");
  const std::string plain = run_vmrun({"--argv0", "x", "-O", "cache=off", image}).out;
  const auto runs = [&](std::vector<std::string> args, const std::string& why, const std::string& cwd = {}) {
    args.insert(args.begin(), {"--stats", "--argv0", "x", "-O", "cache=off"});
    const CommandResult ran = run_vmrun(args, cwd);
    CAPTURE(args.back());
    CAPTURE(ran.err);
    CHECK(ran.out == plain);
    CHECK(says(ran.err, "code that was stored") == why.empty());
    CHECK(says(ran.err, "warning") == !why.empty());
    CHECK(says(ran.err, why));
  };
  runs({file}, "");
  runs({other}, "not called NAME.cwasm");
  runs({"--allow-precompiled", other}, "");
  runs({planted}, "could have been written by a guest");
  runs({"--allow-precompiled", planted}, "");
  runs({folder.path() + "/link.cwasm"}, "could have been written by a guest");
  runs({folder.path() + "/link"}, "not called NAME.cwasm");
  runs({data}, "not called NAME.cwasm");
  // Any write bit, and no bit to execute it.
  for (const unsigned mode : {0755u, 0575u, 0557u, 0777u, 0444u, 0400u}) {
    CAPTURE(mode);
    fs::permissions(planted, fs::perms(mode));
    runs({planted}, "could have been written by a guest");
  }
  for (const unsigned mode : {0500u, 0511u, 0555u}) {
    fs::permissions(planted, fs::perms(mode));
    runs({planted}, "");
  }
  // In the guest's own directory: it cannot write what nobody may write, and the rest is not run even where that is allowed.
  runs({"--dir", folder.path(), file}, "");
  runs({"--dir", ".", "x.cwasm"}, "", folder.path());
  fs::permissions(planted, fs::perms(0644));
  for (const std::string& dir : {folder.path(), folder.path() + "::/x", folder.path() + "/sub/..", std::string("/")}) {
    CAPTURE(dir);
    runs({"--allow-precompiled", "--dir", dir, planted}, "where the guest may write");
  }
  runs({"--allow-precompiled", "--dir", folder.path() + "/sub", planted}, "");
  runs({"--allow-precompiled", "--dir", folder.path() + "::/::ro", planted}, "");
  // By names that say nothing of the file.
  for (const char* name : {"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/dev/fd/7", "/proc/self/fd/7"}) {
    CAPTURE(name);
    const CommandResult ran = run_script("\"$vmrun\" --stats -O cache=off \"$1\" < \"$2\" 7< \"$2\"", {name, file});
    CHECK(says(ran.err, "image "));
    CHECK(!says(ran.err, "code that was stored"));
  }
  // Wherever an image is named.
  CHECK(says(run_vmrun({"--preload", "m=" + other, image}).err, "not called NAME.cwasm"));
  CHECK(says(run_vmrun({"--also", other, image}).err, "not called NAME.cwasm"));
  CHECK(says(run_vmrun({"--instances", "2", planted}).err, "could have been written"));
  CHECK(run_vmrun({"--mac-key", folder.write("key", std::string(32, 'k')), "--allow-precompiled", file}).status == 2);
  // Where nothing is run, nothing has to be said.
  CHECK(run_vmrun({"-O", "tier=interp,cache=off", planted}).err.empty());
  for (const char* command : {"inspect", "objdump"}) CHECK(run_vmrun({command, planted}).err.empty());
}

TEST_CASE("compile: for a fleet, code is for the processor that is named") {
  const TemporaryDirectory folder;
  const std::string image = fixture("opt_basic"), file = folder.path() + "/x.cwasm";
  const CommandResult listed = run_vmrun({"compile", "--target-cpu", "help"});
  CHECK(listed.status == 0);
  CHECK(listed.out.starts_with("native\nx86-64-v3\n"));
  CHECK(says(listed.out, "\nznver4\n"));
  CHECK(!says(listed.out, "x86-64-v2"));
  for (const char* wrong : {"x86-64-v2", "pentium9", ""}) {
    const CommandResult refused = run_vmrun({"compile", "--target-cpu", wrong, image, "-o", file});
    CAPTURE(refused.err);
    CHECK((refused.status == 0) == (std::string(wrong).empty()));
    CHECK(says(refused.err, wrong));
  }
  REQUIRE(run_vmrun({"compile", "--all-opt", "--target-cpu", "x86-64-v3", image, "-o", file}).status == 0);
  const std::string code = run_vmrun({"objdump", "--tier", "opt", file}).out;
  CHECK(says(code, "ret"));
  for (const char* wide : {"zmm", "%k", "{k", "mm16", "mm2", "mm3"}) {
    CAPTURE(wide);
    for (size_t at = code.find(wide); at != code.npos; at = code.find(wide, at + 1)) {
      // xmm2 and xmm3 are none of AVX-512's.
      const bool old = std::string_view(wide).starts_with("mm") && (code[at + 3] < '0' || code[at + 3] > '9');
      CHECK(old);
    }
  }
  const std::string inspected = run_vmrun({"inspect", file}).out;
  CHECK(says(inspected, "needs: "));
  CHECK(says(inspected, "avx2"));
  CHECK(!says(inspected, "avx512"));
  CHECK(says(run_vmrun({"inspect", "--json", file}).out, "\"needs\""));
  CHECK(run_vmrun({"--invoke", "add", file, "40", "2"}).out == "42\n");
  // What one processor of the list can do and this one cannot.
  std::string elsewhere;
  std::istringstream names(listed.out);
  for (std::string name; elsewhere.empty() && std::getline(names, name);) {
    const CommandResult made = run_vmrun({"compile", "--all-opt", "--target-cpu", name, image, "-o", file});
    CHECK(made.status == 0);
    if (says(made.out, "will not run here")) elsewhere = name;
  }
  if (elsewhere.empty()) {
    MESSAGE("skipped: this processor can do what all can that LLVM knows");
    return;
  }
  CAPTURE(elsewhere);
  check_refused(file, "instructions that this one has not: ");
  CHECK(says(run_vmrun({"inspect", file}).out, "missing here: "));
}

TEST_CASE("compile: with a profile, what took the time is optimised, and the profile of another image is refused") {
  const TemporaryDirectory folder;
  const std::string image = fixture("profile"), dump = folder.path() + "/p.json", file = folder.path() + "/x.cwasm";
  REQUIRE(run_vmrun({"-O", "cache=off", "-W", "unknown-imports-trap", "--profile=" + dump, "--invoke", "spin", image,
                     "300000000"})
              .status == 0);
  const CommandResult made = run_vmrun({"compile", "--profile", dump, image, "-o", file});
  CAPTURE(made.err);
  REQUIRE(made.status == 0);
  CHECK(!says(made.out, "0 of optimised code"));
  CHECK(!says(made.out, "0 functions of baseline"));
  CHECK(run_vmrun({"-W", "unknown-imports-trap", "--invoke", "spin", file, "10"}).status == 0);
  // Also of the compiled image.
  CHECK(run_vmrun({"compile", "--profile", dump, file, "-o", file}).status == 0);
  const auto refused = [&](const std::vector<std::string>& args, const std::string& why, int status) {
    std::vector<std::string> all{"compile", "-o", folder.path() + "/none.cwasm"};
    all.insert(all.end(), args.begin(), args.end());
    const CommandResult r = run_vmrun(all);
    CAPTURE(r.err);
    CHECK(r.status == status);
    CHECK(says(r.err, why));
    CHECK(!fs::exists(folder.path() + "/none.cwasm"));
    return r.err;
  };
  const std::string other = refused({"--profile", dump, fixture("cli_guest")}, "is the profile of another image", 2);
  CHECK(other.find('\n') == other.size() - 1);
  refused({"--profile", folder.path() + "/no.json", image}, "cannot read", 1);
  refused({"--profile", folder.write("bad.json", "{\"format\": \"vmrun-profile\"}"), image}, "bad.json", 1);
  refused({"--profile", dump, "--all-opt", image}, "leave one of them out", 2);
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
