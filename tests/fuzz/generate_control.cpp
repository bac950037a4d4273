// Blocks and branches.
#include <algorithm>

#include "generate_body.h"

namespace vmrun::test::generate {

void Body::block_type(const Signature& shape) {
  if (shape.params.empty() && shape.results.empty()) {
    op(0x40);
  } else if (shape.params.empty() && shape.results.size() == 1) {
    type(shape.results[0]);
  } else {
    s(w_.type_of(shape));
  }
}

void Body::inside(const Signature& shape, unsigned depth) {
  for (uint32_t i = r_.below(3); i > 0; --i) statement(depth + 1);
  for (size_t i = shape.params.size(); i > 0; --i) {
    if (r_.one_in(4)) {
      drop(1);
    } else {
      op(0x21), u(local_of(shape.params[i - 1]));
    }
  }
  for (uint32_t i = r_.below(3); i > 0; --i) statement(depth + 1);
  values(shape.results, depth + 1);
  if (r_.one_in(12)) leave(depth);
}

void Body::block(const Signature& shape, unsigned depth) {
  block_of(shape, [&] { inside(shape, depth); });
}

void Body::if_else(const Signature& shape, unsigned depth) {
  condition(depth + 1);
  op(0x04), block_type(shape);
  labels_.push_back({shape.results});
  inside(shape, depth);
  if (shape.params != shape.results || r_.one_in(2)) op(0x05), inside(shape, depth);
  labels_.pop_back();
  op(0x0b);
}

void Body::nest(unsigned depth) {
  const uint32_t count = 2 + r_.below(w_.deep ? 120 : 8);
  for (uint32_t i = 0; i < count; ++i) {
    bool closed = false;
    switch (r_.below(5)) {
      case 0: condition(kDeepest + 1), op(0x04), op(0x40); break;
      case 1: op(0x03), op(0x40), closed = true; break;  // a branch to it would be for ever
      case 2:
        op(w_.legacy ? 0x06 : 0x1f), op(0x40);
        if (!w_.legacy) u(0);
        break;
      default: op(0x02), op(0x40); break;
    }
    labels_.push_back({{}, closed});
  }
  for (uint32_t i = r_.below(3); i > 0; --i) statement(depth + 1);
  std::vector<uint32_t> open;
  for (uint32_t i = 0; i < count; ++i) {
    if (!label(i).closed) open.push_back(i);
  }
  if (!open.empty()) {
    const uint32_t n = targets() + r_.below(count);
    value(i32, depth + 1);
    op(0x0e), u(n);
    for (uint32_t i = 0; i <= n; ++i) u(r_.of(open));
  }
  for (uint32_t i = 0; i < count; ++i) {
    op(0x0b), labels_.pop_back();
    if (r_.one_in(4)) statement(depth + 2);
  }
}

uint32_t Body::near_label() {
  const auto count = static_cast<uint32_t>(labels_.size());
  return std::min(r_.below(count), r_.below(count));
}

void Body::leave(unsigned depth) {
  const auto count = static_cast<uint32_t>(labels_.size());
  uint32_t target = near_label();
  if (label(target).closed) target = count - 1;
  const Types types = label(target).types;
  values(types, depth + 1);
  std::vector<uint32_t> same;
  for (uint32_t i = 0; i < count; ++i) {
    if (label(i).types == types && !label(i).closed) same.push_back(i);
  }
  if (r_.one_in(3)) {
    value(i32, depth + 1);
    const uint32_t n = targets();
    op(0x0e), u(n);
    for (uint32_t i = 0; i <= n; ++i) u(r_.of(same));
  } else {
    op(0x0c), u(target);
  }
}

void Body::branch(unsigned depth) {
  const uint32_t target = near_label();
  if (label(target).closed) return;
  const Types types = label(target).types;
  values(types, depth + 1);
  condition(depth + 1);
  op(0x0d), u(target);
  drop(types.size());
}

void Body::switch_over(unsigned depth) {
  const uint32_t n = 1 + r_.below(5);
  for (uint32_t i = 0; i < n; ++i) op(0x02), op(0x40), labels_.push_back({});
  value(i32, depth + 1);
  if (r_.one_in(2)) op(0x41), s(7), op(0x71);
  const uint32_t entries = targets();
  op(0x0e), u(entries);
  for (uint32_t i = 0; i <= entries; ++i) u(r_.below(n));
  for (uint32_t i = 0; i < n; ++i) {
    op(0x0b), labels_.pop_back();
    statement(depth + 1);
  }
}

}  // namespace vmrun::test::generate
