// asmjit's assembler with a short way for the instructions that baseline code mostly consists of: moves, arithmetic on
// registers, memory and constants, jumps, loads and stores of floats. asmjit takes some 12 ns for any instruction,
// because it looks everything up in tables, and more for a label; these take 1 to 3. All other forms go to asmjit.
#pragma once

#include <asmjit/x86.h>

#include <algorithm>
#include <type_traits>

#include "jit/baseline/encoding_x86_64.h"
#include "jit/baseline/labels.h"

namespace vmrun::jit::baseline {

/// Thrown where code would become longer than it may.
struct CodeTooLarge {};

class FastAssembler final : public asmjit::x86::Assembler {
 public:
  using Gp = asmjit::x86::Gp;
  using Mem = asmjit::x86::Mem;
  using Imm = asmjit::Imm;
  using Operand = asmjit::Operand_;
  using Cond = asmjit::x86::CondCode;

  /// A function's bytes, at most. The buffer grows when it is full of no more than that, and at most doubles: all of it
  /// is within what labels can name.
  static constexpr size_t kMost = Labels::kMostCode / 2;

  /// Begins another function of at most `most` bytes, or kMost if that is less, in the buffer that is attached. An
  /// instruction beyond them may throw CodeTooLarge, and does before the buffer grows; any may, when there is no memory,
  /// throw std::bad_alloc.
  void begin(size_t most) {
    most_ = std::min(most, kMost);
    labels_.clear();
    _bufferPtr = _bufferData;
    _section->_buffer._size = 0;
  }

  bool is_too_large() const { return offset() > most_; }

  // --- labels -----------------------------------------------------------------------------------------------------------
  Label new_label() { return labels_.add(); }
  using Assembler::bind;
  void bind(Label label) { labels_.bind(_bufferData, label, static_cast<uint32_t>(offset())); }
  uint32_t place(Label label) const { return labels_.place(label); }
  /// The memory at a label, for instructions with at most one byte behind the address.
  static Mem at(Label label) { return asmjit::x86::ptr(asmjit::x86::rip, static_cast<int32_t>(label.id())); }
  void j(Cond cond, Label label);
  using Assembler::call;
  using Assembler::jmp;
  void jmp(Label label);
  void call(Label label);
  void ja(Label label) { j(Cond::kA, label); }
  void jae(Label label) { j(Cond::kAE, label); }
  void jb(Label label) { j(Cond::kB, label); }
  void je(Label label) { j(Cond::kE, label); }
  void jge(Label label) { j(Cond::kGE, label); }
  void jne(Label label) { j(Cond::kNE, label); }
  void jno(Label label) { j(Cond::kNO, label); }
  void jns(Label label) { j(Cond::kNS, label); }
  void jnz(Label label) { j(Cond::kNZ, label); }
  void jp(Label label) { j(Cond::kP, label); }
  void js(Label label) { j(Cond::kS, label); }

  // --- the most frequent instructions, by their operands' kinds -----------------------------------------------------------
  using Assembler::dec;
  using Assembler::inc;
  using Assembler::test;
  [[gnu::always_inline]] void mov(const Gp& to, const Gp& from) {
    if (!encoding::is_int(to) || encoding::bits(to) != encoding::bits(from)) [[unlikely]]
      return other(kMov, to, from);
    _bufferPtr = encoding::with_reg(room(), encoding::is_wide(to), 0x89, encoding::reg(from), encoding::reg(to));
  }
  [[gnu::always_inline]] void mov(const Gp& to, const Mem& from) {
    if (!encoding::is_int(to) || !encoding::has_base_only(from)) return move(kLoad, to, from);
    _bufferPtr =
        encoding::with_base(room(), encoding::is_wide(to), kLoad, encoding::reg(to), from.baseId(), from.offsetLo32());
  }
  [[gnu::always_inline]] void mov(const Mem& to, const Gp& from) {
    if (!encoding::is_int(from) || !encoding::has_base_only(to)) return move(kStore, from, to);
    _bufferPtr =
        encoding::with_base(room(), encoding::is_wide(from), kStore, encoding::reg(from), to.baseId(), to.offsetLo32());
  }
  void mov(const Operand& to, const Imm& from) { other(kMov, to, from); }
  template <class From>
  void add(const Operand& to, const From& from) {
    arithmetic(0, to, as_operand(from));
  }
  template <class From>
  void or_(const Operand& to, const From& from) {
    arithmetic(1, to, as_operand(from));
  }
  template <class From>
  void and_(const Operand& to, const From& from) {
    arithmetic(4, to, as_operand(from));
  }
  template <class From>
  void sub(const Operand& to, const From& from) {
    arithmetic(5, to, as_operand(from));
  }
  template <class From>
  void xor_(const Operand& to, const From& from) {
    arithmetic(6, to, as_operand(from));
  }
  template <class From>
  void cmp(const Operand& to, const From& from) {
    arithmetic(7, to, as_operand(from));
  }
  /// Compares four bytes with a constant that takes the instruction's last four bytes, however small it is.
  void cmp_long(const Mem& place, uint32_t constant) {
    _bufferPtr = encoding::put(encoding::with_mem(room(), false, 0x81, 7, place), constant);
  }
  void test(const Gp& a, const Gp& b) {
    if (!encoding::is_int(a) || encoding::bits(a) != encoding::bits(b)) [[unlikely]]
      return other(kTest, a, b);
    _bufferPtr = encoding::with_reg(room(), encoding::is_wide(a), 0x85, encoding::reg(b), encoding::reg(a));
  }
  void lea(const Gp& to, const Mem& from) { other(asmjit::x86::Inst::kIdLea, to, from); }
  void movzx(const Gp& to, const Operand& from) { other(asmjit::x86::Inst::kIdMovzx, to, from); }
  void movsx(const Gp& to, const Operand& from) { other(asmjit::x86::Inst::kIdMovsx, to, from); }
  void movsxd(const Gp& to, const Operand& from) { other(asmjit::x86::Inst::kIdMovsxd, to, from); }
  void inc(const Mem& place) { by_place(0xff, 0, place); }
  void dec(const Mem& place) { by_place(0xff, 1, place); }
  void call(const Mem& place) { by_place(0xff, 2, place); }
  void jmp(const Mem& place) { by_place(0xff, 4, place); }
  void ret() { put<uint8_t>(0xc3); }
  void set(Cond cond, const Gp& byte) {
    _bufferPtr = encoding::with_reg(room(), false, 0x0f90 | static_cast<unsigned>(cond), 0, encoding::reg(byte), true);
  }
  void cmov(Cond cond, const Gp& to, const Operand& from);
  void cmova(const Gp& to, const Operand& from) { cmov(Cond::kA, to, from); }
  void cmovb(const Gp& to, const Operand& from) { cmov(Cond::kB, to, from); }
  void cmovnz(const Gp& to, const Operand& from) { cmov(Cond::kNZ, to, from); }
  void push(const Gp& reg) { short_form(0x50, reg); }
  void pop(const Gp& reg) { short_form(0x58, reg); }

  using BaseEmitter::emit;
  void emit(asmjit::InstId id, const Operand& o0, const Operand& o1) { other(id, o0, o1); }

  asmjit::Error _emit(asmjit::InstId id, const Operand& o0, const Operand& o1, const Operand& o2,
                      const Operand* more) override;
  asmjit::Error align(asmjit::AlignMode mode, uint32_t alignment) override;
  /// Bytes of data.
  template <class T>
  void put(T value) {
    _bufferPtr = encoding::put(room(), value);
  }

 private:
  static constexpr asmjit::InstId kMov = asmjit::x86::Inst::kIdMov, kTest = asmjit::x86::Inst::kIdTest;

  static constexpr unsigned kLoad = 0x8b, kStore = 0x89;  // opcodes of mov

  template <class T>
  static auto as_operand(const T& from) {
    if constexpr (std::is_integral_v<T>) {
      return Imm(from);
    } else {
      return from;
    }
  }
  /// Where the next instruction is written, with room for it.
  uint8_t* room() {
    if (remainingSpace() < encoding::kLongest) [[unlikely]]
      grow();
    return _bufferPtr;
  }
  void grow();
  /// Tells asmjit how much code there is, before it looks.
  void update_size();
  void move(unsigned code, const Gp& reg, const Mem& mem);
  void other(asmjit::InstId id, const Operand& o0, const Operand& o1);
  void arithmetic(unsigned n, const Operand& to, const Operand& from);
  /// inc and dec of 4 or 8 bytes; call and jump of 8.
  void by_place(unsigned code, unsigned field, const Mem& place);
  void short_form(unsigned code, const Gp& reg);
  asmjit::Error by_asmjit(asmjit::InstId id, const Operand& o0, const Operand& o1, const Operand& o2,
                          const Operand* more);
  /// Writes the instruction at `p` and returns its end; null: not one of ours.
  static uint8_t* encode(uint8_t* p, asmjit::InstId id, const Operand& o0, const Operand& o1);

  Labels labels_;
  size_t most_ = kMost;  // until begin() says less
};

}  // namespace vmrun::jit::baseline
