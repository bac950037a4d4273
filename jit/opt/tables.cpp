// The tables of a code object, read from the object file before it is linked: its text keeps the layout it has there.
#include <llvm/DebugInfo/DWARF/DWARFContext.h>
#include <llvm/DebugInfo/DWARF/DWARFDebugFrame.h>
#include <llvm/Object/ELFObjectFile.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "jit/opt/backend.h"
#include "jit/opt/instructions.h"

namespace vmrun::jit::opt {
namespace {

using llvm::object::SectionRef;

constexpr uint64_t kDwarfRbp = 6;

/// A call-site table (the LSB's .gcc_except_table), as LLVM writes it.
struct CallSite {
  uint64_t begin, end, pad;
};
std::vector<CallSite> read_call_sites(llvm::StringRef data) {
  std::vector<CallSite> sites;
  llvm::DataExtractor in(data, true, 8);
  llvm::DataExtractor::Cursor at(0);
  const uint8_t pads_from = in.getU8(at);  // omitted: the function's begin
  const uint8_t types = in.getU8(at);
  if (types != 0xff) in.getULEB128(at);
  const uint8_t encoding = in.getU8(at);
  const uint64_t length = in.getULEB128(at);
  const uint64_t end = at.tell() + length;
  if (pads_from != 0xff || encoding != 0x01) {
    llvm::consumeError(at.takeError());
    return sites;
  }
  while (at && at.tell() < end) {
    const uint64_t begin = in.getULEB128(at);
    const uint64_t size = in.getULEB128(at);
    const uint64_t pad = in.getULEB128(at);
    in.getULEB128(at);  // action: every pad catches all
    if (pad != 0) sites.push_back({begin, begin + size, pad});
  }
  llvm::consumeError(at.takeError());
  return sites;
}

/// Where the frame address is rbp + 16: the body's frame stands.
void read_frame(const llvm::dwarf::FDE& fde, std::vector<PreemptRange>& ranges) {
  uint64_t at = 0, since = 0;
  bool framed = false;
  std::vector<bool> remembered;
  auto change = [&](bool now) {
    if (framed && !now && at > since) ranges.push_back({static_cast<uint32_t>(since), static_cast<uint32_t>(at)});
    if (!framed && now) since = at;
    framed = now;
  };
  for (const llvm::dwarf::CFIProgram::Instruction& i : fde.cfis()) {
    switch (i.Opcode) {
      case llvm::dwarf::DW_CFA_advance_loc:
      case llvm::dwarf::DW_CFA_advance_loc1:
      case llvm::dwarf::DW_CFA_advance_loc2:
      case llvm::dwarf::DW_CFA_advance_loc4: at += i.Ops[0] * fde.cfis().codeAlign(); break;
      case llvm::dwarf::DW_CFA_def_cfa:
      case llvm::dwarf::DW_CFA_def_cfa_register: change(i.Ops[0] == kDwarfRbp); break;
      case llvm::dwarf::DW_CFA_remember_state: remembered.push_back(framed); break;
      case llvm::dwarf::DW_CFA_restore_state:
        change(remembered.back());
        remembered.pop_back();
        break;
      default: break;
    }
  }
  at = fde.getAddressRange();
  change(false);
}

}  // namespace

std::string read_tables(const Object& object, Tables& tables) {
  auto file = llvm::object::ObjectFile::createELFObjectFile(
      llvm::MemoryBufferRef(llvm::StringRef(object.data(), object.size()), "unit"));
  if (!file) return llvm::toString(file.takeError());
  const llvm::object::ObjectFile& elf = **file;
  llvm::StringRef text, call_sites;
  for (const SectionRef& section : elf.sections()) {
    llvm::Expected<llvm::StringRef> name = section.getName();
    llvm::Expected<llvm::StringRef> contents = section.getContents();
    if (!name || !contents) return "an object file that cannot be read";
    if (section.isText() && !contents->empty()) {
      if (!text.empty()) return "code in two sections";
      text = *contents;
    }
    if (name->starts_with(".gcc_except_table")) call_sites = *contents;
  }
  for (const llvm::object::SymbolRef& symbol : elf.symbols()) {
    llvm::Expected<llvm::StringRef> name = symbol.getName();
    llvm::Expected<uint64_t> address = symbol.getAddress();
    if (!name || !address) return "an object file that cannot be read";
    if (*name == "unit") tables.entry = static_cast<uint32_t>(*address);
  }
  tables.text = static_cast<uint32_t>(text.size());

  std::unique_ptr<llvm::DWARFContext> dwarf = llvm::DWARFContext::create(elf);
  // Lines: byte offsets in the image.
  struct Row {
    uint32_t pc, offset;
  };
  std::vector<Row> rows;
  for (const auto& unit : dwarf->compile_units()) {
    const llvm::DWARFDebugLine::LineTable* lines = dwarf->getLineTableForUnit(unit.get());
    if (lines == nullptr) continue;
    // Line 0 is at the head of a block whose first instructions belong to no line, or to several: they are told of what
    // follows. What stands before may be another function's, such as the caller of an inlined loop.
    std::optional<uint32_t> unknown_from;
    for (const llvm::DWARFDebugLine::Row& row : lines->Rows) {
      if (row.EndSequence) unknown_from.reset();
      if (row.EndSequence) continue;
      const auto at = static_cast<uint32_t>(row.Address.Address);
      if (row.Line == 0) {
        if (!unknown_from) unknown_from = at;
        continue;
      }
      const uint32_t pc = std::exchange(unknown_from, std::nullopt).value_or(at);
      if (!rows.empty() && rows.back().pc == pc) rows.pop_back();
      rows.push_back({pc, row.Line});
    }
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.pc < b.pc; });
  auto line_at = [&](uint32_t pc) {
    auto after = std::upper_bound(rows.begin(), rows.end(), pc, [](uint32_t p, const Row& r) { return p < r.pc; });
    return after == rows.begin() ? uint32_t{0} : (after - 1)->offset;
  };

  llvm::Expected<const llvm::DWARFDebugFrame*> frames = dwarf->getEHFrame();
  if (!frames) return llvm::toString(frames.takeError());
  for (const llvm::dwarf::FrameEntry& entry : (*frames)->entries()) {
    if (const auto* fde = llvm::dyn_cast<llvm::dwarf::FDE>(&entry)) read_frame(*fde, tables.preempt);
  }

  // A mark where the place in the image changes, and one for each return address, which stands before the other's.
  const std::vector<CallSite> sites = read_call_sites(call_sites);
  auto row = rows.begin();
  uint32_t offset = 0;
  auto rows_before = [&](uint32_t pc) {
    for (; row != rows.end() && row->pc < pc; ++row) {
      if (row->offset != offset) tables.marks.push_back({row->pc, row->offset});
      offset = row->offset;
    }
  };
  const auto* code = reinterpret_cast<const uint8_t*>(text.data());
  const bool walked = walk_instructions(code, text.size(), [&](uint64_t at, uint64_t size, bool is_call) {
    if (!is_call) return;
    const auto return_pc = static_cast<uint32_t>(at + size);
    rows_before(return_pc);
    tables.marks.push_back({return_pc, line_at(static_cast<uint32_t>(at))});
    offset = 0;  // a row at the return address gets its own mark
    for (const CallSite& site : sites) {
      if (at - tables.entry >= site.begin && at - tables.entry < site.end) {
        tables.pads.push_back({return_pc, tables.entry + static_cast<uint32_t>(site.pad)});
      }
    }
  });
  if (!walked) return "code that cannot be disassembled";
  rows_before(UINT32_MAX);
  return "";
}

}  // namespace vmrun::jit::opt
