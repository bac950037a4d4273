// Many idle guests in one process, and what they cost: bench/many runs this and prints a table.
//
//   many_guests FILE KIND GUESTS WORKERS STACK     KIND: timer, pipe or socket: what FILE's _start waits for
//   many_guests FILE ends GUESTS WORKERS STACK     FILE ends at once: what it costs to instantiate, run and drop it
//
// It prints lines `name value`: bytes and counts beyond what the process had before the first guest.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "vmrun/executor.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

using namespace vmrun;

namespace {

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "many_guests: %s\n", what.c_str());
  std::exit(1);
}

template <class T>
T ok(Result<T> result) {
  if (!result) fail(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

struct Usage {
  size_t resident = 0, page_tables = 0, mappings = 0;
};

Usage usage_now() {
  Usage usage;
  std::string line;
  std::ifstream status("/proc/self/status");
  while (std::getline(status, line)) {
    const auto kib = [&](const char* name, size_t& to) {
      if (line.rfind(name, 0) == 0) to = std::strtoull(line.c_str() + std::strlen(name), nullptr, 10) << 10;
    };
    kib("VmRSS:", usage.resident);
    kib("VmPTE:", usage.page_tables);
  }
  std::ifstream maps("/proc/self/maps");
  while (std::getline(maps, line)) ++usage.mappings;
  return usage;
}

double processor_seconds() {
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void print(const char* name, double value) { std::printf("%s %.0f\n", name, value); }

void print(const char* prefix, const Usage& now, const Usage& before) {
  const auto more = [](size_t a, size_t b) { return a > b ? static_cast<double>(a - b) : 0; };
  print((std::string(prefix) + "resident").c_str(), more(now.resident, before.resident));
  print((std::string(prefix) + "page_tables").c_str(), more(now.page_tables, before.page_tables));
  print((std::string(prefix) + "mappings").c_str(), more(now.mappings, before.mappings));
}

/// Sockets whose peers another process holds, which ends with this one.
class Sockets {
 public:
  explicit Sockets(size_t count) {
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    socklen_t length = sizeof(address.sun_family);  // the system chooses a name
    if (listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::listen(listener, 128) != 0) {
      fail("cannot listen");
    }
    length = sizeof(address);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
    int pipe[2];
    if (::pipe(pipe) != 0) fail("no pipe");
    peer_ = ::fork();
    if (peer_ == 0) {
      ::close(pipe[1]);
      for (size_t i = 0; i < count; ++i) {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) ::_exit(1);
      }
      char byte;
      (void)!::read(pipe[0], &byte, 1);
      ::_exit(0);
    }
    ::close(pipe[0]);
    end_ = pipe[1];
    for (size_t i = 0; i < count; ++i) {
      const int fd = ::accept(listener, nullptr, nullptr);
      if (fd < 0) fail(std::string("cannot accept: ") + std::strerror(errno));
      fds.push_back(fd);
    }
    ::close(listener);
  }
  void hang_up() {
    ::close(end_);
    ::waitpid(peer_, nullptr, 0);
  }
  std::vector<int> fds;

 private:
  pid_t peer_ = -1;
  int end_ = -1;
};

/// One guest: its store, and where it stands.
struct Guest {
  explicit Guest(const Engine& engine, const StoreLimits& limits) : store(engine, limits) {}
  Store store;
  Task task;
};

size_t raise_descriptor_limit() {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

struct Setting {
  Engine engine;
  Module module;
  StoreLimits limits;
};

void run(Guest& guest, const Setting& setting, const WasiConfig& config, std::atomic<size_t>& failures) {
  auto context = WasiContext::create(config);
  if (!context) return void(++failures);
  auto instance = instantiate_wasi(guest.store, setting.module, *context);
  if (!instance) return void(++failures);
  const auto end = ok(instance->func("_start")).call();
  const bool expected = end || end.error().kind == ErrorKind::Exit || end.error().trap == TrapCode::Interrupted;
  if (!expected) ++failures;
}

void measure_idle(const std::string& kind, size_t count, const Setting& setting, Executor& executor) {
  int pipe[2];
  if (::pipe(pipe) != 0) fail("no pipe");
  std::optional<Sockets> sockets;
  if (kind == "socket") sockets.emplace(count);
  std::atomic<size_t> failures{0};
  std::vector<std::unique_ptr<Guest>> guests(count);
  {  // what the first guests of a process make for all
    Guest first(setting.engine, setting.limits);
    first.task = ok(executor.spawn(first.store, [&] { run(first, setting, WasiConfig().stdin_bytes(""), failures); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    first.task.cancel();
    first.task.join();
  }
  const Usage before = usage_now();
  const double start = processor_seconds();
  for (size_t i = 0; i < count; ++i) {
    guests[i] = std::make_unique<Guest>(setting.engine, setting.limits);
    const int fd = kind == "pipe" ? pipe[0] : kind == "socket" ? sockets->fds[i] : WasiConfig::kNull;
    guests[i]->task = ok(executor.spawn(guests[i]->store,
                                        [&, i, fd] { run(*guests[i], setting, WasiConfig().stdin_fd(fd), failures); }));
  }
  for (ExecutorStats stats = executor.stats(), last{}; stats.ready != 0 || stats.switches != last.switches;) {
    last = stats;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stats = executor.stats();
  }
  if (executor.live() != count) fail("guests have ended: " + std::to_string(count - executor.live()));
  print("guests", static_cast<double>(count));
  print("start_ns", (processor_seconds() - start) / static_cast<double>(count) * 1e9);
  print("", usage_now(), before);
  print("threads", static_cast<double>(executor.stats().threads));

  if (kind == "pipe") ::close(pipe[1]);
  if (sockets) sockets->hang_up();
  if (kind == "timer") {
    for (auto& guest : guests) guest->task.cancel();
  }
  executor.wait_idle();
  guests.clear();
  guests.shrink_to_fit();
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // idle threads give back what they keep
  print("left_", usage_now(), before);
  if (failures != 0) fail(std::to_string(failures) + " guests failed");
}

void measure_ends(size_t count, const Setting& setting, Executor& executor, unsigned workers) {
  std::atomic<size_t> failures{0};
  const WasiConfig config;
  // A task starts guests one after the other, each in a task of its own.
  const auto chain = [&](size_t n) {
    for (size_t i = 0; i < n; ++i) {
      Guest guest(setting.engine, setting.limits);
      guest.task = ok(executor.spawn(guest.store, [&] { run(guest, setting, config, failures); }));
      guest.task.join();
    }
  };
  const auto all = [&](size_t n) {
    for (unsigned i = 0; i < workers; ++i) ok(executor.spawn([&, n] { chain(n / workers); }));
    executor.wait_idle();
  };
  all(2000);
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const double start = processor_seconds();
    all(count);
    const double cost = (processor_seconds() - start) / static_cast<double>(count / workers * workers);
    if (round == 0 || cost < best) best = cost;
  }
  print("run_ns", best * 1e9);
  if (failures != 0) fail(std::to_string(failures) + " guests failed");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) fail("usage: many_guests FILE timer|pipe|socket|ends GUESTS WORKERS STACK");
  const std::string kind = argv[2];
  const size_t count = std::strtoull(argv[3], nullptr, 10);
  ExecutorConfig tasks;
  tasks.workers = static_cast<unsigned>(std::strtoul(argv[4], nullptr, 10));
  tasks.stack_bytes = std::strtoull(argv[5], nullptr, 10);
  if (const size_t most = raise_descriptor_limit(); kind == "socket" && count + 64 > most) {
    fail("a process may have only " + std::to_string(most) + " descriptors here (ulimit -Hn)");
  }
  Config config;
  config.dense_memory = true;
  Engine engine(config);
  Executor executor = ok(Executor::create(tasks));
  const Setting setting{engine, ok(Module::compile_file(engine, argv[1])), {.stack_bytes = tasks.stack_bytes}};
  if (kind == "ends") {
    measure_ends(count, setting, executor, tasks.workers);
  } else {
    measure_idle(kind, count, setting, executor);
  }
}
