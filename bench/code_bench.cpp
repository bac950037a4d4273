// Code memory of many modules: what a thousand of them keep resident, and what making and dropping one takes.
//
//   bench_code
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "jit/code/code.h"

namespace {

using namespace vmrun::jit;

constexpr size_t kRange = size_t{256} << 20, kPage = 4096;
constexpr size_t kModules = 1000;

size_t resident_bytes(const CodeSpace& space) {
  std::vector<unsigned char> pages(kRange / kPage);
  mincore(const_cast<std::byte*>(space.range().data()), kRange, pages.data());
  return kPage * static_cast<size_t>(std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return p & 1; }));
}

void fill(CodeSpace& space, CodeArena& arena, size_t functions, size_t bytes) {
  for (size_t i = 0; i < functions; ++i) {
    const CodeSpace::Block block = space.allocate(bytes, CodeSpace::Use::function, &arena);
    auto object = std::make_unique<CodeObject>();
    object->size = static_cast<uint32_t>(bytes);
    space.publish(std::move(object), block);
  }
}

/// Arguments: functions of a module, bytes of code of each, and whether modules share their memory.
void many_modules(benchmark::State& state) {
  const auto functions = static_cast<size_t>(state.range(0)), bytes = static_cast<size_t>(state.range(1));
  CodeSpace space(kRange);
  std::vector<std::unique_ptr<CodeArena>> arenas;
  for (size_t i = 0; i < kModules; ++i) {
    arenas.push_back(std::make_unique<CodeArena>(state.range(2) != 0));
    fill(space, *arenas.back(), functions, bytes);
  }
  state.counters["live"] = static_cast<double>(space.live_bytes() / kModules);
  state.counters["resident"] = static_cast<double>(resident_bytes(space) / kModules);
  // Every second one goes.
  for (size_t i = 0; i < kModules; i += 2) space.drop(*arenas[i]);
  state.counters["resident_after"] = static_cast<double>(resident_bytes(space) / (kModules / 2));
  for (auto _ : state) {
    fill(space, *arenas[0], functions, bytes);
    space.drop(*arenas[0]);
  }
  for (const auto& arena : arenas) space.drop(*arena);
}
BENCHMARK(many_modules)
    ->ArgNames({"functions", "bytes", "shared"})
    ->ArgsProduct({{3}, {300}, {0, 1}})
    ->ArgsProduct({{20}, {500}, {0, 1}})
    ->ArgsProduct({{100}, {1000}, {0, 1}});

}  // namespace
