// A guest may be interrupted while a function is translated for it, which takes long where a few bytes of body have a
// thousand values each.
#include "interp/interp.h"
#include "interp/quick/quick.h"
#include "interp/runtime.h"
#include "tests/support/interp_fixture.h"
#include "tests/support/module_bytes.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/store.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

constexpr uint32_t kOften = 1000;

/// Function 0, exported as "f", is nothing but `middle`, kOften times; type 0: () -> ().
test::Bytes module_of(const test::Bytes& middle) {
  test::Bytes body = {0};
  for (uint32_t i = 0; i < kOften; ++i) test::append(body, middle);
  body.push_back(0x0b);
  test::Bytes out = test::kHeader, code = {1};
  test::append_u32(code, static_cast<uint32_t>(body.size()));
  test::append(code, body);
  test::append_section(out, 1, {1, 0x60, 0, 0});
  test::append_section(out, 3, {1, 0});
  test::append_section(out, 7, {1, 1, 'f', 0, 0});
  test::append_section(out, 10, code);
  return out;
}

const test::Bytes kMiddles[] = {
    {0x02, 0x40, 0x0b},                          // block
    {0x03, 0x40, 0x0b},                          // loop
    {0x41, 1, 0x0d, 0},                          // br_if
    {0x02, 0x40, 0x41, 1, 0x0e, 1, 0, 1, 0x0b},  // br_table
    {0x10, 0},                                   // call
    {0x1f, 0x40, 0, 0x0b},                       // try_table
    {0x06, 0x40, 0x19, 0x0b},                    // try, catch_all
};

}  // namespace

TEST_CASE("a translation is given up when the guest shall end") {
  for (const test::Bytes& middle : kMiddles) {
    CAPTURE(middle[0]);
    World world(Effort::Quick);
    const Module module = ok(Module::compile(world.engine, module_of(middle)));
    interp::QuickTranslator translator;
    interp::Draft draft;
    std::atomic<uint8_t> interrupt{0};
    CHECK(translator.translate(*module.impl(), 0, interp::MemoryMode::guarded, draft, &interrupt));
    CHECK(!translator.interrupted());
    interrupt = true;
    CHECK(!translator.translate(*module.impl(), 0, interp::MemoryMode::guarded, draft, &interrupt));
    CHECK(translator.interrupted());
    CHECK(draft.cells.size() < kOften / 2);
  }
}

TEST_CASE("a guest that was interrupted in a translation traps, and may be called again") {
  World world(Effort::Quick);
  const Module module = ok(Module::compile(world.engine, module_of(kMiddles[0])));
  vm::FuncCode& code = module.impl()->code(0);
  const auto* stub = static_cast<const interp::Cell*>(code.entry.load());
  vm::Vcpu& cx = world.store.impl().vcpu();
  vm::running_vcpu = &cx;
  cx.interrupt = true;
  CHECK(interp::translate_at_first_call(stub) == interp::interrupted_cell());
  CHECK(!cx.interrupt.load());
  CHECK(code.entry.load() == stub);
  const interp::Cell* entry = interp::translate_at_first_call(stub);
  CHECK(entry != interp::interrupted_cell());
  CHECK(entry != interp::out_of_memory_cell());
  CHECK(code.entry.load() == entry);
  vm::running_vcpu = nullptr;
}
