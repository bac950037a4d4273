#include "interp/careful/careful.h"

#include "interp/careful/build.h"
#include "interp/careful/ir_reads.h"
#include "interp/careful/regalloc.h"
#include "interp/careful/writer.h"
#include "vm/base/assert.h"

namespace vmrun::interp {

using namespace ir;

struct CarefulTranslator::Impl {
  Function function;
  Allocator allocator;
};

CarefulTranslator::CarefulTranslator() : impl_(std::make_unique<Impl>()) {}
CarefulTranslator::~CarefulTranslator() = default;

bool CarefulTranslator::translate(const vm::Module& module, uint32_t func_index, MemoryMode memory0, Draft& draft) {
  Impl& impl = *impl_;
  draft.clear();
  Builder builder(module, impl.function);
  if (!builder.build(func_index, memory0)) return false;
#ifdef VMRUN_ASSERTIONS
  VMRUN_ASSERT(find_type_error(module, impl.function) < 0,
               "i32 values have no upper half where all of a register is read");
#endif
  if (!impl.allocator.run(impl.function)) return false;
  Writer(module, memory0, impl.function, impl.allocator, draft).write();
  return true;
}

}  // namespace vmrun::interp
