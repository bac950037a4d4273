// Function decoder: references and garbage-collected objects. Included by vm/wasm/func_decoder.h only.
#pragma once

#include "vm/wasm/func_decoder.h"

namespace vmrun::vm {

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_ref(Op op) {
  Immediate imm;
  switch (op) {
    case Op::ref_null: {
      HeapType heap;
      if (!read_heap_type(heap)) return false;
      imm.type = ValType::ref(heap, true);
      return general(op, imm, {}, {imm.type});
    }
    case Op::ref_func:
      if (!read_func(imm.index)) return false;
      if (kValidate && !state_->declared_funcs[imm.index])
        return fail(ErrorKind::Invalid, "undeclared function reference to function " + std::to_string(imm.index), op_);
      return general(op, imm, {}, {ValType::ref(HeapType(module_.funcs[imm.index].type), false)});
    case Op::ref_is_null: return need_ref() && general(op, imm, {sp_[-1].type}, {kI32});
    case Op::ref_as_non_null:
      return need_ref() && general(op, imm, {sp_[-1].type}, {ValType::ref(sp_[-1].type.heap(), false)});
    case Op::ref_eq: {
      ValType eq = ValType::ref(Heap::eq, true);
      return general(op, imm, {eq, eq}, {kI32});
    }
    default: return no_decoding(op);
  }
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_gc(Op op) {
  Immediate imm;
  switch (op) {
    case Op::struct_new:
    case Op::struct_new_default:
    case Op::struct_get:
    case Op::struct_get_s:
    case Op::struct_get_u:
    case Op::struct_set: return do_struct(op);
    case Op::ref_test:
    case Op::ref_test_null:
    case Op::ref_cast:
    case Op::ref_cast_null: {
      HeapType heap;
      if (!read_heap_type(heap)) return false;
      bool nullable = op == Op::ref_test_null || op == Op::ref_cast_null;
      imm.type = ValType::ref(heap, nullable);
      bool test = op == Op::ref_test || op == Op::ref_test_null;
      return general(op, imm, {ValType::ref(registry_.top(heap), true)}, {test ? kI32 : imm.type});
    }
    case Op::br_on_cast:
    case Op::br_on_cast_fail: return do_br_on_cast(op);
    case Op::any_convert_extern:
    case Op::extern_convert_any: {
      bool to_any = op == Op::any_convert_extern;
      ValType from = ValType::ref(to_any ? Heap::extern_ : Heap::any, true);
      if (!need_ref() || !check1(from)) return false;
      return general(op, imm, {from}, {ValType::ref(to_any ? Heap::any : Heap::extern_, sp_[-1].type.nullable())});
    }
    case Op::ref_i31: return general(op, imm, {kI32}, {ValType::ref(Heap::i31, false)});
    case Op::i31_get_s:
    case Op::i31_get_u: return general(op, imm, {ValType::ref(Heap::i31, true)}, {kI32});
    case Op::array_len: return general(op, imm, {ValType::ref(Heap::array, true)}, {kI32});
    case Op::array_new_data:
    case Op::array_new_elem:
    case Op::array_init_data:
    case Op::array_init_elem:
    case Op::array_copy:
    case Op::array_fill: return do_array_bulk(op);
    case Op::array_new:
    case Op::array_new_default:
    case Op::array_new_fixed:
    case Op::array_get:
    case Op::array_get_s:
    case Op::array_get_u:
    case Op::array_set: return do_array(op);
    default: return no_decoding(op);
  }
}

/// Reads the index of a struct or array type.
VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::read_def(uint32_t& index, TypeDef::Kind kind,
                                                              const TypeDef*& def) {
  if (!u32(index)) return false;
  if (kValidate && index >= module_.types.size()) return unknown("type", index);
  def = module_.type_defs[index];
  if (kValidate && def->kind != kind) {
    return fail(ErrorKind::Invalid,
                "type mismatch: type " + std::to_string(index) + " is not " +
                    (kind == TypeDef::Kind::struct_ ? "a struct" : "an array") + " type",
                op_);
  }
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_struct(Op op) {
  Immediate imm;
  const TypeDef* def;
  if (!read_def(imm.index, TypeDef::Kind::struct_, def)) return false;
  TypeId id = module_.types[imm.index];
  ValType made = ValType::ref(HeapType(id), false), taken = ValType::ref(HeapType(id), true);
  if (op == Op::struct_new) {
    std::vector<ValType> fields;
    fields.reserve(def->fields.size());
    for (const FieldType& f : def->fields) fields.push_back(f.type);
    return general(op, imm, std::span<const ValType>(fields), std::span<const ValType>(&made, 1));
  }
  if (op == Op::struct_new_default) {
    if (kValidate && !std::ranges::all_of(def->fields, [](const FieldType& f) { return f.type.is_defaultable(); }))
      return invalid("field type is not defaultable");
    return general(op, imm, {}, {made});
  }
  if (!u32(imm.index2)) return false;
  if (kValidate && imm.index2 >= def->fields.size()) return unknown("field", imm.index2);
  const FieldType& field = def->fields[imm.index2];
  if (op == Op::struct_set) {
    if (kValidate && !field.mutable_) return invalid("immutable field");
    return general(op, imm, {taken, field.type}, {});
  }
  if (kValidate && (field.packed != 0) != (op != Op::struct_get))
    return invalid(field.packed ? "field is packed" : "field is not packed");
  return general(op, imm, {taken}, {field.type});
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_array(Op op) {
  Immediate imm;
  const TypeDef* def;
  if (!read_def(imm.index, TypeDef::Kind::array, def)) return false;
  TypeId id = module_.types[imm.index];
  const FieldType& elem = def->fields[0];
  ValType made = ValType::ref(HeapType(id), false), taken = ValType::ref(HeapType(id), true);
  switch (op) {
    case Op::array_new: return general(op, imm, {elem.type, kI32}, {made});
    case Op::array_new_default:
      if (kValidate && !elem.type.is_defaultable()) return invalid("array type is not defaultable");
      return general(op, imm, {kI32}, {made});
    case Op::array_new_fixed: {
      if (!u32(imm.index2)) return false;
      if (kValidate && imm.index2 > kMaxStructFields) return too_many("operands of array.new_fixed", kMaxStructFields);
      std::vector<ValType> types(imm.index2, elem.type);
      return general(op, imm, std::span<const ValType>(types), std::span<const ValType>(&made, 1));
    }
    case Op::array_set:
      if (kValidate && !elem.mutable_) return invalid("immutable array");
      return general(op, imm, {taken, kI32, elem.type}, {});
    case Op::array_get:
    case Op::array_get_s:
    case Op::array_get_u:
      if (kValidate && (elem.packed != 0) != (op != Op::array_get))
        return invalid(elem.packed ? "array is packed" : "array is not packed");
      return general(op, imm, {taken, kI32}, {elem.type});
    default: return no_decoding(op);
  }
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_array_bulk(Op op) {
  Immediate imm;
  const TypeDef* def;
  if (!read_def(imm.index, TypeDef::Kind::array, def)) return false;
  TypeId id = module_.types[imm.index];
  const FieldType& elem = def->fields[0];
  ValType made = ValType::ref(HeapType(id), false), taken = ValType::ref(HeapType(id), true);
  bool writes = op != Op::array_new_data && op != Op::array_new_elem;
  if (kValidate && writes && !elem.mutable_) return invalid("immutable array");
  if (op == Op::array_fill) return general(op, imm, {taken, kI32, elem.type, kI32}, {});

  if (op == Op::array_copy) {
    const TypeDef* source;
    if (!read_def(imm.index2, TypeDef::Kind::array, source)) return false;
    FieldType from = source->fields[0];
    if (kValidate && (from.packed != elem.packed || !registry_.matches(from.type, elem.type)))
      return invalid("array types do not match");
    ValType from_ref = ValType::ref(HeapType(module_.types[imm.index2]), true);
    return general(op, imm, {taken, kI32, from_ref, kI32, kI32}, {});
  }

  if (!u32(imm.index2)) return false;
  if constexpr (kValidate) {
    if (op == Op::array_new_data || op == Op::array_init_data) {
      if (!check_data(imm.index2)) return false;
      if (elem.type.is_ref()) return invalid("array type is not numeric or vector");
    } else {
      if (!check_elem(imm.index2)) return false;
      if (!registry_.matches(module_.elems[imm.index2].type, elem.type) || elem.packed)
        return mismatch(elem.type, module_.elems[imm.index2].type);
    }
  }
  if (writes) return general(op, imm, {taken, kI32, kI32, kI32}, {});
  return general(op, imm, {kI32, kI32}, {made});
}

}  // namespace vmrun::vm
