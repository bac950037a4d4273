#include "oracle.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <utility>

extern char** environ;

namespace vmrun::test {
namespace {

/// Kinds of traps that node's messages tell apart, by ours. The script has the other half.
constexpr std::pair<std::string_view, std::string_view> kTraps[] = {
    {"unreachable", "unreachable"},
    {"integer divide by zero", "zero"},
    {"integer overflow", "number"},
    {"invalid conversion to integer", "number"},
    {"out of bounds memory access", "memory"},
    {"out of bounds table access", "table"},
    {"undefined element", "table"},
    {"uninitialized element", "function"},
    {"indirect call type mismatch", "function"},
    {"null function reference", "function"},
    {"null reference", "function"},
    {"null exception reference", "function"},
    // Either may be found first.
    {"unaligned atomic", "memory"},
};

}  // namespace

Oracle::Oracle(const std::string& node, const std::string& script) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return;
  std::vector<std::string> words = {node,
                                    "--experimental-wasm-memory64",
                                    "--experimental-wasm-extended-const",
                                    "--experimental-wasm-typed-funcref",
                                    "--stack-size=900",
                                    script};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  if (posix_spawnp(&pid_, node.c_str(), &actions, nullptr, argv.data(), environ) != 0) pid_ = 0;
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]), close(out[1]);
  to_ = fdopen(in[1], "w");
  from_ = fdopen(out[0], "r");
  // It says "ready", or it was no node.
  char line[64];
  if (pid_ > 0 && std::fgets(line, sizeof line, from_) == nullptr) {
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
}

Oracle::~Oracle() {
  if (to_ != nullptr) std::fclose(to_);
  if (from_ != nullptr) std::fclose(from_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

bool Oracle::run(const Image& image, const std::vector<std::string>& calls, const std::string& scratch, Trace& trace,
                 std::string& why) {
  write_image(scratch + "/oracle.wasm", image);
  {
    std::ofstream file(scratch + "/oracle.calls");
    for (const std::string& call : calls) file << call << '\n';
  }
  // Straight to the pipes: a child's buffers are not its parent's. The answer to a child that died is left behind.
  static std::atomic<unsigned> asked{0};
  const std::string number = std::to_string(getpid()) + "-" + std::to_string(++asked);
  const std::string request = number + " " + scratch + "\n", end_of_answer = "\n. " + number + "\n";
  std::string text;
  if (write(fileno(to_), request.data(), request.size()) != static_cast<ssize_t>(request.size())) {
    why = "node has ended";
    return false;
  }
  while (!text.ends_with(end_of_answer)) {
    char part[4096];
    const ssize_t got = read(fileno(from_), part, sizeof part);
    if (got <= 0) {
      why = "node has ended";
      return false;
    }
    text.append(part, static_cast<size_t>(got));
  }
  text.resize(text.size() - end_of_answer.size() + 1);
  if (const size_t earlier = text.rfind("\n. "); earlier != text.npos) text.erase(0, text.find('\n', earlier + 1) + 1);
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (lines.empty() || lines.front() != "ran") {
    why = lines.empty() ? "no answer" : lines.front();
    return false;
  }
  lines.erase(lines.begin());
  if (!lines.empty() && lines.back() == "cut") trace.cut = true, lines.pop_back();
  trace.lines = std::move(lines);
  return true;
}

Trace in_node(const Trace& trace) {
  Trace out = trace;
  for (std::string& line : out.lines) {
    const size_t trap = line.find(": trap: ");
    if (trap != line.npos) {
      const std::string_view message = std::string_view(line).substr(trap + 8);
      for (const auto& [ours, theirs] : kTraps) {
        if (!message.starts_with(ours)) continue;
        line = line.substr(0, trap + 8) + std::string(theirs);
        break;
      }
    }
    const size_t exception = line.find(": exception");
    if (exception != line.npos) line.resize(exception + 11);
  }
  return out;
}

}  // namespace vmrun::test
