// What a program can do through its standard streams beyond reading and writing them. The first argument says what to
// try; results go to the file /report.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>

static FILE* report;

static void tell(const char* what, int result) { fprintf(report, "%s %s\n", what, result == 0 ? "done" : "refused"); }

/// Streams that may be closed.
static void closed(void) {
  char text[8];
  int first = open("/first", O_CREAT | O_WRONLY | O_TRUNC, 0644);
  int second = open("/second", O_CREAT | O_WRONLY | O_TRUNC, 0644);
  int in = read(0, text, sizeof text) < 0 ? errno : 0;
  int out = write(1, "out\n", 4) < 0 ? errno : 0;
  int err = write(2, "err\n", 4) < 0 ? errno : 0;
  struct stat st;
  int stat = fstat(0, &st) < 0 ? errno : 0;
  write(first, "kept\n", 5);
  close(first);
  close(second);
  report = fopen("/report", "w");
  if (report == NULL) exit(1);
  fprintf(report, "in %s out %s err %s stat %s\n", in == EBADF ? "closed" : "open", out == EBADF ? "closed" : "open",
          err == EBADF ? "closed" : "open", stat == EBADF ? "closed" : "open");
}

/// What would change the host's file behind standard output.
static void attack(void) {
  static uint8_t text[] = "guest\n";
  __wasi_ciovec_t v = {text, 6};
  __wasi_filesize_t at;
  __wasi_size_t n;
  tell("flags", __wasi_fd_fdstat_set_flags(1, 0));
  tell("seek", __wasi_fd_seek(1, 0, __WASI_WHENCE_SET, &at));
  tell("size", __wasi_fd_filestat_set_size(1, 3));
  tell("allocate", __wasi_fd_allocate(1, 0, 4096));
  tell("times", __wasi_fd_filestat_set_times(1, 0, 0, __WASI_FSTFLAGS_MTIM));
  tell("pwrite", __wasi_fd_pwrite(1, &v, 1, 0, &n));
  tell("write", __wasi_fd_write(1, &v, 1, &n));
}

static void flags(void) {
  for (int fd = 0; fd < 3; ++fd) {
    tell("nonblock", fcntl(fd, F_SETFL, (fcntl(fd, F_GETFL) & O_APPEND) | O_NONBLOCK));
    fprintf(report, "%s\n", fcntl(fd, F_GETFL) & O_NONBLOCK ? "seen" : "not seen");
  }
}

/// Standard input may be a directory.
static void directory(void) {
  __wasi_fd_t fd;
  char text[64];
  __wasi_size_t n;
  tell("unlink", __wasi_path_unlink_file(0, "victim"));
  tell("mkdir", __wasi_path_create_directory(0, "made"));
  tell("open", __wasi_path_open(0, 0, "victim", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd));
  tell("list", __wasi_fd_readdir(0, (uint8_t*)text, sizeof text, 0, &n));
  tell("read", read(0, text, sizeof text) < 0);
}

/// Prints until it fails.
static int flood(void) {
  while (puts("a line of many") >= 0 && fflush(stdout) == 0) {
  }
  fprintf(stderr, "errno %s\n", errno == EPIPE ? "EPIPE" : strerror(errno));
  return 3;
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "flood") == 0) return flood();
  if (strcmp(what, "closed") == 0) return closed(), 0;
  report = fopen("/report", "w");
  if (report == NULL) return 1;
  if (strcmp(what, "attack") == 0) attack();
  if (strcmp(what, "flags") == 0) flags();
  if (strcmp(what, "directory") == 0) directory();
  fprintf(report, "terminals %d%d%d\n", isatty(0), isatty(1), isatty(2));
  return 0;
}
