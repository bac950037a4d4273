// Errors, traps and frames.
#include <cstring>
#include <optional>
#include <stdexcept>

#include "capi/handles.h"
#include "vm/runtime/instance.h"

using namespace vmrun;
using namespace vmrun::capi;

struct wasm_frame_t {
  explicit wasm_frame_t(const StorePtr& state, FrameInfo f);
  wasm_frame_t(const wasm_frame_t& other)
      : info(other.info),
        func_offset(other.func_offset),
        instance(other.instance != nullptr ? wasm_instance_copy(other.instance.get()) : nullptr) {}
  wasm_frame_t& operator=(const wasm_frame_t&) = delete;

  FrameInfo info;
  size_t func_offset = 0;
  std::unique_ptr<wasm_instance_t> instance;  // null: not known
};

namespace {

thread_local std::optional<vmrun_error_t> last_error;

/// Whether a frame can be of that instance: its module has that name, and its function that place.
bool can_be_of(const FrameInfo& frame, const vm::Instance& instance) {
  const vm::Module& module = *instance.module;
  std::string_view name = module.display_name();
  if (name.empty()) name = "<module>";
  if (frame.module != name || frame.func_index >= module.funcs.size()) return false;
  const auto& body = module.funcs[frame.func_index].body;
  return frame.offset >= body.begin && frame.offset <= body.end;
}

/// The failures for when there is no memory for one.
struct Spares {
  vmrun_error_t error{Error(ErrorKind::Limit, "out of memory")};
  wasm_trap_t trap{StorePtr(), std::make_shared<TrapObject>(StorePtr(), Error(ErrorKind::Limit, "out of memory"))};
};
Spares& made_spares() {
  static Spares& made = *new Spares;  // never destroyed: handles may outlive everything
  return made;
}

/// A trap of a callback's own. It may have been called by a thread of the guest's, whose store has no handle.
wasm_trap_t* new_own_trap(const wasm_store_t* store, Error error) {
  return new_trap(store != nullptr ? store->state : nullptr, std::move(error));
}

}  // namespace

/// A frame of optimised code knows its module by name and place alone: that code keeps its instance where it likes.
wasm_frame_t::wasm_frame_t(const StorePtr& state, FrameInfo f) : info(std::move(f)) {
  if (state == nullptr) return;  // of a trap that a thread of a guest's made
  vm::Instance* first = nullptr;
  bool several = false, found = false;
  for (vm::Instance* candidate : state->instances) {
    if (!can_be_of(info, *candidate)) continue;
    several = first != nullptr;
    found = candidate == info.instance;
    if (first == nullptr || found) first = candidate;
    if (found) break;
  }
  if (first == nullptr) return;
  func_offset = info.offset - first->module->funcs[info.func_index].body.begin;
  if (found || !several) instance.reset(new_instance(state, Instance(first)));
}

namespace vmrun::capi {

void set_last_error(Error error) noexcept { last_error.emplace(vmrun_error_t{std::move(error)}); }

Error caught() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return Error(ErrorKind::Limit, "out of memory");
  } catch (const std::length_error&) {
    return usage("a size is larger than any there can be");
  } catch (const std::exception& e) {
    return Error(ErrorKind::Host, e.what());
  } catch (...) {
    return Error(ErrorKind::Host, "an exception of an unknown type");
  }
}

void make_spare_failures() { (void)made_spares(); }
bool is_spare(const wasm_ref_t* ref) noexcept { return ref == &made_spares().trap; }

vmrun_error_t* new_error(Error error) noexcept {
  auto* made = new (std::nothrow) vmrun_error_t{std::move(error)};
  return made != nullptr ? made : &made_spares().error;
}

wasm_trap_t* new_trap(const StorePtr& state, Error error) {
  auto* made = guarded([&] { return new wasm_trap_t(state, std::make_shared<TrapObject>(state, std::move(error))); });
  return made != nullptr ? made : &made_spares().trap;
}

wasm_trap_t* trap_for(const StorePtr& state, Error error) {
  const std::shared_ptr<TrapObject> pending = std::move(state->pending);
  state->pending = nullptr;
  if (pending == nullptr || pending->error.kind != error.kind || pending->error.message != error.message) {
    return new_trap(state, std::move(error));
  }
  if (pending->error.backtrace.empty()) pending->error.backtrace = std::move(error.backtrace);
  auto* made = guarded([&] { return new wasm_trap_t(state, pending); });
  return made != nullptr ? made : &made_spares().trap;
}

}  // namespace vmrun::capi

// ---- errors ----

void vmrun_error_delete(vmrun_error_t* error) {
  if (error != &made_spares().error) delete error;
}
vmrun_error_kind_t vmrun_error_kind(const vmrun_error_t* error) {
  return static_cast<vmrun_error_kind_t>(error->error.kind);
}
const char* vmrun_error_message(const vmrun_error_t* error) { return error->error.message.c_str(); }
bool vmrun_error_offset(const vmrun_error_t* error, uint64_t* offset) {
  if (!error->error.offset) return false;
  *offset = *error->error.offset;
  return true;
}
bool vmrun_error_function(const vmrun_error_t* error, uint32_t* func_index) {
  if (!error->error.func_index) return false;
  *func_index = *error->error.func_index;
  return true;
}
const vmrun_error_t* vmrun_last_error(void) { return last_error ? &*last_error : nullptr; }

static_assert(VMRUN_ERROR_HOST == static_cast<int>(ErrorKind::Host));
static_assert(VMRUN_ERROR_EXIT == static_cast<int>(ErrorKind::Exit));
static_assert(VMRUN_TRAP_UNSUPPORTED == static_cast<int>(TrapCode::Unsupported));
static_assert(VMRUN_TRAP_OUT_OF_FUEL == static_cast<int>(TrapCode::OutOfFuel));
static_assert(VMRUN_TRAP_INTERRUPTED == static_cast<int>(TrapCode::Interrupted));
static_assert(VMRUN_TRAP_CAST_FAILURE == static_cast<int>(TrapCode::CastFailure));

// ---- traps ----

wasm_trap_t* wasm_trap_new(wasm_store_t* store, const wasm_message_t* message) {
  try {
    std::string text;
    if (message != nullptr && message->data != nullptr) text.assign(message->data, message->size);
    if (!text.empty() && text.back() == 0) text.pop_back();
    return new_own_trap(store, Error(ErrorKind::Host, std::move(text)));
  } catch (...) {
    return new_own_trap(store, caught());
  }
}

wasm_trap_t* vmrun_trap_new_code(wasm_store_t* store, vmrun_trap_code_t code) {
  if (code <= VMRUN_TRAP_NONE || code > VMRUN_TRAP_OUT_OF_FUEL) {
    // Not NULL, which would tell the guest of a callback that all is well.
    return new_own_trap(store, Error(ErrorKind::Usage, "there is no trap with the code " + std::to_string(code)));
  }
  Error error(ErrorKind::Trap, std::string(trap_message(static_cast<TrapCode>(code))));
  error.trap = static_cast<TrapCode>(code);
  return new_own_trap(store, std::move(error));
}

wasm_trap_t* vmrun_trap_new_exit(wasm_store_t* store, int status) {
  Error error(ErrorKind::Exit, "exit with status " + std::to_string(status));
  error.exit_status = status;
  return new_own_trap(store, std::move(error));
}

wasm_trap_t* vmrun_trap_new_exception(const wasm_ref_t* exception) {
  if (exception == nullptr || exception->kind != Kind::Opaque || exception->type.heap() != HeapKind::Exn) {
    return new_own_trap(nullptr, Error(ErrorKind::Usage, "what was to be thrown is no exception"));
  }
  Error error(ErrorKind::Exception, "uncaught exception");
  error.exception = exception->opaque.bits;
  return new_trap(exception->store, std::move(error));
}

void wasm_trap_message(const wasm_trap_t* trap, wasm_message_t* out) {
  const std::string& text = trap_of(*trap)->error.message;
  wasm_name_new(out, text.size() + 1, text.c_str());  // which may hold zeros of its own
}

wasm_frame_t* wasm_trap_origin(const wasm_trap_t* trap) {
  const std::vector<FrameInfo>& frames = trap_of(*trap)->error.backtrace;
  if (frames.empty()) return nullptr;
  return guarded([&] { return new wasm_frame_t(trap->store, frames.front()); });
}

void wasm_trap_trace(const wasm_trap_t* trap, wasm_frame_vec_t* out) {
  const std::vector<FrameInfo>& frames = trap_of(*trap)->error.backtrace;
  wasm_frame_vec_new_uninitialized(out, frames.size());
  guarded([&] {
    for (size_t i = 0; i < out->size; ++i) out->data[i] = new wasm_frame_t(trap->store, frames[i]);
  });
}

vmrun_error_kind_t vmrun_trap_kind(const wasm_trap_t* trap) {
  return static_cast<vmrun_error_kind_t>(trap_of(*trap)->error.kind);
}
vmrun_trap_code_t vmrun_trap_code(const wasm_trap_t* trap) {
  const Error& error = trap_of(*trap)->error;
  return error.kind == ErrorKind::Trap ? static_cast<vmrun_trap_code_t>(error.trap) : VMRUN_TRAP_NONE;
}
bool vmrun_trap_exit_status(const wasm_trap_t* trap, int* status) {
  const Error& error = trap_of(*trap)->error;
  if (error.kind != ErrorKind::Exit) return false;
  *status = error.exit_status;
  return true;
}
wasm_ref_t* vmrun_trap_exception(const wasm_trap_t* trap) {
  const Error& error = trap_of(*trap)->error;
  if (error.kind != ErrorKind::Exception || error.exception == 0) return nullptr;
  return guarded([&] { return new wasm_ref_t(trap->store, ValType::exnref(), Ref{error.exception}); });
}

// ---- frames ----

void wasm_frame_delete(wasm_frame_t* frame) { delete frame; }
wasm_frame_t* wasm_frame_copy(const wasm_frame_t* frame) {
  return guarded([&] { return new wasm_frame_t(*frame); });
}
wasm_instance_t* wasm_frame_instance(const wasm_frame_t* frame) { return frame->instance.get(); }
uint32_t wasm_frame_func_index(const wasm_frame_t* frame) { return frame->info.func_index; }
size_t wasm_frame_func_offset(const wasm_frame_t* frame) { return frame->func_offset; }
size_t wasm_frame_module_offset(const wasm_frame_t* frame) { return frame->info.offset; }
const char* vmrun_frame_module_name(const wasm_frame_t* frame) { return frame->info.module.c_str(); }
const char* vmrun_frame_func_name(const wasm_frame_t* frame) { return frame->info.function.c_str(); }
bool vmrun_frame_source(const wasm_frame_t* frame, size_t number, vmrun_source_t* out) {
  if (number >= frame->info.source.size()) return false;
  const SourceLine& line = frame->info.source[number];
  *out = {line.function.c_str(), line.file.c_str(), line.line, line.column};
  return true;
}
