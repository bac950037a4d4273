// Debug information of an image: see sources.h. Where it is: DWARF for WebAssembly, "Embedding", and the tool conventions'
// "external_debug_info".
#include "vm/wasm/sources.h"

#include <algorithm>

#include "vm/dwarf/lookup.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"

namespace vmrun::vm {
namespace {

const CustomSection* find(const Module& module, std::string_view name) {
  const auto found = std::ranges::find(module.customs, name, &CustomSection::name);
  return found == module.customs.end() ? nullptr : &*found;
}

std::span<const uint8_t> contents(const Module& module, std::string_view name) {
  const CustomSection* section = find(module, name);
  if (section == nullptr) return {};
  return module.image->custom(section->bytes.begin, section->bytes.end);
}

}  // namespace

bool Module::has_debug_info() const { return find(*this, ".debug_info") != nullptr; }

const Sources& Module::sources() const {
  std::call_once(sources_once_, [this] { sources_ = std::make_shared<const Sources>(*this); });
  return *sources_;
}

Sources::Sources(const Module& module) : module_(module) {
  const auto code = std::ranges::find(module.sections, 10, &Section::id);
  if (code == module.sections.end()) return;
  code_begin_ = code->bytes.begin;
  code_size_ = code->bytes.end - code->bytes.begin;
}

Sources::~Sources() = default;

dwarf::Lookup* Sources::lookup() const {
  if (lookup_ != nullptr || !module_.has_debug_info()) return lookup_.get();
  const auto section = [&](std::string_view name) { return contents(module_, name); };
  lookup_ = std::make_unique<dwarf::Lookup>(
      dwarf::Sections{section(".debug_info"), section(".debug_abbrev"), section(".debug_line"), section(".debug_str"),
                      section(".debug_line_str"), section(".debug_ranges"), section(".debug_rnglists"),
                      section(".debug_addr"), section(".debug_str_offsets")},
      code_size_);
  return lookup_.get();
}

std::vector<SourceLine> Sources::at(uint64_t offset) const {
  if (offset < code_begin_ || offset - code_begin_ > code_size_) return {};
  std::lock_guard hold(lock_);
  dwarf::Lookup* known = lookup();
  return known == nullptr ? std::vector<SourceLine>() : known->at(offset - code_begin_);
}

std::string Sources::note() const {
  std::lock_guard hold(lock_);
  if (const dwarf::Lookup* known = lookup(); known != nullptr) {
    if (known->spent())
      return "the debug information is larger or more involved than what is read of it: some is left out";
    if (!known->split_into().empty()) {
      return "debug information is in other files (" + known->split_into() +
             " ...), which are not read: compile without -gsplit-dwarf";
    }
    if (!known->has_code()) {
      return "the debug information is of no code in the image: what rewrote the image (wasm-opt?) did not keep it";
    }
    return {};
  }
  if (find(module_, "external_debug_info") == nullptr) return {};
  dwarf::Cursor in(contents(module_, "external_debug_info"));
  const uint64_t size = in.uleb(), at = in.at();
  const std::string_view name =
      dwarf::string_at(contents(module_, "external_debug_info"), at, std::min<uint64_t>(size, dwarf::kMaxPath));
  return "debug information is in another file (" + std::string(name) + "), which is not read: keep it in the image";
}

}  // namespace vmrun::vm
