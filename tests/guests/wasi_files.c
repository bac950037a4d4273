// Files through libc: reading, writing, positions, sizes, times, errors. Works in the directory "/".
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "wasi_check.h"

static void stdio_file(void) {
  FILE* f = fopen("/numbers.txt", "w+");
  CHECK(f != NULL);
  for (int i = 0; i < 10000; ++i) fprintf(f, "%d\n", i * i);
  CHECK(fflush(f) == 0);
  rewind(f);
  long long sum = 0, x;
  while (fscanf(f, "%lld", &x) == 1) sum += x;
  CHECK(sum == 333283335000);
  CHECK(fseek(f, 0, SEEK_END) == 0 && ftell(f) > 80000);
  CHECK(fclose(f) == 0);
}

static void descriptors(void) {
  int fd = open("/data", O_RDWR | O_CREAT | O_EXCL, 0600);
  CHECK(fd > 2);
  FAILS(open("/data", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
  struct iovec out[3] = {{"alpha ", 6}, {"", 0}, {"beta gamma", 10}};
  CHECK(writev(fd, out, 3) == 16);
  CHECK(lseek(fd, 0, SEEK_CUR) == 16);
  CHECK(lseek(fd, -5, SEEK_END) == 11);
  char a[3] = "", b[8] = "";
  struct iovec in[2] = {{a, 2}, {b, 7}};
  CHECK(readv(fd, in, 2) == 5 && memcmp(a, "ga", 2) == 0 && memcmp(b, "mma", 3) == 0);
  CHECK(read(fd, b, 8) == 0);
  CHECK(pread(fd, b, 4, 6) == 4 && memcmp(b, "beta", 4) == 0);
  CHECK(pwrite(fd, "ALPHA", 5, 0) == 5);
  CHECK(lseek(fd, 0, SEEK_CUR) == 16);
  FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
  CHECK(lseek(fd, 100, SEEK_SET) == 100 && write(fd, "!", 1) == 1);
  struct stat st;
  CHECK(fstat(fd, &st) == 0 && st.st_size == 101 && S_ISREG(st.st_mode) && st.st_nlink == 1);
  CHECK(ftruncate(fd, 5) == 0 && fstat(fd, &st) == 0 && st.st_size == 5);
  CHECK(posix_fallocate(fd, 0, 64) == 0 && fstat(fd, &st) == 0 && st.st_size == 64);
  CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0);
  CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
  struct timespec times[2] = {{1000000000, 123456789}, {1000000001, 987654321}};
  CHECK(futimens(fd, times) == 0 && fstat(fd, &st) == 0);
  CHECK(st.st_atim.tv_sec == 1000000000 && st.st_atim.tv_nsec == 123456789);
  CHECK(st.st_mtim.tv_sec == 1000000001 && st.st_mtim.tv_nsec == 987654321);
  CHECK(close(fd) == 0);
  FAILS(close(fd), EBADF);
  FAILS(read(fd, b, 1), EBADF);

  fd = open("/data", O_RDONLY);
  FAILS(write(fd, "x", 1), EBADF);
  CHECK(read(fd, b, 5) == 5 && memcmp(b, "ALPHA", 5) == 0);
  CHECK(close(fd) == 0);
  fd = open("/data", O_WRONLY | O_APPEND);
  FAILS(read(fd, b, 1), EBADF);
  CHECK((fcntl(fd, F_GETFL) & O_APPEND) != 0);
  CHECK(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "end", 3) == 3);
  CHECK(fstat(fd, &st) == 0 && st.st_size == 67);
  CHECK(fcntl(fd, F_SETFL, 0) == 0);
  CHECK(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "beg", 3) == 3);
  CHECK(fstat(fd, &st) == 0 && st.st_size == 67);
  CHECK(close(fd) == 0);
  fd = open("/data", O_RDWR | O_TRUNC);
  CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
  CHECK(close(fd) == 0);
}

static void errors(void) {
  FAILS(open("/missing", O_RDONLY), ENOENT);
  FAILS(open("/missing/file", O_RDONLY), ENOENT);
  FAILS(open("/data/file", O_RDONLY), ENOTDIR);
  FAILS(open("/data/", O_RDONLY), ENOTDIR);
  FAILS(open("/data", O_RDONLY | O_DIRECTORY), ENOTDIR);
  FAILS(open("/", O_RDWR), EISDIR);
  FAILS(unlink("/missing"), ENOENT);
  FAILS(stat("/missing", &(struct stat){0}), ENOENT);
  char name[300];
  memset(name, 'n', sizeof(name));
  name[0] = '/';
  name[299] = 0;
  FAILS(open(name, O_RDONLY), ENAMETOOLONG);
  FAILS(fcntl(99, F_GETFL), EBADF);
}

static void big_file(void) {
  static char block[65536], back[65536];
  int fd = open("/big", O_RDWR | O_CREAT | O_TRUNC, 0600);
  for (unsigned i = 0; i < 64; ++i) {
    memset(block, (int)i, sizeof(block));
    CHECK(write(fd, block, sizeof(block)) == sizeof(block));
  }
  for (unsigned i = 64; i-- > 0;) {
    CHECK(pread(fd, back, sizeof(back), (off_t)i * sizeof(back)) == sizeof(back));
    CHECK(back[0] == (char)i && back[65535] == (char)i);
  }
  CHECK(close(fd) == 0);
}

int main(void) {
  stdio_file();
  descriptors();
  errors();
  big_file();
  CHECK(unlink("/numbers.txt") == 0 && unlink("/data") == 0 && unlink("/big") == 0);
  return done();
}
