// Interning of recursive type groups and subtyping.
#include "vm/wasm/types.h"

#include <algorithm>
#include <random>

namespace vmrun::vm {

namespace {

uint32_t slots_of(const std::vector<ValType>& types) {
  uint32_t slots = 0;
  for (ValType t : types) slots += t.slots();
  return slots;
}

// A reference to the group's own member i becomes the reference to member i of the interned group.
ValType rebase(ValType type, uint32_t base) {
  if (!type.is_ref() || !type.heap().is_concrete()) return type;
  uint32_t id = static_cast<uint32_t>(type.heap().concrete());
  if (id < TypeRegistry::kRecBase) return type;
  return ValType::ref(HeapType(static_cast<TypeId>(id - TypeRegistry::kRecBase + base)), type.nullable());
}

}  // namespace

TypeRegistry::TypeRegistry()
    : groups_(0, KeyHash{std::random_device{}() | uint64_t{std::random_device{}()} << 32}),
      chunks_(std::make_unique<std::atomic<TypeDef*>[]>(kMaxEngineTypes / kChunkSize)) {}

TypeRegistry::~TypeRegistry() {
  for (uint32_t i = 0; i * kChunkSize < size_; ++i) delete[] chunks_[i].load(std::memory_order_relaxed);
}

size_t TypeRegistry::KeyHash::operator()(const std::vector<uint32_t>& key) const {
  uint64_t h = seed + key.size();
  for (uint32_t word : key) {
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    h ^= h >> 32;
  }
  return h;
}

std::vector<uint32_t> TypeRegistry::key_of(const std::vector<TypeDef>& group) {
  std::vector<uint32_t> key;
  for (const TypeDef& def : group) {
    key.push_back(static_cast<uint32_t>(def.kind) | (def.final_ ? 0x100u : 0u));
    key.push_back(static_cast<uint32_t>(def.super));
    if (def.kind == TypeDef::Kind::func) {
      key.push_back(static_cast<uint32_t>(def.func.params.size()));
      for (ValType t : def.func.params) key.push_back(t.bits());
      for (ValType t : def.func.results) key.push_back(t.bits());
      key.push_back(static_cast<uint32_t>(def.func.results.size()));
    } else {
      key.push_back(static_cast<uint32_t>(def.fields.size()));
      for (const FieldType& f : def.fields) {
        key.push_back(f.type.bits());
        key.push_back(f.packed | (f.mutable_ ? 0x100u : 0u));
      }
    }
  }
  return key;
}

std::optional<TypeId> TypeRegistry::intern(std::vector<TypeDef> group) {
  std::vector<uint32_t> key = key_of(group);
  std::lock_guard lock(mutex_);
  if (auto it = groups_.find(key); it != groups_.end()) return it->second;
  if (group.size() > kMaxEngineTypes - size_ || key.size() > kMaxEngineTypeParts - parts_) return std::nullopt;
  uint32_t base = size_;
  for (uint32_t i = 0; i < group.size(); ++i) {
    TypeDef& def = group[i];
    if (def.super != TypeId::none && static_cast<uint32_t>(def.super) >= kRecBase)
      def.super = static_cast<TypeId>(static_cast<uint32_t>(def.super) - kRecBase + base);
    for (ValType& t : def.func.params) t = rebase(t, base);
    for (ValType& t : def.func.results) t = rebase(t, base);
    for (FieldType& f : def.fields) f.type = rebase(f.type, base);
    def.func.param_slots = slots_of(def.func.params);
    def.func.result_slots = slots_of(def.func.results);
    uint32_t id = base + i;
    std::atomic<TypeDef*>& chunk = chunks_[id >> kChunkLog2];
    if (id % kChunkSize == 0) chunk.store(new TypeDef[kChunkSize], std::memory_order_release);
    def.depth = def.super == TypeId::none ? 0 : get(def.super).depth + 1;
    chunk.load(std::memory_order_relaxed)[id & (kChunkSize - 1)] = std::move(def);
    size_ = id + 1;
  }
  parts_ += key.size();
  groups_.emplace(std::move(key), static_cast<TypeId>(base));
  return static_cast<TypeId>(base);
}

std::optional<TypeId> TypeRegistry::intern_func(std::span<const ValType> params, std::span<const ValType> results) {
  std::vector<TypeDef> group(1);
  group[0].func.params.assign(params.begin(), params.end());
  group[0].func.results.assign(results.begin(), results.end());
  return intern(std::move(group));
}

bool TypeRegistry::matches(TypeId sub, TypeId super) const {
  if (sub == super) return true;
  const TypeDef* def = &get(sub);
  uint32_t depth = get(super).depth;
  while (def->depth > depth) {
    if (def->super == super) return true;
    def = &get(def->super);
  }
  return false;
}

Heap TypeRegistry::top(HeapType type) const {
  if (type.is_concrete()) return get(type.concrete()).kind == TypeDef::Kind::func ? Heap::func : Heap::any;
  switch (type.abstract()) {
    case Heap::func:
    case Heap::nofunc: return Heap::func;
    case Heap::extern_:
    case Heap::noextern: return Heap::extern_;
    case Heap::exn:
    case Heap::noexn: return Heap::exn;
    default: return Heap::any;
  }
}

bool TypeRegistry::matches(HeapType sub, HeapType super) const {
  if (sub == super || sub == kBottomHeap) return true;
  if (super.is_concrete()) {
    if (sub.is_concrete()) return matches(sub.concrete(), super.concrete());
    Heap bottom = get(super.concrete()).kind == TypeDef::Kind::func ? Heap::nofunc : Heap::none;
    return sub.abstract() == bottom;
  }
  if (sub.is_concrete()) {
    switch (get(sub.concrete()).kind) {
      case TypeDef::Kind::func: return super.abstract() == Heap::func;
      case TypeDef::Kind::struct_:
        return super.abstract() == Heap::struct_ || super.abstract() == Heap::eq || super.abstract() == Heap::any;
      case TypeDef::Kind::array:
        return super.abstract() == Heap::array || super.abstract() == Heap::eq || super.abstract() == Heap::any;
    }
  }
  if (top(sub) != top(super)) return false;
  switch (super.abstract()) {
    case Heap::func:
    case Heap::extern_:
    case Heap::exn:
    case Heap::any: return true;
    case Heap::eq: return sub.abstract() != Heap::any;
    case Heap::struct_:
    case Heap::array:
    case Heap::i31: return sub.abstract() == Heap::none;
    default: return false;
  }
}

bool TypeRegistry::matches_slow(ValType sub, ValType super) const {
  if (sub == kBottom) return true;
  if (!sub.is_ref() || !super.is_ref()) return false;
  if (sub.nullable() && !super.nullable()) return false;
  return matches(sub.heap(), super.heap());
}

bool TypeRegistry::matches(const FieldType& sub, const FieldType& super) const {
  if (sub.mutable_ != super.mutable_ || sub.packed != super.packed) return false;
  if (sub.mutable_) return sub.type == super.type;
  return matches(sub.type, super.type);
}

bool TypeRegistry::matches_structure(const TypeDef& sub, const TypeDef& super) const {
  if (sub.kind != super.kind) return false;
  if (sub.kind == TypeDef::Kind::func) {
    auto le = [this](ValType a, ValType b) { return matches(a, b); };
    auto ge = [this](ValType a, ValType b) { return matches(b, a); };
    return std::ranges::equal(sub.func.params, super.func.params, ge) &&
           std::ranges::equal(sub.func.results, super.func.results, le);
  }
  if (sub.kind == TypeDef::Kind::array && sub.fields.size() != super.fields.size()) return false;
  if (sub.fields.size() < super.fields.size()) return false;
  for (size_t i = 0; i < super.fields.size(); ++i)
    if (!matches(sub.fields[i], super.fields[i])) return false;
  return true;
}

std::string to_string(HeapType type) {
  if (type.is_concrete()) return std::to_string(static_cast<uint32_t>(type.concrete()));
  if (type == kBottomHeap) return "any heap type";
  switch (type.abstract()) {
    case Heap::exn: return "exn";
    case Heap::array: return "array";
    case Heap::struct_: return "struct";
    case Heap::i31: return "i31";
    case Heap::eq: return "eq";
    case Heap::any: return "any";
    case Heap::extern_: return "extern";
    case Heap::func: return "func";
    case Heap::none: return "none";
    case Heap::noextern: return "noextern";
    case Heap::nofunc: return "nofunc";
    case Heap::noexn: return "noexn";
  }
  return "?";
}

std::string to_string(ValType type) {
  switch (type.kind()) {
    case ValType::Kind::bottom: return "any type";
    case ValType::Kind::i32: return "i32";
    case ValType::Kind::i64: return "i64";
    case ValType::Kind::f32: return "f32";
    case ValType::Kind::f64: return "f64";
    case ValType::Kind::v128: return "v128";
    case ValType::Kind::ref: break;
  }
  return std::string(type.nullable() ? "(ref null " : "(ref ") + to_string(type.heap()) + ")";
}

}  // namespace vmrun::vm
