// Checking branch hints; see branch_hints.h.
#include "tools/branch_hints.h"

#include <algorithm>
#include <optional>
#include <span>

namespace vmrun::tools {
namespace {

/// Reads LEB128 numbers of at most 32 bits from the section, remembering whether any was cut short or too long.
class Reader {
 public:
  Reader(std::span<const uint8_t> bytes, uint64_t offset) : bytes_(bytes), start_(offset) {}

  uint32_t u32() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
      if (at_ == bytes_.size()) break;
      const uint8_t byte = bytes_[at_++];
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80 && value <= UINT32_MAX) return static_cast<uint32_t>(value);
    }
    failed_ = true;
    return 0;
  }
  bool failed() const { return failed_; }
  bool at_end() const { return at_ == bytes_.size(); }
  uint64_t offset() const { return start_ + at_; }

 private:
  std::span<const uint8_t> bytes_;
  uint64_t start_;
  size_t at_ = 0;
  bool failed_ = false;
};

Error bad_hint(const char* what, uint64_t offset) {
  return Error(ErrorKind::Malformed, std::string("branch hint: ") + what, offset);
}

bool is_hintable(const DisassembledInstr& instr) {
  return instr.text.starts_with("br_if") || instr.text == "if" || instr.text.starts_with("if ");
}

}  // namespace

Result<uint64_t> check_branch_hints(const Module& module) {
  const auto section = module.custom_section("metadata.code.branch_hint");
  if (!section) return uint64_t{0};
  const std::vector<FuncBody> bodies = module.functions();
  Reader in(section->bytes, section->offset);
  uint64_t hints = 0;
  std::optional<uint32_t> last_func;
  for (uint32_t funcs = in.u32(); funcs > 0 && !in.failed(); --funcs) {
    const uint32_t func = in.u32();
    const auto body = std::ranges::lower_bound(bodies, func, {}, &FuncBody::func_index);
    if (body == bodies.end() || body->func_index != func) return bad_hint("no such function", in.offset());
    if (last_func && func <= *last_func) return bad_hint("functions out of order", in.offset());
    last_func = func;
    auto instrs = module.disassemble(func);
    if (!instrs) return instrs.error();
    std::optional<uint32_t> last_target;
    for (uint32_t count = in.u32(); count > 0 && !in.failed(); --count, ++hints) {
      const uint32_t target = in.u32();
      if (last_target && target <= *last_target) return bad_hint("targets out of order", in.offset());
      last_target = target;
      auto at = std::lower_bound(instrs->begin(), instrs->end(), body->offset + target,
                                 [](const DisassembledInstr& instr, uint64_t offset) { return instr.offset < offset; });
      if (at == instrs->end() || at->offset != body->offset + target || !is_hintable(*at)) {
        return bad_hint("the target is neither if nor br_if", in.offset());
      }
      if (in.u32() != 1 || in.u32() > 1) return bad_hint("a hint must be one byte, 0 or 1", in.offset());
    }
  }
  if (in.failed()) return bad_hint("the section ends too early", in.offset());
  if (!in.at_end()) return bad_hint("bytes are left at the end of the section", in.offset());
  return hints;
}

}  // namespace vmrun::tools
