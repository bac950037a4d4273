// The public face of the scheduler's synchronisation: see vmrun/sync.h.
#include "vmrun/sync.h"

#include "engine/executor_impl.h"
#include "sched/channel.h"
#include "sched/sync.h"

namespace vmrun {
namespace {

sched::Nanos end_of(WaitTime time) { return time ? sched::nanos(deadline_after(*time)) : sched::never; }

Waited waited(sched::Wake how) {
  switch (how) {
    case sched::Wake::Unparked: return Waited::Done;
    case sched::Wake::TimedOut: return Waited::TimedOut;
    case sched::Wake::Cancelled: break;
  }
  return Waited::Cancelled;
}
Waited waited(sched::Transfer how) {
  switch (how) {
    case sched::Transfer::Done: return Waited::Done;
    case sched::Transfer::Closed: return Waited::Closed;
    case sched::Transfer::TimedOut: return Waited::TimedOut;
    case sched::Transfer::Cancelled: break;
  }
  return Waited::Cancelled;
}

// The objects in the public classes' storage.
template <class T, size_t kSize>
T& in(std::byte (&storage)[kSize]) {
  static_assert(sizeof(T) <= kSize && alignof(T) <= 8);
  return *std::launder(reinterpret_cast<T*>(storage));
}
template <class T, size_t kSize>
const T& in(const std::byte (&storage)[kSize]) {
  return *std::launder(reinterpret_cast<const T*>(storage));
}

}  // namespace

Mutex::Mutex() { new (storage_) sched::Mutex; }
Mutex::~Mutex() { in<sched::Mutex>(storage_).~Mutex(); }
void Mutex::lock() { in<sched::Mutex>(storage_).lock(); }
bool Mutex::try_lock() { return in<sched::Mutex>(storage_).try_lock(); }
Waited Mutex::lock_for(std::chrono::nanoseconds time) {
  return waited(in<sched::Mutex>(storage_).lock_until(end_of(time)));
}
void Mutex::unlock() { in<sched::Mutex>(storage_).unlock(); }

Condition::Condition() { new (storage_) sched::Condition; }
Condition::~Condition() { in<sched::Condition>(storage_).~Condition(); }
Waited Condition::wait(Mutex& mutex, WaitTime time) {
  return waited(
      in<sched::Condition>(storage_).wait(in<sched::Mutex>(mutex.storage_), sched::Cancellable::Yes, end_of(time)));
}
void Condition::notify_one() { in<sched::Condition>(storage_).notify_one(); }
void Condition::notify_all() { in<sched::Condition>(storage_).notify_all(); }

Event::Event() { new (storage_) sched::Event; }
Event::~Event() { in<sched::Event>(storage_).~Event(); }
void Event::set() { in<sched::Event>(storage_).set(); }
void Event::reset() { in<sched::Event>(storage_).reset(); }
bool Event::is_set() const { return in<sched::Event>(storage_).is_set(); }
Waited Event::wait(WaitTime time) {
  return waited(in<sched::Event>(storage_).wait(sched::Cancellable::Yes, end_of(time)));
}

WaitGroup::WaitGroup() { new (storage_) sched::WaitGroup; }
WaitGroup::~WaitGroup() { in<sched::WaitGroup>(storage_).~WaitGroup(); }
void WaitGroup::add(uint32_t jobs) { in<sched::WaitGroup>(storage_).add(jobs); }
void WaitGroup::done() { in<sched::WaitGroup>(storage_).done(); }
Waited WaitGroup::wait(WaitTime time) {
  return waited(in<sched::WaitGroup>(storage_).wait(sched::Cancellable::Yes, end_of(time)));
}

CancelToken::CancelToken() { new (storage_) sched::CancelToken; }
CancelToken::~CancelToken() { in<sched::CancelToken>(storage_).~CancelToken(); }
CancelToken::CancelToken(const CancelToken& other) {
  new (storage_) sched::CancelToken(in<sched::CancelToken>(other.storage_));
}
CancelToken::CancelToken(CancelToken&& other) noexcept {
  new (storage_) sched::CancelToken(std::move(in<sched::CancelToken>(other.storage_)));
}
CancelToken& CancelToken::operator=(CancelToken other) noexcept {
  in<sched::CancelToken>(storage_) = std::move(in<sched::CancelToken>(other.storage_));
  return *this;
}
CancelToken CancelToken::create() {
  CancelToken token;
  in<sched::CancelToken>(token.storage_) = sched::CancelToken::create();
  return token;
}
void CancelToken::cancel() const { in<sched::CancelToken>(storage_).cancel(); }
bool CancelToken::cancelled() const { return in<sched::CancelToken>(storage_).cancelled(); }

namespace detail {

struct AnyChannel::Impl {
  explicit Impl(size_t capacity) : channel(capacity) {}
  sched::Channel<AnyValue> channel;
};
AnyChannel::AnyChannel(size_t capacity) : impl_(std::make_unique<Impl>(capacity)) {}
AnyChannel::~AnyChannel() = default;
Waited AnyChannel::send(AnyValue& value, bool may_wait, WaitTime time) {
  return waited(may_wait ? impl_->channel.send(std::move(value), end_of(time))
                         : impl_->channel.try_send(std::move(value)));
}
Waited AnyChannel::receive(AnyValue& value, bool may_wait, WaitTime time) {
  return waited(may_wait ? impl_->channel.receive(value, end_of(time)) : impl_->channel.try_receive(value));
}
void AnyChannel::close() { impl_->channel.close(); }
size_t AnyChannel::size() const { return impl_->channel.size(); }

}  // namespace detail

}  // namespace vmrun
