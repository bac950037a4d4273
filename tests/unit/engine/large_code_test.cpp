// Memory for stored code that is got ready when a module is loaded (tiering/code_memory.cpp).
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "engine/engine_impl.h"
#include "jit/code/code.h"
#include "tests/support/module_bytes.h"
#include "tests/unit/engine/stored.h"

using namespace vmrun;
using namespace vmrun::test;
namespace fs = std::filesystem;

namespace {

constexpr uint32_t kFunctions = 100, kAdds = 3000, kAddend = 0x12345678;

/// Functions that are exported as "00" to "99", and add kAddend so many times to what they are given. Machine code for them takes
/// 1.8 MB.
test::Bytes image() {
  test::Bytes body = {0, 0x20, 0};
  for (uint32_t i = 0; i < kAdds; ++i) {
    test::append(body, {0x41});
    test::append_u32(body, kAddend);  // its sixth bit from the top is 0, so that it is the same signed
    test::append(body, {0x6a});
  }
  test::append(body, {0x0b});
  test::Bytes made = test::module_of({0x60, 1, 0x7f, 1, 0x7f}, std::vector<test::Bytes>(kFunctions, body));
  test::Bytes exports = {kFunctions}, section;
  for (uint8_t i = 0; i < kFunctions; ++i) {
    test::append(exports, {2, static_cast<uint8_t>('0' + i / 10), static_cast<uint8_t>('0' + i % 10), 0, i});
  }
  test::append_section(section, 7, exports);
  const size_t functions = 8 + 2 + 6 + 2 + 1 + kFunctions;  // header, types and functions: what comes before exports
  made.insert(made.begin() + static_cast<ptrdiff_t>(functions), section.begin(), section.end());
  return made;
}

void call_all(const Module& module) {
  Store store(module.engine());
  const Instance instance = ok(Linker(module.engine()).instantiate(store, module));
  for (uint32_t i = 0; i < kFunctions; ++i) {
    const std::string name = {static_cast<char>('0' + i / 10), static_cast<char>('0' + i % 10)};
    const auto func = ok(ok(instance.func(name)).typed<int32_t(int32_t)>());
    CHECK(static_cast<uint32_t>(ok(func.call(static_cast<int32_t>(i)))) == i + kAdds * kAddend);
  }
}

size_t resident_pages() {
  const auto range = jit::CodeSpace::get().range();
  std::vector<unsigned char> pages(range.size() / 4096);
  REQUIRE(mincore(const_cast<std::byte*>(range.data()), range.size(), pages.data()) == 0);
  return static_cast<size_t>(std::ranges::count_if(pages, [](unsigned char page) { return (page & 1) != 0; }));
}

}  // namespace

TEST_CASE("large code: memory for it is ready before it is called, and goes with the module") {
  const Folder folder;
  Config config = with_tiers(Tiers::InterpBaseline);
  config.cache = CacheConfig{folder.path()};
  const test::Bytes bytes = image();
  const auto load = [&] { return ok(Module::compile(Engine(config), bytes)); };
  {
    const Module module = load();
    call_all(module);
    CHECK(module.store());
  }
  const size_t before = resident_pages();
  const bool several = std::thread::hardware_concurrency() > 1;
  {
    const Module module = load();
    CHECK((resident_pages() > before) == several);
    call_all(module);
    const Came came = how_code_came(module);
    CHECK(came.compiled == 0);
    CHECK(came.loaded >= kFunctions - 20);  // the first ones are interpreted
    // Of a compiled image a run may call anything: nothing is got ready.
    const std::vector<uint8_t> compiled = ok(module.serialize());
    const size_t then = resident_pages();
    const Module again = ok(Module::deserialize(Engine(with_tiers(Tiers::InterpBaseline)), compiled));
    CHECK(resident_pages() == then);
    call_all(again);
  }
  CHECK(resident_pages() <= before);
  // Whoever goes at once waits for the thread.
  for (int i = 0; i < 30; ++i) load();
  CHECK(resident_pages() <= before);
}

TEST_CASE("large code: a child that is forked meanwhile ends, and its parent goes on") {
  const Folder folder;
  Config config = with_tiers(Tiers::InterpBaseline);
  config.cache = CacheConfig{folder.path()};
  const test::Bytes bytes = image();
  {
    const Module module = ok(Module::compile(Engine(config), bytes));
    call_all(module);
    CHECK(module.store());
  }
  const Engine engine(config);
  std::optional<Module> module = ok(Module::compile(engine, bytes));
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(20);
    module.reset();
    _exit(0);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  call_all(*module);
}
