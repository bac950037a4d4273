// Tasks without WebAssembly: ten thousand of them wait at the same time, on two threads.
//
// Numbers go through a channel to workers that look for primes among them. A wait group tells when all have been looked
// at, a token cancels what waits for nothing any more.
#include <atomic>
#include <chrono>
#include <cstdio>

#include "vmrun/executor.h"

namespace {

using namespace std::chrono_literals;

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

bool is_prime(uint64_t n) {
  for (uint64_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return n > 1;
}

}  // namespace

int main() {
  vmrun::ExecutorConfig config;
  config.workers = 2;
  auto executor = vmrun::Executor::create(config);
  if (!executor) return fail(executor.error());

  constexpr uint64_t kNumbers = 20'000;
  vmrun::Channel<uint64_t> numbers(64);
  vmrun::WaitGroup looked_at;
  std::atomic<uint64_t> primes{0};
  looked_at.add(kNumbers);

  // Ten thousand workers: most of them wait most of the time, which takes a stack each and no thread.
  for (int worker = 0; worker < 10'000; ++worker) {
    auto task = executor->spawn([&] {
      while (auto n = numbers.receive()) {
        if (is_prime(*n)) ++primes;
        looked_at.done();
      }
    });
    if (!task) return fail(task.error());
  }

  // A deadline, and a token for many tasks at once: these come out of their waits without what they wait for.
  vmrun::Event never;
  vmrun::TaskOptions impatient;
  impatient.timeout = 10ms;
  impatient.name = "impatient";
  auto late = executor->spawn([&] { never.wait(); }, impatient);
  vmrun::TaskOptions together;
  together.cancel = vmrun::CancelToken::create();
  auto idle = executor->spawn([&] { never.wait(); }, together);
  if (!late || !idle) return fail(late ? idle.error() : late.error());

  for (uint64_t n = 0; n < kNumbers; ++n)
    numbers.send(n);  // a thread may send, too; it is held while the buffer is full
  looked_at.wait();
  numbers.close();
  together.cancel.cancel();
  late->join();
  idle->join();
  executor->wait_idle();

  std::printf("%llu of the first %llu numbers are prime\n", static_cast<unsigned long long>(primes),
              static_cast<unsigned long long>(kNumbers));
  return primes == 2262 ? 0 : 1;
}
