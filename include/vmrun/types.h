// WebAssembly types as the embedder sees them (spec 2.3). Plain values; safe to copy between threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#pragma GCC visibility push(default)
namespace vmrun {

/// The kind of a value type, with its code in the binary format.
enum class ValKind : uint8_t { I32 = 0x7f, I64 = 0x7e, F32 = 0x7d, F64 = 0x7c, V128 = 0x7b, Ref = 0x64 };

/// The kind of a heap type, with its code in the binary format; Concrete names a type definition.
enum class HeapKind : uint8_t {
  Concrete = 0,
  Exn = 0x69,
  Array = 0x6a,
  Struct = 0x6b,
  I31 = 0x6c,
  Eq = 0x6d,
  Any = 0x6e,
  Extern = 0x6f,
  Func = 0x70,
  None = 0x71,
  NoExtern = 0x72,
  NoFunc = 0x73,
  NoExn = 0x74,
};

/// A value type. Equal values, equal types, within one engine: concrete reference types carry the engine's own id of
/// the (canonicalised) type definition.
class ValType {
 public:
  constexpr ValType(ValKind kind) : bits_(static_cast<uint32_t>(kind)) {}  // not Ref: use ref()
  static constexpr ValType ref(HeapKind heap, bool nullable = true) {
    return from_bits(static_cast<uint32_t>(ValKind::Ref) | (nullable ? 0x100u : 0u) | static_cast<uint32_t>(heap) << 9);
  }
  static constexpr ValType funcref() { return ref(HeapKind::Func); }
  static constexpr ValType externref() { return ref(HeapKind::Extern); }
  static constexpr ValType exnref() { return ref(HeapKind::Exn); }

  constexpr ValKind kind() const { return static_cast<ValKind>(bits_ & 0xff); }
  constexpr bool is_ref() const { return kind() == ValKind::Ref; }
  constexpr bool nullable() const { return (bits_ & 0x100) != 0; }
  constexpr HeapKind heap() const {
    return bits_ >> 9 >= 0x100 ? HeapKind::Concrete : static_cast<HeapKind>(bits_ >> 9);
  }
  /// The machine's encoding, for the machine.
  constexpr uint32_t bits() const { return bits_; }
  static constexpr ValType from_bits(uint32_t bits) { return ValType(bits, 0); }

  /// As in the text format: "i32", "funcref", "(ref null 3)".
  std::string to_string() const;
  friend constexpr bool operator==(ValType, ValType) = default;

 private:
  constexpr ValType(uint32_t bits, int) : bits_(bits) {}
  uint32_t bits_;
};

/// A function's parameters and results.
struct FuncType {
  std::vector<ValType> params, results;
  /// "(i32, i64) -> (f32)".
  std::string to_string() const;
  friend bool operator==(const FuncType&, const FuncType&) = default;
};

struct TableType {
  ValType element = ValType::funcref();
  uint64_t min = 0;
  std::optional<uint64_t> max = std::nullopt;
  bool is64 = false;  // indices are i64
  friend bool operator==(const TableType&, const TableType&) = default;
};

struct MemoryType {
  uint64_t min = 0;  // in pages
  std::optional<uint64_t> max = std::nullopt;
  bool is64 = false;  // addresses are i64
  bool shared = false;
  uint8_t page_log2 = 16;  // 16, or 0 with custom page sizes
  friend bool operator==(const MemoryType&, const MemoryType&) = default;
};

struct GlobalType {
  ValType type = ValKind::I32;
  bool is_mutable = false;
  friend bool operator==(const GlobalType&, const GlobalType&) = default;
};

/// A tag's parameters are what an exception carries.
struct TagType {
  std::vector<ValType> params;
  friend bool operator==(const TagType&, const TagType&) = default;
};

/// The order matches ExternType's alternatives and the binary format's codes.
enum class ExternKind : uint8_t { Func, Table, Memory, Global, Tag };
std::string_view to_string(ExternKind kind);

/// The type of something imported or exported.
class ExternType {
 public:
  using Variant = std::variant<FuncType, TableType, MemoryType, GlobalType, TagType>;
  template <class T>
    requires std::is_constructible_v<Variant, T>
  ExternType(T type) : type_(std::move(type)) {}

  ExternKind kind() const { return static_cast<ExternKind>(type_.index()); }
  const FuncType* func() const { return std::get_if<FuncType>(&type_); }
  const TableType* table() const { return std::get_if<TableType>(&type_); }
  const MemoryType* memory() const { return std::get_if<MemoryType>(&type_); }
  const GlobalType* global() const { return std::get_if<GlobalType>(&type_); }
  const TagType* tag() const { return std::get_if<TagType>(&type_); }
  /// As in the text format: "(func (param i32) (result i32))", "(memory 1 2)".
  std::string to_string() const;
  friend bool operator==(const ExternType&, const ExternType&) = default;

 private:
  Variant type_;
};

struct ImportType {
  std::string module, name;
  ExternType type;
};
struct ExportType {
  std::string name;
  ExternType type;
  uint32_t index;  // in the index space of its kind
};

}  // namespace vmrun
#pragma GCC visibility pop
