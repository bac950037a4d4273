// Counters in the code: see vm/blocks/profile.h. A counter costs three instructions, whose loads nothing waits for.
#include "vm/blocks/profile.h"

#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

/// Leaves the address of the function's counters in `reg`, and the counters' offset from there is returned.
int32_t FunctionCompiler::counters(uint8_t reg, uint32_t offset, vm::ProfileKind kind) {
  const auto word = profile_words_;
  profile_.push_back({offset, kind, word});
  profile_words_ += kind == vm::ProfileKind::target ? 2 : 1;
  const uint32_t record = (request_.func_index - module_->imported_funcs) * layout::func_code::bytes;
  a_.mov(q(reg), at(r13, layout::instance::codes));
  a_.mov(q(reg), at(reg, static_cast<int32_t>(record) + layout::func_code::counts));
  return layout::counts::word(word);
}

void FunctionCompiler::count(uint32_t offset, vm::ProfileKind kind, uint8_t reg) {
  if (!request_.profile) return;
  const int32_t word = counters(reg, offset, kind);
  a_.inc(asmjit::x86::dword_ptr(q(reg), word));
}

/// Between finding the callee and placing the arguments of an indirect call: r14 is about to be the callee's.
void FunctionCompiler::count_target(D& d, uint8_t record) {
  if (!request_.profile) return;
  const int32_t word = counters(r14, static_cast<uint32_t>(d.offset()), vm::ProfileKind::target);
  Mem last = asmjit::x86::dword_ptr(q(r14), word);
  Label same = a_.new_label();
  a_.mov(w(kScratch), at(record, layout::func_record::func_index));
  a_.add(w(kScratch), 1);
  a_.cmp(last, w(kScratch));
  a_.je(same);
  a_.mov(last, w(kScratch));
  a_.inc(asmjit::x86::dword_ptr(q(r14), word + 4));
  a_.bind(same);
}

}  // namespace vmrun::jit::baseline
