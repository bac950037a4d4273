// References and the tables that hold them.
#include "generate_body.h"

namespace vmrun::test::generate {
namespace {

constexpr uint32_t kPassive = 2;  // the passive element segment

}  // namespace

void Body::reference(Type t, unsigned depth) {
  switch (r_.below(4)) {
    case 0: {
      std::vector<uint32_t> fitting;
      for (uint32_t i = 0; i < w_.tables.size(); ++i) {
        if (w_.tables[i].type == t) fitting.push_back(i);
      }
      if (fitting.empty()) break;
      const uint32_t table = r_.of(fitting);
      index(table, depth);
      op(0x25), u(table);
      return;
    }
    case 1:
      if (t == funcref && r_.one_in(2)) {  // a subtype's value
        return value(static_cast<Type>(typed + r_.below(w_.typed_types)), depth + 1);
      } else if (t == funcref) {  // a cast that holds
        const uint32_t f = inner_func();
        op(0xd2), u(f);
        op(0xfb), u(r_.one_in(2) ? 0x17 : 0x16), s(w_.funcs[f].type);
        return;
      } else if (t == externref) {  // to another hierarchy and back
        value(t, depth + 1);
        op(0xfb), u(0x1a), op(0xfb), u(0x1b);
        return;
      } else if (is_typed(t) && r_.one_in(6)) {  // a cast that may hold
        value(funcref, depth + 1);
        op(0xfb), u(0x17), append_heap_type(code_, t);
        return;
      }
      break;
    case 2:
      if (t == funcref && r_.one_in(2)) {
        op(0xd2), u(inner_func()), op(0xd4);
      } else {
        block_of({{}, {t}}, [&] {
          value(t, depth + 1);
          op(0xd6), u(0);
          leaf(t);
        });
      }
      return;
    default: break;
  }
  leaf(t);
}

void Body::index_constant(uint32_t table, uint32_t n) { op(w_.tables[table].is64 ? 0x42 : 0x41), s(n); }

void Body::index(uint32_t table, unsigned depth) {
  const bool wide = w_.tables[table].is64;
  const uint32_t size = w_.tables[table].size;
  if (r_.one_in(2)) {
    index_constant(table, r_.below(size));
  } else {
    value(wide ? i64 : i32, depth + 1);
    if (!r_.one_in(30)) index_constant(table, size), op(wide ? 0x82 : 0x70);  // rem_u
  }
}

void Body::table_statement(unsigned depth) {
  const uint32_t t = any_table();
  const Table& table = w_.tables[t];
  const auto count = [&](bool wide) { op(wide ? 0x42 : 0x41), s(r_.below(3)); };
  switch (r_.below(6)) {
    case 0:
    case 1: index(t, depth), value(table.type, depth + 1), op(0x26), u(t); return;
    case 2: index(t, depth), value(table.type, depth + 1), count(table.is64), op(0xfc), u(17), u(t); return;
    case 3: {
      const uint32_t from = t < 2 ? r_.below(2) : t;
      index(t, depth), index(from, depth), count(table.is64 && w_.tables[from].is64), op(0xfc), u(14), u(t), u(from);
      return;
    }
    case 4: {
      const uint32_t to = r_.below(2);
      index(to, depth), op(0x41), s(r_.below(2)), op(0x41), s(r_.below(3)), op(0xfc), u(12), u(kPassive), u(to);
      return;
    }
    default:
      if (r_.one_in(8)) op(0xfc), u(13), u(kPassive);
      return;
  }
}

}  // namespace vmrun::test::generate
