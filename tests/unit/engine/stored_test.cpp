// Compiled images: another engine runs the code of one, and nothing else than what was stored.
#include "tests/unit/engine/stored.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "engine/engine_impl.h"
#include "jit/stored/writer.h"
#include "tests/support/module_builder.h"
#include "tiering/manager.h"
#include "vm/wasm/loops.h"

using namespace vmrun;
using namespace vmrun::test;
using Code = SerializeOptions::Code;

namespace {

std::vector<uint8_t> serialized(Tiers tiers, Code code) {
  const Module module = ok(Module::compile_file(Engine(with_tiers(tiers)), kStoredImage));
  SerializeOptions options;
  options.code = code;
  return ok(module.serialize(options));
}

/// An engine in which types have other numbers.
Engine other_engine(Config config) {
  Engine engine(config);
  Bytes image = kHeader;
  append_section(image, 1, {2, 0x50, 0, 0x60, 1, 0x7d, 0, 0x60, 3, 0x7d, 0x7d, 0x7d, 0});
  ok(Module::compile(engine, image));
  return engine;
}

}  // namespace

TEST_CASE("stored: code of each tier runs in another engine, and nothing is compiled") {
  for (const Tiers tiers : {Tiers::Baseline, Tiers::Opt}) {
    CAPTURE(static_cast<int>(tiers));
    const auto bytes = serialized(tiers, tiers == Tiers::Opt ? Code::Opt : Code::Baseline);
    CHECK(is_compiled_image(bytes));
    const Module module = ok(Module::deserialize(other_engine(with_tiers(tiers)), bytes, "stored"));
    check_stored(module);
    const Came came = how_code_came(module);
    CHECK(came.compiled == 0);
    CHECK(came.loaded >= 6);
    CHECK(module.name() == "stored");
  }
}

TEST_CASE("stored: by default the best code that there is runs from the first call on") {
  for (const Code code : {Code::Baseline, Code::Opt}) {
    const auto bytes = serialized(Tiers::Auto, code);
    const Module module = ok(Module::deserialize(other_engine(with_tiers(Tiers::Auto)), bytes));
    check_stored(module);
    CHECK(how_code_came(module).compiled == 0);
    const TierStats stats = module.tier_stats(code == Code::Opt ? Tier::Opt : Tier::Baseline);
    CHECK(stats.loaded == stats.functions);
    CHECK(stats.loaded >= 6);
    CHECK(module.translation_stats().quick_functions == 0);
  }
}

TEST_CASE("stored: what was compiled is stored, and no more") {
  const Module module = ok(Module::compile_file(Engine(with_tiers(Tiers::Opt)), kStoredImage));
  check_stored(module);
  const uint64_t functions = module.tier_stats(Tier::Opt).functions;
  REQUIRE(functions >= 6);
  SerializeOptions options;
  options.code = Code::Present;
  const Folder folder;
  ok(module.serialize_file(folder.path() / "x.cwasm", options));
  const StoredInfo info = ok(describe_compiled_image(folder.path() / "x.cwasm"));
  CHECK(info.units.size() == functions);
  CHECK(info.this_build);
  CHECK(info.this_processor);
  CHECK(info.validated);
  CHECK(info.image_bytes == module.size());
  // From what was loaded it is made once more, whether its code was used or not.
  const Module again = ok(Module::deserialize_file(Engine(with_tiers(Tiers::Opt)), folder.path() / "x.cwasm"));
  CHECK(ok(again.serialize(options)).size() == info.file_bytes);
  check_stored(again);
  CHECK(ok(again.serialize(options)).size() == info.file_bytes);
}

TEST_CASE("stored: a loop that was compiled alone is called from its function's first call on") {
  SerializeOptions options;
  options.code = Code::Present;
  const Folder folder;
  const std::filesystem::path file = folder.path() / "alone.cwasm";
  const auto units_of = [&](const Module& module) {
    ok(module.serialize_file(file, options));
    return ok(describe_compiled_image(file)).units;
  };
  const auto is_loop = [](const StoredUnit& unit) { return unit.loop.has_value(); };
  {
    Engine engine(with_tiers(Tiers::Auto));
    const Module module = ok(Module::compile_file(engine, kStoredImage));
    const vm::Module& impl = *module.impl();
    uint32_t loops = 0;
    for (uint32_t f = impl.imported_funcs; f < impl.funcs.size(); ++f) {
      const vm::LoopTable* table = vm::loops_of(impl.code(f));
      for (uint32_t i = 0; table != nullptr && i < table->count; ++i, ++loops) {
        const uint32_t alone = jit::kAlone | table->loops[i].offset;
        REQUIRE(tiering::Manager::promote(impl, f, vm::Tier::opt, alone).empty());
      }
    }
    REQUIRE(loops != 0);
    CHECK(std::ranges::count_if(units_of(module), is_loop) == loops);
  }
  const Module module = ok(Module::deserialize_file(other_engine(with_tiers(Tiers::Auto)), file));
  check_stored(module);
  const TierStats opt = module.tier_stats(Tier::Opt);
  CHECK(opt.loaded == opt.functions + opt.osr_units);
  CHECK(opt.loaded != 0);
  // It goes along to the next file, but not where its function has optimised code.
  CHECK(std::ranges::any_of(units_of(module), is_loop));
  const vm::Module& impl = *module.impl();
  for (uint32_t f = impl.imported_funcs; f < impl.funcs.size(); ++f) {
    REQUIRE(tiering::Manager::promote(impl, f, vm::Tier::opt, jit::kWholeFunction).empty());
  }
  check_stored(module);
  CHECK(std::ranges::none_of(units_of(module), is_loop));
}

TEST_CASE("stored: each function has code of one tier, the best that takes it") {
  Config config = with_tiers(Tiers::Auto);
  const Module module = ok(Module::compile_file(Engine(config), kStoredImage));
  SerializeOptions options;
  options.code = Code::Opt;
  const Folder folder;
  ok(module.serialize_file(folder.path() / "x.cwasm", options));
  const StoredInfo info = ok(describe_compiled_image(folder.path() / "x.cwasm"));
  // Each function once, by whichever compiler.
  CHECK(info.units.size() == module.functions().size());
}

TEST_CASE("stored: an interpreter takes the image and leaves the code") {
  const auto bytes = serialized(Tiers::Baseline, Code::Baseline);
  const Module module = ok(Module::deserialize(Engine(with_tiers(Tiers::Interp)), bytes));
  check_stored(module);
  CHECK(how_code_came(module).loaded == 0);
  const Module plain = ok(Module::compile_file(Engine(with_tiers(Tiers::Interp)), kStoredImage));
  check_stored(ok(Module::deserialize(Engine(with_tiers(Tiers::Auto)), ok(plain.serialize()))));
}

TEST_CASE("stored: code that was made for other settings is left alone") {
  const auto bytes = serialized(Tiers::Baseline, Code::Baseline);
  Config dense = with_tiers(Tiers::Baseline), profile = dense, counted = dense;
  dense.dense_memory = true;
  profile.profile = true;
  counted.count_runs = true;
  for (const Config& config : {dense, profile, counted}) {
    const Module module = ok(Module::deserialize(Engine(config), bytes));
    check_stored(module);
    CHECK(how_code_came(module).loaded == 0);
    CHECK(how_code_came(module).compiled >= 6);
  }
  // Each of them for itself: counters and all.
  for (const Config& config : {dense, profile, counted}) {
    const Module first = ok(Module::compile_file(Engine(config), kStoredImage));
    const Module module = ok(Module::deserialize(Engine(config), ok(first.serialize())));
    check_stored(module);
    CHECK(how_code_came(module).compiled == 0);
    uint64_t entries = 0, runs = 0;
    for (const FuncBody& body : module.functions()) {
      entries += module.profile(body.func_index).entries;
      runs += module.function_runs(body.func_index).runs[1];
    }
    CHECK((entries != 0) == config.profile);
    CHECK((runs != 0) == config.count_runs);
  }
}

TEST_CASE("stored: only the image of what is not trusted is taken, and validated") {
  const auto bytes = serialized(Tiers::Baseline, Code::Baseline);
  const Module module = ok(Module::deserialize(Engine(with_tiers(Tiers::Baseline)), bytes, "x", StoredTrust::Image));
  check_stored(module);
  CHECK(how_code_came(module).loaded == 0);
}

TEST_CASE("stored: an image that a file calls valid is validated wherever the file's code is not to be run") {
  auto bytes = serialized(Tiers::Baseline, Code::Baseline);
  const auto load = [&](StoredTrust trust) {
    return Module::deserialize(Engine(with_tiers(Tiers::Baseline)), bytes, "x", trust);
  };
  const Module shown = ok(load(StoredTrust::Listing));
  check_stored(shown);
  CHECK(how_code_came(shown).loaded == 0);
  CHECK(how_code_came(shown).compiled != 0);
  CHECK(load(StoredTrust::Program).error().kind == ErrorKind::Usage);
  // As somebody writes it who knows the format: "add" adds other types, and all hashes are right.
  jit::stored::Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (const FuncBody& body : shown.functions()) {
    if (body.name != "add") continue;
    const auto at = std::find(bytes.begin() + static_cast<ptrdiff_t>(header.image.at + body.offset), bytes.end(), 0x6a);
    REQUIRE(at < bytes.begin() + static_cast<ptrdiff_t>(header.image.at + body.offset + body.size));
    *at = 0x7c;
  }
  header.content = vm::content_hash(std::as_bytes(std::span(bytes).subspan(header.image.at, header.image.size)));
  jit::stored::seal(header);
  std::memcpy(bytes.data(), &header, sizeof header);
  CHECK(load(StoredTrust::Code));
  for (const StoredTrust trust : {StoredTrust::Image, StoredTrust::Listing}) {
    const auto refused = load(trust);
    REQUIRE(!refused);
    CHECK(refused.error().kind == ErrorKind::Invalid);
  }
}

TEST_CASE("stored: code of a file is run as a program's where its mode is that of one") {
  const Folder folder;
  const auto file = folder.path() / "x.cwasm";
  const Engine engine(with_tiers(Tiers::Baseline));
  const Module module = ok(Module::compile_file(engine, kStoredImage));
  ok(module.serialize_file(file));
  const auto loaded = ok(Module::deserialize_file(engine, file, StoredTrust::Program));
  check_stored(loaded);
  CHECK(how_code_came(loaded).compiled == 0);
  for (const unsigned mode : {0755u, 0444u, 0644u, 0575u, 0557u}) {
    CAPTURE(mode);
    std::filesystem::permissions(file, std::filesystem::perms(mode));
    CHECK(Module::deserialize_file(engine, file, StoredTrust::Program).error().kind == ErrorKind::Usage);
  }
}

TEST_CASE("stored: a file that is no regular one is not replaced by a compiled image") {
  const Folder folder;
  const Module module = ok(Module::compile_file(Engine(with_tiers(Tiers::Baseline)), kStoredImage));
  const auto pipe = folder.path() / "pipe", link = folder.path() / "link";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  std::filesystem::create_symlink(pipe, link);
  for (const auto& path : {pipe, link}) {
    const auto refused = module.serialize_file(path);
    REQUIRE(!refused);
    CHECK(refused.error().kind == ErrorKind::Io);
    CHECK(refused.error().message.find("no regular file") != std::string::npos);
  }
  CHECK(std::filesystem::is_fifo(std::filesystem::symlink_status(pipe)));
  CHECK(std::filesystem::is_symlink(std::filesystem::symlink_status(link)));
}

TEST_CASE("stored: a proposal that is off is refused, although the image was validated") {
  const auto bytes = serialized(Tiers::Baseline, Code::Baseline);
  Config config = with_tiers(Tiers::Baseline);
  config.features.erase(Feature::TailCall);
  const auto refused = Module::deserialize(Engine(config), bytes);
  REQUIRE(!refused);
  CHECK(refused.error().kind == ErrorKind::Unsupported);
  CHECK(refused.error().message.find("tail-call") != std::string::npos);
}

TEST_CASE("stored: what is no compiled image, or a damaged one, is refused") {
  auto bytes = serialized(Tiers::Baseline, Code::Baseline);
  const Engine engine(with_tiers(Tiers::Baseline));
  CHECK(Module::deserialize(engine, {}).error().kind == ErrorKind::Malformed);
  const std::string image = read_file(kStoredImage);
  const auto of_image = std::span(reinterpret_cast<const uint8_t*>(image.data()), image.size());
  CHECK(!is_compiled_image(of_image));
  CHECK(Module::deserialize(engine, of_image).error().kind == ErrorKind::Malformed);
  bytes[4096 + 20] ^= 1;  // of the image
  const auto damaged = Module::deserialize(engine, bytes);
  CHECK(damaged.error().kind == ErrorKind::Malformed);
  CHECK(damaged.error().message.find("damaged") != std::string::npos);
  bytes.resize(5000);
  CHECK(Module::deserialize(engine, bytes).error().message.find("cut short") != std::string::npos);
  CHECK(Module::deserialize_file(engine, "/nonexistent/x").error().kind == ErrorKind::Io);
  CHECK(Module::deserialize_file(engine, "/dev/null").error().kind == ErrorKind::Io);
  CHECK(!describe_compiled_image(kStoredImage));
}

TEST_CASE("stored: code that is damaged behind an engine's back is compiled anew") {
  const Folder folder;
  const auto path = folder.path() / "x.cwasm";
  const Module first = ok(Module::compile_file(Engine(with_tiers(Tiers::Baseline)), kStoredImage));
  ok(first.serialize_file(path));
  const Module module = ok(Module::deserialize_file(Engine(with_tiers(Tiers::Baseline)), path));
  std::string bytes = read_file(path);
  const size_t image_end = 4096 + (module.size() + 4095) / 4096 * 4096;
  std::fill(bytes.begin() + static_cast<ptrdiff_t>(image_end), bytes.end(), '\xcc');
  write_file(path, bytes);
  check_stored(module);
  CHECK(how_code_came(module).loaded == 0);
  CHECK(how_code_came(module).compiled >= 6);
}

TEST_CASE("stored: progress is told, and ends it") {
  const Module module = ok(Module::compile_file(Engine(with_tiers(Tiers::Auto)), kStoredImage));
  SerializeOptions options;
  uint32_t calls = 0, last = 0;
  options.progress = [&](uint32_t done, uint32_t all) {
    CHECK(done <= all);
    CHECK(all == module.functions().size());
    last = std::max(last, done);
    return ++calls != 0;
  };
  ok(module.serialize(options));
  CHECK(calls == module.functions().size());
  CHECK(last == calls);
  options.progress = [](uint32_t, uint32_t) { return false; };
  const auto ended = module.serialize(options);
  REQUIRE(!ended);
  CHECK(ended.error().kind == ErrorKind::Usage);
}

TEST_CASE("stored: a file that cannot be written is an error, and leaves nothing") {
  const Module module = ok(Module::compile_file(Engine(with_tiers(Tiers::Baseline)), kStoredImage));
  CHECK(module.serialize_file("/nonexistent/x.cwasm").error().kind == ErrorKind::Io);
  const Folder folder;
  std::filesystem::create_directory(folder.path() / "taken");
  CHECK(module.serialize_file(folder.path() / "taken").error().kind == ErrorKind::Io);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}
