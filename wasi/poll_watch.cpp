// An epoll set for poll_oneoff: see poll_watch.h.
#include "wasi/poll_watch.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "wasi/blocking.h"
#include "wasi/sys.h"

namespace vmrun::wasi {

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP &&
              EPOLLRDHUP == POLLRDHUP);

bool PollWatch::has(size_t at, std::span<const std::byte> bytes) const {
  return bytes.size() <= bytes_.size() - std::min(at, bytes_.size()) &&
         (bytes.empty() || std::memcmp(bytes_.data() + at, bytes.data(), bytes.size()) == 0);
}

bool PollWatch::open() {
  if (set_.host >= 0) return true;
  const int64_t made = raw([] { return ::epoll_create1(EPOLL_CLOEXEC); });
  if (made < 0) return false;
  HostFd fd(static_cast<int>(made));
  if (fd.get() <= STDERR_FILENO) return false;  // what the process prints would go there
  set_ = Descriptor{};
  set_.host = fd.get();
  set_.owner = std::move(fd);
  events_.resize(kMostEvents);
  return true;
}

/// What an event brings back: the guest's number, and which of its descriptors by that number was meant.
uint64_t PollWatch::token_of(uint32_t fd, uint64_t serial) { return serial << 32 | fd; }

void PollWatch::want(const Wish& wish) {
  if (wish.fd >= entries_.size()) entries_.resize(size_t{wish.fd} + 1);
  Entry& entry = entries_[wish.fd];
  if (entry.round != round_) {
    if (entry.serial != wish.descriptor->serial) {
      // The one before was closed, and the system has forgotten it.
      has_count_ -= entry.has != 0 ? 1 : 0;
      entry = {};
      entry.host = wish.descriptor->host;
      entry.serial = wish.descriptor->serial;
    }
    entry.round = round_;
    entry.wanted = 0;
    entry.reads = entry.writes = kNone;
    kept_count_ += entry.has != 0 ? 1 : 0;
    order_.push_back(wish.fd);
  }
  uint32_t& place = wish.writes ? entry.writes : entry.reads;
  twice_ |= place != kNone;
  place = wish.subscription;
  entry.wanted |= wish.writes ? EPOLLOUT : EPOLLIN | EPOLLRDHUP;
}

bool PollWatch::put(uint32_t fd) {
  Entry& entry = entries_[fd];
  epoll_event event{};
  event.events = entry.wanted;
  event.data.u64 = token_of(fd, entry.serial);
  const int how = entry.has != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (raw([&] { return ::epoll_ctl(set_.host, how, entry.host, &event); }) < 0) return false;
  has_count_ += entry.has == 0 ? 1 : 0;
  entry.has = entry.wanted;
  return true;
}

bool PollWatch::watch(std::vector<std::byte> bytes, size_t size, uint64_t changes, std::span<const Wish> wishes) {
  known_ = false;
  if (broken_) return false;
  if (!open()) return false;
  ++round_;
  order_.clear();
  kept_count_ = 0;
  twice_ = false;
  for (const Wish& wish : wishes) want(wish);
  if (twice_) return false;
  if (kept_count_ != has_count_) {
    // Some are watched that nobody wants any more; or they are gone, and the system says so.
    for (Entry& entry : entries_) {
      if (entry.has == 0 || entry.round == round_) continue;
      (void)::epoll_ctl(set_.host, EPOLL_CTL_DEL, entry.host, nullptr);
      entry.has = 0;
    }
    has_count_ = kept_count_;
  }
  for (const uint32_t fd : order_) {
    if (entries_[fd].has != entries_[fd].wanted && !put(fd)) {
      broken_ = true;
      return false;
    }
  }
  bytes_ = std::move(bytes);
  size_ = size;
  changes_ = changes;
  return known_ = true;
}

int64_t PollWatch::look() {
  return raw([&] { return ::epoll_wait(set_.host, events_.data(), static_cast<int>(kMostEvents), 0); });
}

int64_t PollWatch::wait(const timespec* timeout) {
  const int64_t ready = look();
  if (ready != 0 || (timeout != nullptr && timeout->tv_sec == 0 && timeout->tv_nsec == 0)) return ready;
  pollfd one{set_.host, POLLIN, 0};
  const Descriptor* const set = &set_;
  const int64_t r = blocking::poll({&one, 1}, {&set, 1}, timeout);
  return r <= 0 ? r : look();
}

std::optional<PollWatch::Happened> PollWatch::at(size_t i) const {
  const uint64_t token = events_[i].data.u64;
  const auto fd = static_cast<uint32_t>(token);
  if (fd >= entries_.size()) return std::nullopt;
  const Entry& entry = entries_[fd];
  if (entry.round != round_ || token != token_of(fd, entry.serial)) return std::nullopt;
  return Happened{entry.reads, entry.writes, static_cast<short>(events_[i].events)};
}

}  // namespace vmrun::wasi
