// memory.copy and memory.fill of short ranges whose length is a constant, in place: registers keep what they hold, where a
// helper's call would lose it. All is loaded before anything is stored, so that ranges may overlap, and the last bytes are
// stored first: a range that leaves a guarded memory faults there, before anything is written.
#include "jit/baseline/compiler.h"
#include "jit/baseline/rules.h"
#include "jit/pieces.h"
#include "vm/runtime/fault.h"
#include "vm/wasm/fuel.h"

namespace vmrun::jit::baseline {

namespace {

/// Bytes. Up to so many, vectors of 16 bytes do; behind wider ones the upper halves have to be made zero.
constexpr uint32_t kMostNarrow = 64;
constexpr uint32_t kMostInPlace = 32 * Pieces::kMost;
static_assert((uint64_t{1} << 32) + kMostInPlace <= vm::kFaultReservation);

Pieces pieces_of(uint64_t size) { return {static_cast<uint32_t>(size), size <= kMostNarrow ? 16u : 32u}; }
bool is_in_vector(const Piece& piece) { return piece.bytes >= 4; }

asmjit::x86::Mem piece_of(asmjit::x86::Mem range, const Piece& piece) {
  range.addOffset(piece.at);
  range.setSize(piece.bytes);
  return range;
}

}  // namespace

bool FunctionCompiler::is_short(const V& size) const {
  return memory0_guarded_ && size.kind == Kind::constant && size.bits != 0 && size.bits <= kMostInPlace;
}

/// Where a range of memory 0 begins. An index that is too far for an address takes a register.
asmjit::x86::Mem FunctionCompiler::range(const V& index) {
  if (index.kind == Kind::constant && rules::is_displacement(index.bits + kMostInPlace)) {
    return at(r14, static_cast<int32_t>(index.bits));
  }
  return asmjit::x86::ptr(q(r14), q(index_of(index).reg()));
}

void FunctionCompiler::load_piece(uint8_t to, const Mem& range, const Piece& piece) {
  const Mem from = piece_of(range, piece);
  switch (piece.bytes) {
    case 32: a_.vmovups(asmjit::x86::ymm(to), from); break;
    case 16: a_.vmovups(x(to), from); break;
    case 8: a_.vmovsd(x(to), from); break;
    case 4: a_.vmovss(x(to), from); break;
    default: a_.movzx(w(to), from); break;
  }
}

void FunctionCompiler::store_piece(const Mem& range, const Piece& piece, uint8_t from) {
  const Mem to = piece_of(range, piece);
  switch (piece.bytes) {
    case 32: a_.vmovups(to, asmjit::x86::ymm(from)); break;
    case 16: a_.vmovups(to, x(from)); break;
    case 8: a_.vmovsd(to, x(from)); break;
    case 4: a_.vmovss(to, x(from)); break;
    default: a_.mov(to, sized(from, piece.bytes)); break;
  }
}

bool FunctionCompiler::copy_in_place(D& d, const Imm& imm, const V* args) {
  if (imm.mem.memory != 0 || imm.index2 != 0 || !is_short(args[2])) return false;
  if (module_->metered) charge(d, static_cast<uint32_t>(vm::fuel_of_bytes(args[2].bits)));
  const Mem to = range(args[0]), from = range(args[1]);
  const Pieces pieces = pieces_of(args[2].bits);
  uint8_t values[Pieces::kMost];
  // There are seven temporary vectors at least; what is taken for the last piece is not moved about any more.
  for (size_t i = 0; i < pieces.size(); ++i) {
    const bool vec = is_in_vector(pieces[i]);
    values[i] = vec && i + 1 == Pieces::kMost ? kVectorScratch : take(vec);
  }
  mark(d);
  for (size_t i = 0; i < pieces.size(); ++i) load_piece(values[i], from, pieces[i]);
  for (size_t i = pieces.size(); i-- != 0;) store_piece(to, pieces[i], values[i]);
  if (args[2].bits > kMostNarrow) a_.vzeroupper();
  return true;
}

bool FunctionCompiler::fill_in_place(D& d, const Imm& imm, const V* args) {
  if (imm.mem.memory != 0 || !is_short(args[2])) return false;
  if (module_->metered) charge(d, static_cast<uint32_t>(vm::fuel_of_bytes(args[2].bits)));
  const Mem to = range(args[0]);
  const Pieces pieces = pieces_of(args[2].bits);
  const bool wide = args[2].bits > kMostNarrow;
  const V& byte = args[1];
  const uint64_t bits = UINT64_C(0x0101010101010101) * (byte.bits & 0xff);  // of a constant
  // The first pieces are the widest: vectors of the byte, and integers of it behind them.
  uint8_t vector = kNoHome, integer = kNoHome;
  if (is_in_vector(pieces[0])) {
    vector = take_vec();
    if (byte.kind == Kind::constant && (bits == 0 || !wide)) {
      load_vector(vector, {bits, bits});  // zero in all of it
    } else {
      a_.vmovd(x(vector), w(fetch_int(byte)));
      if (wide) {
        a_.vpbroadcastb(asmjit::x86::ymm(vector), x(vector));
      } else {
        a_.vpbroadcastb(x(vector), x(vector));
      }
    }
  }
  if (!is_in_vector(pieces[pieces.size() - 1])) {
    integer = take_int();
    if (byte.kind == Kind::constant) {
      load_const(integer, bits & 0xffff);
    } else {
      a_.movzx(w(integer), sized(fetch_int(byte), 1));
      a_.imul(w(integer), w(integer), 0x0101);
    }
  }
  mark(d);
  for (size_t i = pieces.size(); i-- != 0;) store_piece(to, pieces[i], is_in_vector(pieces[i]) ? vector : integer);
  if (wide) a_.vzeroupper();
  return true;
}

}  // namespace vmrun::jit::baseline
