// From an image to a module that can be instantiated.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "engine/cache.h"
#include "jit/stored/reader.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"
#include "vmrun/base/result.h"
#include "vmrun/engine.h"

namespace vmrun::engine {

/// The compiled image that a module comes from.
struct CompiledImage {
  std::shared_ptr<const jit::stored::File> file;  // null: it comes from none
  bool trusted = true;  // false: the image is validated as any other, and the code is there to be looked at
};

/// Decodes and validates, and gives the functions their first entries. Where the image comes from no compiled one, the
/// engine's cache is asked, if it has one.
Result<std::shared_ptr<vm::Module>> load_module(const Engine& engine, Result<std::shared_ptr<const vm::Image>> image,
                                                std::string_view name, CompiledImage compiled = {});

/// The same of the image in a file, of which the engine's cache may know all that is needed.
Result<std::shared_ptr<vm::Module>> load_file(const Engine& engine, const std::filesystem::path& path);

/// The name by which the engine's cache knows an image.
CacheKey cache_key(const Engine& engine, const vm::Image& image);

}  // namespace vmrun::engine
