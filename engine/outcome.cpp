// Outcomes of calls as Errors.
#include "engine/outcome.h"

#include "engine/exceptions.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/store.h"
#include "vm/wasm/module.h"
#include "vm/wasm/sources.h"
#include "vmrun/func.h"

namespace vmrun {
namespace engine {

namespace {

void add_source(FrameInfo& info, const vm::Frame& frame) {
  if (!frame.module->source_lines) {
    if (frame.module->has_debug_info()) info.source_note = "VMRUN_BACKTRACE_DETAILS=1 shows source lines";
    return;
  }
  try {
    const vm::Sources& sources = frame.module->sources();
    info.source = sources.at(frame.offset);
    if (info.source.empty() || info.source.back().function.empty()) info.source_note = sources.note();
  } catch (const std::bad_alloc&) {  // a frame without it will do
    info.source.clear();
  }
}

}  // namespace

std::vector<FrameInfo> name_frames(const std::vector<vm::Frame>& frames) {
  std::vector<FrameInfo> out;
  out.reserve(frames.size());
  for (const vm::Frame& frame : frames) {
    FrameInfo info;
    info.module = frame.module->display_name();
    if (info.module.empty()) info.module = "<module>";
    info.function = frame.module->func_label(frame.func_index);
    info.func_index = frame.func_index;
    info.offset = frame.offset;
    info.instance = frame.instance;
    add_source(info, frame);
    out.push_back(std::move(info));
  }
  return out;
}

Error trap_error(TrapCode code) {
  Error error(ErrorKind::Trap, std::string(trap_message(code)));
  error.trap = code;
  return error;
}

namespace {

Error own_error(vm::Store& store, Outcome outcome) {
  vm::Vcpu& vcpu = store.vcpu();
  // What a host function said in so many words goes before what the machine knows.
  std::optional<Error> said = std::move(store.host_failure);
  store.host_failure.reset();
  if (store.host_exception != nullptr) [[unlikely]] {
    vcpu.backtrace.clear();
    throw HostThrew{std::exchange(store.host_exception, nullptr)};
  }
  Error error;
  switch (outcome) {
    case Outcome::Return: break;
    case Outcome::Trap:
      if (said && said->kind == ErrorKind::Trap) {
        error = std::move(*said);
      } else if (vcpu.trap == TrapCode::None) {
        error = Error(ErrorKind::Usage, "a host function ended as if it had trapped: Caller::trap says by what");
      } else {
        error = trap_error(vcpu.trap);
        if (vcpu.trap == TrapCode::Interrupted && store.clock != nullptr && store.clock->is_over()) {
          error.message = "the processor time of the store is used up";
        }
      }
      vcpu.trap = TrapCode::None;
      break;
    case Outcome::Exception:
      vm::check_thrown(vcpu);
      error = Error(ErrorKind::Exception, "uncaught exception");
      error.exception = vcpu.exception.bits;  // stays a root until the next exception
      vcpu.exception.as<vm::ExnCell>()->escaped = true;
      break;
    case Outcome::Error:
      if (vcpu.is_exit) {
        error = Error(ErrorKind::Exit, "exit with status " + std::to_string(vcpu.exit_status));
        error.exit_status = vcpu.exit_status;
        vcpu.is_exit = false;
        vcpu.host_error.clear();
        vcpu.backtrace.clear();
        return error;
      }
      if (said) {
        error = std::move(*said);
      } else if (vcpu.host_error.empty()) {
        error = Error(ErrorKind::Usage, "a host function ended as if it had failed: Caller::fail says why");
      } else {
        error = Error(ErrorKind::Host, vcpu.host_error);
      }
      vcpu.host_error.clear();
      break;
  }
  // A failure that came up through several calls has the longest backtrace already.
  if (error.backtrace.empty()) error.backtrace = name_frames(vcpu.backtrace);
  vcpu.backtrace.clear();
  return error;
}

}  // namespace

bool refuses_calls(vm::Store& store) {
  if (store.group == nullptr) [[likely]]
    return false;
  store.refused = store.group->why_refused();
  return store.refused.has_value();
}

Error error_of(vm::Store& store, Outcome outcome) {
  if (store.refused) [[unlikely]] {
    Error error = std::move(*store.refused);
    store.refused.reset();
    return error;
  }
  Error error = own_error(store, outcome);
  // A call that another guest's host function made is that function's affair.
  if (store.group == nullptr || store.vcpu().activation != nullptr) [[likely]]
    return error;
  return store.group->failed(store, std::move(error));
}

}  // namespace engine

namespace detail {

Error take_error(vm::Store& store, Outcome outcome) try { return engine::error_of(store, outcome); }
VMRUN_CATCH_OUR_EXCEPTIONS

}  // namespace detail
}  // namespace vmrun
