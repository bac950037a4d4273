// Exceptions of both forms: what throws, and what catches.
#include "generate_body.h"

namespace vmrun::test::generate {

void Body::guarded(const Signature& shape, unsigned depth) {
  if (w_.legacy != r_.one_in(8)) return legacy_try(shape, depth);
  const uint32_t tag = any_tag();
  const bool all = r_.one_in(2), ref = r_.one_in(2);
  Signature received{{}, all ? Types{} : w_.types[w_.tags[tag]].params};
  // block (results) { block (what is caught) { try_table { ... } br 1 } make results }
  block_of(shape, [&] {
    op(0x02);
    if (ref) {
      Signature with_ref = received;
      with_ref.results.push_back(exnref);
      s(w_.type_of(with_ref));
    } else {
      block_type(received);
    }
    labels_.push_back({{}, true});
    op(0x1f), block_type({{}, shape.results}), u(1);
    op((all ? 2 : 0) + (ref ? 1 : 0));
    if (!all) u(tag);
    u(0);
    labels_.push_back({shape.results});
    if (r_.one_in(3)) raise(tag, depth);
    inside({{}, shape.results}, depth);
    if (r_.one_in(3)) raise(tag, depth);
    labels_.pop_back();
    op(0x0b);
    op(0x0c), u(1);
    labels_.pop_back();
    op(0x0b);
    const uint32_t caught = ref ? local_of(exnref) : 0;
    if (ref) op(0x21), u(caught);
    keep(received.results);
    if (ref && r_.one_in(6)) when(depth, [&] { op(0x20), u(caught), op(0x0a); });
    values(shape.results, depth + 1);
  });
}

void Body::raise(uint32_t tag, unsigned depth) {
  when(depth, [&] {
    values(Types(w_.types[w_.tags[tag]].params), depth + 1);
    op(0x08), u(tag);
  });
}

void Body::legacy_try(const Signature& shape, unsigned depth) {
  op(0x06), block_type(shape);
  labels_.push_back({shape.results});
  const uint32_t raised = any_tag();
  if (r_.one_in(3)) raise(raised, depth);
  inside(shape, depth);
  if (r_.one_in(3)) raise(raised, depth);
  if (r_.one_in(5)) {
    labels_.pop_back();
    op(0x18), u(near_label());
    return;
  }
  for (uint32_t i = 1 + r_.below(2); i > 0; --i) {
    const uint32_t tag = any_tag();
    op(0x07), u(tag);
    const Types payload = w_.types[w_.tags[tag]].params;
    caught(payload, shape, depth);
  }
  if (r_.one_in(2)) op(0x19), caught({}, shape, depth);
  labels_.pop_back();
  op(0x0b);
}

void Body::caught(const Types& payload, const Signature& shape, unsigned depth) {
  keep(payload);
  if (r_.one_in(5)) when(depth, [&] { op(0x09), u(1); });
  inside({{}, shape.results}, depth);
}

}  // namespace vmrun::test::generate
