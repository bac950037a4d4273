// See stream.h.
#include "jit/stored/stream.h"

#include <algorithm>
#include <array>
#include <utility>

#include "jit/stored/piece.h"

namespace vmrun::jit::stored {

void Stream::note(UnitRecord record) {
  record.at = written_ + buffer_.size() - record.size;
  names_.insert({record.func_index, record.tier, record.unit});
  index_.push_back(record);
}

void Stream::add(uint32_t func_index, const CodeTables& tables, std::span<const std::byte> code,
                 const vm::Module& module) {
  if (refused_ || index_.size() >= kMaxUnits || has(func_index, tables.unit, tables.tier)) return;
  const size_t size = append_piece(buffer_, tables, code, module);
  if (size == 0) return;
  UnitRecord record = {};
  record.func_index = func_index;
  record.unit = tables.unit;
  record.tier = static_cast<uint32_t>(tables.tier);
  record.size = static_cast<uint32_t>(size);
  record.code_size = static_cast<uint32_t>(code.size());
  record.checksum = vm::checksum(std::span(buffer_).last(size));
  note(record);
}

void Stream::add_stored(const UnitRecord& record, std::span<const std::byte> piece) {
  if (refused_ || index_.size() >= kMaxUnits) return;
  if (piece.empty() || has(record.func_index, record.unit, static_cast<vm::Tier>(record.tier))) return;
  buffer_.insert(buffer_.end(), piece.begin(), piece.end());
  note(record);
}

bool Stream::flush() {
  if (refused_) return false;
  if (buffer_.empty()) return true;
  refused_ = written_ + buffer_.size() > kMaxBytes || !sink_(buffer_);
  written_ += buffer_.size();
  buffer_.clear();
  return !refused_;
}

std::optional<Header> Stream::finish(const About& about) {
  if (!flush()) return std::nullopt;
  std::ranges::sort(index_, {}, [](const UnitRecord& r) { return std::tuple(r.func_index, r.tier, r.unit); });
  const auto index = std::as_bytes(std::span(index_));
  Header header = header_of(about);
  header.unit_count = static_cast<uint32_t>(index_.size());
  header.image = {kPage, 0};
  header.code = {kPage, written_};
  header.index = {to_page(kPage + written_), index.size()};
  header.file_bytes = header.index.at + index.size();
  header.index_hash = vm::sha256(index);
  seal(header);
  static constexpr std::array<std::byte, kPage> kZeros = {};
  const auto padding = std::span(kZeros).first(header.index.at - kPage - written_);
  if (header.file_bytes > kMaxBytes || !sink_(padding) || !sink_(index)) return std::nullopt;
  return header;
}

}  // namespace vmrun::jit::stored
