// Modules as compiled images, and what of them goes into the cache.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/cache_files.h"
#include "engine/cache_keeper.h"
#include "engine/engine_impl.h"
#include "engine/exceptions.h"
#include "engine/load.h"
#include "engine/sealed.h"
#include "jit/stored/processor.h"
#include "jit/stored/target.h"
#include "jit/stored/writer.h"
#include "vm/base/build.h"
#include "vmrun/module.h"

namespace vmrun {
namespace {

using File = jit::stored::File;

/// Errors: Usage (stopped; a function that is none).
Result<tiering::Kept> gather(const vm::Module& module, const SerializeOptions& options,
                             const jit::stored::Target& target) {
  using Code = SerializeOptions::Code;
  tiering::Ahead ahead;
  if (options.code != Code::Present) ahead.all = options.code == Code::Opt ? vm::Tier::opt : vm::Tier::baseline;
  ahead.optimised = options.optimised;
  std::ranges::sort(ahead.optimised);
  for (const uint32_t func : ahead.optimised) {
    if (func >= module.imported_funcs && func < module.funcs.size()) continue;
    return Error(ErrorKind::Usage, "the module has no function " + std::to_string(func) + " of its own");
  }
  ahead.processor = target.name;
  std::optional<tiering::Kept> kept = tiering::Manager::store(module, ahead, options.progress);
  if (!kept) return Error(ErrorKind::Usage, "compiling was stopped");
  return std::move(*kept);
}

/// Errors: Usage, Limit. False: the sink refused.
Result<bool> write(const vm::Module& module, const SerializeOptions& options, const jit::stored::Sink& sink) {
  auto target = jit::stored::target_of(options.processor);
  if (!target) return std::move(target).error();
  Result<tiering::Kept> kept = gather(module, options, *target);
  if (!kept) return std::move(kept).error();
  jit::stored::About about;
  about.module = &module;
  about.image = module.image->custom(0, static_cast<uint32_t>(module.image->bytes().size()));
  about.content = vm::content_hash(std::as_bytes(about.image));
  about.settings = kept->settings;
  const bool optimised = std::ranges::any_of(kept->units, [](const auto& unit) { return unit.tier == vm::Tier::opt; });
  about.processor = optimised ? target->bits : jit::stored::baseline_processor();
  if (!options.key) return jit::stored::write(about, std::move(kept->units), sink);
  engine::Sealing sealing(*options.key, engine::kCompiledImage, sink);
  return jit::stored::write(about, std::move(kept->units),
                            [&](std::span<const std::byte> bytes) { return sealing.write(bytes); }) &&
         sealing.finish();
}

Error no_program() {
  return Error(ErrorKind::Usage,
               "the compiled image is no file that a program may be: one that may be executed and not written");
}

/// The mode of a compiled image's file: that of a program that nobody may write. A guest's files are made with mode 0666, no
/// call of the system interface changes a mode, and none opens a file for writing that has no write bit (wasi/guard.h). So
/// what a guest has written never has such a mode, wherever it lies and by whatever name or link it is reached.
constexpr mode_t kProgramMode = 0555;
bool is_program(int file, mode_t mode) {
  return (mode & 0111) != 0 && (mode & 0222) == 0 && engine::keeps_modes(file) && !engine::is_fuse(file);
}

/// A file that is open for reading; `trust` is what it is to be trusted for. Errors: Io, Usage (it is no program).
Result<std::unique_ptr<jit::stored::Source>> open_source(const std::filesystem::path& path,
                                                         StoredTrust trust = StoredTrust::Code) {
  const auto failed = [&] {
    return Error(ErrorKind::Io, "cannot read " + path.string() + ": " + std::strerror(errno));
  };
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file >= 0 && file <= STDERR_FILENO) {  // of a standard stream that is closed
    const int low = std::exchange(file, fcntl(file, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    close(low);
  }
  if (file < 0) return failed();
  engine::FileDescriptor closing(file);
  struct stat info;
  if (fstat(file, &info) != 0) return failed();
  if (!S_ISREG(info.st_mode)) return Error(ErrorKind::Io, path.string() + " is no regular file");
  if (trust == StoredTrust::Program && !is_program(file, info.st_mode)) return no_program();
  closing.number = -1;
  return jit::stored::source_of(file, static_cast<uint64_t>(info.st_size));
}

Result<std::shared_ptr<vm::Module>> load(const Engine& engine, std::unique_ptr<jit::stored::Source> source,
                                         std::string_view name, StoredTrust trust) {
  const bool runs = trust == StoredTrust::Code || trust == StoredTrust::Program;
  const bool code = runs || trust == StoredTrust::Listing;
  source = engine::without_mac(std::move(source)).source;
  auto file = File::open(std::move(source), code ? File::Fit::required : File::Fit::ignored);
  if (!file) return std::move(file).error();
  if ((*file)->header().image.size > engine.config().max_image_bytes) {
    return Error(ErrorKind::Limit, "image of " + std::to_string((*file)->header().image.size) +
                                       " bytes is larger than the limit of " +
                                       std::to_string(engine.config().max_image_bytes));
  }
  auto image = (*file)->image(name);
  if (!code) return engine::load_module(engine, std::move(image), name);
  return engine::load_module(engine, std::move(image), name, {std::move(*file), runs});
}

/// A module from bytes that are trusted for their MAC alone.
Result<std::shared_ptr<vm::Module>> load_verified(const Engine& engine, std::unique_ptr<jit::stored::Source> source,
                                                  std::string_view name, const MacKey& key) {
  auto bytes = engine::verified(std::move(source), engine::kCompiledImage, key);
  if (!bytes) return std::move(bytes).error();
  return load(engine, jit::stored::source_of(std::move(*bytes)), name, StoredTrust::Code);
}

}  // namespace

Result<std::vector<uint8_t>> Module::serialize(const SerializeOptions& options) const try {
  std::vector<uint8_t> out;
  const Result<bool> written = write(*impl_, options, [&](std::span<const std::byte> bytes) {
    const auto* first = reinterpret_cast<const uint8_t*>(bytes.data());
    out.insert(out.end(), first, first + bytes.size());
    return true;
  });
  if (!written) return written.error();
  if (!*written) return Error(ErrorKind::Limit, "the compiled image is larger than there can be");
  return out;
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<void> Module::serialize_file(const std::filesystem::path& path, const SerializeOptions& options) const try {
  const std::filesystem::path above = path.has_parent_path() ? path.parent_path() : ".";
  const engine::FileDescriptor folder(open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.number < 0) {
    return Error(ErrorKind::Io, "cannot write into " + above.string() + ": " + std::strerror(errno));
  }
  const std::string name = path.filename().string();
  // The new file takes the name: a device or a pipe that has it, as /dev/null, would be gone.
  struct stat info;
  if (fstatat(folder.number, name.c_str(), &info, 0) == 0 && !S_ISREG(info.st_mode)) {
    return Error(ErrorKind::Io, "cannot write " + path.string() + ": it is no regular file; name one, or a new one");
  }
  engine::NewFile file(folder.number, kProgramMode);
  const Result<bool> written =
      write(*impl_, options, [&](std::span<const std::byte> bytes) { return file.write(bytes); });
  if (!written) return written.error();
  if (!*written || !file.finish(name)) {
    const std::string why = file.why().empty() ? "the compiled image is larger than there can be" : file.why();
    return Error(ErrorKind::Io, "cannot write " + path.string() + ": " + why);
  }
  return {};
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<Module> Module::deserialize(const Engine& engine, std::span<const uint8_t> bytes, std::string_view name,
                                   StoredTrust trust) try {
  if (trust == StoredTrust::Program) return no_program();
  const auto all = std::as_bytes(bytes);
  auto module = load(engine, jit::stored::source_of(std::vector<std::byte>(all.begin(), all.end())), name, trust);
  if (!module) return std::move(module).error();
  return Module(engine, std::move(*module));
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<Module> Module::deserialize_file(const Engine& engine, const std::filesystem::path& path,
                                        StoredTrust trust) try {
  auto source = open_source(path, trust);
  if (!source) return std::move(source).error();
  auto module = load(engine, std::move(*source), path.filename().string(), trust);
  if (!module) return std::move(module).error();
  return Module(engine, std::move(*module));
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<Module> Module::deserialize(const Engine& engine, std::span<const uint8_t> bytes, std::string_view name,
                                   const MacKey& key) try {
  const auto all = std::as_bytes(bytes);
  auto module =
      load_verified(engine, jit::stored::source_of(std::vector<std::byte>(all.begin(), all.end())), name, key);
  if (!module) return std::move(module).error();
  return Module(engine, std::move(*module));
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<Module> Module::deserialize_file(const Engine& engine, const std::filesystem::path& path,
                                        const MacKey& key) try {
  auto source = open_source(path);
  if (!source) return std::move(source).error();
  auto module = load_verified(engine, std::move(*source), path.filename().string(), key);
  if (!module) return std::move(module).error();
  return Module(engine, std::move(*module));
}
VMRUN_CATCH_OUR_EXCEPTIONS

bool Module::store() const try {
  const auto keeper = tiering::Manager::stored(*impl_).keeper;
  return keeper != nullptr && static_cast<engine::CacheKeeper&>(*keeper).finish();
} catch (const std::bad_alloc&) {
  return false;
}

Result<std::vector<std::string>> explain_cache(const Engine& engine, const std::filesystem::path& path) try {
  const engine::Cache* cache = engine.impl()->cache.get();
  if (cache == nullptr) return Error(ErrorKind::Usage, "the engine has no cache");
  auto image = vm::Image::open(path);
  if (!image) return std::move(image).error();
  return cache->explain(engine::cache_key(engine, **image), **image);
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<std::vector<std::string>> known_processors() try { return jit::stored::target_names(); }
VMRUN_CATCH_OUR_EXCEPTIONS

bool is_compiled_image(std::span<const uint8_t> head) { return jit::stored::is_stored(std::as_bytes(head)); }

Result<StoredInfo> describe_compiled_image(const std::filesystem::path& path) try {
  auto source = open_source(path);
  if (!source) return std::move(source).error();
  engine::Unsealed unsealed = engine::without_mac(std::move(*source));
  auto file = File::open(std::move(unsealed.source), File::Fit::ignored);
  if (!file) return std::move(file).error();
  const jit::stored::Header& header = (*file)->header();
  StoredInfo info;
  info.has_mac = unsealed.has_mac;
  info.build.assign(header.build.begin(), std::ranges::find(header.build, '\0'));
  info.content = header.content.hex();
  info.this_build = info.build == vm::build_id();
  info.needs = jit::stored::names_of(header.processor);
  info.lacks = jit::stored::lacking(header.processor);
  info.this_processor = info.lacks.empty();
  info.validated = header.validated == 1;
  info.file_bytes = header.file_bytes;
  info.image_bytes = header.image.size;
  for (const jit::stored::UnitRecord& record : (*file)->units()) {
    StoredUnit& unit = info.units.emplace_back();
    unit.func_index = record.func_index;
    if (record.unit != jit::kWholeFunction) unit.loop = jit::loop_of(record.unit);
    unit.tier = static_cast<Tier>(record.tier);
    unit.bytes = record.code_size;
  }
  return info;
}
VMRUN_CATCH_OUR_EXCEPTIONS

}  // namespace vmrun
