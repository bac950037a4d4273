// What vmrun adds to the standard C API (wasm.h). Everything here begins with vmrun_, and keeps to the rules of ownership,
// threads and failures that wasm.h states: `own` is written here as a comment, `vmrun_error_t*` results are owned, NULL
// means success.
#ifndef VMRUN_C_H
#define VMRUN_C_H

#include "wasm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VMRUN_API WASM_API_EXTERN

// ---- the library ----

/// Such as "0.1.0".
VMRUN_API const char* vmrun_version(void);
/// The folder in which the plug-ins vmrun-opt.so and vmrun-pool.so are looked for first. Before they are needed.
VMRUN_API void vmrun_set_plugin_folder(const char* folder);

// ---- errors ----

/// What sort of failure it is: the numbers of vmrun::ErrorKind.
typedef int vmrun_error_kind_t;
enum vmrun_error_kind_enum {
  VMRUN_ERROR_MALFORMED,    // the bytes are no image
  VMRUN_ERROR_INVALID,      // decoded, but against a validation rule
  VMRUN_ERROR_UNSUPPORTED,  // valid, but uses what this build or configuration does not execute
  VMRUN_ERROR_LINK,         // an import is missing or has another type
  VMRUN_ERROR_LIMIT,        // a limit of the engine or the store, or the host's memory
  VMRUN_ERROR_TRAP,         // the guest trapped
  VMRUN_ERROR_EXCEPTION,    // the guest threw an exception nobody caught
  VMRUN_ERROR_EXIT,         // the guest asked to end with a status
  VMRUN_ERROR_IO,           // a file or a system call failed
  VMRUN_ERROR_USAGE,        // the caller used the API wrongly
  VMRUN_ERROR_HOST          // a callback failed
};

typedef struct vmrun_error_t vmrun_error_t;
VMRUN_API void vmrun_error_delete(vmrun_error_t*);
VMRUN_API vmrun_error_kind_t vmrun_error_kind(const vmrun_error_t*);
/// One line, with a NUL; lives as long as the error.
VMRUN_API const char* vmrun_error_message(const vmrun_error_t*);
/// Where in the image, for VMRUN_ERROR_MALFORMED and _INVALID: false if it is not known.
VMRUN_API bool vmrun_error_offset(const vmrun_error_t*, uint64_t* offset);
/// In which function, by index: false if it is not known.
VMRUN_API bool vmrun_error_function(const vmrun_error_t*, uint32_t* func_index);
/// Why the last function of the C API on this thread that failed without giving a reason (NULL, false, an empty vector) did
/// so; NULL: none did. Borrowed until the next call of the API on this thread. Where a task may have been suspended since,
/// it is another thread's.
VMRUN_API const vmrun_error_t* vmrun_last_error(void);
/// Loads the optimising tier now, and not with the first hot code. An error says where it was looked for: guests run
/// without optimised code then.
VMRUN_API vmrun_error_t* vmrun_load_optimiser(void);

// ---- traps ----

/// Why a guest trapped: the numbers of vmrun::TrapCode.
typedef int vmrun_trap_code_t;
enum vmrun_trap_code_enum {
  VMRUN_TRAP_NONE,
  VMRUN_TRAP_UNREACHABLE,
  VMRUN_TRAP_INTEGER_DIVIDE_BY_ZERO,
  VMRUN_TRAP_INTEGER_OVERFLOW,
  VMRUN_TRAP_INVALID_CONVERSION_TO_INTEGER,
  VMRUN_TRAP_MEMORY_OUT_OF_BOUNDS,
  VMRUN_TRAP_TABLE_OUT_OF_BOUNDS,
  VMRUN_TRAP_UNDEFINED_ELEMENT,
  VMRUN_TRAP_UNINITIALIZED_ELEMENT,
  VMRUN_TRAP_INDIRECT_CALL_TYPE_MISMATCH,
  VMRUN_TRAP_NULL_REFERENCE,
  VMRUN_TRAP_NULL_FUNCTION_REFERENCE,
  VMRUN_TRAP_NULL_EXCEPTION_REFERENCE,
  VMRUN_TRAP_CAST_FAILURE,
  VMRUN_TRAP_UNALIGNED_ATOMIC,
  VMRUN_TRAP_EXPECTED_SHARED_MEMORY,
  VMRUN_TRAP_STACK_OVERFLOW,
  VMRUN_TRAP_OUT_OF_MEMORY,
  VMRUN_TRAP_INTERRUPTED,  // vmrun_store_interrupt, a deadline, a cancelled task
  VMRUN_TRAP_UNSUPPORTED,
  VMRUN_TRAP_OUT_OF_FUEL  // vmrun_config_set_fuel
};

/// A wasm_trap_t is any end of a call without results; its kind says which.
VMRUN_API vmrun_error_kind_t vmrun_trap_kind(const wasm_trap_t*);
/// VMRUN_TRAP_NONE unless the kind is VMRUN_ERROR_TRAP.
VMRUN_API vmrun_trap_code_t vmrun_trap_code(const wasm_trap_t*);
/// False unless the kind is VMRUN_ERROR_EXIT.
VMRUN_API bool vmrun_trap_exit_status(const wasm_trap_t*, int* status);
/// The exception that nobody caught, owned by the caller; NULL unless the kind is VMRUN_ERROR_EXCEPTION.
VMRUN_API wasm_ref_t* vmrun_trap_exception(const wasm_trap_t*);
/// For a callback to return: makes the guest trap with that code, or exit with that status. In a thread of the guest's
/// the store is NULL, here and for wasm_trap_new. A code that is none of VMRUN_TRAP_* above VMRUN_TRAP_NONE gives a
/// trap of kind VMRUN_ERROR_USAGE, which says so and ends the guest all the same.
VMRUN_API wasm_trap_t* vmrun_trap_new_code(wasm_store_t*, vmrun_trap_code_t);
VMRUN_API wasm_trap_t* vmrun_trap_new_exit(wasm_store_t*, int status);
/// Of the module and the function, with a NUL; live as long as the frame.
VMRUN_API const char* vmrun_frame_module_name(const wasm_frame_t*);
VMRUN_API const char* vmrun_frame_func_name(const wasm_frame_t*);
/// A place in the guest's source. Strings end with a NUL and live as long as the frame; "" and 0: unknown.
typedef struct vmrun_source_t {
  const char* function;
  const char* file;
  uint32_t line;
  uint32_t column;
} vmrun_source_t;
/// With vmrun_config_set_backtrace_details: the places of a frame, from number 0 on. Calls that the guest's own compiler
/// inlined come first, innermost first; the last one is in the frame's function. False: there are no more.
VMRUN_API bool vmrun_frame_source(const wasm_frame_t*, size_t number, vmrun_source_t* out);

// ---- configuration ----

typedef int vmrun_tiers_t;
enum vmrun_tiers_enum {
  VMRUN_TIERS_AUTO,             // all, chosen by heat
  VMRUN_TIERS_INTERP,           // the interpreter alone
  VMRUN_TIERS_BASELINE,         // baseline code at a function's first call
  VMRUN_TIERS_OPT,              // optimised code at a function's first call
  VMRUN_TIERS_INTERP_BASELINE,  // as AUTO, without optimised code
  VMRUN_TIERS_STEPS             // a tier up with each call and each iteration: for tests
};
VMRUN_API void vmrun_config_set_tiers(wasm_config_t*, vmrun_tiers_t);
/// Switches a proposal on or off, by its name ("simd", "tail-call"). All are on. False: there is no such proposal.
VMRUN_API bool vmrun_config_set_feature(wasm_config_t*, const char* name, bool on);
VMRUN_API void vmrun_config_set_eager_baseline(wasm_config_t*, bool);
VMRUN_API void vmrun_config_set_compile_threads(wasm_config_t*, unsigned);
VMRUN_API void vmrun_config_set_profile(wasm_config_t*, bool);
/// Whether frames have their places in the guest's source, where the image has debug information (DWARF). Without this
/// call it is as the environment variable VMRUN_BACKTRACE_DETAILS says (1: on).
VMRUN_API void vmrun_config_set_backtrace_details(wasm_config_t*, bool);
/// Guests use up fuel, a unit an instruction, and trap with VMRUN_TRAP_OUT_OF_FUEL when what their store has does not pay
/// for what comes next. A store has none until vmrun_store_set_fuel.
VMRUN_API void vmrun_config_set_fuel(wasm_config_t*, bool);
/// Memories of at most `max_bytes` each, whose accesses are checked, instead of 8 GiB of address space for each.
VMRUN_API void vmrun_config_set_dense_memory(wasm_config_t*, bool, uint64_t max_bytes);
/// Whether 32-bit memories have guard pages, in reservations of 8 GiB; without, accesses are checked. On by default.
VMRUN_API void vmrun_config_set_guard_pages(wasm_config_t*, bool);
VMRUN_API void vmrun_config_set_max_image_bytes(wasm_config_t*, uint64_t);

// Memories in address space of the embedder's own: as vmrun::MemoryHooks says (vmrun/base/memory_hooks.h), which has
// what each function must do and what is looked at.
typedef struct vmrun_memory_request_t {
  uint64_t bytes;        // accessible and zero at once
  uint64_t max_bytes;    // what it may grow to, by its type and limits
  uint64_t reservation;  // with `guarded`: bytes from the base on that are reserved, and fault beyond the size; else 0
  bool shared;
} vmrun_memory_request_t;
typedef struct vmrun_host_memory_t {
  byte_t* base;       // a multiple of 4096
  uint64_t capacity;  // what it may grow to without moving
  void* handle;       // the embedder's own
} vmrun_host_memory_t;
typedef struct vmrun_memory_hooks_t {
  void* env;
  /// Sets *out. False: there is no memory, and the instantiation fails.
  bool (*create)(void* env, const vmrun_memory_request_t*, vmrun_host_memory_t* out);
  /// Makes [from, to) accessible and zero, or returns false. NULL: all of the capacity is so from the beginning.
  bool (*grow)(void* env, const vmrun_host_memory_t*, uint64_t from, uint64_t to);
  void (*release)(void* env, const vmrun_host_memory_t*);  // or NULL
  void (*finalizer)(void* env);                            // or NULL: called once, after the last memory is gone
  bool guarded;                                            // promises guards; else accesses are checked
} vmrun_memory_hooks_t;
/// Copies what it is given. From now on the finalizer is called, also if no engine is made. Any thread calls the hooks,
/// several at once, also while a guest runs; they call nothing of its store, and must not be left by longjmp.
VMRUN_API void vmrun_config_set_memory_hooks(wasm_config_t*, const vmrun_memory_hooks_t*);

// ---- stores ----

/// As vmrun::StoreLimits says. vmrun_limits_init sets the defaults. A store of wasm_store_new has these, but for instances,
/// which only the host makes: it holds as many as there is memory for.
typedef struct vmrun_limits_t {
  uint64_t memory_bytes;
  uint64_t table_elements;
  uint64_t exception_bytes;
  uint64_t instances;
  uint64_t stack_bytes;
  uint32_t host_depth;
  bool trap_on_grow_failure;
} vmrun_limits_t;
VMRUN_API void vmrun_limits_init(vmrun_limits_t* out);
VMRUN_API wasm_store_t* vmrun_store_new(wasm_engine_t*, const vmrun_limits_t*);
/// Makes the guest that runs, or the next one that is called, trap with VMRUN_TRAP_INTERRUPTED. Any thread, while the
/// handle exists; async-signal-safe.
VMRUN_API void vmrun_store_interrupt(wasm_store_t*);
/// Forgets an interrupt that nobody has taken yet. A call within a time goes on being interrupted when that is over.
VMRUN_API void vmrun_store_clear_interrupt(wasm_store_t*);
/// Gives the store so much fuel in place of what it has; in a callback too. An error in an engine without it.
VMRUN_API vmrun_error_t* vmrun_store_set_fuel(wasm_store_t*, uint64_t units);
/// What is left; 0 in an engine without fuel.
VMRUN_API uint64_t vmrun_store_fuel(const wasm_store_t*);
/// Processor time of all calls into the store, in nanoseconds, and its limit, beyond which guests trap with
/// VMRUN_TRAP_INTERRUPTED: as vmrun::Store::set_cpu_time_limit and cpu_time. UINT64_MAX: it is counted only. False:
/// there is no memory or no thread to keep it.
VMRUN_API bool vmrun_store_set_cpu_time_limit(wasm_store_t*, uint64_t nanoseconds);
VMRUN_API uint64_t vmrun_store_cpu_time(const wasm_store_t*);
VMRUN_API uint64_t vmrun_store_memory_bytes(const wasm_store_t*);
VMRUN_API uint64_t vmrun_store_peak_memory_bytes(const wasm_store_t*);
/// A pointer of the embedder's own.
VMRUN_API void vmrun_store_set_data(wasm_store_t*, void*);
VMRUN_API void* vmrun_store_data(const wasm_store_t*);

// ---- modules ----

/// As wasm_module_new, with the reason. `name` (or NULL) is what frames show for a module without one.
VMRUN_API vmrun_error_t* vmrun_module_new(wasm_store_t*, const wasm_byte_vec_t* binary, const char* name,
                                          wasm_module_t** out);
VMRUN_API vmrun_error_t* vmrun_module_new_from_file(wasm_store_t*, const char* path, wasm_module_t** out);
/// wasm_module_serialize with a MAC (HMAC-SHA-256) under a secret `key` of 32 to 4096 random bytes, and the way back: what
/// has no MAC that is right under the key is refused before anything else of it is used (VMRUN_ERROR_MALFORMED). For bytes
/// that are kept where others can write. `out` is empty, or NULL, where it fails.
VMRUN_API vmrun_error_t* vmrun_module_serialize(const wasm_module_t*, const wasm_byte_vec_t* key,
                                                /* own */ wasm_byte_vec_t* out);
VMRUN_API vmrun_error_t* vmrun_module_deserialize(wasm_store_t*, const wasm_byte_vec_t* bytes,
                                                  const wasm_byte_vec_t* key, /* own */ wasm_module_t** out);

// ---- functions ----

/// As wasm_func_call, but after so many nanoseconds the guest traps with VMRUN_TRAP_INTERRUPTED.
VMRUN_API wasm_trap_t* vmrun_func_call_within(const wasm_func_t*, uint64_t nanoseconds, const wasm_val_vec_t* args,
                                              wasm_val_vec_t* results);

/// Who called a callback; valid during the call.
typedef struct vmrun_caller_t vmrun_caller_t;
/// Borrowed. NULL in a thread of a guest's, whose store has no handles.
VMRUN_API wasm_store_t* vmrun_caller_store(vmrun_caller_t*);
/// The instance that called, owned by the callback; NULL when the host called.
VMRUN_API wasm_instance_t* vmrun_caller_instance(vmrun_caller_t*);
/// Its memory "memory", else its first: `size` bytes of it at `address`, or NULL when they are not all inside. Good until a
/// guest runs again.
VMRUN_API byte_t* vmrun_caller_bytes(vmrun_caller_t*, uint64_t address, uint64_t size);
typedef wasm_trap_t* (*vmrun_callback_t)(void* env, vmrun_caller_t*, const wasm_val_vec_t* args,
                                         wasm_val_vec_t* results);
/// As wasm_func_new_with_env, with the caller. The finalizer is called also when this fails.
VMRUN_API wasm_func_t* vmrun_func_new(wasm_store_t*, const wasm_functype_t*, vmrun_callback_t, void* env,
                                      void (*finalizer)(void*));

// ---- vectors ----

/// The kind of a v128, whose value is behind wasm_val_t::of.ref: wasm_val_copy and _delete know it.
#define VMRUN_V128 ((wasm_valkind_t)4)
/// Sets `out` to a vector, lane 0 first. False: no memory.
VMRUN_API bool vmrun_val_new_v128(wasm_val_t* out, const uint8_t bytes[16]);
/// False: it is of another kind.
VMRUN_API bool vmrun_val_v128(const wasm_val_t*, uint8_t bytes[16]);
/// The kinds of references beyond externref and funcref: an exnref, and one of another hierarchy.
#define VMRUN_EXNREF ((wasm_valkind_t)130)
#define VMRUN_ANYREF ((wasm_valkind_t)131)

// ---- memories and tables of 64 bits, shared memories ----

/// As vmrun::MemoryType says. A table has neither `shared` nor `page_log2`.
typedef struct vmrun_limits64_t {
  uint64_t min, max;
  bool has_max;
  bool is64;
  bool shared;
  uint8_t page_log2;  // 16, or 0 with custom page sizes
} vmrun_limits64_t;
VMRUN_API wasm_memorytype_t* vmrun_memorytype_new(const vmrun_limits64_t*);
VMRUN_API void vmrun_memorytype_limits(const wasm_memorytype_t*, vmrun_limits64_t* out);
VMRUN_API wasm_tabletype_t* vmrun_tabletype_new(wasm_valtype_t* /*own*/, const vmrun_limits64_t*);
VMRUN_API void vmrun_tabletype_limits(const wasm_tabletype_t*, vmrun_limits64_t* out);
/// Pages. wasm_memory_size and the like stop at UINT32_MAX.
VMRUN_API uint64_t vmrun_memory_size(const wasm_memory_t*);
VMRUN_API bool vmrun_memory_grow(wasm_memory_t*, uint64_t delta);
VMRUN_API uint64_t vmrun_table_size(const wasm_table_t*);
VMRUN_API wasm_ref_t* vmrun_table_get(const wasm_table_t*, uint64_t index);
VMRUN_API bool vmrun_table_set(wasm_table_t*, uint64_t index, wasm_ref_t*);
VMRUN_API bool vmrun_table_grow(wasm_table_t*, uint64_t delta, wasm_ref_t* init);
/// A shared memory for other stores of the engine, and in one: as wasm_module_share and _obtain. NULL for one that is not
/// shared.
typedef struct vmrun_shared_memory_t vmrun_shared_memory_t;
VMRUN_API void vmrun_shared_memory_delete(vmrun_shared_memory_t*);
VMRUN_API vmrun_shared_memory_t* vmrun_memory_share(const wasm_memory_t*);
VMRUN_API wasm_memory_t* vmrun_memory_obtain(wasm_store_t*, const vmrun_shared_memory_t*);

// ---- tags and exceptions ----

typedef struct wasm_extern_t vmrun_tag_t;  // deleted, copied, compared and asked for its type as an extern
VMRUN_API vmrun_tag_t* vmrun_tag_new(wasm_store_t*, const wasm_tagtype_t*);
/// NULL for an extern of another kind; borrowed.
VMRUN_API vmrun_tag_t* vmrun_extern_as_tag(wasm_extern_t*);
/// A new exception of that tag. It is kept while the handle exists. NULL: values that do not fit, no room.
VMRUN_API wasm_ref_t* vmrun_exception_new(const vmrun_tag_t*, const wasm_val_vec_t* values);
/// Whether `exception` is one of that tag; then, where `out` is not NULL, what it carries, owned by the caller.
VMRUN_API bool vmrun_exception_values(const wasm_ref_t* exception, const vmrun_tag_t*, wasm_val_vec_t* out);
/// For a callback to return: throws the exception, which guests may catch. What is no exception, NULL too, gives a trap
/// of kind VMRUN_ERROR_USAGE instead.
VMRUN_API wasm_trap_t* vmrun_trap_new_exception(const wasm_ref_t* exception);

// ---- linking by name, WASI ----

/// What a guest is given: as vmrun::WasiConfig says. Nothing by default. The first call with something that cannot be (NULL, a
/// size beyond all there are) is what vmrun_linker_define_wasi fails for.
typedef struct vmrun_wasi_config_t vmrun_wasi_config_t;
VMRUN_API vmrun_wasi_config_t* vmrun_wasi_config_new(void);
VMRUN_API void vmrun_wasi_config_delete(vmrun_wasi_config_t*);
/// Strings are copied.
VMRUN_API void vmrun_wasi_config_arg(vmrun_wasi_config_t*, const char* value);
VMRUN_API void vmrun_wasi_config_env(vmrun_wasi_config_t*, const char* name, const char* value);
VMRUN_API void vmrun_wasi_config_inherit_env(vmrun_wasi_config_t*);
VMRUN_API void vmrun_wasi_config_inherit_stdio(vmrun_wasi_config_t*);
/// Descriptors of the host for the streams, borrowed.
VMRUN_API void vmrun_wasi_config_stdio_fds(vmrun_wasi_config_t*, int in, int out, int err);
VMRUN_API void vmrun_wasi_config_stdin_bytes(vmrun_wasi_config_t*, const byte_t* bytes, size_t size);
/// Takes what the guest writes, in order; false: nobody reads any more. On the guest's thread. `env` lives as long as all
/// instances that were given the configuration.
typedef bool (*vmrun_wasi_sink_t)(void* env, const byte_t* bytes, size_t size);
VMRUN_API void vmrun_wasi_config_stdout_to(vmrun_wasi_config_t*, vmrun_wasi_sink_t, void* env);
VMRUN_API void vmrun_wasi_config_stderr_to(vmrun_wasi_config_t*, vmrun_wasi_sink_t, void* env);
VMRUN_API void vmrun_wasi_config_preopen_dir(vmrun_wasi_config_t*, const char* host, const char* guest, bool read_only);
VMRUN_API void vmrun_wasi_config_preopen_socket(vmrun_wasi_config_t*, int fd);
VMRUN_API void vmrun_wasi_config_max_descriptors(vmrun_wasi_config_t*, uint32_t);
VMRUN_API void vmrun_wasi_config_max_threads(vmrun_wasi_config_t*, uint32_t);
VMRUN_API void vmrun_wasi_config_random_seed(vmrun_wasi_config_t*, uint64_t);

/// Names for what modules of one store import.
typedef struct vmrun_linker_t vmrun_linker_t;
VMRUN_API vmrun_linker_t* vmrun_linker_new(wasm_store_t*);
VMRUN_API void vmrun_linker_delete(vmrun_linker_t*);
/// By default a second definition of a name is an error; with shadowing it replaces the first.
VMRUN_API void vmrun_linker_allow_shadowing(vmrun_linker_t*, bool);
/// Functions that nobody defined trap when they are called, instead of failing the link.
VMRUN_API void vmrun_linker_unknown_imports_trap(vmrun_linker_t*, bool);
VMRUN_API vmrun_error_t* vmrun_linker_define(vmrun_linker_t*, const char* module, const char* name,
                                             const wasm_extern_t*);
VMRUN_API vmrun_error_t* vmrun_linker_define_func(vmrun_linker_t*, const char* module, const char* name,
                                                  const wasm_functype_t*, vmrun_callback_t, void* env,
                                                  void (*finalizer)(void*));
VMRUN_API vmrun_error_t* vmrun_linker_define_instance(vmrun_linker_t*, const char* module, const wasm_instance_t*);
/// Defines the functions of WASI preview 1, for one program: opens the directories.
VMRUN_API vmrun_error_t* vmrun_linker_define_wasi(vmrun_linker_t*, const vmrun_wasi_config_t*);
/// Makes the shared memories that the module imports and nobody defined, as programs with threads do.
VMRUN_API vmrun_error_t* vmrun_linker_define_shared_memories(vmrun_linker_t*, const wasm_module_t*);
/// Instantiates with the definitions. NULL, and *out is set; or a trap, of kind VMRUN_ERROR_LINK with all names that are
/// missing, or as wasm_instance_new's.
VMRUN_API wasm_trap_t* vmrun_linker_instantiate(vmrun_linker_t*, const wasm_module_t*, wasm_instance_t** out);

/// The export of that name, owned by the caller; NULL if there is none.
VMRUN_API wasm_extern_t* vmrun_instance_export(const wasm_instance_t*, const char* name);

/// Runs a WASI program: calls its `_start`, and ends its threads. NULL: it returned, or exited with `*status` (0 when it
/// returned).
VMRUN_API wasm_trap_t* vmrun_wasi_run(const wasm_instance_t*, int* status);

// ---- tasks ----
// Many guests on a few threads: docs/tasks.md. A callback that waits by the functions of this part suspends the guest, and
// no thread waits with it.

/// Ends of tasks for an event loop of somebody else's: `descriptor` is readable while `take` has tokens.
typedef struct vmrun_completions_t vmrun_completions_t;
VMRUN_API vmrun_completions_t* vmrun_completions_new(void);
/// After all tasks that were given it.
VMRUN_API void vmrun_completions_delete(vmrun_completions_t*);
VMRUN_API int vmrun_completions_descriptor(const vmrun_completions_t*);
/// Copies at most `max` tokens and returns how many. Does not wait. Any thread.
VMRUN_API size_t vmrun_completions_take(vmrun_completions_t*, uint64_t tokens[], size_t max);

typedef struct vmrun_executor_t vmrun_executor_t;
/// 0 workers: one for each processor. 0 bytes of stack: the default, 1 MiB. NULL: vmrun_last_error says why.
VMRUN_API vmrun_executor_t* vmrun_executor_new(unsigned workers, size_t stack_bytes);
/// Stacks of tasks in memory of the embedder's own: as vmrun::StackHooks says.
typedef struct vmrun_host_stack_t {
  byte_t* low;   // a multiple of 16
  size_t size;   // at least what was asked for
  void* handle;  // the embedder's own
} vmrun_host_stack_t;
typedef struct vmrun_stack_hooks_t {
  void* env;
  /// Sets *out. False: there is no stack, and the task fails.
  bool (*allocate)(void* env, size_t bytes, vmrun_host_stack_t* out);
  void (*release)(void* env, const vmrun_host_stack_t*);  // or NULL
  void (*finalizer)(void* env);                           // or NULL: called once, after the last stack is gone
} vmrun_stack_hooks_t;
/// As vmrun_executor_new. The finalizer is called also when this fails.
VMRUN_API vmrun_executor_t* vmrun_executor_new_with_stacks(unsigned workers, size_t stack_bytes,
                                                           const vmrun_stack_hooks_t*);
/// Waits until all tasks have ended. Not from a task, nor from what is called at a task's end: that ends the program.
VMRUN_API void vmrun_executor_delete(vmrun_executor_t*);
VMRUN_API void vmrun_executor_wait_idle(vmrun_executor_t*);

typedef struct vmrun_task_options_t {
  const char* name;           // for reports, or NULL; outlives the task
  uint64_t timeout;           // nanoseconds after which the task is cancelled; 0: never
  int priority;               // 1 high, 0 normal, -1 low
  void (*on_end)(void* env);  // or NULL: called once at its end, on a thread of the executor; quick, waits for nothing
  void* on_end_env;
  vmrun_completions_t* completions;  // or NULL: gets `token` at its end
  uint64_t token;
} vmrun_task_options_t;

typedef struct vmrun_task_t vmrun_task_t;
/// Starts a task that calls `run(env)`, which may call guests of `store` (NULL: of none). The store is the task's alone
/// until its end: no other thread uses it or deletes handles of it, and a second task with it is an error. The task keeps
/// the store, and may itself delete this handle and all others. `options` may be NULL, and `out` too.
VMRUN_API vmrun_error_t* vmrun_executor_spawn(vmrun_executor_t*, wasm_store_t* store, void (*run)(void* env), void* env,
                                              const vmrun_task_options_t* options, vmrun_task_t** out);
/// Gives the handle up; the task goes on. Before the executor.
VMRUN_API void vmrun_task_delete(vmrun_task_t*);
VMRUN_API bool vmrun_task_done(const vmrun_task_t*);
/// Whether it has ended without having run, because there was no memory for its stack.
VMRUN_API bool vmrun_task_failed(const vmrun_task_t*);
/// Waits for its end. False: the caller's own task was cancelled, or is this one.
VMRUN_API bool vmrun_task_join(const vmrun_task_t*);
/// Ends its waits, and its guest traps with VMRUN_TRAP_INTERRUPTED.
VMRUN_API void vmrun_task_cancel(const vmrun_task_t*);

// What the running task does about itself. In no task, waits hold the thread.
VMRUN_API bool vmrun_in_task(void);
VMRUN_API void vmrun_yield(void);
/// False: the task was cancelled.
VMRUN_API bool vmrun_sleep(uint64_t nanoseconds);
/// Until `fd` can be read (or written); UINT64_MAX: for ever. An error of kind VMRUN_ERROR_LIMIT when the time has passed,
/// VMRUN_ERROR_USAGE when the task was cancelled.
VMRUN_API vmrun_error_t* vmrun_wait_fd(int fd, bool write, uint64_t nanoseconds);

/// What a callback waits for until somebody sets it: another thread, an event loop, another task.
typedef struct vmrun_event_t vmrun_event_t;
VMRUN_API vmrun_event_t* vmrun_event_new(void);
VMRUN_API void vmrun_event_delete(vmrun_event_t*);
VMRUN_API void vmrun_event_set(vmrun_event_t*);
VMRUN_API void vmrun_event_reset(vmrun_event_t*);
/// UINT64_MAX: for ever. False: the time has passed, or the task was cancelled.
VMRUN_API bool vmrun_event_wait(vmrun_event_t*, uint64_t nanoseconds);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // VMRUN_C_H
