// WebAssembly types. Every type definition is interned in a TypeRegistry, so that within one engine two types are equal
// exactly when their TypeIds are (WebAssembly 3.0, 3.1.3: iso-recursive equivalence by rolled-up recursive groups).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "vm/wasm/limits.h"

namespace vmrun::vm {

/// Canonical id of a type definition inside one TypeRegistry.
enum class TypeId : uint32_t { none = 0xffffffff };

/// Abstract heap types, with their codes in the binary format (5.3.4).
enum class Heap : uint8_t {
  exn = 0x69,
  array = 0x6a,
  struct_ = 0x6b,
  i31 = 0x6c,
  eq = 0x6d,
  any = 0x6e,
  extern_ = 0x6f,
  func = 0x70,
  none = 0x71,
  noextern = 0x72,
  nofunc = 0x73,
  noexn = 0x74,
};

/// A heap type: abstract or a concrete type definition.
class HeapType {
 public:
  constexpr HeapType() = default;
  constexpr HeapType(Heap abstract) : bits_(static_cast<uint32_t>(abstract)) {}
  constexpr explicit HeapType(TypeId concrete) : bits_(static_cast<uint32_t>(concrete) + kConcrete) {}
  static constexpr HeapType from_bits(uint32_t bits) {
    HeapType h;
    h.bits_ = bits;
    return h;
  }

  constexpr bool is_concrete() const { return bits_ >= kConcrete; }
  constexpr Heap abstract() const { return static_cast<Heap>(bits_); }
  constexpr TypeId concrete() const { return static_cast<TypeId>(bits_ - kConcrete); }
  constexpr uint32_t bits() const { return bits_; }
  friend constexpr bool operator==(HeapType, HeapType) = default;

 private:
  static constexpr uint32_t kConcrete = 0x100;
  uint32_t bits_ = 0;
};

/// The heap type of a reference the validator knows nothing else about: matches every heap type.
inline constexpr HeapType kBottomHeap{};

/// A value type in 32 bits: equal bits, equal types. `bottom` is the validator's unknown operand.
class ValType {
 public:
  enum class Kind : uint8_t { bottom = 0, i32 = 0x7f, i64 = 0x7e, f32 = 0x7d, f64 = 0x7c, v128 = 0x7b, ref = 0x64 };

  constexpr ValType() = default;
  constexpr ValType(Kind kind) : bits_(static_cast<uint32_t>(kind)) {}
  static constexpr ValType ref(HeapType heap, bool nullable) {
    ValType t;
    t.bits_ = static_cast<uint32_t>(Kind::ref) | (nullable ? 0x100u : 0u) | heap.bits() << 9;
    return t;
  }

  constexpr Kind kind() const { return static_cast<Kind>(bits_ & 0xff); }
  constexpr bool is_ref() const { return kind() == Kind::ref; }
  constexpr bool is_num() const { return !is_ref() && kind() != Kind::v128 && kind() != Kind::bottom; }
  constexpr bool nullable() const { return (bits_ & 0x100) != 0; }
  constexpr HeapType heap() const { return HeapType::from_bits(bits_ >> 9); }
  constexpr bool is_defaultable() const { return !is_ref() || nullable(); }
  /// Slots a value of this type takes: two for v128, one otherwise.
  constexpr uint32_t slots() const { return kind() == Kind::v128 ? 2 : 1; }
  constexpr uint32_t bits() const { return bits_; }
  friend constexpr bool operator==(ValType, ValType) = default;

 private:
  uint32_t bits_ = 0;
};

inline constexpr ValType kI32{ValType::Kind::i32}, kI64{ValType::Kind::i64}, kF32{ValType::Kind::f32},
    kF64{ValType::Kind::f64}, kV128{ValType::Kind::v128}, kBottom{};
inline constexpr ValType kFuncRef = ValType::ref(Heap::func, true), kExternRef = ValType::ref(Heap::extern_, true),
                         kExnRef = ValType::ref(Heap::exn, true);

struct FuncType {
  std::vector<ValType> params, results;
  uint32_t param_slots = 0, result_slots = 0;  // filled in by the registry
  friend bool operator==(const FuncType&, const FuncType&) = default;
};

/// A field of a struct or the element of an array: a value type or a packed one (i8 0x78, i16 0x77).
struct FieldType {
  ValType type;        // kI32 for packed fields
  uint8_t packed = 0;  // 0, 8 or 16 bits
  bool mutable_ = false;
  friend bool operator==(const FieldType&, const FieldType&) = default;
};

struct TypeDef {
  enum class Kind : uint8_t { func, struct_, array } kind = Kind::func;
  bool final_ = true;
  TypeId super = TypeId::none;
  uint32_t depth = 0;             // number of supertypes above this one
  FuncType func;                  // kind == func
  std::vector<FieldType> fields;  // struct: its fields; array: its one element
};

struct Limits {
  uint64_t min = 0;
  std::optional<uint64_t> max;
  bool is64 = false;
};
/// The most pages of 2^page_log2 bytes that a memory may have by the specification: as many as its addresses reach, but
/// never so many that memory.size could not say it.
constexpr uint64_t most_pages(bool is64, unsigned page_log2) {
  if (page_log2 == 0) return is64 ? UINT64_MAX : UINT32_MAX;
  return uint64_t{1} << ((is64 ? 64 : 32) - page_log2);
}
/// The most elements that a table may have by the specification.
constexpr uint64_t most_elements(bool is64) { return is64 ? UINT64_MAX : UINT32_MAX; }

struct MemoryType {
  Limits limits;  // in pages
  bool shared = false;
  uint8_t page_log2 = 16;  // custom page sizes: 0 or 16
};
struct TableType {
  ValType elem;
  Limits limits;
};
struct GlobalType {
  ValType type;
  bool mutable_ = false;
};

/// The interned type definitions of one engine. Interning locks; reading a definition by id does not (a definition is
/// complete before anybody learns its id, and it never moves or dies before the registry).
class TypeRegistry {
 public:
  TypeRegistry();
  ~TypeRegistry();
  TypeRegistry(const TypeRegistry&) = delete;
  TypeRegistry& operator=(const TypeRegistry&) = delete;

  /// Inside a group handed to `intern`, the group's own members are named kRecBase, kRecBase + 1, ...
  static constexpr uint32_t kRecBase = kMaxEngineTypes;

  /// Interns a recursive group (3.1.3) and returns the id of its first member; the others follow. Equal groups get equal
  /// ids. Supertypes must come before their subtypes. Fails (nullopt) when the registry is full.
  std::optional<TypeId> intern(std::vector<TypeDef> group);

  /// Interns a function type on its own: a final type without a supertype. Fails (nullopt) when the registry is full.
  std::optional<TypeId> intern_func(std::span<const ValType> params, std::span<const ValType> results);

  /// The definition with this id, which must come from this registry.
  const TypeDef& get(TypeId id) const {
    uint32_t n = static_cast<uint32_t>(id);
    return chunks_[n >> kChunkLog2].load(std::memory_order_acquire)[n & (kChunkSize - 1)];
  }

  /// Subtyping (3.3): `sub` may stand where `super` is wanted. `bottom` matches everything.
  bool matches(TypeId sub, TypeId super) const;
  bool matches(HeapType sub, HeapType super) const;
  bool matches(ValType sub, ValType super) const { return sub == super || matches_slow(sub, super); }
  bool matches(const FieldType& sub, const FieldType& super) const;
  /// Whether `sub`, on its own structure, may declare `super` as its supertype (3.2.10), finality aside.
  bool matches_structure(const TypeDef& sub, const TypeDef& super) const;

  /// The abstract type at the top of a heap type's hierarchy: any, func, extern or exn.
  Heap top(HeapType type) const;

 private:
  static constexpr uint32_t kChunkLog2 = 10, kChunkSize = 1u << kChunkLog2;

  bool matches_slow(ValType sub, ValType super) const;
  static std::vector<uint32_t> key_of(const std::vector<TypeDef>& group);

  /// An image chooses the keys, so that the hash starts from a number that it does not know.
  struct KeyHash {
    uint64_t seed;
    size_t operator()(const std::vector<uint32_t>& key) const;
  };
  std::mutex mutex_;  // guards size_ and groups_, and adding chunks
  uint32_t size_ = 0;
  uint64_t parts_ = 0;                                                 // words of all keys
  std::unordered_map<std::vector<uint32_t>, TypeId, KeyHash> groups_;  // by serialised group
  std::unique_ptr<std::atomic<TypeDef*>[]> chunks_;                    // kMaxEngineTypes / kChunkSize pointers
};

/// The text form of a type, such as "i32" or "(ref null func)"; a concrete heap type prints as its canonical id.
std::string to_string(ValType type);
std::string to_string(HeapType type);

}  // namespace vmrun::vm
