// CancelToken: one switch that cancels every task it was given to.
#pragma once

#include <cstdint>
#include <utility>

namespace vmrun::sched {

struct TokenState;

/// Why a task is cancelled.
enum class CancelReason : uint8_t {
  None,
  Requested,  ///< by Task::cancel or a token
  Deadline,   ///< its deadline has passed
};

/// A shared handle; copies mean the same switch. A default-constructed one never cancels anything.
class CancelToken {
 public:
  CancelToken() = default;
  static CancelToken create();
  CancelToken(const CancelToken& other);
  CancelToken(CancelToken&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  CancelToken& operator=(CancelToken other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~CancelToken();

  /// Cancels the tasks that were spawned with it, and at once those that will be. Callable from any thread.
  void cancel() const;
  bool cancelled() const;
  explicit operator bool() const { return state_ != nullptr; }

 private:
  friend class Core;
  TokenState* state_ = nullptr;
};

}  // namespace vmrun::sched
