// Bodies: expressions of a wanted type and statements, nested at random. Values stay on the operand stack while their
// neighbours are computed, so that all kinds of operands live across everything.
#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "generate.h"
#include "vm/opcode.h"

namespace vmrun::test::generate {
namespace {

using vm::Imm;
using vm::Op;
using vm::OpInfo;

/// A label: what a branch to it takes.
struct Label {
  Types types;
  bool closed = false;  // only one place may branch here
};

bool starts(const OpInfo& info, std::string_view text) { return std::string_view(info.mnemonic).starts_with(text); }
bool contains(const OpInfo& info, std::string_view text) {
  return std::string_view(info.mnemonic).find(text) != std::string_view::npos;
}

Type type_of_letter(char letter) {
  switch (letter) {
    case 'l': return i64;
    case 'f': return f32;
    case 'd': return f64;
    case 'v': return v128;
    default: return i32;
  }
}

/// Rows of the opcode table with a signature, by the type of their first result.
struct Rows {
  std::vector<Op> by_type[5];  // i32, i64, f32, f64, v128
  std::vector<Op> none;
  Rows() {
    for (size_t i = 0; i < vm::kOpCount; ++i) {
      const OpInfo& info = vm::kOpInfo[i];
      const std::string_view signature = info.signature;
      if (signature == "*" || info.is_gc_object() || contains(info, "const") || contains(info, "wait")) continue;
      if (info.imm == Imm::memory) continue;
      const auto op = static_cast<Op>(i);
      const char result = signature.back();
      if (result == ':') {
        none.push_back(op);
      } else if (result != 'p') {
        by_type[0x7f - type_of_letter(signature[signature.find(':') + 1])].push_back(op);
      }
    }
  }
};

class Body {
 public:
  Body(World& world, Random& random, uint32_t func) : w_(world), r_(random), func_(func), signature_(world.signature(func)) {
    for (Type t : signature_.params) locals_.push_back(t);
    uint32_t count = r_.one_in(6) ? 20 + r_.below(40) : 2 + r_.below(9);
    if (w_.large_frames && r_.one_in(3)) count = 200 + r_.below(1800);
    for (uint32_t i = 0; i < count; ++i) locals_.push_back(any_type());
    budget_ = static_cast<int>(40 + r_.below(r_.one_in(4) ? 1500 : 300));
  }

  Bytes make() {
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

 private:
  static constexpr unsigned kDeepest = 7;

  // --- bytes ---
  void op(uint32_t byte) { code_.push_back(static_cast<uint8_t>(byte)); }
  void u(uint64_t n) { append_unsigned(code_, n); }
  void s(int64_t n) { append_signed(code_, n); }
  void opcode(const OpInfo& info) {
    if (info.prefix != 0) op(info.prefix), u(info.code);
    if (info.prefix == 0) op(info.code);
  }
  void type(Type t) { append_type(code_, t); }
  void raw(uint64_t bits, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) op(bits >> 8 * i & 0xff);
  }

  // --- locals ---
  uint32_t new_local(Type t) {
    locals_.push_back(t);
    return static_cast<uint32_t>(locals_.size() - 1);
  }
  bool reserved(uint32_t local) const { return std::find(counters_.begin(), counters_.end(), local) != counters_.end(); }
  /// A local of that type that may be written; made when there is none.
  uint32_t local_of(Type t) {
    std::vector<uint32_t> found;
    for (uint32_t i = 0; i < locals_.size(); ++i) {
      if (locals_[i] == t && !reserved(i)) found.push_back(i);
    }
    return found.empty() ? new_local(t) : r_.of(found);
  }
  uint32_t scratch(Type t) {
    uint32_t& local = scratch_[t];
    if (local == 0) counters_.push_back(local = new_local(t));
    return local;
  }

  // --- values ---
  void constant(Type t) {
    static const std::vector<int64_t> kEdges = {0, 1, -1, 2, 3, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, -128, 0x7fff, 0x8000,
                                                0xffff, 0x7fffffff, -0x7fffffff - 1, 0x80000000, 0xffffffff, INT64_MAX, INT64_MIN};
    const int64_t n = r_.one_in(4) ? static_cast<int64_t>(r_.bits()) >> r_.below(64) : r_.of(kEdges);
    switch (t) {
      case i32: op(0x41), s(static_cast<int32_t>(n)); break;
      case i64: op(0x42), s(n); break;
      case f32: {
        float f = static_cast<float>(n) / static_cast<float>(1 + r_.below(5));
        if (r_.one_in(8)) f = -0.0f;
        uint32_t bits;
        std::memcpy(&bits, &f, 4);
        op(0x43), raw(bits, 4);
        break;
      }
      case f64: {
        double f = static_cast<double>(n) / (1 + r_.below(5));
        if (r_.one_in(8)) f = -0.0;
        uint64_t bits;
        std::memcpy(&bits, &f, 8);
        op(0x44), raw(bits, 8);
        break;
      }
      case v128: op(0xfd), u(0x0c), raw(r_.one_in(3) ? 0 : r_.bits(), 8), raw(r_.bits() >> r_.below(64), 8); break;
      case funcref:
        if (r_.one_in(3)) {
          null(t);
        } else {
          op(0xd2), u(inner_func());
        }
        break;
      default: {
        std::vector<uint32_t> fitting;
        for (uint32_t f = 0; is_typed(t) && f < w_.funcs.size(); ++f) {
          if (!w_.funcs[f].entry && typed + w_.funcs[f].type == t) fitting.push_back(f);
        }
        if (fitting.empty() || r_.one_in(5)) {
          null(t);
        } else {
          op(0xd2), u(r_.of(fitting));
        }
        break;
      }
    }
  }
  void null(Type t) { op(0xd0), append_heap_type(code_, t); }

  uint32_t inner_func() {
    const uint32_t f = r_.below(static_cast<uint32_t>(w_.funcs.size()));
    return w_.funcs[f].entry ? 0 : f;
  }

  void values(const Types& types, unsigned depth) {
    for (Type t : types) value(t, depth);
  }
  void drop(size_t n) {
    for (; n > 0; --n) op(0x1a);
  }

  void value(Type t, unsigned depth) {
    if (budget_ <= 0 || depth > kDeepest || r_.one_in(6)) return leaf(t);
    --budget_;
    switch (r_.below(26)) {
      case 2: {
        const uint32_t local = local_of(t);
        value(t, depth + 1);
        op(0x22), u(local);
        return;
      }
      case 3: {  // select
        value(t, depth + 1), value(t, depth + 1), condition(depth + 1);
        if (is_ref(t) || r_.one_in(3)) {
          op(0x1c), u(1), type(t);
        } else {
          op(0x1b);
        }
        return;
      }
      case 4: return block({{}, {t}}, depth);
      case 5: return if_else({{}, {t}}, depth);
      case 6: return loop({{}, {t}}, depth);
      case 7: if (call(t, depth)) return; break;
      case 8: {  // a value that a branch may take along
        std::vector<uint32_t> fitting;
        for (uint32_t i = 0; i < labels_.size(); ++i) {
          const Label& label = labels_[labels_.size() - 1 - i];
          if (label.types.size() == 1 && label.types[0] == t && !label.closed) fitting.push_back(i);
        }
        if (fitting.empty()) break;
        value(t, depth + 1), condition(depth + 1);
        op(0x0d), u(r_.of(fitting));
        return;
      }
      case 9: return guarded({{}, {t}}, depth);
      case 10: {  // through a block with parameters
        Signature shape{{}, {t}};
        for (uint32_t i = 1 + r_.below(3); i > 0; --i) shape.params.push_back(small_type());
        values(shape.params, depth + 1);
        if (r_.one_in(3)) return if_else(shape, depth);
        return r_.one_in(3) ? loop(shape, depth) : block(shape, depth);
      }
      default: break;
    }
    if (is_ref(t)) return reference(t, depth);
    if (special(t, depth)) return;
    operation(t, depth);
  }

  Type any_type() {
    static const Types kTypes = {i32, i32, i32, i64, i64, f32, f64, v128, v128, funcref, externref, exnref, typed};
    const Type t = r_.of(kTypes);
    return t == typed ? static_cast<Type>(typed + r_.below(w_.typed_types)) : t;
  }
  Type any_ref() {
    for (;;) {
      if (const Type t = any_type(); is_ref(t)) return t;
    }
  }
  Type small_type() {
    static const Types kTypes = {i32, i32, i64, f64, v128, f32, funcref};
    return r_.one_in(8) ? any_type() : r_.of(kTypes);
  }

  void leaf(Type t) {
    std::vector<uint32_t> globals;
    for (uint32_t i = 1; i < w_.globals.size(); ++i) {
      if (w_.globals[i].type == t) globals.push_back(i);
    }
    switch (r_.below(4)) {
      case 0: return constant(t);
      case 1:
        if (globals.empty()) return constant(t);
        op(0x23), u(r_.of(globals));
        return;
      default: op(0x20), u(local_of(t)); return;
    }
  }

  void condition(unsigned depth) {
    if (budget_ > 0 && depth <= kDeepest && r_.one_in(2)) {  // a comparison right before its use
      static const std::vector<uint8_t> kCompares = {0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f};
      const Type t = std::array{i32, i64, f32, f64}[r_.below(4)];
      value(t, depth + 1), value(t, depth + 1);
      if (t == i32) op(r_.of(kCompares));
      if (t == i64) op(r_.of(kCompares) + 11);
      if (t == f32) op(0x5b + r_.below(6));
      if (t == f64) op(0x61 + r_.below(6));
      if (r_.one_in(4)) op(0x45);
      return;
    }
    value(i32, depth);
  }

  void reference(Type t, unsigned depth) {
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

  /// Values by instructions whose rows have no signature.
  bool special(Type t, unsigned depth) {
    if (t != i32 || r_.below(10) != 0) return false;
    switch (r_.below(9)) {
      case 7: op(0xd0), op(0x6d), op(0xd0), op(0x6d), op(0xd3); return true;
      case 0: {
        const uint32_t m = r_.below(static_cast<uint32_t>(w_.memories.size()));
        op(0x3f), u(m);
        if (w_.memories[m].is64) op(0xa7);
        return true;
      }
      case 1: {
        const uint32_t m = r_.below(static_cast<uint32_t>(w_.memories.size()));
        op(w_.memories[m].is64 ? 0x42 : 0x41), s(r_.below(3));
        op(0x40), u(m);
        if (w_.memories[m].is64) op(0xa7);
        return true;
      }
      case 2: {
        const uint32_t table = any_table();
        op(0xfc), u(16), u(table);
        if (w_.tables[table].is64) op(0xa7);
        return true;
      }
      case 3: {
        const uint32_t table = any_table();
        value(w_.tables[table].type, depth + 1);
        op(w_.tables[table].is64 ? 0x42 : 0x41), s(r_.below(3));
        op(0xfc), u(15), u(table);
        if (w_.tables[table].is64) op(0xa7);
        return true;
      }
      case 4: value(any_ref(), depth + 1), op(0xd1); return true;
      case 5:  // a test of what kind of function it is
        value(funcref, depth + 1);
        op(0xfb), u(0x14 + r_.below(2)), s(r_.below(static_cast<uint32_t>(w_.types.size())));
        return true;
      case 6: {  // wait on a memory that nobody else has
        const uint32_t m = r_.below(static_cast<uint32_t>(w_.memories.size()));
        if (!w_.memories[m].shared) return false;
        address(m, depth, 8);
        const bool wide = r_.one_in(2);
        value(wide ? i64 : i32, depth + 1);
        op(0x42), s(0);
        op(0xfe), u(wide ? 2 : 1), memarg(m, wide ? 3 : 2, true);
        return true;
      }
      default: {  // br_on_null and back
        const Type ref = any_ref();
        block_of({{}, {}}, [&] {
          value(ref, depth + 1);
          op(0xd5), u(0);
          drop(1);
        });
        constant(t);
        return true;
      }
    }
  }

  uint32_t any_table() { return r_.below(static_cast<uint32_t>(w_.tables.size())); }
  void index_constant(uint32_t table, uint32_t n) { op(w_.tables[table].is64 ? 0x42 : 0x41), s(n); }

  /// An index, mostly inside of the table.
  void index(uint32_t table, unsigned depth) {
    const bool wide = w_.tables[table].is64;
    const uint32_t size = w_.tables[table].size;
    if (r_.one_in(2)) {
      index_constant(table, r_.below(size));
    } else {
      value(wide ? i64 : i32, depth + 1);
      if (!r_.one_in(30)) index_constant(table, size), op(wide ? 0x82 : 0x70);  // rem_u
    }
  }

  /// An address, mostly inside of the memory and aligned to `align` bytes.
  void address(uint32_t m, unsigned depth, uint32_t align) {
    const bool wide = w_.memories[m].is64;
    if (r_.one_in(3)) {
      op(wide ? 0x42 : 0x41), s(r_.below(600) * align);
      return;
    }
    value(wide ? i64 : i32, depth + 1);
    if (r_.one_in(40)) return;
    op(wide ? 0x42 : 0x41), s(0x7ff0 & -static_cast<int64_t>(align));
    op(wide ? 0x83 : 0x71);
  }

  void memarg(uint32_t m, unsigned natural, bool atomic) {
    const unsigned align = atomic ? natural : r_.below(natural + 1);
    op(align | (m != 0 ? 0x40 : 0));
    if (m != 0) u(m);
    uint64_t offset = r_.one_in(2) ? 0 : static_cast<uint64_t>(r_.below(64)) << natural;
    if (r_.one_in(100)) offset = w_.memories[m].is64 && r_.one_in(2) ? ~uint64_t{0} - 100 : 0xfffffff0;
    u(offset);
  }

  void operation(Type t, unsigned depth) {
    static const Rows rows;
    const std::vector<Op>& fitting = rows.by_type[0x7f - t];
    Op which = r_.of(fitting);
    // The one-byte instructions, which the others outnumber, are chosen more often.
    if ((t == i32 || t == i64) && vm::op_info(which).prefix != 0) which = r_.of(fitting);
    row(which, depth);
    if (std::string_view(vm::op_info(which).signature).ends_with("ll")) op(0x1a);
    denan(which, t);
  }

  /// An instruction of the table with its operands.
  void row(Op which, unsigned depth) {
    const OpInfo& info = vm::op_info(which);
    const std::string_view signature = info.signature;
    const bool atomic = info.prefix == 0xfe;
    const uint32_t m = r_.below(static_cast<uint32_t>(w_.memories.size()));
    const bool divides = contains(info, ".div_") || contains(info, ".rem_");
    const bool truncates = contains(info, ".trunc_f") && !contains(info, "sat") && info.prefix == 0;
    for (size_t i = 0; signature[i] != ':'; ++i) {
      if (signature[i] == 'p') {
        address(m, depth, atomic ? 1u << info.access_log2 : 1);
        continue;
      }
      const Type t = type_of_letter(signature[i]);
      value(t, depth + 1);
      if (divides && i == 1 && !r_.one_in(20)) op(t == i32 ? 0x41 : 0x42), s(1), op(t == i32 ? 0x72 : 0x84);
      if (truncates && !r_.one_in(20)) {  // a small number
        if (t == f32) op(0xfc), u(0), op(0x41), s(20), op(0x75), op(0xb2), op(0x8b);
        if (t == f64) op(0xfc), u(2), op(0x41), s(20), op(0x75), op(0xb7), op(0x99);
      }
    }
    opcode(info);
    switch (info.imm) {
      case Imm::memarg: memarg(m, info.access_log2, atomic); break;
      case Imm::memarg_lane: memarg(m, info.access_log2, false), op(r_.below(16u >> info.access_log2)); break;
      case Imm::lane: op(r_.below(lanes(info))); break;
      case Imm::lanes:
        for (int i = 0; i < 16; ++i) op(r_.below(32));
        break;
      case Imm::zero_byte: op(0); break;
      default: break;
    }
  }

  static uint32_t lanes(const OpInfo& info) {
    return starts(info, "i8x16") ? 16 : starts(info, "i16x8") ? 8 : starts(info, "i32x4") || starts(info, "f32x4") ? 4 : 2;
  }

  /// Makes zeros of NaNs, whose bits engines may choose.
  void denan(Op which, Type t) {
    const OpInfo& info = vm::op_info(which);
    if (t == f32 || t == f64) {
      const uint32_t local = scratch(t);
      op(0x22), u(local);
      op(t == f32 ? 0x43 : 0x44), raw(0, t == f32 ? 4 : 8);
      op(0x20), u(local), op(0x20), u(local);
      op(t == f32 ? 0x5b : 0x61), op(0x1b);
    } else if (t == v128 && (starts(info, "f32x4") || starts(info, "f64x2"))) {
      const uint32_t local = scratch(t);
      op(0x22), u(local), op(0x20), u(local), op(0x20), u(local);
      op(0xfd), u(starts(info, "f32x4") ? 0x41 : 0x47), op(0xfd), u(0x4e);
    }
  }

  // --- calls ---
  /// A call whose first result is `t`; the others are dropped.
  bool call(Type t, unsigned depth) {
    std::vector<uint32_t> fitting;
    for (uint32_t f = 0; f < w_.funcs.size(); ++f) {
      if (!w_.funcs[f].entry && !w_.signature(f).results.empty() && w_.signature(f).results[0] == t) fitting.push_back(f);
    }
    if (fitting.empty()) return false;
    const uint32_t f = r_.of(fitting);
    call_to(f, depth, false);
    drop(w_.signature(f).results.size() - 1);
    return true;
  }

  void call_to(uint32_t f, unsigned depth, bool tail) {
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

  // --- blocks ---
  void block_type(const Signature& shape) {
    if (shape.params.empty() && shape.results.empty()) {
      op(0x40);
    } else if (shape.params.empty() && shape.results.size() == 1) {
      type(shape.results[0]);
    } else {
      s(w_.type_of(shape));
    }
  }

  /// Something that happens only under a condition.
  template <class F>
  void when(unsigned depth, F then) {
    condition(depth + 1);
    op(0x04), op(0x40);
    labels_.push_back({});
    then();
    labels_.pop_back();
    op(0x0b);
  }

  template <class F>
  void block_of(const Signature& shape, F inside) {
    op(0x02), block_type(shape);
    labels_.push_back({shape.results});
    inside();
    labels_.pop_back();
    op(0x0b);
  }

  /// What happens inside of a block: its parameters are on the stack, its results in the end.
  void inside(const Signature& shape, unsigned depth) {
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

  void block(const Signature& shape, unsigned depth) {
    block_of(shape, [&] { inside(shape, depth); });
  }

  void if_else(const Signature& shape, unsigned depth) {
    condition(depth + 1);
    op(0x04), block_type(shape);
    labels_.push_back({shape.results});
    inside(shape, depth);
    if (shape.params != shape.results || r_.one_in(2)) op(0x05), inside(shape, depth);
    labels_.pop_back();
    op(0x0b);
  }

  void loop(const Signature& shape, unsigned depth) {
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

  /// A label, rather an inner one: leaving a function ends too much.
  uint32_t near_label() {
    const auto count = static_cast<uint32_t>(labels_.size());
    return std::min(r_.below(count), r_.below(count));
  }

  /// Leaves by some label, unconditionally; what follows is dead.
  void leave(unsigned depth) {
    const auto count = static_cast<uint32_t>(labels_.size());
    uint32_t target = near_label();
    if (labels_[count - 1 - target].closed) target = count - 1;
    const Types types = labels_[count - 1 - target].types;
    values(types, depth + 1);
    std::vector<uint32_t> same;
    for (uint32_t i = 0; i < count; ++i) {
      if (labels_[count - 1 - i].types == types && !labels_[count - 1 - i].closed) same.push_back(i);
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

  /// How many targets a switch has beside the default one.
  uint32_t targets() { return w_.many_targets && r_.one_in(3) ? r_.below(700) : r_.below(6); }

  /// A loop around values of many types, which are exchanged, changed and handed on in each iteration, and which ends and
  /// begins anew at several places.
  void spin(unsigned depth) {
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
    for (size_t i = live.size(); i > 0; --i) op(0x21), u(local_of(live[i - 1]));
    --loops_;
  }
  /// Takes values from the stack into locals, does something, and puts others of the same types there.
  void exchange(const Types& types, unsigned depth) {
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
  /// A loop as compilers make them for arrays: an index that goes from one bound to another, with accesses at addresses
  /// made of it, which may leave the memory on their way.
  void sweep(unsigned depth) {
    if (loops_ >= 3) return;
    ++loops_;
    const uint32_t m = r_.below(static_cast<uint32_t>(w_.memories.size()));
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
  /// A load into a local, or a store, at an address made of an index and a base.
  void access(uint32_t m, uint32_t index, uint32_t base) {
    static const std::vector<Op> kAccesses = [] {
      std::vector<Op> ops;
      for (size_t i = 0; i < vm::kOpCount; ++i) {
        const OpInfo& info = vm::kOpInfo[i];
        const std::string_view signature = info.signature;
        if (info.imm == Imm::memarg && info.prefix != 0xfe && signature.size() == 3) ops.push_back(static_cast<Op>(i));
      }
      return ops;
    }();
    Op which = r_.of(kAccesses);
    for (int i = 0; i < 2 && vm::op_info(which).prefix != 0; ++i) which = r_.of(kAccesses);
    const OpInfo& info = vm::op_info(which);
    const std::string_view signature = info.signature;
    const bool wide = w_.memories[m].is64;
    const bool loads = signature[1] == ':';
    op(0x20), u(index);
    if (r_.one_in(2)) op(wide ? 0x42 : 0x41), s(info.access_log2), op(wide ? 0x86 : 0x74);  // shl
    if (!r_.one_in(4)) op(0x20), u(base), op(wide ? 0x7c : 0x6a);
    const Type t = type_of_letter(signature[loads ? 2 : 1]);
    if (!loads) {
      if (r_.one_in(2)) {
        value(t, kDeepest);
      } else {
        leaf(t);
      }
    }
    opcode(info);
    memarg(m, info.access_log2, false);
    if (!loads) return;
    denan(which, t);
    // Added up in a local, or only kept.
    const uint32_t sum = local_of(t);
    if ((t == i32 || t == i64) && r_.one_in(2)) op(0x20), u(sum), op(t == i32 ? 0x6a : 0x7c);
    op(0x21), u(sum);
  }

  /// Blocks of all kinds in each other, left from within.
  void nest(unsigned depth) {
    const uint32_t count = 2 + r_.below(w_.deep ? 120 : 8);
    for (uint32_t i = 0; i < count; ++i) {
      bool closed = false;
      switch (r_.below(5)) {
        case 0: condition(kDeepest + 1), op(0x04), op(0x40); break;
        case 1: op(0x03), op(0x40), closed = true; break;  // a branch to it would be for ever
        case 2: op(w_.legacy ? 0x06 : 0x1f), op(0x40); if (!w_.legacy) u(0); break;
        default: op(0x02), op(0x40); break;
      }
      labels_.push_back({{}, closed});
    }
    for (uint32_t i = r_.below(3); i > 0; --i) statement(depth + 1);
    std::vector<uint32_t> open;
    for (uint32_t i = 0; i < count; ++i) {
      if (!labels_[labels_.size() - 1 - i].closed) open.push_back(i);
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

  // --- exceptions ---
  /// A try around something, whose handlers make the same results.
  void guarded(const Signature& shape, unsigned depth) {
    if (w_.legacy != r_.one_in(8)) return legacy_try(shape, depth);
    const uint32_t tag = r_.below(static_cast<uint32_t>(w_.tags.size()));
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
      for (size_t i = received.results.size(); i > 0; --i) op(0x21), u(local_of(received.results[i - 1]));
      if (ref && r_.one_in(6)) when(depth, [&] { op(0x20), u(caught), op(0x0a); });
      values(shape.results, depth + 1);
    });
  }

  /// A throw under a condition.
  void raise(uint32_t tag, unsigned depth) {
    when(depth, [&] {
      values(Types(w_.types[w_.tags[tag]].params), depth + 1);
      op(0x08), u(tag);
    });
  }

  void legacy_try(const Signature& shape, unsigned depth) {
    op(0x06), block_type(shape);
    labels_.push_back({shape.results});
    const uint32_t raised = r_.below(static_cast<uint32_t>(w_.tags.size()));
    if (r_.one_in(3)) raise(raised, depth);
    inside(shape, depth);
    if (r_.one_in(3)) raise(raised, depth);
    if (r_.one_in(5)) {
      labels_.pop_back();
      op(0x18), u(near_label());
      return;
    }
    for (uint32_t i = 1 + r_.below(2); i > 0; --i) {
      const uint32_t tag = r_.below(static_cast<uint32_t>(w_.tags.size()));
      op(0x07), u(tag);
      const Types payload = w_.types[w_.tags[tag]].params;
      caught(payload, shape, depth);
    }
    if (r_.one_in(2)) op(0x19), caught({}, shape, depth);
    labels_.pop_back();
    op(0x0b);
  }
  void caught(const Types& payload, const Signature& shape, unsigned depth) {
    for (size_t i = payload.size(); i > 0; --i) op(0x21), u(local_of(payload[i - 1]));
    if (r_.one_in(5)) when(depth, [&] { op(0x09), u(1); });
    inside({{}, shape.results}, depth);
  }

  // --- statements ---
  void statement(unsigned depth) {
    if (--budget_ <= 0 || depth > kDeepest) return;
    switch (r_.below(28)) {
      case 22: case 23: return spin(depth);
      case 26: case 27: return sweep(depth);
      case 24:
        if (w_.deep || r_.one_in(3)) return nest(depth);
        return;
      case 25:  // throws what was caught, now and then
        if (r_.one_in(4)) when(depth, [&] { value(exnref, depth + 1), op(0x0a); });
        return;
      case 0: case 1: case 2: case 3: {
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
      case 5: case 6: case 7: {
        static const Rows rows;
        return row(r_.of(rows.none), depth);
      }
      case 8: return block({}, depth);
      case 9: case 10: return if_else({}, depth);
      case 11: case 12: return loop({}, depth);
      case 13: return guarded({}, depth);
      case 14: {  // any call
        const uint32_t f = inner_func();
        call_to(f, depth, false);
        const Types results = w_.signature(f).results;
        for (size_t i = results.size(); i > 0; --i) op(0x21), u(local_of(results[i - 1]));
        return;
      }
      case 15: {  // a branch that may be taken, with values
        const uint32_t target = near_label();
        if (labels_[labels_.size() - 1 - target].closed) return;
        const Types types = labels_[labels_.size() - 1 - target].types;
        values(types, depth + 1);
        condition(depth + 1);
        op(0x0d), u(target);
        drop(types.size());
        return;
      }
      case 16: return bulk(depth);
      case 17: return table_statement(depth);
      case 18: return raise(r_.below(static_cast<uint32_t>(w_.tags.size())), depth);
      case 19: {  // a tail call, now and then
        std::vector<uint32_t> fitting;
        for (uint32_t f = 0; f < w_.funcs.size(); ++f) {
          if (!w_.funcs[f].entry && w_.signature(f).results == signature_.results) fitting.push_back(f);
        }
        if (fitting.empty() || !r_.one_in(3)) return;
        when(depth, [&] { call_to(r_.of(fitting), depth, true); });
        return;
      }
      case 20: {  // a switch
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
        return;
      }
      default: {
        const Type t = small_type();
        value(t, depth + 1);
        drop(1);
        return;
      }
    }
  }

  void length(uint32_t m, uint32_t most) { op(m != kNoMemory && w_.memories[m].is64 ? 0x42 : 0x41), s(r_.below(most)); }
  static constexpr uint32_t kNoMemory = ~0u;

  void bulk(unsigned depth) {
    const auto count = static_cast<uint32_t>(w_.memories.size());
    const uint32_t m = r_.below(count), from = r_.below(count);
    const uint32_t segment = r_.below(static_cast<uint32_t>(w_.datas.size()));
    switch (r_.below(5)) {
      case 0: address(m, depth, 1), value(i32, depth + 1), length(m, 300), op(0xfc), u(11), u(m); return;
      case 1: {
        address(m, depth, 1), address(from, depth, 1);
        const bool wide = w_.memories[m].is64 && w_.memories[from].is64;
        op(wide ? 0x42 : 0x41), s(r_.below(300)), op(0xfc), u(10), u(m), u(from);
        return;
      }
      case 2: case 3:
        address(m, depth, 1), op(0x41), s(r_.below(20)), op(0x41), s(r_.below(w_.datas[segment] / 4 + 1));
        op(0xfc), u(8), u(segment), u(m);
        return;
      default:
        if (r_.one_in(8)) op(0xfc), u(9), u(segment);
        return;
    }
  }

  void table_statement(unsigned depth) {
    const uint32_t t = any_table();
    const Table& table = w_.tables[t];
    const auto count = [&](bool wide) { op(wide ? 0x42 : 0x41), s(r_.below(3)); };
    switch (r_.below(6)) {
      case 0: case 1: index(t, depth), value(table.type, depth + 1), op(0x26), u(t); return;
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
  static constexpr uint32_t kPassive = 2;  // the passive element segment

  World& w_;
  Random& r_;
  const uint32_t func_;
  const Signature signature_;
  Types locals_;
  std::vector<uint32_t> counters_;  // locals that nothing else writes
  uint32_t scratch_[256] = {};
  std::vector<Label> labels_;       // innermost last
  unsigned loops_ = 0;
  int budget_ = 0;
  Bytes code_;
};

}  // namespace

Bytes generate_body(World& world, Random& random, uint32_t func) { return Body(world, random, func).make(); }

}  // namespace vmrun::test::generate
