#include "coverage.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "generate.h"
#include "vm/wasm/func_decoder_base.h"

namespace vmrun::test {
namespace {

using generate::append_unsigned;
using generate::Bytes;
using vm::Op;

// Section numbers, and where they stand among each other: by the specification, 5.5.16.
constexpr uint8_t kGlobals = 6, kExports = 7, kCode = 10, kOrder[] = {1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11};
constexpr std::string_view kPrefix = "executed ";

int place_of(uint8_t id) {
  for (size_t i = 0; i < std::size(kOrder); ++i) {
    if (kOrder[i] == id) return static_cast<int>(i);
  }
  return -1;  // custom: anywhere
}

void append_section(Bytes& out, uint8_t id, const Bytes& bytes) {
  out.push_back(id);
  append_unsigned(out, bytes.size());
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// A vector section with `added` items behind those that are there.
Bytes longer(const vm::Module& module, const vm::Section* section, uint32_t count, const Bytes& added) {
  Bytes out;
  append_unsigned(out, (section != nullptr ? section->items : 0) + count);
  if (section != nullptr) {
    const uint8_t* p = module.bytes() + section->bytes.begin;
    while (*p++ >= 0x80) {
    }
    out.insert(out.end(), p, module.bytes() + section->bytes.end);
  }
  out.insert(out.end(), added.begin(), added.end());
  return out;
}

Bytes counting_body(const vm::Module& module, vm::ByteRange body, uint32_t first_global) {
  const uint8_t* p = module.bytes() + body.begin;
  const uint8_t* end = module.bytes() + body.end;
  const uint8_t* code = vm::skip_locals(p);
  Bytes out(p, code);
  for (p = code; p < end;) {
    const uint8_t* begin = p;
    const Op op = vm::skip_instruction(p);
    const bool behind = op == Op::else_ || op == Op::catch_ || op == Op::catch_all;
    if (behind) out.insert(out.end(), begin, p);
    const uint32_t global = first_global + static_cast<uint32_t>(op);
    out.push_back(0x23), append_unsigned(out, global);
    out.insert(out.end(), {0x42, 1, 0x7c, 0x24});
    append_unsigned(out, global);
    if (!behind) out.insert(out.end(), begin, p);
  }
  return out;
}

}  // namespace

std::vector<uint8_t> count_instructions(const vm::Module& module) {
  const auto first = static_cast<uint32_t>(module.globals.size());
  const auto ops = static_cast<uint32_t>(vm::kOpCount);
  const vm::Section* globals = nullptr;
  const vm::Section* exports = nullptr;
  for (const vm::Section& section : module.sections) {
    if (section.id == kGlobals) globals = &section;
    if (section.id == kExports) exports = &section;
  }
  Bytes added_globals, added_exports, code;
  for (uint32_t i = 0; i < ops; ++i) {
    added_globals.insert(added_globals.end(), {0x7e, 1, 0x42, 0, 0x0b});
    const std::string name = std::string(kPrefix) + std::to_string(i);
    append_unsigned(added_exports, name.size());
    added_exports.insert(added_exports.end(), name.begin(), name.end());
    added_exports.push_back(3);
    append_unsigned(added_exports, first + i);
  }
  append_unsigned(code, module.funcs.size() - module.imported_funcs);
  for (uint32_t f = module.imported_funcs; f < module.funcs.size(); ++f) {
    const Bytes body = counting_body(module, module.funcs[f].body, first);
    append_unsigned(code, body.size());
    code.insert(code.end(), body.begin(), body.end());
  }

  Bytes out(module.bytes(), module.bytes() + 8);
  bool globals_done = false, exports_done = false;
  // Where a section is missing, it is put in front of the first one that comes later.
  const auto before = [&](int place) {
    if (!globals_done && place >= place_of(kGlobals)) {
      append_section(out, kGlobals, longer(module, globals, ops, added_globals));
      globals_done = true;
    }
    if (!exports_done && place >= place_of(kExports)) {
      append_section(out, kExports, longer(module, exports, ops, added_exports));
      exports_done = true;
    }
  };
  for (const vm::Section& section : module.sections) {
    before(place_of(section.id));
    if (section.id == kGlobals || section.id == kExports) continue;
    const uint8_t* bytes = module.bytes();
    append_section(out, section.id,
                   section.id == kCode ? code : Bytes(bytes + section.bytes.begin, bytes + section.bytes.end));
  }
  before(static_cast<int>(std::size(kOrder)));
  return out;
}

void add_coverage(const Trace& trace, Coverage& coverage) {
  const std::string begin = "global " + std::string(kPrefix);
  for (const std::string& line : trace.lines) {
    if (!line.starts_with(begin)) continue;
    const size_t value = line.find(":", begin.size());
    const auto op = static_cast<Op>(std::strtoul(line.c_str() + begin.size(), nullptr, 10));
    coverage[op] += std::strtoull(line.c_str() + value + 1, nullptr, 16);
  }
}

bool print_coverage(const Coverage& coverage) {
  std::string missing;
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    const auto found = coverage.find(static_cast<Op>(i));
    const uint64_t count = found == coverage.end() ? 0 : found->second;
    if (count != 0) {
      std::printf("%12llu %s\n", static_cast<unsigned long long>(count), vm::kOpInfo[i].mnemonic);
    } else if (!vm::kOpInfo[i].is_gc_object()) {
      missing += std::string(" ") + vm::kOpInfo[i].mnemonic;
    }
  }
  std::printf("never executed:%s\n", missing.empty() ? " none" : missing.c_str());
  return missing.empty();
}

}  // namespace vmrun::test
