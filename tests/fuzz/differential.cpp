// Runs random valid modules by every way of executing and compares what is seen. The modules come from our own
// generator (generate.h), or from binaryen's translate-to-fuzz, which turns random bytes into a valid module that ends
// and logs what it does.
//
//   differential [--modules N] [--seed S] [--seconds N] [--jobs N] [--keep DIR] [--ways NAMES] own|WASM_OPT...
//   differential [--seed S] [--ways NAMES] FILE.wasm...      compares on these files
//   differential --seed S make FILE.wasm                     writes our own module of that seed
//   differential [--modules N] [--seed S] coverage           how often our modules execute each instruction; exits 1
//                                                            when they leave one out
//
// NAMES are ways' names, comma-separated, or "every": all, those with optimised code for a fifth of the modules,
// because these take as long as all others for ten. The first one is what the others are compared with. Of several
// makers of modules each has its turn. Exits 1 at a difference, after saying which module (kept under DIR) and where.
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "coverage.h"
#include "exercise.h"
#include "generate.h"
#include "jit/compiler.h"
#include "ways.h"

extern char** environ;

namespace {

namespace fs = std::filesystem;
using vmrun::test::Trace;
using vmrun::test::Way;
using Image = std::vector<uint8_t>;

struct Counts {
  size_t modules = 0, lines = 0, cut = 0;
};

/// Compares all ways on one image, which people know as `name`; says where they part.
bool compare(const std::vector<Way>& ways, const std::string& name, const Image& image, uint64_t seed, Counts& counts) {
  Trace first;
  for (const Way& way : ways) {
    vmrun::Result<vmrun::Module> module = load(way, image, seed);
    if (!module) {
      std::printf("%s: %s\n", name.c_str(), module.error().to_string().c_str());
      return false;
    }
    vmrun::test::ExerciseOptions options;
    options.seed = seed;
    // Often enough, for some modules, that functions turn hot in mid-run.
    options.rounds = seed % 4 == 0 ? 400 : 3;
    options.time = std::chrono::seconds(20);
    std::mt19937_64 random(seed);
    options.instances = random() % 3 == 0 ? 2 : 1;
    options.one_store = random() % 2 == 0;
    options.lively = random() % 2 == 0;
    std::vector<Trace> traces(way.threads);
    {
      std::vector<std::jthread> others;
      for (unsigned i = 1; i < way.threads; ++i) {
        others.emplace_back([&, options, i]() mutable {
          options.meanwhile = disturbance(way, *module, seed + i);
          traces[i] = exercise(*module, options);
        });
      }
      options.meanwhile = disturbance(way, *module, seed);
      traces[0] = exercise(*module, options);
    }
    if (&way == &ways.front()) first = traces[0];
    for (const Trace& trace : traces) {
      const std::string where = difference(first, trace);
      if (where.empty()) continue;
      std::printf("%s: %s and %s differ at %s\n", name.c_str(), ways.front().name.c_str(), way.name.c_str(),
                  where.c_str());
      return false;
    }
  }
  ++counts.modules;
  counts.lines += first.lines.size();
  counts.cut += first.cut;
  return true;
}

/// The same in a process of its own, so that a crash is a difference like any other.
bool agree(const std::vector<Way>& ways, const std::string& name, const Image& image, uint64_t seed, Counts& counts) {
  int channel[2];
  if (pipe(channel) != 0) return false;
  std::fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    // Whatever hangs is killed: by its processor time, because the machine may be busy with something else, and late
    // otherwise.
    const rlimit limit{300, 300};
    setrlimit(RLIMIT_CPU, &limit);
    alarm(3600);
    Counts own;
    bool good = compare(ways, name, image, seed, own);
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
  if (WIFSIGNALED(status)) std::printf("%s: killed by signal %d\n", name.c_str(), WTERMSIG(status));
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

Image read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
bool write(const fs::path& path, const Image& image) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  return file.good();
}

/// A directory for the files that wasm-opt reads and writes: several series may run at once.
struct Scratch {
  std::string path = (fs::temp_directory_path() / "vmrun-fuzz-XXXXXX").string();
  Scratch() {
    if (mkdtemp(path.data()) == nullptr) std::perror(path.c_str()), std::exit(1);
  }
  ~Scratch() { fs::remove_all(path); }
};

/// Binaryen's module number `index` of the series: size, features and optimisation vary with it. Empty when it fails.
Image generate(const std::string& wasm_opt, uint64_t seed, size_t index, const fs::path& scratch) {
  const fs::path input = scratch / "input.bin", output = scratch / "output.wasm";
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
  return run(command) ? read(output) : Image();
}

/// What to run, by the command line.
struct Settings {
  size_t modules = 100, jobs = 1;
  uint64_t seed = 1, seconds = 0;
  bool every = false;  // way
  fs::path keep = ".";
  std::string ways =
      "quick,careful,effort,quick-dense,careful-dense,baseline,baseline-dense,profile,eager,loops,"
      "loops-profile,auto,disturb,threads";
  std::vector<std::string> names;
};

/// Every `jobs`-th module of the series, from number `first` on.
bool run_series(const Settings& settings, const std::vector<Way>& ways, size_t first) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(settings.seconds);
  const Scratch scratch;
  Counts counts;
  size_t refused = 0, tried = 0, different = 0;
  std::vector<Way> quick_ways = ways;
  std::erase_if(quick_ways, [](const Way& way) { return way.opt; });
  for (size_t i = first; settings.seconds != 0 ? std::chrono::steady_clock::now() < until : i < settings.modules;
       i += settings.jobs) {
    const std::string& maker = settings.names[i / settings.jobs % settings.names.size()];
    const Image image = maker == "own" ? vmrun::test::generate_module(settings.seed * 1'000'003 + i)
                                       : generate(maker, settings.seed, i, scratch.path);
    ++tried;
    if (image.empty()) {
      ++refused;
      continue;
    }
    const fs::path kept =
        settings.keep / ("module-" + std::to_string(settings.seed) + "-" + std::to_string(i) + ".wasm");
    if (agree(settings.every && i / settings.jobs % 5 != 0 ? quick_ways : ways, kept, image, i, counts)) continue;
    ++different;
    fs::create_directories(settings.keep);
    write(kept, image);
    std::printf("again: differential --seed %zu --ways %s %s\n", i, settings.ways.c_str(), kept.c_str());
  }
  if (refused * 2 > tried) std::printf("%zu of %zu modules could not be made\n", refused, tried);
  std::printf("%zu modules agree over %zu lines; %zu runs were cut short\n", counts.modules, counts.lines, counts.cut);
  return different == 0 && refused * 2 <= tried;
}

/// The same in as many processes as there are jobs.
bool run_jobs(const Settings& settings, const std::vector<Way>& ways) {
  if (settings.jobs == 1) return run_series(settings, ways, 0);
  std::vector<pid_t> jobs;
  for (size_t job = 0; job < settings.jobs; ++job) {
    const pid_t pid = fork();
    if (pid == 0) {
      const bool good = run_series(settings, ways, job);
      std::fflush(stdout);
      _exit(good ? 0 : 1);
    }
    jobs.push_back(pid);
  }
  bool good = true;
  for (const pid_t pid : jobs) {
    int status = 0;
    good &= pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
  }
  return good;
}

/// What a line of a trace says of how a call ended.
std::string how_it_ended(const std::string& line) {
  for (const char* kind : {": trap: ", ": exception"}) {
    const size_t at = line.find(kind);
    if (at == std::string::npos) continue;
    const size_t end = line.find_first_of("0123456789@", at + 1);
    return line.substr(at + 2, end - at - 2);
  }
  return line.starts_with("f") ? "results" : line.substr(0, line.find(' '));
}

/// How often the interpreter executes each instruction in the series of our own modules.
bool show_coverage(const Settings& settings) {
  const Way way = vmrun::test::make_ways("quick").front();
  vmrun::test::Coverage coverage;
  std::map<std::string, size_t> ends;
  for (size_t i = 0; i < settings.modules; ++i) {
    const Image image = vmrun::test::generate_module(settings.seed * 1'000'003 + i);
    vmrun::Result<vmrun::Module> module = load(way, image, i);
    if (module) module = load(way, vmrun::test::count_instructions(*module->impl()), i);
    if (!module) {
      std::printf("module %zu: %s\n", i, module.error().to_string().c_str());
      return false;
    }
    vmrun::test::ExerciseOptions options;
    options.seed = i;
    options.time = std::chrono::seconds(20);
    const Trace trace = exercise(*module, options);
    vmrun::test::add_coverage(trace, coverage);
    for (const std::string& line : trace.lines) ++ends[how_it_ended(line)];
  }
  std::printf("calls ended so often with\n");
  for (const auto& [what, count] : ends) std::printf("%12zu %s\n", count, what.c_str());
  return vmrun::test::print_coverage(coverage);
}

int usage() {
  std::fprintf(
      stderr,
      "usage: differential [--modules N] [--seed S] [--seconds N] [--jobs N] [--keep DIR] [--ways NAMES|every]\n"
      "                    own | WASM_OPT | FILE.wasm... | make FILE.wasm | coverage\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (!arg.starts_with("--")) {
      settings.names.push_back(arg);
      continue;
    }
    if (i + 1 == argc) return usage();
    const char* value = argv[++i];
    if (arg == "--modules") {
      settings.modules = std::strtoull(value, nullptr, 10);
    } else if (arg == "--seed") {
      settings.seed = std::strtoull(value, nullptr, 10);
    } else if (arg == "--seconds") {
      settings.seconds = std::strtoull(value, nullptr, 10);
    } else if (arg == "--jobs") {
      settings.jobs = std::max<size_t>(1, std::strtoull(value, nullptr, 10));
    } else if (arg == "--keep") {
      settings.keep = value;
    } else if (arg == "--ways") {
      settings.ways = value;
    } else {
      return usage();
    }
  }
  if (settings.names.empty()) return usage();
  if (settings.names.front() == "make" && settings.names.size() == 2) {
    return write(settings.names[1], vmrun::test::generate_module(settings.seed)) ? 0 : 1;
  }
  if (settings.names.front() == "coverage") return show_coverage(settings) ? 0 : 1;
  settings.every = settings.ways == "every";
  if (settings.every) settings.ways = vmrun::test::way_names();
  const std::vector<Way> ways = vmrun::test::make_ways(settings.ways);
  // Once, and not in each module's process.
  std::string why;
  if (std::ranges::any_of(ways, &Way::opt) && vmrun::jit::load_opt_compiler(&why) == nullptr) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return 1;
  }
  if (!settings.names.front().ends_with(".wasm")) return run_jobs(settings, ways) ? 0 : 1;
  bool good = true;
  Counts counts;
  for (const std::string& name : settings.names) good &= agree(ways, name, read(name), settings.seed, counts);
  std::printf("%zu modules agree over %zu lines; %zu runs were cut short\n", counts.modules, counts.lines, counts.cut);
  return good ? 0 : 1;
}
