// Profiles of --profile=guest, opened by the programs that they are for: names and times have to be right there. A program
// that is not installed is named. Those of npm are taken from the folder VMRUN_TEST_CONSUMERS (docs/testing.md).
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/tools/browser.h"
#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

using Json = nlohmann::json;

bool is_installed(const std::string& program) {
  const bool found = run_script("command -v " + program).status == 0;
  if (!found) MESSAGE("skipped: " << program << " is not installed");
  return found;
}

/// The folder of a package of npm; empty, and said: it is not there.
std::string package(const std::string& name) {
  const char* folder = std::getenv("VMRUN_TEST_CONSUMERS");
  if (folder == nullptr) {
    MESSAGE("skipped: VMRUN_TEST_CONSUMERS names no folder with the npm package " << name);
    return {};
  }
  const std::string path = std::string(folder) + "/node_modules/" + name;
  if (std::filesystem::is_directory(path)) return path;
  MESSAGE("skipped: there is no " << path);
  return {};
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Profiles a guest of which nearly all is `spin`, called by `middle`, called by `outer`.
std::string make_profile(const TemporaryDirectory& folder, const std::string& name,
                         const std::string& image = fixture("profile")) {
  const std::string file = folder.path() + "/" + name;
  const auto r = run_vmrun({"run", "-O", "cache=off", "-W", "unknown-imports-trap", "--profile",
                            "guest," + file + ",1ms", "--invoke", "spin", image, "300000000"});
  CHECK(r.status == 0);
  CHECK(r.err == "");
  return file;
}

TEST_CASE("go tool pprof opens a profile and names what is hot") {
  if (!is_installed("go")) return;
  const TemporaryDirectory folder;
  const std::string file = make_profile(folder, "a.pprof");
  const auto top =
      run_script("HOME=\"$2\" GOFLAGS= GOTOOLCHAIN=local go tool pprof -top \"$1\"", {file, folder.path()});
  CHECK(top.status == 0);
  CHECK(top.out.find("Type: cpu") != std::string::npos);
  CHECK(top.out.find("File: prof") != std::string::npos);
  CHECK(top.out.find(" spin\n") != std::string::npos);
  CHECK(top.out.find(" outer\n") != std::string::npos);
  const auto tags = run_script("HOME=\"$2\" GOTOOLCHAIN=local go tool pprof -tags \"$1\"", {file, folder.path()});
  CHECK(tags.out.find("baseline") != std::string::npos);
}

TEST_CASE("Perfetto's trace processor opens a trace and finds what is hot") {
  if (!is_installed("trace_processor_shell")) return;
  const TemporaryDirectory folder;
  const std::string file = make_profile(folder, "a.trace.json");
  const std::string query = folder.write("query.sql", "select count(*) as found from slice where name like '%spin';\n");
  const auto r = run_script("trace_processor_shell -q \"$1\" \"$2\"", {query, file});
  CHECK(r.status == 0);
  CHECK(r.out.find("found") != r.out.npos);
  CHECK(r.out.find("\n0\n") == r.out.npos);
}

TEST_CASE("Chromium's performance panel opens a trace: threads, calls, own times") {
  if (!is_installed("node")) return;
  const std::string engine = package("@paulirish/trace_engine");
  if (engine.empty()) return;
  const TemporaryDirectory folder;
  const std::string file = make_profile(folder, "a.trace.json");
  const auto r =
      run_script("node \"$1\" \"$2\" \"$3\"", {VMRUN_SOURCE "/tests/unit/tools/read_trace.mjs", engine, file});
  CHECK(r.err == "");
  CHECK(r.status == 0);
  const Json read = Json::parse(r.out, nullptr, false);
  REQUIRE(read.is_object());
  CHECK(read["wrong"] == Json::array());
  CHECK(read["processes"] == Json({"guests of vmrun"}));
  REQUIRE(read["threads"].size() == 1);
  CHECK(read["threads"][0]["name"].get<std::string>().starts_with("guests on thread "));
  double own = 0, all = 0, written = 0;
  for (const auto& [name, f] : read["threads"][0]["functions"].items()) {
    (name == "prof!spin" ? own : all) += f["self"].get<double>();
  }
  all += own;
  CHECK(own > 0.9 * all);
  // The whole is what the outermost calls take.
  int64_t end = 0;
  const Json trace = Json::parse(contents(file));
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] != "X" || event["ts"] < end) continue;
    end = event["ts"].get<int64_t>() + event["dur"].get<int64_t>();
    written += event["dur"].get<double>();
  }
  CHECK(all == doctest::Approx(written));
}

/// What speedscope's own window shows of a profile. Its functions: rows of total, own time, name.
Json speedscope(const std::string& package, const TemporaryDirectory& folder, const std::string& file) {
  // speedscope takes a script by its path in the page's address, and the script hands it the profile in base64.
  const std::string script = folder.path() + "/drive.js";
  const auto made = run_script(
      "{ printf 'speedscope.loadFileFromBase64(\"%s\", \"%s\");\\n' profile.json \"$(base64 -w0 \"$1\")\"; cat \"$2\"; "
      "} > \"$3\"",
      {file, VMRUN_SOURCE "/tests/unit/tools/drive_speedscope.js", script});
  CHECK(made.status == 0);
  const auto r =
      browse(folder, {"--virtual-time-budget=20000", "--dump-dom"},
             "file://" + package + "/dist/release/index.html#localProfilePath=" + script.substr(1) + "&view=sandwich");
  const size_t at = r.out.find("data-shown=\"");
  if (at == r.out.npos) return nullptr;
  return Json::parse(plain(r.out.substr(at + 12, r.out.find('"', at + 12) - at - 12)), nullptr, false);
}

double seconds_of(const std::string& shown) {
  size_t used = 0;
  const double number = std::stod(shown, &used);
  return shown.compare(used, 2, "ms") == 0 ? number / 1e3 : shown.compare(used, 1, "s") == 0 ? number : 0;
}

TEST_CASE("speedscope opens a profile and shows the functions with their times") {
  if (!has_browser()) return;
  const std::string where = package("speedscope");
  if (where.empty()) return;
  const TemporaryDirectory folder;
  const std::string file = make_profile(folder, "a.json");
  const Json shown = speedscope(where, folder, file);
  REQUIRE(shown.is_object());
  CHECK(shown["title"] == "vmrun guest profile - speedscope");
  CAPTURE(shown.dump());
  double all = 0;
  const Json profile = Json::parse(contents(file));
  for (const Json& weight : profile["profiles"][0]["weights"]) all += weight.get<double>() / 1e9;
  std::vector<std::string> names;
  for (const Json& row : shown["functions"]) {
    const auto name = row.back().get<std::string>();
    names.push_back(name);
    if (name == "spin") CHECK(seconds_of(row[1]) > 0.9 * all);
    if (name == "outer") CHECK(seconds_of(row[0]) == doctest::Approx(all).epsilon(0.01));
  }
  for (const char* name : {"outer", "middle", "spin"}) CHECK(std::ranges::count(names, name) == 1);
}

TEST_CASE("speedscope shows a name with markup and quotes as it is") {
  if (!has_browser()) return;
  const std::string where = package("speedscope");
  if (where.empty()) return;
  const TemporaryDirectory folder;
  std::string image = contents(fixture("profile"));
  const std::string name = "middle", odd = "<b>\"\\&";
  size_t changed = 0;
  for (size_t at = 0; (at = image.find(name, at)) != image.npos; ++changed) image.replace(at, name.size(), odd);
  REQUIRE(changed > 0);
  const Json shown = speedscope(where, folder, make_profile(folder, "a.json", folder.write("odd.wasm", image)));
  REQUIRE(shown.is_object());
  CAPTURE(shown.dump());
  CHECK(std::ranges::any_of(shown["functions"], [&](const Json& row) { return row.back() == odd; }));
}

}  // namespace
}  // namespace vmrun::test
