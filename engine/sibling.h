// Instances for further threads of a program.
#pragma once

#include "vm/runtime/instance.h"
#include "vm/runtime/store.h"
#include "vmrun/base/result.h"

namespace vmrun::engine {

/// Makes in `to` another instance of the module of `from`, an instance of another store that the calling thread uses, with
/// the same imports: host functions, shared memories, constants. What it owns is its own. Its start function is still to
/// be run. Errors: Link (it imports what one store alone can have), and those of instantiation.
Result<vm::Instance*> make_sibling(vm::Store& to, const vm::Instance& from);

}  // namespace vmrun::engine
