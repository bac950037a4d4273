// vmrun objdump: disassembles an image's functions, with byte offsets and names.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <unordered_set>

#include "tools/commands.h"
#include "tools/image.h"
#include "tools/report.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

struct ObjdumpOptions {
  std::vector<std::string> functions;  // names or indices; empty: all
  bool no_bytes = false;
  Tier tier = Tier::Interp;  // whose machine code is shown; the interpreter's: the image's instructions
};

constexpr OptionRow<ObjdumpOptions> kObjdumpOptions[] = {
    {'f', "function", "NAME|INDEX", "only that function; may be given again",
     [](ObjdumpOptions& o, std::string_view v) -> Result<void> { return o.functions.emplace_back(v), Result<void>(); }},
    {0, "no-bytes", nullptr, "leave out the instructions' bytes",
     [](ObjdumpOptions& o, std::string_view) -> Result<void> { return o.no_bytes = true, Result<void>(); }},
    {0, "tier", "TIER",
     "machine code beneath the instructions it was made of, by that tier: baseline or opt; of a compiled\n"
     "image what it holds, else what the compiler makes now",
     [](ObjdumpOptions& o, std::string_view v) -> Result<void> {
       if (v == "baseline") return o.tier = Tier::Baseline, Result<void>();
       if (v == "opt") return o.tier = Tier::Opt, Result<void>();
       return Error(ErrorKind::Usage, "'" + std::string(v) + "' is neither baseline nor opt");
     }},
};

constexpr size_t kBytesOnALine = 10;

void print_instr(const DisassembledInstr& instr, const ObjdumpOptions& options) {
  std::printf(" %08llx: ", static_cast<unsigned long long>(instr.offset));
  for (size_t i = 0; !options.no_bytes && i < kBytesOnALine; ++i) {
    const bool more = i + 1 == kBytesOnALine && instr.bytes.size() > kBytesOnALine;
    if (more) {
      std::printf(".. ");
    } else if (i < instr.bytes.size()) {
      std::printf("%02x ", instr.bytes[i]);
    } else {
      std::printf("   ");
    }
  }
  std::printf("%*s%s\n", static_cast<int>(2 * instr.depth) + 1, "", instr.text.c_str());
}

/// The byte offset in the image that a line of machine code names behind its ';', as eight hexadecimal digits.
std::optional<uint64_t> offset_in(std::string_view line) {
  const size_t note = line.find(';');
  for (size_t at = note; at < line.size(); ++at) {
    const std::string_view word = line.substr(at, line.find(' ', at) - at);
    if (word.size() == 8 && word.find_first_not_of("0123456789abcdef") == word.npos) {
      return std::strtoull(std::string(word).c_str(), nullptr, 16);
    }
    at = std::min(line.find(' ', at), line.size());
  }
  return std::nullopt;
}

/// Machine code, each piece beneath the instructions it was made of. Where it goes back to an earlier instruction, that
/// one is repeated.
void print_code(const std::string& code, const std::vector<DisassembledInstr>& instrs, const ObjdumpOptions& options) {
  size_t next = 0;  // the first instruction not printed yet
  for (size_t at = 0; at < code.size();) {
    const size_t end = std::min(code.find('\n', at), code.size());
    const std::string_view line = std::string_view(code).substr(at, end - at);
    at = end + 1;
    if (const std::optional<uint64_t> offset = offset_in(line)) {
      const bool again = next != 0 && *offset <= instrs[next - 1].offset;
      for (size_t i = again ? 0 : next; i < instrs.size() && instrs[i].offset <= *offset; ++i) {
        if (!again) next = i + 1;
        if (!again || instrs[i].offset == *offset) print_instr(instrs[i], options);
      }
    }
    std::printf("    %.*s\n", static_cast<int>(line.size()), line.data());
  }
}

/// The names under which functions are exported, by function index and then in the image's order.
class ExportedNames {
 public:
  explicit ExportedNames(const Module& module) {
    for (ExportType& item : module.exports()) {
      if (item.type.kind() == ExternKind::Func) names_.push_back({item.index, names_.size(), std::move(item.name)});
    }
    std::ranges::sort(names_, {}, [](const Name& name) { return std::pair(name.func_index, name.place); });
  }

  struct Name {
    uint32_t func_index;
    size_t place;  // in the image
    std::string text;
  };
  std::span<const Name> of(uint32_t func_index) const {
    const auto found = std::ranges::equal_range(names_, func_index, {}, &Name::func_index);
    return {found.begin(), found.end()};
  }

 private:
  std::vector<Name> names_;
};

std::string export_names(std::span<const ExportedNames::Name> names) {
  std::string out;
  for (const ExportedNames::Name& name : names) {
    out += (out.empty() ? " (export \"" : ", \"") + printable(name.text) + "\"";
  }
  return out.empty() ? out : out + ")";
}

bool wanted(const std::unordered_set<std::string>& functions, const FuncBody& body,
            std::span<const ExportedNames::Name> names) {
  if (functions.empty()) return true;
  return functions.contains(std::string(body.name)) || functions.contains(std::to_string(body.func_index)) ||
         std::ranges::any_of(names, [&](const auto& name) { return functions.contains(name.text); });
}

}  // namespace

std::string objdump_options_help(bool markdown) {
  return markdown ? options_markdown<ObjdumpOptions>(kObjdumpOptions) : options_help<ObjdumpOptions>(kObjdumpOptions);
}

int objdump_command(Args args) {
  ObjdumpOptions options;
  auto parsed = parse<ObjdumpOptions>(kObjdumpOptions, options, args, false);
  if (!parsed) return fail_usage(parsed.error().message, "objdump");
  if (parsed->help) return print_help("objdump");
  if (parsed->positional.size() != 1) return fail_usage("objdump needs one image", "objdump");
  // Only for its machine code does a compiled image have to be this build's. It is looked at, so nothing in it is believed.
  const StoredTrust trust = options.tier == Tier::Interp ? StoredTrust::Image : StoredTrust::Listing;
  auto module = load_image(Engine(), std::string(parsed->positional[0]), trust);
  if (!module) return fail(module.error());

  const ExportedNames exports(*module);
  const std::unordered_set<std::string> functions(options.functions.begin(), options.functions.end());
  size_t printed = 0;
  for (const FuncBody& body : module->functions()) {
    const std::span<const ExportedNames::Name> names = exports.of(body.func_index);
    if (!wanted(functions, body, names)) continue;
    auto instrs = module->disassemble(body.func_index);
    if (!instrs) return fail(instrs.error());
    const std::string name = body.name.empty() ? "" : " <" + printable(body.name) + ">";
    std::printf("%s%08llx func[%u]%s %s%s, %llu bytes:\n", printed++ ? "\n" : "",
                static_cast<unsigned long long>(body.offset), body.func_index, name.c_str(),
                module->function_type(body.func_index).to_string().c_str(), export_names(names).c_str(),
                static_cast<unsigned long long>(body.size));
    if (options.tier == Tier::Interp) {
      for (const DisassembledInstr& instr : *instrs) print_instr(instr, options);
    } else if (auto code = module->disassemble_code(body.func_index, options.tier)) {
      print_code(*code, *instrs, options);
    } else {
      std::printf("  none: %s\n", code.error().message.c_str());
    }
  }
  if (printed == 0 && !options.functions.empty()) {
    return fail(Error(ErrorKind::Usage, "the image has no function of its own called '" + options.functions[0] +
                                            "'; 'vmrun objdump' without --function shows all"));
  }
  return kExitOk;
}

}  // namespace vmrun::tools
