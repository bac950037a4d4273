// Bodies as a whole: their frame and locals, and which statement comes next.
#include "generate_body.h"

#include <algorithm>

namespace vmrun::test::generate {

Body::Body(World& world, Random& random, uint32_t func)
    : w_(world), r_(random), func_(func), signature_(world.signature(func)), locals_(signature_.params) {
  uint32_t count = r_.one_in(6) ? 20 + r_.below(40) : 2 + r_.below(9);
  if (w_.large_frames && r_.one_in(3)) count = 200 + r_.below(1800);
  for (uint32_t i = 0; i < count; ++i) locals_.push_back(any_type());
  budget_ = static_cast<int>(w_.small ? 10 + r_.below(70) : 40 + r_.below(r_.one_in(4) ? 1500 : 300));
}

Bytes Body::make() {
  if (w_.funcs[func_].entry) {
    op(0x41), s(200 + r_.below(400));
    op(0x24), u(0);
  } else {
    // Out of fuel: a trap.
    op(0x23), u(0), op(0x45), op(0x04), op(0x40), op(0x00), op(0x0b);
    op(0x23), u(0), op(0x41), s(1), op(0x6b), op(0x24), u(0);
  }
  labels_.push_back({signature_.results});
  for (uint32_t i = 1 + r_.below(8); i > 0; --i) statement(0);
  values(signature_.results, 0);
  if (r_.one_in(10)) op(0x0f);
  op(0x0b);

  Bytes body;
  const size_t params = signature_.params.size();
  const size_t own = locals_.size() - params;
  append_unsigned(body, own);
  for (size_t i = params; i < locals_.size(); ++i) body.push_back(1), append_type(body, locals_[i]);
  body.insert(body.end(), code_.begin(), code_.end());
  Bytes out;
  append_unsigned(out, body.size());
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

void Body::opcode(const vm::OpInfo& info) {
  if (info.prefix != 0) op(info.prefix), u(info.code);
  if (info.prefix == 0) op(info.code);
}

void Body::raw(uint64_t bits, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) op(bits >> 8 * i & 0xff);
}

uint32_t Body::new_local(Type t) {
  locals_.push_back(t);
  return static_cast<uint32_t>(locals_.size() - 1);
}

uint32_t Body::local_of(Type t) {
  const auto reserved = [&](uint32_t local) { return std::ranges::find(counters_, local) != counters_.end(); };
  std::vector<uint32_t> found;
  for (uint32_t i = 0; i < locals_.size(); ++i) {
    if (locals_[i] == t && !reserved(i)) found.push_back(i);
  }
  return found.empty() ? new_local(t) : r_.of(found);
}

uint32_t Body::scratch(Type t) {
  uint32_t& local = scratch_[t];
  if (local == 0) counters_.push_back(local = new_local(t));
  return local;
}

void Body::keep(const Types& types) {
  for (size_t i = types.size(); i > 0; --i) op(0x21), u(local_of(types[i - 1]));
}

void Body::statement(unsigned depth) {
  if (--budget_ <= 0 || depth > kDeepest) return;
  switch (r_.below(28)) {
    case 22:
    case 23: return spin(depth);
    case 26:
    case 27: return sweep(depth);
    case 24:
      if (w_.deep || r_.one_in(3)) return nest(depth);
      return;
    case 25:  // throws what was caught, now and then
      if (r_.one_in(4)) when(depth, [&] { value(exnref, depth + 1), op(0x0a); });
      return;
    case 0:
    case 1:
    case 2:
    case 3: {
      const Type t = r_.one_in(6) ? externref : small_type();
      const uint32_t local = local_of(t);
      value(t, depth + 1);
      op(0x21), u(local);
      return;
    }
    case 4: {
      const uint32_t g = 1 + r_.below(static_cast<uint32_t>(w_.globals.size() - 1));
      value(w_.globals[g].type, depth + 1);
      op(0x24), u(g);
      return;
    }
    case 5:
    case 6:
    case 7: return effect(depth);
    case 8: return block({}, depth);
    case 9:
    case 10: return if_else({}, depth);
    case 11:
    case 12: return loop({}, depth);
    case 13: return guarded({}, depth);
    case 14: return call_statement(depth);
    case 15: return branch(depth);
    case 16: return memory_statement(depth);
    case 17: return table_statement(depth);
    case 18: return raise(any_tag(), depth);
    case 19: return tail_call(depth);
    case 20: return switch_over(depth);
    default: {
      const Type t = small_type();
      value(t, depth + 1);
      drop(1);
      return;
    }
  }
}

Bytes generate_body(World& world, Random& random, uint32_t func) { return Body(world, random, func).make(); }

}  // namespace vmrun::test::generate
