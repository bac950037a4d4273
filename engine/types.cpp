// Text forms of types.
#include "vmrun/types.h"

#include "engine/convert.h"

namespace vmrun {
namespace {

std::string list(const std::vector<ValType>& types) {
  std::string text = "(";
  for (size_t i = 0; i < types.size(); ++i) {
    if (i != 0) text += ", ";
    text += types[i].to_string();
  }
  return text + ")";
}

void append_group(std::string& text, const char* keyword, const std::vector<ValType>& types) {
  if (types.empty()) return;
  text += " (";
  text += keyword;
  for (ValType type : types) text += " " + type.to_string();
  text += ")";
}

std::string limits(uint64_t min, const std::optional<uint64_t>& max, bool is64) {
  std::string text = is64 ? " i64 " : " ";
  text += std::to_string(min);
  if (max) text += " " + std::to_string(*max);
  return text;
}

struct Printer {
  std::string operator()(const FuncType& type) const {
    std::string text = "(func";
    append_group(text, "param", type.params);
    append_group(text, "result", type.results);
    return text + ")";
  }
  std::string operator()(const TableType& type) const {
    return "(table" + limits(type.min, type.max, type.is64) + " " + type.element.to_string() + ")";
  }
  std::string operator()(const MemoryType& type) const {
    std::string text = "(memory" + limits(type.min, type.max, type.is64);
    if (type.page_log2 != 16) text += " (pagesize " + std::to_string(uint64_t{1} << type.page_log2) + ")";
    if (type.shared) text += " shared";
    return text + ")";
  }
  std::string operator()(const GlobalType& type) const {
    const std::string name = type.type.to_string();
    return type.is_mutable ? "(global (mut " + name + "))" : "(global " + name + ")";
  }
  std::string operator()(const TagType& type) const {
    std::string text = "(tag";
    append_group(text, "param", type.params);
    return text + ")";
  }
};

}  // namespace

std::string ValType::to_string() const {
  if (is_ref() && nullable()) {
    switch (heap()) {
      case HeapKind::Func: return "funcref";
      case HeapKind::Extern: return "externref";
      case HeapKind::Exn: return "exnref";
      case HeapKind::Any: return "anyref";
      case HeapKind::Eq: return "eqref";
      case HeapKind::I31: return "i31ref";
      case HeapKind::Struct: return "structref";
      case HeapKind::Array: return "arrayref";
      case HeapKind::None: return "nullref";
      case HeapKind::NoFunc: return "nullfuncref";
      case HeapKind::NoExtern: return "nullexternref";
      case HeapKind::NoExn: return "nullexnref";
      case HeapKind::Concrete: break;
    }
  }
  return vm::to_string(engine::to_vm(*this));
}

std::string FuncType::to_string() const { return list(params) + " -> " + list(results); }

std::string_view to_string(ExternKind kind) {
  switch (kind) {
    case ExternKind::Func: return "func";
    case ExternKind::Table: return "table";
    case ExternKind::Memory: return "memory";
    case ExternKind::Global: return "global";
    case ExternKind::Tag: return "tag";
  }
  return "unknown";
}

std::string ExternType::to_string() const { return std::visit(Printer{}, type_); }

}  // namespace vmrun
