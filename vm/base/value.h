// Guest values as the machine holds them. The definitions are public (vmrun/base/slot.h), because host functions on the fast
// path handle slots themselves; this header gives them their names inside the machine.
#pragma once

#include "vmrun/base/slot.h"

namespace vmrun::vm {

using vmrun::load_v128;
using vmrun::Ref;
using vmrun::Slot;
using vmrun::store_v128;
using vmrun::V128;

}  // namespace vmrun::vm
