#include "tools/streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace vmrun::tools {

void occupy_closed_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is `fd`: those below it are open or have just been occupied. O_PATH names the directory
    // and gives access to nothing.
    if (open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) != fd) _exit(1);
  }
}

}  // namespace vmrun::tools
