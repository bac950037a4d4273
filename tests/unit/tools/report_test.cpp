// vmrun report: the page works in a browser, and what is no dump is told from one.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/tools/browser.h"
#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

using Json = nlohmann::json;

constexpr const char* kRounds = "300000000";

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string make_dump(const TemporaryDirectory& folder, const char* name, const char* tier, const char* rounds,
                      const std::vector<std::string>& more = {}) {
  const std::string file = folder.path() + "/" + name;
  std::vector<std::string> args{"run",       "-O", std::string("cache=off,tier=") + tier, "-W", "unknown-imports-trap",
                                "--profile", file};
  args.insert(args.end(), more.begin(), more.end());
  args.insert(args.end(), {"--invoke", "spin", fixture("profile"), rounds});
  const auto r = run_vmrun(args);
  CHECK(r.status == 0);
  CHECK(r.err == "");
  return file;
}

TEST_CASE("a report is used in a browser, by mouse and keyboard, large and small, light and dark") {
  if (!has_browser()) return;
  const TemporaryDirectory folder;
  const std::string a = make_dump(folder, "a.json", "auto", kRounds, {"--instances", "1"});
  // Another version, whose module has another name.
  std::string other = contents(make_dump(folder, "b.json", "interp", kRounds));
  for (size_t at = 0; (at = other.find("\"prof\"", at)) != other.npos;) other.replace(at, 6, "\"prof2\"");
  const std::string b = folder.write("b.json", other);
  const std::string page = folder.path() + "/page.html";
  auto r = run_vmrun({"report", "-o", page, a, b});
  CHECK(r.status == 0);
  CHECK(r.err == "vmrun: wrote " + page + "\n");
  const std::vector<std::string> looks[] = {{"--window-size=1200,900"},
                                            {"--window-size=500,900", "--blink-settings=preferredColorScheme=0"}};
  for (const auto& look : looks) {
    CAPTURE(look[0]);
    CHECK(drive_report(folder, page, VMRUN_SOURCE "/tests/unit/tools/drive_report.js", look) == "[]");
  }
  // For people to look at.
  const std::string picture = VMRUN_FIXTURES "/../report.png";
  browse(folder, {"--window-size=1200,2400", "--screenshot=" + picture}, "file://" + page);
  CHECK(std::filesystem::file_size(picture) > 10'000);
}

TEST_CASE("a page goes beside its dump, and never in its place") {
  const TemporaryDirectory folder;
  const std::string dump = make_dump(folder, "a.json", "auto", "1000");
  CHECK(run_vmrun({"report", dump}).err == "vmrun: wrote " + folder.path() + "/a.html\n");
  CHECK(contents(folder.path() + "/a.html").find("<!doctype html>") == 0);
  const std::string before = contents(dump);
  const auto r = run_vmrun({"report", dump, "-o", dump});
  CHECK(r.status == 2);
  CHECK(contents(dump) == before);
  std::filesystem::create_symlink("a.json", folder.path() + "/link.html");
  for (const char* name : {"/./a.json", "/../a.json", "/link.html"}) {
    const bool above = name[2] == '.' && name[1] == '.';
    const std::string base = above ? folder.path() + "/sub" : folder.path();
    if (above) std::filesystem::create_directory(base);
    CHECK(run_vmrun({"report", dump, "-o", base + name}).status == 2);
    CHECK(contents(dump) == before);
  }
  CHECK(run_vmrun({"report"}).status == 2);
  CHECK(run_vmrun({"report", dump, "-o", "/dev/full"}).err ==
        "vmrun: error: cannot write '/dev/full': No space left on device\n");
}

TEST_CASE("what a dump says stays text") {
  const TemporaryDirectory folder;
  Json dump = Json::parse(contents(make_dump(folder, "a.json", "auto", "1000")));
  dump["command"][0] = "</script><script>alert(1)</script>";
  const std::string file = folder.write("b.json", dump.dump());
  CHECK(run_vmrun({"report", file}).status == 0);
  CHECK(contents(folder.path() + "/b.html").find("<script>alert") == std::string::npos);
}

TEST_CASE("what is no dump, or a damaged one, is told with the reason") {
  const TemporaryDirectory folder;
  const std::string whole = contents(make_dump(folder, "a.json", "auto", kRounds));
  const Json dump = Json::parse(whole);
  const auto says = [&](const std::string& bytes, const std::string& message) {
    const std::string file = folder.write("bad.json", bytes);
    const auto r = run_vmrun({"report", file});
    CHECK(r.status == 1);
    CHECK(r.err == "vmrun: error: '" + file + "' is " + message + "\n");
    CHECK(!std::filesystem::exists(folder.path() + "/bad.html"));
  };
  says("", "no JSON, and so no dump of vmrun --profile=FILE.json");
  says("hello", "no JSON, and so no dump of vmrun --profile=FILE.json");
  says(std::string(100'000, '['), "no dump of vmrun: it nests too deeply");
  says("[]", "no dump of vmrun: make one with --profile=FILE.json");
  says("{\"$schema\":\"\",\"profiles\":[]}",
       "no dump of vmrun: make one with --profile=FILE.json (it is a profile for https://www.speedscope.app, which "
       "opens "
       "it)");
  for (size_t size : {whole.size() / 2, whole.size() - 2, size_t{10}}) {
    says(whole.substr(0, size), "cut short: it ends at byte " + std::to_string(size) + ", in the middle of its JSON");
  }
  const auto changed = [&](auto change) {
    Json copy = dump;
    change(copy);
    return copy.dump();
  };
  says(changed([](Json& d) { d["version"] = 2; }),
       "a dump of version 2; this vmrun reads version 1: use the vmrun that made it");
  says(changed([](Json& d) { d.erase("modules"); }), "a damaged dump: the file has no modules");
  says(changed([](Json& d) { d["more"] = 1; }), "a damaged dump: more is unknown");
  says(changed([](Json& d) { d[std::string(1'000'000, 'k')] = 1; }),
       "a damaged dump: " + std::string(400, 'k') + "... is unknown");
  says(changed([](Json& d) { d["duration_ns"] = -1; }), "a damaged dump: duration_ns is -1");
  says(changed([](Json& d) { d["sampling"]["nodes"][1][0] = 1; }), "a damaged dump: sampling.nodes[1] has no parent");
  says(changed([](Json& d) { d["sampling"]["nodes"][1][1] = 99999; }),
       "a damaged dump: sampling.nodes[1] has no function");
  says(changed([](Json& d) { d["sampling"]["nodes"][1][3] = "fast"; }),
       "a damaged dump: sampling.nodes[1][3] is \"fast\"");
  says(changed([](Json& d) {
         for (size_t i = d["sampling"]["nodes"].size(); i < 2000; ++i) {
           d["sampling"]["nodes"].push_back({i - 1, 0, 0, "opt", 0, 0});
         }
       }),
       "a damaged dump: sampling.nodes[" + std::to_string([&] {
         // The chain hangs on the last node, wherever that is.
         size_t depth = 0;
         const size_t count = dump["sampling"]["nodes"].size();
         for (size_t at = count - 1; at != 0; at = dump["sampling"]["nodes"][at][0]) ++depth;
         return count + 1000 - depth;
       }()) +
           "] is nested too deeply");
  says(changed([](Json& d) { d["sampling"]["nodes"] = Json::array(); }), "a damaged dump: sampling.nodes has no root");
  says(changed([](Json& d) { d["sampling"]["ticks"][0][2] = 99999; }), "a damaged dump: sampling.ticks[0] has no node");
  const auto r = run_vmrun({"report", folder.path() + "/missing.json"});
  CHECK(r.status == 1);
  CHECK(r.err == "vmrun: error: cannot read '" + folder.path() + "/missing.json': No such file or directory\n");
}

}  // namespace
}  // namespace vmrun::test
