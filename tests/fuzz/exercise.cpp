// Rules of the watchdog: the thread that exercises sets stores and time under the lock; the watchdog thread
// interrupts the stores under the same lock, so that none can die meanwhile.
//
// What the host does at random comes from generators of its own, which advance with what is seen; so it does the same
// in every way of executing, as long as these agree.
#include "exercise.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "canaries.h"
#include "vm/wasm/module.h"

namespace vmrun::test {
namespace {

using Clock = std::chrono::steady_clock;

/// Interrupts stores when the thread that watches them has used up its time, and again until they are released: one
/// interrupt ends one call. Processor time counts, because other processes must not decide where a run is cut; a thread
/// that waits is interrupted after kPatience times its time by the clock.
class Watchdog {
 public:
  Watchdog() : thread_([this](std::stop_token stop) { run(stop); }) {}

  void watch(std::deque<Store>& stores, std::chrono::nanoseconds time) {
    std::lock_guard lock(mutex_);
    stores_ = &stores;
    time_ = time;
    pthread_getcpuclockid(pthread_self(), &clock_);
    begin_ = used();
    give_up_ = Clock::now() + kPatience * time;
    changed_.notify_all();
  }
  void release() {
    std::lock_guard lock(mutex_);
    stores_ = nullptr;
  }

 private:
  static constexpr int kPatience = 15;

  void run(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      if (stores_ == nullptr) {
        changed_.wait(lock, stop, [&] { return stores_ != nullptr; });
        continue;
      }
      std::chrono::nanoseconds left = time_ - (used() - begin_);
      if (left <= left.zero() || Clock::now() >= give_up_) {
        for (Store& store : *stores_) store.interrupt();
        left = std::chrono::milliseconds(20);
      }
      changed_.wait_for(lock, stop, left, [] { return false; });
    }
  }

  /// Processor time of the thread that watches.
  std::chrono::nanoseconds used() const {
    timespec now{};
    clock_gettime(clock_, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Store>* stores_ = nullptr;
  clockid_t clock_ = CLOCK_MONOTONIC;
  std::chrono::nanoseconds time_{}, begin_{};
  Clock::time_point give_up_;
  std::jthread thread_;  // last: it uses the others
};

std::string hex(uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string describe(const Val& value) {
  switch (value.kind()) {
    case ValKind::I32: return "i32:" + hex(static_cast<uint32_t>(value.as_i32()));
    case ValKind::I64: return "i64:" + hex(static_cast<uint64_t>(value.as_i64()));
    case ValKind::F32: return value.as_f32() != value.as_f32() ? "f32:nan" : "f32:" + hex(value.f32_bits());
    case ValKind::F64: return value.as_f64() != value.as_f64() ? "f64:nan" : "f64:" + hex(value.f64_bits());
    case ValKind::V128: return "v128:" + hex(value.as_v128().hi) + "," + hex(value.as_v128().lo);
    case ValKind::Ref: break;
  }
  return value.is_null() ? "null" : "ref";
}

uint64_t hash(std::span<const std::byte> bytes) {
  uint64_t h = 14695981039346656037u;
  while (bytes.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    h = (h ^ word) * 1099511628211u;
    h ^= h >> 29;
    bytes = bytes.subspan(8);
  }
  for (std::byte b : bytes) h = (h ^ static_cast<uint64_t>(b)) * 1099511628211u;
  return h;
}

/// Values of any type that are apt to matter.
class Arguments {
 public:
  explicit Arguments(uint64_t seed) : random_(seed) {}
  Val make(ValType type) {
    static constexpr uint64_t kEdges[] = {0,
                                          1,
                                          2,
                                          3,
                                          31,
                                          32,
                                          63,
                                          64,
                                          0x7f,
                                          0x80,
                                          0xff,
                                          0x7fff,
                                          0xffff,
                                          0x7fffffff,
                                          0x80000000u,
                                          0xffffffffu,
                                          0x7fffffffffffffffu,
                                          0x8000000000000000u,
                                          0xffffffffffffffffu};
    uint64_t bits = random_() % 3 == 0 ? random_() : kEdges[random_() % std::size(kEdges)];
    // A place in a small memory, in a register whose upper half is not empty.
    if (random_() % 4 == 0) bits = (random_() % 3 == 0 ? random_() : random_() % 17) << 32 | random_() % 0x10010;
    switch (type.kind()) {
      case ValKind::I32: return Val::i32(static_cast<int32_t>(bits));
      case ValKind::I64: return Val::i64(static_cast<int64_t>(bits));
      case ValKind::F32: return Val::f32(static_cast<float>(static_cast<int64_t>(bits)) / 4);
      case ValKind::F64: return Val::f64(static_cast<double>(static_cast<int64_t>(bits)) / 4);
      case ValKind::V128: return Val::v128({bits, random_()});
      case ValKind::Ref: break;
    }
    return Val::zero(type);
  }

 private:
  std::mt19937_64 random_;
};

class Run {
 public:
  Run(const Module& module, const ExerciseOptions& options)
      : module_(module),
        options_(options),
        arguments_(options.seed),
        host_(options.seed + 1),
        fuel_(options.seed + 3),
        answers_(options.seed + 2) {
    const size_t stores = options.one_store ? 1 : options.instances;
    if (options.canaries) {
      canaries_.emplace(module.engine(), module.impl()->memories.size() * options.instances, stores,
                        options.stack_bytes);
    }
    for (size_t i = 0; i < stores; ++i) {
      stores_.emplace_back(module.engine(), limits(options));
    }
  }

  Trace trace;

  void go(Watchdog& watchdog, std::chrono::milliseconds time) {
    watchdog.watch(stores_, time);
    instantiate_and_call();
    watchdog.release();
  }

 private:
  static StoreLimits limits(const ExerciseOptions& options) {
    StoreLimits limits;
    limits.memory_bytes = options.memory_bytes;
    limits.table_elements = 100'000;
    limits.stack_bytes = options.stack_bytes;
    limits.host_depth = 20;
    return limits;
  }

  void say(std::string line) {
    if (trace.cut) return;
    if (trace.lines.size() < kMaxLines) {
      trace.lines.push_back(std::move(line));
    } else {
      rest_ = rest_ * 1099511628211u ^ hash(std::as_bytes(std::span(line)));
      ++more_;
    }
  }

  /// What an import of that type gets.
  Result<Extern> make_import(Store& store, const ImportType& import) {
    if (const FuncType* type = import.type.func()) {
      if (std::optional<Extern> same = function_before(*type)) return *same;
      return wrap(Func::create(
          store, *type,
          [this, name = import.name, type = *type](Caller& caller, std::span<const Val> args, std::span<Val> results) {
            return imported(caller, name, type, args, results);
          }));
    }
    if (const MemoryType* type = import.type.memory()) return wrap(Memory::create(store, *type));
    if (const TableType* type = import.type.table()) return wrap(Table::create(store, *type, Val::zero(type->element)));
    if (const GlobalType* type = import.type.global()) return wrap(Global::create(store, *type, Val::zero(type->type)));
    return wrap(Tag::create(store, *import.type.tag()));
  }
  /// A function of that type that the instance before exports.
  std::optional<Extern> function_before(const FuncType& type) {
    if (instances_.empty() || !options_.one_store) return std::nullopt;
    for (const auto& [name, item] : instances_.back().exports()) {
      if (const Func* func = item.func(); func != nullptr && func->type() == type) return item;
    }
    return std::nullopt;
  }

  // ---- fuel ----
  uint64_t some_fuel() {
    if (options_.fuel == ExerciseOptions::Fuel::plenty) return kPlenty;
    const uint64_t most = uint64_t{4} << fuel_() % 16;
    return fuel_() % most;
  }
  /// What is in the stores, where engines meter.
  std::string left_over() {
    if (options_.fuel == ExerciseOptions::Fuel::none) return {};
    std::string text = " fuel";
    for (const Store& store : stores_) text += " " + hex(store.fuel());
    return text;
  }
  void fill_up() {
    if (options_.fuel == ExerciseOptions::Fuel::none) return;
    for (Store& store : stores_) store.set_fuel(some_fuel()).value();
  }

  /// An imported function: writes its arguments down and returns zeros, or does what else hosts do.
  Result<void> imported(Caller& caller, std::string_view name, const FuncType& type, std::span<const Val> args,
                        std::span<Val> results) {
    std::string line = "import " + std::string(name);
    for (const Val& arg : args) line += " " + describe(arg);
    say(line + left_over());
    if (options_.meanwhile) options_.meanwhile();
    if (options_.fuel == ExerciseOptions::Fuel::scarce && fuel_() % 4 == 0) fill_up();
    for (size_t i = 0; i < results.size(); ++i) results[i] = Val::zero(type.results[i]);
    if (!options_.lively || trace.cut) return {};
    const uint64_t choice = host_() % 64;
    if (choice == 0) {
      Error error(ErrorKind::Trap, "of the host");
      error.trap = TrapCode::IntegerDivideByZero;
      return error;
    }
    if (choice < 4 && caller.has_instance()) {
      if (Result<void> thrown = throw_from(caller.instance()); !thrown) return thrown;
    }
    if (choice < 16 && caller.has_instance() && calls_back_ < kMaxCallsBack) {
      ++calls_back_;
      std::vector<std::pair<std::string_view, Func>> funcs;
      for (const auto& [exported, item] : caller.instance().exports()) {
        if (const Func* func = item.func()) funcs.push_back({exported, *func});
      }
      if (!funcs.empty()) {
        const auto& [exported, func] = funcs[host_() % funcs.size()];
        if (!call(exported, func)) trace.cut = true;
      }
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (!type.results[i].is_ref()) results[i] = answers_.make(type.results[i]);
    }
    return {};
  }
  /// An exception of a tag that the instance exports, if there is one.
  Result<void> throw_from(Instance instance) {
    for (const auto& [name, item] : instance.exports()) {
      const Tag* tag = item.tag();
      if (tag == nullptr) continue;
      std::vector<Val> values;
      for (ValType type : tag->type().params) values.push_back(answers_.make(type));
      Result<Val> thrown = tag->exception(values);
      if (!thrown) continue;
      Error error(ErrorKind::Exception, "of the host");
      error.exception = thrown->as_ref().bits;
      return error;
    }
    return {};
  }

  template <class T>
  static Result<Extern> wrap(Result<T> made) {
    if (!made) return std::move(made).error();
    return Extern(*made);
  }

  /// Writes an error down, or stops writing: what comes after these depends on time and sizes.
  void failed(const std::string& what, const Error& error) {
    if (error.kind == ErrorKind::Limit || error.trap == TrapCode::Interrupted ||
        error.trap == TrapCode::StackOverflow || error.trap == TrapCode::OutOfMemory) {
      trace.cut = true;
      trace.interrupted |= error.trap == TrapCode::Interrupted;
      return;
    }
    std::string line = what + ": " + std::string(to_string(error.kind));
    if (error.kind == ErrorKind::Trap) line += ": " + std::string(trap_message(error.trap));
    for (const FrameInfo& frame : error.backtrace) {
      if (!tail_calls(frame.offset)) line += " " + std::to_string(frame.func_index) + "@" + hex(frame.offset);
    }
    say(line + left_over());
  }
  /// The interpreter tail-calls the host by calling it: its frame is still there, where that of machine code is gone.
  bool tail_calls(uint64_t offset) const {
    const uint8_t code = module_.impl()->bytes()[offset];
    return code == 0x12 || code == 0x13 || code == 0x15;
  }

  bool instantiate(Store& store) {
    std::vector<Extern> imports;
    for (const ImportType& import : module_.imports()) {
      Result<Extern> made = make_import(store, import);
      if (!made) return failed("import", made.error()), false;
      imports.push_back(*made);
    }
    fill_up();
    Result<Instance> instance = Instance::instantiate(store, module_, imports);
    if (!instance) return failed("instantiate", instance.error()), false;
    instances_.push_back(*instance);
    return true;
  }

  void instantiate_and_call() {
    for (unsigned i = 0; i < options_.instances; ++i) {
      if (!instantiate(stores_[i % stores_.size()])) return;
    }
    if (canaries_) {
      for (Store& store : stores_) canaries_->join(store);
      canaries_->close();
      for (Instance instance : instances_) {
        for (const auto& [name, item] : instance.exports()) {
          if (const Memory* memory = item.memory()) canaries_->watch(*memory);
        }
      }
    }
    std::vector<std::vector<std::pair<std::string_view, Extern>>> exports;
    for (Instance instance : instances_) exports.push_back(instance.exports());
    for (round_ = 0; round_ < options_.rounds; ++round_) {
      for (size_t i = 0; i < std::min<size_t>(exports.front().size(), 200); ++i) {
        for (const auto& own : exports) {
          if (options_.meanwhile) options_.meanwhile();
          calls_back_ = 0;
          if (const Func* func = own[i].second.func(); func != nullptr && !call(own[i].first, *func)) return;
          if (!look_around()) return;
        }
      }
    }
    for (Instance instance : instances_) {
      for (const auto& [name, item] : instance.exports()) {
        const Global* global = item.global();
        if (global != nullptr && (!options_.plain || is_number(global->type().type))) {
          say("global " + std::string(name) + " " + describe(global->get()));
        }
        if (const Memory* memory = item.memory()) say_memory(name, *memory);
      }
    }
    if (canaries_) trace.guarded = canaries_->guarded(), trace.alone = canaries_->alone();
    if (more_ > 0 && !trace.cut) trace.lines.push_back(std::to_string(more_) + " more: " + hex(rest_));
  }

  void say_memory(std::string_view name, const Memory& memory) {
    say("memory " + std::string(name) + " " + hex(memory.size_bytes()) + " " + hex(hash(memory.data())));
  }
  static bool is_number(ValType type) { return !type.is_ref() && type.kind() != ValKind::V128; }

  /// Whether all that is not the guest's is as it was. Not after each of many calls.
  bool look_around() {
    if (!canaries_ || (round_ >= 3 && round_ % 16 != 0)) return true;
    trace.escaped = canaries_->check();
    return trace.escaped.empty();
  }

  /// Calls an export with made-up arguments. False when the run is to end.
  bool call(std::string_view name, const Func& func) {
    const FuncType type = func.type();
    if (options_.plain &&
        (!std::ranges::all_of(type.params, is_number) || !std::ranges::all_of(type.results, is_number))) {
      return true;
    }
    std::vector<Val> args;
    for (ValType param : type.params) {
      if (param.is_ref() && !param.nullable()) return true;
      args.push_back(arguments_.make(param));
    }
    if (options_.plain) {
      std::string call(name);
      for (const Val& arg : args) call += " " + describe(arg);
      trace.calls.push_back(std::move(call));
    }
    fill_up();
    Result<std::vector<Val>> results = func.call(args);
    if (!results) {
      failed(std::string(name), results.error());
      // What a guest has written before its trap.
      if (results.error().trap != TrapCode::None && round_ < 3 && !trace.cut) {
        for (Instance instance : instances_) {
          for (const auto& [exported, item] : instance.exports()) {
            if (const Memory* memory = item.memory()) say_memory(exported, *memory);
          }
        }
      }
      return results.error().trap != TrapCode::Interrupted;
    }
    std::string line = std::string(name) + ":";
    for (const Val& value : *results) line += " " + describe(value);
    say(line + left_over());
    return true;
  }

  static constexpr uint64_t kPlenty = uint64_t{1} << 62;
  static constexpr size_t kMaxLines = 20'000;
  static constexpr unsigned kMaxCallsBack = 2;  // each gives the guest new fuel

  const Module& module_;
  const ExerciseOptions& options_;
  std::optional<Canaries> canaries_;
  std::deque<Store> stores_;
  std::vector<Instance> instances_;
  Arguments arguments_;
  std::mt19937_64 host_;  // what imported functions do
  std::mt19937_64 fuel_;  // how much is given
  Arguments answers_;     // and return
  unsigned round_ = 0;
  unsigned calls_back_ = 0;  // into exports, during one call
  size_t more_ = 0;          // lines beyond kMaxLines
  uint64_t rest_ = 0;        // their hash
};

}  // namespace

Trace exercise(const Module& module, const ExerciseOptions& options) {
  thread_local Watchdog watchdog;
  Run run(module, options);
  run.go(watchdog, options.time);
  return std::move(run.trace);
}

std::string difference(const Trace& a, const Trace& b) {
  size_t common = std::min(a.lines.size(), b.lines.size());
  for (size_t i = 0; i < common; ++i)
    if (a.lines[i] != b.lines[i]) return "line " + std::to_string(i) + ": " + a.lines[i] + " | " + b.lines[i];
  if (a.lines.size() == b.lines.size()) return {};
  const Trace& shorter = a.lines.size() < b.lines.size() ? a : b;
  if (shorter.cut) return {};
  const Trace& longer = &shorter == &a ? b : a;
  return "line " + std::to_string(common) + ": " +
         (&shorter == &a ? "(nothing) | " + longer.lines[common] : longer.lines[common] + " | (nothing)");
}

}  // namespace vmrun::test
