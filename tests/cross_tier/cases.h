// A test case of doctest for each cell of a matrix.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <string>
#include <utility>

namespace vmrun::spine {

template <void (*Run)(unsigned), unsigned N>
void run_case() {
  Run(N);
}

template <void (*Run)(unsigned), unsigned... N>
int register_cases(std::string (*name)(unsigned), const char* file, std::integer_sequence<unsigned, N...>) {
  static std::deque<std::string> names;
  static const doctest::detail::TestSuite suite{};
  const auto add = [&](unsigned n, doctest::detail::funcType test) {
    const std::string its = name(n);
    if (its.empty()) return;
    doctest::detail::TestCase one(test, file, 1, suite);
    names.push_back("spine: " + its);
    doctest::detail::regTest(one * names.back().c_str());
  };
  (add(N, &run_case<Run, N>), ...);
  return 0;
}

/// Registers `Run(n)` as "spine: " + name(n) for each n below `Count`, but where the name is empty.
template <unsigned Count, void (*Run)(unsigned)>
int register_cases(std::string (*name)(unsigned), const char* file) {
  return register_cases<Run>(name, file, std::make_integer_sequence<unsigned, Count>());
}

}  // namespace vmrun::spine
