// Loop records: which loops a function has, and who frees the records that hang on a module's functions.
#pragma once

#include <span>

#include "vm/blocks/block.h"

namespace vmrun::vm {

class Module;

/// The loops of an own function, found by a walk over its body at the first call; null when there is no memory for the
/// table. Any thread; the first table stands.
LoopTable* loops_of(FuncCode& code);
/// The same without the walk: `offsets` are those of all loops that can be reached, in order.
LoopTable* loops_of(FuncCode& code, std::span<const uint32_t> offsets);

/// The counters of an own function, kTiers of them; null when there is no memory. Any thread; the first ones stand.
TierCounts* counts_of(FuncCode& code);

/// Frees loop tables and counters of all functions. Once, when nothing uses the module's code any more.
void free_block_records(Module& module);

}  // namespace vmrun::vm
