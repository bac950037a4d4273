// WebAssembly modules from C++, for tests that need the same functions in many shapes: bytes, and where each marked
// instruction came to lie.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/module_bytes.h"

namespace vmrun::spine {

using test::append;
using test::append_section;
using test::append_u32;
using test::Bytes;

enum Type : uint8_t {
  i32 = 0x7f,
  i64 = 0x7e,
  f32 = 0x7d,
  f64 = 0x7c,
  v128 = 0x7b,
  funcref = 0x70,
  externref = 0x6f,
  exnref = 0x69,
};
using Types = std::vector<Type>;

/// Instructions of one function. Names are the text format's with `_` for `.`.
class Code {
 public:
  Bytes bytes;
  std::vector<std::pair<std::string, size_t>> marks;  // offset of the instruction that was emitted next

  Code& mark(const std::string& name) { return marks.emplace_back(name, bytes.size()), *this; }
  Code& op(std::initializer_list<uint8_t> b) { return bytes.insert(bytes.end(), b.begin(), b.end()), *this; }
  Code& u(uint32_t n) { return append_u32(bytes, n), *this; }
  Code& s(int64_t n) {
    for (;; n >>= 7) {
      const auto low = static_cast<uint8_t>(n & 0x7f);
      if (n >> 6 == 0 || n >> 6 == -1) return op({low});
      op({static_cast<uint8_t>(low | 0x80)});
    }
  }

  Code& get(uint32_t i) { return op({0x20}).u(i); }
  Code& set(uint32_t i) { return op({0x21}).u(i); }
  Code& tee(uint32_t i) { return op({0x22}).u(i); }
  Code& i32_const(int32_t n) { return op({0x41}).s(n); }
  Code& i64_const(int64_t n) { return op({0x42}).s(n); }
  Code& f64_const(double d) {
    op({0x44});
    const size_t at = bytes.size();
    bytes.resize(at + 8);
    std::memcpy(bytes.data() + at, &d, 8);
    return *this;
  }
  Code& i32_add() { return op({0x6a}); }
  Code& i32_sub() { return op({0x6b}); }
  Code& i64_add() { return op({0x7c}); }
  Code& i64_sub() { return op({0x7d}); }
  Code& f64_add() { return op({0xa0}); }
  Code& i32_eq() { return op({0x46}); }
  Code& i32_eqz() { return op({0x45}); }
  Code& i32_lt_u() { return op({0x49}); }
  Code& i32_ne() { return op({0x47}); }
  Code& i64_extend_i32_u() { return op({0xad}); }
  Code& i32_wrap_i64() { return op({0xa7}); }
  Code& i64x2_add() { return op({0xfd, 0xce, 0x01}); }
  Code& i32_load() { return op({0x28, 2, 0}); }
  Code& i32_store() { return op({0x36, 2, 0}); }
  Code& call(uint32_t f) { return op({0x10}).u(f); }
  Code& call_indirect(uint32_t type) { return op({0x11}).u(type).u(0); }
  Code& return_call(uint32_t f) { return op({0x12}).u(f); }
  Code& return_call_indirect(uint32_t type) { return op({0x13}).u(type).u(0); }
  Code& block(int64_t type) { return op({0x02}).s(type); }
  Code& block() { return op({0x02, 0x40}); }
  Code& loop() { return op({0x03, 0x40}); }
  Code& loop(int64_t type) { return op({0x03}).s(type); }
  Code& br(uint32_t depth) { return op({0x0c}).u(depth); }
  Code& br_if(uint32_t depth) { return op({0x0d}).u(depth); }
  Code& ret() { return op({0x0f}); }
  Code& drop() { return op({0x1a}); }
  Code& unreachable() { return op({0x00}); }
  Code& end() { return op({0x0b}); }
  /// One clause: catch (0), catch_ref (1), catch_all (2), catch_all_ref (3).
  Code& try_table(int64_t type, uint8_t kind, uint32_t tag, uint32_t label) {
    op({0x1f}).s(type).u(1).op({kind});
    if (kind < 2) u(tag);
    return u(label);
  }
  Code& throw_(uint32_t tag) { return op({0x08}).u(tag); }
  Code& throw_ref() { return op({0x0a}); }
};

/// A module with one memory of a page ("memory") and one table ("table") of what `element` names.
class ModuleBuilder {
 public:
  uint32_t type(const Types& params, const Types& results) {
    Bytes t = {0x60};
    for (const Types* list : {&params, &results}) {
      append_u32(t, static_cast<uint32_t>(list->size()));
      for (Type one : *list) t.push_back(one);
    }
    for (uint32_t i = 0; i < types_.size(); ++i) {
      if (types_[i] == t) return i;
    }
    types_.push_back(t);
    return static_cast<uint32_t>(types_.size() - 1);
  }
  /// All imports come before all functions.
  uint32_t import(const std::string& name, uint32_t type) {
    Bytes b;
    text(b, "env");
    text(b, name);
    b.push_back(0);
    append_u32(b, type);
    imports_.push_back(b);
    return static_cast<uint32_t>(imports_.size() - 1);
  }
  /// Reserves an index, so that functions may call each other; `define` gives the body.
  uint32_t func(const std::string& name, uint32_t type) {
    funcs_.push_back({name, type, {}, {}});
    return static_cast<uint32_t>(imports_.size() + funcs_.size() - 1);
  }
  void define(uint32_t index, const Code& code, const Types& locals = {}) {
    Func& f = funcs_[index - imports_.size()];
    f.code = code;
    f.locals = locals;
  }
  uint32_t tag(uint32_t type) {
    tags_.push_back(type);
    return static_cast<uint32_t>(tags_.size() - 1);
  }
  void element(uint32_t func) { elements_.push_back(func); }

  Bytes build() {
    Bytes out = test::kHeader, s;
    append_u32(s, static_cast<uint32_t>(types_.size()));
    for (const Bytes& t : types_) append(s, t);
    append_section(out, 1, s);
    section(out, 2, imports_);
    s.clear();
    append_u32(s, static_cast<uint32_t>(funcs_.size()));
    for (const Func& f : funcs_) append_u32(s, f.type);
    append_section(out, 3, s);
    append_section(out, 4, {1, funcref, 0, 4});
    append_section(out, 5, {1, 0, 1});
    if (!tags_.empty()) {
      s.clear();
      append_u32(s, static_cast<uint32_t>(tags_.size()));
      for (uint32_t t : tags_) s.push_back(0), append_u32(s, t);
      append_section(out, 13, s);
    }
    s.clear();
    append_u32(s, static_cast<uint32_t>(funcs_.size() + 2 + tags_.size()));
    for (uint32_t i = 0; i < funcs_.size(); ++i) {
      text(s, funcs_[i].name);
      s.push_back(0);
      append_u32(s, static_cast<uint32_t>(imports_.size()) + i);
    }
    text(s, "memory");
    s.push_back(2), s.push_back(0);
    text(s, "table");
    s.push_back(1), s.push_back(0);
    for (uint32_t i = 0; i < tags_.size(); ++i) text(s, "tag" + std::to_string(i)), s.push_back(4), append_u32(s, i);
    append_section(out, 7, s);
    if (!elements_.empty()) {
      s = {1, 0, 0x41, 0, 0x0b};
      append_u32(s, static_cast<uint32_t>(elements_.size()));
      for (uint32_t e : elements_) append_u32(s, e);
      append_section(out, 9, s);
    }
    std::vector<Bytes> bodies;
    for (const Func& f : funcs_) {
      Bytes body = head(f);
      append(body, f.code.bytes);
      body.push_back(0x0b);
      Bytes sized;
      append_u32(sized, static_cast<uint32_t>(body.size()));
      append(sized, body);
      bodies.push_back(sized);
    }
    section(out, 10, bodies);
    return out;
  }

  /// Offset of a marked instruction from the beginning of its function's body.
  uint32_t offset(uint32_t func, const std::string& mark) const {
    const Func& f = funcs_[func - imports_.size()];
    for (const auto& [name, at] : f.code.marks) {
      if (name == mark) return static_cast<uint32_t>(head(f).size() + at);
    }
    return 0;
  }

 private:
  struct Func {
    std::string name;
    uint32_t type;
    Code code;
    Types locals;
  };
  static Bytes head(const Func& f) {
    Bytes b;
    append_u32(b, static_cast<uint32_t>(f.locals.size()));
    for (Type t : f.locals) b.push_back(1), b.push_back(t);
    return b;
  }
  static void text(Bytes& out, const std::string& s) {
    append_u32(out, static_cast<uint32_t>(s.size()));
    out.insert(out.end(), s.begin(), s.end());
  }
  static void section(Bytes& out, uint8_t id, const std::vector<Bytes>& items) {
    if (items.empty()) return;
    Bytes s;
    append_u32(s, static_cast<uint32_t>(items.size()));
    for (const Bytes& item : items) append(s, item);
    append_section(out, id, s);
  }

  std::vector<Bytes> types_, imports_;
  std::vector<Func> funcs_;
  std::vector<uint32_t> tags_, elements_;
};

}  // namespace vmrun::spine
