// See writer.h.
#include "jit/stored/writer.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "vm/base/build.h"

namespace vmrun::jit::stored {
namespace {

auto name_of(const Unit& unit) { return std::tuple(unit.func_index, static_cast<uint32_t>(unit.tier), unit.unit); }

/// Zeros up to the next page.
bool pad(uint64_t size, const Sink& sink) {
  static constexpr std::array<std::byte, kPage> kZeros = {};
  return sink(std::span(kZeros).first(to_page(size) - size));
}

}  // namespace

Header header_of(const About& about) {
  Header header;
  std::ranges::copy(vm::build_id().substr(0, header.build.size()), header.build.begin());
  header.processor = about.processor;
  header.settings = about.settings;
  header.features = about.module->features_used.bits;
  header.validated = about.module->unsupported ? 0 : 1;
  header.func_count = static_cast<uint32_t>(about.module->funcs.size());
  header.content = about.content;
  return header;
}

void seal(Header& header) {
  header.header_hash = vm::sha256(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, header_hash)));
}

bool write(const About& about, std::vector<Unit> units, const Sink& sink) {
  std::vector<Unit*> sorted;
  sorted.reserve(units.size());
  for (Unit& unit : units) sorted.push_back(&unit);
  std::ranges::sort(sorted, {}, [](const Unit* unit) { return std::pair(name_of(*unit), unit); });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (name_of(*sorted[i - 1]) == name_of(*sorted[i])) sorted[i]->piece.clear();
  }
  std::erase_if(sorted, [](const Unit* unit) { return unit->piece.empty(); });
  if (sorted.size() > kMaxUnits) return false;

  // Where the pieces lie, by the units' place in `units`.
  std::vector<uint64_t> places(units.size());
  uint64_t code_bytes = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    places[i] = code_bytes;
    code_bytes += units[i].piece.size();
  }
  std::vector<UnitRecord> index;
  index.reserve(sorted.size());
  for (const Unit* unit : sorted) {
    UnitRecord record = {};
    record.func_index = unit->func_index;
    record.unit = unit->unit;
    record.tier = static_cast<uint32_t>(unit->tier);
    record.idle = unit->idle;
    record.at = places[static_cast<size_t>(unit - units.data())];
    record.size = static_cast<uint32_t>(unit->piece.size());
    record.code_size = unit->code_size;
    record.checksum = vm::checksum(unit->piece);
    index.push_back(record);
  }
  const auto index_bytes = std::as_bytes(std::span(index));

  Header header = header_of(about);
  header.unit_count = static_cast<uint32_t>(index.size());
  header.image = {kPage, about.image.size()};
  header.index = {to_page(header.image.at + header.image.size), index_bytes.size()};
  header.code = {to_page(header.index.at + header.index.size), code_bytes};
  header.file_bytes = header.code.at + header.code.size;
  header.index_hash = vm::sha256(index_bytes);
  seal(header);
  if (header.file_bytes > kMaxBytes) return false;

  if (!sink(std::as_bytes(std::span(&header, 1))) || !pad(sizeof header, sink)) return false;
  if (!sink(std::as_bytes(about.image)) || !pad(about.image.size(), sink)) return false;
  if (!sink(index_bytes) || !pad(index_bytes.size(), sink)) return false;
  for (const Unit& unit : units) {
    if (!sink(unit.piece)) return false;
  }
  return true;
}

}  // namespace vmrun::jit::stored
