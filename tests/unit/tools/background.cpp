#include "tests/unit/tools/background.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string_view>
#include <thread>

namespace vmrun::test {
namespace {

constexpr int kPatienceMs = 60'000;

/// Appends what `fd` has next to `text`; false at its end, or when nothing comes for long.
bool read_more(int fd, std::string& text, size_t most = 4096) {
  pollfd one{fd, POLLIN, 0};
  if (poll(&one, 1, kPatienceMs) != 1) return false;
  const size_t had = text.size();
  text.resize(had + most);
  const ssize_t n = read(fd, text.data() + had, most);
  text.resize(had + static_cast<size_t>(n > 0 ? n : 0));
  return n > 0;
}

/// One answer: 200, and its body.
bool read_answer(int fd, std::string_view body) {
  std::string text;
  while (text.find("\r\n\r\n") == text.npos || !text.ends_with(body)) {
    if (!read_more(fd, text)) return false;
  }
  return text.starts_with("HTTP/1.1 200 ");
}

int connected(unsigned port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
  close(fd);
  return -1;
}

}  // namespace

Background::Background(const std::vector<std::string>& args, const char* program) {
  const Child child = start_child(program, args);
  child_ = child.pid;
  out_ = child.out;
  err_ = child.err;
}

Background::~Background() {
  if (child_ > 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  close(out_);
  close(err_);
}

bool Background::says(const std::string& text) {
  while (result_.err.find(text) == std::string::npos) {
    if (!read_more(err_, result_.err)) return false;
  }
  return true;
}

std::string Background::read_some(size_t size) {
  std::string text;
  read_more(out_, text, size);
  return text;
}

void Background::signal(int number) const { kill(child_, number); }

unsigned Background::port(const std::string& before) {
  if (!says(before) || !says("\n")) return 0;
  return static_cast<unsigned>(std::atoi(result_.err.c_str() + result_.err.find(before) + before.size()));
}

CommandResult Background::wait() {
  // Both at once, so that neither pipe can fill up.
  std::thread errors([&] {
    while (read_more(err_, result_.err)) {
    }
  });
  while (read_more(out_, result_.out)) {
  }
  errors.join();
  int status = 0;
  if (child_ > 0 && waitpid(child_, &status, 0) == child_) {
    result_.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  child_ = -1;
  return result_;
}

int ask(unsigned port, int count, int connections, bool again, const std::string& body) {
  std::atomic<int> left{count}, good{0};
  const auto client = [&] {
    const std::string request = "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int fd = -1;
    while (left.fetch_sub(1) > 0) {
      if (fd < 0) fd = connected(port);
      if (fd < 0) return;
      const bool sent = send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size());
      const bool answered = sent && read_answer(fd, body);
      good += answered ? 1 : 0;
      if (again && answered) continue;
      close(fd);
      fd = -1;
      if (!answered) return;
    }
    if (fd >= 0) close(fd);
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < connections; ++i) clients.emplace_back(client);
  for (std::thread& one : clients) one.join();
  return good;
}

}  // namespace vmrun::test
