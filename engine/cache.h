// The cache of code on disk: files in a private folder, found by what they are for.
//
// Names. CONTENT-KEY.code has code of the image whose hash begins with CONTENT, made by the build, for the processor and
// under the settings that KEY is the hash of. CONTENT.hot says which functions of that image were hot; it serves every
// build. Of images from kLargeImage on CONTENT-SIZE.image is a copy (kept_image.h), and FILE.id says which content the
// file of a device and inode has (file_identity.h): with these two a start reads nothing of the image's file. Names that
// begin with ".new-" are files that are being written.
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

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cache_keeper.h"
#include "jit/stored/reader.h"
#include "tiering/manager.h"
#include "vm/base/file_stamp.h"
#include "vm/base/log.h"
#include "vm/wasm/image.h"
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

/// Reading and hashing so much takes a millisecond: from here on an image is kept, and its file known by its identity.
inline constexpr uint64_t kLargeImage = 1 << 20;

/// How names call an image.
inline std::string content_name(const vm::Digest& content) { return content.hex(16); }

/// An image of which the cache has a copy, and that was known by its file's identity.
struct KnownImage {
  std::shared_ptr<const vm::Image> image;
  std::vector<vm::ByteRange> bodies;  // of its functions
  vm::Digest content;
  vm::FileStamp stamp;
  bool to_confirm = false;  // it is time to look whether the file still has these bytes
};

/// What a start knows of its image.
struct ImageFacts {
  std::optional<vm::Digest> content;   // none: it is still to be found out
  std::optional<vm::FileStamp> stamp;  // of the file that it was read from, where its identity may be believed
  bool to_confirm = false;             // as in KnownImage
};

class Cache {
 public:
  explicit Cache(CacheConfig config) : config_(std::move(config)) {}
  /// One that the embedder keeps (cache_hooks.cpp).
  explicit Cache(CacheHooks hooks) : hooks_(std::make_shared<const CacheHooks>(std::move(hooks))) {}

  const CacheConfig& config() const { return config_; }
  /// Who keeps what is new of a module that starts so; null: nothing is stored.
  std::shared_ptr<CacheKeeper> keeper(const ImageFacts& facts) const;
  /// Whether images are known by their files, and kept: those of a folder are.
  bool keeps_images() const { return hooks_ == nullptr; }
  /// The image in a file, if the cache knows it. Nothing: it has to be read.
  std::optional<KnownImage> recognise(const std::filesystem::path& path) const;
  /// What recognise() returned was of no use.
  void forget(const KnownImage& known) const;
  /// Whether there may be code of an image of which the content is not known yet: its file has a record, or there is a
  /// copy of an image of its size.
  bool may_have(const vm::Image& image) const;
  /// What there is for a key: code, and what was hot. Whatever is wrong with a file, it is as if it were not there.
  tiering::StoredCode find(const CacheKey& key) const;
  /// For explain_cache: a line for each entry of the image that was read for it.
  std::vector<std::string> explain(const CacheKey& key, const vm::Image& image) const;

 private:
  /// The entry `name`, if it is one of this key; null, which the log tells, else.
  static std::shared_ptr<const jit::stored::File> opened(std::unique_ptr<jit::stored::Source> source,
                                                         const std::string& name, const CacheKey& key);
  tiering::StoredCode find_by_hooks(const CacheKey& key) const;
  std::shared_ptr<CacheKeeper> hooks_keeper(const vm::Digest& content) const;
  /// -1, and the log says why.
  int open_folder() const;

  const CacheConfig config_;
  const std::shared_ptr<const CacheHooks> hooks_;  // null: a folder has it
};

/// Removes what was used least recently until `bytes` more fit, which take the place of the file `name`.
void make_room(const CacheConfig& config, int folder, const std::string& name, uint64_t bytes);

}  // namespace vmrun::engine
