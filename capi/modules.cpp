// Modules: made of images, shared between stores, as bytes.
#include <span>
#include <vector>

#include "capi/types.h"
#include "vm/wasm/module.h"

using namespace vmrun;
using namespace vmrun::capi;

namespace {

std::span<const uint8_t> bytes_of(const wasm_byte_vec_t& vec) {
  return {reinterpret_cast<const uint8_t*>(vec.data), vec.size};
}

wasm_module_t* new_module(const StorePtr& state, Module module) {
  return new wasm_module_t(state, std::make_shared<ModuleObject>(std::move(module)));
}

Result<void> take_module(const StorePtr& state, Result<Module> made, wasm_module_t** out) {
  if (!made) return std::move(made).error();
  *out = new_module(state, std::move(*made));
  return {};
}

void set_name(wasm_name_t* out, std::string_view text) {
  wasm_name_new(out, text.size(), text.data());
  if (out->size != text.size()) throw std::bad_alloc();
}

}  // namespace

wasm_module_t* wasm_module_new(wasm_store_t* store, const wasm_byte_vec_t* binary) {
  return guarded([&] {
    return with(Module::compile(store->state->store.engine(), bytes_of(*binary)),
                [&](Module& module) { return new_module(store->state, module); });
  });
}

vmrun_error_t* vmrun_module_new(wasm_store_t* store, const wasm_byte_vec_t* binary, const char* name,
                                wasm_module_t** out) {
  *out = nullptr;
  const std::string_view text = name != nullptr ? name : "";
  return failure_of([&] {
    return take_module(store->state, Module::compile(store->state->store.engine(), bytes_of(*binary), text), out);
  });
}

vmrun_error_t* vmrun_module_new_from_file(wasm_store_t* store, const char* path, wasm_module_t** out) {
  *out = nullptr;
  return failure_of([&]() -> Result<void> {
    if (path == nullptr) return usage("the path of the module is NULL");
    return take_module(store->state, Module::compile_file(store->state->store.engine(), path), out);
  });
}

bool wasm_module_validate(wasm_store_t* store, const wasm_byte_vec_t* binary) {
  return guarded([&] {
    return with(Module::compile(store->state->store.engine(), bytes_of(*binary)), [](Module&) { return true; });
  });
}

void wasm_module_imports(const wasm_module_t* module, wasm_importtype_vec_t* out) {
  wasm_importtype_vec_new_empty(out);
  guarded([&] {
    const std::vector<ImportType> imports = module_of(*module).imports();
    wasm_importtype_vec_new_uninitialized(out, imports.size());
    for (size_t i = 0; i < out->size; ++i) {
      wasm_name_t from, name;
      set_name(&from, imports[i].module);
      set_name(&name, imports[i].name);
      out->data[i] = wasm_importtype_new(&from, &name, new_externtype(imports[i].type));
    }
  });
}

void wasm_module_exports(const wasm_module_t* module, wasm_exporttype_vec_t* out) {
  wasm_exporttype_vec_new_empty(out);
  guarded([&] {
    const std::vector<ExportType> exports = module_of(*module).exports();
    wasm_exporttype_vec_new_uninitialized(out, exports.size());
    for (size_t i = 0; i < out->size; ++i) {
      wasm_name_t name;
      set_name(&name, exports[i].name);
      out->data[i] = wasm_exporttype_new(&name, new_externtype(exports[i].type));
    }
  });
}

// ---- as bytes ----

void wasm_module_serialize(const wasm_module_t* module, wasm_byte_vec_t* out) {
  wasm_byte_vec_new_empty(out);
  guarded([&] {
    const Result<std::vector<uint8_t>> bytes = module_of(*module).serialize();
    if (!bytes) return set_last_error(bytes.error());
    wasm_byte_vec_new(out, bytes->size(), reinterpret_cast<const wasm_byte_t*>(bytes->data()));
  });
}

wasm_module_t* wasm_module_deserialize(wasm_store_t* store, const wasm_byte_vec_t* bytes) {
  return guarded([&] {
    return with(Module::deserialize(store->state->store.engine(), bytes_of(*bytes)),
                [&](Module& module) { return new_module(store->state, module); });
  });
}

vmrun_error_t* vmrun_module_serialize(const wasm_module_t* module, const wasm_byte_vec_t* key, wasm_byte_vec_t* out) {
  wasm_byte_vec_new_empty(out);
  return failure_of([&]() -> Result<void> {
    if (key == nullptr) return usage("the key is NULL");
    SerializeOptions options;
    Result<MacKey> secret = MacKey::from_bytes(bytes_of(*key));
    if (!secret) return std::move(secret).error();
    options.key = std::move(*secret);
    Result<std::vector<uint8_t>> bytes = module_of(*module).serialize(options);
    if (!bytes) return std::move(bytes).error();
    wasm_byte_vec_new(out, bytes->size(), reinterpret_cast<const wasm_byte_t*>(bytes->data()));
    if (out->size != bytes->size()) throw std::bad_alloc();
    return {};
  });
}

vmrun_error_t* vmrun_module_deserialize(wasm_store_t* store, const wasm_byte_vec_t* bytes, const wasm_byte_vec_t* key,
                                        wasm_module_t** out) {
  *out = nullptr;
  return failure_of([&]() -> Result<void> {
    if (key == nullptr) return usage("the key is NULL");
    Result<MacKey> secret = MacKey::from_bytes(bytes_of(*key));
    if (!secret) return std::move(secret).error();
    return take_module(store->state, Module::deserialize(store->state->store.engine(), bytes_of(*bytes), {}, *secret),
                       out);
  });
}

// ---- between stores ----

wasm_shared_module_t* wasm_module_share(const wasm_module_t* module) {
  return guarded([&] { return new wasm_shared_module_t{module_of(*module)}; });
}
void wasm_shared_module_delete(wasm_shared_module_t* shared) { delete shared; }
wasm_module_t* wasm_module_obtain(wasm_store_t* store, const wasm_shared_module_t* shared) {
  return guarded([&] { return new_module(store->state, shared->module); });
}
