// Which random cases a test makes: some for every build, others by VMRUN_TEST_SEED and VMRUN_TEST_COUNT.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <ranges>

namespace vmrun::test {

/// The seeds from VMRUN_TEST_SEED on (else 1), VMRUN_TEST_COUNT of them (else `count`).
inline auto seeds(uint64_t count) {
  const auto number = [](const char* variable, uint64_t otherwise) -> uint64_t {
    const char* text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
  };
  const uint64_t first = number("VMRUN_TEST_SEED", 1);
  return std::views::iota(first, first + number("VMRUN_TEST_COUNT", count));
}

}  // namespace vmrun::test
