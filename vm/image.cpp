// Opening images.
#include "vm/image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vmrun::vm {

namespace {

struct File {
  int fd;
  ~File() {
    if (fd >= 0) ::close(fd);
  }
};

Error io_error(const std::filesystem::path& path, const char* why) {
  return Error(ErrorKind::Io, "cannot read " + path.string() + ": " + why);
}

Error too_large(std::string_view name) {
  return Error(ErrorKind::Limit, std::string(name) + ": the image is larger than 1 GiB");
}

}  // namespace

Image::~Image() {
  if (mapping_) ::munmap(mapping_, bytes_.size());
}

Result<std::shared_ptr<const Image>> Image::copy(std::span<const uint8_t> bytes, std::string_view name) {
  if (bytes.size() > kMaxBytes) return too_large(name);
  std::shared_ptr<Image> image(new Image);
  image->name_ = name;
  image->owned_.assign(bytes.begin(), bytes.end());
  image->bytes_ = image->owned_;
  return std::shared_ptr<const Image>(std::move(image));
}

Result<std::shared_ptr<const Image>> Image::open(const std::filesystem::path& path) {
  File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat st;
  if (file.fd < 0 || ::fstat(file.fd, &st) != 0) return io_error(path, std::strerror(errno));
  if (S_ISDIR(st.st_mode)) return io_error(path, "it is a directory");

  std::shared_ptr<Image> image(new Image);
  image->name_ = path.filename().string();
  if (S_ISREG(st.st_mode) && st.st_size > 0) {
    uint64_t size = static_cast<uint64_t>(st.st_size);
    if (size > kMaxBytes) return too_large(path.string());
    void* mapping = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (mapping == MAP_FAILED) return io_error(path, std::strerror(errno));
    image->mapping_ = mapping;
    image->bytes_ = {static_cast<const uint8_t*>(mapping), size};
    return std::shared_ptr<const Image>(std::move(image));
  }

  uint8_t buffer[1 << 16];
  for (;;) {
    ssize_t n = ::read(file.fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(path, std::strerror(errno));
    if (n == 0) break;
    image->owned_.insert(image->owned_.end(), buffer, buffer + n);
    if (image->owned_.size() > kMaxBytes) return too_large(path.string());
  }
  image->bytes_ = image->owned_;
  return std::shared_ptr<const Image>(std::move(image));
}

}  // namespace vmrun::vm
