// The machine code of small modules, compared with the code that is kept beneath their text: tests/disas/*.wat. With
// VMRUN_BLESS set it is written there instead, and the difference is for git to show and for people to judge.
//
// What is kept does not change where code moves: addresses are labels, distances to constants are left out, and so are
// instructions that do nothing. Behind ';' stands the instruction that the code was made of, where that changes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "jit/compiler.h"
#include "jit/plugin.h"
#include "tests/support/ok.h"
#include "vm/wasm/disasm.h"
#include "vm/wasm/module.h"
#include "vmrun/vmrun.h"

namespace vmrun::test {
namespace {

/// Optimised code is for this processor, whatever the machine is.
const std::string kProcessor = "x86-64-v3";

constexpr const char* kDense = ";; memory: dense\n";       // in a text: memories have no guard pages
constexpr const char* kCalls = ";; calls: not inlined\n";  // in a text
constexpr std::string_view kTierNames[] = {"baseline", "opt"};

/// What begins the expected code of a tier.
std::string head(std::string_view tier) { return ";; === " + std::string(tier) + "\n"; }

/// A file's text, and the expected code beneath it by tier.
struct Expected {
  std::filesystem::path path;
  std::string text;
  std::map<std::string_view, std::string> code;

  explicit Expected(std::filesystem::path file) : path(std::move(file)) {
    std::ifstream in(path);
    std::string* into = &text;
    for (std::string line; std::getline(in, line);) {
      line += '\n';
      const auto* tier = std::ranges::find_if(kTierNames, [&](std::string_view name) { return line == head(name); });
      if (tier != std::end(kTierNames)) {
        into = &code[*tier];
      } else {
        *into += line;
      }
    }
  }
  void write() const {
    std::ofstream out(path);
    out << text;
    for (std::string_view tier : kTierNames) {
      if (code.contains(tier)) out << head(tier) << code.at(tier);
    }
  }
};

struct Line {
  uint32_t pc = 0;
  std::string text;  // mnemonic and operands
  bool jumps = false;
  uint32_t target = 0;  // of a direct jump or call
};

/// The disassembler's lines. `pc` and `target` are distances from the code's begin.
std::vector<Line> lines_of(const std::string& listing) {
  std::vector<Line> lines;
  std::istringstream in(listing);
  for (std::string text; std::getline(in, text);) {
    Line line;
    line.pc = static_cast<uint32_t>(std::strtoul(text.c_str(), nullptr, 16));
    text.erase(0, text.find_first_not_of(" \t", text.find(':') + 1));
    std::ranges::replace(text, '\t', ' ');
    const size_t operand = text.find(' ') + 1;
    line.jumps = (text[0] == 'j' || text.starts_with("call")) && text.compare(operand, 2, "0x") == 0;
    if (line.jumps) {
      line.target = static_cast<uint32_t>(std::strtoul(text.c_str() + operand, nullptr, 16));
      text.erase(operand);
    }
    // Where the constants lie depends on how long the code is.
    if (const size_t at = text.find("[rip "); at != text.npos) {
      text.replace(at, text.find(']', at) - at, "[rip + constant");
    }
    line.text = std::move(text);
    lines.push_back(std::move(line));
  }
  return lines;
}

bool does_nothing(const Line& line) { return line.text.find("nop") != line.text.npos; }

/// The places that something leads to, named in their order.
class Labels {
 public:
  Labels(const jit::CompiledCode& code, const std::vector<Line>& lines) {
    for (const Line& line : lines) {
      if (line.jumps) names_[line.target];
    }
    for (const jit::PadMark& pad : code.pads) names_[pad.pad];
    size_t count = 0;
    for (auto& [pc, name] : names_) name = "L" + std::to_string(count++);
    for (const jit::OsrEntry& osr : code.osr) names_[osr.pc] = "entry_of_loop";
    names_[code.entry] = "entry";
  }
  /// The label at `pc`, or "".
  std::string at(uint32_t pc) const {
    const auto found = names_.find(pc);
    return found == names_.end() ? "" : found->second;
  }

 private:
  std::map<uint32_t, std::string> names_;
};

std::string render(const vm::Module& module, uint32_t func, const jit::CompiledCode& code, const std::string& listing) {
  std::map<uint32_t, std::string> instructions;  // by their offset in the image
  auto read = [&](uint32_t index, const std::string& note) {
    for (const vm::DisasmLine& line : vm::disassemble(module, index)) instructions[line.offset] = line.text + note;
  };
  for (const jit::InlinedPlace& place : code.inlined) {
    read(place.func_index, " (inlined func " + std::to_string(place.func_index) + ")");
  }
  read(func, "");
  const std::vector<Line> lines = lines_of(listing);
  const Labels labels(code, lines);
  std::string out;
  uint32_t last = 0;
  for (const Line& line : lines) {
    if (const std::string label = labels.at(line.pc); !label.empty()) out += ";; " + label + ":\n";
    if (does_nothing(line)) continue;
    std::string text = ";;   " + line.text + (line.jumps ? labels.at(line.target) : "");
    std::string note;
    const uint32_t place = code.place_at(line.pc, false);
    const uint32_t offset = code.offset_of(place);
    if (place != last && instructions.contains(offset)) note = " " + instructions[offset];
    last = place;
    for (const jit::PadMark& pad : code.pads) {
      if (pad.return_pc == line.pc) note += " (throws to " + labels.at(pad.pad) + ")";
    }
    if (!note.empty()) {
      text.resize(std::max<size_t>(text.size(), 56), ' ');
      text += " ;" + note;
    }
    out += text + '\n';
  }
  return out;
}

/// The code that a tier makes of a function, as it is kept.
std::string code_of(jit::Compiler& compiler, const jit::Plugin& plugin, const vm::Module& module, uint32_t func,
                    Inlining inlining) {
  jit::CompileRequest request;
  request.module = &module;
  request.func_index = func;
  request.every_mark = true;
  request.processor = &kProcessor;
  request.inlining = inlining;
  request.check_merges = false;  // in all builds alike
  const jit::CompileResult result = compiler.compile(request);
  if (result.status != jit::CompileResult::Status::done) return ";; none: " + result.reason + '\n';
  const std::string listing = plugin.disassemble(result.code.bytes.data(), result.code.text, 0);
  return render(module, func, result.code, listing);
}

std::string code_of(jit::Compiler& compiler, const jit::Plugin& plugin, const Expected& expected) {
  Config config;
  config.tiers = Tiers::Interp;  // nothing is compiled but what is looked at
  config.dense_memory = expected.text.find(kDense) != std::string::npos;
  const Inlining inlining = expected.text.find(kCalls) != std::string::npos ? Inlining::Off : Inlining::On;
  const std::string image = VMRUN_IMAGES "/" + expected.path.stem().string() + ".wasm";
  const Module module = ok(Module::compile_file(Engine(config), image));
  std::string out;
  for (const FuncBody& body : module.functions()) {
    out += ";; func " + std::to_string(body.func_index);
    for (const ExportType& item : module.exports()) {
      if (item.type.kind() == ExternKind::Func && item.index == body.func_index) out += " \"" + item.name + '"';
    }
    out += '\n' + code_of(compiler, plugin, *module.impl(), body.func_index, inlining);
  }
  return out;
}

/// The first lines that differ, each with its number.
std::string difference(const std::string& expected, const std::string& found) {
  std::istringstream a(expected), b(found);
  std::string x, y;
  for (int line = 1;; ++line) {
    const bool more_a = !std::getline(a, x).fail(), more_b = !std::getline(b, y).fail();
    if (!more_a && !more_b) return "";
    if (!more_a || !more_b || x != y) {
      return "line " + std::to_string(line) + " of its code\n  expected: " + (more_a ? x : "(its end)") +
             "\n  found:    " + (more_b ? y : "(its end)");
    }
  }
}

void compare(std::string_view tier, jit::Compiler& compiler, const jit::Plugin& plugin) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(VMRUN_SOURCE "/tests/disas")) {
    if (entry.path().extension() == ".wat") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  REQUIRE_FALSE(files.empty());
  const bool bless = std::getenv("VMRUN_BLESS") != nullptr;
  for (const std::filesystem::path& file : files) {
    Expected expected(file);
    const std::string found = code_of(compiler, plugin, expected);
    if (bless) {
      expected.code[tier] = found;
      expected.write();
    } else {
      INFO(file.filename().string(), ": ", difference(expected.code[tier], found),
           "\n  If the new code is better, write it there: VMRUN_BLESS=1 ctest -R disas");
      const bool same = expected.code[tier] == found;
      CHECK(same);
    }
  }
}

const jit::Plugin& plugin() {
  std::string why;
  const jit::Plugin* loaded = jit::load_plugin(&why);
  if (loaded == nullptr) FAIL(why);
  return *loaded;
}

TEST_CASE("baseline code is what is kept beneath its text") {
  compare("baseline", *jit::make_baseline_compiler(), plugin());  // the disassembler is the plug-in's
}

TEST_CASE("optimised code is what is kept beneath its text") { compare("opt", *plugin().compiler, plugin()); }

}  // namespace
}  // namespace vmrun::test
