// Opening images.
#include "vm/wasm/image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "vm/base/assert.h"
#include "vm/base/checksum.h"
#include "vm/base/log.h"
#include "vm/wasm/kept_damage.h"
#include "vm/wasm/limits.h"
#include "vm/wasm/reader.h"

namespace vmrun::vm {

namespace {

/// Images have a dozen sections, with debug information two dozen: one of millions is not worth a system call for each.
constexpr uint64_t kMaxSections = 1000;

/// So much of a file is read at a time.
constexpr uint64_t kReadAtOnce = 1 << 20;

#if defined(VMRUN_ASSERTIONS)
/// Pieces of a mapped image that nobody has needed cannot be read: whoever forgets to say so is found out.
constexpr bool kHidePieces = true;
#else
constexpr bool kHidePieces = false;
#endif

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
  return Error(ErrorKind::Limit, (name.empty() ? "" : std::string(name) + ": ") + "the image is larger than 1 GiB");
}

Error cut_short(const std::filesystem::path& path) {
  return io_error(path, errno != 0 ? std::strerror(errno) : "it became shorter while it was read");
}

/// Reads [begin, end) of the file to its place behind `image`. False, with errno 0 at the file's end, if that fails.
bool read_range(int fd, uint8_t* image, uint64_t begin, uint64_t end) {
  while (begin < end) {
    // Asking for the pages first takes half the time of faulting for each while the file is copied: 6 ms for 11 with 13 MB
    // (2026-11-21). If that fails, they are faulted for.
    const uint64_t stop = std::min(end, begin + kReadAtOnce), page = begin & ~uint64_t{4095};
    ::madvise(image + page, stop - page, MADV_POPULATE_WRITE);
    const ssize_t n = ::pread(fd, image + begin, stop - begin, static_cast<off_t>(begin));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 || (errno = 0), false;
    begin += static_cast<uint64_t>(n);
  }
  return true;
}

std::atomic<uint64_t> damaged{0};

}  // namespace

uint64_t damaged_pieces() { return damaged.load(std::memory_order_relaxed); }

std::shared_ptr<const Image> Image::map(Kept kept) {
  std::shared_ptr<Image> image(new Image);
  const size_t size = kept.memory.size(), count = (size + kPiece - 1) / kPiece;
  VMRUN_ASSERT(kept.checksums.size() == count, "a checksum for each piece");
  image->mapped_ = std::move(kept.memory);
  uint8_t* const memory = reinterpret_cast<uint8_t*>(image->mapped_.data());
  image->bytes_ = {memory, size};
  image->name_ = std::move(kept.name);
  image->fd_ = kept.original;
  image->holes_ = image->left_out_ = std::move(kept.left_out);
  image->pieces_ = std::make_unique<Piece[]>(count);
  for (size_t i = 0; i < count; ++i) image->pieces_[i].checksum = kept.checksums[i];
  if constexpr (kHidePieces) ::mprotect(memory, size, PROT_NONE);
  return image;
}

void Image::check(uint32_t begin, uint32_t end, Wanted wanted) const {
  if (begin >= end) return;
  for (size_t i = begin / kPiece; i <= (end - 1) / kPiece; ++i) {
    PieceState state = kChecked;
    if (wanted == Wanted::own) {
      const size_t from = i * kPiece, first = begin > from ? (begin - from) / kPage : 0,
                   last = (std::min<size_t>(end - from, kPiece) - 1) / kPage;
      state = (2u << last) - (1u << first);
    }
    if ((pieces_[i].state.load(std::memory_order_acquire) & state) == state) continue;
    std::lock_guard lock(holes_mutex_);
    check_piece(i, state);
  }
}

void Image::check_piece(size_t number, PieceState wanted) const {
  std::atomic<PieceState>& state = pieces_[number].state;
  const PieceState now = state.load(std::memory_order_relaxed);
  if ((now & wanted) == wanted) return;
  const size_t from = number * kPiece;
  const std::span piece(mapped_.data() + from, std::min<size_t>(kPiece, mapped_.size() - from));
  if constexpr (kHidePieces) ::mprotect(piece.data(), piece.size(), PROT_READ | PROT_WRITE);
  const auto done = [&](PieceState then) {
    const PieceState whole = (1u << (piece.size() + kPage - 1) / kPage) - 1;
    if ((then & whole) == whole) then = kAllOwn | kChecked;
    if constexpr (kHidePieces) hide_others(number, then);
    state.store(then, std::memory_order_release);
  };
  // What is wanted become pages of this process, in one call, and all of the piece is checked, these pages among it. What
  // was own before is so still.
  bool ready = true;
  if (const PieceState pages = wanted & kAllOwn; pages != 0) {
    const size_t first = static_cast<size_t>(std::countr_zero(pages)) * kPage;
    const size_t end = std::min<size_t>(static_cast<size_t>(std::bit_width(pages)) * kPage, piece.size());
    ready = ::madvise(piece.data() + first, end - first, MADV_POPULATE_WRITE) == 0;
  }
  if (ready && checksum(piece) == pieces_[number].checksum) return done(now | wanted);
  // Where the kernel does not know that call, or the bytes are damaged, all of the piece is replaced: nobody reads yet what is
  // not own.
  std::vector<std::byte> own(piece.begin(), piece.end());
  if (checksum(own) != pieces_[number].checksum && !read_piece(number, own)) mapped_file_is_gone();
  for (size_t at = 0; at < own.size(); at += kPage) {
    if ((now >> at / kPage & 1) != 0) continue;
    std::memcpy(piece.data() + at, own.data() + at, std::min<size_t>(kPage, own.size() - at));
  }
  done(kAllOwn | kChecked);
}

void Image::hide_others(size_t number, PieceState state) const {
  if ((state & kChecked) != 0) return;
  const size_t from = number * kPiece, size = std::min<size_t>(kPiece, mapped_.size() - from);
  for (size_t at = 0; at < size; at += kPage) {
    if ((state >> at / kPage & 1) == 0) ::mprotect(mapped_.data() + from + at, kPage, PROT_NONE);
  }
}

void Image::give_back(const ByteRange& range) const {
  std::lock_guard lock(holes_mutex_);
  const size_t last = range.end / kPiece;
  for (size_t i = (range.begin + kPiece - 1) / kPiece; i < last;) {
    // Own pages may have been mended.
    const auto is_files = [&](size_t piece) {
      return piece < last && pieces_[piece].state.load(std::memory_order_relaxed) == kChecked;
    };
    const size_t first = i;
    while (is_files(i)) ++i;
    if (i == first)
      ++i;
    else
      ::madvise(mapped_.data() + first * kPiece, (i - first) * kPiece, MADV_DONTNEED);
  }
}

bool Image::read_piece(size_t number, std::span<std::byte> to) const {
  static const Log log("cache");
  if (damaged.fetch_add(1, std::memory_order_relaxed) == 0) {
    VMRUN_LOG_AT(log, warn, "the kept copy of image {} is damaged; it is read anew", name_);
  }
  const size_t from = number * kPiece, end = from + to.size();
  if (!read_original(from, to)) return false;
  for (const ByteRange& hole : left_out_) {
    const size_t hole_begin = std::max<size_t>(hole.begin, from), hole_end = std::min<size_t>(hole.end, end);
    if (hole_begin < hole_end) std::ranges::fill(to.subspan(hole_begin - from, hole_end - hole_begin), std::byte{0});
  }
  return checksum(to) == pieces_[number].checksum;
}

bool Image::read_original(uint64_t at, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t n = ::pread(fd_, to.data(), to.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<size_t>(n);
    to = to.subspan(static_cast<size_t>(n));
  }
  return true;
}

Image::~Image() {
  if (memory_) ::munmap(memory_, bytes_.size());
  if (fd_ >= 0) ::close(fd_);
}

std::optional<Error> Image::read_file(const std::filesystem::path& path, int fd, uint64_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return io_error(path, std::strerror(errno));
  memory_ = static_cast<uint8_t*>(memory);
  bytes_ = {memory_, size};

  // Only a guess at where sections are: a file that makes no sense is read whole, and the decoder says what is wrong.
  uint64_t wanted = 0;  // up to here is read or left out
  for (uint64_t at = 8, sections = 0; at < size && sections < kMaxSections; ++sections) {
    uint8_t head[32];
    const ssize_t n = ::pread(fd, head, std::min<uint64_t>(sizeof head, size - at), static_cast<off_t>(at));
    const uint8_t *p = head + 1, *head_end = head + std::max<ssize_t>(n, 0);
    uint32_t section = 0, name = 0;
    if (n < 2 || read_leb<uint32_t, 32>(p, head_end, section) != LebStatus::ok) break;
    const uint64_t end = at + static_cast<uint64_t>(p - head) + section;
    if (end > size) break;
    if (head[0] == 0 && section >= kLargeCustom && read_leb<uint32_t, 32>(p, head_end, name) == LebStatus::ok) {
      const bool names = name == 4 && head_end - p >= 4 && std::memcmp(p, "name", 4) == 0;
      const uint64_t contents = at + static_cast<uint64_t>(p - head) + name;
      if (!names && contents < end) {
        if (!read_range(fd, memory_, wanted, contents)) return cut_short(path);
        holes_.push_back({static_cast<uint32_t>(contents), static_cast<uint32_t>(end)});
        wanted = end;
      }
    }
    at = end;
  }
  if (!read_range(fd, memory_, wanted, size)) return cut_short(path);
  return std::nullopt;
}

std::span<const uint8_t> Image::custom(uint32_t begin, uint32_t end) const {
  std::lock_guard lock(holes_mutex_);
  if (pieces_ != nullptr && begin < end) {
    for (size_t i = begin / kPiece; i <= (end - 1) / kPiece; ++i) check_piece(i, kAllOwn);
  }
  auto* const memory = const_cast<uint8_t*>(bytes_.data());  // its own, and written under the lock only
  for (ByteRange& hole : holes_) {
    const uint32_t from = std::max(begin, hole.begin), to = std::min(end, hole.end);
    if (from >= to) continue;
    read_range(fd_, memory, from, to);
    hole.begin = hole.end;
  }
  return bytes_.subspan(begin, end - begin);
}

Result<std::shared_ptr<const Image>> Image::copy(std::span<const uint8_t> bytes, std::string_view name) {
  if (bytes.size() > kMaxImageBytes) return too_large(name);
  std::shared_ptr<Image> image(new Image);
  image->name_ = name;
  image->owned_.assign(bytes.begin(), bytes.end());
  image->bytes_ = image->owned_;
  return std::shared_ptr<const Image>(std::move(image));
}

Result<std::shared_ptr<const Image>> Image::fill(uint64_t size, std::string_view name,
                                                 const std::function<bool(std::span<uint8_t>)>& fill) {
  if (size > kMaxImageBytes) return too_large(name);
  std::shared_ptr<Image> image(new Image);
  image->name_ = name;
  if (size == 0) return std::shared_ptr<const Image>(std::move(image));
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Error(ErrorKind::Limit, "no memory for the image");
  image->memory_ = static_cast<uint8_t*>(memory);
  image->bytes_ = {image->memory_, size};
  ::madvise(memory, size, MADV_POPULATE_WRITE);
  if (!fill({image->memory_, size})) return Error(ErrorKind::Io, std::string(name) + " cannot be read");
  return std::shared_ptr<const Image>(std::move(image));
}

Result<std::shared_ptr<const Image>> Image::open(const std::filesystem::path& path) {
  File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd >= 0 && file.fd <= STDERR_FILENO) {  // of a standard stream that is closed: nobody may take it for that
    const int low = std::exchange(file.fd, ::fcntl(file.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    ::close(low);
  }
  struct stat st;
  if (file.fd < 0 || ::fstat(file.fd, &st) != 0) return io_error(path, std::strerror(errno));
  if (S_ISDIR(st.st_mode)) return io_error(path, "it is a directory");

  std::shared_ptr<Image> image(new Image);
  image->name_ = path.filename().string();
  if (S_ISREG(st.st_mode) && st.st_size > 0) {
    uint64_t size = static_cast<uint64_t>(st.st_size);
    if (size > kMaxImageBytes) return too_large(path.string());
    image->read_at_ = file_time();
    const std::optional<FileStamp> before = stamp_of(file.fd);
    if (auto error = image->read_file(path, file.fd, size)) return std::move(*error);
    if (before && before->size == size && before == stamp_of(file.fd)) image->stamp_ = before;
    image->left_out_ = image->holes_;
    if (!image->holes_.empty()) image->fd_ = std::exchange(file.fd, -1);
    return std::shared_ptr<const Image>(std::move(image));
  }

  std::vector<uint8_t> buffer(1 << 16);  // not on the stack, which may be a small thread's
  for (;;) {
    ssize_t n = ::read(file.fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(path, std::strerror(errno));
    if (n == 0) break;
    image->owned_.insert(image->owned_.end(), buffer.begin(), buffer.begin() + n);
    if (image->owned_.size() > kMaxImageBytes) return too_large(path.string());
  }
  image->bytes_ = image->owned_;
  return std::shared_ptr<const Image>(std::move(image));
}

}  // namespace vmrun::vm
