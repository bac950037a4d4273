// The files of a cache: names, and how they are opened, written and listed. See cache.h.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vmrun::engine {

struct FileDescriptor {
  explicit FileDescriptor(int number) : number(number) {}
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int number;
};

/// The mode of an entry's file, from its first moment on. Nobody may write it; and guests, whose files are made with mode
/// 0666 and whose system interface changes no mode, cannot make one like it, wherever that is.
inline constexpr mode_t kEntryMode = 0500;
inline bool is_entry(mode_t mode) { return S_ISREG(mode) && (mode & 07777) == kEntryMode; }

/// Whether a file's mode is its own: on some file systems all files have what the mount says, so that those that guests make
/// pass for others.
bool keeps_modes(int file);
/// Whether a program of its own (FUSE) says what modes its files have, so that it depends on that program.
bool is_fuse(int file);

/// Names of files, by their parts in hexadecimal digits.
std::string code_name(std::string_view content, std::string_view key);
std::string hot_name(std::string_view content);
std::string image_name(std::string_view content, uint64_t image_bytes);
std::string identity_name(std::string_view file);

struct FoundFile {
  enum class Kind : uint8_t { code, hot, image, identity, unfinished } kind;
  std::string name, content;
  uint64_t bytes;
  std::chrono::system_clock::time_point used;
  /// Nobody can be writing it any more.
  bool is_old() const { return std::chrono::system_clock::now() - used > std::chrono::hours(1); }
};
/// Those of the folder that are a cache's, by their names.
std::vector<FoundFile> list_files(int folder);
/// Whether one of them is a copy of an image of so many bytes. Opens none.
bool has_image_of_size(int folder, uint64_t image_bytes);

/// Why something was not opened.
struct Refusal {
  std::string why;      // empty: it is not there
  bool unsafe = false;  // others than the user could have written it
};
/// Opens the folder, if it is private to the user; -1, with the reason, else. `make`: and makes it if it is not there.
int open_cache_folder(const std::filesystem::path& folder, bool make, Refusal& refusal);
/// Whether a folder is there, and nothing can be made in it: by its mode, or because its file system is read-only.
bool is_closed_folder(const std::filesystem::path& folder);
/// A file of that folder for reading, if it is private to the user; -1, with the reason, else.
int open_cache_file(int folder, const std::string& name, uint64_t& bytes, Refusal& refusal);
bool read_whole(int file, uint64_t at, std::span<std::byte> to);
/// Notes that an open file was of use, unless that was done less than a minute ago.
void mark_used(int file);

/// A file that comes into being under another name, and is removed if it is not finished.
class NewFile {
 public:
  /// `mode` is what the process's mask takes from, as of any new file, but for an entry's.
  explicit NewFile(int folder, mode_t mode = kEntryMode);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  /// False: it could not be written, and why() says what was the matter.
  bool write(std::span<const std::byte> bytes);
  /// Leaves out so many zeros.
  bool skip(uint64_t bytes);
  /// Writes over bytes that are there.
  bool put(uint64_t at, std::span<const std::byte> bytes);
  /// Gives it its name, in the place of a file that has it.
  bool finish(const std::string& name);
  uint64_t bytes() const { return bytes_; }
  const std::string& why() const { return why_; }

 private:
  bool fail();
  bool fits();
  bool flush();
  bool write_at(uint64_t at, std::span<const std::byte> bytes);

  const int folder_;
  const pid_t process_ = getpid();  // a child that it has forked leaves the file alone
  int file_ = -1;
  std::string name_, why_;
  uint64_t bytes_ = 0;  // written, left out, and in the buffer
  uint64_t at_ = 0;     // where what is in the buffer belongs
  uint64_t most_ = 0;   // that a file may have; 0: not asked yet
  std::vector<std::byte> buffer_;
};

}  // namespace vmrun::engine
