// See page_server.h. The thread owns everything but `ending`.
#include "tools/page_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <list>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "tools/page_request.h"

namespace vmrun::tools {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Listener {
  int fd;
  bool own_user;
  PageMaker maker;
  bool paused = false;  // no descriptor was free: it is looked at again a moment later
};

/// One client, from its connection to its end.
struct Client {
  enum class State : uint8_t { reads, writes, drains } state = State::reads;
  Listener* listener = nullptr;
  int fd = -1;
  Clock::time_point until;
  std::string in, out;
  size_t sent = 0, drained = 0;

  Client(Listener& from, int number, Clock::time_point end) : listener(&from), fd(number), until(end) {}
  ~Client() { ::close(fd); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
};

bool is_our_user(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

/// Whether the client came to an address of this machine alone.
bool is_at_loopback(int fd) {
  sockaddr_storage bytes{};
  socklen_t size = sizeof bytes;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&bytes), &size) != 0) return false;
  if (bytes.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in&>(bytes).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  if (bytes.ss_family != AF_INET6) return false;
  const in6_addr& address = reinterpret_cast<const sockaddr_in6&>(bytes).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == IN_LOOPBACKNET);
}

bool would_wait() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

/// Keeps all signals from the threads that are made while it lives.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

struct PageServer::Impl {
  std::list<Listener> listeners;
  std::list<Client> clients;
  std::function<int()> work;
  int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::atomic<bool> ending{false};
  std::thread thread;

  // The page that was made last.
  const Listener* made_by = nullptr;
  PageRequest made_for;
  Page made;
  Clock::time_point made_at;

  ~Impl() {
    for (const Listener& listener : listeners) ::close(listener.fd);
    if (wake >= 0) ::close(wake);
  }

  void accept(Listener& listener) {
    const int fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      listener.paused = !would_wait();
      return;
    }
    if (listener.own_user && !is_our_user(fd)) {
      ::close(fd);
      return;
    }
    const auto of_this = [&](const Client& client) { return client.listener == &listener; };
    if (static_cast<size_t>(std::ranges::count_if(clients, of_this)) >= kMostConnections) {
      clients.erase(std::ranges::find_if(clients, of_this));  // the oldest
    }
    clients.emplace_back(listener, fd, Clock::now() + milliseconds(kPatienceMs));
  }

  const Page& page_for(Listener& listener, const PageRequest& request) {
    const auto now = Clock::now();
    const bool same = made_by == &listener && made_for.path == request.path && made_for.query == request.query &&
                      made_for.open_metrics == request.open_metrics;
    if (!same || now - made_at > milliseconds(kFreshMs)) {
      made_by = nullptr;
      made = listener.maker(request);
      made_for = request;
      made_at = Clock::now();
      made_by = &listener;
    }
    return made;
  }

  void answer(Client& client, const PageHead& head) {
    client.state = Client::State::writes;
    if (head.status != 0) {
      client.out = page_answer({.status = head.status, .body = head.why + "\n"}, false);
    } else if (head.by_name && is_at_loopback(client.fd)) {
      // A web page whose own name was made to lead here; a browser would let it read the answer.
      constexpr const char* kWhy = "ask by an address, or by localhost: other names may be a web page's\n";
      client.out = page_answer({.status = 403, .body = kWhy}, head.no_body);
    } else {
      client.out = page_answer(page_for(*client.listener, head.request), head.no_body);
    }
    client.in.clear();
  }

  /// Does what there is to do for the client. False: it has ended.
  bool serve(Client& client) {
    char bytes[4096];
    for (int i = 0; client.state == Client::State::reads && i < 4; ++i) {
      const ssize_t n = ::recv(client.fd, bytes, sizeof bytes, 0);
      if (n < 0 && would_wait()) return true;
      if (n <= 0) return false;
      client.in.append(bytes, static_cast<size_t>(n));
      if (const auto head = parse_page_head(client.in, kMostHead)) answer(client, *head);
    }
    while (client.state == Client::State::writes) {
      const ssize_t n =
          ::send(client.fd, client.out.data() + client.sent, client.out.size() - client.sent, MSG_NOSIGNAL);
      if (n < 0) return would_wait();
      client.sent += static_cast<size_t>(n);
      if (client.sent < client.out.size()) continue;
      // The client may be sending still; if the connection was closed before that is read, it would lose the answer.
      ::shutdown(client.fd, SHUT_WR);
      client.state = Client::State::drains;
    }
    constexpr size_t kMostDrained = 64 << 10;
    while (client.state == Client::State::drains) {
      const ssize_t n = ::recv(client.fd, bytes, sizeof bytes, 0);
      if (n < 0) return would_wait();
      client.drained += static_cast<size_t>(n);
      if (n == 0 || client.drained > kMostDrained) return false;
    }
    return true;
  }

  /// Waits until there is something to do, and does it.
  void step(std::vector<pollfd>& fds) {
    constexpr int kPauseMs = 100;
    fds.clear();
    fds.push_back({wake, POLLIN, 0});
    int timeout = work ? work() : -1;
    const auto by = [&](int ms) { timeout = timeout < 0 ? ms : std::min(timeout, ms); };
    for (Listener& listener : listeners) {
      fds.push_back({listener.paused ? -1 : listener.fd, POLLIN, 0});
      if (listener.paused) by(kPauseMs);
      listener.paused = false;
    }
    const auto now = Clock::now();
    for (const Client& client : clients) {
      fds.push_back({client.fd, static_cast<short>(client.state == Client::State::writes ? POLLOUT : POLLIN), 0});
      by(static_cast<int>(std::chrono::ceil<milliseconds>(std::max(client.until - now, Clock::duration(0))).count()));
    }
    if (::poll(fds.data(), fds.size(), timeout) < 0) return;
    if (ending.load(std::memory_order_acquire)) return;
    const pollfd* fd = fds.data() + 1 + listeners.size();
    const auto after = Clock::now();
    for (auto client = clients.begin(); client != clients.end(); ++fd) {
      const bool goes_on = client->until > after && (fd->revents == 0 || serve(*client));
      client = goes_on ? std::next(client) : clients.erase(client);
    }
    fd = fds.data() + 1;
    for (Listener& listener : listeners) {
      if ((fd++)->revents != 0) accept(listener);
    }
  }

  void run() {
    pthread_setname_np(pthread_self(), "vmrun-pages");
    std::vector<pollfd> fds;
    while (!ending.load(std::memory_order_acquire)) {
      try {
        step(fds);
      } catch (const std::bad_alloc&) {
        clients.clear();  // which gives memory back
      }
    }
    clients.clear();
  }
};

PageServer::PageServer() : impl_(std::make_unique<Impl>()) {}

PageServer::~PageServer() {
  if (!impl_->thread.joinable()) return;
  impl_->ending.store(true, std::memory_order_release);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(impl_->wake, &one, sizeof one);
  impl_->thread.join();
}

void PageServer::add(int listener, bool own_user, PageMaker maker) {
  impl_->listeners.push_back({listener, own_user, std::move(maker)});
}

void PageServer::whenever(std::function<int()> work) { impl_->work = std::move(work); }

Result<void> PageServer::start() {
  if (impl_->wake < 0) return Error(ErrorKind::Limit, "this process has too many open files");
  const NoSignals quiet;
  try {
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  } catch (const std::system_error& e) {
    return Error(ErrorKind::Limit, std::string("no thread for metrics: ") + e.what());
  }
  return {};
}

}  // namespace vmrun::tools
