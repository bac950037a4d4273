// Externs: globals, tables, memories, tags, and instances, which have them.
#include "capi/types.h"
#include "vmrun/memory.h"

using namespace vmrun;
using namespace vmrun::capi;

namespace {

/// Notes a failure; whether there was none.
bool noted(Result<void> done) {
  if (done) return true;
  set_last_error(std::move(done).error());
  return false;
}

/// Whether there is no type, as after a failure of its maker; that is noted.
bool untyped(const wasm_externtype_t* type) {
  if (type != nullptr) return false;
  set_last_error(usage("the type is NULL"));
  return true;
}

uint32_t narrow(uint64_t size) { return static_cast<uint32_t>(std::min<uint64_t>(size, UINT32_MAX)); }

}  // namespace

// ---- externs ----

wasm_externkind_t wasm_extern_kind(const wasm_extern_t* item) {
  switch (item->kind) {
    case Kind::Func: return WASM_EXTERN_FUNC;
    case Kind::Global: return WASM_EXTERN_GLOBAL;
    case Kind::Table: return WASM_EXTERN_TABLE;
    case Kind::Memory: return WASM_EXTERN_MEMORY;
    default: return WASM_EXTERN_TAG;
  }
}
wasm_externtype_t* wasm_extern_type(const wasm_extern_t* item) {
  return guarded([&] { return new_externtype(extern_of(*item).type()); });
}

// ---- globals ----

wasm_global_t* wasm_global_new(wasm_store_t* store, const wasm_globaltype_t* type, const wasm_val_t* value) {
  return guarded([&]() -> wasm_global_t* {
    if (untyped(type)) return nullptr;
    StoreState& state = *store->state;
    const GlobalType wanted = from_globaltype(*type);
    return with(to_val(state, wanted.type, *value, "the value"), [&](const Val& val) {
      return with(Global::create(state.store, wanted, val),
                  [&](Global& made) { return new wasm_global_t(Kind::Global, store->state, made.impl()); });
    });
  });
}
wasm_globaltype_t* wasm_global_type(const wasm_global_t* global) {
  return guarded([&] { return new wasm_globaltype_t(global_of(*global).type()); });
}
void wasm_global_get(const wasm_global_t* global, wasm_val_t* out) {
  *out = guarded([&] { return from_val(global->store, global_of(*global).get()); });
}
void wasm_global_set(wasm_global_t* global, const wasm_val_t* value) {
  guarded([&] {
    Global own = global_of(*global);
    with(to_val(*global->store, own.type().type, *value, "the value"),
         [&](const Val& val) { return noted(own.set(val)); });
  });
}

// ---- tables ----

wasm_table_t* wasm_table_new(wasm_store_t* store, const wasm_tabletype_t* type, wasm_ref_t* init) {
  return guarded([&]() -> wasm_table_t* {
    if (untyped(type)) return nullptr;
    StoreState& state = *store->state;
    const TableType wanted = from_tabletype(*type);
    return with(to_val(state, wanted.element, init, "the first element"), [&](const Val& val) {
      return with(Table::create(state.store, wanted, val),
                  [&](Table& made) { return new wasm_table_t(Kind::Table, store->state, made.impl()); });
    });
  });
}
wasm_tabletype_t* wasm_table_type(const wasm_table_t* table) {
  return guarded([&] { return new wasm_tabletype_t(table_of(*table).type()); });
}
wasm_ref_t* vmrun_table_get(const wasm_table_t* table, uint64_t index) {
  return guarded([&] {
    return with(table_of(*table).get(index),
                [&](const Val& value) { return from_ref(table->store, value.type(), value.as_ref()); });
  });
}
bool vmrun_table_set(wasm_table_t* table, uint64_t index, wasm_ref_t* ref) {
  return guarded([&] {
    Table own = table_of(*table);
    return with(to_val(*table->store, own.type().element, ref, "the element"),
                [&](const Val& value) { return noted(own.set(index, value)); });
  });
}
uint64_t vmrun_table_size(const wasm_table_t* table) { return table_of(*table).size(); }
bool vmrun_table_grow(wasm_table_t* table, uint64_t delta, wasm_ref_t* init) {
  return guarded([&] {
    Table own = table_of(*table);
    return with(to_val(*table->store, own.type().element, init, "the new element"),
                [&](const Val& value) { return with(own.grow(delta, value), [](uint64_t) { return true; }); });
  });
}
wasm_ref_t* wasm_table_get(const wasm_table_t* table, wasm_table_size_t index) { return vmrun_table_get(table, index); }
bool wasm_table_set(wasm_table_t* table, wasm_table_size_t index, wasm_ref_t* ref) {
  return vmrun_table_set(table, index, ref);
}
wasm_table_size_t wasm_table_size(const wasm_table_t* table) { return narrow(table_of(*table).size()); }
bool wasm_table_grow(wasm_table_t* table, wasm_table_size_t delta, wasm_ref_t* init) {
  return vmrun_table_grow(table, delta, init);
}

// ---- memories ----

struct vmrun_shared_memory_t {
  SharedMemory memory;
};

wasm_memory_t* wasm_memory_new(wasm_store_t* store, const wasm_memorytype_t* type) {
  return guarded([&]() -> wasm_memory_t* {
    if (untyped(type)) return nullptr;
    return with(Memory::create(store->state->store, from_memorytype(*type)),
                [&](Memory& made) { return new wasm_memory_t(Kind::Memory, store->state, made.impl()); });
  });
}
wasm_memorytype_t* wasm_memory_type(const wasm_memory_t* memory) {
  return guarded([&] { return new wasm_memorytype_t(memory_of(*memory).type()); });
}
byte_t* wasm_memory_data(wasm_memory_t* memory) { return reinterpret_cast<byte_t*>(memory_of(*memory).data().data()); }
size_t wasm_memory_data_size(const wasm_memory_t* memory) { return memory_of(*memory).size_bytes(); }
uint64_t vmrun_memory_size(const wasm_memory_t* memory) { return memory_of(*memory).size_pages(); }
bool vmrun_memory_grow(wasm_memory_t* memory, uint64_t delta) {
  return guarded([&] { return with(memory_of(*memory).grow(delta), [](uint64_t) { return true; }); });
}
wasm_memory_pages_t wasm_memory_size(const wasm_memory_t* memory) { return narrow(memory_of(*memory).size_pages()); }
bool wasm_memory_grow(wasm_memory_t* memory, wasm_memory_pages_t delta) { return vmrun_memory_grow(memory, delta); }

void vmrun_shared_memory_delete(vmrun_shared_memory_t* memory) { delete memory; }
vmrun_shared_memory_t* vmrun_memory_share(const wasm_memory_t* memory) {
  return guarded([&]() -> vmrun_shared_memory_t* {
    if (auto shared = memory_of(*memory).shared(memory->store->store)) return new vmrun_shared_memory_t{*shared};
    set_last_error(Error(ErrorKind::Usage, "the memory is not shared"));
    return nullptr;
  });
}
wasm_memory_t* vmrun_memory_obtain(wasm_store_t* store, const vmrun_shared_memory_t* shared) {
  return guarded([&] {
    return with(shared->memory.in(store->state->store),
                [&](Memory& memory) { return new wasm_memory_t(Kind::Memory, store->state, memory.impl()); });
  });
}

// ---- tags and exceptions ----

vmrun_tag_t* vmrun_tag_new(wasm_store_t* store, const wasm_tagtype_t* type) {
  return guarded([&]() -> vmrun_tag_t* {
    if (untyped(type)) return nullptr;
    if (type->func->results.size != 0) {
      set_last_error(usage("a tag has no results: its function type has parameters alone"));
      return nullptr;
    }
    return with(Tag::create(store->state->store, from_tagtype(*type)),
                [&](Tag& made) -> vmrun_tag_t* { return new wasm_extern_t(Kind::Tag, store->state, made.impl()); });
  });
}
vmrun_tag_t* vmrun_extern_as_tag(wasm_extern_t* item) {
  return item != nullptr && item->kind == Kind::Tag ? item : nullptr;
}
wasm_ref_t* vmrun_exception_new(const vmrun_tag_t* tag, const wasm_val_vec_t* values) {
  return guarded([&]() -> wasm_ref_t* {
    const Tag own = tag_of(*tag);
    const std::vector<ValType> params = own.type().params;
    std::vector<Val> vals;
    for (size_t i = 0; values != nullptr && i < values->size; ++i) {
      const ValType type = i < params.size() ? params[i] : ValType(ValKind::I32);  // too many are an error of their own
      Result<Val> val = to_val(*tag->store, type, values->data[i], "value " + std::to_string(i));
      if (!val && i < params.size()) {
        set_last_error(std::move(val).error());
        return nullptr;
      }
      vals.push_back(val ? *val : Val());
    }
    return with(own.exception(vals),
                [&](const Val& made) { return new wasm_ref_t(tag->store, made.type(), made.as_ref()); });
  });
}
bool vmrun_exception_values(const wasm_ref_t* exception, const vmrun_tag_t* tag, wasm_val_vec_t* out) {
  if (exception == nullptr || exception->kind != Kind::Opaque || exception->type.heap() != HeapKind::Exn) return false;
  return guarded([&] {
    const Tag own = tag_of(*tag);
    if (!own.names(exception->opaque)) return false;
    if (out == nullptr) return true;
    const std::vector<Val> values = own.values(exception->opaque);
    wasm_val_vec_new_uninitialized(out, values.size());
    for (size_t i = 0; i < out->size; ++i) out->data[i] = from_val(tag->store, values[i]);
    return true;
  });
}

// ---- instances ----

wasm_instance_t* wasm_instance_new(wasm_store_t* store, const wasm_module_t* module, const wasm_extern_vec_t* imports,
                                   wasm_trap_t** trap) {
  const StorePtr state = store->state;
  if (trap != nullptr) *trap = nullptr;
  try {
    std::vector<Extern> items;
    std::optional<Error> error;
    for (size_t i = 0; imports != nullptr && i < imports->size && !error; ++i) {
      if (imports->data[i] == nullptr) {
        error = Error(ErrorKind::Link, "import " + std::to_string(i) + " is NULL");
      } else {
        items.push_back(extern_of(*imports->data[i]));
      }
    }
    if (!error) {
      Result<Instance> made = Instance::instantiate(state->store, module_of(*module), items);
      if (made) {
        state->instances.push_back(made->impl());
        return new_instance(state, *made);
      }
      error = std::move(made).error();
    }
    set_last_error(*error);
    if (trap != nullptr) *trap = trap_for(state, std::move(*error));
  } catch (const std::bad_alloc&) {  // what a callback throws passes
    set_last_error(caught());
    if (trap != nullptr) *trap = new_trap(state, caught());
  }
  return nullptr;
}

void wasm_instance_exports(const wasm_instance_t* instance, wasm_extern_vec_t* out) {
  wasm_extern_vec_new_empty(out);
  guarded([&] {
    const auto exports = instance_of(*instance).exports();
    wasm_extern_vec_new_uninitialized(out, exports.size());
    for (size_t i = 0; i < out->size; ++i) out->data[i] = new_extern(instance->store, exports[i].second);
  });
}

wasm_extern_t* vmrun_instance_export(const wasm_instance_t* instance, const char* name) {
  return guarded([&]() -> wasm_extern_t* {
    if (name == nullptr) return nullptr;
    const std::optional<Extern> item = instance_of(*instance).get(name);
    return item ? new_extern(instance->store, *item) : nullptr;
  });
}
