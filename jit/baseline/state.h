// What the baseline compiler keeps about operands, homes and labels while it compiles a function; compiler.h says what it
// is for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "jit/baseline/labels.h"
#include "jit/baseline/scan.h"
#include "jit/crossing/abi.h"

namespace vmrun::jit::baseline {

class FunctionCompiler;

inline constexpr uint32_t kNone = 0xffffffff;

/// Machine registers by number.
enum Reg : uint8_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };
/// Where parameters of integer class arrive (jit/crossing/abi.h).
inline constexpr uint8_t kIntArgs[kIntParams] = {r15, rdi, rsi, rdx, rcx, r8};
inline constexpr uint8_t kScratch = r11;
inline constexpr uint8_t kVectorScratch = 7;

/// Where an operand is.
struct BaselineValue {
  enum class Kind : uint8_t { slot, local, constant, reg, flags };
  Kind kind = Kind::slot;
  uint8_t reg = 0;    // reg: its number, in the file of the type; flags: asmjit's condition code
  bool raw = false;   // reg: an i32 that others have put there, so that its upper half is not known to be zero
  uint32_t slot = 0;  // its canonical slot
  uint64_t bits = 0;  // constant: i32 zero-extended, floats as bits, v128 see vector_of(); local: its index
};

/// A register with what is added to an address: the upper half is zero where it is an i32.
class Index {
 public:
  uint8_t reg() const { return reg_; }

 private:
  friend class FunctionCompiler;
  explicit Index(uint8_t reg) : reg_(reg) {}
  uint8_t reg_;
};

/// A register that a local has for the whole function.
struct Home {
  uint8_t reg;
  bool vec;
  uint32_t local, slot;
  vm::ValType type;
};

/// Which homes hold their locals, and which of them are newer than the slots. By index of the home.
struct HomeState {
  HomeMask loaded = 0;
  HomeMask dirty = 0;  // a subset of `loaded`
  HomeMask raw = 0;    // another: i32 parameters as they came, whose upper halves are not known to be zero
  /// Without what nobody reads any more.
  HomeState only(HomeMask live) const { return {loaded & live, dirty & live, raw & live}; }
  friend bool operator==(const HomeState&, const HomeState&) = default;
};

/// The target of branches.
struct Target {
  Label label;
  HomeState state;
  HomeMask live = kAllHomes;  // homes that the code there may read before it writes them: no others are in the state
  bool used = false;          // some branch has fixed the state
};

struct BaselineControl {
  uint32_t base = 0;            // canonical slot of the first result (loops: parameter)
  uint32_t body_base = 0;       // canonical slot of the first operand of the part being compiled
  Target target;                // its end, or a loop's header
  Target else_;                 // if: where the condition leads when it is zero
  uint32_t loop = kNone;        // index of its LoopSite
  uint32_t region = kNone;      // try region that code in here belongs to
  uint32_t own_region = kNone;  // of a try or try_table
  size_t filled = 0;            // FunctionCompiler::filled_ at its beginning
  uint32_t left_to = 0;         // the latest UnitSite, from 1, that has been found to leave to the frame
};

/// A loop whose header has been compiled.
struct LoopSite {
  uint32_t offset = 0;
  Label header, slow;
  HomeState state;
  uint32_t slots = 0;                          // canonical slots that are live at the header
  uint32_t first_vector = 0, last_vector = 0;  // range of loop_vectors_
  uint32_t unit = kNone;                       // index of its UnitSite
};

/// Where a loop unit leaves to.
struct UnitExit {
  uint32_t number = 0;       // jit/crossing/abi.h: loop unit
  uint32_t slot = 0;         // of the label's first value
  bool in_register = false;  // the label takes its one value in rax or xmm0
  vm::ValType type;          // of that
  uint32_t loop = kNone;     // the label is this LoopSite's header
  Label label;               // where it is none: the function's
  HomeState state;
};

/// A loop in whose place a unit is called where there is one.
struct UnitSite {
  uint32_t loop = kNone;    // index of its LoopSite
  uint32_t record = 0;      // CalledUnit::record
  uint32_t number = 0;      // of its frame, from the function's
  uint32_t region = kNone;  // that it stands in
  Label look, enter;        // looks for the unit; calls it
  std::vector<UnitExit> exits;
};

/// The table of a br_table, behind the code.
struct BrTable {
  Label at;
  std::vector<Label> targets;
};

/// A handler: what lands there, and where it goes on.
struct Clause {
  uint32_t tag = kNone;      // kNone: catches all
  bool with_ref = false;     // the exnref follows the payload
  bool legacy = false;       // the payload stands behind the hidden slot for the exnref
  bool returns = false;      // the label is the function's
  bool in_register = false;  // the label takes its one value in rax or xmm0
  uint32_t slot = 0;         // of the label's first value, or the hidden slot
  uint32_t loop = kNone;     // index of a LoopSite
  Label label;
  HomeState state;
  Label stub;  // made when a pad needs it
  bool has_stub = false;
};

/// A try.
struct Region {
  uint32_t outer = kNone;  // region around it
  uint32_t next = kNone;   // where the search goes on (differs for delegate); always an earlier one
  uint32_t offset = 0;     // of the try in the image
  bool rethrown = false;   // a rethrow wants the exnref
  bool used = false;       // some call has the pad
  bool searched = false;   // by its own pad or on the way out of another
  Label pad = {}, match = {};
  uint32_t pad_pc = 0;
  std::vector<Clause> clauses = {};
  bool catches_all() const { return std::ranges::find(clauses, kNone, &Clause::tag) != clauses.end(); }
};

/// Where a check of the instruction at `offset` leads when it fails.
struct TrapSite {
  Label label;
  vm::TrapCode code;
  uint32_t offset;
};
/// A poll of a prologue.
struct Poll {
  Label label, back;
  Helper helper;
};
/// A constant behind the code.
struct PoolEntry {
  uint64_t lo, hi;
  unsigned size;
  Label label;
};

}  // namespace vmrun::jit::baseline
