// Compiled images and the cache: what of a module's code is kept from one process to the next.
//
// Stored code is machine code. Whoever can write a file of it can make a process that loads it do anything: it is trusted
// as the program itself is, and neither its hashes, which find damage alone, nor anything else here replaces that trust.
// So no guest, and nobody else who is not trusted, may be able to write such a file or the cache's folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/base/tiers.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// What a compiled image holds besides the image.
struct SerializeOptions {
  enum class Code : uint8_t {
    Present,   // what is compiled so far
    Baseline,  // that, and baseline code of all other functions
    Opt,       // that, and optimised code of all other functions, baseline code where the optimiser refuses one
  };
  Code code = Code::Baseline;
  /// Called now and then, on threads that compile, one at a time: how many of the functions are compiled. Returning false
  /// ends it, with an error of kind Usage.
  std::function<bool(uint32_t done, uint32_t all)> progress = {};
};

/// How far the bytes of a compiled image are trusted.
enum class StoredTrust : uint8_t {
  Code,   // its code is run
  Image,  // its image alone is taken out, validated and compiled as any other
};

/// A unit of stored code: a function, or the entry at a loop.
struct StoredUnit {
  uint32_t func_index;
  std::optional<uint64_t> loop;  // byte offset of the loop in the image
  Tier tier;
  uint64_t bytes;  // of machine code
};

/// What a compiled image says about itself.
struct StoredInfo {
  std::string build;    // of the vmrun that made it
  std::string content;  // hash of its image
  bool this_build = false, this_processor = false;
  bool validated = false;
  uint64_t file_bytes = 0, image_bytes = 0;
  std::vector<StoredUnit> units;
};

/// Whether bytes, the first of a file, are those of a compiled image.
bool is_compiled_image(std::span<const uint8_t> head);
/// Reads the compiled image at `path`, of whatever build and processor. Errors: Io, Malformed, Unsupported (another
/// format).
Result<StoredInfo> describe_compiled_image(const std::filesystem::path& path);

/// A cache of code in a folder, by image, build, processor and settings. Processes share it without waiting for each
/// other: an entry is written to a file of its own, which then takes its name. The folder and the entries have to be the
/// user's own, and nobody else's to read or write; else they are left alone. Images of 1 MiB and more are copied there, and
/// known again by their file's identity (docs/cache.md). A module that has found something there has it mapped for as long
/// as it lives; where `write` is set, a thread of its own may write what is new while it lives.
struct CacheConfig {
  std::filesystem::path folder;            // made when there is first something to store
  bool write = true;                       // false: nothing is ever changed there
  uint64_t max_bytes = uint64_t{1} << 30;  // what was used least recently goes, once there is more
};

/// The user's: vmrun in $XDG_CACHE_HOME, else in .cache of $HOME. Empty when neither names a folder, or the process has
/// been given rights that its user does not have.
std::filesystem::path default_cache_folder();

/// A file in a cache: code of an image, which of its functions were hot, a copy of it, or in which file it was found.
struct CacheEntry {
  std::string file;  // its name
  uint64_t bytes = 0;
  std::chrono::system_clock::time_point used;  // last
  bool is_profile = false;                     // which functions of an image were hot
  std::string content;                         // hash of the image, the first half; of the last kind none
};
/// What there is, the most recently used first; nothing where there is no folder. Errors: Io.
Result<std::vector<CacheEntry>> cache_entries(const std::filesystem::path& folder);
/// Removes all of it, and returns how many bytes that was. Files that are none of the cache's stay. Errors: Io.
Result<uint64_t> clear_cache(const std::filesystem::path& folder);

class Engine;
/// Why a run of the image at `path` by `engine`, which has a cache, takes no code from there, or that it does; for people,
/// a line for each entry of that image. Errors: those of reading the image, Usage (no cache).
Result<std::vector<std::string>> explain_cache(const Engine& engine, const std::filesystem::path& path);

}  // namespace vmrun
#pragma GCC visibility pop
