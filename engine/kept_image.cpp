// See kept_image.h.
#include "engine/kept_image.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "vm/base/checksum.h"
#include "vm/wasm/limits.h"

namespace vmrun::engine {
namespace {

constexpr std::array<char, 8> kKeptMagic = {'v', 'm', 'r', 'u', 'n', '\0', 'i', 'm'};
constexpr uint32_t kKeptFormat = 1;
constexpr uint64_t kKeptPage = 4096;
constexpr uint32_t kKeptPiece = vm::Image::kPiece;

struct KeptHeader {
  std::array<char, 8> magic = kKeptMagic;
  uint32_t format = kKeptFormat;
  uint32_t image_size = 0;
  vm::Digest content;
  uint32_t left_out = 0, bodies = 0;  // numbers of ranges; the checksums' follows from the image's size
  uint64_t tables_checksum = 0;
  uint64_t file_bytes = 0;
  uint64_t checksum = 0;  // of what stands above
};
static_assert(sizeof(KeptHeader) == 80 && sizeof(vm::ByteRange) == 8);

uint64_t header_checksum(const KeptHeader& header) {
  return vm::checksum(std::as_bytes(std::span(&header, 1)).first(offsetof(KeptHeader, checksum)));
}

uint64_t to_kept_page(uint64_t at) { return (at + kKeptPage - 1) & ~(kKeptPage - 1); }
uint32_t pieces_of(uint32_t image_size) { return (image_size + kKeptPiece - 1) / kKeptPiece; }
uint64_t tables_size(const KeptHeader& header) {
  return (uint64_t{header.left_out} + header.bodies) * sizeof(vm::ByteRange) +
         uint64_t{pieces_of(header.image_size)} * sizeof(uint64_t);
}
uint64_t image_place(const KeptHeader& header) { return to_kept_page(kKeptPage + tables_size(header)); }

/// Ranges that follow each other within `size` bytes.
bool in_order(std::span<const vm::ByteRange> ranges, uint32_t size) {
  uint32_t at = 0;
  for (const vm::ByteRange& range : ranges) {
    if (range.begin < at || range.end < range.begin || range.end > size) return false;
    at = range.end;
  }
  return true;
}

}  // namespace

std::optional<KeptImage> open_kept_image(int descriptor, uint64_t bytes, const vm::Digest& content) {
  KeptHeader header;
  if (bytes < sizeof header || !read_whole(descriptor, 0, std::as_writable_bytes(std::span(&header, 1)))) {
    return std::nullopt;
  }
  if (header.magic != kKeptMagic || header.format != kKeptFormat || header.checksum != header_checksum(header) ||
      header.content != content || header.file_bytes != bytes || header.image_size == 0 ||
      header.image_size > vm::kMaxImageBytes || header.bodies > vm::kMaxFunctions ||
      uint64_t{header.left_out} > header.image_size / vm::Image::kLargeCustom ||
      image_place(header) + header.image_size != bytes) {
    return std::nullopt;
  }
  std::vector<std::byte> tables(tables_size(header));
  if (!read_whole(descriptor, kKeptPage, tables) || vm::checksum(tables) != header.tables_checksum) return std::nullopt;
  KeptImage kept;
  std::span<const std::byte> rest(tables);
  const auto take = [&]<class T>(std::vector<T>& out, uint32_t count) {
    out.resize(count);
    if (count != 0) std::memcpy(out.data(), rest.data(), count * sizeof(T));
    rest = rest.subspan(count * sizeof(T));
  };
  take(kept.bytes.left_out, header.left_out);
  take(kept.bodies, header.bodies);
  take(kept.bytes.checksums, pieces_of(header.image_size));
  if (!in_order(kept.bytes.left_out, header.image_size) || !in_order(kept.bodies, header.image_size)) {
    return std::nullopt;
  }
  kept.bytes.memory = vm::MappedFile(descriptor, image_place(header), header.image_size, true);
  if (!kept.bytes.memory) return std::nullopt;
  return kept;
}

ImageKeeper::ImageKeeper(NewFile& file, const vm::Module& module, const vm::Digest& content)
    : file_(file),
      module_(module),
      content_(content),
      size_(static_cast<uint32_t>(module.image->bytes().size())),
      buffer_(kKeptPiece) {
  KeptHeader header;
  header.image_size = size_;
  header.left_out = static_cast<uint32_t>(module.image->left_out().size());
  header.bodies = static_cast<uint32_t>(module.funcs.size() - module.imported_funcs);
  image_at_ = image_place(header);
  checksums_.reserve(pieces_of(size_));
  failed_ = !file_.skip(image_at_);
}

bool ImageKeeper::step() {
  if (failed_ || written_) return false;
  // Pieces without a hole in one call: the system takes larger pages for them.
  constexpr uint32_t kAtOnce = 16 * kKeptPiece;
  const auto image = std::as_bytes(module_.image->bytes());
  uint32_t written = at_;
  for (const uint64_t stop = std::min<uint64_t>(size_, uint64_t{at_} + kAtOnce); at_ < stop && !failed_;) {
    const uint32_t from = at_;
    at_ = std::min(size_ - at_, kKeptPiece) + at_;
    if (!has_hole(from, at_)) {
      checksums_.push_back(vm::checksum(image.subspan(from, at_ - from)));
      continue;
    }
    failed_ = !file_.write(image.subspan(written, from - written)) || !write_piece(from, at_);
    written = at_;
  }
  failed_ = failed_ || !file_.write(image.subspan(written, at_ - written));
  if (at_ == size_ && !failed_) {
    written_ = write_tables();
    failed_ = !written_;
  }
  return !failed_ && !written_;
}

bool ImageKeeper::has_hole(uint32_t from, uint32_t to) const {
  const auto holes = module_.image->left_out();
  const auto hole_after = std::ranges::upper_bound(holes, from, {}, &vm::ByteRange::end);
  return hole_after != holes.end() && hole_after->begin < to;
}

bool ImageKeeper::write_piece(uint32_t from, uint32_t to) {
  const auto image = std::as_bytes(module_.image->bytes());
  const auto holes = module_.image->left_out();
  const auto hole_after = std::ranges::upper_bound(holes, from, {}, &vm::ByteRange::end);
  const bool is_left_out = hole_after != holes.end() && hole_after->begin <= from && hole_after->end >= to;
  if (is_left_out && to - from == kKeptPiece && zeros_) {
    checksums_.push_back(*zeros_);
    return file_.skip(kKeptPiece);
  }
  // What is left out may be asked for at any time, and is not touched here.
  std::ranges::fill(buffer_, std::byte{0});
  const auto keep = [&](uint32_t begin, uint32_t end) {
    std::memcpy(buffer_.data() + (begin - from), image.data() + begin, end - begin);
    return file_.write(image.subspan(begin, end - begin));
  };
  uint32_t at = from;
  for (const vm::ByteRange& hole : std::span(hole_after, holes.end())) {
    if (hole.begin >= to) break;
    if (hole.begin > at && !keep(at, hole.begin)) return false;
    at = std::max(at, hole.begin);
    const uint32_t end = std::min(hole.end, to);
    if (!file_.skip(end - at)) return false;
    at = end;
  }
  if (at < to && !keep(at, to)) return false;
  checksums_.push_back(vm::checksum(std::span(buffer_).first(to - from)));
  if (is_left_out && to - from == kKeptPiece) zeros_ = checksums_.back();
  return true;
}

bool ImageKeeper::write_tables() {
  std::vector<std::byte> tables;
  const auto put = [&](auto items) {
    const auto bytes = std::as_bytes(items);
    tables.insert(tables.end(), bytes.begin(), bytes.end());
  };
  std::vector<vm::ByteRange> bodies;
  bodies.reserve(module_.funcs.size() - module_.imported_funcs);
  for (size_t i = module_.imported_funcs; i < module_.funcs.size(); ++i) bodies.push_back(module_.funcs[i].body);
  put(module_.image->left_out());
  put(std::span<const vm::ByteRange>(bodies));
  put(std::span<const uint64_t>(checksums_));
  KeptHeader header;
  header.image_size = size_;
  header.content = content_;
  header.left_out = static_cast<uint32_t>(module_.image->left_out().size());
  header.bodies = static_cast<uint32_t>(bodies.size());
  header.tables_checksum = vm::checksum(tables);
  header.file_bytes = image_at_ + size_;
  header.checksum = header_checksum(header);
  return file_.put(kKeptPage, tables) && file_.put(0, std::as_bytes(std::span(&header, 1)));
}

}  // namespace vmrun::engine
