// The maker of one function's body: expressions of a wanted type and statements, nested at random. Values stay on the
// operand stack while their neighbours are computed, so that all kinds of operands live across everything.
//
// Each generate_*.cpp defines what is declared here under its name. `depth` is how deeply something is nested in the
// body; beyond kDeepest only leaves are made.
#pragma once

#include "generate.h"
#include "vm/wasm/opcode.h"

namespace vmrun::test::generate {

/// A label: what a branch to it takes.
struct Label {
  Types types;
  bool closed = false;  // only one place may branch here
};

/// The type that a letter of an opcode's signature stands for.
Type type_of_letter(char letter);

class Body {
 public:
  Body(World& world, Random& random, uint32_t func);
  Bytes make();

 private:
  static constexpr unsigned kDeepest = 7;

  // --- bytes ---
  void op(uint32_t byte) { code_.push_back(static_cast<uint8_t>(byte)); }
  void u(uint64_t n) { append_unsigned(code_, n); }
  void s(int64_t n) { append_signed(code_, n); }
  void opcode(const vm::OpInfo& info);
  void type(Type t) { append_type(code_, t); }
  void raw(uint64_t bits, unsigned bytes);

  // --- locals (generate_body.cpp) ---
  uint32_t new_local(Type t);
  /// A local of that type that may be written; made when there is none.
  uint32_t local_of(Type t);
  /// A local of that type that nothing else uses.
  uint32_t scratch(Type t);
  /// Takes values of these types from the stack into locals.
  void keep(const Types& types);

  // --- types and values (generate_values.cpp) ---
  Type any_type();
  Type any_ref();
  Type small_type();
  void value(Type t, unsigned depth);
  void values(const Types& types, unsigned depth);
  void drop(size_t n);
  void constant(Type t);
  void leaf(Type t);
  void condition(unsigned depth);
  /// Values by instructions whose rows have no signature.
  bool special(Type t, unsigned depth);

  // --- instructions by their rows of the opcode table (generate_rows.cpp) ---
  void operation(Type t, unsigned depth);
  /// An instruction without a result.
  void effect(unsigned depth);
  /// An instruction of the table with its operands.
  void row(vm::Op which, unsigned depth);
  /// Makes zeros of NaNs, whose bits engines may choose.
  void denan(vm::Op which, Type t);

  // --- memories (generate_memory.cpp) ---
  uint32_t any_memory() { return r_.below(static_cast<uint32_t>(w_.memories.size())); }
  /// An address, mostly inside of the memory and aligned to `align` bytes.
  void address(uint32_t m, unsigned depth, uint32_t align);
  void memarg(uint32_t m, unsigned natural, bool atomic);
  /// A load into a local, or a store, at an address made of an index and a base.
  void access(uint32_t m, uint32_t index, uint32_t base);
  void memory_statement(unsigned depth);

  // --- references and tables (generate_tables.cpp) ---
  void null(Type t) { op(0xd0), append_heap_type(code_, t); }
  void reference(Type t, unsigned depth);
  uint32_t any_table() { return r_.below(static_cast<uint32_t>(w_.tables.size())); }
  void index_constant(uint32_t table, uint32_t n);
  /// An index, mostly inside of the table.
  void index(uint32_t table, unsigned depth);
  void table_statement(unsigned depth);

  // --- calls (generate_calls.cpp) ---
  /// A function that may be called.
  uint32_t inner_func();
  /// All of those for which `fits(its index)` holds.
  template <class F>
  std::vector<uint32_t> inner_funcs(F fits) const {
    std::vector<uint32_t> found;
    for (uint32_t f = 0; f < w_.funcs.size(); ++f) {
      if (!w_.funcs[f].entry && fits(f)) found.push_back(f);
    }
    return found;
  }
  /// A call whose first result is `t`; the others are dropped.
  bool call(Type t, unsigned depth);
  void call_to(uint32_t f, unsigned depth, bool tail);
  void call_statement(unsigned depth);
  void tail_call(unsigned depth);

  // --- blocks and branches (generate_control.cpp) ---
  void block_type(const Signature& shape);
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
  void inside(const Signature& shape, unsigned depth);
  void block(const Signature& shape, unsigned depth);
  void if_else(const Signature& shape, unsigned depth);
  /// Blocks of all kinds in each other, left from within.
  void nest(unsigned depth);
  /// The label so many blocks further out.
  const Label& label(uint32_t outwards) const { return labels_[labels_.size() - 1 - outwards]; }
  /// A label, rather an inner one: leaving a function ends too much.
  uint32_t near_label();
  /// Leaves by some label, unconditionally; what follows is dead.
  void leave(unsigned depth);
  /// A branch that may be taken, with values.
  void branch(unsigned depth);
  /// A branch by a table to one of several blocks.
  void switch_over(unsigned depth);
  /// How many targets a switch has beside the default one.
  uint32_t targets() { return w_.many_targets && r_.one_in(3) ? r_.below(700) : r_.below(6); }

  // --- loops (generate_loops.cpp) ---
  void loop(const Signature& shape, unsigned depth);
  /// A loop around values of many types, which are exchanged, changed and handed on in each iteration, and which ends
  /// and begins anew at several places.
  void spin(unsigned depth);
  /// Takes values from the stack into locals, does something, and puts others of the same types there.
  void exchange(const Types& types, unsigned depth);
  /// A loop as compilers make them for arrays: an index that goes from one bound to another, with accesses at addresses
  /// made of it, which may leave the memory on their way.
  void sweep(unsigned depth);

  // --- exceptions (generate_exceptions.cpp) ---
  uint32_t any_tag() { return r_.below(static_cast<uint32_t>(w_.tags.size())); }
  /// A try around something, whose handlers make the same results.
  void guarded(const Signature& shape, unsigned depth);
  /// A throw under a condition.
  void raise(uint32_t tag, unsigned depth);
  void legacy_try(const Signature& shape, unsigned depth);
  void caught(const Types& payload, const Signature& shape, unsigned depth);

  // --- statements (generate_body.cpp) ---
  void statement(unsigned depth);

  World& w_;
  Random& r_;
  const uint32_t func_;
  const Signature signature_;
  Types locals_;
  std::vector<uint32_t> counters_;  // locals that nothing else writes
  uint32_t scratch_[256] = {};
  std::vector<Label> labels_;  // innermost last
  unsigned loops_ = 0;
  int budget_ = 0;
  Bytes code_;
};

}  // namespace vmrun::test::generate
