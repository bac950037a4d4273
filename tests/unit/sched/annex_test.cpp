// The annexes of stacks: who has one, for how long, and what is guarded.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "sched/scheduler.h"
#include "sched/stack.h"
#include "tests/support/child.h"
#include "tests/unit/sched/fixture.h"

using namespace vmrun::sched;
using namespace vmrun::test;

namespace {

constexpr AnnexShape kShape{.shared = 1024, .size = 3 << 20, .guard = 64 * 1024};

Config with_annex(unsigned workers) {
  Config config;
  config.workers = workers;
  config.stack_size = 64 * 1024;
  config.annex = kShape;
  config.idle_keep = std::chrono::milliseconds(20);
  return config;
}

}  // namespace

TEST_CASE("an annex lies above its stack and is one holder's at a time") {
  for (unsigned workers : worker_counts) {
    Scheduler s(with_annex(workers));
    s.spawn([] {
       const Annex annex = lend_annex();
       REQUIRE(annex.base != nullptr);
       CHECK(annex.base >= stack_bounds().high);
       CHECK(annex.shape.size == kShape.size);
       CHECK(reinterpret_cast<uintptr_t>(annex.base + kShape.shared) % 4096 == 0);
       CHECK(lend_annex().base == nullptr);
       std::memset(annex.base, 1, kShape.shared + kShape.guard);
       annex.base[kShape.shared + kShape.size - 1] = std::byte{1};
       return_annex(annex.handle);
       const Annex again = lend_annex();
       CHECK(again.base == annex.base);
       return_annex(again.handle);
     }).join();
  }
  Scheduler none({.workers = 1});
  none.spawn([] { CHECK(lend_annex().base == nullptr); }).join();
}

TEST_CASE("an annex outlives its task and its scheduler, and keeps its stack") {
  std::vector<Annex> annexes;
  {
    Scheduler s(with_annex(1));
    for (int i = 0; i < 3; ++i) {
      s.spawn([&] {
         if (const Annex annex = lend_annex(); annex.base != nullptr) annexes.push_back(annex);
       }).join();
    }
    // Tasks that ran on the same fiber got none.
    REQUIRE(annexes.size() >= 1);
    annexes[0].base[100] = std::byte{5};
    s.wait_idle();
  }
  CHECK(annexes[0].base[100] == std::byte{5});
  for (const Annex& annex : annexes) return_annex(annex.handle);
}

TEST_CASE("a stack whose annex is lent is not given to others") {
  auto s = std::make_unique<Scheduler>(with_annex(1));
  Annex annex;
  s->spawn([&] { annex = lend_annex(); }).join();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the idle worker gives back its fibers
  annex.base[0] = std::byte{9};
  for (int i = 0; i < 200; ++i) {
    s->spawn([&] {
       const Annex other = lend_annex();
       CHECK(other.base != annex.base);
       if (other.base != nullptr) return_annex(other.handle);
     }).join();
  }
  CHECK(annex.base[0] == std::byte{9});
  return_annex(annex.handle);
}

TEST_CASE("what a stack and its annex held is gone when the pool hands them out again") {
  StackPool pool(64 * 1024, 4, 8192, kShape);
  StackBounds stack = pool.take();
  REQUIRE(pool.has_annex(stack));
  CHECK(stack.size() == 63 * 1024);
  for (int round = 0; round < 2; ++round) {
    std::byte* const annex = stack.high;
    for (std::byte* at : {stack.low, stack.high - 1, annex, annex + kShape.shared + kShape.guard - 1,
                          annex + kShape.shared + kShape.guard + 4096, annex + kShape.shared + kShape.size - 1}) {
      CHECK(*at == std::byte{0});
      *at = std::byte{1};
    }
    const StackBounds before = stack;
    pool.give(stack);
    stack = pool.take();
    CHECK(stack.low == before.low);
#if !defined(__has_feature) || !(__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
    CHECK(signal_of_writing(stack.low - 1) == SIGSEGV);
    CHECK(signal_of_writing(annex + kShape.shared + kShape.guard) == SIGSEGV);
    CHECK(signal_of_writing(annex + kShape.shared + kShape.guard + 4095) == SIGSEGV);
#endif
  }
  pool.give(stack);
}

TEST_CASE("places with annexes take a mapping a slab, and their page tables go with the slab") {
  StackPool pool(64 * 1024, 16, 4, kShape);
  std::vector<StackBounds> stacks;
  for (int i = 0; i < 100; ++i) {
    stacks.push_back(pool.take());
    CHECK(reinterpret_cast<uintptr_t>(stacks.back().low - 4096) % (2 << 20) == 0);
  }
  CHECK(pool.in_use() == 100);
  CHECK(pool.mappings() <= 7 + 2 * 4);
  if (pool.light_guards()) CHECK(pool.mappings() == 7);
  for (StackBounds s : stacks) pool.give(s);
  CHECK(pool.in_use() == 0);
  CHECK(pool.mappings() <= 2 + 2 * 4);
  if (pool.light_guards()) CHECK(pool.mappings() <= 2);
}

#if !defined(__has_feature) || !(__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))

TEST_CASE("where address space is short, slabs are small, and stacks do without annexes") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    rlimit limit;
    unsigned long pages = 0;
    FILE* statm = std::fopen("/proc/self/statm", "r");
    if (statm == nullptr || std::fscanf(statm, "%lu", &pages) != 1) _exit(2);
    std::fclose(statm);
    limit.rlim_cur = limit.rlim_max = pages * 4096 + (64ul << 20);
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(3);
    StackPool pool(64 * 1024, 64, 8192, {.shared = 1024, .size = 16 << 20, .guard = 64 * 1024});
    std::vector<StackBounds> stacks;
    size_t annexes = 0;
    for (int i = 0; i < 100; ++i) {
      stacks.push_back(pool.take());
      annexes += pool.has_annex(stacks.back());
      stacks.back().low[0] = stacks.back().high[-1] = std::byte{1};
    }
    if (annexes == 0 || annexes == 100) _exit(4);
    for (StackBounds s : stacks) pool.give(s);
    _exit(pool.in_use() == 0 ? 0 : 5);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("where all memory is locked, stacks are committed as they are used all the same") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (mlockall(MCL_FUTURE) != 0) _exit(77);
    StackPool pool(64 * 1024, 64, 8192, kShape);
    const StackBounds stack = pool.take();
    stack.low[0] = stack.high[-1] = std::byte{1};
    unsigned long all = 0, resident = 0;
    FILE* statm = std::fopen("/proc/self/statm", "r");
    if (statm == nullptr || std::fscanf(statm, "%lu %lu", &all, &resident) != 2) _exit(2);
    pool.give(stack);
    _exit(resident * 4096 < (64ul << 20) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    std::printf("skipped: locked memory: this process may not lock it\n");
  } else {
    CHECK(WEXITSTATUS(status) == 0);
  }
}

#endif
