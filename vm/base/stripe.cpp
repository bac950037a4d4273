// Which stripe a thread has.
#include "vm/base/stripe.h"

namespace vmrun::vm {
namespace {

constinit std::atomic<unsigned> threads{0};
/// One more than the stripe; 0: not given yet.
[[gnu::tls_model("initial-exec")]] constinit thread_local unsigned mine = 0;

}  // namespace

size_t stripe() noexcept {
  if (mine == 0) [[unlikely]]
    mine = threads.fetch_add(1, std::memory_order_relaxed) % kStripes + 1;
  return mine - 1;
}

}  // namespace vmrun::vm
