// Loops. All of them count down, or up to a bound, so that they end.
#include "generate_body.h"

namespace vmrun::test::generate {

void Body::loop(const Signature& shape, unsigned depth) {
  if (loops_ >= 3) return block(shape, depth);
  ++loops_;
  const uint32_t counter = new_local(i32);
  counters_.push_back(counter);
  op(0x41), s(1 + r_.below(6)), op(0x21), u(counter);
  block_of(shape, [&] {
    op(0x03), block_type(shape);
    labels_.push_back({shape.params});
    op(0x20), u(counter), op(0x45), op(0x04), op(0x40);
    labels_.push_back({});
    for (Type t : shape.results) leaf(t);
    op(0x0c), u(2);
    labels_.pop_back();
    op(0x0b);
    op(0x20), u(counter), op(0x41), s(1), op(0x6b), op(0x21), u(counter);
    inside(shape, depth);
    if (r_.one_in(2)) {  // again, with new values
      values(shape.params, depth + 1);
      condition(depth + 1);
      op(0x0d), u(0);
      drop(shape.params.size());
    }
    labels_.pop_back();
    op(0x0b);
  });
  --loops_;
}

void Body::spin(unsigned depth) {
  if (loops_ >= 3) return;
  ++loops_;
  Types live;
  for (uint32_t i = 1 + r_.below(r_.one_in(4) ? 12 : 5); i > 0; --i) live.push_back(r_.one_in(3) ? v128 : any_type());
  const Signature shape{live, live};
  const uint32_t counter = new_local(i32);
  counters_.push_back(counter);
  values(live, depth + 1);
  op(0x41), s(2 + r_.below(8)), op(0x21), u(counter);
  block_of(shape, [&] {
    op(0x03), block_type(shape);
    labels_.push_back({live});
    op(0x20), u(counter), op(0x45), op(0x0d), u(1);
    op(0x20), u(counter), op(0x41), s(1), op(0x6b), op(0x21), u(counter);
    exchange(live, depth);
    switch (r_.below(5)) {
      case 0: condition(depth + 1), op(0x0d), u(0); break;
      case 1: op(0x20), u(counter), op(0x0d), u(0); break;
      case 2: {
        const uint32_t n = targets();
        value(i32, depth + 1);
        op(0x0e), u(n);
        for (uint32_t i = 0; i <= n; ++i) u(r_.below(2));
        break;
      }
      case 3:
        condition(depth + 1);
        op(0x04), block_type(shape);
        labels_.push_back({live});
        exchange(live, depth + 1);
        if (r_.one_in(2)) op(0x0c), u(1);
        if (r_.one_in(2)) op(0x05), op(0x0c), u(r_.below(3));
        labels_.pop_back();
        op(0x0b);
        if (r_.one_in(2)) condition(depth + 1), op(0x0d), u(0);
        break;
      default: op(0x0c), u(0); break;
    }
    labels_.pop_back();
    op(0x0b);
  });
  keep(live);
  --loops_;
}

void Body::exchange(const Types& types, unsigned depth) {
  for (size_t i = types.size(); i > 0; --i) {
    if (r_.one_in(6)) {
      drop(1);
    } else {
      op(0x21), u(local_of(types[i - 1]));
    }
  }
  for (uint32_t i = r_.below(3); i > 0; --i) statement(depth + 1);
  for (Type t : types) {
    if (r_.one_in(3)) {
      value(t, depth + 2);
    } else {
      op(0x20), u(local_of(t));
    }
  }
}

void Body::sweep(unsigned depth) {
  if (loops_ >= 3) return;
  ++loops_;
  const uint32_t m = any_memory();
  const bool wide = w_.memories[m].is64;
  const Type t = wide ? i64 : i32;
  const auto constant = [&](int64_t n) { op(wide ? 0x42 : 0x41), s(wide ? n : static_cast<int32_t>(n)); };
  const uint32_t index = new_local(t), base = new_local(t), bound = new_local(t);
  counters_.insert(counters_.end(), {index, base, bound});
  const bool beyond = r_.one_in(10);  // leaves the memory, perhaps
  const int64_t end = int64_t{w_.memories[m].pages} << 16;
  if (beyond && r_.one_in(2)) {
    constant(end - r_.below(600));
  } else if (r_.one_in(2)) {
    constant(r_.below(4000));
  } else {
    value(t, depth + 1), constant(0x7fff), op(wide ? 0x83 : 0x71);
  }
  op(0x21), u(base);
  static const std::vector<int64_t> kSteps = {1, 1, 1, 2, 4, 8, 16, 3, -1, -4};
  const int64_t step = r_.of(kSteps), count = 1 + r_.below(r_.one_in(4) ? 120 : 20);
  const int64_t first = (r_.one_in(2) ? 0 : r_.below(40)) + (beyond ? -10 : step < 0 ? -step * count : 0);
  constant(first), op(0x21), u(index);
  constant(first + step * count), op(0x21), u(bound);
  op(0x03), op(0x40);
  labels_.push_back({{}, true});  // only its own end begins it anew
  for (uint32_t i = 1 + r_.below(3); i > 0; --i) access(m, index, base);
  if (r_.one_in(6)) statement(kDeepest);
  op(0x20), u(index), constant(step), op(wide ? 0x7c : 0x6a);
  if (r_.one_in(2)) {
    op(0x22), u(index);
  } else {
    op(0x21), u(index), op(0x20), u(index);
  }
  if (r_.one_in(2)) {
    op(0x20), u(bound);
  } else {
    constant(first + step * count);
  }
  const bool same = r_.one_in(2);  // until equal; else below (signed), or above
  op(same ? (wide ? 0x52 : 0x47) : step > 0 ? (wide ? 0x53 : 0x48) : (wide ? 0x55 : 0x4a));
  op(0x0d), u(0);
  labels_.pop_back();
  op(0x0b);
  --loops_;
}

}  // namespace vmrun::test::generate
