// Source lines in what the command says: backtraces, profiles, dumps and the report's page.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/tools/browser.h"
#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

using Json = nlohmann::json;

constexpr const char* kFile = "/guest/tests/guests/lines_ledger.cpp";

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

/// A dump of the guest that spins.
std::string spin(const TemporaryDirectory& folder, const std::string& value) {
  const std::string file = folder.path() + "/" + value;
  const auto r = run_vmrun({"run", "-O", "cache=off", "--profile",
                            (value.ends_with(".json") && value[0] == 'd' ? "" : "guest,") + file,
                            fixture("lines_ledger5"), "spin"});
  CHECK(r.status == 0);
  CHECK(r.err == "");
  return file;
}

TEST_CASE("a backtrace with details has inlined frames, files, lines and columns") {
  for (const char* image : {"lines_ledger4", "lines_ledger5"}) {
    const auto r = run_vmrun({"-D", "backtrace-details", fixture(image), "x"});
    CAPTURE(r.err);
    CHECK(r.status == 134);
    CHECK(has(r.err, "!app::Ledger::divide (inlined) @ 0x"));
    CHECK(has(r.err, std::string("\n         at ") + kFile + ":13:14\n    1: "));
    CHECK(has(r.err, "!app::Ledger::total(int) const @ 0x"));
    CHECK(has(r.err, std::string("\n         at ") + kFile + ":17:"));
    CHECK(has(r.err, std::string(kFile) + ":41:"));
    CHECK(!has(r.err, "note:"));
  }
}

TEST_CASE("without details a note says how to have them, once, and only where there are any") {
  const auto r = run_vmrun({fixture("lines_ledger5"), "x"});
  CHECK(r.status == 134);
  CHECK(!has(r.err, kFile));
  CHECK(r.err.ends_with("\n  note: VMRUN_BACKTRACE_DETAILS=1 shows source lines\n"));
  CHECK(r.err.find("note:") == r.err.rfind("note:"));
  CHECK(!has(run_vmrun({"--invoke", "div", fixture("cli_traps"), "1", "0"}).err, "note:"));
  const auto by_environment =
      run_script("VMRUN_BACKTRACE_DETAILS=1 \"$vmrun\" \"$1\" x 2>&1", {fixture("lines_ledger5")});
  CHECK(has(by_environment.out, std::string(kFile) + ":13:14"));
}

TEST_CASE("profiles name source lines and what the guest's compiler inlined") {
  const TemporaryDirectory folder;
  CHECK(has(contents(spin(folder, "a.folded")),
            ";lines_ledger5.wasm!app::spin(unsigned int);lines_ledger5.wasm!app::(anonymous namespace)::mix "));
  const Json scope = Json::parse(contents(spin(folder, "a.json")));
  bool seen = false;
  for (const Json& frame : scope["shared"]["frames"]) {
    seen |= frame["name"] == "app::(anonymous namespace)::mix" && frame["file"] == kFile && frame["line"] >= 24 &&
            frame["line"] <= 26;
  }
  CHECK(seen);
  if (run_script("command -v go").status == 0) {
    const std::string file = spin(folder, "a.pprof");
    const auto lines = run_script("HOME=/root go tool pprof -lines -top \"$1\" 2>&1", {file});
    CHECK(has(lines.out, "mix " + std::string(kFile) + ":2"));
    CHECK(has(lines.out, "(inline)"));
  } else {
    MESSAGE("skipped: go is not installed");
  }
}

TEST_CASE("a dump has hot source lines, and the page their text from a folder that the user names") {
  const TemporaryDirectory folder;
  const std::string dump = spin(folder, "dump.json");
  const Json lines = Json::parse(contents(dump))["modules"][0]["lines"];
  REQUIRE(!lines.empty());
  CHECK(lines[0]["file"] == kFile);
  CHECK(lines[0]["line"] >= 24);
  CHECK(lines[0]["line"] <= 32);
  const std::string page = folder.path() + "/page.html";
  CHECK(run_vmrun({"report", "-o", page, dump}).status == 0);
  CHECK(!has(contents(page), "\"text\":"));
  const auto r = run_vmrun({"report", "-o", page, "--source-root", VMRUN_SOURCE, dump});
  CHECK(r.status == 0);
  CHECK(has(contents(page), "\"text\":\"h ^= h"));
  CHECK(run_vmrun({"report", "-o", page, "--source-root", folder.path() + "/none", dump}).status == 1);
  CHECK(has(run_vmrun({"report", "-o", page, "--source-root", folder.path(), dump}).err,
            "; the hottest is in " + std::string(kFile)));
  // A run too short for samples, or without debug information, is no fault of the folder's.
  const std::string bare = folder.path() + "/bare.json";
  CHECK(run_vmrun({"run", "--profile", bare, "--invoke", "spin", "-W", "unknown-imports-trap", fixture("profile"), "1"})
            .status == 0);
  CHECK(run_vmrun({"report", "-o", page, "--source-root", VMRUN_SOURCE, dump, bare}).err ==
        "vmrun: wrote " + page + "\n");
  CHECK(has(run_vmrun({"report", "-o", page, "--source-root", VMRUN_SOURCE, bare}).err,
            "warning: --source-root: no source lines were sampled"));
}

TEST_CASE("the table of source lines is used in a browser, large and small, light and dark") {
  if (!has_browser()) return;
  const TemporaryDirectory folder;
  Json dump = Json::parse(contents(spin(folder, "dump.json")));
  // As a hostile image would have it.
  Json odd = dump["modules"][0]["lines"][0];
  odd["file"] = "/x/<b>\"'</script>.c";
  odd["function"] = "<img src=x onerror=\"document.title='hit'\">";
  dump["modules"][0]["lines"].push_back(odd);
  const std::string page = folder.path() + "/page.html";
  const auto r =
      run_vmrun({"report", "-o", page, "--source-root", VMRUN_SOURCE, folder.write("changed.json", dump.dump())});
  CHECK(r.status == 0);
  const std::vector<std::string> looks[] = {{"--window-size=1200,900"},
                                            {"--window-size=500,900", "--blink-settings=preferredColorScheme=0"}};
  for (const auto& look : looks) {
    CAPTURE(look[0]);
    CHECK(drive_report(folder, page, VMRUN_SOURCE "/tests/unit/tools/drive_source.js", look) == "[]");
  }
}

TEST_CASE("a page has nothing from outside of the folder, whatever a dump names") {
  const TemporaryDirectory folder;
  const std::string inside = folder.path() + "/inside";
  std::filesystem::create_directory(inside);
  folder.write("secret.c", "secret\n");
  folder.write("inside/plain.c", "plain\n");
  std::filesystem::create_symlink("../secret.c", inside + "/link.c");
  std::filesystem::create_symlink(folder.path() + "/secret.c", inside + "/absolute.c");
  REQUIRE(mkfifo((inside + "/pipe.c").c_str(), 0600) == 0);
  Json dump = Json::parse(contents(spin(folder, "dump.json")));
  Json& lines = dump["modules"][0]["lines"];
  const Json one = lines[0];
  lines = Json::array();
  for (const char* file : {"../secret.c", "a/../../secret.c", "/x/../../secret.c", "link.c", "/link.c", "absolute.c",
                           "pipe.c", "", "/", ".", "/etc/passwd"}) {
    lines.push_back(one);
    lines.back()["file"] = file;
    lines.back()["line"] = 1;
  }
  lines.back()["file"] = folder.path() + "/secret.c";
  lines.push_back(one);
  lines.back()["file"] = "/some/where/plain.c";
  lines.back()["line"] = 1;
  const std::string page = folder.path() + "/page.html";
  const std::string file = folder.write("hostile.json", dump.dump());
  CHECK(run_vmrun({"report", "-o", page, "--source-root", inside, file}).status == 0);
  const std::string text = contents(page);
  CHECK(has(text, "\"text\":\"plain\""));
  CHECK(!has(text, "\"text\":\"secret\""));
  CHECK(text.find("\"text\":") == text.rfind("\"text\":"));
}

}  // namespace
}  // namespace vmrun::test
