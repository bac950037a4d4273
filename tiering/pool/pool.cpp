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

/// Calls `body` by `inside`. TBB takes its memory at first use: where there is none, `body` is called outside of it.
template <class Inside>
void call_inside(Inside inside, void (*body)(void*), void* env) {
  bool began = false;
  try {
    inside([&] {
      began = true;
      body(env);
    });
    return;
  } catch (const std::bad_alloc&) {
    if (began) throw;
  }
  body(env);
}

void serve(void* arena, void (*body)(void*), void* env) {
  if (arena == nullptr) return body(env);
  call_inside([=](auto call) { static_cast<tbb::task_arena*>(arena)->execute(call); }, body, env);
}

void run(void (*task)(void*), void* env) {
  call_inside(
      [](auto call) {
        tbb::task_group group;
        group.run_and_wait(call);
      },
      task, env);
}

void destroy(void* arena) { delete static_cast<tbb::task_arena*>(arena); }

}  // namespace

extern "C" __attribute__((visibility("default")))
const vmrun::tiering::PoolPlugin vmrun_pool = {&create, &serve, &run, &destroy};
