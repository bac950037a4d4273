// What tasks wait for each other with. Each wait suspends a task (vmrun/executor.h) and holds any other thread, so host
// functions, tasks of several executors and plain threads may share one object.
//
//   Channel<std::string> lines(16);
//   executor->spawn([&] { while (auto line = lines.receive()) use(*line); });
//   lines.send("from any thread");
//   lines.close();
//
// A task that is cancelled, or whose time is up, comes out of every wait but Mutex::lock at once, and goes on doing so
// until this_task::take_stop(); a guest that called a host function which waited traps when it goes on. Times are lengths
// from now on; nothing means for ever. An object outlives the calls on it, and none of them throws but where it is said.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)
namespace vmrun {

/// How a wait ended.
enum class Waited : uint8_t {
  Done,       ///< by what was waited for
  TimedOut,   ///< the time has passed
  Cancelled,  ///< the waiting task is to end
  Closed,     ///< the channel is closed, and for a receiver also empty
};

using WaitTime = std::optional<std::chrono::nanoseconds>;

/// Mutual exclusion, for std::lock_guard and the like too. A freed mutex goes to whoever comes first, but to one that has
/// waited for a millisecond before all that come later. Not recursive; any task or thread may unlock it.
class Mutex {
 public:
  Mutex();
  ~Mutex();
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  /// Cancellation does not end it.
  void lock();
  bool try_lock();
  /// Done: the caller holds it.
  Waited lock_for(std::chrono::nanoseconds time);
  void unlock();

 private:
  friend class Condition;
  alignas(8) std::byte storage_[32];
};

/// Waits for a change of what a Mutex guards.
class Condition {
 public:
  Condition();
  ~Condition();
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  /// Releases `mutex`, waits for a notification, takes `mutex` again, however the wait ended. May wake without cause:
  /// check and repeat.
  Waited wait(Mutex& mutex, WaitTime time = std::nullopt);
  /// Wakes the longest waiter, or all of them. The mutex need not be held.
  void notify_one();
  void notify_all();

 private:
  alignas(8) std::byte storage_[24];
};

/// Once set, it stays set until reset; all waiters go on.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set();
  void reset();
  bool is_set() const;
  Waited wait(WaitTime time = std::nullopt);

 private:
  alignas(8) std::byte storage_[24];
};

/// Waits until a number of jobs are done. A job is added before its end can come, as a rule by whoever starts it.
class WaitGroup {
 public:
  WaitGroup();
  ~WaitGroup();
  WaitGroup(const WaitGroup&) = delete;
  WaitGroup& operator=(const WaitGroup&) = delete;

  /// Adds jobs; not while somebody waits for a group that has none.
  void add(uint32_t jobs = 1);
  /// One job is done. The group may be destroyed as soon as wait() has returned Done.
  void done();
  Waited wait(WaitTime time = std::nullopt);

 private:
  alignas(8) std::byte storage_[24];
};

/// One switch that cancels every task it was given to (TaskOptions::cancel). Copies mean the same switch; an empty one
/// cancels nothing. Any thread.
class CancelToken {
 public:
  CancelToken();
  ~CancelToken();
  CancelToken(const CancelToken& other);
  CancelToken(CancelToken&& other) noexcept;
  CancelToken& operator=(CancelToken other) noexcept;
  /// Throws std::bad_alloc.
  static CancelToken create();

  /// Cancels the tasks that have it, and at once those that get it later. As Task::cancel.
  void cancel() const;
  bool cancelled() const;

 private:
  friend class Executor;
  alignas(8) std::byte storage_[8];
};

namespace detail {

/// A value of any type that moves without throwing: small ones in place, others on the heap.
class AnyValue {
 public:
  AnyValue() = default;
  AnyValue(AnyValue&& other) noexcept { take(other); }
  AnyValue& operator=(AnyValue&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~AnyValue() { reset(); }

  /// Throws std::bad_alloc, for a value that is not small.
  template <class T>
  void put(T&& value) {
    static_assert(!std::is_reference_v<T>, "a value to be moved");
    if constexpr (small<T>()) {
      new (place_) T(std::forward<T>(value));
    } else {
      new (place_) T*(new T(std::forward<T>(value)));
    }
    ops_ = &kOps<T>;
  }
  template <class T>
  T& get() {
    if constexpr (small<T>()) {
      return *std::launder(reinterpret_cast<T*>(place_));
    } else {
      return **std::launder(reinterpret_cast<T**>(place_));
    }
  }

 private:
  static constexpr size_t kPlace = 32;
  struct Ops {
    void (*move)(std::byte* to, std::byte* from) noexcept;  // and destroys what was moved from
    void (*destroy)(std::byte* at) noexcept;
  };

  template <class T>
  static constexpr bool small() {
    return sizeof(T) <= kPlace && alignof(T) <= alignof(std::max_align_t);
  }
  template <class T>
  static T* at(std::byte* place) {
    return std::launder(reinterpret_cast<T*>(place));
  }
  template <class T>
  static void move(std::byte* to, std::byte* from) noexcept {
    if constexpr (small<T>()) {
      new (to) T(std::move(*at<T>(from)));
      at<T>(from)->~T();
    } else {
      new (to) T*(*at<T*>(from));
    }
  }
  template <class T>
  static void destroy(std::byte* place) noexcept {
    if constexpr (small<T>()) {
      at<T>(place)->~T();
    } else {
      delete *at<T*>(place);
    }
  }
  template <class T>
  static constexpr Ops kOps{move<T>, destroy<T>};

  void reset() {
    if (ops_ != nullptr) std::exchange(ops_, nullptr)->destroy(place_);
  }
  void take(AnyValue& other) {
    if (other.ops_ != nullptr) other.ops_->move(place_, other.place_);
    ops_ = std::exchange(other.ops_, nullptr);
  }

  const Ops* ops_ = nullptr;
  alignas(std::max_align_t) std::byte place_[kPlace];
};

/// What channels of all types are made of.
class AnyChannel {
 public:
  explicit AnyChannel(size_t capacity);
  ~AnyChannel();
  Waited send(AnyValue& value, bool may_wait, WaitTime time);
  Waited receive(AnyValue& value, bool may_wait, WaitTime time);
  void close();
  size_t size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detail

/// Hands values from one to another, through a buffer or directly; first come, first served. `T` is moved without
/// throwing and without suspending.
template <class T>
class Channel {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>);

 public:
  /// Buffers `capacity` values. With 0, a send waits until its value is received. Throws std::bad_alloc.
  explicit Channel(size_t capacity = 0) : channel_(capacity) {}

  /// Sends `value`, which is moved from exactly when the result is Done. Throws std::bad_alloc when T has more than 32
  /// bytes.
  Waited send(T&& value, WaitTime time = std::nullopt) { return send(value, true, time); }
  Waited send(const T& value, WaitTime time = std::nullopt) {
    T copy(value);
    return send(copy, true, time);
  }
  /// The same, without waiting: TimedOut when it would have to.
  Waited try_send(T&& value) { return send(value, false, std::nullopt); }

  /// The next value; nothing when the channel is closed and empty, the time has passed or the task is to end.
  std::optional<T> receive(WaitTime time = std::nullopt) {
    std::optional<T> value;
    receive(value, true, time);
    return value;
  }
  /// The same, and says how the wait ended; `value` is set exactly when that is Done.
  Waited receive(std::optional<T>& value, WaitTime time = std::nullopt) { return receive(value, true, time); }
  std::optional<T> try_receive() {
    std::optional<T> value;
    receive(value, false, std::nullopt);
    return value;
  }

  /// Ends all waits. Later sends fail; receivers get what is in the buffer first. A second call does nothing.
  void close() { channel_.close(); }
  /// Values in the buffer at the moment of the call.
  size_t size() const { return channel_.size(); }

 private:
  Waited send(T& value, bool may_wait, WaitTime time) {
    detail::AnyValue any;
    any.put(std::move(value));
    const Waited how = channel_.send(any, may_wait, time);
    if (how != Waited::Done) value = std::move(any.template get<T>());
    return how;
  }
  Waited receive(std::optional<T>& value, bool may_wait, WaitTime time) {
    detail::AnyValue any;
    const Waited how = channel_.receive(any, may_wait, time);
    if (how == Waited::Done) {
      value.emplace(std::move(any.template get<T>()));
    } else {
      value.reset();
    }
    return how;
  }

  detail::AnyChannel channel_;
};

}  // namespace vmrun
#pragma GCC visibility pop
