// Frames of the interpreter for a profiler: see sample.h.
#include "interp/sample.h"

#include "interp/code_store.h"
#include "interp/published.h"
#include "interp/runtime.h"
#include "vm/runtime/store.h"

namespace vmrun::interp {

namespace {

/// Instances whose code is looked through for a cell.
constexpr size_t kMostInstances = 16;

/// Bytes of a source map that are read for an offset: some microseconds. In larger functions the sample stands for the
/// function as a whole.
constexpr uint32_t kMostMap = 4096;

const Translation* find(const vm::Vcpu& cx, const Cell* cell) {
  size_t left = kMostInstances;
  for (const auto& instance : cx.store->instances()) {
    if (left-- == 0) break;
    if (const Translation* t = code_store(*instance->module).find(cell)) return t;
  }
  return nullptr;
}

vm::SampledFrame frame_of(const Translation& t, const Cell* cell) {
  const vm::Module& module = *t.code->module;
  const uint32_t begin = module.funcs[t.func_index].body.begin;
  uint32_t offset = t.map_bytes > kMostMap ? 0 : source_offset(t, static_cast<uint32_t>(cell - t.cells));
  if (offset == 0) offset = begin;
  vm::Samples::get().name(module);
  return {module.number, t.func_index, offset, vm::SampleCode::interp};
}

}  // namespace

bool in_handlers(const void* pc) {
  auto* at = static_cast<const char*>(pc);
  return at >= __start_vmrun_handlers && at < __stop_vmrun_handlers;
}

size_t sample_running(const vm::Vcpu& cx, const void* cell, std::byte* fp, std::span<vm::SampledFrame> out) {
  acquire_cells();
  auto* pc = static_cast<const Cell*>(cell);
  if (reinterpret_cast<uintptr_t>(pc) % alignof(Cell) != 0) return 0;
  const Translation* t = find(cx, pc);
  if (t == nullptr) return 0;
  size_t count = 0;
  out[count++] = frame_of(*t, pc);
  const std::byte* oldest = cx.activation->entry_fp;
  const std::byte* limit = cx.stack_end + vm::kStackRedZone;
  while (count < out.size()) {
    if (fp <= oldest || fp > limit || reinterpret_cast<uintptr_t>(fp) % alignof(Link) != 0) break;
    const Link* link = link_of(fp);
    pc = link->pc == boundary_cell() ? link->outer : link->pc;
    t = find(cx, pc);
    // A call cell, which knows its translation.
    if (t == nullptr || !t->contains(pc + 1) || pc[1].q != t || pc->imm <= 0) break;
    fp -= pc->imm;
    out[count++] = frame_of(*t, pc);
  }
  return count;
}

bool sample_frame(const vm::FrameAt& at, vm::SampledFrame& out) {
  auto* pc = static_cast<const Cell*>(at.pc);
  const auto* t = at.exact ? code_store(*at.instance->module).find(pc) : static_cast<const Translation*>(pc[1].q);
  if (t == nullptr) {
    vm::FrameInfo info;
    const vm::FrameWalk walk(at);
    if (!walk.describe(info)) return false;
    out = vm::sampled(info);
    vm::Samples::get().name(*info.code->module);
    return true;
  }
  out = frame_of(*t, pc);
  return true;
}

}  // namespace vmrun::interp
