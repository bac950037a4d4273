// The cache of code on disk: files in a private folder, found by what they are for.
//
// Names. CONTENT-KEY.code has code of the image whose hash begins with CONTENT, made by the build, for the processor and
// under the settings that KEY is the hash of. CONTENT.hot says which functions of that image were hot; it serves every
// build. Names that begin with ".new-" are files that are being written.
//
// Trust. Entries hold machine code, so they are used only if nobody but the user can have written them: the folder and
// the file are the user's own and closed to everybody else, which is checked on what was opened, and links are not
// followed. Guests run as the user. An entry has a mode that no file has which a guest makes, and none may be opened for
// writing by a guest (cache_files.h, wasi/guard.h); what a guest is granted above the folder does not reach it
// (protected_places.h).
// The image's whole hash stands in the file and is compared, so that no image gets another one's code, whoever made it.
//
// Threads and processes: any number. A file is complete before it has its name, and is never changed afterwards; who has
// it open keeps it when it is replaced or removed. A process that dies while it writes leaves a ".new-" file, which
// somebody removes an hour later.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jit/stored/reader.h"
#include "tiering/manager.h"
#include "vm/base/log.h"
#include "vmrun/stored.h"

namespace vmrun::engine {

/// VMRUN_LOG=cache=info tells what is found, stored and refused.
inline const vm::Log& cache_log() {
  static const vm::Log instance("cache");
  return instance;
}

/// What a key is made of.
struct CacheKey {
  vm::Digest content;
  jit::stored::Settings settings;
  /// The name of the file.
  std::string name() const;
};

/// An image's part of names.
std::string content_name(const vm::Digest& content);

class Cache {
 public:
  explicit Cache(CacheConfig config) : config_(std::move(config)) {}
  /// One that the embedder keeps (cache_hooks.cpp).
  explicit Cache(CacheHooks hooks) : hooks_(std::move(hooks)) {}

  const CacheConfig& config() const { return config_; }
  /// What there is for a key: code, and what was hot. Whatever is wrong with a file, it is as if it were not there.
  tiering::StoredCode find(const CacheKey& key) const;
  /// Stores what is new of a module, as far as it is worth it. Whether there was any such code, and it could be written.
  bool store(const vm::Module& module) const;
  /// For explain_cache: a line for each entry of the image.
  std::vector<std::string> explain(const CacheKey& key) const;

 private:
  /// What of a module is worth storing.
  struct Worth {
    bool code, hot;
  };
  static Worth worth_storing(const vm::Module& module, const tiering::StoredCode& before, const tiering::News& news);
  /// The entry `name`, if it is one of this key; null, which the log tells, else.
  static std::shared_ptr<const jit::stored::File> opened(std::unique_ptr<jit::stored::Source> source,
                                                         const std::string& name, const CacheKey& key);
  tiering::StoredCode find_by_hooks(const CacheKey& key) const;
  bool store_by_hooks(const vm::Module& module) const;
  bool store_code(int folder, const vm::Module& module, const vm::Digest& content) const;
  /// Removes what was used least recently until `bytes` more fit, which take the place of the file `name`.
  void make_room(int folder, const std::string& name, uint64_t bytes) const;

  const CacheConfig config_;
  const std::optional<CacheHooks> hooks_;
};

}  // namespace vmrun::engine
