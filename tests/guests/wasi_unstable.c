// The predecessor's module: calls whose numbers or layouts differ, imported by name beside libc's own.
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "wasi_check.h"

#define UNSTABLE(name) __attribute__((import_module("wasi_unstable"), import_name(name)))

UNSTABLE("fd_seek") int unstable_fd_seek(int fd, int64_t offset, int whence, uint64_t* position);
UNSTABLE("fd_filestat_get") int unstable_fd_filestat_get(int fd, void* stat);
UNSTABLE("path_filestat_get") int unstable_path_filestat_get(int fd, int flags, const char* path, size_t n, void* stat);
UNSTABLE("poll_oneoff") int unstable_poll_oneoff(const void* in, void* out, size_t n, size_t* stored);
UNSTABLE("fd_write") int unstable_fd_write(int fd, const void* iovs, size_t n, size_t* written);

struct filestat {
  uint64_t dev, ino;
  uint8_t type;
  uint32_t nlink;
  uint64_t size, atim, mtim, ctim;
};
struct subscription {
  uint64_t userdata;
  uint8_t type;
  uint64_t identifier;
  uint32_t clock;
  uint64_t timeout, precision;
  uint16_t flags;
};
struct event {
  uint64_t userdata;
  uint16_t error;
  uint8_t type;
  uint64_t nbytes;
  uint16_t flags;
};
_Static_assert(sizeof(struct filestat) == 56 && sizeof(struct subscription) == 56 && sizeof(struct event) == 32, "");

int main(void) {
  int fd = open("/f", O_RDWR | O_CREAT | O_TRUNC, 0600);
  CHECK(write(fd, "0123456789", 10) == 10);
  uint64_t at = 0;
  CHECK(unstable_fd_seek(fd, 4, 2, &at) == 0 && at == 4);
  CHECK(unstable_fd_seek(fd, 1, 0, &at) == 0 && at == 5);
  CHECK(unstable_fd_seek(fd, -1, 1, &at) == 0 && at == 9);
  CHECK(unstable_fd_seek(fd, 0, 3, &at) == 28);
  struct filestat st;
  CHECK(unstable_fd_filestat_get(fd, &st) == 0 && st.size == 10 && st.nlink == 1 && st.type == 4);
  memset(&st, 0, sizeof(st));
  CHECK(unstable_path_filestat_get(3, 1, "f", 1, &st) == 0 && st.size == 10);
  struct subscription s = {.userdata = 5, .type = 0, .identifier = 9, .clock = 1, .timeout = 1000000};
  struct event e;
  size_t n = 0;
  CHECK(unstable_poll_oneoff(&s, &e, 1, &n) == 0 && n == 1 && e.userdata == 5 && e.error == 0 && e.type == 0);
  struct {
    const char* p;
    size_t n;
  } iov = {"written by the old name\n", 24};
  CHECK(unstable_fd_write(1, &iov, 1, &n) == 0 && n == 24);
  CHECK(close(fd) == 0 && unlink("/f") == 0);
  return done();
}
