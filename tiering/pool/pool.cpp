// The plug-in behind tiering/pool.h: what of TBB the compile threads use.
#include "tiering/pool.h"

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

namespace {

void* create(unsigned threads) {
  const int slots = static_cast<int>(threads);
  return new tbb::task_arena(slots, threads);
}

void serve(void* arena, void (*body)(void*), void* env) {
  static_cast<tbb::task_arena*>(arena)->execute([=] { body(env); });
}

void run(void (*task)(void*), void* env) {
  tbb::task_group group;
  group.run_and_wait([=] { task(env); });
}

void destroy(void* arena) { delete static_cast<tbb::task_arena*>(arena); }

}  // namespace

extern "C" __attribute__((visibility("default")))
const vmrun::tiering::PoolPlugin vmrun_pool = {&create, &serve, &run, &destroy};
