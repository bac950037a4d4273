// A checksum that finds damage, at some ten gigabytes a second. It is no hash to trust: who writes bytes can choose it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vmrun::vm {

/// Of 64 bits. Bytes that differ by accident have equal ones once in 2^64 times.
uint64_t checksum(std::span<const std::byte> bytes);

}  // namespace vmrun::vm
