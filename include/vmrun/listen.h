// Listening sockets for guests that accept by themselves (WasiConfig::preopen_socket), and room for their connections.
#pragma once

#include <cstdint>
#include <string>

#include "vmrun/base/result.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// A TCP socket that listens on `address`: "host:port", ":port" (all addresses of this machine) or "[v6]:port", where the
/// port is a number (0: any that is free) or the name of a service. Looks names up, which may take a while. The descriptor
/// is the caller's to close. It is close-on-exec and does not wait (O_NONBLOCK); its queue is as long as the system lets
/// it be, up to 4,096 connections; what is accepted from it sends at once (TCP_NODELAY). Any thread. Errors: Usage (no such
/// address), Io.
Result<int> listen_tcp(const std::string& address);

/// "127.0.0.1:80" or "[::1]:80": where `socket` listens. "" for what is no TCP socket. Any thread.
std::string address_of(int socket);

/// Lets this process have as many descriptors open as it may give itself (RLIMIT_NOFILE's hard limit), and returns how many
/// that are; UINT64_MAX: as many as there are. Any thread.
uint64_t raise_descriptor_limit();

}  // namespace vmrun
#pragma GCC visibility pop
