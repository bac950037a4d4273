// Ends of tasks for somebody else's event loop, by an eventfd: see vmrun/completions.h.
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "engine/completions.h"
#include "vm/base/assert.h"

namespace vmrun {

Completions::Completions(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Completions::~Completions() = default;
Completions::Completions(Completions&&) noexcept = default;
Completions& Completions::operator=(Completions&&) noexcept = default;

Result<Completions> Completions::create() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return Error(ErrorKind::Io, std::string("no descriptor for completions: ") + std::strerror(errno));
  try {
    return Completions(std::make_unique<Impl>(fd));
  } catch (const std::bad_alloc&) {
    ::close(fd);
    return Error(ErrorKind::Limit, "no memory for completions");
  }
}

int Completions::descriptor() const { return impl_->event; }

std::vector<uint64_t> Completions::take() {
  std::lock_guard guard(impl_->lock);
  if (impl_->ended.empty()) return {};
  std::vector<uint64_t> tokens;
  tokens.reserve(impl_->expected);  // for those that are still to come; nothing has changed yet if this throws
  uint64_t count;
  // Cannot fail: the count is not 0, and only this function reads it.
  const ssize_t got = ::read(impl_->event, &count, sizeof count);
  VMRUN_ASSERT(got == sizeof count, "an eventfd with a count");
  (void)got;
  tokens.swap(impl_->ended);
  return tokens;
}

size_t Completions::take(std::span<uint64_t> tokens) {
  std::lock_guard guard(impl_->lock);
  std::vector<uint64_t>& ended = impl_->ended;
  const size_t taken = std::min(tokens.size(), ended.size());
  if (taken == 0) return 0;
  std::copy_n(ended.begin(), taken, tokens.begin());
  ended.erase(ended.begin(), ended.begin() + static_cast<ptrdiff_t>(taken));  // its room stays, for those to come
  if (ended.empty()) {
    uint64_t count;
    const ssize_t got = ::read(impl_->event, &count, sizeof count);
    VMRUN_ASSERT(got == sizeof count, "an eventfd with a count");
    (void)got;
  }
  return taken;
}

Completions::Impl::~Impl() { ::close(event); }

void Completions::Impl::expect() {
  std::lock_guard guard(lock);
  if (ended.capacity() < ended.size() + expected + 1) ended.reserve(2 * (ended.size() + expected + 1));
  ++expected;
}

void Completions::Impl::give_up() {
  std::lock_guard guard(lock);
  --expected;
}

void Completions::Impl::push(uint64_t token) noexcept {
  std::lock_guard guard(lock);
  --expected;
  ended.push_back(token);  // there is room: expect()
  if (ended.size() > 1) return;
  const uint64_t one = 1;
  // Cannot fail: the count is 0 when there were no tokens.
  const ssize_t put = ::write(event, &one, sizeof one);
  VMRUN_ASSERT(put == sizeof one, "an eventfd without a count");
  (void)put;
}

}  // namespace vmrun
