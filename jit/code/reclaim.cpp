// Walks for retired code: see reclaim.h.
#include "jit/code/reclaim.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "jit/code/code.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vm/runtime/vcpus.h"

namespace vmrun::jit {
namespace {

/// The stub of a stop leaves the registers of stopped code here, beneath its stack pointer (jit/stop/preempt_x86_64.cpp).
constexpr size_t kSavedRegisters = 32 * sizeof(void*);

std::mutex lock;
// With the lock:
bool walking = false;
uint64_t walk_number = 0;
uint64_t retirements = 0;  // that the walk under way speaks for
std::vector<const CodeObject*> standing;

/// An address may be left from code of a module that is going away now, whose objects nobody may look into.
void add(const void* pc) {
  if (const CodeObject* object = CodeSpace::get().owner(pc)) standing.push_back(object);
}

/// Any word may be a pointer to code that has been loaded and not yet used.
__attribute__((no_sanitize("address", "thread"))) void search(const std::byte* low, const std::byte* high) {
  for (; low + sizeof(void*) <= high; low += sizeof(void*)) add(*reinterpret_cast<void* const*>(low));
}

/// Adds what a vCPU that stands still stands in.
void walk(const vm::Vcpu& cx) {
  std::vector<const void*> pcs;
  vm::machine_pcs(cx, pcs);
  for (const void* pc : pcs) add(pc);
  for (const vm::Activation* a = cx.activation; a != nullptr; a = a->previous) {
    if (a->kind != vm::Activation::Kind::machine || a->sp == nullptr) continue;
    const auto* low = static_cast<const std::byte*>(a->sp);
    if (low >= a->entry_fp) continue;
    search(a->exact ? low - kSavedRegisters : low, a->entry_fp);
  }
}

/// A guest's answer to Request::report.
void report(vm::Vcpu& cx) {
  if (cx.store == nullptr) return;
  std::lock_guard guard(lock);
  vm::VcpuEntry& entry = cx.store->vcpu_entry();
  if (!walking || entry.walked == walk_number) return;
  walk(cx);
  entry.walked = walk_number;
}

/// Does a vCPU's part of the walk if it can be done now; else counts it.
void visit(void* missing, vm::VcpuEntry& entry) {
  if (entry.walked == walk_number) return;
  vm::Vcpu& cx = entry.cx;
  if (std::atomic_ref(cx.activation).load(std::memory_order_acquire) == nullptr) {
    entry.walked = walk_number;
    return;
  }
  if (vm::StillVcpu still(cx); still) {
    walk(cx);
    entry.walked = walk_number;
    return;
  }
  ++*static_cast<size_t*>(missing);
  if ((cx.requests.load(std::memory_order_relaxed) & static_cast<uint8_t>(vm::Request::report)) == 0) {
    vm::ask(cx, vm::Request::report);
  }
}

}  // namespace

size_t reclaim_code() {
  if (CodeSpace::existing() == nullptr) return 0;
  CodeSpace& space = CodeSpace::get();
  std::lock_guard guard(lock);
  if (!walking) {
    retirements = space.retirements();
    if (space.retired_objects() == 0) return 0;
    vm::set_request_server(vm::Request::report, report);
    walking = true;
    ++walk_number;
    standing.clear();
    vm::fence_all_threads();
  }
  size_t missing = 0;
  vm::for_each_vcpu(visit, &missing);
  if (missing != 0) return 0;
  walking = false;
  return space.reclaim(retirements, standing);
}

}  // namespace vmrun::jit
