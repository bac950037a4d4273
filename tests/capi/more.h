// An instance of capi_more, for several subjects.
#ifndef VMRUN_TESTS_CAPI_MORE_H
#define VMRUN_TESTS_CAPI_MORE_H

#include "common.h"

typedef struct more_t {
  world_t world;
  vmrun_tag_t* fail;
  wasm_instance_t* instance;
} more_t;

/// Callbacks for `throw` and `wait`; `env` is theirs.
more_t new_more(world_t world, vmrun_callback_t throws, vmrun_callback_t waits, void* env);
/// Its world is left.
void end_more(more_t more);

#endif
