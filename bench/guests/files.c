// Reading and writing files in the current directory: streams, raw reads and writes at offsets, directory listings,
// renames and removals. Leaves nothing behind.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/guest.h"

static int fail(const char* what) {
  perror(what);
  return 1;
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 60);
  uint64_t seed = 2, hash = 0;
  static char block[65536];
  for (long round = 0; round < rounds; round++) {
    if (mkdir("files.guest", 0777) != 0) return fail("mkdir");
    FILE* out = fopen("files.guest/lines", "w");
    if (!out) return fail("fopen for writing");
    for (int i = 0; i < 8000; i++) fprintf(out, "%d %llu\n", i, (unsigned long long)(guest_random(&seed) >> 20));
    if (fclose(out) != 0) return fail("fclose");

    FILE* in = fopen("files.guest/lines", "r");
    if (!in) return fail("fopen for reading");
    char line[64];
    while (fgets(line, sizeof line, in)) hash = guest_mix(hash, strtoull(strchr(line, ' '), NULL, 10));
    fclose(in);

    int fd = open("files.guest/raw", O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (fd < 0) return fail("open");
    for (int i = 0; i < 24; i++) {
      memset(block, (int)(guest_random(&seed) & 255), sizeof block);
      if (write(fd, block, sizeof block) != (ssize_t)sizeof block) return fail("write");
    }
    for (int i = 0; i < 800; i++) {
      off_t at = (off_t)(guest_random(&seed) % (24 * sizeof block - 16));
      if (pread(fd, block, 16, at) != 16) return fail("pread");
      hash = guest_mix_bytes(hash, block, 16);
      if (i % 4 == 0 && pwrite(fd, &hash, 8, at) != 8) return fail("pwrite");
    }
    if (lseek(fd, -64, SEEK_END) < 0 || read(fd, block, 64) != 64) return fail("lseek and read");
    hash = guest_mix_bytes(hash, block, 64);
    if (ftruncate(fd, 1000) != 0) return fail("ftruncate");
    struct stat st;
    if (fstat(fd, &st) != 0) return fail("fstat");
    hash = guest_mix(hash, (uint64_t)st.st_size);
    close(fd);

    for (int i = 0; i < 30; i++) {
      snprintf(line, sizeof line, "files.guest/small.%d", i);
      fd = open(line, O_WRONLY | O_CREAT | O_EXCL, 0666);
      if (fd < 0 || write(fd, line, strlen(line)) < 0 || close(fd) != 0) return fail(line);
    }
    if (rename("files.guest/raw", "files.guest/renamed") != 0) return fail("rename");
    DIR* directory = opendir("files.guest");
    if (!directory) return fail("opendir");
    uint64_t names = 0;  // a sum, for the order is the file system's
    for (struct dirent* e; (e = readdir(directory));) {
      if (e->d_name[0] != '.') names += guest_mix_bytes(0, e->d_name, strlen(e->d_name));
    }
    closedir(directory);
    hash = guest_mix(hash, names);
    for (int i = 0; i < 30; i++) {
      snprintf(line, sizeof line, "files.guest/small.%d", i);
      if (stat(line, &st) != 0 || unlink(line) != 0) return fail(line);
      hash = guest_mix(hash, (uint64_t)st.st_size);
    }
    if (unlink("files.guest/renamed") != 0 || unlink("files.guest/lines") != 0) return fail("unlink");
    if (rmdir("files.guest") != 0) return fail("rmdir");
  }
  guest_report("files", hash);
}
