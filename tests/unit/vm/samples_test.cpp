// The tree of sampled stacks: what is added is counted once, whoever adds it, and never takes more room than there is.
#include "vm/runtime/samples.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

namespace vmrun::vm {
namespace {

SampledFrame frame(uint32_t func, uint32_t offset = 0) { return {9, func, offset, SampleCode::baseline}; }

uint64_t sum(const SampleSnapshot& snapshot) {
  uint64_t samples = 0;
  for (const auto& node : snapshot.nodes) samples += node.samples;
  return samples;
}

TEST_CASE("samples: stacks share what they have in common, from the outside") {
  Samples samples(1 << 10, 16);
  REQUIRE(samples.exists());
  const SampledFrame a[] = {frame(3), frame(2), frame(1)}, b[] = {frame(4), frame(2), frame(1)};
  samples.add(a, false, 10, 1, 7);
  samples.add(b, false, 20, 2, 7);
  samples.add(a, false, 30, 3, 8);
  const SampleSnapshot out = samples.take();
  REQUIRE(out.nodes.size() == 5);
  CHECK(out.nodes[1].frame == frame(1));
  CHECK(out.nodes[2].frame == frame(2));
  CHECK(out.nodes[2].parent == 1);
  CHECK(out.nodes[3].frame == frame(3));
  CHECK(out.nodes[3].parent == 2);
  CHECK(out.nodes[3].samples == 2);
  CHECK(out.nodes[3].nanoseconds == 40);
  CHECK(out.nodes[4].frame == frame(4));
  CHECK(out.nodes[4].samples == 1);
  REQUIRE(out.ticks.size() == 3);
  CHECK(out.ticks[0].node == 3);
  CHECK(out.ticks[1].node == 4);
  CHECK(out.ticks[2].thread == 8);
  CHECK(out.ticks[2].nanoseconds == 30);
}

TEST_CASE("samples: a function is another in another tier and at another place") {
  Samples samples(1 << 10, 16);
  SampledFrame one = frame(1, 10), two = frame(1, 11), three = one;
  three.code = SampleCode::opt;
  for (const SampledFrame* f : {&one, &two, &three}) samples.add({f, 1}, false, 1, 1, 1);
  CHECK(samples.take().nodes.size() == 4);
}

TEST_CASE("samples: without room the stack above counts, and nothing is lost") {
  Samples samples(16, 4);
  for (uint32_t i = 0; i < 1000; ++i) {
    const SampledFrame stack[] = {frame(i + 2), frame(1)};
    samples.add(stack, false, 1, i, 1);
  }
  const SampleSnapshot out = samples.take();
  CHECK(out.nodes.size() <= 16);
  CHECK(sum(out) == 1000);
  CHECK(out.cut > 900);
  CHECK(out.ticks.size() == 4);
  CHECK(out.late_ticks == 996);
}

TEST_CASE("samples: frames that were left out stand at the outer end") {
  Samples samples(64, 4);
  const SampledFrame stack[] = {frame(2), frame(1)};
  samples.add(stack, true, 1, 1, 1);
  const SampleSnapshot out = samples.take();
  REQUIRE(out.nodes.size() == 4);
  CHECK(out.nodes[1].frame.code == SampleCode::cut);
  CHECK(out.nodes[2].frame == frame(1));
}

TEST_CASE("samples: nothing is left after a reset") {
  Samples samples(64, 4);
  const SampledFrame one = frame(1);
  samples.add({&one, 1}, false, 1, 1, 1);
  samples.reset();
  SampleSnapshot out = samples.take();
  CHECK(out.nodes.size() == 1);
  CHECK(out.ticks.empty());
  samples.add({&one, 1}, false, 1, 1, 1);
  CHECK(sum(samples.take()) == 1);
}

TEST_CASE("samples: threads add at once, and twins are one in the end") {
  for (unsigned count : {1u, 2u, 8u}) {
    Samples samples(1 << 12, 1 << 16);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < count; ++t) {
      threads.emplace_back([&samples, t] {
        for (uint32_t i = 0; i < 2000; ++i) {
          const SampledFrame stack[] = {frame(i % 50 + 100), frame(i % 10 + 10), frame(1)};
          samples.add(stack, false, 2, i, t);
        }
      });
    }
    for (int i = 0; i < 20; ++i) {
      const SampleSnapshot during = samples.take();
      for (uint32_t n = 1; n < during.nodes.size(); ++n) CHECK(during.nodes[n].parent < n);
    }
    for (auto& thread : threads) thread.join();
    const SampleSnapshot out = samples.take();
    CHECK(out.nodes.size() == 1 + 1 + 10 + 50);
    CHECK(sum(out) == 2000 * count);
    CHECK(out.cut == 0);
    CHECK(out.ticks.size() == 2000 * count);
  }
}

}  // namespace
}  // namespace vmrun::vm
