// Imports that nobody provides: all are named at once, with what they mean.
#include <doctest/doctest.h>

#include "tests/unit/tools/command.h"
#include "tests/unit/tools/image.h"

namespace vmrun::test {
namespace {

const std::string kFunc = bytes({0, 0});
const std::string kMemory = bytes({2, 1, 1, 2});
const std::string kTable = bytes({1, 0x70, 0, 1});
const std::string kGlobal = bytes({3, 0x7f, 0});

struct Wanted {
  std::string module, name, what;
};

std::string importing(const std::vector<Wanted>& imports) {
  std::vector<std::string> items;
  for (const Wanted& import : imports) items.push_back(name(import.module) + name(import.name) + import.what);
  return kImageHead + section(1, vec({kNothingToNothing})) + section(2, vec(items)) + section(3, vec({u32(0)})) +
         section(7, vec({name("f") + kFunc})) + section(10, vec({body("")}));
}

/// The message about an image with these imports, after "vmrun: error: ".
std::string message(const std::vector<Wanted>& imports, std::vector<std::string> args = {}) {
  TemporaryDirectory dir;
  args.push_back(dir.write("image.wasm", importing(imports)));
  const auto r = run_vmrun(args);
  CHECK(r.status == 1);
  const std::string start = "vmrun: error: ";
  REQUIRE(r.err.starts_with(start));
  return r.err.substr(start.size());
}

TEST_CASE("something to import that is no function") {
  CHECK(message({{"env", "memory", kMemory}}) ==
        "unknown import: env.memory, a (memory 1 2); provide it with --preload env=IMAGE, or link without wasm-ld's "
        "--import-memory, so that the image has a memory of its own\n");
  CHECK(message({{"env", "table", kTable}}) ==
        "unknown import: env.table, a (table 1 funcref); provide it with --preload env=IMAGE\n");
  CHECK(message({{"env", "base", kGlobal}}) ==
        "unknown import: env.base, a (global i32); provide it with --preload env=IMAGE\n");
}

TEST_CASE("all that is missing is in one message") {
  CHECK(
      message({{"env", "f", kFunc}, {"env", "g", kFunc}}) ==
      "unknown imports: env.f, a (func); env.g, a (func); provide them with --preload env=IMAGE, or let them trap when "
      "they are called: -W unknown-imports-trap\n");
  // What traps is not missing.
  CHECK(message({{"env", "f", kFunc}, {"env", "base", kGlobal}}, {"-W", "unknown-imports-trap"}) ==
        "unknown import: env.base, a (global i32); provide it with --preload env=IMAGE\n");
  std::vector<Wanted> many;
  for (int i = 0; i < 14; ++i) many.push_back({"m", "f" + std::to_string(i), kFunc});
  const std::string text = message(many);
  CHECK(text.find("m.f9, a (func); and 4 more; provide them") != std::string::npos);
  CHECK(text.find("m.f10") == std::string::npos);
}

TEST_CASE("an image that was preloaded does not export what is wanted") {
  CHECK(message({{"env", "f", kFunc}}, {"--preload", "env=" + fixture("cli_empty")}) ==
        "unknown import: env.f, a (func); the image preloaded as 'env' does not export it, or let it trap when it is "
        "called: -W unknown-imports-trap\n");
}

TEST_CASE("imports that were made for somebody else") {
  const auto about = [](const std::string& module, const std::string& name, const std::string& says) {
    CAPTURE(module);
    CHECK(message({{module, name, kFunc}}) == "unknown import: " + module + "." + name + ", a (func); " + says +
                                                  ", or let it trap when it is called: -W unknown-imports-trap\n");
  };
  about("wasi:cli/stdout@0.2.0", "get-stdout",
        "names with ':' and '/' belong to WebAssembly components (WASI 0.2), which vmrun does not run: build for "
        "wasm32-wasip1");
  about("gojs", "runtime.ticks", "Go imports these when it is built for browsers: build with GOOS=wasip1 GOARCH=wasm");
  about("__wbindgen_placeholder__", "__wbindgen_throw",
        "wasm-bindgen makes such imports for JavaScript to fill in: build for wasm32-wasip1 without wasm-bindgen");
  about("wbg", "log",
        "wasm-bindgen makes such imports for JavaScript to fill in: build for wasm32-wasip1 without wasm-bindgen");
  about("env", "emscripten_resize_heap",
        "Emscripten makes such imports for JavaScript to fill in: link with -sSTANDALONE_WASM");
  about("a", "b", "Emscripten makes such imports for JavaScript to fill in: link with -sSTANDALONE_WASM");
  about("env", "abort",
        "AssemblyScript makes such imports for JavaScript to fill in: compile with '--use abort=' or the WASI shim");
  about("wasi_snapshot_preview1", "fd_nothing", "WASI preview 1 has no such function");
  about("wasi_ephemeral_nn", "load", "vmrun has WASI preview 1 without extensions");
  about("wasix_32v1", "fd_dup", "WASIX is Wasmer's extension of WASI: build for wasm32-wasip1");
  about("spectest", "print", "the WebAssembly test suite imports these: run its scripts with 'vmrun wast'");
  about("env", "__memory_base", "shared libraries import these for a dynamic linker: link statically");
}

TEST_CASE("WASI that is off") {
  CHECK(message({{"wasi_snapshot_preview1", "proc_exit", kFunc}}, {"-S", "wasi=n"}) ==
        "unknown import: wasi_snapshot_preview1.proc_exit, a (func); WASI is off (-S wasi=n)\n");
}

TEST_CASE("threads that are off") {
  CHECK(
      message({{"wasi", "thread-spawn", kFunc}}, {"-S", "threads=n"}) ==
      "unknown import: wasi.thread-spawn, a (func); threads are off (-S threads=n), or let it trap when it is called: "
      "-W unknown-imports-trap\n");
  CHECK(message({{"wasi", "thread-spawn", kFunc}}, {"-S", "wasi=n"}) ==
        "unknown import: wasi.thread-spawn, a (func); WASI is off (-S wasi=n)\n");
}

TEST_CASE("several origins, each explained once, and one without") {
  const std::string text =
      message({{"gojs", "a", kFunc}, {"gojs", "b", kFunc}, {"wbg", "c", kFunc}, {"other", "memory", kMemory}});
  CHECK(text ==
        "unknown imports: gojs.a, a (func); gojs.b, a (func); wbg.c, a (func); other.memory, a (memory 1 2); Go "
        "imports these when it is built for browsers: build with GOOS=wasip1 GOARCH=wasm; wasm-bindgen makes such "
        "imports for JavaScript to fill in: build for wasm32-wasip1 without wasm-bindgen; provide it with "
        "--preload other=IMAGE, or link without wasm-ld's --import-memory, so that the image has a memory of its "
        "own\n");
}

}  // namespace
}  // namespace vmrun::test
