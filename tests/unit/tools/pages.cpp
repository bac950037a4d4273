#include "tests/unit/tools/pages.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <set>
#include <sstream>
#include <vector>

namespace vmrun::test {

PageClient::PageClient(unsigned port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) close();
}

PageClient::PageClient(const std::string& socket) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  const bool abstract = socket.starts_with("@");
  const std::string name = socket.substr(abstract ? 1 : 5);
  std::memcpy(to.sun_path + (abstract ? 1 : 0), name.data(), name.size());
  const size_t length = offsetof(sockaddr_un, sun_path) + name.size() + 1;
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), static_cast<socklen_t>(length)) != 0) close();
}

PageClient::~PageClient() { close(); }

void PageClient::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool PageClient::send(const std::string& bytes) const {
  return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

std::string PageClient::rest() const {
  std::string out;
  char bytes[4096];
  pollfd one{fd_, POLLIN, 0};
  while (::poll(&one, 1, 60'000) == 1) {
    const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n <= 0) break;
    out.append(bytes, static_cast<size_t>(n));
  }
  return out;
}

std::string get_page(unsigned port, const std::string& path, const std::string& headers) {
  const PageClient client(port);
  client.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
  return client.rest();
}

std::string body_of(const std::string& answer) {
  const size_t end = answer.find("\r\n\r\n");
  return end == answer.npos ? "" : answer.substr(end + 4);
}

std::map<std::string, double> read_metrics(const std::string& text) {
  std::map<std::string, double> out;
  std::set<std::string> families;
  std::string family, type;
  bool helped = false;
  const auto wrong = [&](const std::string&) { out["problem"] += 1; };
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      if (!families.insert(family).second || line.size() < 7 + family.size() + 2) wrong(line);
      helped = true;
      continue;
    }
    if (line.starts_with("# TYPE ")) {
      const std::string rest = line.substr(7);
      if (!helped || !rest.starts_with(family + " ")) wrong(line);
      type = rest.substr(std::min(rest.size(), family.size() + 1));
      if (type != "counter" && type != "gauge" && type != "histogram") wrong(line);
      if ((type == "counter") != family.ends_with("_total")) wrong(line);
      helped = false;
      continue;
    }
    const size_t end = line.find_first_of("{ ");
    if (line.empty() || end == line.npos) {
      wrong(line);
      continue;
    }
    const std::string name = line.substr(0, end);
    const bool part = name == family + "_bucket" || name == family + "_sum" || name == family + "_count";
    if (type == "histogram" ? !part : name != family) wrong(line);
    const size_t space = line.rfind(' ');
    char* stop = nullptr;
    const double value = std::strtod(line.c_str() + space + 1, &stop);
    if (*stop != 0 || stop == line.c_str() + space + 1) wrong(line);
    if (line[end] == '{' && line[space - 1] != '}') wrong(line);
    if (!out.emplace(line.substr(0, space), value).second) wrong(line);
  }
  if (!text.ends_with("\n")) wrong(text);
  return out;
}

}  // namespace vmrun::test
