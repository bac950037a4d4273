// vmrun top: options, the terminal, and one question after the other.
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <new>
#include <optional>

#include "tools/commands.h"
#include "tools/report.h"
#include "tools/top.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using Value = std::string_view;

struct TopOptions {
  bool once = false, json = false, sample = false;
  std::chrono::nanoseconds interval = std::chrono::seconds(1);
  TopSort sort = TopSort::Processor;
};

Result<void> set_interval(TopOptions& o, Value v) {
  const auto time = parse_duration(v);
  if (!time) return time.error();
  if (*time < std::chrono::milliseconds(100) || *time > std::chrono::hours(1)) {
    return usage_error("must be between 100ms and 1h");
  }
  o.interval = *time;
  return {};
}

Result<void> set_sort(TopOptions& o, Value v) {
  const auto* const at = std::ranges::find(kTopSorts, v);
  if (at == std::end(kTopSorts)) return usage_error("must be cpu, memory, age, state or name");
  o.sort = static_cast<TopSort>(at - std::begin(kTopSorts));
  return {};
}

template <auto kMember>
Result<void> set_on(TopOptions& o, Value) {
  o.*kMember = true;
  return {};
}

constexpr OptionRow<TopOptions> kTopOptions[] = {
    {0, "once", nullptr, "print the screen once, with rates over one interval", set_on<&TopOptions::once>},
    {0, "json", nullptr, "print what the process says as a line of JSON each time; with --once, one line at once",
     set_on<&TopOptions::json>},
    {0, "sample", nullptr,
     "have its guests sampled meanwhile, 100 times a second: the hottest functions, and shares by tier",
     set_on<&TopOptions::sample>},
    {0, "sort", "KEY",
     "which tasks come first: those of most cpu (default) or memory, the oldest by age, or by state or name", set_sort},
    {0, "interval", "TIME", "how often (1s)", set_interval},
};
std::span<const OptionRow<TopOptions>> rows() { return kTopOptions; }

volatile std::sig_atomic_t ended = 0;

/// The terminal without lines and echo, on its other screen, until the end.
class Terminal {
 public:
  Terminal() {
    ::tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO | ISIG));
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    for (const int number : {SIGTERM, SIGHUP, SIGINT}) {
      struct sigaction action = {};
      action.sa_handler = [](int) { ended = 1; };
      ::sigaction(number, &action, nullptr);
    }
    std::fputs("\x1b[?1049h\x1b[?25l", stdout);
  }
  ~Terminal() {
    std::fputs("\x1b[?25h\x1b[?1049l", stdout);
    std::fflush(stdout);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void draw(const std::vector<std::string>& lines, const std::string& foot) const {
    std::string out = "\x1b[H";
    for (const std::string& line : lines) out += line + "\x1b[K\r\n";
    out += "\x1b[J\x1b[7m" + foot + "\x1b[0m\x1b[K";
    std::fputs(out.c_str(), stdout);
    std::fflush(stdout);
  }
  static TopLook size() {
    winsize window{};
    TopLook out;
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col != 0 && window.ws_row > 2) {
      out.width = window.ws_col;
      out.height = window.ws_row - 1;
    } else {
      out.height = 23;
    }
    return out;
  }

 private:
  termios before_{};
};

/// The next key within the time; 0: none, -1: nobody can press any.
int key_within(std::chrono::milliseconds time) {
  pollfd one{STDIN_FILENO, POLLIN, 0};
  const int r = ::poll(&one, 1, static_cast<int>(std::max<int64_t>(time.count(), 0)));
  if (r <= 0) return 0;
  char key = 0;
  return ::read(STDIN_FILENO, &key, 1) == 1 ? static_cast<unsigned char>(key) : -1;
}

/// Which process is meant, where none is named: the only one.
Result<int> only_process() {
  const std::vector<RunningVmrun> all = running_vmruns();
  if (all.size() == 1) return all[0].pid;
  if (all.empty()) return Error(ErrorKind::Io, "no other vmrun of this user runs");
  std::string text = "which one? These run:";
  constexpr size_t kMost = 30;
  for (size_t i = 0; i < std::min(all.size(), kMost); ++i) {
    text += strf("\n%10d  %s", all[i].pid, printable(all[i].command.substr(0, 100)).c_str());
  }
  if (all.size() > kMost) text += strf("\n%10zu  more", all.size() - kMost);
  return Error(ErrorKind::Io, text);
}

void print_screen(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

/// For scripts and pipes: a line of JSON, or a screen in plain text, each time.
int print_answers(int pid, const TopOptions& options) {
  auto before = ask_vmrun(pid, options.sample, options.sort);
  if (!before) return fail(before.error());
  auto asked = Clock::now();
  while (std::ferror(stdout) == 0) {
    if (options.json) {
      // In ASCII: no terminal takes any of it as a command.
      std::printf("%s\n", before->dump(-1, ' ', true, Json::error_handler_t::replace).c_str());
      std::fflush(stdout);
      if (options.once) return kExitOk;
    }
    const timespec pause = {static_cast<time_t>(options.interval.count() / 1'000'000'000),
                            static_cast<long>(options.interval.count() % 1'000'000'000)};
    ::nanosleep(&pause, nullptr);
    auto now = ask_vmrun(pid, options.sample, options.sort);
    const auto time = Clock::now();
    if (!now) return fail(now.error());
    if (!options.json) {
      print_screen(top_screen(*before, *now, std::chrono::duration<double>(time - asked).count(),
                              {.width = 160, .sort = options.sort}));
      if (options.once) return kExitOk;
      std::printf("\n");
    }
    before = std::move(now);
    asked = time;
  }
  return kExitError;
}

/// Draws until `q`. What ended it, if that was an error.
Result<void> watch(int pid, TopOptions options) {
  constexpr auto kFirst = std::chrono::milliseconds(200);
  auto before = ask_vmrun(pid, options.sample, options.sort);
  if (!before) return before.error();
  auto asked = Clock::now();
  auto next = asked + kFirst;
  const Terminal terminal;
  Json older = *before, now = *before;
  double seconds = 1;
  for (;;) {
    TopLook look = Terminal::size();
    look.sort = options.sort;
    std::string foot = strf(" q: end   s: sort tasks (by %s)   p: sample guests (%s) ",
                            kTopSorts[static_cast<size_t>(options.sort)], options.sample ? "on" : "off");
    foot.resize(std::min(foot.size(), look.width));
    terminal.draw(top_screen(older, now, seconds, look), foot);
    while (Clock::now() < next) {
      const int key = key_within(std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()));
      if (ended != 0 || key == -1 || key == 'q' || key == 'Q' || key == 3) return {};
      if (key == 's') {
        options.sort = static_cast<TopSort>((static_cast<size_t>(options.sort) + 1) % std::size(kTopSorts));
      }
      if (key == 'p') options.sample = !options.sample;
      if (key != 0) break;
    }
    if (Clock::now() < next) continue;  // a key: drawn again as it is
    auto answer = ask_vmrun(pid, options.sample, options.sort);
    if (!answer) return answer.error();
    const auto time = Clock::now();
    older = std::move(now);
    now = std::move(*answer);
    seconds = std::chrono::duration<double>(time - asked).count();
    asked = time;
    next = time + options.interval;
  }
}

}  // namespace

std::string top_options_help(bool markdown) { return markdown ? options_markdown(rows()) : options_help(rows()); }

int top_command(Args args) {
  TopOptions options;
  auto parsed = parse(rows(), options, args, false);
  if (!parsed) return fail_usage(parsed.error().message, "top");
  if (parsed->help) return print_help("top");
  if (parsed->positional.size() > 1) return fail_usage("one process at a time", "top");
  int pid = 0;
  if (parsed->positional.empty()) {
    auto only = only_process();
    if (!only) return fail(only.error());
    pid = *only;
  } else {
    const auto number = parse_count_from_1(parsed->positional[0], INT32_MAX);
    if (!number) {
      return fail_usage("'" + std::string(parsed->positional[0]) + "' is no process: give its number", "top");
    }
    pid = static_cast<int>(*number);
  }
  const bool terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
  // The process may say anything. What nobody thought of ends in an error too, with the terminal as it was.
  try {
    if (options.once || options.json || !terminal) return print_answers(pid, options);
    if (auto done = watch(pid, options); !done) return fail(done.error());
    return kExitOk;
  } catch (const Json::exception& e) {
    return fail(Error(ErrorKind::Malformed, "process " + std::to_string(pid) +
                                                " gave an answer that makes no sense: " + printable(e.what())));
  } catch (const std::bad_alloc&) {
    return fail(Error(ErrorKind::Limit, "there is no memory for the answer of process " + std::to_string(pid)));
  }
}

}  // namespace vmrun::tools
