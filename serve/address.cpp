#include "serve/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>
#include <memory>

namespace vmrun::serve {

Result<Address> parse_address(const std::string& text) {
  const auto wrong = [&](const char* why) {
    return Error(ErrorKind::Usage,
                 "'" + text + "' is not an address to listen on: " + why + "; write HOST:PORT, :PORT or [V6]:PORT");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong("it names no port");
  std::string host = text.substr(0, colon);
  const std::string port = text.substr(colon + 1);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number > 65535) return wrong("its port is none");
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return wrong("an IPv6 address stands in brackets");
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int r = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found); r != 0) {
    return Error(ErrorKind::Io, "cannot find the address '" + text + "': " + ::gai_strerror(r));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(found, ::freeaddrinfo);
  const addrinfo* best = found;
  for (const addrinfo* a = found; host.empty() && a != nullptr; a = a->ai_next) {
    if (a->ai_family == AF_INET6) best = a;  // takes IPv4 as well
  }
  Address address;
  address.length = best->ai_addrlen;
  std::memcpy(&address.bytes, best->ai_addr, best->ai_addrlen);
  return address;
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
