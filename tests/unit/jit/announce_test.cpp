// What tools outside of the process are told about its machine code, read back from their files and from GDB's list.
#include "jit/code/announce.h"

#include <doctest/doctest.h>
#include <elf.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "jit/code/code.h"
#include "tests/support/module_builder.h"
#include "tests/support/ok.h"
#include "vm/wasm/module.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

extern "C" {
struct JitCodeEntry {
  JitCodeEntry *next, *previous;
  const char* symfile;
  uint64_t symfile_size;
};
struct JitDescriptor {
  uint32_t version, action;
  JitCodeEntry *relevant, *first;
};
extern JitDescriptor __jit_debug_descriptor;
}

namespace {

using test::ok;

/// A module with compiled code in this process.
struct Compiled {
  Engine engine;
  Module module;
  const jit::CodeObject* code = nullptr;
  static Config config() {
    Config config;
    config.tiers = Tiers::Baseline;
    config.eager_baseline = true;
    return config;
  }
  static spine::Bytes image() {
    spine::ModuleBuilder builder;
    const uint32_t func = builder.func("twice", builder.type({spine::i32}, {spine::i32}));
    builder.define(func, spine::Code().get(0).i32_const(-1).i32_sub());
    return builder.build();
  }
  Compiled() : engine(config()), module(ok(Module::compile(engine, image(), "tell.wasm"))) {
    code = jit::CodeSpace::get().find(module.impl()->codes[0].machine.load());
    REQUIRE(code != nullptr);
  }
};

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
T take(const std::string& bytes, size_t at) {
  T value;
  REQUIRE(at + sizeof value <= bytes.size());
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// The files lie in /tmp and in the current directory.
struct Announcers {
  std::string map = "/tmp/perf-" + std::to_string(getpid()) + ".map";
  std::string dump = (std::filesystem::current_path() / ("jit-" + std::to_string(getpid()) + ".dump")).string();
  Announcers() {
    for (CodeTool tool : {CodeTool::PerfMap, CodeTool::JitDump, CodeTool::Gdb}) REQUIRE(announce_code(tool));
  }
  ~Announcers() {
    jit::stop_announcing();
    std::filesystem::remove(map);
    std::filesystem::remove(dump);
  }
};

TEST_CASE("perf's map names compiled code") {
  Announcers files;
  Compiled compiled;
  std::istringstream lines(read(files.map));
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    unsigned long begin = 0;
    unsigned size = 0;
    int name = 0;
    REQUIRE(std::sscanf(line.c_str(), "%lx %x %n", &begin, &size, &name) == 2);
    if (begin != reinterpret_cast<unsigned long>(compiled.code->begin) || size != compiled.code->size) continue;
    const std::string text = line.substr(static_cast<size_t>(name));
    CHECK(text.substr(0, 10) == "tell.wasm!");
    CHECK(text.find("[baseline]") != std::string::npos);
    found = true;
  }
  CHECK(found);
}

TEST_CASE("perf's jitdump holds compiled code and where it came from") {
  Announcers files;
  Compiled compiled;
  const std::string bytes = read(files.dump);
  CHECK(take<uint32_t>(bytes, 0) == 0x4a695444);
  CHECK(take<uint32_t>(bytes, 20) == static_cast<uint32_t>(getpid()));
  const auto begin = reinterpret_cast<uint64_t>(compiled.code->begin);
  bool lines = false, found = false;
  for (size_t at = take<uint32_t>(bytes, 8); at < bytes.size();) {
    const auto id = take<uint32_t>(bytes, at), size = take<uint32_t>(bytes, at + 4);
    REQUIRE(size >= 16);
    if (id == 2 && take<uint64_t>(bytes, at + 16) == begin) {
      lines = true;
      CHECK(take<uint64_t>(bytes, at + 24) == compiled.code->marks.size());
      CHECK(take<uint32_t>(bytes, at + 40) == compiled.code->marks[0].place);
    }
    if (id == 0 && take<uint64_t>(bytes, at + 32) == begin) {
      found = true;
      CHECK(take<uint64_t>(bytes, at + 40) == compiled.code->size);
      const std::string name = bytes.c_str() + at + 56;
      CHECK(name.substr(0, 10) == "tell.wasm!");
      REQUIRE(16 + 40 + name.size() + 1 + compiled.code->size == size);
      CHECK(std::memcmp(bytes.data() + at + 56 + name.size() + 1, compiled.code->begin, compiled.code->size) == 0);
    }
    at += size;
  }
  CHECK(lines);
  CHECK(found);
}

TEST_CASE("what stands in the place of perf's files is left alone") {
  const std::filesystem::path folder = std::filesystem::current_path();
  const std::string target = (folder / ("target-" + std::to_string(getpid()))).string();
  const std::pair<CodeTool, std::string> files[] = {
      {CodeTool::PerfMap, "/tmp/perf-" + std::to_string(getpid()) + ".map"},
      {CodeTool::JitDump, (folder / ("jit-" + std::to_string(getpid()) + ".dump")).string()}};
  for (const auto& [tool, path] : files) {
    INFO(path);
    for (const bool link : {true, false}) {
      for (const std::string& file : {target, path}) std::filesystem::remove(file);
      std::ofstream(link ? target : path) << "precious";
      if (link) std::filesystem::create_symlink(target, path);
      const Result<void> told = announce_code(tool);
      REQUIRE(!told);
      CHECK(told.error().to_string().find(path.substr(path.rfind('/') + 1)) != std::string::npos);
      CHECK(read(link ? target : path) == "precious");
    }
    for (const std::string& file : {target, path}) std::filesystem::remove(file);
  }
  jit::stop_announcing();
}

/// The entry of GDB's list whose text section is `code`.
const JitCodeEntry* entry_of(const void* code) {
  for (const JitCodeEntry* e = __jit_debug_descriptor.first; e != nullptr; e = e->next) {
    Elf64_Ehdr header;
    std::memcpy(&header, e->symfile, sizeof header);
    auto* sections = reinterpret_cast<const Elf64_Shdr*>(e->symfile + header.e_shoff);
    if (sections[1].sh_addr == reinterpret_cast<uint64_t>(code)) return e;
  }
  return nullptr;
}

TEST_CASE("debuggers have an object file for each piece of code, while it is there") {
  Announcers files;
  const void* begin = nullptr;
  {
    Compiled compiled;
    begin = compiled.code->begin;
    const JitCodeEntry* entry = entry_of(begin);
    REQUIRE(entry != nullptr);
    Elf64_Ehdr header;
    std::memcpy(&header, entry->symfile, sizeof header);
    CHECK(std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0);
    CHECK(header.e_shoff + header.e_shnum * sizeof(Elf64_Shdr) <= entry->symfile_size);
    auto* sections = reinterpret_cast<const Elf64_Shdr*>(entry->symfile + header.e_shoff);
    CHECK(sections[1].sh_size == compiled.code->size);
    bool symbol = false;
    for (unsigned i = 0; i < header.e_shnum; ++i) {
      if (sections[i].sh_type != SHT_SYMTAB) continue;
      auto* symbols = reinterpret_cast<const Elf64_Sym*>(entry->symfile + sections[i].sh_offset);
      const char* names = entry->symfile + sections[sections[i].sh_link].sh_offset;
      symbol =
          std::strncmp(names + symbols[1].st_name, "tell.wasm!", 10) == 0 && symbols[1].st_size == compiled.code->size;
    }
    CHECK(symbol);
  }
  CHECK(entry_of(begin) == nullptr);
}

}  // namespace
