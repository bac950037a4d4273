// Interning of recursive groups and subtyping.
#include "vm/wasm/types.h"

#include <doctest/doctest.h>

#include <thread>

namespace {

using namespace vmrun::vm;

TypeId member(uint32_t i) { return static_cast<TypeId>(TypeRegistry::kRecBase + i); }
TypeId plus(TypeId id, uint32_t n) { return static_cast<TypeId>(static_cast<uint32_t>(id) + n); }

TypeDef func(std::vector<ValType> params, std::vector<ValType> results) {
  TypeDef def;
  def.func.params = std::move(params);
  def.func.results = std::move(results);
  return def;
}

TypeDef structure(std::vector<FieldType> fields, bool final_ = true, TypeId super = TypeId::none) {
  TypeDef def;
  def.kind = TypeDef::Kind::struct_;
  def.final_ = final_;
  def.super = super;
  def.fields = std::move(fields);
  return def;
}

TEST_CASE("equal function types have one id") {
  TypeRegistry registry;
  TypeId a = *registry.intern_func(std::vector{kI32, kI64}, std::vector{kF32});
  CHECK(registry.intern_func(std::vector{kI32, kI64}, std::vector{kF32}) == a);
  CHECK(registry.intern_func(std::vector{kI32}, std::vector{kI64, kF32}) != a);
  CHECK(registry.intern_func(std::vector{kI32, kI64, kF32}, {}) != a);
  CHECK(registry.get(a).func.params == std::vector{kI32, kI64});
  CHECK(registry.get(*registry.intern_func(std::vector{kV128, kI32}, {})).func.param_slots == 3);
}

TEST_CASE("recursive groups are equal by structure, not by place") {
  TypeRegistry registry;
  // (rec (type $a (func (param (ref $b)))) (type $b (func (result (ref $a)))))
  std::vector<TypeDef> group = {func({ValType::ref(HeapType(member(1)), false)}, {}),
                                func({}, {ValType::ref(HeapType(member(0)), false)})};
  TypeId first = *registry.intern(group);
  registry.intern_func({}, {});
  CHECK(*registry.intern(group) == first);
  CHECK(registry.get(first).func.params[0].heap() == HeapType(plus(first, 1)));
  // The same two definitions the other way round are different types.
  std::vector<TypeDef> swapped = {func({}, {ValType::ref(HeapType(member(1)), false)}),
                                  func({ValType::ref(HeapType(member(0)), false)}, {})};
  CHECK(*registry.intern(swapped) != first);
  // A group that refers to the first one from outside differs from one that refers to itself.
  std::vector<TypeDef> outside = {func({ValType::ref(HeapType(plus(first, 1)), false)}, {})};
  CHECK(*registry.intern(outside) != first);
}

TEST_CASE("declared subtyping") {
  TypeRegistry registry;
  FieldType field{kI32, 0, false};
  TypeId base = *registry.intern({structure({field}, false)});
  TypeId middle = *registry.intern({structure({field, field}, false, base)});
  TypeId leaf = *registry.intern({structure({field, field, field}, true, middle)});
  TypeId other = *registry.intern({structure({field, field, field}, true)});
  CHECK(registry.get(leaf).depth == 2);
  CHECK(registry.matches(leaf, base));
  CHECK(registry.matches(leaf, middle));
  CHECK_FALSE(registry.matches(base, leaf));
  CHECK_FALSE(registry.matches(other, base));
  CHECK(registry.matches_structure(registry.get(other), registry.get(base)));
  CHECK_FALSE(registry.matches_structure(registry.get(base), registry.get(other)));
}

TEST_CASE("the lattice of heap types") {
  TypeRegistry registry;
  TypeId fn = *registry.intern_func({}, {});
  TypeId st = *registry.intern({structure({})});
  auto ref = [](HeapType h, bool nullable) { return ValType::ref(h, nullable); };
  auto le = [&](ValType a, ValType b) { return registry.matches(a, b); };
  CHECK(le(ref(Heap::i31, false), ref(Heap::eq, true)));
  CHECK(le(ref(Heap::none, true), ref(HeapType(st), true)));
  CHECK(le(ref(HeapType(st), false), ref(Heap::struct_, false)));
  CHECK(le(ref(HeapType(st), false), ref(Heap::any, true)));
  CHECK_FALSE(le(ref(HeapType(st), false), ref(Heap::array, true)));
  CHECK_FALSE(le(ref(Heap::any, false), ref(Heap::eq, false)));
  CHECK_FALSE(le(ref(Heap::eq, true), ref(Heap::eq, false)));
  CHECK(le(ref(HeapType(fn), false), kFuncRef));
  CHECK(le(ref(Heap::nofunc, false), ref(HeapType(fn), false)));
  CHECK_FALSE(le(ref(Heap::none, false), ref(HeapType(fn), false)));
  CHECK_FALSE(le(kFuncRef, ref(Heap::any, true)));
  CHECK(le(ref(Heap::noextern, true), kExternRef));
  CHECK(le(ref(Heap::noexn, true), kExnRef));
  CHECK_FALSE(le(kExternRef, kExnRef));
  CHECK(le(kBottom, kI32));
  CHECK_FALSE(le(kI32, kI64));
}

TEST_CASE("threads may intern and read at the same time") {
  TypeRegistry registry;
  std::vector<std::vector<TypeId>> ids(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : ids) {
      threads.emplace_back([&] {
        for (uint32_t n = 0; n < 3000; ++n) {
          std::vector<ValType> params(n % 7, kI32);
          for (uint32_t bits = n; bits != 0; bits >>= 1) params.push_back(bits & 1 ? kI64 : kF32);
          mine.push_back(*registry.intern_func(params, {}));
          CHECK(registry.get(mine.back()).func.params == params);
        }
      });
    }
  }
  for (auto& other : ids) CHECK(other == ids[0]);
}

}  // namespace
