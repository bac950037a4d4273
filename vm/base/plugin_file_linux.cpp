// Files of plug-ins: see plugin_file.h. The note is what cmake/BuildId.cmake writes.
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "vm/base/build.h"
#include "vm/base/plugin_file.h"

namespace vmrun::vm {
namespace {

constexpr std::string_view kNoteName{"vmrun\0", 6};
constexpr uint32_t kNoteType = 1;
// A plug-in has some ten headers and a few hundred bytes of notes.
constexpr unsigned kMostHeaders = 256;
constexpr uint64_t kMostNotes = 64 << 10;

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : fd_(open(path.c_str(), flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return fd_; }

 private:
  const int fd_;
};

/// The owner of the library or the executable that this code is in; this user when that cannot be told.
uid_t own_owner() {
  const char* path = "/proc/self/exe";
  Dl_info info;
  link_map* map = nullptr;
  if (dladdr1(reinterpret_cast<void*>(&plugin_refused), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0 &&
      map != nullptr && map->l_name != nullptr && map->l_name[0] != 0) {
    path = map->l_name;
  }
  struct stat file;
  return stat(path, &file) == 0 ? file.st_uid : geteuid();
}

/// Why `path`, which is `file`, is in the wrong hands, if it is.
std::optional<std::string> in_wrong_hands(const std::string& path, const struct stat& file) {
  if (file.st_uid != 0 && file.st_uid != geteuid() && file.st_uid != own_owner()) {
    return path + " belongs to user " + std::to_string(file.st_uid) +
           ", who is neither root nor this user nor the owner of this program: chown it";
  }
  const bool group = (file.st_mode & S_IWGRP) != 0 && file.st_gid != 0 && file.st_gid != file.st_uid;
  if (group || (file.st_mode & S_IWOTH) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(file.st_mode & 07777));
    return "others than its owner may write " + path + " (mode " + mode + "): chmod go-w it";
  }
  return std::nullopt;
}

bool read_at(int fd, void* to, size_t bytes, uint64_t offset) {
  if (offset > static_cast<uint64_t>(INT64_MAX) - bytes) return false;
  ssize_t got;
  do {
    got = pread(fd, to, bytes, static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  return got >= 0 && static_cast<size_t>(got) == bytes;
}

/// What the note of that name says in `notes`, whose entries are aligned so; "" without one.
std::string_view find_note(std::string_view notes, uint64_t align) {
  auto padded = [align](uint64_t bytes) { return (bytes + align - 1) / align * align; };
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes.data(), sizeof note);
    const uint64_t name_at = sizeof note, text_at = name_at + padded(note.n_namesz);
    const uint64_t end = text_at + padded(note.n_descsz);
    if (text_at + note.n_descsz > notes.size()) return {};
    if (note.n_type == kNoteType && notes.substr(name_at, note.n_namesz) == kNoteName)
      return notes.substr(text_at, note.n_descsz);
    notes.remove_prefix(std::min<uint64_t>(end, notes.size()));
  }
  return {};
}

/// Whether the shared library `fd` has a note of this build.
bool of_this_build(int fd) {
  ElfW(Ehdr) head;
  if (!read_at(fd, &head, sizeof head, 0) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0) return false;
  if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB || head.e_type != ET_DYN)
    return false;
  if (head.e_phentsize != sizeof(ElfW(Phdr)) || head.e_phnum > kMostHeaders) return false;
  std::vector<ElfW(Phdr)> segments(head.e_phnum);
  if (!read_at(fd, segments.data(), segments.size() * sizeof segments[0], head.e_phoff)) return false;
  std::vector<char> notes;
  for (const ElfW(Phdr) & segment : segments) {
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMostNotes) continue;
    notes.resize(segment.p_filesz);
    if (!read_at(fd, notes.data(), notes.size(), segment.p_offset)) return false;
    const std::string_view said = find_note({notes.data(), notes.size()}, segment.p_align == 8 ? 8 : 4);
    if (!said.empty()) return said == build_id();
  }
  return false;
}

}  // namespace

std::optional<std::string> plugin_refused(const std::string& path) {
  std::string folder = path.substr(0, path.rfind('/') + 1);
  if (folder.empty()) folder = ".";
  const Descriptor in(folder, O_DIRECTORY | O_PATH), file(path, 0);
  struct stat about_folder, about;
  if (in < 0 || file < 0 || fstat(in, &about_folder) != 0 || fstat(file, &about) != 0) {
    return path + " cannot be opened: " + std::strerror(errno);
  }
  if (!S_ISREG(about.st_mode)) return path + " is no regular file";
  if (auto why = in_wrong_hands(folder, about_folder)) return why;
  if (auto why = in_wrong_hands(path, about)) return why;
  if (!of_this_build(file)) return path + " belongs to another build: install the one that came with this program";
  return std::nullopt;
}

}  // namespace vmrun::vm
