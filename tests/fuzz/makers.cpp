#include "makers.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "generate_aimed.h"

extern char** environ;

namespace vmrun::test {
namespace {

namespace fs = std::filesystem;

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

/// Binaryen's: size, features and optimisation vary with the number.
Image binaryens(const std::string& wasm_opt, uint64_t number, bool small, const fs::path& scratch) {
  const fs::path input = scratch / "input.bin", output = scratch / "output.wasm";
  std::mt19937_64 random(number);
  {
    std::ofstream file(input, std::ios::binary);
    for (size_t left = 500 + random() % (small ? 2'000 : 24'000); left > 0; --left)
      file.put(static_cast<char>(random()));
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
  return run(command) ? read_image(output) : Image();
}

const generate::Kind* aimed(std::string_view name) {
  const auto found = std::ranges::find(aimed_kinds(), name, &generate::Kind::name);
  return found == aimed_kinds().end() ? nullptr : &*found;
}

}  // namespace

Scratch::Scratch() {
  if (mkdtemp(path.data()) == nullptr) std::perror(path.c_str()), std::exit(1);
}
Scratch::~Scratch() { fs::remove_all(path); }

std::vector<std::string> expand_makers(const std::vector<std::string>& names) {
  std::vector<std::string> all;
  for (const std::string& name : names) {
    if (name == "aimed") {
      for (const generate::Kind& kind : aimed_kinds()) all.emplace_back(kind.name);
    } else {
      all.push_back(name);
    }
  }
  return all;
}

Image make_module(const std::string& maker, uint64_t seed, size_t index, bool small, const fs::path& scratch) {
  const uint64_t number = seed * 1'000'003 + index;
  small = small && index % 8 != 0;
  if (maker == "own") return generate_module(number, small);
  generate::Tally tally;
  if (const generate::Kind* kind = aimed(maker)) return kind->make(number, tally);
  return binaryens(maker, number, small, scratch);
}

bool ends_soon(const std::string& name) {
  const std::string file = fs::path(name).filename();
  return aimed(std::string_view(file).substr(0, file.find('-'))) != nullptr;
}

Image read_image(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
bool write_image(const fs::path& path, const Image& image) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  return file.good();
}

}  // namespace vmrun::test
