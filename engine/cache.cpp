// The cache: what is kept of a module, and what is found again. See cache.h; cache_linux.cpp has the files.
#include "engine/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "engine/cache_files.h"
#include "engine/file_identity.h"
#include "engine/hot_list.h"
#include "engine/kept_image.h"
#include "engine/module_keeper.h"
#include "jit/stored/settings.h"
#include "vm/base/build.h"
#include "vm/base/tally.h"

namespace vmrun::engine {
namespace {

/// An image's file, for its times and what its copy leaves out; -1 if it cannot be had.
int open_image_file(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0 || file > STDERR_FILENO) return file;
  const int moved = fcntl(file, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);  // of a standard stream that is closed
  close(file);
  return moved;
}

}  // namespace

std::string CacheKey::name() const {
  const jit::stored::ProcessorBits processor = jit::stored::this_processor();
  const std::string key = vm::Sha256()
                              .add_number(jit::stored::kFormat)
                              .add(vm::build_id())
                              .add(std::as_bytes(std::span(processor)))
                              .add_number(settings.baseline)
                              .add_number(settings.opt)
                              .finish()
                              .hex(8);
  return code_name(content_name(content), key);
}

std::shared_ptr<const jit::stored::File> Cache::opened(std::unique_ptr<jit::stored::Source> source,
                                                       const std::string& name, const CacheKey& key) {
  auto file = jit::stored::File::open(std::move(source));
  if (!file) {
    VMRUN_LOG_AT(cache_log(), info, "{} is ignored: {}", name, file.error().message);
  } else if ((*file)->header().content != key.content || (*file)->header().settings != key.settings) {
    VMRUN_LOG_AT(cache_log(), info, "{} is ignored: it belongs to another image or to other settings", name);
  } else {
    VMRUN_LOG_AT(cache_log(), info, "{} has code of {} functions and loops", name, (*file)->units().size());
    return std::move(*file);
  }
  return nullptr;
}

std::shared_ptr<CacheKeeper> Cache::keeper(const ImageFacts& facts) const {
  if (hooks_ != nullptr) return hooks_->put ? hooks_keeper(*facts.content) : nullptr;
  if (!config_.write) return nullptr;
  if (is_closed_folder(config_.folder)) {
    VMRUN_LOG_AT(cache_log(), info, "nothing will be stored: {} cannot be written", config_.folder.string());
    return nullptr;
  }
  return std::make_shared<ModuleKeeper>(config_, facts);
}

tiering::StoredCode Cache::find(const CacheKey& key) const {
  if (hooks_ != nullptr) return find_by_hooks(key);
  tiering::StoredCode found;
  const FileDescriptor folder(open_folder());
  if (folder.number < 0) {
    vm::count(vm::tally.cache_misses);
    return found;
  }
  Refusal refusal;
  const std::string name = key.name();
  uint64_t bytes = 0;
  const int descriptor = open_cache_file(folder.number, name, bytes, refusal);
  if (descriptor < 0) {
    VMRUN_LOG_AT(cache_log(), info, "no code from {}: {}", name, refusal.why.empty() ? "there is none" : refusal.why);
  } else {
    if (config_.write) mark_used(descriptor);
    found.file = opened(jit::stored::mapped_source_of(descriptor, bytes), name, key);
  }
  vm::count(found.file != nullptr ? vm::tally.cache_hits : vm::tally.cache_misses);
  HotList hot = read_hot(folder.number, key.content);
  found.hot = std::move(hot.units);
  found.run = hot.run;
  found.hot_runs = hot.runs;
  return found;
}

int Cache::open_folder() const {
  Refusal refusal;
  const int folder = open_cache_folder(config_.folder, false, refusal);
  if (folder >= 0) return folder;
  if (refusal.unsafe) {
    VMRUN_LOG_AT(cache_log(), warn, "the cache is not used: {}", refusal.why);
  } else {
    VMRUN_LOG_AT(cache_log(), info, "the cache is not used: {}", refusal.why.empty() ? "no folder" : refusal.why);
  }
  return -1;
}

std::optional<KnownImage> Cache::recognise(const std::filesystem::path& path) const {
  if (!keeps_images()) return {};
  struct stat info;  // what is no file may be opened once only
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < int64_t{kLargeImage}) return {};
  FileDescriptor original(open_image_file(path));
  const auto stamp = vm::stamp_of(original.number);
  const int64_t now = vm::file_time();
  if (!stamp || !is_settled(*stamp, now) || !keeps_change_times(*stamp)) return {};
  Refusal refusal;
  const FileDescriptor folder(open_cache_folder(config_.folder, false, refusal));
  if (folder.number < 0) return {};
  const std::optional<KnownFile> file = read_identity(folder.number, *stamp);
  if (!file) return {};
  const int64_t age = now - file->confirmed;
  if (age < 0 || age > std::chrono::nanoseconds(kBelieved).count()) {
    VMRUN_LOG_AT(cache_log(), info, "{} is read: it was last confirmed long ago", path.string());
    return {};
  }
  const std::string name = image_name(content_name(file->content), stamp->size);
  uint64_t bytes = 0;
  const FileDescriptor copy(open_cache_file(folder.number, name, bytes, refusal));
  auto kept = copy.number < 0 ? std::nullopt : open_kept_image(copy.number, bytes, file->content);
  if (!kept || kept->bytes.memory.size() != stamp->size) {
    VMRUN_LOG_AT(cache_log(), info, "{} is ignored: {}", name,
                 copy.number >= 0      ? "it is damaged"
                 : refusal.why.empty() ? "it is not there"
                                       : refusal.why);
    return {};
  }
  if (config_.write) mark_used(copy.number);
  kept->bytes.name = path.filename().string();
  kept->bytes.original = std::exchange(original.number, -1);
  KnownImage known;
  known.image = vm::Image::map(std::move(kept->bytes));
  known.bodies = std::move(kept->bodies);
  known.content = file->content;
  known.stamp = *stamp;
  known.to_confirm = age > std::chrono::nanoseconds(kConfirmAfter).count();
  VMRUN_LOG_AT(cache_log(), info, "{} is known by its file's identity; its bytes come from {}", path.string(), name);
  return known;
}

void Cache::forget(const KnownImage& known) const {
  if (!config_.write) return;
  Refusal refusal;
  const FileDescriptor folder(open_cache_folder(config_.folder, false, refusal));
  if (folder.number < 0) return;
  forget_identity(folder.number, known.stamp);
  unlinkat(folder.number, image_name(content_name(known.content), known.stamp.size).c_str(), 0);
}

bool Cache::may_have(const vm::Image& image) const {
  Refusal refusal;
  const FileDescriptor folder(open_cache_folder(config_.folder, false, refusal));
  if (folder.number < 0) return false;
  if (image.stamp() && read_identity(folder.number, *image.stamp())) return true;
  return has_image_of_size(folder.number, image.bytes().size());
}

namespace {

/// Whether a start reads the file of a large image.
std::string explain_identity(int folder, const vm::Image& image) {
  const auto& stamp = image.stamp();
  if (!stamp || !keeps_change_times(*stamp)) {
    return "the image's file is read at each start: its file system is not known to keep times of change";
  }
  if (!is_settled(*stamp, image.read_at())) return "the image's file is read: it was changed a moment ago";
  const auto known = read_identity(folder, *stamp);
  if (!known) return "the image's file is read: it is not known yet, or has changed";
  const int64_t minutes = (vm::file_time() - known->confirmed) / 60'000'000'000;
  return "the image's file is known by its identity, confirmed " + std::to_string(minutes) + " minutes ago";
}

}  // namespace

std::vector<std::string> Cache::explain(const CacheKey& key, const vm::Image& image) const {
  std::vector<std::string> lines;
  if (hooks_ != nullptr)
    return {"the cache is kept by the embedder (Config::cache_hooks); this entry is called " + key.name()};
  Refusal refusal;
  const FileDescriptor folder(open_cache_folder(config_.folder, false, refusal));
  if (folder.number < 0) {
    lines.push_back(refusal.why.empty() ? config_.folder.string() + ": there is no such folder" : refusal.why);
    return lines;
  }
  for (const FoundFile& found : list_files(folder.number)) {
    if (found.content != content_name(key.content) || found.kind == FoundFile::Kind::unfinished) continue;
    uint64_t bytes = 0;
    refusal = {};
    const int descriptor = open_cache_file(folder.number, found.name, bytes, refusal);
    if (descriptor < 0) {
      lines.push_back(found.name + ": refused: " + (refusal.why.empty() ? "it is gone" : refusal.why));
      continue;
    }
    if (found.kind == FoundFile::Kind::hot || found.kind == FoundFile::Kind::image) {
      const FileDescriptor file(descriptor);
      if (found.kind == FoundFile::Kind::hot) {
        lines.push_back(found.name + ": which functions were hot");
      } else if (open_kept_image(descriptor, bytes, key.content)) {
        lines.push_back(found.name + ": a copy of the image");
      } else {
        lines.push_back(found.name + ": ignored: damaged, or the copy of another image");
      }
      continue;
    }
    auto file = jit::stored::File::open(jit::stored::source_of(descriptor, bytes), jit::stored::File::Fit::ignored);
    if (!file) {
      lines.push_back(found.name + ": ignored: " + file.error().message);
      continue;
    }
    const jit::stored::Header& header = (*file)->header();
    std::string why;
    const auto differs = [&](bool does, const char* what) {
      if (does) why += (why.empty() ? "" : ", ") + std::string(what);
    };
    differs(std::string_view(header.build.data(), header.build.size()) != vm::build_id(), "another build of vmrun");
    differs(header.processor != jit::stored::this_processor(), "another processor");
    differs(header.settings != key.settings, "other settings (-O, or -W fuel)");
    differs(header.content != key.content, "another image");
    if (why.empty()) {
      lines.push_back(found.name + ": used: code of " + std::to_string((*file)->units().size()) +
                      " functions and loops");
    } else {
      lines.push_back(found.name + ": not used: " + why);
    }
  }
  if (!lines.empty() && image.bytes().size() >= kLargeImage) {
    lines.push_back(explain_identity(folder.number, image));
  }
  if (lines.empty())
    lines.push_back("there is nothing of this image: it was not run yet, or nothing was worth storing");
  return lines;
}

void make_room(const CacheConfig& config, int folder, const std::string& name, uint64_t bytes) {
  std::vector<FoundFile> files = list_files(folder);
  std::ranges::sort(files, {}, &FoundFile::used);
  uint64_t sum = bytes;
  // What is being written is counted by who writes it.
  for (const FoundFile& file : files) {
    if (file.name != name && file.kind != FoundFile::Kind::unfinished) sum += file.bytes;
  }
  for (const FoundFile& file : files) {
    if (file.kind == FoundFile::Kind::unfinished) {
      if (file.is_old()) unlinkat(folder, file.name.c_str(), 0);
      continue;
    }
    if (sum <= config.max_bytes || file.name == name) continue;
    VMRUN_LOG_AT(cache_log(), info, "{} goes, to make room", file.name);
    if (unlinkat(folder, file.name.c_str(), 0) == 0) sum -= file.bytes;
  }
}

}  // namespace vmrun::engine
