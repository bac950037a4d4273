// PollWatch: what poll_oneoff keeps from call to call where a guest waits for many sockets again and again.
//
// ppoll() looks at each descriptor in each call: with a thousand connections some 200 us, whether one is ready or all. So a
// guest that polls many sockets gets an epoll set, in which they stay. A call that asks for what the last one asked for
// changes nothing in it; another one changes what is different.
//
// Rules. Of one guest without threads: nobody closes a descriptor while it is used here. What is watched is owned by the
// guest, so that the system forgets it when it is closed, or a listener, whose number stays open longer than the guest. When
// a listener is closed, or a descriptor is given another number (fd_renumber), the set is thrown away: it stands there under
// the old number. A descriptor is told from another one of the same number, the guest's or the host's, by its serial number,
// which events bring back: an event of another one is believed by nobody.
#pragma once

#include <sys/epoll.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "wasi/fd_table.h"

namespace vmrun::wasi {

class PollWatch {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// A subscription: its place among all, and what for. `fd` is the descriptor's number in the guest's table.
  struct Wish {
    const Descriptor* descriptor;
    uint32_t fd;
    uint32_t subscription;
    bool writes;
  };
  /// What has happened to a descriptor, in poll(2)'s bits; and the subscriptions that ask for it, or kNone.
  struct Happened {
    uint32_t reads, writes;
    short events;
  };

  /// Whether it can be watched at all.
  static bool takes(const Descriptor& d) { return d.is_socket() && (d.owner || d.listens); }

  /// Whether what is watched was asked for in subscriptions of `size` bytes each, which tells their two forms apart, and by a
  /// table that had changed so often.
  bool knows(size_t size, uint64_t changes) const { return known_ && size == size_ && changes == changes_; }
  /// Whether `bytes` are those of the subscriptions, from the byte `at` on.
  bool has(size_t at, std::span<const std::byte> bytes) const;
  /// From now on exactly `wishes` are watched, the subscriptions in `bytes`. False: this set cannot; it knows nothing then.
  bool watch(std::vector<std::byte> bytes, size_t size, uint64_t changes, std::span<const Wish> wishes);
  /// The subscriptions in the order in which they were given, as they were then.
  std::span<const std::byte> bytes() const { return bytes_; }

  /// Waits until something has happened, at most `timeout` (null: for ever): how many descriptors, or a negated errno value.
  int64_t wait(const timespec* timeout);
  /// What has happened; nothing: to a descriptor that nobody asks for any more, so this set is to be thrown away.
  std::optional<Happened> at(size_t i) const;

 private:
  /// By the guest's number.
  struct Entry {
    int host = -1;
    uint64_t serial = 0;
    uint64_t round = 0;   // of the watch() that wanted it last
    uint32_t wanted = 0;  // events
    uint32_t has = 0;     // that the system watches; 0: it does not
    uint32_t reads = kNone, writes = kNone;
  };

  static uint64_t token_of(uint32_t fd, uint64_t serial);
  bool open();
  void want(const Wish& wish);
  bool put(uint32_t fd);
  int64_t look();

  static constexpr size_t kMostEvents = 1024;
  std::vector<std::byte> bytes_;
  size_t size_ = 0;
  uint64_t changes_ = 0;
  bool known_ = false;
  bool broken_ = false;  // the system refused something
  Descriptor set_;       // as what tasks wait for
  std::vector<Entry> entries_;
  std::vector<uint32_t> order_;  // what this round wants
  uint64_t round_ = 0;
  size_t has_count_ = 0;   // entries with `has`
  size_t kept_count_ = 0;  // of those, what this round wants
  bool twice_ = false;     // one thing was wanted twice
  std::vector<epoll_event> events_;
};

}  // namespace vmrun::wasi
