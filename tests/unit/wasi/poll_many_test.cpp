// poll_oneoff for many sockets, which stay in a set from call to call (wasi/poll_watch.h): what it says is what the host's
// poll() says of each, whatever was asked for before.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/wasi/host.h"
#include "tests/unit/wasi/tasks.h"

namespace vmrun::wasi {
namespace {

GuestSubscription for_descriptor(uint64_t userdata, uint32_t tag, uint32_t fd) {
  GuestSubscription s{};
  s.userdata = userdata;
  s.tag = static_cast<uint8_t>(tag);
  s.id_or_fd = fd;
  return s;
}
GuestSubscription for_time(uint64_t userdata, uint64_t nanoseconds) {
  GuestSubscription s{};
  s.userdata = userdata;
  s.tag = kEventClock;
  s.id_or_fd = 1;
  s.timeout = nanoseconds;
  return s;
}

/// A guest with sockets of its own, whose other ends the test has.
struct Sockets {
  FakeGuest guest{WasiConfig()};
  std::map<uint32_t, int> ours, theirs;  // by the guest's number: the host's number of the guest's end; the other end

  Sockets() = default;
  explicit Sockets(const WasiConfig& config) : guest(config) {}
  ~Sockets() {
    for (const auto& [fd, other] : theirs) ::close(other);
  }
  Sockets(const Sockets&) = delete;

  uint32_t add() {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    uint32_t fd = 0;
    REQUIRE(guest.cx().fds.insert(describe(HostFd(pair[0]), rights::kAll), fd));
    ours[fd] = guest.cx().fds.get(fd)->host;
    theirs[fd] = pair[1];
    return fd;
  }
  void close(uint32_t fd) {
    REQUIRE(fd_close(guest.cx(), guest.memory, Fd{fd}) == Errno::success);
    ::close(theirs[fd]);
    ours.erase(fd);
    theirs.erase(fd);
  }
  std::vector<GuestEvent> poll(const std::vector<GuestSubscription>& subscriptions) {
    const auto n = static_cast<uint32_t>(subscriptions.size());
    // Always at the same place, as programs have it.
    constexpr uint32_t kIn = 4096, kOut = 512 << 10, kStored = 64;
    REQUIRE(kIn + n * sizeof(GuestSubscription) < kOut);
    std::memcpy(guest.memory.at(kIn, n * sizeof(GuestSubscription)), subscriptions.data(),
                n * sizeof(GuestSubscription));
    const Errno e = poll_oneoff(guest.cx(), guest.memory, {kIn}, {kOut}, {n}, Out<uint32_t>{kStored});
    REQUIRE(e == Errno::success);
    uint32_t count = 0;
    REQUIRE(guest.memory.read(kStored, count));
    REQUIRE(count <= n);
    std::vector<GuestEvent> events(count);
    std::memcpy(events.data(), guest.memory.at(kOut, count * sizeof(GuestEvent)), count * sizeof(GuestEvent));
    std::ranges::sort(events, {}, &GuestEvent::userdata);
    return events;
  }
};

TEST_CASE("polling many sockets says what the host says of each, whatever was polled, closed and opened before") {
  for (const unsigned seed : {1u, 2u, 3u, 4u, 5u}) {
    CAPTURE(seed);
    Sockets s;
    std::mt19937 random(seed);
    const auto below = [&](size_t n) { return static_cast<uint32_t>(random() % n); };
    for (int i = 0; i < 40; ++i) s.add();
    std::vector<GuestSubscription> asked;
    size_t seen = 0;
    for (int round = 0; round < 1500; ++round) {
      CAPTURE(round);
      // Something happens to some.
      for (uint32_t i = 0; i < below(4); ++i) {
        const auto at = std::next(s.theirs.begin(), below(s.theirs.size()));
        const auto [fd, other] = *at;
        switch (below(8)) {
          case 0:
            if (s.theirs.size() > 20) s.close(fd);
            break;
          case 1: s.add(); break;
          case 2: ::shutdown(other, SHUT_WR); break;
          case 3: {
            // The guest gives it another's number.
            const uint32_t to = std::next(s.theirs.begin(), below(s.theirs.size()))->first;
            if (to == fd || s.theirs.size() <= 20) break;
            REQUIRE(fd_renumber(s.guest.cx(), s.guest.memory, Fd{fd}, Fd{to}) == Errno::success);
            ::close(s.theirs[to]);
            s.theirs[to] = std::exchange(s.theirs[fd], -1);
            s.ours[to] = s.ours[fd];
            s.theirs.erase(fd);
            s.ours.erase(fd);
            break;
          }
          case 4: {
            char buffer[256];
            (void)!::read(s.ours[fd], buffer, sizeof buffer);
            break;
          }
          default: (void)!::send(other, "abc", 1 + below(3), MSG_NOSIGNAL);
        }
      }
      // Most polls ask for what the one before asked for.
      const bool stale = std::ranges::any_of(
          asked, [&](const auto& g) { return g.tag != kEventClock && !s.ours.contains(g.id_or_fd); });
      if (asked.empty() || stale || below(4) == 0) {
        asked.clear();
        const uint32_t some = 1 + below(3);
        for (const auto& [fd, host] : s.ours) {
          if (below(some + 1) == 0) continue;
          const uint32_t kinds = below(8);
          if (kinds != 7) asked.push_back(for_descriptor(asked.size(), kEventRead, fd));
          if (kinds >= 6) asked.push_back(for_descriptor(asked.size(), kEventWrite, fd));
        }
        std::ranges::shuffle(asked, random);
        if (below(20) == 0 && !asked.empty()) asked.push_back(asked.front());  // twice the same
      }
      // Clocks are others each time, anywhere among the rest, and sometimes there is none.
      std::erase_if(asked, [](const auto& g) { return g.tag == kEventClock; });
      const bool ready = std::ranges::any_of(asked, [&](const auto& g) {
        pollfd one{s.ours[g.id_or_fd], static_cast<short>(g.tag == kEventRead ? POLLIN | POLLRDHUP : POLLOUT), 0};
        return ::poll(&one, 1, 0) > 0;
      });
      if (!ready || below(3) != 0) {
        asked.insert(asked.begin() + below(asked.size() + 1), for_time(1'000'000 + static_cast<uint64_t>(round), 0));
      }
      std::map<std::pair<uint64_t, uint32_t>, GuestEvent> got;
      for (const GuestEvent& e : s.poll(asked)) got.insert({{e.userdata, e.type}, e});
      for (const GuestSubscription& g : asked) {
        CAPTURE(g.userdata);
        CAPTURE(g.id_or_fd);
        const auto found = got.find({g.userdata, g.tag});
        if (g.tag == kEventClock) {
          CHECK(found != got.end());
          continue;
        }
        pollfd one{s.ours[g.id_or_fd], static_cast<short>(g.tag == kEventRead ? POLLIN | POLLRDHUP : POLLOUT), 0};
        const bool ready = ::poll(&one, 1, 0) > 0;
        CHECK((found != got.end()) == ready);
        if (!ready || found == got.end()) continue;
        ++seen;
        CHECK(found->second.error == 0);
        CHECK((found->second.flags == kHangup) == ((one.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0));
        int bytes = 0;
        if (g.tag == kEventRead && ::ioctl(one.fd, FIONREAD, &bytes) == 0) {
          CHECK(found->second.nbytes == static_cast<uint64_t>(bytes));
        }
      }
    }
    CHECK(seen > 5000);
  }
}

TEST_CASE("a set of sockets has no place for what is closed, refused or no socket") {
  Sockets s;
  std::vector<uint32_t> fds;
  for (int i = 0; i < 20; ++i) fds.push_back(s.add());
  std::vector<GuestSubscription> asked;
  for (const uint32_t fd : fds) asked.push_back(for_descriptor(fd, kEventRead, fd));
  asked.push_back(for_time(1'000'000, 1'000'000));
  CHECK(s.poll(asked).size() == 1);
  // Closed: the same call says so.
  s.close(fds[3]);
  auto events = s.poll(asked);
  REQUIRE(events.size() == 1);
  CHECK(events[0].userdata == fds[3]);
  CHECK(events[0].error == static_cast<uint16_t>(Errno::badf));
  // Another one under its number.
  REQUIRE(s.add() == fds[3]);
  CHECK(s.poll(asked)[0].userdata == 1'000'000);
  REQUIRE(::send(s.theirs[fds[3]], "x", 1, 0) == 1);
  events = s.poll(asked);
  REQUIRE(events.size() == 1);
  CHECK(events[0].userdata == fds[3]);
  CHECK(events[0].nbytes == 1);
  // Its right to read is gone.
  REQUIRE(fd_fdstat_set_rights(s.guest.cx(), s.guest.memory, Fd{fds[3]}, {0}, {0}) == Errno::success);
  events = s.poll(asked);
  REQUIRE(events.size() == 1);
  CHECK(events[0].error == static_cast<uint16_t>(Errno::notcapable));
  // Standard input gives nothing and is always ready: it is no socket.
  asked.erase(asked.begin() + 3);
  asked.push_back(for_descriptor(77, kEventRead, 0));
  events = s.poll(asked);
  REQUIRE(events.size() == 1);
  CHECK(events[0].userdata == 77);
  // The other form of a subscription is 56 bytes long: six of them have the bytes of seven.
  asked.pop_back();
  while (asked.size() < 21) asked.push_back(for_time(asked.size(), 1'000'000));
  const auto n = s.poll(asked).size();
  CHECK(n >= 1);
  const Errno other = poll_oneoff_unstable(s.guest.cx(), s.guest.memory, {4096}, {512 << 10}, {18}, Out<uint32_t>{64});
  CHECK((other == Errno::success || other == Errno::inval));
}

TEST_CASE("a listener that is closed leaves the set of sockets, although its number stays open") {
  struct Listener {
    Listener() : fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
      const sockaddr any{AF_UNIX, {}};  // the system finds a name
      REQUIRE(::bind(fd, &any, sizeof any.sa_family) == 0);
      REQUIRE(::listen(fd, 4) == 0);
    }
    ~Listener() { ::close(fd); }
    void connect() const {
      sockaddr_un address{};
      socklen_t size = sizeof address;
      REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
      const HostFd other(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      REQUIRE(::connect(other.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    }
    const int fd;
  };
  const Listener first, second;
  Sockets s(WasiConfig().preopen_socket(first.fd).preopen_socket(second.fd));
  constexpr uint32_t kFirst = 3, kSecond = 4;
  for (int i = 0; i < 20; ++i) s.add();
  std::vector<GuestSubscription> asked;
  for (const auto& [fd, host] : s.ours) asked.push_back(for_descriptor(fd, kEventRead, fd));
  asked.push_back(for_descriptor(kSecond, kEventRead, kSecond));
  asked.push_back(for_time(1000, 1'000'000));
  asked.push_back(for_descriptor(kFirst, kEventRead, kFirst));
  const auto events = [&] {
    std::vector<uint64_t> all;
    for (const GuestEvent& e : s.poll(asked)) all.push_back(e.userdata);
    return all;
  };
  CHECK(events() == std::vector<uint64_t>{1000});
  REQUIRE(fd_close(s.guest.cx(), s.guest.memory, Fd{kFirst}) == Errno::success);
  REQUIRE(s.add() == kFirst);  // another one by its number
  CHECK(events() == std::vector<uint64_t>{1000});
  first.connect();
  CHECK(events() == std::vector<uint64_t>{1000});
  second.connect();
  CHECK(events() == std::vector<uint64_t>{kSecond});
  REQUIRE(::send(s.theirs[kFirst], "x", 1, 0) == 1);
  CHECK(events() == std::vector<uint64_t>{kFirst, kSecond});
}

TEST_CASE("a task that polls many sockets is suspended until one is ready, its time is over, or it is cancelled") {
  for (const char* io : kIo) {
    for (const unsigned workers : {1u, 2u, 8u}) {
      CAPTURE(io);
      CAPTURE(workers);
      Engine engine;
      Executor executor = executor_with(workers, io);
      constexpr size_t kGuests = 3;
      std::vector<std::unique_ptr<Sockets>> all;
      std::vector<std::unique_ptr<Store>> stores;
      std::vector<Task> tasks;
      std::atomic<int> wrong{0}, rounds{0}, waiting{0}, interrupted{0};
      std::atomic<bool> stop{false};
      for (size_t i = 0; i < kGuests; ++i) {
        all.push_back(std::make_unique<Sockets>());
        stores.push_back(std::make_unique<Store>(engine));
        Sockets& s = *all.back();
        for (int k = 0; k < 30; ++k) s.add();
        tasks.push_back(ok(executor.spawn(*stores.back(), [&] {
          std::vector<GuestSubscription> asked;
          for (const auto& [fd, host] : s.ours) asked.push_back(for_descriptor(fd, kEventRead, fd));
          asked.push_back(for_time(1'000'000, 20'000'000'000));
          while (!stop) {
            for (const GuestEvent& e : s.poll(asked)) {
              char byte;
              wrong += e.userdata == 1'000'000;
              wrong += ::recv(s.ours[static_cast<uint32_t>(e.userdata)], &byte, 1, MSG_DONTWAIT) != 1;
              ++rounds;
            }
          }
          // Nothing comes any more. The time is over, and then the task is cancelled.
          asked.back().timeout = 2'000'000;
          const auto last = s.poll(asked);
          wrong += last.size() != 1 || last[0].userdata != 1'000'000;
          asked.pop_back();
          std::memcpy(s.guest.memory.at(4096, asked.size() * 48), asked.data(), asked.size() * 48);
          ++waiting;
          interrupted +=
              poll_oneoff(s.guest.cx(), s.guest.memory, {4096}, {512 << 10}, {30}, Out<uint32_t>{64}) == Errno::intr;
        })));
      }
      std::mt19937 random(workers);
      int sent = 0;
      for (int i = 0; i < 300; ++i) {
        Sockets& s = *all[random() % kGuests];
        const auto at = std::next(s.theirs.begin(), static_cast<long>(random() % s.theirs.size()));
        REQUIRE(::send(at->second, "x", 1, 0) == 1);
        ++sent;
        if (i % 10 == 0) {
          for (int look = 0; look < 20000 && rounds != sent; ++look) std::this_thread::sleep_for(1ms);
          REQUIRE(rounds == sent);
        }
      }
      for (int look = 0; look < 20000 && rounds != sent; ++look) std::this_thread::sleep_for(1ms);
      CHECK(rounds == sent);
      stop = true;
      for (const auto& s : all) REQUIRE(::send(s->theirs.begin()->second, "x", 1, 0) == 1);
      while (waiting != static_cast<int>(kGuests)) std::this_thread::sleep_for(1ms);
      for (const Task& task : tasks) {
        task.cancel();
        CHECK(task.join_for(20s));
      }
      CHECK(wrong == 0);
      CHECK(interrupted == kGuests);
      all.clear();  // before the executor, whose reactor they wait with
    }
  }
}

}  // namespace
}  // namespace vmrun::wasi
