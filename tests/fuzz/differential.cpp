// Runs random valid modules by every way of executing and compares what is seen. The modules come from binaryen's
// translate-to-fuzz, which turns random bytes into a valid module that ends and logs what it does.
//
//   differential [--modules N] [--seed S] [--keep DIR] WASM_OPT
//   differential FILE.wasm...          compares on these files
//
// Exits 1 at a difference, after saying which module (kept under DIR) and where.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "exercise.h"

extern char** environ;

namespace {

namespace fs = std::filesystem;
using vmrun::test::Trace;

struct Way {
  const char* name;
  vmrun::Engine engine;
};

std::vector<Way> make_ways() {
  auto engine = [](vmrun::Effort effort, bool dense) {
    vmrun::Config config;
    config.effort = effort;
    config.dense_memory = dense;
    return vmrun::Engine(config);
  };
  return {{"quick", engine(vmrun::Effort::Quick, false)},
          {"careful", engine(vmrun::Effort::Careful, false)},
          {"auto", engine(vmrun::Effort::Auto, false)},
          {"quick dense", engine(vmrun::Effort::Quick, true)},
          {"careful dense", engine(vmrun::Effort::Careful, true)}};
}

struct Counts {
  size_t modules = 0, lines = 0, cut = 0;
};

/// Compares all ways on one image; says where they part.
bool compare(const std::vector<Way>& ways, const fs::path& image, uint64_t seed, Counts& counts) {
  Trace first;
  for (const Way& way : ways) {
    vmrun::Result<vmrun::Module> module = vmrun::Module::compile_file(way.engine, image);
    if (!module) {
      std::printf("%s: %s\n", image.c_str(), module.error().to_string().c_str());
      return false;
    }
    vmrun::test::ExerciseOptions options;
    options.seed = seed;
    // Often enough, for every other module, that functions turn hot in mid-run.
    options.rounds = seed % 2 == 0 ? 1 : 400;
    options.time = std::chrono::seconds(20);
    Trace trace = exercise(*module, options);
    if (&way == &ways.front()) {
      first = std::move(trace);
      continue;
    }
    std::string where = difference(first, trace);
    if (!where.empty()) {
      std::printf("%s: %s and %s differ at %s\n", image.c_str(), ways.front().name, way.name, where.c_str());
      return false;
    }
  }
  ++counts.modules;
  counts.lines += first.lines.size();
  counts.cut += first.cut;
  return true;
}

/// The same in a process of its own, so that a crash is a difference like any other.
bool agree(const std::vector<Way>& ways, const fs::path& image, uint64_t seed, Counts& counts) {
  int channel[2];
  if (pipe(channel) != 0) return false;
  std::fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    Counts own;
    bool good = compare(ways, image, seed, own);
    std::fflush(stdout);
    bool told = write(channel[1], &own, sizeof own) == sizeof own;
    _exit(good && told ? 0 : 1);
  }
  close(channel[1]);
  Counts own;
  bool told = read(channel[0], &own, sizeof own) == sizeof own;
  close(channel[0]);
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return false;
  if (WIFSIGNALED(status)) std::printf("%s: killed by signal %d\n", image.c_str(), WTERMSIG(status));
  if (!told || status != 0) return false;
  counts.modules += own.modules;
  counts.lines += own.lines;
  counts.cut += own.cut;
  return true;
}

bool run(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  int failed = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  return failed == 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/// Makes module number `index` of the series: size, features and optimisation vary with it.
bool generate(const std::string& wasm_opt, uint64_t seed, size_t index, const fs::path& input, const fs::path& output) {
  std::mt19937_64 random(seed * 1'000'003 + index);
  {
    std::ofstream file(input, std::ios::binary);
    for (size_t left = 500 + random() % 24'000; left > 0; --left) file.put(static_cast<char>(random()));
  }
  // Reference types are left out: binaryen's were another draft's.
  std::vector<std::string> command = {wasm_opt,
                                      input,
                                      "-ttf",
                                      "--mvp-features",
                                      "--enable-mutable-globals",
                                      "--enable-sign-ext",
                                      "--enable-nontrapping-float-to-int",
                                      "--enable-bulk-memory"};
  // Bits of NaNs may differ, so guests must not look at them.
  command.push_back("--denan");
  if (random() % 2) command.push_back("--enable-simd");
  if (random() % 2) command.push_back("--enable-multivalue");
  if (random() % 2) command.push_back("--enable-tail-call");
  if (random() % 4 == 0) command.push_back("--enable-threads");
  if (random() % 2) command.push_back("--enable-exception-handling");
  if (random() % 2) command.push_back(random() % 2 ? "-O1" : "-O3");
  if (random() % 4 == 0) command.push_back("--flatten");
  command.push_back("-o");
  command.push_back(output);
  return run(command);
}

}  // namespace

int main(int argc, char** argv) {
  size_t modules = 100;
  uint64_t seed = 1;
  fs::path keep = ".";
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i];
    if (arg.starts_with("--") && i + 1 < argc) {
      const char* value = argv[++i];
      if (arg == "--modules") modules = std::strtoull(value, nullptr, 10);
      if (arg == "--seed") seed = std::strtoull(value, nullptr, 10);
      if (arg == "--keep") keep = value;
    } else {
      names.push_back(arg);
    }
  }
  if (names.empty()) {
    std::fprintf(stderr, "usage: differential [--modules N] [--seed S] [--keep DIR] WASM_OPT | FILE.wasm...\n");
    return 2;
  }

  std::vector<Way> ways = make_ways();
  Counts counts;
  bool good = true;
  if (names.front().ends_with(".wasm")) {
    for (const std::string& name : names) good &= agree(ways, name, seed, counts);
  } else {
    fs::create_directories(keep);
    size_t refused = 0;
    for (size_t i = 0; i < modules; ++i) {
      fs::path input = keep / "input.bin";
      fs::path image = keep / ("module-" + std::to_string(seed) + "-" + std::to_string(i) + ".wasm");
      if (!generate(names.front(), seed, i, input, image)) {
        ++refused;
        continue;
      }
      if (agree(ways, image, i, counts)) {
        fs::remove(image);
      } else {
        good = false;
      }
    }
    fs::remove(keep / "input.bin");
    if (refused * 2 > modules) {
      std::printf("wasm-opt failed to make %zu of %zu modules\n", refused, modules);
      good = false;
    }
  }
  std::printf("%zu modules agree over %zu lines; %zu runs were cut short\n", counts.modules, counts.lines, counts.cut);
  return good ? 0 : 1;
}
