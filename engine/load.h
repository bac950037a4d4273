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

/// Decodes and validates, and gives the functions their first entries. `stored`: the compiled image that it comes from;
/// otherwise the engine's cache is asked, where it has one.
Result<std::shared_ptr<vm::Module>> load_module(const Engine& engine, Result<std::shared_ptr<const vm::Image>> image,
                                                std::string_view name,
                                                std::shared_ptr<const jit::stored::File> stored = nullptr);

/// The same of the image in a file, of which the engine's cache may know all that is needed.
Result<std::shared_ptr<vm::Module>> load_file(const Engine& engine, const std::filesystem::path& path);

/// The name by which the engine's cache knows an image.
CacheKey cache_key(const Engine& engine, const vm::Image& image);

}  // namespace vmrun::engine
