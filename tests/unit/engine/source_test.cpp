// Places in the guest's source, of images that compilers made: in errors of every tier, and for each address as LLVM's own
// reader has them. tests/unit/vm/dwarf_test.cpp has debug information that somebody made up.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/unit/engine/fixture.h"

using namespace vmrun;
using test::ok;

namespace {

constexpr const char* kFile = "/guest/tests/guests/lines_small.c";

std::string path_of(const std::string& name) { return std::string(VMRUN_FIXTURES "/") + name + ".wasm"; }
std::vector<uint8_t> bytes_of(const std::string& name) {
  std::ifstream file(path_of(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Error trap_of(const Engine& engine, const Module& module) {
  Store store(engine);
  Linker linker(engine);
  Instance instance = ok(linker.instantiate(store, module));
  // Its memory is zero: the first quotient is 0 / 0.
  auto result = ok(ok(instance.func("average")).typed<int32_t(int32_t, int32_t)>()).call(4096, 1);
  REQUIRE_FALSE(result);
  CHECK(result.error().trap == TrapCode::IntegerDivideByZero);
  REQUIRE(result.error().backtrace.size() == 1);
  return result.error();
}

Error trap_in(const std::string& image, const Config& config) {
  const Engine engine(config);
  return trap_of(engine, test::load(engine, image));
}

void append_custom(std::vector<uint8_t>& image, const std::string& name, const std::string& contents) {
  REQUIRE(name.size() + contents.size() + 1 < 128);
  image.push_back(0);
  image.push_back(static_cast<uint8_t>(name.size() + contents.size() + 1));
  image.push_back(static_cast<uint8_t>(name.size()));
  image.insert(image.end(), name.begin(), name.end());
  image.insert(image.end(), contents.begin(), contents.end());
}

/// What a program prints.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* out = popen(command.c_str(), "r");
  REQUIRE(out != nullptr);
  char some[4096];
  for (size_t n; (n = std::fread(some, 1, sizeof some, out)) != 0;) text.append(some, n);
  pclose(out);
  return text;
}

}  // namespace

TEST_CASE("a trap in an inlined call is told with the lines of both functions, in every tier") {
  for (const char* image : {"lines_small4", "lines_small5"}) {
    for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
      CAPTURE(image);
      CAPTURE(static_cast<int>(tiers));
      Config config;
      config.tiers = tiers;
      config.backtrace_details = true;
      const Error error = trap_in(image, config);
      const std::vector<SourceLine>& source = error.backtrace[0].source;
      REQUIRE(source.size() == 2);
      CHECK(source[0].function == "quotient");
      CHECK(source[0].file == kFile);
      CHECK(source[0].line == 6);
      CHECK(source[0].column != 0);
      CHECK(source[1].function == "average");
      CHECK(source[1].file == kFile);
      CHECK(source[1].line == 10);
      CHECK(error.backtrace[0].source_note == "");
      const std::string text = error.to_string();
      CHECK(text.find("quotient (inlined) @ 0x") != text.npos);
      CHECK(text.find("\n       at " + std::string(kFile) + ":10:") != text.npos);
    }
  }
}

TEST_CASE("without details a frame says how to have them, and the environment can") {
  Config config;
  config.backtrace_details = false;
  Error error = trap_in("lines_small5", config);
  CHECK(error.backtrace[0].source.empty());
  CHECK(error.backtrace[0].source_note == "VMRUN_BACKTRACE_DETAILS=1 shows source lines");
  config.backtrace_details.reset();
  for (const char* on : {"1", "0", ""}) {
    setenv("VMRUN_BACKTRACE_DETAILS", on, 1);
    error = trap_in("lines_small5", config);
    CHECK(error.backtrace[0].source.empty() == (*on != '1'));
  }
  unsetenv("VMRUN_BACKTRACE_DETAILS");
}

TEST_CASE("debug information that is elsewhere, or of no code, is named") {
  Config config;
  config.backtrace_details = true;
  const Engine engine(config);
  // What wasm-opt without -g leaves of it: sections whose addresses are zero.
  std::vector<uint8_t> image = bytes_of("lines_small5");
  const Module module = ok(Module::compile(engine, image));
  for (const char* name : {".debug_addr", ".debug_line"}) {
    const auto section = module.custom_section(name);
    if (!section) continue;
    std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(section->offset), section->bytes.size(), uint8_t{0});
  }
  Error error = trap_of(engine, ok(Module::compile(engine, image)));
  CHECK(error.backtrace[0].source.empty());
  CHECK(error.backtrace[0].source_note.find("is of no code in the image") != std::string::npos);
  // The same without any, but a name.
  image = bytes_of("lines_small5");
  for (const CustomSection& section : module.custom_sections()) {
    if (section.name.starts_with(".debug")) image[section.offset - 2] = '-';
  }
  append_custom(image, "external_debug_info", "\x0bother.debug");
  error = trap_of(engine, ok(Module::compile(engine, image)));
  CHECK(error.backtrace[0].source.empty());
  CHECK(error.backtrace[0].source_note.find("in another file (other.debug)") != std::string::npos);
}

TEST_CASE("each address has the places that LLVM's reader has for it") {
  if (std::system("command -v llvm-symbolizer-22 > /dev/null 2>&1") != 0) {
    MESSAGE("skipped: llvm-symbolizer-22 is not installed");
    return;
  }
  const Engine engine;
  for (const char* name : {"lines_small4", "lines_small5", "lines_ledger4", "lines_ledger5"}) {
    CAPTURE(name);
    const Module module = test::load(engine, name);
    uint64_t begin = 0, size = 0;
    for (const auto& section : module.sections()) {
      if (section.id == 10) begin = section.offset, size = section.size;
    }
    std::string theirs = output_of("seq 1 " + std::to_string(size - 1) +
                                   " | llvm-symbolizer-22 --obj=" + path_of(name) + " --no-demangle 2> /dev/null");
    std::string ours;
    for (uint64_t at = 1; at < size; ++at) {
      const std::vector<SourceLine> lines = module.source_at(begin + at);
      if (lines.empty()) ours += "??:0:0\n";
      for (const SourceLine& line : lines) {
        ours += (line.file.empty() ? "??" : line.file) + ":" + std::to_string(line.line) + ":" +
                std::to_string(line.column) + "\n";
      }
      ours += "\n";
    }
    // Theirs has names between places, which it takes from elsewhere where that is possible, and columns for line 0.
    std::string places;
    for (size_t from = 0, number = 0; from < theirs.size(); ++number) {
      const size_t end = std::min(theirs.find('\n', from), theirs.size());
      std::string line = theirs.substr(from, end - from);
      from = end + 1;
      if (line.empty()) number = 1;
      const size_t zero = line.find(":0:");
      if (zero != line.npos) line = "??:0:0";
      if (line.empty() || number % 2 == 1) places += line + "\n";
    }
    CHECK(ours.size() > size);
    CHECK(ours == places);
  }
}

TEST_CASE("damaged debug information changes no more than what is said of places") {
  const Engine engine;
  const std::vector<uint8_t> image = bytes_of("lines_small5");
  const Module module = ok(Module::compile(engine, image));
  std::vector<CustomSection> sections;
  for (const CustomSection& section : module.custom_sections()) {
    if (section.name.starts_with(".debug") && !section.bytes.empty()) sections.push_back(section);
  }
  REQUIRE(sections.size() >= 5);
  std::mt19937 random(1);
  size_t known = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint8_t> copy = image;
    for (int i = 0; i < 1 + round % 4; ++i) {
      const CustomSection& section = sections[random() % sections.size()];
      copy[section.offset + random() % section.bytes.size()] =
          static_cast<uint8_t>(random() % 5 == 0 ? 0xff : random());
    }
    const Module damaged = ok(Module::compile(engine, copy));
    for (const FuncBody& body : damaged.functions()) {
      for (uint64_t at = body.offset; at < body.offset + body.size; at += 3) known += !damaged.source_at(at).empty();
    }
  }
  CHECK(known > 1000);
}
