// --profile=guest: files that the tools they are for can read, and what is said where there can be none.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

bool is_installed(const std::string& program) {
  const bool found = run_script("command -v " + program).status == 0;
  if (!found) MESSAGE("skipped: " << program << " is not installed");
  return found;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The time that the guest spins for: some tenths of a second in any tier.
constexpr const char* kRounds = "300000000";

/// Runs the guest that spins. What it prints on standard error.
std::string profile(const std::string& value, const std::vector<std::string>& more = {}) {
  // From the cold start: with code from a cache there are no samples of other tiers.
  std::vector<std::string> args{"run", "-O", "cache=off", "-W", "unknown-imports-trap", "--profile", value};
  args.insert(args.end(), more.begin(), more.end());
  args.insert(args.end(), {"--invoke", "spin", fixture("profile"), kRounds});
  const auto r = run_vmrun(args);
  CHECK(r.status == 0);
  return r.err;
}

size_t files_in(const std::string& folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

TEST_CASE("profiles are what a strict reader expects of their formats") {
  if (!is_installed("python3")) return;
  const TemporaryDirectory folder;
  const struct {
    const char *name, *format, *hottest;
  } cases[] = {{"a.folded", "folded", "prof!spin"},
               {"a.pprof", "pprof", "spin"},
               {"a.pb", "pprof", "spin"},
               {"a.json", "speedscope", "spin"},
               {"a.trace.json", "trace", "prof!spin"}};
  for (const auto& c : cases) {
    CAPTURE(c.name);
    const std::string file = folder.path() + "/" + c.name;
    CHECK(profile("guest," + file + ",1ms") == "");
    const auto read =
        run_script("python3 \"$1\" \"$2\" \"$3\"", {VMRUN_SOURCE "/tests/unit/tools/check_profile.py", c.format, file});
    CHECK(read.err == "");
    CHECK(read.status == 0);
    std::istringstream line(read.out);
    int count = 0;
    double seconds = 0;
    std::string hottest;
    line >> count >> seconds >> hottest;
    CHECK(count >= 1);
    CHECK(seconds > 0.02);
    CHECK(hottest == c.hottest);
  }
  CHECK(files_in(folder.path()) == std::size(cases));  // nothing of another name is left
}

TEST_CASE("guests at the same time are in one profile") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/many.folded";
  CHECK(profile("guest," + file + ",1ms", {"--instances", "4"}) == "");
  CHECK(contents(file).find("prof!outer;prof!middle;prof!spin") != std::string::npos);
}

TEST_CASE("a guest that traps, runs out of time or is interrupted has a profile") {
  const TemporaryDirectory folder;
  const auto run = [&](const char* name, std::vector<std::string> more, int status) {
    const std::string file = folder.path() + "/" + name + ".folded";
    std::vector<std::string> args{"run", "-W", "unknown-imports-trap", "--profile", "guest," + file + ",1ms"};
    args.insert(args.end(), more.begin(), more.end());
    const bool ctrl_c = status == 130;
    const auto r = ctrl_c ? run_vmrun_with_ctrl_c(args, 600) : run_vmrun(args);
    CHECK(r.status == status);
    CHECK(contents(file).find("spin") != std::string::npos);
  };
  run("trap", {"--invoke", "trap", fixture("profile"), kRounds}, 134);
  run("time", {"-W", "timeout=500ms", "--invoke", "memory", fixture("stop_spin")}, 134);
  run("ctrl-c", {"--invoke", "memory", fixture("stop_spin")}, 130);
  run("ctrl-c-many", {"--instances", "2", "--invoke", "memory", fixture("stop_spin")}, 130);
}

TEST_CASE("a profile that cannot be written is one message, and the guest runs all the same") {
  const TemporaryDirectory folder;
  const std::string missing = folder.path() + "/missing/a.json";
  CHECK(profile("guest," + missing) ==
        "vmrun: warning: cannot write '" + missing + "': No such file or directory; there will be no profile\n");
  const std::string is_folder = folder.path() + "/folder.json";
  std::filesystem::create_directory(is_folder);
  CHECK(profile("guest," + is_folder) ==
        "vmrun: warning: cannot write '" + is_folder + "': Is a directory; there will be no profile\n");
  const std::string full = folder.path() + "/full.json";
  std::filesystem::create_symlink("/dev/full", full);
  CHECK(profile("guest," + full) == "vmrun: warning: cannot write '" + full + "': No space left on device\n");
  CHECK(files_in(folder.path()) == 2);
}

TEST_CASE("a profile that cannot be written whole leaves the file that was there") {
  const TemporaryDirectory folder;
  const std::string file = folder.write("a.json", "older");
  // A limit of no bytes is what a full disk is.
  const auto r = run_script(
      "trap '' XFSZ; ulimit -f 0; \"$vmrun\" run -W unknown-imports-trap --profile \"guest,$1\" --invoke spin \"$2\" "
      "1000",
      {file, fixture("profile")});
  CHECK(r.status == 0);
  CHECK(r.err == "vmrun: warning: cannot write '" + file + "': File too large\n");
  CHECK(contents(file) == "older");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a file is written through a link, and under a long name") {
  const TemporaryDirectory folder;
  const std::string file = folder.write("real.folded", "older");
  const std::string link = folder.path() + "/link.folded";
  std::filesystem::create_symlink(file, link);
  CHECK(profile("guest," + link + ",1ms") == "");
  CHECK(std::filesystem::is_symlink(link));
  CHECK(contents(file).find("spin") != std::string::npos);
  const std::string longest = folder.path() + "/" + std::string(248, 'n') + ".folded";
  CHECK(profile("guest," + longest + ",1ms") == "");
  CHECK(contents(longest).find("spin") != std::string::npos);
}

TEST_CASE("values of --profile that are nothing") {
  const auto says = [](const std::string& value, const std::string& message) {
    const auto r = run_vmrun({"run", "--profile", value, fixture("profile")});
    CHECK(r.status == 2);
    CHECK(r.err == "vmrun: '--profile': " + message + "; 'vmrun help run' lists what there is\n");
  };
  says("nothing", "'nothing' is none of guest, perfmap, jitdump and a file's name that ends in .json");
  says("guest,a.txt",
       "'a.txt' says by its end what it is to be: .folded (stacks as text), .pprof or .pb (pprof), .json (speedscope) "
       "or "
       ".trace.json (Perfetto)");
  says("a.jsonl", "'a.jsonl' is none of guest, perfmap, jitdump and a file's name that ends in .json");
  says("a.json,1ms", "the interval must be between 10ms and 24h");
  says("guest,a.json,1us", "the interval must be between 50us and 10s");
  says("guest,a.json,11s", "the interval must be between 50us and 10s");
  says("guest,a.json,soon", "'soon' is not a length of time such as 500ms, 10s or 5m");
}

}  // namespace
}  // namespace vmrun::test
