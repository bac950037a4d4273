// Channels: values handed from task to task, or thread, through a buffer or directly.
//
// Tasks and threads may use them alike. No value is lost: one that was not sent is left with the sender. Waits are those
// of sync.h: with a deadline, and ended by the cancellation of the waiting task. A channel outlives the calls on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "sched/wait_list.h"

namespace vmrun::sched {

/// How a send or a receive ended.
enum class Transfer : uint8_t {
  Done,
  Closed,     ///< the channel is closed, and for a receiver also empty
  TimedOut,   ///< by the deadline; of try_send and try_receive: it would have to wait
  Cancelled,  ///< by cancellation of the waiting task
};

/// First come, first served, for senders and for receivers. `T` is moved without throwing and without suspending, in
/// part under a spin lock.
template <class T>
class Channel {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>);

 public:
  /// Buffers `capacity` values. With 0, a send waits until its value is received. Throws std::bad_alloc.
  explicit Channel(size_t capacity = 0)
      : capacity_(capacity), ring_(capacity != 0 ? std::make_unique<std::optional<T>[]>(capacity) : nullptr) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Sends `value`, which is moved from exactly when the result is Done.
  Transfer send(T&& value, Nanos deadline = never, Cancellable cancellable = Cancellable::Yes) {
    return send(value, true, deadline, cancellable);
  }
  /// The same, without waiting.
  Transfer try_send(T&& value) { return send(value, false, never, Cancellable::No); }

  /// Receives into `value`, which is assigned exactly when the result is Done.
  Transfer receive(T& value, Nanos deadline = never, Cancellable cancellable = Cancellable::Yes) {
    return receive(value, true, deadline, cancellable);
  }
  /// The same, without waiting.
  Transfer try_receive(T& value) { return receive(value, false, never, Cancellable::No); }

  /// Ends all waits. Later sends fail; receives get what is in the buffer, then fail. A second call does nothing.
  void close() {
    lock_.lock();
    closed_ = true;
    WaitList::Node* senders = senders_.pop_all();
    WaitList::Node* receivers = receivers_.pop_all();
    lock_.unlock();
    signal_all(senders);
    signal_all(receivers);
  }

  /// Values in the buffer at the moment of the call.
  size_t size() const {
    std::lock_guard lock(lock_);
    return size_;
  }

 private:
  using Node = WaitList::Node;

  static void signal_all(Node* node) {
    while (node != nullptr) {
      Node* next = WaitList::next_of(node);
      WaitList::signal(node);
      node = next;
    }
  }
  /// The value of a waiter that was taken out of its list: ours until it is signalled.
  static T& slot_of(Node* node) { return *static_cast<T*>(node->slot); }
  static void hand(Node* node) {
    node->handed = true;
    WaitList::signal(node);
  }
  Transfer wait(WaitList& list, T& value, std::unique_lock<SpinLock>& lock, Nanos deadline, Cancellable cancellable,
                const char* what) {
    Node node;
    node.slot = &value;
    list.push(node);
    lock.unlock();
    switch (list.wait(node, lock_, cancellable, deadline, {what, reinterpret_cast<uintptr_t>(this)})) {
      case Wake::Unparked: return node.handed ? Transfer::Done : Transfer::Closed;
      case Wake::TimedOut: return Transfer::TimedOut;
      case Wake::Cancelled: break;
    }
    return Transfer::Cancelled;
  }
  void put(T& value) {
    const size_t at = head_ + size_;
    ring_[at < capacity_ ? at : at - capacity_].emplace(std::move(value));
    ++size_;
  }

  Transfer send(T& value, bool may_wait, Nanos deadline, Cancellable cancellable) {
    std::unique_lock lock(lock_);
    if (closed_) {
      return Transfer::Closed;
    }
    if (Node* receiver = receivers_.pop()) {  // so the buffer is empty
      lock.unlock();
      slot_of(receiver) = std::move(value);
      hand(receiver);
      return Transfer::Done;
    }
    if (size_ < capacity_) {
      put(value);
      return Transfer::Done;
    }
    return may_wait ? wait(senders_, value, lock, deadline, cancellable, "send") : Transfer::TimedOut;
  }

  Transfer receive(T& value, bool may_wait, Nanos deadline, Cancellable cancellable) {
    std::unique_lock lock(lock_);
    if (size_ != 0) {
      value = std::move(*ring_[head_]);
      ring_[head_].reset();
      head_ = head_ + 1 < capacity_ ? head_ + 1 : 0;
      --size_;
      if (Node* sender = senders_.pop()) {  // its turn has come: the values keep their order
        put(slot_of(sender));
        lock.unlock();
        hand(sender);
      }
      return Transfer::Done;
    }
    if (Node* sender = senders_.pop()) {
      lock.unlock();
      value = std::move(slot_of(sender));
      hand(sender);
      return Transfer::Done;
    }
    if (closed_) {
      return Transfer::Closed;
    }
    return may_wait ? wait(receivers_, value, lock, deadline, cancellable, "receive") : Transfer::TimedOut;
  }

  mutable SpinLock lock_;
  bool closed_ = false;
  const size_t capacity_;
  size_t head_ = 0;
  size_t size_ = 0;
  const std::unique_ptr<std::optional<T>[]> ring_;
  WaitList senders_;    // not empty only when the buffer is full
  WaitList receivers_;  // not empty only when the buffer is empty
};

}  // namespace vmrun::sched
