// What compiled code must not contain, read from its text: addresses of this process, arguments on the stack, and in
// tier 2 polls and counters in loops.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "jit/plugin.h"
#include "tests/unit/jit/guest.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

struct Line {
  uint32_t pc;
  std::string text;                // mnemonic and operands
  std::optional<uint64_t> target;  // of a direct jump or call
};

bool begins(const std::string& text, const char* with) { return text.rfind(with, 0) == 0; }

/// The lines of code whose first byte is at address 0.
std::vector<Line> text_of(const std::byte* code, size_t size) {
  std::string why;
  const jit::Plugin* plugin = jit::load_plugin(&why);
  if (plugin == nullptr) FAIL(why);
  std::istringstream in(plugin->disassemble(code, size, 0));
  std::vector<Line> lines;
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(':');
    const size_t from = line.find_first_not_of(" \t", colon + 1);
    Line out{static_cast<uint32_t>(std::strtoul(line.c_str(), nullptr, 16)), line.substr(from), {}};
    for (char& c : out.text) c = c == '\t' ? ' ' : c;
    const size_t operand = out.text.find(' ') + 1;
    if ((out.text[0] == 'j' || begins(out.text, "call")) && out.text.compare(operand, 2, "0x") == 0) {
      out.target = std::strtoull(out.text.c_str() + operand, nullptr, 16);
    }
    lines.push_back(std::move(out));
  }
  REQUIRE_FALSE(lines.empty());
  return lines;
}

std::vector<Line> text_of(const jit::CompiledCode& code) { return text_of(code.bytes.data(), code.text); }

/// The addresses that mean something to this process.
class Mappings {
 public:
  Mappings() {
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return;  // its shadow memory is mapped wherever a constant may point
#endif
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      char* dash;
      const uint64_t begin = std::strtoull(line.c_str(), &dash, 16);
      ranges_.push_back({begin, std::strtoull(dash + 1, nullptr, 16)});
    }
  }
  bool contain(uint64_t address) const {
    for (const auto& [begin, end] : ranges_) {
      if (address >= begin && address < end) return true;
    }
    return false;
  }

 private:
  std::vector<std::pair<uint64_t, uint64_t>> ranges_;
};

/// The part in brackets of a memory operand, or "".
std::string operand(const std::string& text) {
  const size_t open = text.find('[');
  return open == std::string::npos ? "" : text.substr(open + 1, text.find(']') - open - 1);
}

/// Numbers in an instruction's operands.
std::vector<uint64_t> numbers(const std::string& text) {
  std::vector<uint64_t> out;
  for (size_t i = 1; i < text.size(); ++i) {
    if (std::isdigit(static_cast<unsigned char>(text[i])) == 0 ||
        std::isalnum(static_cast<unsigned char>(text[i - 1])) != 0) {
      continue;
    }
    char* end;
    out.push_back(std::strtoull(text.c_str() + i, &end, 0));
    i = static_cast<size_t>(end - text.c_str());
  }
  return out;
}

/// Nothing in the code means something in this process alone, or leads out of it; no argument lies on the stack.
void check_common(const jit::CompiledCode& code, const std::vector<Line>& lines, const Mappings& mappings) {
  for (const Line& line : lines) {
    INFO(line.pc << ": " << line.text);
    const std::string memory = operand(line.text);
    if (begins(line.text, "movabs")) {
      for (uint64_t n : numbers(line.text)) CHECK_FALSE(mappings.contain(n));
    }
    if (line.target) {
      CHECK(*line.target < code.text);
    } else if (!memory.empty() && !begins(line.text, "lea")) {
      // A base register, not an address alone or with an index.
      CHECK(std::isalpha(static_cast<unsigned char>(memory[0])) != 0);
    }
    // Above the frame are the saved rbp and the return address; an argument would follow.
    if (begins(memory, "rbp + ")) CHECK(std::strtoul(memory.c_str() + 6, nullptr, 0) < 16);
    if (begins(line.text, "push")) CHECK(line.text == "push rbp");
  }
  // Behind the instructions: constants and jump tables, which must not hold addresses either.
  for (size_t at = code.text; at + 8 <= code.bytes.size(); ++at) {
    uint64_t word;
    std::memcpy(&word, code.bytes.data() + at, sizeof word);
    CHECK_FALSE(mappings.contain(word));
  }
}

/// The innermost loops: [first, last] lines from a jump's target to the jump, with no other such jump inside.
std::vector<std::pair<size_t, size_t>> loops(const std::vector<Line>& lines) {
  std::vector<std::pair<size_t, size_t>> out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].target || lines[i].text[0] != 'j') continue;
    const uint64_t pc = *lines[i].target;
    if (pc > lines[i].pc) continue;
    size_t first = i;
    while (first > 0 && lines[first].pc > pc) --first;
    out.push_back({first, i});
  }
  return out;
}

struct Compiled {
  jit::CompiledCode code;
  std::string name;
};

struct Subject {
  Engine engine{interpreted()};
  Module module = fixture(engine, "jit_text");
  const vm::Module& image = *module.impl();

  std::vector<Compiled> compile(jit::Compiler& compiler) {
    std::vector<Compiled> out;
    for (uint32_t i = image.imported_funcs; i < image.funcs.size(); ++i) {
      jit::CompileRequest request;
      request.module = &image;
      request.func_index = i;
      jit::CompileResult result = compiler.compile(request);
      INFO(image.func_label(i) << ": " << result.reason);
      REQUIRE(result.status == jit::CompileResult::Status::done);
      out.push_back({std::move(result.code), image.func_label(i)});
    }
    return out;
  }
};

}  // namespace

TEST_CASE("baseline code: no absolute address, no pushed argument") {
  Subject subject;
  const Mappings mappings;
  const auto compiler = jit::make_baseline_compiler();
  for (const Compiled& c : subject.compile(*compiler)) {
    CAPTURE(c.name);
    check_common(c.code, text_of(c.code), mappings);
  }
}

TEST_CASE("optimised code: no absolute address, no pushed argument, no poll and no counter in a loop") {
  Subject subject;
  std::string why;
  jit::Compiler* compiler = jit::load_opt_compiler(&why);
  if (compiler == nullptr) FAIL(why);
  const std::vector<Compiled> all = subject.compile(*compiler);
  const Mappings mappings;
  size_t found = 0;
  for (const Compiled& c : all) {
    CAPTURE(c.name);
    const std::vector<Line> lines = text_of(c.code);
    check_common(c.code, lines, mappings);
    for (const auto& [first, last] : loops(lines)) {
      bool calls = false;
      for (size_t i = first; i <= last; ++i) calls |= begins(lines[i].text, "call");
      ++found;
      for (size_t i = first; i <= last; ++i) {
        INFO(lines[i].pc << ": " << lines[i].text);
        const std::string memory = operand(lines[i].text);
        // A poll compares rsp with the limit, or reads the vCPU; only calls have business with that.
        CHECK_FALSE(begins(lines[i].text, "cmp rsp"));
        CHECK(lines[i].text.find(", rsp") == std::string::npos);
        if (!calls) CHECK(memory.find("r12") == std::string::npos);
        // A counter is changed in memory, by a constant; the guests here add only what is in registers.
        const size_t comma = lines[i].text.rfind(", ");
        const bool in_memory = lines[i].text.find('[') < comma;
        const bool by_constant =
            comma == std::string::npos || std::isdigit(static_cast<unsigned char>(lines[i].text[comma + 2])) != 0;
        for (const char* change : {"inc ", "dec ", "add ", "sub ", "lock "}) {
          CHECK_FALSE((begins(lines[i].text, change) && in_memory && by_constant));
        }
      }
    }
  }
  CHECK(found >= 4);
}

// Trampolines are made anew in each process, and hold the addresses of cells and functions of theirs.
TEST_CASE("trampolines: no argument on the stack") {
  Subject subject;
  for (uint32_t i = 0; i < subject.image.funcs.size(); ++i) {
    const jit::Trampolines* made = jit::trampolines(subject.image.func_type(i));
    REQUIRE(made != nullptr);
    CAPTURE(subject.image.func_label(i));
    for (const Line& line :
         text_of(made->object->begin, made->object->text != 0 ? made->object->text : made->object->size)) {
      INFO(line.pc << ": " << line.text);
      const std::string memory = operand(line.text);
      if (begins(memory, "rbp + ") && !begins(line.text, "lea")) {
        CHECK(std::strtoul(memory.c_str() + 6, nullptr, 0) < 16);
      }
      // Of what is passed in registers only what has to outlive the guest is kept: registers that the host's compiler
      // wants back, where results go, who called. Never an immediate or a value from memory.
      if (begins(line.text, "push")) {
        CHECK(line.text.size() <= sizeof "push r15" - 1);
        CHECK(line.text[5] == 'r');
      }
    }
  }
}
