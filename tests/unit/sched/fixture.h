// What the tests of tasks share, those of io/ too: with how many workers they run, and how much less where each step is
// slow.
#pragma once

namespace vmrun::test {

constexpr unsigned worker_counts[] = {1, 2, 8};

#if defined(__has_feature) && (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
constexpr int scale = 10;
#else
constexpr int scale = 1;
#endif

}  // namespace vmrun::test
