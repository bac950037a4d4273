// Everything that tasks do, at once and at random: guests that compute, spin, trap, sleep, read and write; tasks that send,
// receive, lock, wait for each other and for descriptors; cancelled by handles, tokens, deadlines and interrupts. Every job
// says whether it ended as it should, and at the end nothing may be left: no task, no descriptor, no value on its way.
//
//   tasks_stress [--seconds=5] [--workers=2] [--io=auto] [--jobs=100] [--seed=N]
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "vmrun/executor.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

namespace vmrun::stress {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Settings {
  uint64_t seconds = 5, workers = 2, jobs = 100, seed = std::random_device{}();
  std::string io = "auto";
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "tasks_stress: %s\n", why.c_str());
  std::abort();
}
template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error().to_string());
  return std::move(*result);
}

size_t open_descriptors() {
  size_t n = 0;
  DIR* dir = ::opendir("/proc/self/fd");
  if (dir == nullptr) give_up("cannot list descriptors");
  while (::readdir(dir) != nullptr) ++n;
  ::closedir(dir);
  return n;
}

/// Two descriptors that are connected, closed with it.
struct Pair {
  explicit Pair(bool sockets) {
    if ((sockets ? ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) : ::pipe2(ends, O_CLOEXEC)) != 0) {
      give_up(std::string("no descriptors: ") + std::strerror(errno));
    }
  }
  ~Pair() {
    for (int fd : ends) ::close(fd);
  }
  Pair(const Pair&) = delete;
  int ends[2];
};

/// A value that counts itself.
std::atomic<int64_t> values{0};
struct Value {
  explicit Value(uint64_t n) : number(n) { ++values; }
  Value(Value&& other) noexcept : number(other.number) { ++values; }
  Value& operator=(Value&& other) noexcept = default;
  ~Value() { --values; }
  uint64_t number;
};

bool interrupted(const Result<std::vector<Val>>& result) {
  return !result && result.error().kind == ErrorKind::Trap && result.error().trap == TrapCode::Interrupted;
}

constexpr const char* kKinds[] = {"compute",    "late spin",  "cancelled spin", "trap",    "pipe",
                                  "late sleep", "poll",       "interrupt",      "channel", "condition",
                                  "nested",     "descriptor", "wait group",     "token",   "drop"};
constexpr size_t kKindCount = std::size(kKinds);

class Stress {
 public:
  explicit Stress(const Settings& settings)
      : settings_(settings),
        engine_(config()),
        loops_(load("interp_loops")),
        waits_(load("wasi_wait")),
        traps_(load("cli_traps")),
        linker_(engine_),
        completions_(must(Completions::create())),
        executor_(make_executor(settings)) {}

  /// Whether all went well.
  bool run() {
    std::mt19937_64 random(settings_.seed);
    const Clock::time_point end = Clock::now() + std::chrono::seconds(settings_.seconds);
    uint64_t seen = 0;
    while (Clock::now() < end) {
      if (executor_.live() < settings_.jobs) {
        spawn(random());
      } else {
        std::this_thread::sleep_for(200us);
      }
      seen += completions_.take().size();
    }
    // Jobs take milliseconds; what has not ended after a minute never will.
    for (const Clock::time_point late = Clock::now() + 60s; executor_.live() != 0;) {
      if (Clock::now() > late)
        give_up("tasks hang (seed " + std::to_string(settings_.seed) + ")\n" + executor_.report());
      std::this_thread::sleep_for(1ms);
    }
    executor_.wait_idle();
    seen += completions_.take().size();
    const ExecutorStats stats = executor_.stats();
    for (size_t kind = 0; kind < kKindCount; ++kind) {
      std::printf("%-14s %8llu right %8llu wrong\n", kKinds[kind], static_cast<unsigned long long>(right_[kind]),
                  static_cast<unsigned long long>(wrong_[kind]));
    }
    std::printf("io %s, %u workers: %llu tasks, %llu switches, %llu preemptions, %llu steals, seed %llu\n",
                executor_.io(), stats.workers, static_cast<unsigned long long>(stats.spawned),
                static_cast<unsigned long long>(stats.switches), static_cast<unsigned long long>(stats.preemptions),
                static_cast<unsigned long long>(stats.steals), static_cast<unsigned long long>(settings_.seed));
    bool well = true;
    auto expect = [&](bool holds, const char* what) {
      if (!holds) std::printf("WRONG: %s\n", what);
      well = well && holds;
    };
    for (size_t kind = 0; kind < kKindCount; ++kind) {
      expect(wrong_[kind] == 0, kKinds[kind]);
      expect(right_[kind] > 0, "a kind of job never ended");
    }
    expect(stats.tasks == 0 && executor_.live() == 0, "tasks are left");
    expect(seen == jobs_, "not every job's end came to the event loop");
    expect(ends_ == jobs_, "not every job's end was called");
    expect(values == 0, "values were lost or doubled");
    return well;
  }

 private:
  static Config config() {
    Config config;
    config.tiers = Tiers::Auto;
    return config;
  }
  static Executor make_executor(const Settings& settings) {
    ExecutorConfig config;
    config.workers = static_cast<unsigned>(settings.workers);
    config.io = settings.io;
    config.slice = 1ms;
    return must(Executor::create(config));
  }
  Module load(const char* name) {
    return must(Module::compile_file(engine_, std::string(VMRUN_FIXTURES "/") + name + ".wasm"));
  }

  /// A guest in a store of its own, and the descriptors that its streams borrow.
  struct Guest {
    explicit Guest(const Engine& engine) : store(engine) {}
    std::shared_ptr<Pair> streams;  // outlive the store
    Store store;
    Instance instance{nullptr};
    Result<std::vector<Val>> call(const char* name, std::vector<Val> values = {}) {
      return must(instance.func(name)).call(values);
    }
  };
  std::unique_ptr<Guest> plain(const Module& module) {
    auto guest = std::make_unique<Guest>(engine_);
    guest->instance = must(linker_.instantiate(guest->store, module));
    return guest;
  }
  std::unique_ptr<Guest> waiting(const WasiConfig& config, std::shared_ptr<Pair> streams = nullptr) {
    auto guest = std::make_unique<Guest>(engine_);
    guest->streams = std::move(streams);
    guest->instance = must(instantiate_wasi(guest->store, waits_, must(WasiContext::create(config))));
    return guest;
  }

  void note(size_t kind, bool well) { ++(well ? right_ : wrong_)[kind]; }

  /// Options of a job's last task: its end is the job's.
  TaskOptions last() {
    ++jobs_;
    TaskOptions options;
    options.on_end = [this] { ++ends_; };
    options.completions = &completions_;
    return options;
  }
  template <class F>
  Task go(Guest& guest, TaskOptions options, F&& f) {
    options.name = kKinds[kind_];
    return must(executor_.spawn(guest.store, std::forward<F>(f), options));
  }
  template <class F>
  Task go(TaskOptions options, F&& f) {
    options.name = kKinds[kind_];
    return must(executor_.spawn(std::forward<F>(f), options));
  }

  void spawn(uint64_t random) {
    const size_t kind = random % kKindCount;
    kind_ = kind;
    const auto some = [&](uint64_t most) { return (random >> 20) % most + 1; };
    const std::chrono::microseconds soon(some(20'000));
    switch (kind) {
      case 0: {  // computes, and is preempted
        const auto n = static_cast<int32_t>(some(100'000));
        auto mixed = [this, n](const std::shared_ptr<Guest>& guest, auto then, const TaskOptions& options) {
          return go(*guest, options, [guest, n, then] { then(must(guest->call("mixed", {Val::i32(n)}))[0].as_f64()); });
        };
        auto twin = std::make_shared<double>(0);
        const Task first = mixed(plain(loops_), [twin](double result) { *twin = result; }, {});
        auto compare = [this, kind, twin, first](double result) { note(kind, first.join() && *twin == result); };
        mixed(plain(loops_), compare, last());
        return;
      }
      case 1: {  // spins until its time is up
        std::shared_ptr<Guest> guest = plain(loops_);
        TaskOptions options = last();
        options.timeout = soon;
        go(*guest, options, [this, kind, guest] {
          const bool ended = interrupted(guest->call("forever"));
          note(kind, ended && this_task::take_stop() == StopReason::Timeout && this_task::sleep_for(1us));
        });
        return;
      }
      case 2: {  // spins until another task cancels it
        std::shared_ptr<Guest> guest = plain(loops_);
        const Task spins = go(*guest, {}, [this, kind, guest] {
          const bool ended = interrupted(guest->call("forever"));
          note(kind, ended && this_task::stop_reason() == StopReason::Cancelled);
        });
        go(last(), [spins, soon] {
          this_task::sleep_for(soon);
          spins.cancel();
          spins.join();
        });
        return;
      }
      case 3: {
        std::shared_ptr<Guest> guest = plain(traps_);
        go(*guest, last(), [this, kind, guest] {
          const auto result = guest->call("divide", {Val::i32(1), Val::i32(0)});
          note(kind, !result && result.error().trap == TrapCode::IntegerDivideByZero);
        });
        return;
      }
      case 4: {  // one writes until it is cancelled, another reads
        auto pipe = std::make_shared<Pair>(some(2) == 1);
        std::shared_ptr<Guest> writer = waiting(WasiConfig().stdout_fd(pipe->ends[1]), pipe);
        std::shared_ptr<Guest> reader = waiting(WasiConfig().stdin_fd(pipe->ends[0]), pipe);
        const Task writes =
            go(*writer, {}, [this, kind, writer] { note(kind, interrupted(writer->call("write_on"))); });
        go(*reader, last(), [this, kind, reader, writes, times = some(20)] {
          bool well = true;
          for (uint64_t i = 0; i < times; ++i) well = well && must(reader->call("read"))[0].as_i32() == 0;
          writes.cancel();
          note(kind, well && writes.join());
        });
        return;
      }
      case 5: {
        std::shared_ptr<Guest> guest = waiting(WasiConfig());
        TaskOptions options = last();
        options.timeout = soon;
        go(*guest, options, [this, kind, guest] {
          note(kind, interrupted(guest->call("sleep")) && this_task::stop_reason() == StopReason::Timeout);
        });
        return;
      }
      case 6: {  // a clock and a descriptor, which becomes ready
        auto pipe = std::make_shared<Pair>(some(2) == 1);
        std::shared_ptr<Guest> guest = waiting(WasiConfig().stdin_fd(pipe->ends[0]), pipe);
        const Task polls = go(*guest, {}, [this, kind, guest] {
          note(kind, must(guest->call("poll"))[0].as_i32() == 0 && must(guest->call("read"))[0].as_i32() == 0);
        });
        go(last(), [this, kind, pipe, polls, soon] {
          this_task::sleep_for(soon);
          note(kind, ::write(pipe->ends[1], "x", 1) == 1);
          polls.join();
        });
        return;
      }
      case 7: {  // its store is interrupted, and it goes on
        std::shared_ptr<Guest> guest = some(2) == 1 ? plain(loops_) : waiting(WasiConfig());
        const bool spins = some(2) == 1;
        const Task task = go(*guest, {}, [this, kind, guest, spins] {
          const bool ended = interrupted(guest->call(spins ? "forever" : "sleep"));
          note(kind, ended && this_task::stop_reason() == StopReason::None);
        });
        go(last(), [guest, task, soon] {
          do {
            this_task::sleep_for(soon);
            guest->store.interrupt();  // again, if it came before the call
          } while (!task.done());
        });
        return;
      }
      case 8: {
        auto channel = std::make_shared<Channel<Value>>(some(4) - 1);
        const uint64_t count = some(300);
        for (int sender = 0; sender < 2; ++sender) {
          go({}, [channel, count] {
            for (uint64_t i = 0; i < count; ++i) channel->send(Value(i));
          });
        }
        go(last(), [this, kind, channel, count] {
          uint64_t sum = 0;
          for (uint64_t i = 0; i < 2 * count; ++i) sum += channel->receive()->number;
          note(kind, sum == count * (count - 1) && !channel->try_receive());
        });
        return;
      }
      case 9: {
        struct Shared {
          Mutex mutex;
          Condition changed;
          uint64_t turn = 0;
        };
        auto shared = std::make_shared<Shared>();
        const uint64_t turns = some(100);
        auto take_turns = [shared, turns](uint64_t who) {
          for (uint64_t i = 0; i < turns; ++i) {
            std::lock_guard guard(shared->mutex);
            while (shared->turn % 2 != who) shared->changed.wait(shared->mutex);
            ++shared->turn;
            shared->changed.notify_one();
          }
        };
        const Task other = go({}, [take_turns] { take_turns(0); });
        go(last(), [this, kind, shared, take_turns, other, turns] {
          take_turns(1);
          other.join();
          note(kind, shared->turn == 2 * turns);
        });
        return;
      }
      case 10: {  // tasks that tasks start
        go(last(), [this, kind, depth = some(30)] { note(kind, nest(depth) == depth); });
        return;
      }
      case 11: {
        auto pair = std::make_shared<Pair>(true);
        std::shared_ptr<Guest> guest = plain(loops_);
        go(*guest, last(), [this, kind, pair, guest, soon] {
          const auto none = this_task::wait_fd(pair->ends[0], this_task::Ready::Read, soon);
          const bool written = ::write(pair->ends[1], "x", 1) == 1;
          note(kind, !none && none.error().kind == ErrorKind::Limit && written &&
                         this_task::wait_fd(pair->ends[0], this_task::Ready::Read));
        });
        return;
      }
      case 12: {
        auto group = std::make_shared<WaitGroup>();
        auto sum = std::make_shared<std::atomic<uint64_t>>(0);
        const uint64_t count = some(50);
        group->add(static_cast<uint32_t>(count));
        for (uint64_t i = 0; i < count; ++i) {
          go({}, [group, sum, i] {
            this_task::yield();
            *sum += i;
            group->done();
          });
        }
        go(last(), [this, kind, group, sum, count] {
          note(kind, group->wait() == Waited::Done && *sum == count * (count - 1) / 2);
        });
        return;
      }
      case 13: {
        const CancelToken token = CancelToken::create();
        auto never = std::make_shared<Event>();
        auto stopped = std::make_shared<std::atomic<uint64_t>>(0);
        const uint64_t count = some(20);
        std::vector<Task> tasks;
        TaskOptions options;
        options.cancel = token;
        for (uint64_t i = 0; i < count; ++i) {
          tasks.push_back(go(options, [never, stopped] { *stopped += never->wait() == Waited::Cancelled; }));
        }
        go(last(), [this, kind, token, tasks, stopped, count, soon] {
          this_task::sleep_for(soon);
          token.cancel();
          for (const Task& task : tasks) task.join();
          note(kind, *stopped == count);
        });
        return;
      }
      default: {  // a guest that comes and goes within its task
        go(last(), [this, kind] {
          bool well = true;
          for (int i = 0; i < 3; ++i) {
            const std::unique_ptr<Guest> guest = plain(traps_);
            well = well && static_cast<bool>(guest->instance.func("divide"));
            this_task::yield();
          }
          note(kind, well);
        });
        return;
      }
    }
  }

  /// How many tasks deep it went.
  uint64_t nest(uint64_t depth) {
    if (depth == 0) return 0;
    uint64_t beneath = 0;
    go({}, [&] { beneath = nest(depth - 1); }).join();
    return beneath + 1;
  }

  const Settings settings_;
  Engine engine_;
  const Module loops_, waits_, traps_;
  Linker linker_;
  Completions completions_;
  std::atomic<uint64_t> jobs_{0}, ends_{0};
  std::array<std::atomic<uint64_t>, kKindCount> right_{}, wrong_{};
  std::atomic<size_t> kind_{0};  // of the tasks that are spawned now, for reports
  Executor executor_;
};

bool parse(const char* text, Settings& settings) {
  const std::string_view argument(text);
  const size_t equals = argument.find('=');
  if (!argument.starts_with("--") || equals == argument.npos) return false;
  const std::string_view name = argument.substr(2, equals - 2), value = argument.substr(equals + 1);
  if (name == "io") return settings.io = value, true;
  uint64_t* number = name == "seconds"   ? &settings.seconds
                     : name == "workers" ? &settings.workers
                     : name == "jobs"    ? &settings.jobs
                     : name == "seed"    ? &settings.seed
                                         : nullptr;
  return number != nullptr && std::from_chars(value.begin(), value.end(), *number).ec == std::errc();
}

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    if (!parse(argv[i], settings)) {
      std::fprintf(stderr,
                   "usage: tasks_stress [--seconds=5] [--workers=2] [--io=auto|epoll|uring] [--jobs=100] [--seed=N]\n");
      return 2;
    }
  }
  ExecutorConfig probe;
  probe.io = settings.io;
  if (auto executor = Executor::create(probe); !executor || (settings.io == "uring" && executor->io() != settings.io)) {
    std::printf("skipped: this system has no %s\n", settings.io.c_str());
    return 0;
  }
  (void)must(WasiContext::create({}));  // opens what all contexts share
  {
    // And what all memories share, when the first one comes back.
    const Engine engine;
    const MemoryType page{.min = 1};
    for (int i = 0; i < 2; ++i) {
      Store store(engine);
      (void)must(Memory::create(store, page));
    }
  }
  const size_t before = open_descriptors();
  bool well = Stress(settings).run();
  if (const size_t after = open_descriptors(); after != before) {
    std::printf("WRONG: %zu descriptors are open, %zu before\n", after, before);
    well = false;
  }
  return well ? 0 : 1;
}

}  // namespace
}  // namespace vmrun::stress

int main(int argc, char** argv) { return vmrun::stress::main(argc, argv); }
