// The structures behind wasm.h's names of types. An extern type is one of five; a cast changes the name alone.
#pragma once

#include "capi/values.h"

struct wasm_externtype_t {
  explicit wasm_externtype_t(vmrun::ExternKind k) : kind(k) {}
  virtual ~wasm_externtype_t() = default;
  wasm_externtype_t(const wasm_externtype_t&) = delete;
  wasm_externtype_t& operator=(const wasm_externtype_t&) = delete;
  const vmrun::ExternKind kind;
};

struct wasm_functype_t : wasm_externtype_t {
  wasm_functype_t() : wasm_externtype_t(vmrun::ExternKind::Func) {}
  ~wasm_functype_t() override {
    wasm_valtype_vec_delete(&params);
    wasm_valtype_vec_delete(&results);
  }
  wasm_valtype_vec_t params{}, results{};
};

struct wasm_globaltype_t : wasm_externtype_t {
  explicit wasm_globaltype_t(vmrun::GlobalType t)
      : wasm_externtype_t(vmrun::ExternKind::Global), type(t), content{t.type} {}
  const vmrun::GlobalType type;
  const wasm_valtype_t content;
};

struct wasm_tabletype_t : wasm_externtype_t {
  explicit wasm_tabletype_t(vmrun::TableType t);
  const vmrun::TableType type;
  const wasm_valtype_t element;
  const wasm_limits_t limits;
};

struct wasm_memorytype_t : wasm_externtype_t {
  explicit wasm_memorytype_t(vmrun::MemoryType t);
  const vmrun::MemoryType type;
  const wasm_limits_t limits;
};

struct wasm_tagtype_t : wasm_externtype_t {
  explicit wasm_tagtype_t(std::unique_ptr<wasm_functype_t> own)
      : wasm_externtype_t(vmrun::ExternKind::Tag), func(std::move(own)) {}
  const std::unique_ptr<wasm_functype_t> func;
};
