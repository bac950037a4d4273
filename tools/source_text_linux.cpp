// Reading source files beneath a folder; see source_text.h.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "tools/source_text.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

constexpr off_t kMostFileBytes = off_t{16} << 20;
constexpr size_t kMostFiles = 500;
constexpr size_t kMostParts = 64;       // of a name
constexpr size_t kMostLineBytes = 300;  // that are shown

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

int open_beneath(int root, const char* path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, root, path, &how, sizeof how));
}

/// A regular file beneath `root`, under the longest end of `name` that there is.
std::optional<std::string> read_source(int root, const std::string& name) {
  std::vector<std::string> parts;
  for (const auto& part : std::filesystem::path(name).lexically_normal().relative_path()) {
    if (part == "..") return std::nullopt;
    if (!part.empty() && part != ".") parts.push_back(part.string());
  }
  if (parts.size() > kMostParts) return std::nullopt;
  for (size_t first = 0; first < parts.size(); ++first) {
    std::filesystem::path path;
    for (size_t i = first; i < parts.size(); ++i) path /= parts[i];
    const Descriptor file(open_beneath(root, path.c_str()));
    struct stat facts{};
    if (file.get() < 0 || fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) continue;
    if (facts.st_size > kMostFileBytes) return std::nullopt;
    std::string text(static_cast<size_t>(facts.st_size), '\0');
    size_t size = 0;
    for (ssize_t n = 1; size < text.size() && n > 0;) {
      n = read(file.get(), text.data() + size, text.size() - size);
      if (n > 0) size += static_cast<size_t>(n);
    }
    text.resize(size);
    return text;
  }
  return std::nullopt;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return lines;
}

}  // namespace

Result<void> add_source_text(nlohmann::json& dump, const std::string& root, size_t* found) {
  const Descriptor folder(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) {
    return Error(ErrorKind::Io, "--source-root: cannot open the folder '" + root + "': " + std::strerror(errno));
  }
  if (const Descriptor self(open_beneath(folder.get(), ".")); self.get() < 0 && errno == ENOSYS) {
    return Error(ErrorKind::Unsupported, "--source-root needs openat2, which this system does not have");
  }
  struct File {
    std::string text;
    std::vector<std::string_view> lines;
  };
  std::map<std::string, File> files;
  for (nlohmann::json& module : dump["modules"]) {
    if (!module.contains("lines")) continue;
    for (nlohmann::json& line : module["lines"]) {
      const std::string name = line["file"];
      const auto [at, fresh] = files.try_emplace(name);
      if (fresh && files.size() <= kMostFiles) {
        at->second.text = read_source(folder.get(), name).value_or("");
        at->second.lines = lines_of(at->second.text);
      }
      const auto number = line["line"].get<uint64_t>();
      if (number > at->second.lines.size()) continue;
      std::string_view text = at->second.lines[number - 1];
      text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
      std::string shown = printable(text.substr(0, kMostLineBytes));
      line["text"] = std::move(shown);
      ++*found;
    }
  }
  return {};
}

}  // namespace vmrun::tools
