// Processes that are killed (SIGKILL) while they store code: whatever they leave, the cache is one that can be used. Half of
// the kills come at a random moment of the whole run, the others shortly after an entry's file was begun. After each, a
// run has to give the right answer, and to find nothing damaged. By hand: tests/kills_stress --kills=1000 [--seed=N]
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "kills_stress: %s\n", why.c_str());
  std::exit(1);
}

struct Run {
  pid_t pid = -1;
  int out = -1;
};

/// A run of the image with the cache, which says what it does with that.
Run start(const fs::path& folder, const std::string& image) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) give_up("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  const std::string option = "tier=opt,cache=" + folder.string();
  const char* const args[] = {VMRUN_COMMAND, "-D",  "log=cache=info", "-O", option.c_str(),
                              "--invoke",    "add", image.c_str(),    "40", "2",
                              nullptr};
  Run run;
  if (posix_spawn(&run.pid, VMRUN_COMMAND, &actions, nullptr, const_cast<char* const*>(args), environ) != 0) {
    give_up("cannot start " VMRUN_COMMAND);
  }
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  run.out = ends[0];
  return run;
}

int wait_for(Run& run) {
  int status = 0;
  while (waitpid(run.pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string output_of(Run& run) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(run.out, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  close(run.out);
  return text;
}

/// What the guest printed, without the log's lines.
std::string answer_of(const std::string& output) {
  std::string out;
  for (size_t at = 0; at < output.size();) {
    const size_t end = std::min(output.find('\n', at), output.size() - 1) + 1;
    const std::string_view line = std::string_view(output).substr(at, end - at);
    if (line.find("cache") == line.npos) out += line;
    at = end;
  }
  return out;
}

size_t count(const fs::path& folder, std::string_view begin, std::string_view end) {
  size_t found = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename();
    found += name.starts_with(begin) && name.ends_with(end) ? 1 : 0;
  }
  return found;
}

/// Waits until something is made in the folder that `watch` watches, at most `most`.
void wait_for_file(int watch, std::chrono::milliseconds most) {
  pollfd ready{watch, POLLIN, 0};
  if (poll(&ready, 1, static_cast<int>(most.count())) <= 0) return;
  char events[4096];
  [[maybe_unused]] const ssize_t n = read(watch, events, sizeof events);
}

void spin(std::chrono::nanoseconds time) {
  for (const auto end = Clock::now() + time; Clock::now() < end;) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  unsigned kills = 1000, seed = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::sscanf(argv[i], "--kills=%u", &kills) == 1 || std::sscanf(argv[i], "--seed=%u", &seed) == 1) continue;
    give_up("usage: kills_stress [--kills=N] [--seed=N]");
  }
  char name[] = "/tmp/vmrun-kills-XXXXXX";
  if (mkdtemp(name) == nullptr) give_up("no folder");
  const fs::path base(name), folder = base / "c";
  const std::string image = VMRUN_FIXTURES "/opt_basic.wasm";
  std::mt19937 random(seed);

  const auto begun = Clock::now();
  Run first = start(folder, image);
  const std::string first_output = output_of(first);
  const int first_status = wait_for(first);
  const auto whole = Clock::now() - begun;
  const std::string right = answer_of(first_output);
  if (right != "42\n" || first_status != 0) give_up("the first run failed: " + first_output);
  if (count(folder, "", ".code") != 1) give_up("the first run stored nothing: " + first_output);

  const int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (watch < 0 || inotify_add_watch(watch, folder.c_str(), IN_CREATE) < 0) give_up("cannot watch the folder");
  unsigned unfinished = 0, whole_entries = 0;
  for (unsigned i = 0; i < kills; ++i) {
    for (const auto& entry : fs::directory_iterator(folder)) fs::remove(entry.path());
    wait_for_file(watch, std::chrono::milliseconds(0));
    Run run = start(folder, image);
    if (i % 2 == 0) {
      spin(std::chrono::nanoseconds(random() % static_cast<uint64_t>(whole.count() * 5 / 4)));
    } else {
      // The list of what was hot comes first where there is one, then the code.
      wait_for_file(watch, std::chrono::seconds(20));
      // From a microsecond to half a millisecond, each scale as often.
      spin(std::chrono::nanoseconds(random() % (uint64_t{1} << (10 + random() % 10))));
    }
    kill(run.pid, SIGKILL);
    output_of(run);
    wait_for(run);
    unfinished += count(folder, ".new-", "") != 0 ? 1 : 0;
    whole_entries += static_cast<unsigned>(count(folder, "", ".code"));
    Run check = start(folder, image);
    const std::string output = output_of(check);
    const int status = wait_for(check);
    if (status != first_status || answer_of(output) != right) give_up("after a kill another answer: " + output);
    if (output.find("ignored") != output.npos) give_up("after a kill something is damaged: " + output);
    if (count(folder, "", ".code") != 1) give_up("after a kill nothing is stored: " + output);
  }

  // What killed processes left goes when it is old.
  const fs::path left = folder / ".new-0123456789abcdef";
  std::fclose(std::fopen(left.c_str(), "w"));
  fs::last_write_time(left, fs::file_time_type::clock::now() - std::chrono::hours(2));
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".code") fs::remove(entry.path());
  }
  Run last = start(folder, image);
  output_of(last);
  wait_for(last);
  if (fs::exists(left)) give_up("what a killed process left an hour ago is there still");
  close(watch);
  fs::remove_all(base);
  std::printf("%u kills: %u left an unfinished file, %u a whole entry; each later run was right\n", kills, unfinished,
              whole_entries);
  if (kills >= 100 && unfinished == 0) give_up("no kill met a process that was writing: the test sees nothing");
  return 0;
}
