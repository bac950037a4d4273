// Calls from the host, and host functions.
#include "vmrun/func.h"

#include "engine/convert.h"
#include "engine/engine_impl.h"
#include "engine/exceptions.h"
#include "engine/outcome.h"
#include "interp/interp.h"
#include "vm/runtime/store.h"
#include "vm/runtime/store_use.h"
#include "vmrun/store.h"

namespace vmrun {
namespace {

/// Room for the slots of a call: in place for most signatures.
class SlotBuffer {
 public:
  explicit SlotBuffer(size_t count) {
    if (count > kInline) more_.resize(count);
  }
  Slot* data() { return more_.empty() ? inline_ : more_.data(); }

 private:
  static constexpr size_t kInline = 32;
  Slot inline_[kInline];
  std::vector<Slot> more_;
};

const vm::FuncType& signature(const vm::Store& store, const vm::FuncRecord& func) {
  return store.registry()->get(func.type).func;
}

/// The state of a dynamic host function.
struct DynamicFunc {
  FuncType type;
  HostCallback callback;

  static Outcome call(void* env, vm::Vcpu& vcpu, vm::Instance* instance, const Slot* args, Slot* results) {
    try {
      return run(*static_cast<DynamicFunc*>(env), Caller(vcpu, instance), vcpu, args, results);
    } catch (...) {
      return detail::host_threw(vcpu);
    }
  }

  static Outcome run(DynamicFunc& self, Caller caller, vm::Vcpu& vcpu, const Slot* args, Slot* results) {
    std::vector<Val> values, out;
    try {
      values.reserve(self.type.params.size());
      out.reserve(self.type.results.size());
    } catch (const std::bad_alloc&) {
      return caller.fail(engine::out_of_memory());
    }
    for (ValType type : self.type.params) {
      values.push_back(Val::from_slots(type, args));
      args += type.kind() == ValKind::V128 ? 2 : 1;
    }
    for (ValType type : self.type.results) out.push_back(Val::zero(type));

    if (Result<void> done = self.callback(caller, values, out); !done) return caller.fail(std::move(done).error());
    for (size_t i = 0; i < out.size(); ++i) {
      const vm::ValType wanted = engine::to_vm(self.type.results[i]);
      if (const engine::Fit fit = engine::fits(*vcpu.store, out[i], wanted); fit != engine::Fit::yes) {
        return caller.fail(engine::unfit(fit, "result " + std::to_string(i) + " of a host function", out[i], wanted));
      }
    }
    for (const Val& value : out) results += value.to_slots(results);
    return Outcome::Return;
  }
};

Result<Func> make_real(vm::Store& store, const HostFunc& func) {
  Result<vm::TypeId> type = engine::intern(*store.registry(), func.type);
  if (!type) return std::move(type).error();
  const vm::StoreUse use(store);
  if (use.refused()) return *use.refused();
  return Func(&store, store.new_host_func(*type, func.fn, func.env));
}

}  // namespace

std::shared_ptr<const HostFunc> HostFunc::dynamic(FuncType type, HostCallback callback) {
  auto env = std::make_shared<DynamicFunc>(DynamicFunc{type, std::move(callback)});
  return std::make_shared<HostFunc>(HostFunc{std::move(type), &DynamicFunc::call, std::move(env)});
}

Result<Func> Func::create(Store& store, FuncType type, HostCallback callback) try {
  return make_real(store.impl(), *HostFunc::dynamic(std::move(type), std::move(callback)));
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<Func> Func::from_host(Store& store, std::shared_ptr<const HostFunc> func) try {
  if (func->fn == nullptr) return Error(ErrorKind::Usage, "the host function has no code");
  return make_real(store.impl(), *func);
}
VMRUN_CATCH_OUR_EXCEPTIONS

FuncType Func::type() const { return engine::to_public(signature(*store_, *impl_)); }

uint32_t Func::param_count() const { return static_cast<uint32_t>(signature(*store_, *impl_).params.size()); }

Result<std::vector<Val>> Func::call(std::span<const Val> args) const try {
  const vm::FuncType& type = signature(*store_, *impl_);
  if (args.size() != type.params.size()) {
    return Error(ErrorKind::Usage, "function takes " + std::to_string(type.params.size()) + " arguments, not " +
                                       std::to_string(args.size()));
  }
  SlotBuffer slots(std::max(type.param_slots, type.result_slots));
  Slot* at = slots.data();
  for (size_t i = 0; i < args.size(); ++i) {
    if (const engine::Fit fit = engine::fits(*store_, args[i], type.params[i]); fit != engine::Fit::yes) {
      return engine::unfit(fit, "argument " + std::to_string(i), args[i], type.params[i]);
    }
    at += args[i].to_slots(at);
  }
  const Outcome outcome = detail::invoke(*store_, *impl_, slots.data(), slots.data());
  if (outcome != Outcome::Return) return engine::error_of(*store_, outcome);

  std::vector<Val> results;
  results.reserve(type.results.size());
  const Slot* from = slots.data();
  for (vm::ValType result : type.results) {
    results.push_back(Val::from_slots(engine::to_public(result), from));
    from += result.slots();
  }
  return results;
}
VMRUN_CATCH_OUR_EXCEPTIONS

namespace detail {
namespace {

/// Lets the store's clock run for its outermost call.
class Timed {
 public:
  explicit Timed(vm::Store& store) {
    if (store.clock == nullptr || store.vcpu().activation != nullptr) return;
    clock_ = store.clock.get();
    vm::run_begins(*clock_);
  }
  ~Timed() {
    if (clock_ != nullptr) vm::run_ends(*clock_);
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  vm::RunClock* clock_ = nullptr;
};

[[gnu::noinline]] Outcome invoke_watched(vm::Store& store, vm::FuncRecord& func, const Slot* args, Slot* results) {
  if (engine::refuses_calls(store)) return Outcome::Error;
  vm::Vcpu& cx = store.vcpu();
  const Timed timed(store);
  // A short guest would be through before it looks.
  if (store.clock != nullptr && cx.activation == nullptr && store.clock->is_over()) {
    cx.backtrace.clear();
    cx.trap = TrapCode::Interrupted;
    return Outcome::Trap;
  }
  return interp::invoke(cx, func, args, results);
}

}  // namespace

Outcome invoke(vm::Store& store, vm::FuncRecord& func, const Slot* args, Slot* results) {
  if (store.group != nullptr || store.clock != nullptr) [[unlikely]]
    return invoke_watched(store, func, args, results);
  return interp::invoke(store.vcpu(), func, args, results);
}

Outcome host_threw(vm::Vcpu& vcpu) noexcept {
  vcpu.is_exit = false;
  vcpu.store->host_failure.reset();
  vcpu.store->host_exception = std::current_exception();
  return Outcome::Error;
}

}  // namespace detail
}  // namespace vmrun
