// Hints about missing imports; see imports.h.
#include "tools/imports.h"

#include <algorithm>
#include <vector>

#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

bool one_of(std::string_view name, std::initializer_list<std::string_view> list) {
  return std::ranges::find(list, name) != list.end();
}

bool starts_with_one_of(std::string_view name, std::initializer_list<std::string_view> list) {
  return std::ranges::any_of(list, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_preview1(std::string_view module) { return one_of(module, {"wasi_snapshot_preview1", "wasi_unstable"}); }

bool is_component(const ImportType& i) {
  return i.module.starts_with("wasi:") || one_of(i.module, {"$root", "cm32p2"}) || i.module.starts_with("[export]") ||
         (i.module.find(':') != i.module.npos && i.module.find('/') != i.module.npos);
}
bool is_go(const ImportType& i) { return one_of(i.module, {"gojs", "go"}); }
bool is_bindgen(const ImportType& i) {
  return i.module == "wbg" || i.module.ends_with("_bg.js") || i.module.find("wbindgen") != i.module.npos ||
         i.name.starts_with("__wbindgen") || i.name.starts_with("__wbg_");
}
bool is_preview1_import(const ImportType& i) { return is_preview1(i.module); }
bool is_wasix(const ImportType& i) { return i.module.starts_with("wasix_"); }
bool is_threads(const ImportType& i) { return i.module == "wasi" && i.name == "thread-spawn"; }
bool is_extension(const ImportType& i) { return i.module.starts_with("wasi_"); }
bool is_suite(const ImportType& i) { return i.module == "spectest"; }
bool is_shared_library(const ImportType& i) {
  return i.module.starts_with("GOT.") || one_of(i.name, {"__memory_base", "__table_base"});
}
bool is_emscripten(const ImportType& i) {
  // Its optimiser shortens the names to module "a" and one or two letters.
  if (i.module == "a" && i.name.size() <= 2) return true;
  return i.module == "env" &&
         (starts_with_one_of(i.name, {"emscripten_", "_emscripten_", "_embind_", "invoke_", "__syscall_", "__cxa_"}) ||
          one_of(i.name, {"_abort_js", "__assert_fail", "abort_js", "getTempRet0", "setTempRet0"}));
}
bool is_assemblyscript(const ImportType& i) { return i.module == "env" && one_of(i.name, {"abort", "seed", "trace"}); }

/// Who makes images with such imports, and what to do to get one that runs here. The first that matches counts.
struct Origin {
  bool (*matches)(const ImportType& import);
  const char* says;
};
constexpr Origin kOrigins[] = {
    {is_component,
     "names with ':' and '/' belong to WebAssembly components (WASI 0.2), which vmrun does not run: build for "
     "wasm32-wasip1"},
    {is_go, "Go imports these when it is built for browsers: build with GOOS=wasip1 GOARCH=wasm"},
    {is_bindgen,
     "wasm-bindgen makes such imports for JavaScript to fill in: build for wasm32-wasip1 without wasm-bindgen"},
    {is_preview1_import, "WASI preview 1 has no such function"},
    {is_wasix, "WASIX is Wasmer's extension of WASI: build for wasm32-wasip1"},
    {is_threads, "threads are off (-S threads=n)"},
    {is_extension, "vmrun has WASI preview 1 without extensions"},
    {is_suite, "the WebAssembly test suite imports these: run its scripts with 'vmrun wast'"},
    {is_shared_library, "shared libraries import these for a dynamic linker: link statically"},
    {is_emscripten, "Emscripten makes such imports for JavaScript to fill in: link with -sSTANDALONE_WASM"},
    {is_assemblyscript,
     "AssemblyScript makes such imports for JavaScript to fill in: compile with '--use abort=' or the WASI shim"},
};

const Origin* origin_of(const ImportType& import) {
  const auto found = std::ranges::find_if(kOrigins, [&](const Origin& origin) { return origin.matches(import); });
  return found == std::end(kOrigins) ? nullptr : found;
}

bool is_func(const ImportType& import) { return import.type.kind() == ExternKind::Func; }

/// What to do about imports that any image could provide.
std::string provide(const std::vector<const ImportType*>& missing, const RunOptions& options) {
  const ImportType& first = *missing[0];
  const bool preloaded = std::ranges::any_of(options.preloads, [&](const auto& p) { return p.first == first.module; });
  const std::string name = printable_name(first.module);
  if (preloaded)
    return "; the image preloaded as '" + name + "' does not export " + (missing.size() == 1 ? "it" : "that");
  std::string hint =
      std::string("; provide ") + (missing.size() == 1 ? "it" : "them") + " with --preload " + name + "=IMAGE";
  if (std::ranges::any_of(missing, [](const ImportType* i) { return i->type.kind() == ExternKind::Memory; })) {
    hint += ", or link without wasm-ld's --import-memory, so that the image has a memory of its own";
  }
  return hint;
}

}  // namespace

std::string missing_imports_hint(const Module& module, const Linker& linker, const RunOptions& options) {
  const std::vector<ImportType> imports = module.imports();
  std::vector<const ImportType*> missing, unexplained;
  std::vector<const Origin*> origins;
  for (const ImportType& import : imports) {
    if (linker.has(import.module, import.name) || (options.unknown_imports_trap && is_func(import))) continue;
    missing.push_back(&import);
    const Origin* origin = origin_of(import);
    if (!origin) unexplained.push_back(&import);
    if (origin && std::ranges::find(origins, origin) == origins.end()) origins.push_back(origin);
  }
  if (missing.empty()) return {};
  std::string hint;
  bool wasi_is_off = false;
  for (const Origin* origin : origins) {
    const bool off = (origin->matches == is_preview1_import || origin->matches == is_threads) && !options.wasi;
    wasi_is_off |= off;
    hint += std::string("; ") + (off ? "WASI is off (-S wasi=n)" : origin->says);
  }
  if (!unexplained.empty()) hint += provide(unexplained, options);
  if (!wasi_is_off && std::ranges::all_of(missing, [](const ImportType* i) { return is_func(*i); })) {
    hint += missing.size() == 1 ? ", or let it trap when it is called: -W unknown-imports-trap"
                                : ", or let them trap when they are called: -W unknown-imports-trap";
  }
  return hint;
}

}  // namespace vmrun::tools
