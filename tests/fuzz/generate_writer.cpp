#include "generate_writer.h"

#include <algorithm>

namespace vmrun::test::generate {
namespace {

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

void append_name(Bytes& out, const std::string& name) {
  append_unsigned(out, name.size());
  out.insert(out.end(), name.begin(), name.end());
}

void append_types(Bytes& out, const Types& types) {
  append_unsigned(out, types.size());
  for (Type t : types) append_type(out, t);
}

Code constant(Type type, uint64_t bits) {
  Code code;
  switch (type) {
    case i32: code.i32(static_cast<uint32_t>(bits)); break;
    case i64: code.i64(bits); break;
    case f32: code.f32_bits(0); break;
    case f64: code.f64_bits(0); break;
    case v128: code.v128(0, 0); break;
    default: code.op(Op::ref_null), append_heap_type(code.bytes, type); break;
  }
  return code.end();
}

/// Sections in the order in which they are added; empty ones are left out.
class Sections {
 public:
  /// A vector of `count` items.
  Bytes& section(uint8_t id, size_t count) {
    finish();
    id_ = id;
    count_ = count;
    append_unsigned(bytes_, count);
    return bytes_;
  }
  Bytes take() { return finish(), std::move(out_); }

 private:
  void finish() {
    if (count_ != 0) {
      out_.push_back(id_);
      append_unsigned(out_, bytes_.size());
      append(out_, bytes_);
    }
    bytes_.clear();
    count_ = 0;
  }
  Bytes out_ = {0, 'a', 's', 'm', 1, 0, 0, 0};
  Bytes bytes_;
  uint8_t id_ = 0;
  size_t count_ = 0;
};

}  // namespace

uint32_t ModuleWriter::type(const Signature& signature) {
  auto found = std::ranges::find(types_, signature);
  if (found == types_.end()) found = types_.insert(types_.end(), signature);
  return static_cast<uint32_t>(found - types_.begin());
}

uint32_t ModuleWriter::import(const Signature& signature) {
  func_types_.push_back(type(signature));
  names_.emplace_back();
  return imported_++;
}

uint32_t ModuleWriter::func(const Signature& signature, std::string exported) {
  func_types_.push_back(type(signature));
  names_.push_back(std::move(exported));
  bodies_.emplace_back();
  return static_cast<uint32_t>(func_types_.size() - 1);
}

void ModuleWriter::define(uint32_t func, Code code, Types locals) {
  bodies_[func - imported_] = {std::move(code), std::move(locals)};
}

uint32_t ModuleWriter::memory(const Memory& memory) {
  memories_.push_back(memory);
  return static_cast<uint32_t>(memories_.size() - 1);
}
uint32_t ModuleWriter::table(const Table& table) {
  tables_.push_back(table);
  return static_cast<uint32_t>(tables_.size() - 1);
}
uint32_t ModuleWriter::global(Type type, uint64_t bits) {
  globals_.push_back({type, bits});
  return static_cast<uint32_t>(globals_.size() - 1);
}
uint32_t ModuleWriter::tag(const Types& params) {
  tags_.push_back(type({params, {}}));
  return static_cast<uint32_t>(tags_.size() - 1);
}
uint32_t ModuleWriter::data(Bytes bytes) {
  datas_.push_back(std::move(bytes));
  return static_cast<uint32_t>(datas_.size() - 1);
}
uint32_t ModuleWriter::passive(std::vector<uint32_t> funcs) {
  passive_.push_back(std::move(funcs));
  return static_cast<uint32_t>(passive_.size() - 1);
}

Bytes ModuleWriter::build() const {
  Sections out;
  Bytes& types = out.section(1, types_.size());
  for (const Signature& s : types_) {
    types.push_back(0x60);
    append_types(types, s.params);
    append_types(types, s.results);
  }
  Bytes& imports = out.section(2, imported_);
  for (uint32_t f = 0; f < imported_; ++f) {
    append_name(imports, "host");
    append_name(imports, "f" + std::to_string(f));
    imports.push_back(0);
    append_unsigned(imports, func_types_[f]);
  }
  Bytes& funcs = out.section(3, bodies_.size());
  for (size_t f = imported_; f < func_types_.size(); ++f) append_unsigned(funcs, func_types_[f]);
  Bytes& tables = out.section(4, tables_.size());
  for (const Table& t : tables_) {
    append_type(tables, t.type);
    tables.push_back(t.is64 ? 5 : 1);
    append_unsigned(tables, t.size);
    append_unsigned(tables, t.max);
  }
  Bytes& memories = out.section(5, memories_.size());
  for (const Memory& m : memories_) {
    memories.push_back(static_cast<uint8_t>(1 | (m.shared ? 2 : 0) | (m.is64 ? 4 : 0)));
    append_unsigned(memories, m.pages);
    append_unsigned(memories, m.max);
  }
  Bytes& tags = out.section(13, tags_.size());
  for (uint32_t t : tags_) {
    tags.push_back(0);
    append_unsigned(tags, t);
  }
  Bytes& globals = out.section(6, globals_.size());
  for (const NewGlobal& g : globals_) {
    append_type(globals, g.type);
    globals.push_back(1);
    append(globals, constant(g.type, g.bits).bytes);
  }
  Bytes exports;
  size_t exported = 0;
  const auto add_export = [&](const std::string& name, uint8_t kind, size_t index) {
    append_name(exports, name);
    exports.push_back(kind);
    append_unsigned(exports, index);
    ++exported;
  };
  for (size_t f = 0; f < names_.size(); ++f) {
    if (!names_[f].empty()) add_export(names_[f], 0, f);
  }
  for (size_t t = 0; t < tables_.size(); ++t) add_export("t" + std::to_string(t), 1, t);
  for (size_t m = 0; m < memories_.size(); ++m) add_export("m" + std::to_string(m), 2, m);
  for (size_t g = 0; g < globals_.size(); ++g) add_export("g" + std::to_string(g), 3, g);
  append(out.section(7, exported), exports);
  // Passive ones, active ones, and one that declares all functions, so that references may name them.
  Bytes& elements = out.section(9, passive_.size() + active_.size() + 1);
  const auto list = [&](const std::vector<uint32_t>& all) {
    append_unsigned(elements, all.size());
    for (uint32_t f : all) append_unsigned(elements, f);
  };
  for (const std::vector<uint32_t>& segment : passive_) append(elements, {1, 0}), list(segment);
  for (const Active& active : active_) {
    elements.push_back(2);
    append_unsigned(elements, active.table);
    append(elements, constant(tables_[active.table].is64 ? i64 : i32, 0).bytes);
    elements.push_back(0);
    list(active.funcs);
  }
  append(elements, {3, 0});
  std::vector<uint32_t> every(func_types_.size());
  for (uint32_t f = 0; f < every.size(); ++f) every[f] = f;
  list(every);
  const size_t datas = datas_.size() + initial_.size();
  if (datas != 0) out.section(12, datas);
  Bytes& code = out.section(10, bodies_.size());
  for (const Body& body : bodies_) {
    Bytes bytes;
    append_unsigned(bytes, body.locals.size());
    for (Type t : body.locals) bytes.push_back(1), append_type(bytes, t);
    append(bytes, body.code.bytes);
    append_unsigned(code, bytes.size());
    append(code, bytes);
  }
  Bytes& data = out.section(11, datas);
  for (const Bytes& bytes : datas_) {
    data.push_back(1);
    append_unsigned(data, bytes.size());
    append(data, bytes);
  }
  for (const Initial& segment : initial_) {
    data.push_back(0);
    append(data, constant(memories_[0].is64 ? i64 : i32, segment.address).bytes);
    append_unsigned(data, segment.bytes.size());
    append(data, segment.bytes);
  }
  return out.take();
}

}  // namespace vmrun::test::generate
