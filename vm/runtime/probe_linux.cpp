// probe.h by system calls that look at memory before they do anything.
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "vm/runtime/probe.h"

namespace vmrun::vm {

bool is_readable(const std::byte* at) {
  // The mask is read before the kernel sees that there is no such way of changing masks.
  return syscall(SYS_rt_sigprocmask, ~0, at, nullptr, size_t{8}) != 0 && errno != EFAULT;
}

bool is_writable(std::byte* at) {
  // Says of one page, that of a variable here, whether it is in memory: writes one byte.
  static const std::byte here{};
  const auto page = reinterpret_cast<uintptr_t>(&here) & ~uintptr_t{4095};
  if (syscall(SYS_mincore, page, size_t{4096}, at) != 0) return false;
  *at = std::byte{0};
  return true;
}

bool is_mapped(const std::byte* base, uint64_t bytes) {
  // Of memory that is no file's it does nothing but to look whether it is there.
  return bytes == 0 || syscall(SYS_msync, base, bytes, MS_ASYNC) == 0;
}

bool is_all_inaccessible(const std::byte* base, uint64_t bytes) {
  std::FILE* maps = std::fopen("/proc/self/maps", "re");
  if (maps == nullptr) return true;
  const auto begin = reinterpret_cast<uintptr_t>(base);
  bool found = false;
  char line[512];
  while (!found && std::fgets(line, sizeof line, maps) != nullptr) {
    // "from-to rwxp ..."
    char* behind = nullptr;
    const uintptr_t from = std::strtoull(line, &behind, 16);
    if (*behind != '-') continue;
    const uintptr_t to = std::strtoull(behind + 1, &behind, 16);
    if (*behind != ' ') continue;
    found = from < begin + bytes && to > begin && behind[1] != '-';
  }
  std::fclose(maps);
  return !found;
}

}  // namespace vmrun::vm
