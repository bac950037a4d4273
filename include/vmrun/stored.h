// Compiled images and the cache: what of a module's code is kept from one process to the next.
//
// Stored code is machine code. Whoever can write a file of it can make a process that loads it do anything: it is trusted
// as the program itself is, and its hashes, which find damage alone, do not replace that trust. So nobody who is not
// trusted may be able to write such a file or the cache's folder. Two things help:
//   - the system interface keeps guests from changing the engine's cache, whatever they are granted (docs/cache.md);
//   - a compiled image can carry a MAC under a secret key (MacKey), for places that others can write to.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/base/tiers.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// A secret from which a MAC (HMAC-SHA-256) of a compiled image is computed, so that only who knows it can make one that is
/// accepted. Copies share the bytes, which are overwritten when the last one goes. Any thread.
class MacKey {
 public:
  static constexpr size_t kLeast = 32, kMost = 4096;
  /// From kLeast to kMost bytes, which should be random. Errors: Usage.
  static Result<MacKey> from_bytes(std::span<const uint8_t> bytes);
  /// All bytes of a file, a newline at the end included: `head -c 32 /dev/urandom > FILE` makes one. Errors: Io, Usage.
  static Result<MacKey> read_file(const std::filesystem::path& path);
  std::span<const uint8_t> bytes() const { return *bytes_; }

 private:
  explicit MacKey(std::shared_ptr<const std::vector<uint8_t>> bytes) : bytes_(std::move(bytes)) {}
  std::shared_ptr<const std::vector<uint8_t>> bytes_;
};

/// What a compiled image holds besides the image.
struct SerializeOptions {
  enum class Code : uint8_t {
    Present,   // what is compiled so far
    Baseline,  // that, and baseline code of all other functions
    Opt,       // that, and optimised code of all other functions, baseline code where the optimiser refuses one
  };
  Code code = Code::Baseline;
  /// Functions that get optimised code in any case, by index.
  std::vector<uint32_t> optimised = {};
  /// The processor that optimised code is for, by LLVM's name ("x86-64-v3", "znver4"), or "": this one. The compiled image is
  /// refused where an instruction is missing that it may use. Baseline code, and so an image without optimised code, is for
  /// all of level x86-64-v3. With a name, no optimised code of this process's own is put in.
  std::string processor = {};
  /// Called now and then, on threads that compile, one at a time: how many of the functions are compiled. Returning false
  /// ends it, with an error of kind Usage.
  std::function<bool(uint32_t done, uint32_t all)> progress = {};
  /// Appends a MAC under this key. Who has no key reads the compiled image as if there were none.
  std::optional<MacKey> key = {};
};

/// How far the bytes of a compiled image are trusted.
enum class StoredTrust : uint8_t {
  Code,     // its code is run
  Image,    // its image alone is taken out, validated and compiled as any other
  Program,  // as Code, of a file whose mode says that somebody may execute it and nobody write it (0555, 0500, ...), as
            // serialize_file makes it; no guest can make or change such a file (docs/cache.md)
  Listing,  // as Image; but its code is what Module::disassemble_code shows. It is never run
};

/// A unit of stored code: a function, the entry at a loop, or a loop alone.
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
  std::vector<std::string> needs;  // instructions beyond x86-64's first, by LLVM's names
  std::vector<std::string> lacks;  // those of them that this processor has not
  bool validated = false;
  bool has_mac = false;  // whether it is the right one is not looked at
  uint64_t file_bytes = 0, image_bytes = 0;
  std::vector<StoredUnit> units;
};

/// Whether bytes, the first of a file, are those of a compiled image.
bool is_compiled_image(std::span<const uint8_t> head);
/// Reads the compiled image at `path`, of whatever build and processor. Errors: Io, Malformed, Unsupported (another
/// format).
Result<StoredInfo> describe_compiled_image(const std::filesystem::path& path);

/// The names that SerializeOptions::processor takes. Errors: Unsupported (the optimiser is not installed).
Result<std::vector<std::string>> known_processors();

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

/// A cache that the embedder keeps: in a database, in object storage, in memory. Entries have names of up to 80 letters,
/// digits, '-' and '.', and each name stands for one image, build, processor and setting; a name's entry may be replaced by
/// a newer one, and may be lost at any time.
///
/// Threads: both are called on the thread that compiles a module or stores it (Module::compile, Module::store), by several
/// threads at a time; they may wait. Exceptions are not caught here: they come out of that call.
///
/// Trust: what `get` returns is machine code that is run. Without a key nobody but the embedder may be able to write where
/// it comes from. With one (the same wherever entries are to be found) an entry whose MAC under the key and its name is not
/// right is left alone, so that somebody who can write there can only remove entries, or bring back older ones.
struct CacheHooks {
  /// The entry of that name, as `put` was given it; nothing where there is none.
  std::function<std::optional<std::vector<uint8_t>>(std::string_view name)> get = {};
  /// Keeps an entry; false: it was not kept. Empty: nothing is ever stored.
  std::function<bool(std::string_view name, std::span<const uint8_t> bytes)> put = {};
  std::optional<MacKey> key = {};
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
