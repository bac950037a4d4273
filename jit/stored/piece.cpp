// See piece.h.
#include "jit/stored/piece.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "jit/code/install.h"
#include "vm/wasm/image.h"

namespace vmrun::jit::stored {
namespace {

// These lie in files as they lie in memory.
static_assert(sizeof(OsrEntry) == 8 && sizeof(SourceMark) == 8 && sizeof(PadMark) == 8 && sizeof(PreemptRange) == 8 &&
              sizeof(InlinedPlace) == 12 && sizeof(StoredType) == 12 && sizeof(StoredSite) == 12);

template <class T>
void put(std::vector<std::byte>& out, std::span<const T> items) {
  const auto bytes = std::as_bytes(items);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// Takes tables off the front of a piece.
class Taker {
 public:
  explicit Taker(std::span<const std::byte> bytes) : rest_(bytes) {}
  template <class T>
  bool take(std::vector<T>& out, uint32_t count) {
    if (count > rest_.size() / sizeof(T)) return false;
    out.resize(count);
    if (count != 0) std::memcpy(out.data(), rest_.data(), count * sizeof(T));
    rest_ = rest_.subspan(count * sizeof(T));
    return true;
  }
  std::span<const std::byte> rest() const { return rest_; }

 private:
  std::span<const std::byte> rest_;
};

class OwnPiece final : public CodeStorage {
 public:
  explicit OwnPiece(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  void release() noexcept override { delete this; }

 private:
  std::vector<std::byte> bytes_;
};

/// Whether all chains of callers end.
bool callers_end(const std::vector<InlinedPlace>& inlined) {
  enum : uint8_t { unknown, on_the_way, ends };
  std::vector<uint8_t> state(inlined.size(), unknown);
  std::vector<uint32_t> way;
  for (uint32_t first = 0; first < inlined.size(); ++first) {
    way.clear();
    for (uint32_t at = first; state[at] != ends;) {
      if (state[at] == on_the_way) return false;
      state[at] = on_the_way;
      way.push_back(at);
      const uint32_t caller = inlined[at].caller;
      if ((caller & kInlined) == 0) break;
      at = caller & ~kInlined;
    }
    for (uint32_t at : way) state[at] = ends;
  }
  return true;
}

/// Whether what the tables say stays inside of the code, of the module and of themselves.
bool makes_sense(const CodeTables& tables, size_t size, const vm::Module& module) {
  const size_t image = module.image->bytes().size();
  const auto is_place = [&](uint32_t place) {
    return (place & kInlined) != 0 ? (place & ~kInlined) < tables.inlined.size() : place < image || place == 0;
  };
  if (size == 0 || tables.text == 0 || tables.text > size) return false;
  if (tables.unit == kWholeFunction || is_alone(tables.unit)) {
    if (tables.entry >= tables.text || (is_alone(tables.unit) && !tables.osr.empty())) return false;
  } else if (tables.osr.size() != 1 || tables.osr[0].loop_offset != tables.unit) {
    return false;
  }
  for (const OsrEntry& entry : tables.osr) {
    if (entry.pc >= tables.text || entry.loop_offset >= image) return false;
  }
  for (const SourceMark& mark : tables.marks) {
    if (mark.pc > tables.text || !is_place(mark.place)) return false;
  }
  for (const PadMark& pad : tables.pads) {
    if (pad.return_pc > tables.text || pad.pad >= tables.text) return false;
  }
  for (const PreemptRange& range : tables.preempt) {
    if (range.begin > range.end || range.end > tables.text) return false;
  }
  for (const InlinedPlace& place : tables.inlined) {
    if (place.func_index < module.imported_funcs || place.func_index >= module.funcs.size()) return false;
    if (place.offset >= image || !is_place(place.caller)) return false;
  }
  for (const vm::ProfileSite& site : tables.profile) {
    const uint32_t words = site.kind == vm::ProfileKind::target ? 2 : 1;
    if (site.offset >= image || tables.profile_words < words || site.word > tables.profile_words - words) return false;
  }
  // A counter takes an instruction at least.
  if (tables.profile_words > tables.text) return false;
  return std::ranges::is_sorted(tables.osr, {}, &OsrEntry::loop_offset) &&
         std::ranges::is_sorted(tables.marks, {}, &SourceMark::pc) &&
         std::ranges::is_sorted(tables.pads, {}, &PadMark::return_pc) &&
         std::ranges::is_sorted(tables.preempt, {}, &PreemptRange::begin) && callers_end(tables.inlined);
}

}  // namespace

size_t append_piece(std::vector<std::byte>& out, const CodeTables& tables, std::span<const std::byte> code,
                    const vm::Module& module) {
  std::vector<StoredType> types;
  for (const TypeUse& use : tables.types) {
    const auto index = module.type_index(use.type);
    if (!index) return 0;
    types.push_back({use.at, *index, static_cast<uint32_t>(use.as)});
  }
  std::vector<StoredSite> sites;
  sites.reserve(tables.profile.size());
  for (const vm::ProfileSite& site : tables.profile) {
    sites.push_back({site.offset, static_cast<uint32_t>(site.kind), site.word});
  }
  const auto count = [](const auto& table) { return static_cast<uint32_t>(table.size()); };
  PieceHead head = {};
  head.text = tables.text;
  head.entry = tables.entry;
  head.osr = count(tables.osr);
  head.marks = count(tables.marks);
  head.pads = count(tables.pads);
  head.preempt = count(tables.preempt);
  head.inlined = count(tables.inlined);
  head.types = count(types);
  head.profile = count(sites);
  head.profile_words = tables.profile_words;
  head.counts_runs = tables.counts_runs;
  head.code_size = static_cast<uint32_t>(code.size());
  const size_t size = sizeof head +
                      8 * (tables.osr.size() + tables.marks.size() + tables.pads.size() + tables.preempt.size()) +
                      12 * (tables.inlined.size() + types.size() + sites.size()) + code.size();
  if (size > kMaxPiece) return 0;
  put(out, std::span<const PieceHead>(&head, 1));
  put(out, std::span<const OsrEntry>(tables.osr));
  put(out, std::span<const SourceMark>(tables.marks));
  put(out, std::span<const PadMark>(tables.pads));
  put(out, std::span<const PreemptRange>(tables.preempt));
  put(out, std::span<const InlinedPlace>(tables.inlined));
  put(out, std::span<const StoredType>(types));
  put(out, std::span<const StoredSite>(sites));
  put(out, code);
  // Here they are this engine's.
  for (const StoredType& type : types)
    std::memset(out.data() + out.size() - code.size() + type.at, 0, sizeof(uint32_t));
  return size;
}

std::vector<std::byte> make_piece(const CodeTables& tables, std::span<const std::byte> code, const vm::Module& module) {
  std::vector<std::byte> out;
  append_piece(out, tables, code, module);
  return out;
}

std::optional<CompiledCode> read_piece(std::vector<std::byte> piece, const UnitRecord& record,
                                       const vm::Module& module) {
  std::optional<CompiledCode> code = view_piece(piece, record, module);
  if (!code) return std::nullopt;
  write_types(*code, std::span(piece).subspan(piece.size() - code->bytes.size()));
  code->storage.reset(new OwnPiece(std::move(piece)));  // a moved vector's elements stay where they are
  return code;
}

std::optional<CompiledCode> view_piece(std::span<const std::byte> piece, const UnitRecord& record,
                                       const vm::Module& module) {
  PieceHead head;
  if (piece.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, piece.data(), sizeof head);
  if (record.func_index < module.imported_funcs || record.func_index >= module.funcs.size()) return std::nullopt;
  CompiledCode code;
  code.text = head.text;
  code.entry = head.entry;
  code.tier = static_cast<vm::Tier>(record.tier);
  code.unit = record.unit;
  code.func_index = record.func_index;
  code.profile_words = head.profile_words;
  code.counts_runs = head.counts_runs != 0;
  std::vector<StoredType> types;
  std::vector<StoredSite> sites;
  Taker taker(piece.subspan(sizeof head));
  if (!taker.take(code.osr, head.osr) || !taker.take(code.marks, head.marks) || !taker.take(code.pads, head.pads) ||
      !taker.take(code.preempt, head.preempt) || !taker.take(code.inlined, head.inlined) ||
      !taker.take(types, head.types) || !taker.take(sites, head.profile)) {
    return std::nullopt;
  }
  if (taker.rest().size() != head.code_size || head.code_size != record.code_size) return std::nullopt;
  for (const StoredSite& site : sites) {
    if (site.kind > static_cast<uint32_t>(vm::ProfileKind::target)) return std::nullopt;
    code.profile.push_back({site.offset, static_cast<vm::ProfileKind>(site.kind), site.word});
  }
  if (!makes_sense(code, head.code_size, module)) return std::nullopt;
  for (const StoredType& type : types) {
    if (type.type_index >= module.types.size() || type.as > static_cast<uint32_t>(TypeUse::As::heap)) {
      return std::nullopt;
    }
    if (code.text < sizeof(uint32_t) || type.at > code.text - sizeof(uint32_t)) return std::nullopt;
    code.types.push_back({type.at, module.types[type.type_index], static_cast<TypeUse::As>(type.as)});
  }
  code.bytes = taker.rest();
  return code;
}

}  // namespace vmrun::jit::stored
