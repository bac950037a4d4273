// The calls as definitions of a linker; and the two calls that end the guest.
#include "vmrun/linker.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/exceptions.h"
#include "engine/shared_funcs.h"
#include "vm/runtime/store.h"
#include "vm/wasm/module.h"
#include "vmrun/instance.h"
#include "vmrun/module.h"
#include "vmrun/store.h"
#include "vmrun/wasi.h"
#include "wasi/bind.h"
#include "wasi/errno.h"
#include "wasi/rows.h"
#include "wasi/threads.h"

namespace vmrun {
namespace wasi {
namespace {

enum Where : uint8_t { Unstable = 1, Preview1 = 2, Both = 3 };

struct Definition {
  Where where;
  const char* name;
  FuncType (*type)();
  RawHostFn call;    // with the context as its env
  RawHostFn shared;  // with the context that the calling store has
};

template <RawHostFn kCall>
Outcome shared_call(void*, vm::Vcpu& vcpu, vm::Instance* instance, const Slot* args, Slot* results) {
  [[clang::musttail]] return kCall(vcpu.store->shared_env(), vcpu, instance, args, results);
}

constexpr size_t words(std::string_view s) {
  return s.empty() ? 0 : 1 + static_cast<size_t>(std::count(s.begin(), s.end(), ' '));
}

// ---- the calls that end the guest ----

Outcome proc_exit(void* env, vm::Vcpu& vcpu, vm::Instance* instance, const Slot* args, Slot*) {
  uint32_t status = args[0].as_i32();
  VMRUN_LOG_AT(static_cast<Context*>(env)->log, trace, "proc_exit(rval={})", status);
  return Caller(vcpu, instance).exit(static_cast<int>(status));
}
FuncType proc_exit_type() { return {{ValKind::I32}, {}}; }

/// The signal's number on this host, for the exit status that a shell would show; 0: does not end a program.
int ending_signal(Signal s) {
  switch (s) {
    case Signal::None:
    case Signal::Pipe:  // WASI ignores this one
    case Signal::Chld:
    case Signal::Cont:
    case Signal::Urg:
    case Signal::Winch:
    case Signal::Stop:
    case Signal::Tstp:
    case Signal::Ttin:
    case Signal::Ttou: return 0;
    case Signal::Hup: return 1;
    case Signal::Int: return 2;
    case Signal::Quit: return 3;
    case Signal::Ill: return 4;
    case Signal::Trap: return 5;
    case Signal::Abrt: return 6;
    case Signal::Bus: return 7;
    case Signal::Fpe: return 8;
    case Signal::Kill: return 9;
    case Signal::Usr1: return 10;
    case Signal::Segv: return 11;
    case Signal::Usr2: return 12;
    case Signal::Alrm: return 14;
    case Signal::Term: return 15;
    case Signal::Xcpu: return 24;
    case Signal::Xfsz: return 25;
    case Signal::Vtalrm: return 26;
    case Signal::Prof: return 27;
    case Signal::Poll: return 29;
    case Signal::Pwr: return 30;
    case Signal::Sys: return 31;
  }
  return 0;
}

/// A signal is the guest's own affair: it ends the guest as an unhandled signal would, and never reaches this process.
Outcome proc_raise(void* env, vm::Vcpu& vcpu, vm::Instance* instance, const Slot* args, Slot* results) {
  uint32_t number = args[0].as_i32();
  VMRUN_LOG_AT(static_cast<Context*>(env)->log, trace, "proc_raise(sig={})", number);
  Errno e = Errno::success;
  if (number > static_cast<uint32_t>(Signal::Sys)) {
    e = Errno::inval;
  } else if (auto s = static_cast<Signal>(number); int host = ending_signal(s)) {
    return Caller(vcpu, instance).exit(128 + host);
  } else if (s >= Signal::Stop && s <= Signal::Ttou) {
    e = Errno::notsup;  // there is nobody who could continue it
  }
  results[0] = Slot::i32(static_cast<uint32_t>(e));
  return Outcome::Return;
}
FuncType proc_raise_type() { return {{ValKind::I32}, {ValKind::I32}}; }

// ---- all of them ----

#define VMRUN_WASI_X(where, name_, function, params_)                            \
  struct Row_##function {                                                        \
    static constexpr auto call = &function;                                      \
    static constexpr const char* name = #name_;                                  \
    static constexpr std::string_view params = params_;                          \
    static_assert(words(params) == Binding<Row_##function>::offsets.size() - 1); \
  };
VMRUN_WASI_CALLS(VMRUN_WASI_X)
#undef VMRUN_WASI_X

constexpr Definition kDefinitions[] = {{Both, "proc_exit", &proc_exit_type, &proc_exit, &shared_call<&proc_exit>},
                                       {Both, "proc_raise", &proc_raise_type, &proc_raise, &shared_call<&proc_raise>},
#define VMRUN_WASI_X(where, name, function, params)                                  \
  {where, #name, &Binding<Row_##function>::type, &Binding<Row_##function>::raw_call, \
   &shared_call<&Binding<Row_##function>::raw_call>},
                                       VMRUN_WASI_CALLS(VMRUN_WASI_X)
#undef VMRUN_WASI_X
};

/// The definition of a name in one of the two modules, or null.
const Definition* find_definition(std::string_view module, std::string_view name) {
  static const auto* const by_name = [] {
    auto* all = new std::unordered_map<std::string_view, const Definition*>;
    for (const Definition& d : kDefinitions) {
      if ((d.where & Preview1) != 0) all->emplace(d.name, &d);
    }
    return all;
  }();
  const uint8_t where = module == "wasi_snapshot_preview1" ? Preview1 : module == "wasi_unstable" ? Unstable : 0;
  if (where == 0) return nullptr;
  if (where == Preview1) {
    const auto found = by_name->find(name);
    return found != by_name->end() ? found->second : nullptr;
  }
  for (const Definition& d : kDefinitions) {
    if ((d.where & where) != 0 && name == d.name) return &d;
  }
  return nullptr;
}

}  // namespace
}  // namespace wasi

namespace wasi {
namespace {
/// What guests of this engine may not change, whatever they are granted.
void protect_places(const Engine& engine, Context& context) {
  if (context.changes_files) context.guard.add(engine);
}
}  // namespace
}  // namespace wasi

Result<void> add_wasi(Linker& linker, const WasiContext& context) {
  wasi::protect_places(linker.engine(), *context.impl());
  for (const wasi::Definition& d : wasi::kDefinitions) {
    auto func = std::make_shared<const HostFunc>(HostFunc{d.type(), d.call, context.impl()});
    if (d.where & wasi::Preview1) {
      if (auto r = linker.host_func("wasi_snapshot_preview1", d.name, func); !r) return r;
    }
    if (d.where & wasi::Unstable) {
      if (auto r = linker.host_func("wasi_unstable", d.name, func); !r) return r;
    }
  }
  if (context.impl()->max_threads == 0) return {};
  return linker.host_func(wasi::kThreadsModule, wasi::kThreadSpawn, wasi::thread_spawn(context.impl()));
}

Result<Instance> instantiate_wasi(Store& store, const Module& module, const WasiContext& context) try {
  wasi::protect_places(store.engine(), *context.impl());
  const std::vector<vm::Import>& wanted = module.impl()->imports;
  std::vector<Extern> imports;
  imports.reserve(wanted.size());
  // The store's first context serves functions that all stores share; another one needs records of its own.
  const bool shared = engine::share_env(store, context.impl());
  for (const vm::Import& import : wanted) {
    const wasi::Definition* d =
        import.kind == vm::ExternKind::func ? wasi::find_definition(import.module, import.name) : nullptr;
    if (d == nullptr) break;
    auto func =
        shared ? engine::shared_func(store, d->shared, d->type)
               : Func::from_host(store, std::make_shared<const HostFunc>(HostFunc{d->type(), d->call, context.impl()}));
    if (!func) return func.error();
    imports.emplace_back(*func);
  }
  if (imports.size() == wanted.size()) return Instance::instantiate(store, module, imports);
  // The linker makes what threads share, and finds the words for what is missing.
  Linker linker(store.engine());
  if (auto r = add_wasi(linker, context); !r) return r.error();
  if (auto r = linker.add_shared_memories(store, module); !r) return r.error();
  return linker.instantiate(store, module);
}
VMRUN_CATCH_OUR_EXCEPTIONS

}  // namespace vmrun
