// Large images in the cache: known again by their file's identity, executed from the cache's copy, and never wrong.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <thread>

#include "engine/cache_files.h"
#include "engine/engine_impl.h"
#include "engine/file_identity.h"
#include "engine/image_content.h"
#include "engine/kept_image.h"
#include "tests/support/module_bytes.h"
#include "tests/unit/engine/stored.h"
#include "vm/base/tally.h"
#include "vm/runtime/fault.h"

using namespace vmrun;
using namespace vmrun::test;
namespace fs = std::filesystem;

namespace {

/// Forty functions of 30 KB that are exported as "00" to "39" and return `base` and their number, a large custom section
/// in front of the code and one behind it.
std::string large_image(uint8_t base) {
  std::vector<test::Bytes> bodies;
  for (uint8_t i = 0; i < 40; ++i) {
    test::Bytes body = {0};
    body.resize(30'000, 0x01);  // nop
    test::append(body, {0x41, static_cast<uint8_t>(base + i), 0x0b});
    bodies.push_back(body);
  }
  const auto custom = [](std::string_view name, uint8_t fill) {
    test::Bytes section, contents;
    test::append_u32(contents, static_cast<uint32_t>(name.size()));
    contents.insert(contents.end(), name.begin(), name.end());
    contents.resize(contents.size() + 200'000, fill);
    test::append_section(section, 0, contents);
    return section;
  };
  test::Bytes image = test::module_of({0x60, 0, 1, 0x7f}, bodies), exports = {40}, before = custom("front", 0xf0);
  for (uint8_t i = 0; i < 40; ++i) {
    test::append(exports, {2, static_cast<uint8_t>('0' + i / 10), static_cast<uint8_t>('0' + i % 10), 0, i});
  }
  test::append_section(before, 7, exports);
  const size_t code = 8 + 2 + 5 + 2 + 41;  // behind the header, types and functions
  image.insert(image.begin() + static_cast<ptrdiff_t>(code), before.begin(), before.end());
  test::append(image, custom("back", 0xba));
  return {image.begin(), image.end()};
}

constexpr uint32_t kDataBytes = 1'500'000;
uint8_t data_at(uint32_t at) { return static_cast<uint8_t>(at * 7 + at / 4096); }

/// A memory "m" with one large segment and a small one, and a large custom section behind them.
std::string data_image() {
  test::Bytes image = test::kHeader, data = {2, 0, 0x41, 0, 0x0b};
  test::append_section(image, 5, {1, 0, 32});
  test::append_section(image, 7, {1, 1, 'm', 2, 0});
  test::append_u32(data, kDataBytes);
  for (uint32_t at = 0; at < kDataBytes; ++at) data.push_back(data_at(at));
  test::append(data, {0, 0x41});
  test::append(data, {0xf0, 0xff, 0xff, 0});  // 0x1ffff0
  test::append(data, {0x0b, 1, 99});
  test::append_section(image, 11, data);
  test::Bytes custom = {4, 'b', 'a', 'c', 'k'};
  custom.resize(200'000, 0xba);
  test::append_section(image, 0, custom);
  return {image.begin(), image.end()};
}

/// Whether a new instance's memory has its data.
bool has_data(const Module& module) {
  Store store(module.engine());
  const Instance instance = ok(Linker(module.engine()).instantiate(store, module));
  const Memory memory = ok(instance.memory("m"));
  const std::span<std::byte> bytes = memory.data();
  if (static_cast<uint8_t>(bytes[0x1ffff0]) != 99) return false;
  for (uint32_t at = 0; at < kDataBytes; ++at) {
    if (static_cast<uint8_t>(bytes[at]) != data_at(at)) return false;
  }
  return true;
}

/// Files that nobody has changed for long enough to be known by their identity.
const fs::path& settled(const std::string& name) {
  static const Folder folder;
  static const bool made = [] {
    for (const char* each : {"a", "b", "changed", "forged", "damaged", "young"}) {
      write_file(folder.path() / (each + std::string(".wasm")), large_image(each[0] == 'b' ? 20 : 0));
    }
    write_file(folder.path() / "data.wasm", data_image());
    std::this_thread::sleep_for(engine::kSettled + std::chrono::milliseconds(200));
    return true;
  }();
  REQUIRE(made);
  static std::vector<std::unique_ptr<fs::path>> paths;
  paths.push_back(std::make_unique<fs::path>(folder.path() / (name + ".wasm")));
  return *paths.back();
}

Config cached(const fs::path& folder) {
  Config config = with_tiers(Tiers::InterpBaseline);
  config.cache = CacheConfig{folder};
  return config;
}

struct Ran {
  bool mapped;      // its bytes came from the cache's copy
  int first, last;  // what its functions returned
};
Ran run(const Module& module) {
  Store store(module.engine());
  const Instance instance = ok(Linker(module.engine()).instantiate(store, module));
  const auto call = [&](const char* name) { return ok(ok(ok(instance.func(name)).typed<int32_t()>()).call()); };
  return {module.impl()->image->is_mapped(), call("00"), call("39")};
}
Ran run(const Config& config, const fs::path& image) {
  const Module module = ok(Module::compile_file(Engine(config), image));
  const Ran ran = run(module);
  module.store();
  return ran;
}

/// Has the image run until there is a copy of it: the first run may end too early.
Ran keep(const Config& config, const fs::path& image) {
  run(config, image);
  return run(config, image);
}

/// The one file of the folder whose name ends so; empty: there is none.
fs::path find(const fs::path& folder, std::string_view ending) {
  fs::path found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.path().string().ends_with(ending)) continue;
    CHECK(found.empty());
    found = entry.path();
  }
  return found;
}

vm::FileStamp stamp(const fs::path& path) {
  const engine::FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return vm::stamp_of(file.number).value();
}

/// Waits for something that happens in the background.
bool comes(auto condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return condition();
}

/// Makes the record of a file say that, of an image `content`, and confirmed so long ago.
void record(const fs::path& folder, const fs::path& file, const vm::Digest& content, std::chrono::seconds ago) {
  const engine::FileDescriptor in(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(engine::write_identity(in.number, stamp(file),
                                 {content, vm::file_time() - std::chrono::nanoseconds(ago).count()}));
}
std::optional<engine::KnownFile> recorded(const fs::path& folder, const fs::path& file) {
  const engine::FileDescriptor in(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return engine::read_identity(in.number, stamp(file));
}
vm::Digest content_of(const fs::path& file) { return engine::image_content(*ok(vm::Image::open(file)), 1); }

bool is_trusted_file_system() {
  if (engine::keeps_change_times(stamp(settled("a")))) return true;
  MESSAGE("skipped: this file system is none of those whose times of change are believed");
  return false;
}

}  // namespace

TEST_CASE("known image: the second start takes all from the cache's copy, whatever the file is called") {
  if (!is_trusted_file_system()) return;
  const Folder base;
  const fs::path folder = base.path() / "c", link = settled("a").parent_path() / "other name.wasm";
  Ran ran = keep(cached(folder), settled("a"));
  REQUIRE(!find(folder, ".id").empty());
  REQUIRE(!find(folder, ".image").empty());
  CHECK(fs::status(find(folder, ".id")).permissions() == kPermsOfEntry);
  CHECK(fs::status(find(folder, ".image")).permissions() == kPermsOfEntry);
  for (const fs::path& path : {settled("a"), link}) {
    if (path == link) fs::create_symlink(settled("a"), link);
    const Module module = ok(Module::compile_file(Engine(cached(folder)), path));
    CHECK(module.name() == path.filename().string());
    ran = run(module);
    CHECK(ran.mapped);
    CHECK(ran.first == 0);
    CHECK(ran.last == 39);
    CHECK(tiering::Manager::stored(*module.impl()).file != nullptr);
    // What the image leaves out comes from its own file.
    for (const auto& [name, fill] : {std::pair("front", 0xf0), std::pair("back", 0xba)}) {
      const auto section = module.custom_section(name);
      REQUIRE(section);
      CHECK(section->bytes.size() == 200'000);
      CHECK(std::ranges::all_of(section->bytes, [&](uint8_t byte) { return byte == fill; }));
    }
    // And so do all bytes, for who wants them all.
    const std::vector<uint8_t> all = ok(module.serialize({.code = SerializeOptions::Code::Present}));
    const auto again = ok(Module::deserialize(Engine(), all, "again"));
    CHECK(run(again).last == 39);
  }
  // Of the copy, only what is used is read.
  CHECK(find(folder, ".new").empty());
}

TEST_CASE("known image: a file that changes is read again, with the same size and the same time of modification") {
  if (!is_trusted_file_system()) return;
  const Folder base;
  const fs::path folder = base.path() / "c", file = settled("changed");
  CHECK(keep(cached(folder), file).first == 0);
  CHECK(run(cached(folder), file).mapped);
  struct stat before;
  REQUIRE(stat(file.c_str(), &before) == 0);
  write_file(file, large_image(20));
  const timespec times[2] = {before.st_atim, before.st_mtim};
  REQUIRE(utimensat(AT_FDCWD, file.c_str(), times, 0) == 0);
  Ran ran = run(cached(folder), file);
  CHECK(!ran.mapped);
  CHECK(ran.first == 20);
  // It has been changed just now, and may be changed again without a trace: it is not known by its identity.
  ran = run(cached(folder), file);
  CHECK(!ran.mapped);
  CHECK(ran.first == 20);
  CHECK(!recorded(folder, file));
}

TEST_CASE("known image: when a file may be known by its identity") {
  const int64_t now = 1'000'000'000'000;
  vm::FileStamp one;
  one.changed = now - std::chrono::nanoseconds(engine::kSettled).count();
  CHECK(engine::is_settled(one, now));
  CHECK(!engine::is_settled(one, now - 1));
  one.changed = now + 1;  // the clock was set back
  CHECK(!engine::is_settled(one, now));
  one.file_system = 0x65735546;  // FUSE
  CHECK(!engine::keeps_change_times(one));
  one.file_system = 0x6969;  // NFS
  CHECK(!engine::keeps_change_times(one));
  one.file_system = 0xef53;  // ext4
  CHECK(engine::keeps_change_times(one));
}

TEST_CASE("known image: a file that was changed without a trace runs as it was, whole, and is found out") {
  if (!is_trusted_file_system()) return;
  const Folder base;
  const fs::path folder = base.path() / "c", file = settled("forged");
  CHECK(keep(cached(folder), settled("b")).first == 20);
  const vm::Digest before = content_of(settled("b"));
  // As if it had had the bytes of b when it was looked at.
  record(folder, file, before, engine::kConfirmAfter + std::chrono::seconds(10));
  {
    const Module module = ok(Module::compile_file(Engine(cached(folder)), file));
    const Ran ran = run(module);
    CHECK(ran.mapped);
    CHECK(ran.first == 20);
    CHECK(ran.last == 59);
    CHECK(comes([&] { return !recorded(folder, file); }));
  }
  const Ran ran = run(cached(folder), file);
  CHECK(!ran.mapped);
  CHECK(ran.first == 0);
  CHECK(ran.last == 39);
  // A true record is renewed.
  record(folder, file, content_of(file), engine::kConfirmAfter + std::chrono::seconds(10));
  const int64_t old = recorded(folder, file)->confirmed;
  {
    const Module module = ok(Module::compile_file(Engine(cached(folder)), file));
    CHECK(run(module).mapped);
    CHECK(comes([&] { return recorded(folder, file)->confirmed != old; }));
  }
  // What was confirmed too long ago, or will be, is not believed.
  for (const auto ago : {engine::kBelieved + std::chrono::seconds(10), std::chrono::seconds(-10)}) {
    record(folder, file, before, ago);
    CHECK(run(cached(folder), file).first == 0);
    CHECK(recorded(folder, file)->content == content_of(file));
    CHECK(run(cached(folder), file).mapped);
  }
}

TEST_CASE("known image: damaged, foreign and open files are ignored, and made anew") {
  if (!is_trusted_file_system()) return;
  const Folder base;
  const fs::path folder = base.path() / "c", file = settled("damaged");
  CHECK(keep(cached(folder), file).first == 0);
  const fs::path image = find(folder, ".image"), id = find(folder, ".id");
  const std::string good = read_file(image), good_id = read_file(id);
  const auto spoilt = [&](const fs::path& path, const std::string& bytes) {
    replace_entry(path, bytes);
    Ran ran = run(cached(folder), file);
    CHECK(!ran.mapped);
    CHECK(ran.first == 0);
    ran = run(cached(folder), file);
    CHECK(ran.mapped);
    CHECK(ran.last == 39);
  };
  spoilt(image, "");
  spoilt(image, good.substr(0, 50));
  spoilt(image, good.substr(0, good.size() - 1));
  spoilt(image, good + "x");
  spoilt(image, std::string(good.size(), 'x'));
  for (const size_t at : {9, 14, 20, 50, 60, 4096, 4096 + 17, 4096 + 350}) {
    std::string bytes = good;
    bytes[at] ^= 4;
    spoilt(image, bytes);
  }
  spoilt(id, "");
  spoilt(id, good_id.substr(1));
  for (size_t at = 0; at < good_id.size(); at += 9) {
    std::string bytes = good_id;
    bytes[at] ^= 4;
    spoilt(id, bytes);
  }
  // Others than the user could have written it; or a guest could have made it, or could change it by another name.
  for (const fs::path& path : {image, id}) {
    for (const mode_t mode : {0660, 0600, 0700, 0400, 0550}) {
      chmod(path.c_str(), mode);
      CHECK(!run(cached(folder), file).mapped);
      CHECK(run(cached(folder), file).mapped);
      CHECK(fs::status(path).permissions() == kPermsOfEntry);
    }
    const fs::path other = base.path() / "other";
    fs::create_hard_link(path, other);
    CHECK(!run(cached(folder), file).mapped);
    fs::remove(other);
    CHECK(run(cached(folder), file).mapped);
    // A copy of it with good bytes that something else than the cache has written.
    const std::string bytes = read_file(path);
    fs::rename(path, other);
    write_file(path, bytes);
    chmod(path.c_str(), 0600);
    CHECK(!run(cached(folder), file).mapped);
    fs::remove(other);
    CHECK(run(cached(folder), file).mapped);
  }
  // A byte of what is mapped (of the first function, of the last, of what is left out): found when it is used, and had from the image itself.
  for (const size_t at : {size_t{8192 + 210'000}, good.size() - 210'000, good.size() - 100'000}) {
    std::string bytes = good;
    bytes[at] ^= 4;
    replace_entry(image, bytes);
    const Module module = ok(Module::compile_file(Engine(cached(folder)), file));
    const Ran ran = run(module);
    CHECK(ran.mapped);
    CHECK(ran.first == 0);
    CHECK(ran.last == 39);
    CHECK(module.custom_section("back")->bytes[100'000] == 0xba);
    module.store();
    CHECK(!fs::exists(image));  // the next run makes another one
    CHECK(!run(cached(folder), file).mapped);
  }
}

TEST_CASE(
    "known image: data are there for each instance, though their pages are given back, and damaged ones are mended") {
  if (!is_trusted_file_system()) return;
  const Folder base;
  const fs::path folder = base.path() / "c", file = settled("data");
  const auto load = [&] { return ok(Module::compile_file(Engine(cached(folder)), file)); };
  for (int run = 0; run < 2; ++run) {
    const Module module = load();
    CHECK(has_data(module));
    module.store();
  }
  const fs::path image = find(folder, ".image");
  const std::string good = read_file(image);
  {
    const Module module = load();
    CHECK(module.impl()->image->is_mapped());
    for (int i = 0; i < 4; ++i) CHECK(has_data(module));
    CHECK(module.custom_section("back")->bytes[150'000] == 0xba);
    CHECK(has_data(load()));
  }
  // The first piece has the memory's section too, the last one the custom section's begin.
  for (const size_t at : {size_t{8192 + 100}, size_t{8192 + 700'000}, size_t{8192} + kDataBytes - 5'000}) {
    std::string bytes = good;
    bytes[at] ^= 4;
    replace_entry(image, bytes);
    const Module module = load();
    CHECK(module.impl()->image->is_mapped());
    for (int i = 0; i < 3; ++i) CHECK(has_data(module));
    module.store();
    CHECK(!fs::exists(image));
    while (!fs::exists(image)) load().store();
  }
}

TEST_CASE("known image: starts are counted as hits and misses of the cache, known or not") {
  if (!is_trusted_file_system()) return;
  const Folder base;
  const fs::path folder = base.path() / "c";
  const auto counts = [] {
    return std::array{vm::tally.cache_hits.load(), vm::tally.cache_misses.load(), vm::tally.cache_stores.load()};
  };
  auto before = counts();
  run(cached(folder), settled("a"));  // its hash is found out while it runs
  auto after = counts();
  CHECK(after[0] == before[0]);
  CHECK(after[1] == before[1] + 1);
  CHECK(after[2] == before[2] + 1);
  keep(cached(folder), settled("a"));
  before = counts();
  CHECK(run(cached(folder), settled("a")).mapped);
  after = counts();
  CHECK(after[0] == before[0] + 1);
  CHECK(after[1] == before[1]);
}

TEST_CASE("known image: a cache that the embedder keeps has code of large images, and no copies of them") {
  std::map<std::string, std::vector<uint8_t>> entries;
  Config config = with_tiers(Tiers::InterpBaseline);
  config.cache_hooks.emplace();
  config.cache_hooks->get = [&](std::string_view name) -> std::optional<std::vector<uint8_t>> {
    const auto at = entries.find(std::string(name));
    return at == entries.end() ? std::nullopt : std::optional(at->second);
  };
  config.cache_hooks->put = [&](std::string_view name, std::span<const uint8_t> bytes) {
    entries[std::string(name)].assign(bytes.begin(), bytes.end());
    return true;
  };
  for (int i = 0; i < 3; ++i) {
    const Module module = ok(Module::compile_file(Engine(config), settled("a")));
    const Ran ran = run(module);
    CHECK(!ran.mapped);
    CHECK(ran.last == 39);
    CHECK((tiering::Manager::stored(*module.impl()).file != nullptr) == (i > 0));
    CHECK(module.store() == (i == 0));  // at once, on this thread
    CHECK(!module.store());
  }
  CHECK(std::ranges::none_of(
      entries, [](const auto& entry) { return entry.first.ends_with(".image") || entry.first.ends_with(".id"); }));
}

TEST_CASE("known image: files that go while a run uses them are no matter") {
  if (!is_trusted_file_system()) return;
  const Folder base;
  const fs::path folder = base.path() / "c";
  CHECK(keep(cached(folder), settled("a")).first == 0);
  const Module module = ok(Module::compile_file(Engine(cached(folder)), settled("a")));
  CHECK(ok(clear_cache(folder)) > 1'000'000);
  CHECK(fs::is_empty(folder));
  const Ran ran = run(module);
  CHECK(ran.mapped);
  CHECK(ran.last == 39);
}

TEST_CASE("known image: a cache that is only read is left as it is") {
  if (!is_trusted_file_system()) return;
  const Folder base;
  const fs::path folder = base.path() / "c";
  Config config = cached(folder);
  config.cache->write = false;
  CHECK(!run(config, settled("a")).mapped);
  CHECK(!fs::exists(folder));
  CHECK(keep(cached(folder), settled("a")).first == 0);
  record(folder, settled("a"), content_of(settled("a")), engine::kConfirmAfter + std::chrono::seconds(10));
  const std::string before = read_file(find(folder, ".id"));
  CHECK(run(config, settled("a")).mapped);
  CHECK(read_file(find(folder, ".id")) == before);
}

TEST_CASE("known image: a copy of the file finds code by the content") {
  if (!is_trusted_file_system()) return;
  const Folder base;
  const fs::path folder = base.path() / "c", copy = base.path() / "copy.wasm";
  CHECK(keep(cached(folder), settled("a")).first == 0);
  fs::copy_file(settled("a"), copy);
  const Module module = ok(Module::compile_file(Engine(cached(folder)), copy));
  CHECK(!module.impl()->image->is_mapped());
  CHECK(tiering::Manager::stored(*module.impl()).file != nullptr);
}

TEST_CASE("known image: what is worth it is stored while the program runs, for whoever is killed") {
  const Folder base;
  const fs::path folder = base.path() / "c";
  Config config = with_tiers(Tiers::Opt);
  config.cache = CacheConfig{folder};
  const Module module = ok(Module::compile_file(Engine(config), kStoredImage));
  check_stored(module);
  // Nobody calls store().
  CHECK(comes([&] { return fs::exists(folder) && !find(folder, ".code").empty() && !find(folder, ".hot").empty(); }));
  const Module second = ok(Module::compile_file(Engine(config), kStoredImage));
  check_stored(second);
  CHECK(how_code_came(second).compiled == 0);
  // There is nothing new at the end.
  CHECK(!second.store());
  CHECK(!module.store());
}

TEST_CASE("known image: the first run of a large image keeps code, and the second one a copy at the latest") {
  if (!is_trusted_file_system()) return;
  const Folder base;
  const fs::path folder = base.path() / "c";
  CHECK(!run(cached(folder), settled("a")).mapped);
  CHECK(!find(folder, ".code").empty());
  const Module module = ok(Module::compile_file(Engine(cached(folder)), settled("a")));
  // Without the end of a run, by the background alone.
  CHECK(comes([&] { return !find(folder, ".image").empty() && recorded(folder, settled("a")); }));
  CHECK(run(cached(folder), settled("a")).mapped);
}

TEST_CASE("known image: the hash piece by piece is that of the whole") {
  std::vector<uint8_t> bytes(3'000'000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 2654435761 >> 13);
  const auto image = ok(vm::Image::copy(bytes));
  const auto all = std::as_bytes(image->bytes());
  CHECK(engine::image_content(*image, 1) == vm::content_hash(all));
  const auto by_pieces = [&](std::vector<vm::ByteRange> holes) {
    engine::ImageHasher hasher(all.size(), holes);
    while (const auto range = hasher.next()) hasher.add(all.subspan(range->begin, range->size()));
    return hasher.finish();
  };
  CHECK(by_pieces({}) == vm::content_hash(all));
  const vm::Digest one = by_pieces({{100'000, 900'000}});
  CHECK(one != by_pieces({}));
  CHECK(one != by_pieces({{100'000, 900'001}}));
  CHECK(one == by_pieces({{100'000, 800'000}, {800'000, 900'000}}));
  CHECK(by_pieces({{0, 10}, {10, static_cast<uint32_t>(all.size())}}) != one);
  bytes[99'999] ^= 1;
  const auto other = ok(vm::Image::copy(bytes));
  CHECK(engine::image_content(*other, 2) == vm::content_hash(std::as_bytes(other->bytes())));
  // As it is of an image that leaves something out.
  const auto file = ok(vm::Image::open(settled("a")));
  REQUIRE(file->left_out().size() == 2);
  engine::ImageHasher hasher(file->bytes().size(), file->left_out());
  while (const auto range = hasher.next()) {
    hasher.add(std::as_bytes(file->bytes().subspan(range->begin, range->size())));
  }
  CHECK(hasher.finish() == engine::image_content(*file, 2));
}

TEST_CASE("known image: a file that is cut short while it is mapped ends the process with a message") {
  const Folder base;
  const fs::path path = base.path() / "mapped";
  write_file(path, std::string(3 << 20, 'x'));
  int lines[2];
  REQUIRE(pipe2(lines, O_CLOEXEC) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(lines[1], STDERR_FILENO);
    vm::fault_install();
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const vm::MappedFile mapped(file, 0, 3 << 20, false);
    if (truncate(path.c_str(), 100) != 0) _exit(1);
    volatile std::byte sum = mapped.bytes()[2 << 20];
    static_cast<void>(sum);
    _exit(2);
  }
  close(lines[1]);
  char text[512] = "";
  const ssize_t read_bytes = read(lines[0], text, sizeof text - 1);
  close(lines[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 70);
  REQUIRE(read_bytes > 0);
  CHECK(std::string_view(text).find("a file of the cache of code was cut short") != std::string_view::npos);
}
