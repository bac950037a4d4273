// Runs random valid modules by every way of executing and compares what is seen. The modules come from our own generator
// (generate.h), or from binaryen's translate-to-fuzz, which turns random bytes into a valid module that ends and logs
// what it does.
//
//   differential [--modules N] [--seed S] [--seconds N] [--keep DIR] [--ways NAMES] own | WASM_OPT
//   differential [--ways NAMES] FILE.wasm...          compares on these files
//   differential --seed S make FILE.wasm              writes our own module of that seed
//
// NAMES are ways' names, comma-separated; the first one is what the others are compared with. Exits 1 at a difference,
// after saying which module (kept under DIR) and where.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "engine/engine_impl.h"
#include "exercise.h"
#include "generate.h"
#include "tiering/manager.h"
#include "vm/loops.h"

extern char** environ;

namespace {

namespace fs = std::filesystem;
using vmrun::test::Trace;

/// Which blocks move up and when, in ways that force it.
enum class Force : uint8_t {
  nothing,
  loops,  // every function in the interpreter until some early back-edge of some of its loops, then in baseline code
};

struct Way {
  std::string name;
  vmrun::Config config;
  Force force = Force::nothing;
};

std::vector<Way> make_ways(const std::string& names) {
  using vmrun::Effort;
  using vmrun::Tiers;
  auto way = [](const char* name, Effort effort, Tiers tiers, bool dense = false, Force force = Force::nothing) {
    vmrun::Config config;
    config.effort = effort;
    config.tiers = tiers;
    config.dense_memory = dense;
    return Way{name, config, force};
  };
  const std::vector<Way> all = {
      way("quick", Effort::Quick, Tiers::Interp),
      way("careful", Effort::Careful, Tiers::Interp),
      way("effort", Effort::Auto, Tiers::Interp),
      way("quick-dense", Effort::Quick, Tiers::Interp, true),
      way("careful-dense", Effort::Careful, Tiers::Interp, true),
      way("baseline", Effort::Auto, Tiers::Baseline),
      way("baseline-dense", Effort::Auto, Tiers::Baseline, true),
      way("loops", Effort::Careful, Tiers::InterpBaseline, false, Force::loops),
      way("auto", Effort::Auto, Tiers::InterpBaseline),
      way("opt", Effort::Auto, Tiers::Opt),
      way("all", Effort::Auto, Tiers::Auto),
  };
  std::vector<Way> chosen;
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find(',', begin), names.size());
    const std::string_view name = std::string_view(names).substr(begin, end - begin);
    const auto found = std::ranges::find(all, name, &Way::name);
    if (found == all.end()) {
      std::fprintf(stderr, "there is no way '%.*s'\n", static_cast<int>(name.size()), name.data());
      std::exit(2);
    }
    chosen.push_back(*found);
    begin = end + 1;
  }
  return chosen;
}

/// The module as the way compiles it.
vmrun::Result<vmrun::Module> load(const Way& way, const fs::path& image, uint64_t seed) {
  vmrun::Engine engine(way.config);
  if (way.force == Force::loops) {
    vmrun::Result<vmrun::Module> module = vmrun::Module::compile_file(vmrun::Engine(way.config), image);
    if (!module) return module;
    const vmrun::vm::Module& plain = *module->impl();
    std::mt19937_64 random(seed);
    vmrun::tiering::Schedule schedule;
    for (uint32_t f = plain.imported_funcs; f < plain.funcs.size(); ++f) {
      const vmrun::vm::LoopTable* loops = vmrun::vm::loops_of(const_cast<vmrun::vm::FuncCode&>(plain.code(f)));
      for (uint32_t i = 0; loops != nullptr && i < loops->count; ++i) {
        if (random() % 4 == 0) continue;
        schedule.push_back({f, loops->loops[i].offset, 1 + static_cast<uint32_t>(random() % 4), vmrun::vm::Tier::baseline});
      }
      if (random() % 4 == 0) {
        schedule.push_back({f, vmrun::jit::kWholeFunction, static_cast<uint32_t>(random() % 3), vmrun::vm::Tier::baseline});
      }
    }
    engine.impl()->tiers->set_schedule(std::move(schedule));
  }
  return vmrun::Module::compile_file(engine, image);
}

struct Counts {
  size_t modules = 0, lines = 0, cut = 0;
};

/// Compares all ways on one image; says where they part.
bool compare(const std::vector<Way>& ways, const fs::path& image, uint64_t seed, Counts& counts) {
  Trace first;
  for (const Way& way : ways) {
    vmrun::Result<vmrun::Module> module = load(way, image, seed);
    if (!module) {
      std::printf("%s: %s\n", image.c_str(), module.error().to_string().c_str());
      return false;
    }
    vmrun::test::ExerciseOptions options;
    options.seed = seed;
    // Often enough, for some modules, that functions turn hot in mid-run.
    options.rounds = seed % 4 == 0 ? 400 : 3;
    options.time = std::chrono::seconds(20);
    Trace trace = exercise(*module, options);
    if (&way == &ways.front()) {
      first = std::move(trace);
      continue;
    }
    std::string where = difference(first, trace);
    if (!where.empty()) {
      std::printf("%s: %s and %s differ at %s\n", image.c_str(), ways.front().name.c_str(), way.name.c_str(), where.c_str());
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
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(60);  // whatever hangs is killed
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

/// Writes the module of our own that belongs to a seed.
bool write_own(uint64_t seed, const fs::path& output) {
  const std::vector<uint8_t> bytes = vmrun::test::generate_module(seed);
  std::ofstream file(output, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return file.good();
}

}  // namespace

int main(int argc, char** argv) {
  size_t modules = 100;
  uint64_t seed = 1, seconds = 0;
  fs::path keep = ".";
  std::string way_names = "quick,careful,effort,quick-dense,careful-dense,baseline,baseline-dense,loops,auto";
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i];
    if (arg.starts_with("--") && i + 1 < argc) {
      const char* value = argv[++i];
      if (arg == "--modules") modules = std::strtoull(value, nullptr, 10);
      if (arg == "--seed") seed = std::strtoull(value, nullptr, 10);
      if (arg == "--seconds") seconds = std::strtoull(value, nullptr, 10);
      if (arg == "--keep") keep = value;
      if (arg == "--ways") way_names = value;
    } else {
      names.push_back(arg);
    }
  }
  if (names.empty()) {
    std::fprintf(stderr, "usage: differential [--modules N] [--seed S] [--seconds N] [--keep DIR] [--ways NAMES] own | WASM_OPT | FILE.wasm...\n");
    return 2;
  }

  if (names.front() == "make" && names.size() == 2) return write_own(seed, names[1]) ? 0 : 1;
  const std::vector<Way> ways = make_ways(way_names);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  Counts counts;
  bool good = true;
  if (names.front().ends_with(".wasm")) {
    for (const std::string& name : names) good &= agree(ways, name, seed, counts);
  } else {
    fs::create_directories(keep);
    size_t refused = 0, tried = 0;
    for (size_t i = 0; seconds != 0 ? std::chrono::steady_clock::now() < until : i < modules; ++i) {
      fs::path input = keep / "input.bin";
      fs::path image = keep / ("module-" + std::to_string(seed) + "-" + std::to_string(i) + ".wasm");
      const bool made = names.front() == "own" ? write_own(seed * 1'000'003 + i, image)
                                               : generate(names.front(), seed, i, input, image);
      ++tried;
      if (!made) {
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
    if (refused * 2 > tried) {
      std::printf("wasm-opt failed to make %zu of %zu modules\n", refused, tried);
      good = false;
    }
  }
  std::printf("%zu modules agree over %zu lines; %zu runs were cut short\n", counts.modules, counts.lines, counts.cut);
  return good ? 0 : 1;
}
