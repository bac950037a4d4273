// Two threads in one store at a time are the embedder's mistake. Calls are refused by whoever enters guests (interp/invoke.cpp); this
// is for the rest that changes a store: growth and writes from the host, making things, dropping it.
//
// What every build sees is that a guest of the store runs on another thread: a load and a compare. Builds with assertions also mark
// a store while the host changes it, so two threads that both do that are told, and a call meanwhile is.
//
// Threads: any; that is the point.
#pragma once

#include <cstdint>
#include <optional>

#include "vmrun/base/trap.h"

namespace vmrun::vm {

class Store;

/// Why the calling thread may not use the store now: another one does. Kind: Usage.
std::optional<Error> other_user(const Store& store);

/// The calling thread changes the store while this lives, unless refused() says why not. Nests on a thread.
class StoreUse {
 public:
  explicit StoreUse(Store& store);
  ~StoreUse();
  StoreUse(const StoreUse&) = delete;
  StoreUse& operator=(const StoreUse&) = delete;
  const std::optional<Error>& refused() const { return refused_; }

 private:
  [[maybe_unused]] Store* marked_ = nullptr;
  std::optional<Error> refused_;
};

}  // namespace vmrun::vm
