// See reader.h.
#include "jit/stored/reader.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "jit/stored/piece.h"
#include "jit/stored/processor.h"
#include "vm/base/build.h"

namespace vmrun::jit::stored {
namespace {

constexpr const char* kAgain = "; compile the image again: vmrun compile IMAGE -o FILE.cwasm";

Error malformed(const std::string& what) { return Error(ErrorKind::Malformed, what + kAgain); }
Error damaged() { return malformed("the compiled image is damaged"); }

std::span<std::byte> bytes_of(Header& header) { return std::as_writable_bytes(std::span(&header, 1)); }

/// Of all of the header before the hash.
vm::Digest hash_of(const Header& header) {
  return vm::sha256(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, header_hash)));
}

bool lies_in(const Range& range, uint64_t file) {
  return range.at % kPage == 0 && range.at >= kPage && range.at <= file && range.size <= file - range.at;
}

auto order(const UnitRecord& record) { return std::tuple(record.func_index, record.tier, record.unit); }

/// Whether the index says what can be.
bool makes_sense(const Header& header, std::span<const UnitRecord> units) {
  for (size_t i = 0; i < units.size(); ++i) {
    const UnitRecord& record = units[i];
    if (i != 0 && order(units[i - 1]) >= order(record)) return false;
    if (record.func_index >= header.func_count) return false;
    if (record.tier != static_cast<uint32_t>(vm::Tier::baseline) && record.tier != static_cast<uint32_t>(vm::Tier::opt))
      return false;
    if (record.size > kMaxPiece || record.size < sizeof(PieceHead) || record.code_size > record.size) return false;
    if (record.at > header.code.size || record.size > header.code.size - record.at) return false;
  }
  return true;
}

}  // namespace

bool is_stored(std::span<const std::byte> head) {
  return head.size() >= kMagic.size() && std::memcmp(head.data(), kMagic.data(), kMagic.size()) == 0;
}

Result<std::shared_ptr<const File>> File::open(std::unique_ptr<Source> source, Fit fit) {
  std::shared_ptr<File> file(new File);
  Header& header = file->header_;
  const uint64_t size = source->size();
  if (size > kMaxBytes) return malformed("the compiled image is larger than there can be");
  const uint64_t there = std::min<uint64_t>(size, sizeof header);
  if (!source->read(0, bytes_of(header).first(there))) return Error(ErrorKind::Io, "the compiled image cannot be read");
  if (there < kMagic.size() || header.magic != kMagic) return malformed("these are not the bytes of a compiled image");
  if (there < sizeof header) return malformed("the compiled image is cut short");
  if (header.format != kFormat) {
    return Error(ErrorKind::Unsupported, "the compiled image is in format " + std::to_string(header.format) +
                                             ", and this build of vmrun reads format " + std::to_string(kFormat) +
                                             kAgain);
  }
  if (header.header_hash != hash_of(header)) return damaged();
  if (fit == Fit::required) {
    if (std::string_view(header.build.data(), header.build.size()) != vm::build_id()) {
      return Error(ErrorKind::Unsupported,
                   std::string("the compiled image was made by another build of vmrun") + kAgain);
    }
    if (!runs_on(header.processor, this_processor())) {
      std::string names;
      for (const std::string& name : lacking(header.processor)) names += (names.empty() ? ": " : ", ") + name;
      return Error(
          ErrorKind::Unsupported,
          "the compiled image is for a processor with instructions that this one has not" + names +
              "; compile the image again for an older one: vmrun compile --target-cpu x86-64-v3 IMAGE -o FILE.cwasm");
    }
  }
  if (size < header.file_bytes) return malformed("the compiled image is cut short");
  if (size != header.file_bytes || header.unit_count > kMaxUnits ||
      header.index.size != uint64_t{header.unit_count} * sizeof(UnitRecord) || !lies_in(header.index, size) ||
      !lies_in(header.code, size) || !lies_in(header.image, size) || header.image.size > vm::kMaxImageBytes) {
    return damaged();
  }
  file->units_.resize(header.unit_count);
  const auto index = std::as_writable_bytes(std::span(file->units_));
  if (!source->read(header.index.at, index)) return Error(ErrorKind::Io, "the compiled image cannot be read");
  if (vm::sha256(index) != header.index_hash || !makes_sense(header, file->units_)) return damaged();
  file->source_ = std::move(source);
  return std::shared_ptr<const File>(std::move(file));
}

const UnitRecord* File::find(uint32_t func_index, uint32_t unit, vm::Tier tier) const {
  const std::tuple wanted(func_index, static_cast<uint32_t>(tier), unit);
  const auto at = std::ranges::lower_bound(units_, wanted, {}, &order);
  return at != units_.end() && order(*at) == wanted ? &*at : nullptr;
}

std::span<const UnitRecord> File::units_of(uint32_t func_index) const {
  const auto range = std::ranges::equal_range(units_, func_index, {}, &UnitRecord::func_index);
  return {range.begin(), range.end()};
}

Result<std::shared_ptr<const vm::Image>> File::image(std::string_view name) const {
  if (!has_image()) return malformed("the file has no image");
  auto image = vm::Image::fill(header_.image.size, name, [&](std::span<uint8_t> to) {
    return source_->read(header_.image.at, std::as_writable_bytes(to));
  });
  if (!image) return image;
  if (vm::content_hash(std::as_bytes((*image)->bytes())) != header_.content) return damaged();
  return image;
}

std::span<const std::byte> File::view(const UnitRecord& record) const {
  const auto all = source_->view();
  return all.empty() ? all : all.subspan(header_.code.at + record.at, record.size);
}

std::vector<std::byte> File::piece(const UnitRecord& record) const {
  std::vector<std::byte> bytes(record.size);
  if (!source_->read(header_.code.at + record.at, bytes)) return {};
  if (vm::checksum(bytes) != record.checksum) return {};
  return bytes;
}

std::optional<CompiledCode> File::load(const UnitRecord& record, const vm::Module& module) const {
  if (module.funcs.size() != header_.func_count) return std::nullopt;
  if (const auto there = view(record); there.data() != nullptr) {
    if (vm::checksum(there) != record.checksum) return std::nullopt;
    return view_piece(there, record, module);
  }
  std::vector<std::byte> bytes = piece(record);
  if (bytes.empty()) return std::nullopt;
  return read_piece(std::move(bytes), record, module);
}

}  // namespace vmrun::jit::stored
