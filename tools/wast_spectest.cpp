// The suite's host module; see wast_spectest.h.
#include "tools/wast_spectest.h"

#include "vmrun/vmrun.h"

namespace vmrun::tools {
namespace {

constexpr const char* kModule = "spectest";

Result<void> define_functions(Linker& linker) {
  if (auto r = linker.func_wrap(kModule, "print", [] {}); !r) return r;
  if (auto r = linker.func_wrap(kModule, "print_i32", [](int32_t) {}); !r) return r;
  if (auto r = linker.func_wrap(kModule, "print_i64", [](int64_t) {}); !r) return r;
  if (auto r = linker.func_wrap(kModule, "print_f32", [](float) {}); !r) return r;
  if (auto r = linker.func_wrap(kModule, "print_f64", [](double) {}); !r) return r;
  if (auto r = linker.func_wrap(kModule, "print_i32_f32", [](int32_t, float) {}); !r) return r;
  return linker.func_wrap(kModule, "print_f64_f64", [](double, double) {});
}

template <class Item>
Result<void> define(Linker& linker, Store& store, const char* name, Result<Item> item) {
  if (!item) return item.error();
  return linker.define(kModule, name, Extern(*item), store);
}

}  // namespace

Result<void> define_spectest(Linker& linker, Store& store) {
  if (auto r = define_functions(linker); !r) return r;

  const std::pair<const char*, Val> globals[] = {
      {"global_i32", Val::i32(666)},
      {"global_i64", Val::i64(666)},
      {"global_f32", Val::f32(666.6f)},
      {"global_f64", Val::f64(666.6)},
  };
  for (const auto& [name, value] : globals) {
    auto r = define(linker, store, name, Global::create(store, GlobalType{value.type(), false}, value));
    if (!r) return r;
  }

  const Val null = Val::null(HeapKind::Func);
  const TableType table{ValType::funcref(), 10, 20, false};
  const TableType table64{ValType::funcref(), 10, 20, true};
  if (auto r = define(linker, store, "table", Table::create(store, table, null)); !r) return r;
  if (auto r = define(linker, store, "table64", Table::create(store, table64, null)); !r) return r;

  const MemoryType memory{.min = 1, .max = 2};
  const MemoryType shared{.min = 1, .max = 2, .shared = true};
  if (auto r = define(linker, store, "memory", Memory::create(store, memory)); !r) return r;
  return define(linker, store, "shared_memory", Memory::create(store, shared));
}

}  // namespace vmrun::tools
