// Which instructions have a generic form, the tables of their handlers, and the cells they are written as.
#include "interp/handlers/generic.h"

#include <bit>

#include "interp/handlers/generic_ops.h"
#include "interp/handlers/handlers.h"
#include "vm/base/assert.h"
#include "vm/wasm/signature.h"

namespace vmrun::interp {

using vm::Family;
using vm::Imm;
using vm::Op;

namespace {

constexpr bool is_access(Op op) {
  Imm imm = vm::op_info(op).imm;
  return imm == Imm::memarg || imm == Imm::memarg_lane;
}

/// Translators know locals and what moves control; nothing is done for a drop; nobody executes instructions on objects.
constexpr bool has_form(Op op) {
  const vm::OpInfo& info = vm::op_info(op);
  return info.family != Family::control && info.family != Family::local && op != Op::drop && !info.is_gc_object();
}

/// The handlers of a row. Accesses have two, all others one.
template <Op op>
struct Row;
#define VMRUN_OP(prefix, code, name, ...)                        \
  template <>                                                    \
  struct Row<Op::name> {                                         \
    static constexpr Handler kPlain = &generic::plain::name;     \
    static constexpr Handler kGuarded = &generic::guarded::name; \
    static constexpr Handler kChecked = &generic::checked::name; \
  };
#include "vm/wasm/opcodes.def"
#undef VMRUN_OP

/// Constants and select_t share handlers with others.
template <Op op>
constexpr Handler main_handler() {
  if constexpr (!has_form(op)) {
    return nullptr;
  } else if constexpr (is_access(op)) {
    return Row<op>::kGuarded;
  } else if constexpr (vm::family(op) == Family::constant || op == Op::ref_null) {
    return &generic::plain::constant64;
  } else if constexpr (op == Op::select_t) {
    return &generic::plain::select;
  } else {
    return Row<op>::kPlain;
  }
}

/// The other form of an instruction: of a checked access, or of a v128.
template <Op op>
constexpr Handler other_handler() {
  if constexpr (is_access(op)) {
    return Row<op>::kChecked;
  } else if constexpr (op == Op::select || op == Op::select_t) {
    return &generic::plain::select_v128;
  } else if constexpr (op == Op::global_get) {
    return &generic::plain::global_get_v128;
  } else if constexpr (op == Op::global_set) {
    return &generic::plain::global_set_v128;
  } else {
    return nullptr;
  }
}

}  // namespace

using OpPlace = Dim<Op, static_cast<int>(vm::kOpCount)>;
VMRUN_TABLE(vmrun_generic_handlers, GenericTable, OpPlace)
VMRUN_TABLE(vmrun_generic_other_handlers, GenericOtherTable, OpPlace)

namespace {

struct MainMaker : GenericTable {
  template <int I>
  static constexpr Handler get() {
    return main_handler<static_cast<Op>(at<OpPlace>(I))>();
  }
};
struct OtherMaker : GenericOtherTable {
  template <int I>
  static constexpr Handler get() {
    return other_handler<static_cast<Op>(at<OpPlace>(I))>();
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_generic_handlers, MainMaker)
VMRUN_HANDLER_TABLE(vmrun_generic_other_handlers, OtherMaker)

namespace {

Handler find_handler(Op op, bool other) {
  const OpPlace place{static_cast<int>(op)};
  Handler handler = other ? GenericOtherTable::find(place) : GenericTable::find(place);
  VMRUN_ASSERT(handler != nullptr, "an instruction without the generic form asked for");
  return handler;
}

bool is_v128(vm::ValType type) { return type.kind() == vm::ValType::Kind::v128; }

/// Writes cells one after the other.
struct Writer {
  Cell* out;
  uint32_t count = 0;
  Cell& first(Handler handler) {
    Cell& cell = out[count++] = Cell{};
    cell.handler = handler;
    return cell;
  }
  void data(uint64_t w, uint64_t u) {
    Cell& cell = out[count++] = Cell{};
    cell.w = w;
    cell.u = u;
  }
};

/// a = result, b, c, d = operands.
void place(Cell& cell, const uint16_t* dst, unsigned results, const uint16_t* src, unsigned operands) {
  if (results > 0) cell.a = dst[0];
  if (operands > 0) cell.b = src[0];
  if (operands > 1) cell.c = src[1];
  if (operands > 2) cell.d = src[2];
}

void emit_access(Writer& w, const GenericEnv& env, Op op, const vm::Immediate& imm, const uint16_t* dst,
                 const uint16_t* src) {
  const vm::OpInfo& info = vm::op_info(op);
  const unsigned operands = vm::signature(op).params, results = vm::signature(op).results;
  bool checked = imm.mem.memory != 0 || env.memory0 == MemoryMode::checked;
  Cell& cell = w.first(find_handler(op, checked));
  // Plain loads and stores of guarded memory are one cell: the offset is less than 2^32 there.
  if (!checked && info.family != Family::atomic && info.imm == Imm::memarg) {
    cell.a = results > 0 ? dst[0] : src[1];
    cell.b = src[0];
    cell.imm = static_cast<int32_t>(static_cast<uint32_t>(imm.mem.offset));
    return;
  }
  place(cell, dst, results, src, operands);
  if (info.imm == Imm::memarg_lane) cell.d = imm.lane;
  w.data(imm.mem.offset, imm.mem.memory);
}

/// Instructions whose immediates are memories, tables or segments: both indices go to the second cell.
void emit_indexed(Writer& w, Op op, uint64_t first, uint64_t second, const uint16_t* dst, unsigned results,
                  const uint16_t* src, unsigned operands) {
  place(w.first(find_handler(op, false)), dst, results, src, operands);
  w.data(first, second);
}

/// Instructions whose signature is not in the table.
bool emit_special(Writer& w, const GenericEnv& env, Op op, const vm::Immediate& imm, const uint16_t* dst,
                  const uint16_t* src) {
  switch (op) {
    case Op::select:
    case Op::select_t: place(w.first(find_handler(op, is_v128(imm.type))), dst, 1, src, 3); return true;
    case Op::global_get:
    case Op::global_set: {
      Cell& cell = w.first(find_handler(op, is_v128(env.module.globals[imm.index].type.type)));
      cell.a = op == Op::global_get ? dst[0] : src[0];
      cell.imm = static_cast<int32_t>(imm.index);
      return true;
    }
    case Op::ref_null:
      w.first(find_handler(op, false)).a = dst[0];
      w.data(0, 0);
      return true;
    case Op::ref_func: {
      Cell& cell = w.first(find_handler(op, false));
      cell.a = dst[0];
      cell.imm = static_cast<int32_t>(imm.index);
      return true;
    }
    case Op::ref_is_null:
    case Op::ref_as_non_null:
    case Op::any_convert_extern:
    case Op::extern_convert_any: place(w.first(find_handler(op, false)), dst, 1, src, 1); return true;
    case Op::ref_test:
    case Op::ref_test_null:
    case Op::ref_cast:
    case Op::ref_cast_null:
      place(w.first(find_handler(op, false)), dst, 1, src, 1);
      w.data(imm.type.heap().bits(), 0);
      return true;
    case Op::ref_eq: place(w.first(find_handler(op, false)), dst, 1, src, 2); return true;
    case Op::memory_size: emit_indexed(w, op, imm.mem.memory, 0, dst, 1, src, 0); return true;
    case Op::memory_grow: emit_indexed(w, op, imm.mem.memory, 0, dst, 1, src, 1); return true;
    case Op::memory_fill: emit_indexed(w, op, imm.mem.memory, 0, dst, 0, src, 3); return true;
    case Op::memory_copy: emit_indexed(w, op, imm.mem.memory, imm.index2, dst, 0, src, 3); return true;
    case Op::memory_init: emit_indexed(w, op, imm.index, imm.mem.memory, dst, 0, src, 3); return true;
    case Op::data_drop:
    case Op::elem_drop: emit_indexed(w, op, imm.index, 0, dst, 0, src, 0); return true;
    case Op::table_size: emit_indexed(w, op, imm.index, 0, dst, 1, src, 0); return true;
    case Op::table_get: emit_indexed(w, op, imm.index, 0, dst, 1, src, 1); return true;
    case Op::table_set: emit_indexed(w, op, imm.index, 0, dst, 0, src, 2); return true;
    case Op::table_grow: emit_indexed(w, op, imm.index, 0, dst, 1, src, 2); return true;
    case Op::table_fill: emit_indexed(w, op, imm.index, 0, dst, 0, src, 3); return true;
    case Op::table_copy:
    case Op::table_init: emit_indexed(w, op, imm.index, imm.index2, dst, 0, src, 3); return true;
    default: return false;
  }
}

}  // namespace

bool has_generic_form(Op op) { return has_form(op); }

uint32_t emit_generic(Cell* out, const GenericEnv& env, Op op, const vm::Immediate& imm, const uint16_t* dst,
                      const uint16_t* src) {
  if (!has_form(op)) return 0;
  Writer w{out};
  if (emit_special(w, env, op, imm, dst, src)) return w.count;
  const vm::OpInfo& info = vm::op_info(op);
  if (is_access(op)) {
    emit_access(w, env, op, imm, dst, src);
    return w.count;
  }
  const unsigned operands = vm::signature(op).params, results = vm::signature(op).results;
  Cell& cell = w.first(find_handler(op, false));
  place(cell, dst, results, src, operands);
  if (results == 2) cell.d = dst[1];
  switch (info.imm) {
    case Imm::lane: cell.d = imm.lane; break;
    case Imm::i32: w.data(static_cast<uint32_t>(imm.i32), 0); break;
    case Imm::i64: w.data(static_cast<uint64_t>(imm.i64), 0); break;
    case Imm::f32: w.data(imm.f32bits, 0); break;
    case Imm::f64: w.data(imm.f64bits, 0); break;
    case Imm::v128:
    case Imm::lanes: w.data(imm.v128.lo, imm.v128.hi); break;
    default: break;
  }
  if (operands == 4) {
    w.data(0, 0);
    out[w.count - 1].a = src[2];
    out[w.count - 1].b = src[3];
  }
  return w.count;
}

}  // namespace vmrun::interp
