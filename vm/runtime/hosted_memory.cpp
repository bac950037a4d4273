// What the embedder's hooks give is looked at before a guest gets it; see hosted_memory.h.
#include "vm/runtime/hosted_memory.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <new>
#include <string>

#include "vm/base/log.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/probe.h"

namespace vmrun::vm {
namespace {

#ifdef VMRUN_ASSERTIONS
constexpr bool kLooksAtAll = true;
#else
constexpr bool kLooksAtAll = false;
#endif
constexpr uint64_t kHookPage = HostMemory::kAlignment;
constexpr uint64_t kMostOf32 = 4ull << 30;
constexpr uint64_t kAddresses = 1ull << 47;

uint64_t whole_pages(uint64_t bytes) { return (bytes + kHookPage - 1) & ~(kHookPage - 1); }

/// Made at the first message: a static object would read VMRUN_LOG before the program has looked at it.
const Log& hook_log() {
  static const Log log("memory");
  return log;
}

/// What the exception that is being handled says.
std::string what_is_thrown() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "something that is no std::exception";
  }
}

/// What is wrong with the base and the capacity; null: nothing.
const char* wrong_shape(const HostMemory& memory, const MemoryRequest& request) {
  const auto at = reinterpret_cast<uintptr_t>(memory.base);
  if (at == 0) return "it is nowhere (a null base)";
  if (at % kHookPage != 0) return "its base is no multiple of 4096";
  if (memory.capacity < request.bytes) return "its capacity is less than the size that was wanted";
  const uint64_t extent = std::max(std::min(memory.capacity, kAddresses), request.reservation);
  if (at >= kAddresses || extent > kAddresses - at) return "it would end beyond all addresses";
  return nullptr;
}

/// What is wrong with the bytes [from, to), which are to be accessible now; null: nothing.
const char* wrong_bytes(const std::byte* base, uint64_t from, uint64_t to) {
  if (from == to) return nullptr;
  // Eight bytes are asked about: those that end with the last one, or its page's last.
  const std::byte* const last = base + std::max<uint64_t>(to, 8) - 8;
  if (!is_readable(base + (from & ~uint64_t{7})) || !is_readable(last)) return "some of its bytes cannot be read";
  if (kLooksAtAll && std::any_of(base + from, base + to, [](std::byte b) { return b != std::byte{0}; })) {
    return "some of its bytes are not zero";
  }
  return nullptr;
}

/// What is wrong with the guards of a memory of so many accessible bytes; null: nothing.
const char* wrong_guards(const std::byte* base, uint64_t bytes) {
  const uint64_t accessible = whole_pages(bytes);
  const std::byte* const beyond = base + accessible;
  const uint64_t guard = kFaultReservation - accessible;
  if (!is_mapped(beyond, guard)) return "not all of the address space for its guards is reserved";
  if (is_readable(beyond) || is_readable(base + kFaultReservation - 8) ||
      (kLooksAtAll && !is_all_inaccessible(beyond, guard))) {
    return "the bytes behind it can be read, which were to be guards";
  }
  return nullptr;
}

}  // namespace

bool HostedMemories::claim(const std::byte* base, uint64_t bytes) {
  const std::byte* const end = base + std::max<uint64_t>(bytes, 1);
  std::lock_guard hold(lock_);
  const auto after = claims_.lower_bound(base);
  if (after != claims_.end() && after->first < end) return false;
  if (after != claims_.begin() && std::prev(after)->second > base) return false;
  claims_.emplace_hint(after, base, end);
  return true;
}

void HostedMemories::unclaim(const std::byte* base) {
  std::lock_guard hold(lock_);
  claims_.erase(base);
}

Result<HostMemory> HostedMemories::call_create(const MemoryRequest& request) {
  if (!hooks_.create) return Error(ErrorKind::Usage, "MemoryHooks::create is empty: nothing makes memories");
  try {
    return hooks_.create(request);
  } catch (...) {
    return Error(ErrorKind::Host, "the embedder's hook for memories threw: " + what_is_thrown());
  }
}

void HostedMemories::call_release(const HostMemory& memory) noexcept try {
  if (hooks_.release) hooks_.release(memory);
} catch (...) {
  VMRUN_LOG_AT(hook_log(), error, "the embedder's hook that releases memories threw: what it did not do stays undone");
}

Result<MemoryMapping> HostedMemories::acquire(const MemoryType& type, uint64_t bytes, uint64_t max_bytes) {
  MemoryRequest request{.bytes = bytes, .max_bytes = max_bytes, .shared = type.shared};
  const bool guarded = memory_is_guarded(type, !guards());
  if (guarded) request.reservation = kFaultReservation;
  Result<HostMemory> given = call_create(request);
  if (!given) {
    VMRUN_LOG_AT(hook_log(), info, "no memory of {} bytes from the embedder's hook", bytes);
    return std::move(given).error();
  }
  const HostMemory& memory = *given;

  const char* wrong = wrong_shape(memory, request);
  bool claimed = false;
  uint64_t capacity = std::min(memory.capacity, std::max(max_bytes, bytes));
  if (guarded) capacity = std::min(capacity, kMostOf32);
  // Without growth all of it is accessible, and so it is all looked at now.
  const uint64_t accessible = hooks_.grow ? bytes : capacity;
  if (wrong == nullptr) {
    try {
      claimed = claim(memory.base, guarded ? kFaultReservation : capacity);
    } catch (const std::bad_alloc&) {
      call_release(memory);
      throw;
    }
    if (!claimed) wrong = "another memory has some of its bytes";
  }
  if (wrong == nullptr && accessible != 0 && !is_writable(memory.base)) wrong = "its bytes cannot be written";
  if (wrong == nullptr) wrong = wrong_bytes(memory.base, 0, accessible);
  if (wrong == nullptr && guarded) wrong = wrong_guards(memory.base, accessible);
  if (wrong == nullptr && guarded && !fault_claim_reservation(memory.base)) {
    wrong = "another memory has some of its address space";
  }
  if (wrong != nullptr) {
    if (claimed) unclaim(memory.base);
    VMRUN_LOG_AT(hook_log(), error, "a memory of {} bytes from the embedder's hook is refused: {}", bytes, wrong);
    call_release(memory);
    return Error(ErrorKind::Host, std::string("the embedder's hook gave a memory that is of no use: ") + wrong);
  }
  return MemoryMapping{.base = memory.base,
                       .reserved = capacity,
                       .accessible = accessible,
                       .guarded = guarded,
                       .hosted = true,
                       .given = memory.capacity,
                       .handle = memory.handle};
}

bool HostedMemories::grow(MemoryMapping& mapping, uint64_t bytes) noexcept try {
  const uint64_t from = mapping.accessible;
  if (!hooks_.grow || !hooks_.grow({mapping.base, mapping.given, mapping.handle}, from, bytes)) return false;
  const char* wrong = wrong_bytes(mapping.base, from, bytes);
  if (wrong == nullptr && mapping.guarded) wrong = wrong_guards(mapping.base, bytes);
  if (wrong != nullptr) {
    VMRUN_LOG_AT(hook_log(), error, "growth to {} bytes by the embedder's hook is refused: {}", bytes, wrong);
    return false;
  }
  mapping.accessible = bytes;
  return true;
} catch (...) {
  VMRUN_LOG_AT(hook_log(), error, "the embedder's hook that grows memories threw: the memory stays as it is");
  return false;
}

void HostedMemories::release(const MemoryMapping& mapping) noexcept {
  if (mapping.guarded) fault_remove_reservation(mapping.base);
  unclaim(mapping.base);
  call_release({mapping.base, mapping.given, mapping.handle});
}

}  // namespace vmrun::vm
