// Stretches of a linear memory whose pages are a file's, or large. Each splits a mapping in three, so the number of memories in a process
// that have one is bounded. Threads: any, each memory by one at a time.
#pragma once

#include <cstdint>

#include "vm/runtime/memory.h"

namespace vmrun::vm {

/// Maps `bytes` of a file, from byte `from` on, into the accessible part of a memory, at byte `at`: whole pages, private to
/// the memory. False: this memory can have none, or there are many already; nothing has changed.
bool map_file(MemoryMapping& mapping, uint64_t at, uint64_t bytes, int file, uint64_t from);
/// Asks the system for large pages between two places of a memory's accessible part, wherever one lies between them as a
/// whole. The system may not have them.
void use_large_pages(MemoryMapping& mapping, uint64_t begin, uint64_t end);

/// Counts them no more: the mapping is about to go, with all its pages.
void forget_pages(const MemoryMapping& mapping);
/// Makes them small pages of the process again, all zero. False: the system has no memory for mappings; the mapping is to go.
bool renew_pages(MemoryMapping& mapping);

}  // namespace vmrun::vm
