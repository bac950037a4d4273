// Stored code that a thread brings into code memory before it is called (tiering/ready_code.h).
#include "tiering/ready_code.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <set>
#include <thread>

#include "engine/cache_files.h"
#include "engine/engine_impl.h"
#include "jit/code/code.h"
#include "jit/stored/reader.h"
#include "tests/support/module_bytes.h"
#include "tests/unit/engine/stored.h"
#include "tiering/processors.h"
#include "vm/base/log.h"

using namespace vmrun;
using namespace vmrun::test;
using tiering::ReadyCode;
namespace fs = std::filesystem;

namespace {

constexpr uint32_t kFunctions = 600, kAdds = 200, kAddend = 0x12345678;
static_assert(kFunctions > 2 * ReadyCode::kAhead);

std::string name_of(uint32_t function) {
  return {static_cast<char>('0' + function / 100), static_cast<char>('0' + function / 10 % 10),
          static_cast<char>('0' + function % 10)};
}

/// Functions that are exported as "000" to "599", and add kAddend so many times to what they are given.
test::Bytes image() {
  test::Bytes body = {0, 0x20, 0};
  for (uint32_t i = 0; i < kAdds; ++i) {
    test::append(body, {0x41});
    test::append_u32(body, kAddend);  // its sixth bit from the top is 0, so that it is the same signed
    test::append(body, {0x6a});
  }
  test::append(body, {0x0b});
  test::Bytes made = test::module_of({0x60, 1, 0x7f, 1, 0x7f}, std::vector<test::Bytes>(kFunctions, body));
  test::Bytes exports, section, types;
  test::append_u32(exports, kFunctions);
  for (uint32_t i = 0; i < kFunctions; ++i) {
    exports.push_back(3);
    for (const char c : name_of(i)) exports.push_back(static_cast<uint8_t>(c));
    exports.push_back(0);
    test::append_u32(exports, i);
  }
  test::append_section(section, 7, exports);
  // Behind the section of functions, whose size takes two bytes, as their number does.
  const size_t functions = 8 + 2 + 6 + 1 + 2 + 2 + kFunctions;
  made.insert(made.begin() + static_cast<ptrdiff_t>(functions), section.begin(), section.end());
  return made;
}

class Cached {
 public:
  Cached() {
    config_.cache = CacheConfig{folder_.path()};
    bytes_ = image();
  }
  Module load() const { return ok(Module::compile(Engine(config_), bytes_)); }
  /// The one file of code.
  fs::path file() const {
    for (const CacheEntry& entry : ok(cache_entries(folder_.path()))) {
      if (!entry.is_profile) return folder_.path() / entry.file;
    }
    FAIL("there is no code");
    return {};
  }
  /// The functions of the file, as their code lies in it.
  std::vector<uint32_t> order() const {
    const std::string bytes = read_file(file());
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    const auto opened = ok(jit::stored::File::open(jit::stored::source_of({data, data + bytes.size()})));
    std::vector<jit::stored::UnitRecord> units(opened->units().begin(), opened->units().end());
    std::ranges::sort(units, {}, &jit::stored::UnitRecord::at);
    std::vector<uint32_t> functions;
    for (const jit::stored::UnitRecord& unit : units) functions.push_back(unit.func_index);
    return functions;
  }

 private:
  const Folder folder_;
  Config config_ = with_tiers(Tiers::InterpBaseline);
  test::Bytes bytes_;
};

/// Calls functions from the last one down to `first`.
void call_down_to(const Module& module, uint32_t first) {
  Store store(module.engine());
  const Instance instance = ok(Linker(module.engine()).instantiate(store, module));
  for (uint32_t i = kFunctions; i-- > first;) {
    const auto func = ok(ok(instance.func(name_of(i))).typed<int32_t(int32_t)>());
    CHECK(static_cast<uint32_t>(ok(func.call(static_cast<int32_t>(i)))) == i + kAdds * kAddend);
  }
}

size_t objects() { return jit::CodeSpace::get().live_functions(); }

bool comes(auto condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return condition();
}

bool several() {
  if (tiering::own_processors() > 1) return true;
  MESSAGE("skipped: with one processor nothing is got ready");
  return false;
}

}  // namespace

TEST_CASE("ready code: it is there before it is called, some of it, and goes with the module") {
  const Cached cached;
  {
    const Module module = cached.load();
    call_down_to(module, 0);
    CHECK(module.store());
  }
  if (!several()) return;
  const size_t before = objects();
  {
    const Module module = cached.load();
    // Nobody calls it: so much, and no more.
    CHECK(comes([&] { return objects() >= before + ReadyCode::kAhead; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(objects() == before + ReadyCode::kAhead);
    CHECK(how_code_came(module).loaded == 0);  // what is ready is not in force
    call_down_to(module, 0);
    const Came came = how_code_came(module);
    CHECK(came.compiled == 0);
    CHECK(came.loaded >= kFunctions - 16);
    CHECK(objects() == before + came.loaded);
    CHECK(!module.store());
  }
  CHECK(objects() == before);
  {
    const Module module = cached.load();
    call_down_to(module, 0);  // beside the thread
    CHECK(how_code_came(module).compiled == 0);
  }
  CHECK(objects() == before);
  // Whoever goes at once waits for the thread, which does not wait.
  for (int i = 0; i < 50; ++i) cached.load();
  CHECK(objects() == before);
}

TEST_CASE("ready code: a damaged unit is found, whoever meets it first, and never run") {
  const Cached cached;
  {
    const Module module = cached.load();
    call_down_to(module, 0);
    CHECK(module.store());
  }
  std::string bytes = read_file(cached.file());
  bytes[bytes.size() / 2] ^= 1;
  replace_entry(cached.file(), bytes);
  const Module module = cached.load();
  call_down_to(module, 0);
  const Came came = how_code_came(module);
  CHECK(came.compiled == 1);
  CHECK(came.loaded >= kFunctions - 17);
  // One compile is not worth a store otherwise. The next run finds no damage.
  CHECK(module.store());
  const Module again = cached.load();
  call_down_to(again, 0);
  CHECK(how_code_came(again).compiled == 0);
}

TEST_CASE("ready code: an entry that is written again keeps the order of first calls") {
  const Cached cached;
  {
    const Module module = cached.load();
    call_down_to(module, kFunctions / 2);
    CHECK(module.store());
  }
  const std::vector<uint32_t> first = cached.order();
  REQUIRE(first.size() > kFunctions / 2 - 20);
  CHECK(std::ranges::is_sorted(first, std::greater()));
  {
    const Module module = cached.load();
    call_down_to(module, 0);
    CHECK(module.store());
  }
  // What is new stands before what was there.
  const std::vector<uint32_t> then = cached.order();
  REQUIRE(then.size() > first.size());
  CHECK(std::ranges::equal(std::span(then).last(first.size()), first));
}
