// Fuzzes the reader of stored code: whatever a file says, with all its hashes right, nothing is read outside of it and
// nothing leads outside of the code. The input is a list of changes to a good file, which is sealed again afterwards.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "jit/stored/piece.h"
#include "jit/stored/reader.h"
#include "vm/wasm/module.h"
#include "vmrun/vmrun.h"

using namespace vmrun;
using namespace vmrun::jit::stored;

namespace {

/// Functions with a loop, a call in a try, an indirect call behind a load, a throw.
constexpr uint8_t kImage[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x09, 0x02, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x60, 0x00,
    0x00, 0x03, 0x05, 0x04, 0x00, 0x01, 0x00, 0x01, 0x04, 0x04, 0x01, 0x70, 0x00, 0x01, 0x05, 0x03, 0x01, 0x00,
    0x01, 0x0d, 0x03, 0x01, 0x00, 0x01, 0x0a, 0x2d, 0x04, 0x10, 0x00, 0x03, 0x40, 0x20, 0x00, 0x41, 0x01, 0x6b,
    0x22, 0x00, 0x0d, 0x00, 0x0b, 0x41, 0x03, 0x0b, 0x08, 0x00, 0x06, 0x40, 0x10, 0x03, 0x19, 0x0b, 0x0b, 0x0c,
    0x00, 0x20, 0x00, 0x28, 0x02, 0x00, 0x41, 0x00, 0x11, 0x00, 0x00, 0x0b, 0x04, 0x00, 0x08, 0x00, 0x0b,
};

const Module& module() {
  static const Module made = [] {
    Config config;
    config.tiers = Tiers::Baseline;
    auto compiled = Module::compile(Engine(config), kImage, "fuzz");
    if (!compiled) {
      std::fprintf(stderr, "%s\n", compiled.error().to_string().c_str());
      std::abort();
    }
    return std::move(*compiled);
  }();
  return made;
}

const std::vector<uint8_t>& good_file() {
  static const std::vector<uint8_t> file = module().serialize().value();
  return file;
}

template <class T>
T get(const std::vector<std::byte>& file, size_t at) {
  T out;
  std::memcpy(&out, file.data() + at, sizeof out);
  return out;
}

/// Gives every hash the value that it ought to have, as far as what it is of lies in the file.
void seal(std::vector<std::byte>& file) {
  auto header = get<Header>(file, 0);
  const auto fits = [&](const Range& range) { return range.at <= file.size() && range.size <= file.size() - range.at; };
  if (fits(header.index) && fits(header.code)) {
    const size_t count = header.index.size / sizeof(UnitRecord);
    for (size_t i = 0; i < count; ++i) {
      const size_t at = header.index.at + i * sizeof(UnitRecord);
      auto record = get<UnitRecord>(file, at);
      if (record.at > header.code.size || record.size > header.code.size - record.at) continue;
      record.checksum = vm::checksum(std::span(file).subspan(header.code.at + record.at, record.size));
      std::memcpy(file.data() + at, &record, sizeof record);
    }
    header.index_hash = vm::sha256(std::span(file).subspan(header.index.at, header.index.size));
  }
  if (fits(header.image)) {
    header.content = vm::content_hash(std::span(file).subspan(header.image.at, header.image.size), 1);
  }
  header.header_hash = vm::sha256(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, header_hash)));
  std::memcpy(file.data(), &header, sizeof header);
}

void look(bool fine) {
  if (!fine) std::abort();
}

void look_at(const jit::CompiledCode& code, const vm::Module& image) {
  const size_t size = image.bytes() != nullptr ? module().size() : 0;
  look(code.text <= code.bytes.size() && code.func_index < image.funcs.size());
  for (uint32_t pc = 0; pc <= code.text; ++pc) {
    for (const bool is_return : {false, true}) {
      const uint32_t place = code.place_at(pc, is_return);
      look(code.offset_of(place) < size);
      look((code.own_offset_of(place) & jit::kInlined) == 0);
    }
  }
  for (const jit::PadMark& pad : code.pads) look(pad.pad < code.text);
  for (const jit::PreemptRange& range : code.preempt) look(range.end <= code.text);
  for (const jit::OsrEntry& entry : code.osr) look(entry.pc < code.text);
  for (const jit::TypeUse& use : code.types) look(use.at + sizeof(uint32_t) <= code.text);
  for (const vm::ProfileSite& site : code.profile) look(site.word < code.profile_words);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto good = std::as_bytes(std::span(good_file()));
  std::vector<std::byte> file(good.begin(), good.end());
  const Range index = get<Header>(file, 0).index;
  // Of each four bytes: where (two), what (one), and how that is put there.
  for (; size >= 4; data += 4, size -= 4) {
    // Most of it into what is not zero: the header, the index, the code.
    const size_t at = (data[0] | data[1] << 8) % file.size();
    const std::byte what{data[2]};
    switch (data[3] % 5) {
      case 0: file[at] = what; break;
      case 1: file[at % sizeof(Header)] = what; break;
      case 2: file[(index.at + at % index.size) % file.size()] = what; break;
      case 3: file[file.size() - 1 - at % std::min<size_t>(file.size(), 2000)] = what; break;
      default: file.resize(std::max(sizeof(Header), file.size() - at % 64)); break;
    }
  }
  seal(file);
  auto opened = File::open(source_of(std::move(file)), File::Fit::ignored);
  if (!opened) return 0;
  const vm::Module& image = *module().impl();
  (void)(*opened)->image("fuzz");
  for (const UnitRecord& record : (*opened)->units()) {
    look((*opened)->find(record.func_index, record.unit, static_cast<vm::Tier>(record.tier)) == &record);
    if (const auto code = (*opened)->load(record, image)) look_at(*code, image);
    if (const auto code = read_piece((*opened)->piece(record), record, image)) look_at(*code, image);
  }
  return 0;
}
