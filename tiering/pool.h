// The compile threads: an arena of TBB whose slots are all kept for them, so that no worker that TBB lends to others is
// ever given a lower priority (an unprivileged thread could not go back).
//
// libtbb takes 0.6 ms to load (0.55 ms for an empty process, 1.15 with it linked), which a start must not pay. So the
// few lines that need it are a plug-in of their own, loaded by the first compile thread. Without the plug-in compiles
// run on the threads directly.
#pragma once

#include <cstddef>

namespace vmrun::tiering {

/// What the plug-in exports, as `vmrun_pool`.
struct PoolPlugin {
  /// An arena with `threads` slots, all reserved for threads that call `serve`.
  void* (*create)(unsigned threads);
  /// Runs `body(env)` inside the arena on the calling thread.
  void (*serve)(void* arena, void (*body)(void*), void* env);
  /// Runs `task(env)` as a task of the arena, with the tasks that it spawns, and waits for it. Inside `serve` only.
  void (*run)(void (*task)(void*), void* env);
  void (*destroy)(void* arena);
};

inline constexpr const char* kPoolPluginFile = "vmrun-pool.so";
inline constexpr const char* kPoolPluginSymbol = "vmrun_pool";

}  // namespace vmrun::tiering
