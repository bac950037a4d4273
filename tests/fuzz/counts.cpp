#include "counts.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace vmrun::test {

Counts& Counts::shared() {
  static Counts& counts = []() -> Counts& {
    void* p = mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) std::perror("mmap"), std::exit(1);
    return *new (p) Counts;
  }();
  return counts;
}

void Counts::skipped(std::string_view why) {
  if (why.size() >= sizeof reasons_[0].text) why = why.substr(0, sizeof reasons_[0].text - 1);
  while (lock_.test_and_set(std::memory_order_acquire)) {
  }
  for (Reason& reason : reasons_) {
    if (reason.modules == 0) std::memcpy(reason.text.data(), why.data(), why.size());
    if (why != reason.text.data() && &reason != &reasons_.back()) continue;
    ++reason.modules;
    break;
  }
  lock_.clear(std::memory_order_release);
}

void Counts::print(const std::vector<test::Way>& ways) const {
  std::printf("%-16s %10s %12s %8s %10s\n", "way", "modules", "lines", "cut", "seconds");
  for (size_t i = 0; i < ways.size(); ++i) {
    const Way& way = ways_[i];
    std::printf("%-16s %10llu %12llu %8llu %10.1f\n", ways[i].name.c_str(),
                static_cast<unsigned long long>(way.modules), static_cast<unsigned long long>(way.lines),
                static_cast<unsigned long long>(way.cut), static_cast<double>(way.microseconds) / 1e6);
  }
  for (const Reason& reason : reasons_) {
    if (reason.modules == 0) break;
    std::printf("%llu modules not in node: %s\n", static_cast<unsigned long long>(reason.modules), reason.text.data());
  }
  if (guarded != 0) {
    std::printf("%llu of %llu guarded memories stood alone\n", static_cast<unsigned long long>(alone),
                static_cast<unsigned long long>(guarded));
  }
  std::printf("%llu of %llu modules differ\n", static_cast<unsigned long long>(different),
              static_cast<unsigned long long>(tried));
}

}  // namespace vmrun::test
