// Guests at the same time, on threads of a scheduler: --instances, --also, --workers and --pin. The main thread starts
// the guests, takes those that have ended, prints what they failed of and, after Ctrl-C, where the others were.
//
// Rules. A guest is its task's until that puts it among those that have ended, which also happens where the task never
// ran. From then on it is the main thread's, which waits for the task before it ends the guest. The event is readable when
// there may be one, and after Ctrl-C.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <memory>
#include <mutex>
#include <new>
#include <set>

#include "tools/image.h"
#include "tools/observer.h"
#include "tools/places.h"
#include "tools/profiling.h"
#include "tools/report.h"
#include "tools/run.h"
#include "vmrun/listen.h"

namespace vmrun::tools {
namespace {

using Clock = std::chrono::steady_clock;

/// What a task's stack has beyond the guest's part, for the host's functions.
constexpr uint64_t kHostPart = uint64_t{256} << 10;

/// After Ctrl-C: guests that do not end for so long, though they could have had the processor, are given up.
constexpr int kPatienceMs = 500;
constexpr unsigned kMostPatience = 10;  // on a busy machine

struct Guest {
  Guest(const Program& program, const WasiConfig& wasi, uint32_t number)
      : program(program), wasi(wasi), number(number), store(program.engine, program.options.limits) {}

  const Program& program;
  const WasiConfig& wasi;
  const uint32_t number;
  Store store;
  Task task;
  std::string state;  // when Ctrl-C was pressed
  Guest* next_ended = nullptr;

  // The task's until it has ended.
  bool begun = false;
  bool no_memory = false;
  Result<std::string> done = std::string();
  StopReason stopped = StopReason::None;
  RunTimes times;
};

/// Guests whose tasks have ended, or are about to. Needs no memory: a task ends without any, too.
class EndedGuests {
 public:
  explicit EndedGuests(int event) : event_(event) {}

  void add(Guest& guest) {
    std::lock_guard lock(mutex_);
    (last_ != nullptr ? last_->next_ended : first_) = &guest;
    const bool tells = last_ == nullptr;
    last_ = &guest;
    const uint64_t one = 1;
    if (tells) [[maybe_unused]]
      const ssize_t written = write(event_, &one, sizeof one);
  }
  /// A list by Guest::next_ended, in the order in which they ended.
  Guest* take() {
    std::lock_guard lock(mutex_);
    last_ = nullptr;
    return std::exchange(first_, nullptr);
  }

 private:
  const int event_;
  std::mutex mutex_;
  Guest *first_ = nullptr, *last_ = nullptr;
};

/// Part of what a task calls: goes with it, whether or not it was called.
class Leaving {
 public:
  Leaving(Guest& guest, EndedGuests& ended) : guest_(&guest), ended_(&ended) {}
  Leaving(Leaving&& other) noexcept : guest_(std::exchange(other.guest_, nullptr)), ended_(other.ended_) {}
  ~Leaving() {
    if (guest_ != nullptr) ended_->add(*guest_);
  }
  Guest& guest() const { return *guest_; }

 private:
  Guest* guest_;
  EndedGuests* ended_;
};

/// The guest from its start to its end, in its task.
void run_guest(Guest& guest) {
  if (this_task::stop_reason() == StopReason::None) {
    guest.begun = true;
    try {
      const auto start = Clock::now();
      auto ready = start;
      const auto run = [&]() -> Result<void> {
        auto instance = instantiate_quickly(guest.program, guest.store, guest.wasi);
        ready = Clock::now();
        guest.done = instance ? run_entry(guest.program, *instance) : Result<std::string>(std::move(instance).error());
        if (!guest.done) return guest.done.error();
        return {};
      };
      const Result<void> ended = guest.program.starts_threads ? run_wasi(guest.store, run) : run();
      if (!ended) guest.done = ended.error();
      guest.times = {ready - start, Clock::now() - ready, 0};
    } catch (const std::bad_alloc&) {
      guest.no_memory = true;
    }
  }
  guest.stopped = this_task::take_stop();
}

/// Processor time of all threads.
std::chrono::nanoseconds processor_time() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// The guests of one command, from their start to their end. The main thread's.
class Guests {
 public:
  Guests(const RunOptions& options, Executor& executor, int event, bool several, Profiling& profiling)
      : options_(options),
        executor_(executor),
        event_(event),
        several_(several),
        profiling_(profiling),
        ended_(event) {}

  /// Where there is no memory for it, it is one of those that have failed.
  void start(const Program& program, const WasiConfig& wasi) {
    try {
      try_start(program, wasi);
    } catch (const std::bad_alloc&) {
      ++figures_.guests;
      fail_without_memory();
    }
  }

  size_t live() const { return live_; }
  int status() const { return status_; }
  ManyFigures& figures() { return figures_; }

  /// Takes those that have ended; how many they were.
  size_t take_ended() {
    size_t count = 0;
    for (Guest *guest = ended_.take(), *next; guest != nullptr; guest = next, ++count) {
      next = guest->next_ended;
      end(*guest);
    }
    if (printed_) std::fflush(stdout);
    return count;
  }

  /// Waits for the event, at most `milliseconds` (-1: for ever).
  void wait(int milliseconds) const {
    pollfd one{event_, POLLIN, 0};
    uint64_t count = 0;
    if (poll(&one, 1, milliseconds) == 1) [[maybe_unused]]
      const ssize_t n = read(event_, &count, sizeof count);
  }

  /// After Ctrl-C: ends all guests and tells where they were. `missing`: those that have not been started.
  [[noreturn]] void interrupt(size_t missing) {
    for (const auto& guest : all_) {
      if (guest != nullptr) guest->state = guest->task.state();
    }
    for (const auto& guest : all_) {
      if (guest != nullptr) guest->task.cancel();
    }
    auto work = processor_time();
    for (unsigned in_vain = 0; live_ != 0 && in_vain != kMostPatience;) {
      in_vain = some_end() ? 0 : in_vain + 1;
      const auto now = processor_time();
      if (in_vain != 0 && now - work < std::chrono::milliseconds(2)) break;
      work = now;
    }
    for (const auto& guest : all_) {
      if (guest == nullptr) continue;
      places_.push_back({guest->number, image_name(guest->program.image), guest->state + ", and did not stop", {}});
    }
    std::ranges::sort(places_, {}, &Place::number);
    std::string text = strf("vmrun: interrupted: %zu guest%s", places_.size(), places_.size() == 1 ? "" : "s");
    if (missing != 0) text += strf(", %zu more had not been started", missing);
    text += "\n" + places_text(places_);
    if (live_ != 0) text += why_alive();
    print_patiently(text, std::chrono::milliseconds(kPatienceMs));
    profiling_.finish({"interrupt", kExitCtrlC});
    _exit(kExitCtrlC);
  }

  /// Says what was not printed as it came.
  void summarise() const {
    if (untold_ != 0) print_note(strf("%zu more guests failed", untold_));
  }

 private:
  void try_start(const Program& program, const WasiConfig& wasi) {
    // The number of a guest that fails here is the next one's.
    auto made = std::make_unique<Guest>(program, wasi, static_cast<uint32_t>(all_.size() + 1));
    all_.push_back(std::move(made));
    Guest& guest = *all_.back();
    ++live_;
    auto task = [&]() -> Result<Task> {
      Leaving leaving(guest, ended_);  // whatever becomes of it, the guest is among those that have ended
      try {
        return executor_.spawn(guest.store, [leaving = std::move(leaving)] { run_guest(leaving.guest()); },
                               {.timeout = options_.timeout, .name = program.name.c_str()});
      } catch (const std::bad_alloc&) {
        guest.no_memory = true;
        return Task();
      }
    }();
    if (task) {
      guest.task = std::move(*task);
    } else {
      guest.done = std::move(task).error();
    }
  }

  void fail_without_memory() {
    ++figures_.failed;
    if (status_ == kExitOk) status_ = kExitError;
    if (std::exchange(told_of_memory_, true)) {
      ++untold_;
    } else {
      std::fputs("vmrun: error: no memory for a guest\n", stderr);
    }
  }

  /// Waits until guests end, for a while. Whether some have.
  bool some_end() {
    const auto end = Clock::now() + std::chrono::milliseconds(kPatienceMs);
    for (auto now = Clock::now(); now < end; now = Clock::now()) {
      if (take_ended() != 0) return true;
      wait(static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(end - now).count()));
    }
    return take_ended() != 0;
  }

  /// What the threads do that guests should have ended on.
  std::string why_alive() const {
    const ExecutorStats now = executor_.stats();
    return strf(
        "vmrun: %zu threads: %zu in calls of the system, %zu asleep; %u workers: %u without work; %zu guests ready, "
        "%" PRIu64 " switches\n",
        now.threads, now.blocked_threads, now.idle_threads, now.workers, now.idle_workers, now.ready, now.switches);
  }

  std::string name_of(const Guest& guest) const {
    return several_ ? strf("guest %u (%s)", guest.number, image_name(guest.program.image).c_str()) : std::string();
  }

  /// How it failed; status 0: it did not.
  Failure failure(const Guest& guest, const std::string& who) const {
    if (guest.done) return {};
    const Error& error = guest.done.error();
    if (error.trap == TrapCode::Interrupted && guest.stopped == StopReason::Timeout) {
      const std::string limit = "time limit of " + duration_text(*options_.timeout) + " reached";
      return trap_failure(limit, error.backtrace, who);
    }
    Failure failure = failure_of(error, who);
    if (error.kind == ErrorKind::Exit && failure.status != kExitOk && several_) {
      failure.text = "vmrun: " + who + strf(": ended with status %d\n", failure.status);
    }
    return failure;
  }

  void end(Guest& guest) {
    guest.task.join();
    if (!guest.begun && guest.done && !guest.no_memory) {
      // Its time was over, Ctrl-C came, or there was nothing for it to run on.
      Error error(ErrorKind::Trap, "");
      error.trap = TrapCode::Interrupted;
      guest.done = guest.stopped != StopReason::None ? error : Error(ErrorKind::Limit, "no memory for a guest's stack");
    }
    ++figures_.guests;
    figures_.instantiate += guest.times.instantiate;
    figures_.run += guest.times.run;
    figures_.largest_memory = std::max(figures_.largest_memory, guest.store.peak_memory_bytes());
    if (guest.done && !guest.done->empty()) {
      std::fputs(guest.done->c_str(), stdout);
      printed_ = true;
    }
    if (guest.no_memory) {
      fail_without_memory();
    } else if (!guest.done && guest.done.error().trap == TrapCode::Interrupted &&
               guest.stopped == StopReason::Cancelled) {
      places_.push_back({guest.number, image_name(guest.program.image), std::move(guest.state),
                         std::move(guest.done.error().backtrace)});
    } else {
      try {
        tell(guest);
      } catch (const std::bad_alloc&) {
        fail_without_memory();
      }
    }
    --live_;
    all_[guest.number - 1].reset();
  }

  /// Prints how it failed, unless others have failed in the same way, or many in other ways.
  void tell(const Guest& guest) {
    const Failure how = failure(guest, {});
    if (how.status == kExitOk) return;
    ++figures_.failed;
    if (status_ == kExitOk) status_ = how.status;
    constexpr size_t kMostTold = 16;
    if (told_.size() < kMostTold && told_.insert(how.text).second) {
      print_lines(failure(guest, name_of(guest)).text);
    } else {
      ++untold_;
    }
  }

  const RunOptions& options_;
  Executor& executor_;
  const int event_;
  const bool several_;
  Profiling& profiling_;
  EndedGuests ended_;
  std::vector<std::unique_ptr<Guest>> all_;  // by number; null: has ended
  size_t live_ = 0;
  int status_ = kExitOk;  // of the first that failed
  bool printed_ = false, told_of_memory_ = false;
  std::set<std::string> told_;
  size_t untold_ = 0;
  std::vector<Place> places_;
  ManyFigures figures_;
};

/// The programs of the command line, IMAGE first. One that is named twice is loaded once.
Result<std::vector<Program>> load_programs(const RunOptions& options, std::string_view image, Args args) {
  const Engine engine(options.config);
  auto preloads = load_preloads(options, engine);
  if (!preloads) return preloads.error();
  auto first = load_program(options, engine, image, *preloads);
  if (!first) return first.error();
  std::vector<Program> programs{*first};
  for (const RunOptions::Many::Also& also : options.many.also) {
    const auto known = std::ranges::find(programs, also.image, &Program::image);
    auto program =
        known != programs.end() ? Result<Program>(*known) : load_program(options, engine, also.image, *preloads);
    if (!program) return program.error();
    program->is_also = true;
    program->argv.resize(1);
    program->argv.insert(program->argv.end(), also.args.begin(), also.args.end());
    programs.push_back(std::move(*program));
  }
  give_arguments(programs[0], args);
  for (const Program& program : programs) {
    if (auto fine = check_entry(program); !fine) return fine.error();
  }
  return programs;
}

struct Event {
  const int fd = eventfd(0, EFD_CLOEXEC);
  Event() = default;
  ~Event() {
    if (fd >= 0) close(fd);
  }
  Event(const Event&) = delete;
};

}  // namespace

int run_many(const RunOptions& options, const Parsed& parsed, Args args, std::optional<Deadline>& deadline) {
  const auto start = Clock::now();
  auto listeners = open_listeners(options);
  if (!listeners) return fail(listeners.error());
  if (auto told = announce(options); !told) return fail(told.error());
  auto programs = load_programs(options, parsed.positional[0], args.subspan(parsed.rest));
  if (!programs) return fail(programs.error());
  Profiling profiling(options, parsed.positional[0], args.subspan(parsed.rest));
  for (const Program& program : *programs) profiling.add(program.image, program.module);
  Observer observer(options, parsed.positional[0], args.subspan(parsed.rest), profiling);
  if (auto begun = observer.begin(Observer::Listens::FromTheStart); !begun) return fail(begun.error());
  const auto loaded = Clock::now() - start;
  deadline.reset();  // each guest has its own

  const size_t instances = options.many.instances.value_or(1);
  const size_t count = instances + options.many.also.size();
  if (count > 1) raise_descriptor_limit();
  WasiConfig common = make_wasi_config(options, {}, *listeners);
  if (count > 1) common.stdio_in_turn();
  std::vector<WasiConfig> configs;
  for (const Program& program : *programs) {
    configs.push_back(common);
    configs.back().args(program.argv).stdin_fd(WasiConfig::kNull);
  }
  WasiConfig with_input = configs[0];
  with_input.stdin_fd(STDIN_FILENO);

  ExecutorConfig tasks;
  tasks.workers = options.many.workers;
  tasks.pin = options.many.pin;
  tasks.stack_bytes = options.limits.stack_bytes + kHostPart;
  const Event event;
  if (event.fd < 0) return fail("this process has too many open files");
  auto executor = Executor::create(tasks);
  if (!executor) return fail(executor.error());
  Guests guests(options, *executor, event.fd, count > 1, profiling);
  profiling.watch(*executor);
  const Observer::Watch watch(observer, *executor);
  const CtrlCEvent ctrl_c(event.fd);
  const auto begin = Clock::now();
  for (size_t i = 0; i < count && !ctrl_c.pressed(); ++i) {
    const size_t which = i < instances ? 0 : i - instances + 1;
    guests.start((*programs)[which], i == 0 ? with_input : configs[which]);
    guests.take_ended();
    if (ctrl_c.pressed()) guests.interrupt(count - i - 1);
  }
  while (guests.take_ended(), guests.live() != 0) {
    guests.wait(-1);
    if (ctrl_c.pressed()) guests.interrupt(0);
  }
  executor->wait_idle();  // their tasks have told of their ends, which come a moment later
  guests.summarise();
  profiling.finish({guests.status() == kExitTrap ? "failure" : "end", guests.status()},
                   guests.figures().largest_memory);
  if (options.stats) {
    ManyFigures& figures = guests.figures();
    figures.load = loaded;
    figures.wall = Clock::now() - begin;
    figures.tasks = executor->stats();
    figures.io = executor->io();
    print_many_stats(figures, *programs);
  }
  for (const Program& program : *programs) store_code(program);
  if ((*programs)[0].engine.compiling()) {
    observer.end();
    leave(guests.status());
  }
  return guests.status();
}

}  // namespace vmrun::tools
