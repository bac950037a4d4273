// Addresses as users write them, and as the system knows them.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "vmrun/base/result.h"

namespace vmrun::serve {

struct Address {
  sockaddr_storage bytes{};
  socklen_t length = 0;
};

/// "host:port", ":port" (all addresses of this machine) or "[v6]:port": what it stands for, at least one address, the best
/// first. Looks names up, which may take a while. Errors: Usage (what is none of these), Io (a name that nobody knows).
Result<std::vector<Address>> parse_address(const std::string& text);
/// "127.0.0.1:80" or "[::1]:80".
std::string to_string(const Address& address);
/// The same without the port and the brackets.
std::string host_of(const Address& address);
uint16_t port_of(const Address& address);

}  // namespace vmrun::serve
