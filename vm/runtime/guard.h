// Pages that nobody may touch, inside a mapping.
#pragma once

#include <cstddef>

namespace vmrun::vm {

/// Makes a page of a private writable mapping one that faults. Where the kernel can (Linux 6.13) it is a mark in the page
/// tables, which survives that pages are dropped; elsewhere it becomes a mapping of its own, which costs two of the
/// process's (vm.max_map_count). False: it stays as it is, because the process has no mapping left.
bool guard_page(std::byte* page);

}  // namespace vmrun::vm
