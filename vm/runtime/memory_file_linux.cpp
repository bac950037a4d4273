// memory_file.h on Linux.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm/runtime/memory_file.h"

namespace vmrun::vm {

int make_memory_file(uint64_t bytes) {
  int file = memfd_create("vmrun data", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file >= 0 && file <= STDERR_FILENO) {  // not where a standard stream would be
    const int low = file;
    file = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(low);
  }
  if (file < 0) return -1;
  if (ftruncate(file, static_cast<off_t>(bytes)) == 0) return file;
  close(file);
  return -1;
}

bool seal_memory_file(int file) {
  return fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0;
}

}  // namespace vmrun::vm
