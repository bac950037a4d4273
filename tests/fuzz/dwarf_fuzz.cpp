// libFuzzer target: the reader of guests' debug information, with custom sections of any contents. The input is an image of
// which little is expected: sections that are cut off by its end, and no code that needs to be valid.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "vm/dwarf/lookup.h"

namespace {

using namespace vmrun::vm::dwarf;

std::span<const uint8_t>* section(Sections& sections, std::string_view name) {
  if (name == ".debug_info") return &sections.info;
  if (name == ".debug_abbrev") return &sections.abbrev;
  if (name == ".debug_line") return &sections.line;
  if (name == ".debug_str") return &sections.str;
  if (name == ".debug_line_str") return &sections.line_str;
  if (name == ".debug_ranges") return &sections.ranges;
  if (name == ".debug_rnglists") return &sections.rnglists;
  if (name == ".debug_addr") return &sections.addr;
  if (name == ".debug_str_offsets") return &sections.str_offsets;
  return nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> image(data, size);
  Sections sections;
  uint64_t code = 4096;
  Cursor in(image);
  for (in.skip(8); in.ok() && !in.at_end();) {
    const uint8_t id = in.u8();
    const uint64_t length = std::min<uint64_t>(in.uleb(), size - in.at()), end = in.at() + length;
    if (id == 10) code = length;
    if (id == 0) {
      const uint64_t name_size = std::min<uint64_t>(in.uleb(), size - in.at());
      const std::string_view name(reinterpret_cast<const char*>(data) + in.at(), name_size);
      const uint64_t from = std::min(in.at() + name_size, end);
      if (auto* found = section(sections, name)) *found = image.subspan(from, end - from);
    }
    if (in.at() > end) break;
    in.skip(end - in.at());
  }
  constexpr uint64_t kSteps = 1 << 18;
  Lookup lookup(sections, code, {kSteps, kSteps});
  for (uint64_t at = 0; at <= std::min<uint64_t>(code, 4096); ++at) {
    const std::vector<vmrun::SourceLine> lines = lookup.at(at);
    if (lines.size() > kMaxInlined + 1) std::abort();
    for (const vmrun::SourceLine& line : lines) {
      if (line.function.size() > kMaxName || line.file.size() > 3 * kMaxPath + 2) std::abort();
    }
  }
  return 0;
}
