// The order between threads of what cells are and who reads them.
//
// Handlers find code by a function's entry, and need no more order than that all they read depends on what they found.
// The runtime reads the same cells and what they lead to by its own ways: it says so first.
#pragma once

#include <atomic>
#include <cstdint>

namespace vmrun::interp {

inline constinit std::atomic<uint32_t> published_cells{0};

/// After cells are made, before anybody can find them.
inline void publish_cells() { published_cells.fetch_add(1, std::memory_order_release); }
/// Before the runtime reads cells that a frame or a handler has led to. Any thread; one load.
inline void acquire_cells() { (void)published_cells.load(std::memory_order_acquire); }

}  // namespace vmrun::interp
