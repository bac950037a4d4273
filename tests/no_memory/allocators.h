// Allocators that count, and fail when they are told to. They stand for operator new and, by the linker's --wrap, for
// malloc and its kin where our own code calls them.
#pragma once

#include <cstdint>

namespace vmrun::test {

/// From now on counts allocations from 1 and fails number `first` and, if `all_after`, those that follow. 0: none fails.
void fail_allocation(uint64_t first, bool all_after);
/// How many there were since; an allocation that failed counts too.
uint64_t allocations();
/// Blocks in use now, whenever they were allocated.
int64_t live_blocks();

}  // namespace vmrun::test
