// See cache_files.h.
#include <dirent.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include "engine/cache_files.h"
#include "vmrun/stored.h"

namespace vmrun::engine {
namespace {

constexpr std::string_view kUnfinished = ".new-", kCode = ".code", kHot = ".hot", kImage = ".image", kIdentity = ".id";
constexpr size_t kContentDigits = 32, kKeyDigits = 16, kSizeDigits = 8;
/// Small pieces are written together, and large ones from where they lie.
constexpr size_t kBuffer = 256 << 10, kLargePiece = 32 << 10;

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == text.npos; }

/// Whether something that is open is the user's own and closed to others; else why not.
bool is_private(int file, bool folder, struct stat& info, Refusal& refusal) {
  const auto refuse = [&](const char* why) {
    refusal = {why, true};
    return false;
  };
  if (fstat(file, &info) != 0) return refuse(std::strerror(errno));
  if (folder ? !S_ISDIR(info.st_mode) : !S_ISREG(info.st_mode)) return refuse("it is no plain file");
  if (info.st_uid != geteuid()) return refuse("it belongs to another user");
  if ((info.st_mode & 077) != 0) return refuse("others may use it; 'chmod go=' closes it to them");
  if (folder) return true;
  // What a guest of any run could have made, or could change by another name.
  if (!is_entry(info.st_mode)) return refuse("its mode is not 0500, as vmrun makes it");
  if (info.st_nlink > 1) return refuse("it has another name too (a hard link)");
  return true;
}

/// Above the standard streams, of which some may be closed: nobody may take it for one.
int move_up(int file) {
  if (file < 0 || file > STDERR_FILENO) return file;
  const int moved = fcntl(file, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  close(file);
  return moved;
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (number >= 0) close(number);
}

std::string code_name(std::string_view content, std::string_view key) {
  return std::string(content) + "-" + std::string(key) + std::string(kCode);
}
std::string hot_name(std::string_view content) { return std::string(content) + std::string(kHot); }
std::string identity_name(std::string_view file) { return std::string(file) + std::string(kIdentity); }
std::string image_name(std::string_view content, uint64_t image_bytes) {
  char size[2 * kSizeDigits];
  std::snprintf(size, sizeof size, "-%08llx", static_cast<unsigned long long>(image_bytes));
  return std::string(content) + size + std::string(kImage);
}

namespace {

/// Which of a cache's files has that name, if any.
std::optional<FoundFile::Kind> kind_of(std::string_view name) {
  using Kind = FoundFile::Kind;
  if (name.starts_with(kUnfinished)) return Kind::unfinished;
  if (name.size() < kContentDigits || !is_hex(name.substr(0, kContentDigits))) return std::nullopt;
  const std::string_view rest = name.substr(kContentDigits);
  const auto ends = [&](size_t digits, std::string_view ending) {
    return rest.size() == 1 + digits + ending.size() && rest[0] == '-' && is_hex(rest.substr(1, digits)) &&
           rest.ends_with(ending);
  };
  if (rest == kHot) return Kind::hot;
  if (rest == kIdentity) return Kind::identity;
  if (ends(kKeyDigits, kCode)) return Kind::code;
  if (ends(kSizeDigits, kImage)) return Kind::image;
  return std::nullopt;
}

/// Calls `found` for the names in a folder, until it returns false.
template <class Found>
void for_each_name(int folder, Found found) {
  const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = copy >= 0 ? fdopendir(copy) : nullptr;
  if (listing == nullptr) {
    if (copy >= 0) close(copy);
    return;
  }
  while (const dirent* entry = readdir(listing)) {
    if (!found(entry->d_name)) break;
  }
  closedir(listing);
}

}  // namespace

namespace {

/// The kind of file system; 0 if it cannot be told.
uint32_t kind_of_system(int file) {
  struct ::statfs system;
  return ::fstatfs(file, &system) == 0 ? static_cast<uint32_t>(system.f_type) : 0;
}

}  // namespace

bool keeps_modes(int file) {
  constexpr uint32_t kFat = 0x4d44, kExfat = 0x2011bab0, kNtfs = 0x5346544e, kNtfs3 = 0x7366746e, kCifs = 0xff534d42,
                     kSmb2 = 0xfe534d42, kHfs = 0x4244;
  constexpr uint32_t kWithout[] = {0, kFat, kExfat, kNtfs, kNtfs3, kCifs, kSmb2, kHfs};
  return std::ranges::find(kWithout, kind_of_system(file)) == std::end(kWithout);
}

bool is_fuse(int file) {
  constexpr uint32_t kFuse = 0x65735546;
  return kind_of_system(file) == kFuse;
}

int open_cache_folder(const std::filesystem::path& folder, bool make, Refusal& refusal) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int descriptor = open(folder.c_str(), kFlags);
  if (descriptor < 0 && errno == ENOENT) {
    if (!make) return -1;
    // The folders above are the system's usual ones, or named by the user.
    for (std::filesystem::path above; const auto& part : folder) {
      above /= part;
      if (mkdir(above.c_str(), 0700) != 0 && errno != EEXIST) break;
    }
    descriptor = open(folder.c_str(), kFlags);
  }
  descriptor = move_up(descriptor);
  if (descriptor < 0) {
    refusal.why = folder.string() + ": " + std::strerror(errno);
    return -1;
  }
  struct stat info;
  if (!keeps_modes(descriptor)) {
    refusal.why = "its file system keeps no modes";
  } else if (is_private(descriptor, true, info, refusal)) {
    return descriptor;
  }
  refusal.why = folder.string() + ": " + refusal.why;
  close(descriptor);
  return -1;
}

bool is_closed_folder(const std::filesystem::path& folder) {
  return faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0 && (errno == EACCES || errno == EROFS);
}

int open_cache_file(int folder, const std::string& name, uint64_t& bytes, Refusal& refusal) {
  const int file = move_up(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (file < 0) {
    if (errno != ENOENT) refusal.why = std::strerror(errno);
    return -1;
  }
  struct stat info;
  if (is_private(file, false, info, refusal)) {
    bytes = static_cast<uint64_t>(info.st_size);
    return file;
  }
  close(file);
  return -1;
}

bool read_whole(int file, uint64_t at, std::span<std::byte> to) {
  while (!to.empty()) {
    const ssize_t n = pread(file, to.data(), to.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<uint64_t>(n);
    to = to.subspan(static_cast<size_t>(n));
  }
  return true;
}

void mark_used(int file) {
  struct stat info;
  timespec now;
  if (fstat(file, &info) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0) return;
  if (now.tv_sec - info.st_mtim.tv_sec >= 60) futimens(file, nullptr);
}

std::vector<FoundFile> list_files(int folder) {
  std::vector<FoundFile> out;
  for_each_name(folder, [&](const char* name) {
    const auto kind = kind_of(name);
    struct stat info;
    if (!kind || fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) return true;
    FoundFile found{*kind, name, {}, 0, std::chrono::system_clock::from_time_t(info.st_mtim.tv_sec)};
    if (*kind != FoundFile::Kind::identity) found.content = found.name.substr(0, kContentDigits);
    // What an image leaves out takes no room.
    found.bytes = static_cast<uint64_t>(std::min<int64_t>(info.st_size, int64_t{info.st_blocks} * 512));
    out.push_back(std::move(found));
    return true;
  });
  return out;
}

bool has_image_of_size(int folder, uint64_t image_bytes) {
  const std::string ending = image_name("", image_bytes);
  bool found = false;
  for_each_name(folder, [&](std::string_view name) { return !(found = name.ends_with(ending)); });
  return found;
}

NewFile::NewFile(int folder, mode_t mode) : folder_(folder) {
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, 0) != sizeof number) number = static_cast<uint64_t>(getpid());
  char text[32];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  name_ = std::string(kUnfinished) + text;
  file_ = move_up(openat(folder, name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  // The process's mask may have taken bits away, without which an entry is none.
  if (file_ < 0 || (mode == kEntryMode && fchmod(file_, mode) != 0)) fail();
}

NewFile::~NewFile() {
  if (file_ < 0) return;
  close(file_);
  if (getpid() != process_) return;
  unlinkat(folder_, name_.c_str(), 0);
}

bool NewFile::fail() {
  if (why_.empty()) why_ = std::strerror(errno);
  return false;
}

bool NewFile::fits() {
  // Beyond it a signal would end the process.
  rlimit limit;
  if (most_ == 0) most_ = getrlimit(RLIMIT_FSIZE, &limit) != 0 ? UINT64_MAX : std::max<uint64_t>(limit.rlim_cur, 1);
  if (bytes_ <= most_) return true;
  errno = EFBIG;
  return fail();
}

bool NewFile::write_at(uint64_t at, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail();
    at += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

bool NewFile::write(std::span<const std::byte> bytes) {
  if (file_ < 0 || !why_.empty()) return false;
  bytes_ += bytes.size();
  if (!fits()) return false;
  if (bytes.size() < kLargePiece && buffer_.size() + bytes.size() <= kBuffer) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return true;
  }
  if (!flush()) return false;
  if (bytes.size() < kLargePiece) {
    buffer_.assign(bytes.begin(), bytes.end());
    return true;
  }
  at_ += bytes.size();
  return write_at(at_ - bytes.size(), bytes);
}

bool NewFile::skip(uint64_t bytes) {
  if (bytes == 0) return file_ >= 0 && why_.empty();
  if (file_ < 0 || !why_.empty() || !flush()) return false;
  bytes_ += bytes;
  at_ += bytes;
  return fits();
}

bool NewFile::put(uint64_t at, std::span<const std::byte> bytes) {
  return file_ >= 0 && why_.empty() && flush() && write_at(at, bytes);
}

bool NewFile::flush() {
  if (!write_at(at_, buffer_)) return false;
  at_ += buffer_.size();
  buffer_.clear();
  return true;
}

namespace {

/// Gives the file `from` the name `to`, in the place of what has it. Some file systems write a file to the disk when it
/// replaces another one, which the end of a run would wait for: ext4 takes 0.4 ms for a list of what was hot, and milliseconds
/// for code. They do not when two files exchange their names, and there is an entry at any moment here, too.
bool take_name(int folder, const std::string& from, const std::string& to) {
  if (renameat2(folder, from.c_str(), folder, to.c_str(), RENAME_EXCHANGE) == 0) {
    unlinkat(folder, from.c_str(), 0);  // if it stays, a later store removes it
    return true;
  }
  return renameat(folder, from.c_str(), folder, to.c_str()) == 0;
}

}  // namespace

bool NewFile::finish(const std::string& name) {
  if (file_ < 0 || !why_.empty() || !flush()) return false;
  // What was skipped last is part of it too.
  struct stat info;
  if (fstat(file_, &info) != 0) return fail();
  if (static_cast<uint64_t>(info.st_size) != bytes_ && ftruncate(file_, static_cast<off_t>(bytes_)) != 0) return fail();
  // Some systems say only here that there is no room.
  const int file = std::exchange(file_, -1);
  if (close(file) == 0 && take_name(folder_, name_, name)) return true;
  fail();
  unlinkat(folder_, name_.c_str(), 0);
  return false;
}

}  // namespace vmrun::engine

namespace vmrun {

std::filesystem::path default_cache_folder() {
  if (getauxval(AT_SECURE) != 0) return {};
  // As the XDG base directory specification has it: a relative name is as none.
  if (const char* caches = std::getenv("XDG_CACHE_HOME"); caches != nullptr && caches[0] == '/') {
    return std::filesystem::path(caches) / "vmrun";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    return std::filesystem::path(home) / ".cache" / "vmrun";
  }
  return {};
}

Result<std::vector<CacheEntry>> cache_entries(const std::filesystem::path& folder) {
  engine::Refusal refusal;
  const engine::FileDescriptor open(engine::open_cache_folder(folder, false, refusal));
  std::vector<CacheEntry> out;
  if (open.number < 0) {
    if (!refusal.why.empty()) return Error(ErrorKind::Io, refusal.why);
    return out;
  }
  for (engine::FoundFile& file : engine::list_files(open.number)) {
    if (file.kind == engine::FoundFile::Kind::unfinished) continue;
    out.push_back({std::move(file.name), file.bytes, file.used, file.kind == engine::FoundFile::Kind::hot,
                   std::move(file.content)});
  }
  std::ranges::sort(out, std::ranges::greater(), &CacheEntry::used);
  return out;
}

Result<uint64_t> clear_cache(const std::filesystem::path& folder) {
  engine::Refusal refusal;
  const engine::FileDescriptor open(engine::open_cache_folder(folder, false, refusal));
  if (open.number < 0) {
    if (!refusal.why.empty()) return Error(ErrorKind::Io, refusal.why);
    return uint64_t{0};
  }
  uint64_t bytes = 0;
  for (const engine::FoundFile& file : engine::list_files(open.number)) {
    if (unlinkat(open.number, file.name.c_str(), 0) != 0 && errno != ENOENT) {
      return Error(ErrorKind::Io, folder.string() + "/" + file.name + ": " + std::strerror(errno));
    }
    bytes += file.bytes;
  }
  return bytes;
}

}  // namespace vmrun
