// What the function decoder keeps besides the operand and control stacks: the cursor, the locals, the module, and the
// parts that do not depend on a consumer. Included by vm/wasm/func_decoder.h only.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "vm/wasm/limits.h"
#include "vm/wasm/module.h"
#include "vm/wasm/opcode.h"
#include "vm/wasm/reader.h"
#include "vm/wasm/types.h"

namespace vmrun::vm {

enum class ControlKind : uint8_t { func, block, loop, if_, else_, try_table, try_, catch_, catch_all_ };

enum class CatchKind : uint8_t { catch_, catch_ref, catch_all, catch_all_ref };

/// A clause of try_table. `depth` counts labels from outside the try_table: 0 is the frame around it.
struct CatchClause {
  CatchKind kind;
  uint32_t tag;  // not for catch_all and catch_all_ref
  uint32_t depth;
};

/// What validation of bodies needs to know beyond the module, and where it leaves what it saw.
struct ValidationState {
  std::vector<bool> declared_funcs;  // functions that ref.func may name (3.4.14)
  bool has_data_count = false;
};

/// Which instructions a body contains: by opcode byte, and by Op for those with a prefix.
struct OpsSeen {
  uint8_t byte[256] = {};
  uint8_t op[kOpCount] = {};
};

class FuncDecoderBase {
 public:
  const Module& module() const { return module_; }
  uint32_t func_index() const { return func_index_; }
  /// Byte offset in the image of the instruction being delivered.
  uint64_t offset() const { return static_cast<uint64_t>(op_ - image_); }
  /// Byte offset in the image of the next instruction.
  uint64_t next_offset() const { return static_cast<uint64_t>(p_ - image_); }
  /// Types of all locals, parameters first.
  std::span<const ValType> locals() const { return locals_; }
  /// Whether the instruction before was able to fall through to this one.
  bool reachable() const { return reachable_; }
  /// Whether the next opcode byte is that of `op`, which must have no prefix.
  bool next_is(Op op) const { return p_ < end_ && *p_ == op_info(op).code; }
  /// The type an address has in a memory, and an index in a table.
  ValType memory_address(uint32_t memory) const { return module_.memories[memory].limits.is64 ? kI64 : kI32; }
  ValType table_address(uint32_t table) const { return module_.tables[table].type.limits.is64 ? kI64 : kI32; }

  const DecodeError& error() const { return error_; }
  /// From an event: no further instruction is delivered, and `decode` returns false.
  void stop() { end_ = p_; }
  OpsSeen& seen() { return seen_; }

 protected:
  FuncDecoderBase(const Module& module, const ValidationState* state)
      : module_(module), registry_(*module.registry), state_(state), image_(module.bytes()) {}

  struct BlockType {
    std::span<const ValType> params, results;
    bool wide = false;  // a v128 is among them
  };

  /// Reads the local declarations behind the parameters.
  bool read_locals(const FuncType& type);
  bool read_block_type(BlockType& out);
  bool read_val_type(ValType& out);
  bool read_heap_type(HeapType& out);

  [[gnu::cold, gnu::noinline]] bool fail(ErrorKind kind, std::string message, const uint8_t* at);
  [[gnu::cold, gnu::noinline]] bool malformed(const char* message) { return fail(ErrorKind::Malformed, message, op_); }
  [[gnu::cold, gnu::noinline]] bool invalid(const char* message) { return fail(ErrorKind::Invalid, message, op_); }
  [[gnu::cold, gnu::noinline]] bool unknown(const char* what, uint64_t index);
  [[gnu::cold, gnu::noinline]] bool leb_error(LebStatus status, const uint8_t* at) {
    return fail(ErrorKind::Malformed, leb_message(status), at);
  }
  [[gnu::cold, gnu::noinline]] bool mismatch(ValType expected, ValType found);
  [[gnu::cold, gnu::noinline]] bool missing_operand(ValType expected);
  [[gnu::cold, gnu::noinline]] bool too_many(const char* what, uint64_t limit);
  /// How many operands the frame has room for beside the locals.
  uint32_t max_operands() const { return (kMaxFrameSlots - local_slots_ - open_catches_) / (wide_ ? 2 : 1); }

  [[gnu::always_inline]] bool u32(uint32_t& out) {
    const uint8_t* at = p_;
    LebStatus status = read_leb<uint32_t, 32>(p_, end_, out);
    if (status != LebStatus::ok) [[unlikely]]
      return leb_error(status, at);
    return true;
  }
  bool u64(uint64_t& out) {
    const uint8_t* at = p_;
    LebStatus status = read_leb<uint64_t, 64>(p_, end_, out);
    return status == LebStatus::ok || leb_error(status, at);
  }
  bool byte(uint8_t& out) {
    if (p_ == end_) return leb_error(LebStatus::unexpected_end, p_);
    out = *p_++;
    return true;
  }
  template <class T>
  bool fixed_bytes(T& out) {
    if (static_cast<size_t>(end_ - p_) < sizeof(T)) return leb_error(LebStatus::unexpected_end, p_);
    std::memcpy(&out, p_, sizeof(T));
    p_ += sizeof(T);
    return true;
  }

  /// Passes over unreachable code to the end, else or catch that closes the innermost frame, on code known valid.
  void skip_dead_code();

  const Module& module_;
  const TypeRegistry& registry_;
  const ValidationState* state_;
  const uint8_t* image_;
  const uint8_t* p_ = nullptr;    // next byte to decode
  const uint8_t* end_ = nullptr;  // of the body
  const uint8_t* op_ = nullptr;   // the current instruction
  bool reachable_ = true;
  bool polymorphic_ = false;  // the innermost frame's stack has any operands that are asked for: its end is cut off
  bool has_uninitialized_ = false;  // some local has no default value
  bool wide_ = false;               // a v128 may be among the operands
  uint32_t local_slots_ = 0;
  uint32_t open_catches_ = 0;   // of older tries: code keeps the exception of each in a slot, for a rethrow
  uint32_t branch_tables_ = 0;  // br_tables so far in this function
  uint32_t func_index_ = 0;
  std::vector<ValType> locals_;
  std::vector<uint8_t> local_set_;      // with has_uninitialized_: whether the local has a value here
  std::vector<uint32_t> set_in_frame_;  // locals given a value, in order, to be undone at the end of their frame
  std::deque<ValType> single_results_;  // storage for block types that are one reference type
  std::vector<uint32_t> labels_;        // of a br_table
  std::vector<CatchClause> clauses_;    // of a try_table
  OpsSeen seen_;
  DecodeError error_;
};

/// Skips the immediates of an instruction in code known valid; `p` stands behind the opcode.
const uint8_t* skip_immediates(Imm kind, const uint8_t* p);

/// Steps over one instruction of code known valid, and tells which it was.
Op skip_instruction(const uint8_t*& p);

/// Where the instructions of a body known valid begin: behind the local declarations.
const uint8_t* skip_locals(const uint8_t* p);

/// Calls `found(op, offset, func_index)` for the first instruction in the bodies of a valid module that `wanted(OpInfo)`.
template <class Wanted, class Found>
void find_op(const Module& module, Wanted wanted, Found found) {
  const uint8_t* image = module.bytes();
  for (uint32_t i = module.imported_funcs; i < module.funcs.size(); ++i) {
    const uint8_t* p = skip_locals(image + module.funcs[i].body.begin);
    while (p < image + module.funcs[i].body.end) {
      uint32_t offset = static_cast<uint32_t>(p - image);
      Op op = skip_instruction(p);
      if (wanted(op_info(op))) return found(op, offset, i);
    }
  }
}

}  // namespace vmrun::vm
