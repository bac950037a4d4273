// The plug-in behind tiering/pool.h: what of TBB the compile threads use.
#include "tiering/pool.h"

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <new>

namespace {

void* create(unsigned threads) {
  const int slots = static_cast<int>(threads);
  return new (std::nothrow) tbb::task_arena(slots, threads);
}

// TBB takes its memory at first use. Without it, a compile thread works all the same, outside of the arena.
void serve(void* arena, void (*body)(void*), void* env) {
  bool began = false;
  try {
    if (arena != nullptr) {
      static_cast<tbb::task_arena*>(arena)->execute([&] {
        began = true;
        body(env);
      });
      return;
    }
  } catch (const std::bad_alloc&) {
    if (began) throw;
  }
  body(env);
}

void run(void (*task)(void*), void* env) {
  bool began = false;
  try {
    tbb::task_group group;
    group.run_and_wait([&] {
      began = true;
      task(env);
    });
    return;
  } catch (const std::bad_alloc&) {
    if (began) throw;
  }
  task(env);
}

void destroy(void* arena) { delete static_cast<tbb::task_arena*>(arena); }

}  // namespace

extern "C" __attribute__((visibility("default")))
const vmrun::tiering::PoolPlugin vmrun_pool = {&create, &serve, &run, &destroy};
