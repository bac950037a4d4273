// Images in files that change while their modules live: a guest that may write where its own image lies must not get to
// run what was never validated.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/module_bytes.h"
#include "tests/unit/engine/fixture.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

namespace fs = std::filesystem;

/// A file of this process alone.
struct ImageFile {
  fs::path path = fs::temp_directory_path() / ("vmrun-image-" + std::to_string(getpid()) + ".wasm");

  explicit ImageFile(const test::Bytes& bytes) { write(bytes, std::ios::trunc); }
  ~ImageFile() { fs::remove(path); }
  /// In place: the file stays the same one.
  void write(const test::Bytes& bytes, std::ios::openmode mode = std::ios::in) const {
    std::ofstream out(path, std::ios::binary | std::ios::out | mode);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    REQUIRE(out.good());
  }
};

void append_custom(test::Bytes& out, std::string_view name, size_t size, uint8_t fill) {
  test::Bytes contents;
  test::append_u32(contents, static_cast<uint32_t>(name.size()));
  contents.insert(contents.end(), name.begin(), name.end());
  contents.resize(contents.size() + size, fill);
  test::append_section(out, 0, contents);
}

/// Forty functions, exported as "00" to "39", that return their number; 6 KiB each, so that they lie on pages of their own.
test::Bytes functions() {
  std::vector<test::Bytes> bodies;
  for (uint8_t i = 0; i < 40; ++i) {
    test::Bytes body = {0};
    body.resize(6 << 10, 0x01);  // nop
    test::append(body, {0x41, i, 0x0b});
    bodies.push_back(body);
  }
  test::Bytes image = test::module_of({0x60, 0, 1, 0x7f}, bodies);
  // The exports go before the code, which is the last section.
  test::Bytes exports = {40};
  for (uint8_t i = 0; i < 40; ++i) {
    test::append(exports, {2, static_cast<uint8_t>('0' + i / 10), static_cast<uint8_t>('0' + i % 10), 0, i});
  }
  test::Bytes section;
  test::append_section(section, 7, exports);
  const size_t code = 8 + 2 + 5 + 2 + 41;  // behind the header, types and functions
  image.insert(image.begin() + static_cast<ptrdiff_t>(code), section.begin(), section.end());
  return image;
}

}  // namespace

TEST_CASE("a module does not change with its file") {
  const test::Bytes image = functions();
  for (bool truncated : {false, true}) {
    CAPTURE(truncated);
    ImageFile file(image);
    Engine engine;
    Module module = ok(Module::compile_file(engine, file.path));
    if (truncated) {
      fs::resize_file(file.path, 0);
    } else {
      file.write(test::Bytes(image.size(), 0x1a));  // drop, of an empty stack
    }
    Store store(engine);
    Instance instance = ok(Linker(engine).instantiate(store, module));
    for (int i = 0; i < 40; ++i) {
      const std::string name = {static_cast<char>('0' + i / 10), static_cast<char>('0' + i % 10)};
      CHECK(ok(ok(instance.func(name)).call({}))[0].as_i32() == i);
    }
  }
}

TEST_CASE("large custom sections are read when they are asked for") {
  test::Bytes image = test::kHeader;
  append_custom(image, ".debug_info", 100'000, 1);
  append_custom(image, "small", 1000, 2);
  append_custom(image, ".debug_line", 200'000, 3);
  const test::Bytes code = test::func_module({0x60, 0, 0}, {0, 0x0b});
  image.insert(image.end(), code.begin() + 8, code.end());
  append_custom(image, "last", 70'000, 4);
  ImageFile file(image);
  Engine engine;
  Module module = ok(Module::compile_file(engine, file.path));
  CHECK(module.size() == image.size());
  REQUIRE(module.sections().size() == 7);
  CHECK(module.sections()[0].name == ".debug_info");
  CHECK(module.sections()[6].name == "last");

  auto all = [](const std::optional<CustomSection>& section, size_t size, uint8_t byte) {
    REQUIRE(section);
    CHECK(section->bytes.size() == size);
    CHECK(std::ranges::count(section->bytes, byte) == static_cast<ptrdiff_t>(size));
  };
  {
    // From several threads at once.
    std::vector<std::jthread> threads;
    std::atomic<int> wrong{0};
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        const auto section = module.custom_section(".debug_line");
        wrong += section && std::ranges::count(section->bytes, 3) == 200'000 ? 0 : 1;
      });
    }
    threads.clear();
    CHECK(wrong == 0);
  }
  all(module.custom_section("small"), 1000, 2);
  all(module.custom_section("last"), 70'000, 4);
  // What was read stays; what the file has lost by then is zero.
  fs::resize_file(file.path, 0);
  all(module.custom_section(".debug_line"), 200'000, 3);
  all(module.custom_section(".debug_info"), 100'000, 0);
}

TEST_CASE("an image without sense is refused by the decoder, not by the reading of the file") {
  test::Bytes image = test::kHeader;
  test::append(image, {0, 0xff, 0xff, 0xff, 0xff, 0x0f, 4, 'n', 'a', 'm', 'e'});
  ImageFile file(image);
  Engine engine;
  const Result<Module> module = Module::compile_file(engine, file.path);
  REQUIRE_FALSE(module);
  CHECK(module.error().message.find("section length out of bounds") != std::string::npos);
}
