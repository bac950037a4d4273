// No memory for a translation: the guest traps, and goes on when there is some. An allocator that fails on demand.
#include <cstdint>
#include <cstdlib>
#include <new>

#include "interp/interp.h"
#include "interp/runtime.h"
#include "tests/support/interp_fixture.h"
#include "tests/support/module_bytes.h"

namespace {
thread_local size_t refused_size = SIZE_MAX;  // allocations from here on fail
thread_local int64_t granted = INT64_MAX;     // how many more succeed
void* allocate(size_t size) noexcept {
  if (size >= refused_size) return nullptr;
  if (granted != INT64_MAX && granted-- <= 0) return nullptr;
  return std::malloc(size != 0 ? size : 1);
}
void give(void* p) noexcept { std::free(p); }
}  // namespace

void* operator new(size_t size) {
  if (void* p = allocate(size)) return p;
  throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](size_t size) { return operator new(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
#include "tests/support/replace_delete.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

using test::Bytes;

/// A function that gives the sum of `count` times its argument, from as many operands.
Bytes sum_image(uint32_t count) {
  Bytes code = {0};
  for (uint32_t i = 0; i < count; ++i) test::append(code, {0x20, 0});
  test::append(code, {0x03, 0x40, 0x0b});  // an empty loop, for an entry
  for (uint32_t i = 1; i < count; ++i) code.push_back(0x6a);
  code.push_back(0x0b);
  Bytes image = test::kHeader, section = {1};
  test::append_u32(section, static_cast<uint32_t>(code.size()));
  test::append(section, code);
  test::append_section(image, 1, {1, 0x60, 1, 0x7f, 1, 0x7f});
  test::append_section(image, 3, {1, 0});
  test::append_section(image, 7, {1, 1, 'f', 0, 0});
  test::append_section(image, 10, section);
  return image;
}

}  // namespace

TEST_CASE("each allocation of a translation may fail") {
  for (auto effort : {Effort::Quick, Effort::Careful}) {
    int64_t refused = 0;
    for (bool done = false; !done; ++refused) {
      REQUIRE(refused < 10'000);
      auto module = ok(test::decode(sum_image(300)));
      module->effort = effort;
      interp::attach(*module);
      const auto* stub = static_cast<const interp::Cell*>(module->codes[0].entry.load());
      granted = refused;
      const interp::Cell* code = interp::translate_at_first_call(stub);
      granted = INT64_MAX;
      done = code != interp::out_of_memory_cell() && module->translations.careful == (effort == Effort::Careful);
      if (code == interp::out_of_memory_cell()) {
        CHECK(module->codes[0].entry.load() == stub);
        CHECK(interp::translate_at_first_call(stub) != interp::out_of_memory_cell());
      }
      interp::detach(*module);
    }
    CHECK(refused > 5);
  }
}

TEST_CASE("a guest for whose code there is no memory traps") {
  for (Effort effort : kEfforts) {
    World world(effort);
    Module module = ok(Module::compile(world.engine, sum_image(3000)));
    auto f = func<int32_t(int32_t)>(ok(world.linker.instantiate(world.store, module)), "f");
    refused_size = 16 << 10;
    auto result = f.call(7);
    refused_size = SIZE_MAX;
    REQUIRE_FALSE(result);
    CHECK(result.error().trap == TrapCode::OutOfMemory);
    CHECK(ok(f.call(7)) == 21000);
  }
}
