#include "generate.h"

#include <algorithm>
#include <string>

namespace vmrun::test {
namespace generate {

void append_unsigned(Bytes& out, uint64_t n) {
  for (; n >= 0x80; n >>= 7) out.push_back(static_cast<uint8_t>(n | 0x80));
  out.push_back(static_cast<uint8_t>(n));
}

void append_signed(Bytes& out, int64_t n) {
  for (;; n >>= 7) {
    const auto low = static_cast<uint8_t>(n & 0x7f);
    const bool last = n >> 6 == 0 || n >> 6 == -1;
    out.push_back(last ? low : low | 0x80);
    if (last) return;
  }
}

void append_type(Bytes& out, Type type) {
  if (is_typed(type)) out.push_back(0x63);
  append_heap_type(out, type);
}

void append_heap_type(Bytes& out, Type type) {
  if (is_typed(type)) {
    append_signed(out, type - typed);
  } else {
    out.push_back(static_cast<uint8_t>(type));
  }
}

uint32_t World::type_of(const Signature& signature) {
  auto found = std::ranges::find(types, signature);
  if (found == types.end()) found = types.insert(types.end(), signature);
  return static_cast<uint32_t>(found - types.begin());
}

namespace {

Type any_type(const World& w, Random& random) {
  static const Types kTypes = {i32, i32, i32, i64, i64, f32, f64, f64, v128, v128, funcref, externref, exnref};
  if (w.typed_types != 0 && random.one_in(12)) return static_cast<Type>(typed + random.below(w.typed_types));
  return random.of(kTypes);
}

Signature any_signature(const World& w, Random& random, bool host) {
  Signature s;
  const bool many = random.one_in(24);
  const uint32_t params = many ? random.below(60) : random.one_in(8) ? random.below(24) : random.below(5);
  const uint32_t results = many ? random.below(40) : random.one_in(8) ? random.below(8) : random.below(3);
  for (uint32_t i = 0; i < params; ++i) s.params.push_back(any_type(w, random));
  for (uint32_t i = 0; i < results; ++i) s.results.push_back(any_type(w, random));
  auto unknown_to_hosts = [](Type t) { return t == funcref || t == exnref || is_typed(t); };
  if (host) std::erase_if(s.params, unknown_to_hosts), std::erase_if(s.results, unknown_to_hosts);
  return s;
}

World make_world(Random& random, bool small) {
  World w;
  w.small = small;
  w.legacy = random.one_in(2);
  w.large_frames = random.one_in(16);
  w.many_targets = random.one_in(12);
  w.deep = random.one_in(12);
  w.imported = 1 + random.below(2);
  const uint32_t entries = 2 + random.below(small ? 1 : 3), inner = 2 + random.below(small ? 2 : 6);
  for (uint32_t i = 0; i < 3; ++i) w.type_of(any_signature(w, random, false));
  w.typed_types = static_cast<uint32_t>(w.types.size());
  for (uint32_t i = 0; i < w.imported + entries + inner; ++i) {
    const bool host = i < w.imported;
    const bool named = !host && i >= w.imported + entries && random.one_in(2);  // one that references name
    const uint32_t type = named ? random.below(w.typed_types) : w.type_of(any_signature(w, random, host));
    w.funcs.push_back({type, !host && i < w.imported + entries});
  }
  const uint32_t memories = random.one_in(6) ? 3 : 1 + random.one_in(3);
  for (uint32_t i = 0; i < memories; ++i) {
    w.memories.push_back({random.one_in(4), random.one_in(4), 1 + random.below(2), 3 + random.below(3)});
  }
  w.globals.push_back({i32});
  for (Type t : {i32, i64, f32, f64, v128, funcref, externref, exnref, typed}) {
    w.globals.push_back({t});
    if (random.one_in(2)) w.globals.push_back({t});
  }
  // The first two of funcref, which bulk instructions copy between.
  w.tables = {
      {funcref, 12, 20, random.one_in(4)}, {funcref, 9, 14, random.one_in(4)}, {externref, 5, 9, random.one_in(4)}};
  w.tables.push_back({static_cast<Type>(typed + random.below(w.typed_types)), 6, 10, random.one_in(4)});
  const uint32_t tags = 1 + random.below(3);
  for (uint32_t i = 0; i < tags; ++i) {
    Signature s = any_signature(w, random, false);
    s.results.clear();
    if (s.params.size() > 5) s.params.resize(5);
    w.tags.push_back(w.type_of(s));
  }
  w.datas = {random.below(40), 100 + random.below(200)};
  w.elems = 4;
  return w;
}

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

void append_name(Bytes& out, const std::string& name) {
  append_unsigned(out, name.size());
  out.insert(out.end(), name.begin(), name.end());
}

void append_types(Bytes& out, const Types& types) {
  append_unsigned(out, types.size());
  for (Type t : types) append_type(out, t);
}

void append_zero(Bytes& out, Type type) {
  switch (type) {
    case i32: append(out, {0x41, 0}); break;
    case i64: append(out, {0x42, 0}); break;
    case f32: append(out, {0x43, 0, 0, 0, 0}); break;
    case f64: append(out, {0x44, 0, 0, 0, 0, 0, 0, 0, 0}); break;
    case v128:
      append(out, {0xfd, 0x0c});
      out.insert(out.end(), 16, 0);
      break;
    default: out.push_back(0xd0), append_heap_type(out, type); break;
  }
}

struct Section {
  uint8_t id;
  Bytes bytes;
};

Bytes assemble(World& w, Random& random) {
  // Bodies first: they add types.
  std::vector<Bytes> bodies;
  for (uint32_t f = w.imported; f < w.funcs.size(); ++f) bodies.push_back(generate_body(w, random, f));

  std::vector<Section> sections;
  auto section = [&](uint8_t id, size_t count) -> Bytes& {
    sections.push_back({id, {}});
    append_unsigned(sections.back().bytes, count);
    return sections.back().bytes;
  };
  Bytes& types = section(1, w.types.size());
  for (const Signature& s : w.types) {
    types.push_back(0x60);
    append_types(types, s.params);
    append_types(types, s.results);
  }
  Bytes& imports = section(2, w.imported);
  for (uint32_t f = 0; f < w.imported; ++f) {
    append_name(imports, "host");
    append_name(imports, "f" + std::to_string(f));
    imports.push_back(0);
    append_unsigned(imports, w.funcs[f].type);
  }
  Bytes& funcs = section(3, bodies.size());
  for (uint32_t f = w.imported; f < w.funcs.size(); ++f) append_unsigned(funcs, w.funcs[f].type);
  Bytes& tables = section(4, w.tables.size());
  for (const Table& t : w.tables) {
    append_type(tables, t.type);
    tables.push_back(t.is64 ? 5 : 1);
    append_unsigned(tables, t.size);
    append_unsigned(tables, t.max);
  }
  Bytes& memories = section(5, w.memories.size());
  for (const Memory& m : w.memories) {
    memories.push_back(static_cast<uint8_t>(1 | (m.shared ? 2 : 0) | (m.is64 ? 4 : 0)));
    append_unsigned(memories, m.pages);
    append_unsigned(memories, m.max);
  }
  Bytes& tags = section(13, w.tags.size());
  for (uint32_t t : w.tags) {
    tags.push_back(0);
    append_unsigned(tags, t);
  }
  Bytes& globals = section(6, w.globals.size());
  for (const Global& g : w.globals) {
    append_type(globals, g.type), globals.push_back(1);
    append_zero(globals, g.type);
    globals.push_back(0x0b);
  }
  std::vector<std::pair<std::string, std::pair<uint8_t, uint32_t>>> names;
  for (uint32_t f = w.imported; f < w.funcs.size(); ++f) {
    if (w.funcs[f].entry) names.push_back({"f" + std::to_string(f), {0, f}});
  }
  for (uint32_t m = 0; m < w.memories.size(); ++m) names.push_back({"m" + std::to_string(m), {2, m}});
  for (uint32_t g = 1; g < w.globals.size(); ++g) names.push_back({"g" + std::to_string(g), {3, g}});
  for (uint32_t t = 0; t < w.tags.size(); ++t) names.push_back({"t" + std::to_string(t), {4, t}});
  Bytes& exports = section(7, names.size());
  for (const auto& [name, what] : names) {
    append_name(exports, name);
    exports.push_back(what.first);
    append_unsigned(exports, what.second);
  }
  Bytes& elems = section(9, 4);
  const auto inner = static_cast<uint32_t>(std::ranges::count(w.funcs, false, &Func::entry)) - w.imported;
  const auto first = static_cast<uint32_t>(w.funcs.size()) - inner;
  const auto zero = [&](uint32_t t) { return static_cast<uint8_t>(w.tables[t].is64 ? 0x42 : 0x41); };
  append(elems, {0, zero(0), 0, 0x0b});  // the first table, from 0
  append_unsigned(elems, 10);
  for (uint32_t i = 0; i < 10; ++i) append_unsigned(elems, i == 9 ? 0 : first + i % inner);
  append(elems, {2, 1, zero(1), 1, 0x0b, 0});  // the second one, from 1
  append_unsigned(elems, 7);
  for (uint32_t i = 0; i < 7; ++i) append_unsigned(elems, i == 6 ? 0 : first + random.below(inner));
  append(elems, {1, 0});  // passive
  append_unsigned(elems, w.elems);
  for (uint32_t i = 0; i < w.elems; ++i) append_unsigned(elems, first + random.below(inner));
  append(elems, {3, 0});  // declared
  append_unsigned(elems, w.funcs.size());
  for (uint32_t i = 0; i < w.funcs.size(); ++i) append_unsigned(elems, i);
  sections.push_back({12, {static_cast<uint8_t>(w.datas.size() + 1)}});
  Bytes& code = section(10, bodies.size());
  for (const Bytes& body : bodies) append(code, body);
  Bytes& datas = section(11, w.datas.size() + 1);
  auto bytes = [&](uint32_t size) {
    append_unsigned(datas, size);
    for (uint32_t i = 0; i < size; ++i) datas.push_back(static_cast<uint8_t>(random.bits()));
  };
  for (uint32_t size : w.datas) {
    datas.push_back(1);
    bytes(size);
  }
  append(datas, {0, static_cast<uint8_t>(w.memories[0].is64 ? 0x42 : 0x41), 0, 0x0b});
  bytes(512);

  Bytes out = {0, 'a', 's', 'm', 1, 0, 0, 0};
  for (const Section& s : sections) {
    out.push_back(s.id);
    append_unsigned(out, s.bytes.size());
    append(out, s.bytes);
  }
  return out;
}

}  // namespace
}  // namespace generate

std::vector<uint8_t> generate_module(uint64_t seed, bool small) {
  generate::Random random(seed * 0x9e3779b97f4a7c15 + 1);
  generate::World world = generate::make_world(random, small);
  return generate::assemble(world, random);
}

}  // namespace vmrun::test
