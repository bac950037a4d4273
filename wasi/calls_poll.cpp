// poll_oneoff: waiting for clocks and descriptors.
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "vm/base/assert.h"
#include "wasi/blocking.h"
#include "wasi/calls_common.h"

namespace vmrun::wasi {
namespace {

constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
constexpr uint32_t kMaxSubscriptions = 1 << 16;  // bounds what a call makes the host allocate

/// A subscription, whichever ABI it came in.
struct Subscription {
  uint64_t userdata;
  uint32_t type;
  uint32_t clock;    // kEventClock
  uint64_t timeout;  // kEventClock: nanoseconds
  bool absolute;     // kEventClock
  uint32_t fd;       // kEventRead, kEventWrite

  // Filled in while preparing.
  Errno error = Errno::success;
  uint64_t deadline = kNever;  // on `host_clock`
  clockid_t host_clock = CLOCK_MONOTONIC;
  int host_fd = -1;
  FdRef descriptor{};  // host_fd >= 0
  size_t polled = 0;   // host_fd >= 0: where PollSet has it

  short events() const { return static_cast<short>(type == kEventRead ? POLLIN | POLLRDHUP : POLLOUT); }
};

Subscription decode(const GuestSubscription& g) {
  return {g.userdata, g.tag, g.id_or_fd, g.timeout, (g.flags & kAbsTime) != 0, g.id_or_fd};
}
Subscription decode(const GuestSubscriptionUnstable& g) {
  return {g.userdata, g.tag, g.id, g.timeout, (g.flags & kAbsTime) != 0, g.fd};
}

uint64_t now(clockid_t clock) {
  timespec t;
  ::clock_gettime(clock, &t);
  return nanoseconds_of(t);
}

uint64_t saturating_add(uint64_t a, uint64_t b) { return a > kNever - b ? kNever : a + b; }

/// Checks `s` and works out what to wait for.
void prepare(Context& cx, Subscription& s) {
  if (s.type == kEventClock) {
    clockid_t clock;
    if (!host_clock(s.clock, clock)) {
      s.error = Errno::inval;
    } else if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) {
      s.error = Errno::notsup;  // CPU time does not pass while waiting
    } else if (s.absolute) {
      // With replaced clocks the guest's deadline is on them; only the distance to it means something here.
      s.host_clock = cx.clock ? CLOCK_MONOTONIC : clock;
      if (cx.clock) {
        uint64_t t = cx.clock(s.clock);
        s.deadline = saturating_add(now(CLOCK_MONOTONIC), s.timeout > t ? s.timeout - t : 0);
      } else {
        s.deadline = s.timeout;
      }
    } else {
      s.deadline = saturating_add(now(CLOCK_MONOTONIC), s.timeout);
    }
    return;
  }
  Rights needed = rights::kPollFdReadwrite | (s.type == kEventRead ? rights::kFdRead : rights::kFdWrite);
  FdRef d = cx.fds.get(s.fd);
  if (d == nullptr) {
    s.error = Errno::badf;
  } else if ((d->base & needed) != needed && !(d->base & rights::kSockAccept)) {  // listeners are polled to accept
    s.error = Errno::notcapable;
  } else {
    s.host_fd = d->host;
    s.descriptor = std::move(d);
  }
}

/// What ready_bytes gives for a socket.
uint64_t ready_bytes_of_socket(const Descriptor& d, bool reading) {
  int n = 0, capacity = 0;
  if (reading) return !d.listens && ::ioctl(d.host, FIONREAD, &n) == 0 && n >= 0 ? static_cast<uint64_t>(n) : 1;
  socklen_t length = sizeof(capacity);
  if (::getsockopt(d.host, SOL_SOCKET, SO_SNDBUF, &capacity, &length) != 0 || ::ioctl(d.host, SIOCOUTQ, &n) != 0) n = 0;
  return capacity > n ? static_cast<uint64_t>(capacity - n) : 1;
}

/// Bytes that a read of the ready descriptor `d` would give, or a write would take, without waiting; 1 where the host
/// does not say.
uint64_t ready_bytes(const Descriptor& d, bool reading) {
  if (d.is_socket()) return ready_bytes_of_socket(d, reading);
  const int fd = d.host;
  struct stat st;
  if (::fstat(fd, &st) != 0) return 1;
  if (S_ISREG(st.st_mode)) {
    if (!reading) return 1;
    off_t position = ::lseek(fd, 0, SEEK_CUR);
    return position >= 0 && position < st.st_size ? static_cast<uint64_t>(st.st_size - position) : 0;
  }
  int n = 0;
  if (reading) return ::ioctl(fd, FIONREAD, &n) == 0 && n >= 0 ? static_cast<uint64_t>(n) : 1;
  int capacity = 0;
  if (S_ISFIFO(st.st_mode)) {
    capacity = ::fcntl(fd, F_GETPIPE_SZ);
    if (::ioctl(fd, FIONREAD, &n) != 0) n = 0;
  }
  return capacity > n ? static_cast<uint64_t>(capacity - n) : 1;
}

/// What of `events` `s` asked for, errors included.
short happened_to(const Subscription& s, short events) {
  const short other = static_cast<short>((POLLIN | POLLRDHUP | POLLOUT) & ~s.events());
  return static_cast<short>(events & ~other);
}

/// What the host is asked to wait for, each descriptor once: the host takes no more entries than a process may have
/// descriptors, and a guest may subscribe to one several times.
class PollSet {
 public:
  explicit PollSet(std::vector<Subscription>& subscriptions) {
    std::vector<Subscription*> sorted;
    sorted.reserve(subscriptions.size());
    fds_.reserve(subscriptions.size());
    descriptors_.reserve(subscriptions.size());
    for (Subscription& s : subscriptions) {
      if (s.host_fd >= 0) sorted.push_back(&s);
    }
    const auto before = [](const Subscription* a, const Subscription* b) { return a->host_fd < b->host_fd; };
    if (!std::ranges::is_sorted(sorted, before)) std::ranges::sort(sorted, before);
    for (Subscription* s : sorted) {
      if (fds_.empty() || fds_.back().fd != s->host_fd) {
        fds_.push_back({s->host_fd, 0, 0});
        descriptors_.push_back(s->descriptor.get());
      }
      s->polled = fds_.size() - 1;
      fds_.back().events = static_cast<short>(fds_.back().events | s->events());
    }
  }
  int64_t wait(const timespec* timeout) { return blocking::poll(fds_, descriptors_, timeout); }
  /// What has happened that `s` asked for, errors included.
  short happened(const Subscription& s) const { return happened_to(s, fds_[s.polled].revents); }

 private:
  std::vector<pollfd> fds_;
  std::vector<const Descriptor*> descriptors_;
};

class EventWriter {
 public:
  /// Of an array of `room` events.
  EventWriter(std::byte* out, uint32_t room) : out_(out), room_(room) {}
  void put(const Subscription& s, Errno error, uint64_t nbytes = 0, uint16_t flags = 0) {
    VMRUN_ASSERT(count_ < room_, "an event for each subscription at most");
    GuestEvent e{};
    e.userdata = s.userdata;
    e.error = static_cast<uint16_t>(error);
    e.type = static_cast<uint8_t>(s.type);
    e.nbytes = nbytes;
    e.flags = flags;
    std::memcpy(out_ + count_++ * sizeof(e), &e, sizeof(e));
  }
  uint32_t count() const { return count_; }

 private:
  std::byte* out_;
  const uint32_t room_;
  uint32_t count_ = 0;
};

void put_ready(EventWriter& events, const Subscription& s, short revents) {
  if (revents & POLLNVAL) return events.put(s, Errno::badf);
  // POLLERR on the writing end of a pipe means that its reader is gone.
  uint16_t flags = revents & (POLLHUP | POLLRDHUP | POLLERR) ? kHangup : 0;
  events.put(s, Errno::success, ready_bytes(*s.descriptor, s.type == kEventRead), flags);
}

/// Nanoseconds until the earliest deadline, kNever when there is none.
uint64_t until_first_deadline(const std::vector<Subscription>& subscriptions) {
  uint64_t shortest = kNever, realtime = now(CLOCK_REALTIME), monotonic = now(CLOCK_MONOTONIC);
  for (const Subscription& s : subscriptions) {
    if (s.deadline == kNever) continue;
    uint64_t t = s.host_clock == CLOCK_REALTIME ? realtime : monotonic;
    shortest = std::min(shortest, s.deadline > t ? s.deadline - t : 0);
  }
  return shortest;
}

/// From so many subscriptions on, looking at all in each call takes longer than keeping a set.
constexpr uint32_t kMany = 16;

template <class Guest>
Guest subscription_at(std::span<const std::byte> bytes, uint32_t i) {
  Guest g;
  std::memcpy(&g, bytes.data() + size_t{i} * sizeof(g), sizeof(g));
  return g;
}

/// Has cx.watch watch what `source` asks for, without the clocks, which go to `clocks`: they are others in each call of some
/// programs. False: it cannot, or there is an error to tell. The guest's memory is read once: others may write to it.
template <class Guest>
bool watch_all(Context& cx, std::span<const std::byte> source, std::vector<Subscription>& clocks) {
  constexpr size_t kSize = sizeof(Guest);
  const PollWatch* before = cx.watch.get();
  bool same = before != nullptr && before->knows(kSize, cx.fds.changes());
  size_t run = 0, at = 0;  // where subscriptions without a clock among them begin, and where those before them end
  const auto end_run = [&](size_t end) {
    same = same && before->has(at, source.subspan(run, end - run));
    at += end - run;
    run = end + kSize;
  };
  for (size_t i = 0; i < source.size(); i += kSize) {
    if (std::to_integer<uint8_t>(source[i + offsetof(Guest, tag)]) != kEventClock) continue;
    end_run(i);
    const auto g = subscription_at<Guest>(source, static_cast<uint32_t>(i / kSize));
    if (g.tag != kEventClock) return false;
    clocks.push_back(decode(g));
    prepare(cx, clocks.back());
    if (clocks.back().error != Errno::success) return false;
  }
  end_run(source.size());
  if (same && at == before->bytes().size()) return true;

  std::vector<std::byte> own;
  own.reserve(source.size());
  std::vector<PollWatch::Wish> wishes;
  wishes.reserve(source.size() / kSize);
  for (uint32_t i = 0; i < source.size() / kSize; ++i) {
    const auto g = subscription_at<Guest>(source, i);
    if (g.tag == kEventClock) continue;
    if (g.tag > kEventWrite) return false;
    Subscription s = decode(g);
    prepare(cx, s);
    if (s.error != Errno::success || !PollWatch::takes(*s.descriptor)) return false;
    wishes.push_back({s.descriptor.get(), s.fd, static_cast<uint32_t>(wishes.size()), g.tag == kEventWrite});
    const auto* bytes = reinterpret_cast<const std::byte*>(&g);
    own.insert(own.end(), bytes, bytes + kSize);
  }
  if (wishes.size() < kMany) return false;
  if (cx.watch == nullptr) cx.watch = std::make_unique<PollWatch>();
  return cx.watch->watch(std::move(own), kSize, cx.fds.changes(), wishes);
}

/// poll_oneoff for many sockets of a guest without threads. Nothing: this is not that.
template <class Guest>
std::optional<Errno> poll_many(Context& cx, Mem memory, std::span<const std::byte> source, std::byte* target,
                               Out<uint32_t> stored) {
  std::vector<Subscription> clocks;
  if (cx.fds.is_shared() || !watch_all<Guest>(cx, source, clocks)) return std::nullopt;
  const std::span<const std::byte> bytes = cx.watch->bytes();
  for (;;) {
    const uint64_t wait = until_first_deadline(clocks);
    const timespec timeout = timespec_of(wait);
    const int64_t happened = cx.watch->wait(wait == kNever ? nullptr : &timeout);
    if (happened < 0) return errno_of(happened);

    EventWriter events(target, static_cast<uint32_t>(source.size() / sizeof(Guest)));
    for (int64_t i = 0; i < happened; ++i) {
      const std::optional<PollWatch::Happened> what = cx.watch->at(static_cast<size_t>(i));
      if (!what) {
        if (events.count() != 0) continue;  // another call meets it
        cx.watch.reset();
        return std::nullopt;
      }
      for (const uint32_t place : {what->reads, what->writes}) {
        if (place == PollWatch::kNone) continue;
        Subscription s = decode(subscription_at<Guest>(bytes, place));
        const short revents = happened_to(s, what->events);
        if (revents == 0) continue;
        s.descriptor = cx.fds.get(s.fd);
        VMRUN_ASSERT(s.descriptor != nullptr, "what is watched is open");
        put_ready(events, s, revents);
      }
    }
    if (!clocks.empty()) {
      const uint64_t realtime = now(CLOCK_REALTIME), monotonic = now(CLOCK_MONOTONIC);
      for (const Subscription& s : clocks) {
        if (s.deadline <= (s.host_clock == CLOCK_REALTIME ? realtime : monotonic)) events.put(s, Errno::success);
      }
    }
    if (events.count() != 0) return stored.store(memory, events.count());
    if (blocking::between_pieces()) return Errno::intr;
  }
}

template <class Guest>
Errno poll(Context& cx, Mem memory, Ptr in, Ptr out, Count count, Out<uint32_t> stored) {
  if (count.value == 0 || count.value > kMaxSubscriptions) return Errno::inval;
  const std::byte* source = memory.array_at(in.address, count.value, sizeof(Guest));
  std::byte* target = memory.array_at(out.address, count.value, sizeof(GuestEvent));
  if (source == nullptr || target == nullptr) return Errno::fault;

  if (count.value >= kMany) {
    const std::span<const std::byte> all(source, size_t{count.value} * sizeof(Guest));
    if (const std::optional<Errno> done = poll_many<Guest>(cx, memory, all, target, stored)) return *done;
  }

  // Everything is read before anything is written: the two arrays may overlap.
  std::vector<Subscription> subscriptions;
  subscriptions.reserve(count.value);
  for (uint32_t i = 0; i < count.value; ++i) {
    Guest g;
    std::memcpy(&g, source + size_t{i} * sizeof(g), sizeof(g));
    if (g.tag > kEventWrite) return Errno::inval;
    subscriptions.push_back(decode(g));
    prepare(cx, subscriptions.back());
  }

  // A lone deadline, which is how guests sleep, waits on its own clock, so that setting the realtime clock counts.
  if (const Subscription& s = subscriptions[0]; count.value == 1 && s.deadline != kNever) {
    if (int64_t r = blocking::sleep_until(s.host_clock, timespec_of(s.deadline)); r < 0) return errno_of(r);
    EventWriter events(target, count.value);
    events.put(s, Errno::success);
    return stored.store(memory, 1);
  }

  PollSet set(subscriptions);
  bool failed = false;
  for (const Subscription& s : subscriptions) failed |= s.error != Errno::success;
  for (;;) {
    uint64_t wait = failed ? 0 : until_first_deadline(subscriptions);
    timespec timeout = timespec_of(wait);
    int64_t r = set.wait(wait == kNever ? nullptr : &timeout);
    if (r < 0) return errno_of(r);

    EventWriter events(target, count.value);
    uint64_t realtime = now(CLOCK_REALTIME), monotonic = now(CLOCK_MONOTONIC);
    for (const Subscription& s : subscriptions) {
      if (s.error != Errno::success) {
        events.put(s, s.error);
      } else if (s.host_fd >= 0) {
        if (short revents = set.happened(s); revents != 0) put_ready(events, s, revents);
      } else if (s.deadline <= (s.host_clock == CLOCK_REALTIME ? realtime : monotonic)) {
        events.put(s, Errno::success);
      }
    }
    if (events.count() != 0) return stored.store(memory, events.count());
    // Nothing yet: the realtime clock was set back, or the wait ended a little early.
  }
}

}  // namespace

Errno poll_oneoff(Context& cx, Mem memory, Ptr in, Ptr out, Count count, Out<uint32_t> stored) {
  return poll<GuestSubscription>(cx, memory, in, out, count, stored);
}

Errno poll_oneoff_unstable(Context& cx, Mem memory, Ptr in, Ptr out, Count count, Out<uint32_t> stored) {
  return poll<GuestSubscriptionUnstable>(cx, memory, in, out, count, stored);
}

}  // namespace vmrun::wasi
