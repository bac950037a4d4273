// Compiled images for other processors, and with optimised code of some functions.
#include "jit/stored/target.h"

#include <algorithm>
#include <cstring>

#include "jit/plugin.h"
#include "jit/stored/processor.h"
#include "tests/unit/engine/stored.h"

using namespace vmrun;
using namespace vmrun::test;
using namespace vmrun::jit::stored;

namespace {

Header header_of_file(const std::vector<uint8_t>& bytes) {
  Header header;
  REQUIRE(bytes.size() > sizeof header);
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}

}  // namespace

TEST_CASE("target: the processors that are listed are of level v3, and their bits have names") {
  const auto names = ok(target_names());
  CHECK(names.size() > 10);
  CHECK(names[0] == "x86-64-v3");
  for (const std::string& name : names) {
    CAPTURE(name);
    const Target target = ok(target_of(name));
    CHECK(target.name == name);
    CHECK(runs_on(baseline_processor(), target.bits));
    CHECK(bits_of(names_of(target.bits)) == target.bits);
    for (const std::string& feature : names_of(target.bits)) CHECK(!feature.starts_with("avx512"));
  }
  CHECK(ok(target_of("x86-64-v3")).bits == baseline_processor());
  CHECK(ok(target_of("native")).bits == ok(target_of("")).bits);
  CHECK(ok(target_of("")).bits == native_processor());
  CHECK(runs_on(native_processor(), this_processor()));
  for (const char* name : {"x86-64", "x86-64-v2", "core2", "znver99", "-avx2", "x86-64-v3 ", "help"}) {
    CAPTURE(name);
    CHECK(target_of(name).error().kind == ErrorKind::Usage);
  }
}

TEST_CASE("target: the header says what code needs, and code for more is refused") {
  const Module module = ok(Module::compile_file(Engine(with_tiers(Tiers::Auto)), kStoredImage));
  SerializeOptions options;
  CHECK(header_of_file(ok(module.serialize(options))).processor == baseline_processor());
  options.code = SerializeOptions::Code::Opt;
  CHECK(header_of_file(ok(module.serialize(options))).processor == native_processor());
  options.processor = "x86-64-v3";
  CHECK(header_of_file(ok(module.serialize(options))).processor == baseline_processor());
  options.processor = "486";
  CHECK(module.serialize(options).error().kind == ErrorKind::Usage);
  bool refused = false;
  for (const std::string& name : ok(known_processors())) {
    CAPTURE(name);
    options.processor = name;
    const auto bytes = ok(module.serialize(options));
    const ProcessorBits needs = header_of_file(bytes).processor;
    CHECK(needs == ok(target_of(name)).bits);
    const auto loaded = Module::deserialize(Engine(with_tiers(Tiers::Opt)), bytes);
    CHECK(bool(loaded) == runs_on(needs, this_processor()));
    if (loaded) {
      check_stored(*loaded);
      CHECK(how_code_came(*loaded).compiled == 0);
      continue;
    }
    refused = true;
    CHECK(loaded.error().kind == ErrorKind::Unsupported);
    CHECK(loaded.error().message.find(lacking(needs).front()) != std::string::npos);
  }
  if (!refused) MESSAGE("skipped: this processor can do what all can that LLVM knows");
}

TEST_CASE("target: some functions have optimised code, and the others baseline code") {
  const Module module = ok(Module::compile_file(Engine(with_tiers(Tiers::Auto)), kStoredImage));
  SerializeOptions options;
  options.optimised = {module.function_count() - 1, 3, 3};
  uint32_t last = 0, all = 0;
  options.progress = [&](uint32_t done, uint32_t of) { return last = done, all = of, true; };
  const Folder folder;
  const auto file = folder.path() / "x.cwasm";
  ok(module.serialize_file(file, options));
  CHECK(last == 2);
  CHECK(all == 2);
  const StoredInfo info = ok(describe_compiled_image(file));
  CHECK(info.units.size() == module.functions().size());
  for (const StoredUnit& unit : info.units) {
    const bool optimised = unit.func_index == 3 || unit.func_index == module.function_count() - 1;
    CHECK(unit.tier == (optimised ? Tier::Opt : Tier::Baseline));
  }
  check_stored(ok(Module::deserialize_file(Engine(with_tiers(Tiers::Auto)), file)));
  options.optimised = {module.function_count()};
  CHECK(module.serialize(options).error().kind == ErrorKind::Usage);
  options.optimised = {3};
  options.progress = [](uint32_t, uint32_t) { return false; };
  CHECK(module.serialize(options).error().kind == ErrorKind::Usage);
}
