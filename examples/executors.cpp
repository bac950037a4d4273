// Executors over one block cache: the same blocks interpreted, compiled at once, and left to heat, with what that took. The
// module is
//
//   (module
//     (import "env" "more" (func $more))
//     (func $count (export "count") (param $n i32) (result i32) ...)   counts to n
//     ...)
#include "vmrun/executors.h"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

namespace {

const std::vector<uint8_t> kImage = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0d, 0x03, 0x60, 0x00, 0x00, 0x60, 0x01, 0x7f,
    0x01, 0x7f, 0x60, 0x00, 0x01, 0x7f, 0x02, 0x0c, 0x01, 0x03, 0x65, 0x6e, 0x76, 0x04, 0x6d, 0x6f, 0x72,
    0x65, 0x00, 0x00, 0x03, 0x03, 0x02, 0x01, 0x02, 0x07, 0x13, 0x02, 0x05, 0x63, 0x6f, 0x75, 0x6e, 0x74,
    0x00, 0x01, 0x07, 0x70, 0x61, 0x74, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x02, 0x0a, 0x23, 0x02, 0x17, 0x01,
    0x01, 0x7f, 0x03, 0x40, 0x20, 0x01, 0x41, 0x01, 0x6a, 0x21, 0x01, 0x20, 0x01, 0x20, 0x00, 0x49, 0x0d,
    0x00, 0x0b, 0x20, 0x01, 0x0b, 0x09, 0x00, 0x10, 0x00, 0x41, 0xe8, 0x07, 0x10, 0x01, 0x0b};

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

vmrun::Result<void> define(vmrun::Linker& linker) {
  return linker.func_wrap("env", "more", [] {});
}

void print(const char* name, const vmrun::ExecutionStats& stats) {
  const auto microseconds = [](std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1000; };
  std::printf(
      "%-12s %3llu runs, %3llu hits, %llu compiles in %.0f us; interpreted %.0f us, baseline %.0f us, optimised %.0f "
      "us\n",
      name, static_cast<unsigned long long>(stats.runs()), static_cast<unsigned long long>(stats.hits),
      static_cast<unsigned long long>(stats.compiles), microseconds(stats.compile_time),
      microseconds(stats.by_tier[0].time), microseconds(stats.by_tier[1].time), microseconds(stats.by_tier[2].time));
}

}  // namespace

int main() {
  auto cache = vmrun::BlockCache::create(kImage, "counting");
  if (!cache) return fail(cache.error());
  for (vmrun::BlockId block = cache->first(); block < cache->end(); ++block) {
    const vmrun::BlockInfo info = cache->info(block).value();
    std::printf("block %u: %s, %llu bytes\n", info.id, info.name.c_str(), static_cast<unsigned long long>(info.size));
  }

  auto interpreter = vmrun::InterpreterExecutor::create(*cache, define);
  if (!interpreter) return fail(interpreter.error());
  auto jit = vmrun::JitExecutor::create(*cache, define);  // baseline code; Tier::Opt makes optimised code
  if (!jit) return fail(jit.error());
  auto hybrid = vmrun::HybridExecutor::create(*cache, define);
  if (!hybrid) return fail(hybrid.error());

  // One block, by name.
  bool right = true;
  vmrun::BlockExecutor* const executors[] = {interpreter->get(), jit->get(), hybrid->get()};
  for (vmrun::BlockExecutor* executor : executors) {
    auto counted = executor->run("count", {vmrun::Val::i32(1000)});
    if (!counted) return fail(counted.error());
    right &= (*counted)[0].as_i32() == 1000;
  }
  // A batch, by id.
  std::vector<vmrun::BlockCall> batch(100, {*cache->find("count"), {vmrun::Val::i32(1000)}});
  for (vmrun::BlockExecutor* executor : executors) {
    for (const auto& counted : executor->run_batch(batch)) right &= counted && (*counted)[0].as_i32() == 1000;
  }
  print("interpreter", (*interpreter)->stats());
  print("jit", (*jit)->stats());
  print("hybrid", (*hybrid)->stats());
  right &= (*interpreter)->stats().by_tier[0].runs == 101 && (*jit)->stats().by_tier[0].runs == 0;
  right &= (*jit)->stats().compiles == 1 && (*jit)->stats().hits == 100;
  return right ? 0 : 1;
}
