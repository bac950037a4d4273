// vmrun bench: what it measures is there, and what cannot be measured is named.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

using Json = nlohmann::json;

Json read_json(const std::string& path) {
  std::ifstream file(path);
  Json out = Json::parse(file, nullptr, false);
  CHECK(!out.is_discarded());
  return out;
}

CommandResult bench(std::vector<std::string> more) {
  std::vector<std::string> args{"bench", "-W", "unknown-imports-trap", "--invoke", "calls"};
  args.insert(args.end(), more.begin(), more.end());
  args.insert(args.end(), {fixture("profile"), "2000000"});
  return run_vmrun(args);
}

TEST_CASE("bench measures each setting from its cold start") {
  const TemporaryDirectory folder;
  const std::string json = folder.path() + "/b.json", svg = folder.path() + "/b.svg";
  const auto r = bench({"--for", "300ms", "--json", json, "--svg", svg});
  CHECK(r.status == 0);
  CHECK(r.err == "");  // progress is for terminals
  const Json all = read_json(json);
  CHECK(all["format"] == "vmrun-bench");
  REQUIRE(all["runs"].size() == 4);
  for (const Json& run : all["runs"]) {
    const std::string name = run["name"];
    CAPTURE(name);
    CHECK(r.out.find("\n" + name) != std::string::npos);
    REQUIRE(!run.contains("failure"));
    CHECK(run["first_instruction_ns"] > 0);
    CHECK(run["first_instruction_ns"] < run["iterations_ns"][0][1]);
    CHECK(run["baseline_ns"].is_null() == (name == "interp" || name == "opt"));
    if (name == "opt") CHECK(run["optimised_ns"] > 0);
    if (name == "interp") CHECK(run["compile_ns"] == 0);
    int64_t last = 0;
    for (const Json& one : run["iterations_ns"]) {
      CHECK(one[0] >= last);
      CHECK(one[1] > one[0]);
      last = one[1];
    }
    CHECK(run["processor_ns"] > 0);
  }
  if (run_script("command -v python3").status == 0) {
    const auto parsed = run_script(
        "python3 -c 'import sys, xml.dom.minidom as m; d = m.parse(sys.argv[1]); "
        "print(len(d.getElementsByTagName(\"path\")))' \"$1\"",
        {svg});
    CHECK(parsed.out == "4\n");
  }
}

TEST_CASE("bench with other engines: those that are missing are named, and the rest is measured") {
  const TemporaryDirectory folder;
  const std::string json = folder.path() + "/b.json";
  // One that is a command, and one that fails.
  const auto engine = [&](const char* name, const std::string& text) {
    chmod(folder.write(name, "#!/bin/bash\n" + text).c_str(), 0755);
  };
  engine("wasmtime", std::string("shift\nexec ") + VMRUN_COMMAND + " run -W unknown-imports-trap \"$@\"\n");
  engine("node", "echo 'no such thing' >&2\nexit 3\n");
  const auto r = run_script(
      "PATH=\"$1:/bin:/usr/sbin\" \"$vmrun\" bench -W unknown-imports-trap --tiers interp --vs node,wasmtime,bun "
      "--for 200ms --json \"$3\" --invoke calls \"$2\" 100000",
      {folder.path(), fixture("profile"), json});
  CHECK(r.status == 0);
  CHECK(r.out.find("node: not measured: no such thing\n") != std::string::npos);
  CHECK(r.out.find("bun: not measured: it is not installed (https://bun.sh)\n") != std::string::npos);
  const Json all = read_json(json);
  CHECK(all["runs"][0]["name"] == "interp");
  CHECK(all["runs"][1]["failure"] == "no such thing");
  CHECK(all["runs"][2]["name"] == "wasmtime");
  CHECK(all["runs"][2]["each_in_a_process"] == true);
  CHECK(all["runs"][2]["iterations_ns"].size() >= 1);
}

TEST_CASE("bench with node: names that are no UTF-8 cannot be told") {
  const TemporaryDirectory folder;
  chmod(folder.write("node", "#!/bin/sh\nexit 0\n").c_str(), 0755);
  const auto r =
      run_script("PATH=\"$1:/bin:/usr/sbin\" \"$vmrun\" bench --tiers interp --vs node --for 50ms \"$2\" \"$3\"",
                 {folder.path(), fixture("cli_guest"), "\xff"});
  CAPTURE(r.err);
  CHECK(r.status == 0);
  CHECK(r.out.find("node: not measured: it is told names, arguments and variables as JSON, which takes only UTF-8\n") !=
        std::string::npos);
}

TEST_CASE("bench with node, where it is") {
  if (run_script("command -v node").status != 0) {
    MESSAGE("skipped: node is not installed");
    return;
  }
  const TemporaryDirectory folder;
  const std::string json = folder.path() + "/b.json";
  const auto r = run_vmrun(
      {"bench", "--tiers", "baseline", "--vs", "node", "--for", "200ms", "--json", json, fixture("cli_guest")});
  CHECK(r.status == 0);
  const Json all = read_json(json);
  const Json& node = all["runs"][1];
  CHECK(node["name"] == "node");
  CHECK(!node.contains("failure"));
  CHECK(node["iterations_ns"].size() >= 1);
  CHECK(node["first_instruction_ns"] > 0);
}

TEST_CASE("bench of an image that fails, or that there is not") {
  auto r = run_vmrun({"bench", "--tiers", "interp,baseline", "--for", "1s", fixture("cli_exit")});
  CHECK(r.status == 1);
  CHECK(r.out.find("interp: not measured: vmrun: error: the guest ended with status ") != std::string::npos);
  CHECK(r.out.find("baseline: not measured: ") != std::string::npos);
  r = run_vmrun({"bench", "--tiers", "interp", "missing.wasm"});
  CHECK(r.status == 1);
  CHECK(r.out.find("missing.wasm") != std::string::npos);
  CHECK(bench({"--for", "1ms", "--json", "/nonexistent/b.json"}).err ==
        "vmrun: error: cannot write '/nonexistent/b.json': No such file or directory\n");
}

TEST_CASE("bench: options that are nothing") {
  const auto says = [](const std::vector<std::string>& more, const std::string& message) {
    const auto r = bench(more);
    CHECK(r.status == 2);
    CHECK(r.err == "vmrun: " + message + "; 'vmrun help bench' lists what there is\n");
  };
  says({"--tiers", "fast"}, "'--tiers': 'fast' is none of auto, interp, interp+baseline, baseline, opt, steps");
  says({"--vs", "node,lua"}, "'--vs': 'lua' is none of node, bun, wasmtime");
  says({"--for", "2h"}, "'--for': must be at most 1h");
  says({"-O", "tier=opt"}, "bench compares tiers: --tiers says which, not -O tier");
  says({"-W", "timeout=1s"}, "--for says how long bench runs an image, not -W timeout");
  says({"-O", "cache=off"},
       "bench measures from the cold start: no run takes code from a cache, so leave -O cache out");
}

}  // namespace
}  // namespace vmrun::test
