// Calls and tail calls: direct, by a table, by a reference.
#include "generate_body.h"

namespace vmrun::test::generate {

uint32_t Body::inner_func() {
  const uint32_t f = r_.below(static_cast<uint32_t>(w_.funcs.size()));
  return w_.funcs[f].entry ? 0 : f;
}

bool Body::call(Type t, unsigned depth) {
  const std::vector<uint32_t> fitting = inner_funcs([&](uint32_t f) {
    const Types& results = w_.signature(f).results;
    return !results.empty() && results[0] == t;
  });
  if (fitting.empty()) return false;
  const uint32_t f = r_.of(fitting);
  call_to(f, depth, false);
  drop(w_.signature(f).results.size() - 1);
  return true;
}

void Body::call_to(uint32_t f, unsigned depth, bool tail) {
  const Signature shape = w_.signature(f);
  values(shape.params, depth + 1);
  switch (r_.below(4)) {
    case 0:
      op(0xd2), u(f);
      if (w_.funcs[f].type < w_.typed_types && r_.one_in(2)) {
        const uint32_t local = local_of(static_cast<Type>(typed + w_.funcs[f].type));
        op(0x21), u(local), op(0x20), u(local);
      }
      op(tail ? 0x15 : 0x14), u(w_.funcs[f].type);
      return;
    case 1: {
      std::vector<uint32_t> fitting = {0, 1};
      if (w_.tables[3].type == typed + w_.funcs[f].type) fitting.push_back(3);
      const uint32_t table = r_.of(fitting);
      if (!r_.one_in(10)) {  // put it into the table first
        const uint32_t last = w_.tables[table].size - 1;
        index_constant(table, last), op(0xd2), u(f), op(0x26), u(table), index_constant(table, last);
      } else {
        index(table, depth);
      }
      op(tail ? 0x13 : 0x11), u(w_.funcs[f].type), u(table);
      return;
    }
    default: op(tail ? 0x12 : 0x10), u(f); return;
  }
}

void Body::call_statement(unsigned depth) {
  const uint32_t f = inner_func();
  call_to(f, depth, false);
  keep(w_.signature(f).results);
}

void Body::tail_call(unsigned depth) {
  const std::vector<uint32_t> fitting =
      inner_funcs([&](uint32_t f) { return w_.signature(f).results == signature_.results; });
  if (fitting.empty() || !r_.one_in(3)) return;
  when(depth, [&] { call_to(r_.of(fitting), depth, true); });
}

}  // namespace vmrun::test::generate
