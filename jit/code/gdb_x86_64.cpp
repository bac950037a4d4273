// GDB's interface for compiled code: a linked list of object files in memory, and a function in which debuggers put a
// breakpoint. Each piece of code is an ELF file with one symbol and the shape of its frame. Sources: "JIT Compilation
// Interface" in the GDB manual; System V ABI, chapter 4, and its supplement for AMD64; DWARF 5, section 6.4.
#include <elf.h>

#include <cstring>
#include <unordered_map>
#include <vector>

#include "jit/code/announce.h"
#include "jit/code/gdb_lines.h"

extern "C" {

struct JitCodeEntry {
  JitCodeEntry *next, *previous;
  const char* symfile;
  uint64_t symfile_size;
};
struct JitDescriptor {
  uint32_t version, action;
  JitCodeEntry *relevant, *first;
};
enum : uint32_t { kNoAction, kRegister, kUnregister };

// The names are the debugger's. LLVM has the same interface: where it is linked too, one of each serves both.
__attribute__((noinline, used, weak, visibility("default"))) void __jit_debug_register_code() {
  asm volatile("" ::: "memory");
}
__attribute__((used, weak, visibility("default"))) JitDescriptor __jit_debug_descriptor = {1, kNoAction, nullptr,
                                                                                           nullptr};
}

namespace vmrun::jit {
namespace {

using Bytes = std::vector<char>;

void put(Bytes& out, const void* from, size_t size) {
  out.insert(out.end(), static_cast<const char*>(from), static_cast<const char*>(from) + size);
}
template <class T>
void put(Bytes& out, const T& value) {
  put(out, &value, sizeof value);
}
void align(Bytes& out, size_t to) { out.resize((out.size() + to - 1) / to * to); }

/// Call frame information: where a frame is, in the prologue's first two instructions and behind them. After `leave` it
/// is wrong for one instruction.
Bytes frame_info(const CodeObject& code) {
  constexpr uint8_t kDefCfa = 0x0c, kDefCfaOffset = 0x0e, kDefCfaRegister = 0x0d, kOffset = 0x80, kAdvance = 0x40;
  constexpr uint8_t kRbp = 6, kRsp = 7, kReturn = 16;
  auto record = [](Bytes body) {
    align(body, 8);  // with zeros, which mean nothing
    body.resize(body.size() + 4);
    Bytes out;
    put(out, static_cast<uint32_t>(body.size()));
    put(out, body.data(), body.size());
    return out;
  };
  // Common part: version, no augmentation, code and data alignment, the register of the return address.
  Bytes common;
  put(common, uint32_t{0});
  for (uint8_t b : {uint8_t{1}, uint8_t{0}, uint8_t{1}, uint8_t{0x78}, kReturn,  //
                    kDefCfa, kRsp, uint8_t{8}, static_cast<uint8_t>(kOffset | kReturn), uint8_t{1}}) {
    put(common, b);
  }
  Bytes out = record(common);
  Bytes own;
  put(own, static_cast<uint32_t>(out.size() + 4));  // distance back to the common part
  put(own, reinterpret_cast<uint64_t>(code.begin));
  put(own, static_cast<uint64_t>(code.size));
  // push rbp is one byte, mov rbp, rsp three.
  for (uint8_t b :
       {static_cast<uint8_t>(kAdvance | 1), kDefCfaOffset, uint8_t{16}, static_cast<uint8_t>(kOffset | kRbp),
        uint8_t{2}, static_cast<uint8_t>(kAdvance | 3), kDefCfaRegister, kRbp}) {
    put(own, b);
  }
  const Bytes second = record(own);
  put(out, second.data(), second.size());
  put(out, uint32_t{0});
  return out;
}

Bytes object_file(const CodeObject& code, const std::string& name, const DebugLines& lines) {
  enum : uint16_t { kNull, kText, kFrames, kSymbols, kStrings, kInfo, kAbbrev, kLine, kAll };
  constexpr char kNames[] = "\0.text\0.eh_frame\0.symtab\0.strtab\0.debug_info\0.debug_abbrev\0.debug_line";
  constexpr uint32_t kNameAt[] = {0, 1, 7, 17, 25, 33, 45, 59};
  const uint16_t count = lines.info.empty() ? kInfo : kAll;
  Bytes out(sizeof(Elf64_Ehdr));
  Elf64_Shdr sections[kAll] = {};
  auto section = [&](uint16_t index, uint32_t type, uint64_t flags, const void* bytes, size_t size) {
    align(out, 8);
    Elf64_Shdr& s = sections[index];
    s.sh_name = kNameAt[index];
    s.sh_type = type;
    s.sh_flags = flags;
    s.sh_offset = out.size();
    s.sh_size = size;
    s.sh_addralign = 8;
    if (bytes != nullptr) put(out, bytes, size);
  };
  section(kText, SHT_NOBITS, SHF_ALLOC | SHF_EXECINSTR, nullptr, code.size);
  sections[kText].sh_addr = reinterpret_cast<uint64_t>(code.begin);
  const Bytes frames = frame_info(code);
  section(kFrames, SHT_PROGBITS, SHF_ALLOC, frames.data(), frames.size());
  Bytes strings;
  put(strings, kNames, sizeof kNames);
  Elf64_Sym symbols[2] = {};
  symbols[1].st_name = static_cast<uint32_t>(strings.size());
  symbols[1].st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC);
  symbols[1].st_shndx = kText;
  symbols[1].st_value = 0;  // from the section's begin
  symbols[1].st_size = code.size;
  put(strings, name.c_str(), name.size() + 1);
  section(kSymbols, SHT_SYMTAB, 0, symbols, sizeof symbols);
  sections[kSymbols].sh_link = kStrings;
  sections[kSymbols].sh_info = 2;  // both are local
  sections[kSymbols].sh_entsize = sizeof(Elf64_Sym);
  section(kStrings, SHT_STRTAB, 0, strings.data(), strings.size());
  if (!lines.info.empty()) {
    section(kInfo, SHT_PROGBITS, 0, lines.info.data(), lines.info.size());
    section(kAbbrev, SHT_PROGBITS, 0, lines.abbrev.data(), lines.abbrev.size());
    section(kLine, SHT_PROGBITS, 0, lines.line.data(), lines.line.size());
  }
  align(out, 8);
  const size_t table = out.size();
  put(out, sections, count * sizeof sections[0]);

  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_shoff = table;
  header.e_ehsize = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = count;
  header.e_shstrndx = kStrings;
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

class Gdb final : public Announcer {
 public:
  explicit Gdb(GdbLines lines) : lines_(lines) {}
  ~Gdb() override {
    for (auto& [code, entry] : entries_) unlink(entry.link);
  }
  void added(const CodeObject& code, const std::string& name) override {
    removed(code);  // a space that dies with its code says nothing
    Registered& entry = entries_[&code];
    entry.file = object_file(code, name, lines_ == GdbLines::on ? debug_lines(code, name) : DebugLines());
    // Debuggers find the frames' section where the file lies.
    auto* header = reinterpret_cast<Elf64_Ehdr*>(entry.file.data());
    auto* sections = reinterpret_cast<Elf64_Shdr*>(entry.file.data() + header->e_shoff);
    sections[2].sh_addr = reinterpret_cast<uint64_t>(entry.file.data()) + sections[2].sh_offset;
    entry.link = {__jit_debug_descriptor.first, nullptr, entry.file.data(), entry.file.size()};
    if (entry.link.next != nullptr) entry.link.next->previous = &entry.link;
    __jit_debug_descriptor.first = &entry.link;
    tell(kRegister, &entry.link);
  }
  void removed(const CodeObject& code) override {
    auto found = entries_.find(&code);
    if (found == entries_.end()) return;
    unlink(found->second.link);
    entries_.erase(found);
  }

 private:
  struct Registered {
    JitCodeEntry link;
    Bytes file;
  };
  static void unlink(JitCodeEntry& link) {
    (link.previous != nullptr ? link.previous->next : __jit_debug_descriptor.first) = link.next;
    if (link.next != nullptr) link.next->previous = link.previous;
    tell(kUnregister, &link);
  }
  static void tell(uint32_t action, JitCodeEntry* entry) {
    __jit_debug_descriptor.action = action;
    __jit_debug_descriptor.relevant = entry;
    __jit_debug_register_code();
    __jit_debug_descriptor.action = kNoAction;
    __jit_debug_descriptor.relevant = nullptr;
  }
  const GdbLines lines_;
  std::unordered_map<const CodeObject*, Registered> entries_;
};

}  // namespace

std::unique_ptr<Announcer> make_gdb_announcer(GdbLines lines) {
  if (lines == GdbLines::on) marking_all.store(true, std::memory_order_relaxed);
  return std::make_unique<Gdb>(lines);
}

}  // namespace vmrun::jit
