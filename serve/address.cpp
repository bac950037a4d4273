#include "serve/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

namespace vmrun::serve {
namespace {

/// What is wrong with `port`, which is a number up to 65535 or the name of a service.
std::optional<std::string> fault_of_port(const std::string& port) {
  if (port.empty()) return "the port is missing";
  const size_t sign = port[0] == '-' || port[0] == '+' ? 1 : 0;
  if (port.find_first_not_of("0123456789", sign) != port.npos) return std::nullopt;
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error == std::errc() && end == port.data() + port.size() && number <= 65535) return std::nullopt;
  return "port " + port + " is not between 0 and 65535";
}

}  // namespace

Result<std::vector<Address>> parse_address(const std::string& text) {
  const auto wrong = [&](const std::string& why) {
    return Error(ErrorKind::Usage,
                 "'" + text + "' is not an address to listen on: " + why + "; write HOST:PORT, :PORT or [V6]:PORT");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong("it names no port");
  std::string host = text.substr(0, colon);
  const std::string port = text.substr(colon + 1);
  if (const auto fault = fault_of_port(port)) return wrong(*fault);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return wrong("an IPv6 address stands in brackets");
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int r = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found); r != 0) {
    if (r == EAI_SERVICE) return wrong("port " + port + " is neither a number up to 65535 nor the name of a service");
    return Error(ErrorKind::Io, "cannot find the address '" + text + "': " + ::gai_strerror(r));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(found, ::freeaddrinfo);
  std::vector<Address> out;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    // Of all addresses of this machine, IPv6's come first: they take IPv4 as well.
    const bool first = host.empty() && a->ai_family == AF_INET6;
    Address& address = *out.emplace(first ? out.begin() : out.end());
    address.length = a->ai_addrlen;
    std::memcpy(&address.bytes, a->ai_addr, a->ai_addrlen);
  }
  return out;
}

std::string host_of(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.bytes.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address.bytes).sin_addr, text, sizeof text);
  } else if (address.bytes.ss_family == AF_INET6) {
    const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(address.bytes).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
      ::inet_ntop(AF_INET, v6.s6_addr + 12, text, sizeof text);
    } else {
      ::inet_ntop(AF_INET6, &v6, text, sizeof text);
    }
  }
  return text;
}

uint16_t port_of(const Address& address) {
  if (address.bytes.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address.bytes).sin_port);
  if (address.bytes.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address.bytes).sin6_port);
  return 0;
}

std::string to_string(const Address& address) {
  const std::string host = host_of(address);
  const std::string port = ":" + std::to_string(port_of(address));
  return host.find(':') != std::string::npos ? "[" + host + "]" + port : host + port;
}

}  // namespace vmrun::serve
