// Other engines for vmrun bench: node and bun run the image again and again in one process, wasmtime once in each.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/bench.h"

namespace vmrun::tools {
namespace {

struct Peer {
  const char* name;
  const char* install;
  bool javascript;
};
constexpr Peer kPeers[] = {
    {"node", "apt-get install nodejs", true},
    {"bun", "https://bun.sh", true},
    {"wasmtime", "https://wasmtime.dev", false},
};

/// What a JavaScript engine does: compiles the image and runs it in fresh instances until the time is over. Arguments: a
/// JSON object, then the guest's.
constexpr const char* kScript = R"js(
const fs = require('fs');
const {WASI} = require('wasi');
const o = JSON.parse(process.env.VMRUN_BENCH_PEER);
const now = () => Number(process.hrtime.bigint()) - o.start;
const iterations = [];
let first = 0;
(async () => {
  const module = await WebAssembly.compile(fs.readFileSync(o.image));
  const end = now() + o.time;
  while (iterations.length < o.iterations) {
    const wasi = new WASI({version: 'preview1', args: o.argv, env: o.env, preopens: o.preopens, returnOnExit: true});
    const begin = now();
    const instance = await WebAssembly.instantiate(module, {wasi_snapshot_preview1: wasi.wasiImport});
    if (!iterations.length) first = now();
    let status = 0;
    if (o.invoke !== null) {
      if (instance.exports._initialize) wasi.initialize(instance);
      const args = o.argv.slice(1);
      try {
        instance.exports[o.invoke](...args.map(Number));
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        instance.exports[o.invoke](...args.map(BigInt));
      }
    } else {
      status = wasi.start(instance) || 0;
    }
    if (status) throw new Error('the guest ended with status ' + status);
    iterations.push([begin, now()]);
    if (now() >= end) break;
  }
  const cpu = process.cpuUsage();
  fs.writeSync(o.fd, JSON.stringify({first, iterations, processor: (cpu.user + cpu.system) * 1000}));
  process.exit(0);
})().catch((error) => {
  console.error(String(error.message).split('\n')[0]);
  process.exit(1);
});
)js";

bool is_installed(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(folder.size() + 1, rest.size()));
    if (!folder.empty() && access((std::string(folder) + "/" + name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

std::vector<std::string> argv_of(const RunOptions& options, const std::string& image, Args args) {
  std::vector<std::string> argv{options.argv0.value_or(std::filesystem::path(image).filename().string())};
  argv.insert(argv.end(), args.begin(), args.end());
  return argv;
}

BenchRun run_script(const Peer& peer, const RunOptions& options, const std::string& image, Args args) {
  nlohmann::json preopens = nlohmann::json::object(), env = nlohmann::json::object();
  for (const RunOptions::Dir& dir : options.dirs) preopens[dir.guest] = dir.host;
  for (const auto& variable : options.env) {
    const char* own = std::getenv(variable.name.c_str());
    env[variable.name] = variable.value.value_or(own != nullptr ? own : "");
  }
  const nlohmann::json told = {{"image", image},
                               {"argv", argv_of(options, image, args)},
                               {"env", env},
                               {"preopens", preopens},
                               {"invoke", options.invoke ? nlohmann::json(*options.invoke) : nlohmann::json()},
                               {"time", options.bench.time.count()},
                               {"iterations", options.bench.iterations},
                               {"fd", kReportFd},
                               {"start", bench_now()}};
  std::string instructions;
  try {
    instructions = told.dump();
  } catch (const nlohmann::json::exception&) {
    BenchRun run;
    run.name = peer.name;
    run.failure = "it is told names, arguments and variables as JSON, which takes only UTF-8";
    return run;
  }
  std::vector<std::string> argv{peer.name};
  if (std::string_view(peer.name) == "node") argv.emplace_back("--no-warnings");
  argv.insert(argv.end(), {"-e", kScript});
  return parse_report(peer.name, run_reporting(argv, "VMRUN_BENCH_PEER", instructions, kReportFd));
}

/// An engine that is a command: each iteration starts it anew.
BenchRun run_command_again(const Peer& peer, const RunOptions& options, const std::string& image, Args args) {
  BenchRun run;
  run.name = peer.name;
  run.each_in_a_process = true;
  std::vector<std::string> argv{peer.name, "run"};
  for (const RunOptions::Dir& dir : options.dirs) argv.insert(argv.end(), {"--dir", dir.host + "::" + dir.guest});
  for (const auto& variable : options.env) {
    argv.insert(argv.end(), {"--env", variable.name + (variable.value ? "=" + *variable.value : "")});
  }
  if (options.invoke) argv.insert(argv.end(), {"--invoke", *options.invoke});
  argv.push_back(image);
  argv.insert(argv.end(), args.begin(), args.end());
  const int64_t start = bench_now();
  while (run.iterations.size() < options.bench.iterations && bench_now() - start < options.bench.time.count()) {
    const int64_t begin = bench_now() - start;
    if (auto done = run_reporting(argv, "", "", kReportFd); !done) {
      run.failure = done.error().message;
      return run;
    }
    run.iterations.push_back({begin, bench_now() - start});
  }
  return run;
}

}  // namespace

std::string peer_names() {
  std::string out;
  for (const Peer& peer : kPeers) (out += out.empty() ? "" : ", ") += peer.name;
  return out;
}

bool is_peer(std::string_view name) {
  for (const Peer& peer : kPeers) {
    if (name == peer.name) return true;
  }
  return false;
}

BenchRun bench_peer(const std::string& name, const RunOptions& options, const std::string& image, Args args) {
  for (const Peer& peer : kPeers) {
    if (name != peer.name) continue;
    if (!is_installed(name)) {
      BenchRun run;
      run.name = name;
      run.failure = std::string("it is not installed (") + peer.install + ")";
      return run;
    }
    return peer.javascript ? run_script(peer, options, image, args) : run_command_again(peer, options, image, args);
  }
  return {};
}

}  // namespace vmrun::tools
