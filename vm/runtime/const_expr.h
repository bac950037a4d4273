// Constant expressions (spec 3.3.11), evaluated at instantiation over an instance whose imports and function records
// are in place. The expression is valid already.
#pragma once

#include "vm/base/trap.h"
#include "vm/base/value.h"
#include "vm/runtime/instance.h"
#include "vm/wasm/module.h"

namespace vmrun::vm {

/// Evaluates `expr` into out[0] (and out[1] for a v128). Unsupported for what makes a GC object; otherwise None.
TrapCode eval_const(const Instance& instance, ConstExpr expr, Slot out[2]);

}  // namespace vmrun::vm
