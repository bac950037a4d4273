// Traps: of a callback, of a guest; their messages and frames.
#include "common.h"

static int info_finalized;
static void finish(void* info) {
  CHECK(info == &info_finalized);
  ++info_finalized;
}

static wasm_trap_t* fail(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)args, (void)results;
  wasm_message_t message;
  wasm_name_new_from_string_nt(&message, "the host has failed");
  wasm_trap_t* const trap = wasm_trap_new((wasm_store_t*)env, &message);
  wasm_byte_vec_delete(&message);
  wasm_trap_set_host_info_with_finalizer(trap, &info_finalized, finish);
  return trap;
}

/// The index of a function that is exported.
static uint32_t index_of(const char* name) {
  return strcmp(name, "callback") == 0 ? 2 : strcmp(name, "unreachable") == 0 ? 3 : 4;
}

static wasm_trap_t* trap_of(const wasm_instance_t* instance, const char* name, size_t count) {
  wasm_func_t* const func = get_func(instance, name);
  wasm_val_t in[2] = {WASM_I32_VAL(1), WASM_I32_VAL(0)}, out[1] = {WASM_INIT_VAL};
  const wasm_val_vec_t args = {count, in};
  wasm_val_vec_t results = WASM_ARRAY_VEC(out);
  wasm_trap_t* const trap = wasm_func_call(func, &args, &results);
  CHECK(out[0].kind == WASM_EXTERNREF && out[0].of.ref == NULL);  // untouched
  wasm_func_delete(func);
  return trap;
}

static void check_in(vmrun_tiers_t tiers) {
  wasm_config_t* const config = wasm_config_new();
  vmrun_config_set_tiers(config, tiers);
  world_t world;
  world.engine = wasm_engine_new_with_config(config);
  world.store = wasm_store_new(world.engine);
  wasm_module_t* const module = load(world.store, "capi_trap");
  wasm_functype_t* const type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasm_func_t* const host = wasm_func_new_with_env(world.store, type, fail, world.store, NULL);
  wasm_functype_delete(type);
  wasm_extern_t* imports[] = {wasm_func_as_extern(host)};
  wasm_instance_t* const instance = instantiate(world.store, module, imports, 1);
  wasm_func_delete(host);

  // A callback's comes out as it is, with the frames that there were.
  info_finalized = 0;
  wasm_trap_t* trap = trap_of(instance, "callback", 0);
  NEED(trap != NULL);
  CHECK(wasm_trap_get_host_info(trap) == &info_finalized);
  CHECK(vmrun_trap_kind(trap) == VMRUN_ERROR_HOST && vmrun_trap_code(trap) == VMRUN_TRAP_NONE);
  wasm_frame_vec_t trace;
  wasm_trap_trace(trap, &trace);
  CHECK(trace.size == 2);
  wasm_frame_t* const origin = wasm_trap_origin(trap);
  NEED(origin != NULL);
  CHECK(wasm_frame_func_index(origin) == 1 && wasm_frame_func_index(trace.data[1]) == index_of("callback"));
  CHECK(wasm_frame_module_offset(origin) == wasm_frame_module_offset(trace.data[0]));
  CHECK(wasm_instance_same(wasm_frame_instance(origin), instance));
  CHECK(strcmp(vmrun_frame_module_name(origin), "trapping") == 0);
  CHECK(strcmp(vmrun_frame_func_name(origin), "inner") == 0);
  wasm_frame_t* const copy = wasm_frame_copy(origin);
  CHECK(wasm_frame_func_offset(copy) == wasm_frame_func_offset(origin));
  wasm_frame_delete(copy);
  wasm_frame_delete(origin);
  wasm_frame_vec_delete(&trace);
  CHECK(says(wasm_trap_copy(trap), "the host has failed"));
  CHECK(info_finalized == 0);
  wasm_trap_delete(trap);
  CHECK(info_finalized == 1);

  // A guest's.
  trap = trap_of(instance, "unreachable", 0);
  NEED(trap != NULL);
  CHECK(vmrun_trap_code(trap) == VMRUN_TRAP_UNREACHABLE);
  wasm_frame_t* const frame = wasm_trap_origin(trap);
  NEED(frame != NULL);
  CHECK(wasm_frame_func_index(frame) == index_of("unreachable"));
  // No locals (a byte), `nop` (a byte), `unreachable`; the byte itself stands in the image.
  CHECK(wasm_frame_func_offset(frame) == 2);
  wasm_byte_vec_t image;
  read_image("capi_trap", &image);
  NEED(wasm_frame_module_offset(frame) < image.size);
  CHECK(image.data[wasm_frame_module_offset(frame)] == 0);
  wasm_byte_vec_delete(&image);
  wasm_frame_delete(frame);
  CHECK(says(trap, "unreachable"));
  CHECK(says(trap_of(instance, "divide", 2), "integer divide by zero"));

  // With a second instance of the module, frames know whose they are, but in optimised code.
  wasm_functype_t* const again = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasm_func_t* const other_host = wasm_func_new_with_env(world.store, again, fail, world.store, NULL);
  wasm_functype_delete(again);
  imports[0] = wasm_func_as_extern(other_host);
  wasm_instance_t* const second = instantiate(world.store, module, imports, 1);
  for (int turn = 0; turn < 2; ++turn) {
    wasm_instance_t* const which = turn == 0 ? second : instance;
    trap = trap_of(which, "unreachable", 0);
    wasm_frame_t* const either = wasm_trap_origin(trap);
    NEED(either != NULL);
    CHECK(wasm_frame_func_offset(either) == 2);
    if (tiers == VMRUN_TIERS_OPT) {
      CHECK(wasm_frame_instance(either) == NULL);
    } else {
      NEED(wasm_frame_instance(either) != NULL);
      CHECK(wasm_instance_same(wasm_frame_instance(either), which));
    }
    wasm_frame_delete(either);
    wasm_trap_delete(trap);
  }

  wasm_func_delete(other_host);
  wasm_instance_delete(second);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  end_world(world);
}

void test_trap(void) {
  const vmrun_tiers_t all[] = {VMRUN_TIERS_AUTO, VMRUN_TIERS_INTERP, VMRUN_TIERS_BASELINE, VMRUN_TIERS_OPT};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) check_in(all[i]);
}
