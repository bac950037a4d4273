// A hostile guest that was granted a directory above the cache of code: argv[1] is the cache's folder, argv[2] the folder
// above it, both as the guest sees them. It tries to change an entry, to put one there and to exchange the folder, by every
// call that it has, and prints what succeeded. With "link" as argv[1] it makes a link to argv[2] called argv[3], no more.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int reached;

static void try(const char* what, const char* path, int result) {
  if (result < 0) return;
  printf("reached: %s %s\n", what, path);
  ++reached;
}

static void try_writing(int fd, const char* path) {
  if (fd < 0) return;
  try("open", path, fd);
  try("write", path, (int)write(fd, "\xcc", 1));
  try("truncate", path, ftruncate(fd, 0));
  close(fd);
}

static void attack_file(const char* folder, const char* name, const char* above) {
  char path[1024], out[1024];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  snprintf(out, sizeof out, "%s/out", above);
  try_writing(open(path, O_WRONLY), path);
  try_writing(open(path, O_RDWR), path);
  try_writing(open(path, O_WRONLY | O_TRUNC), path);
  try_writing(open(path, O_WRONLY | O_APPEND), path);
  try_writing(open(path, O_RDWR | O_CREAT, 0500), path);
  try_writing(open(path, O_RDWR | O_CREAT | O_TRUNC, 0500), path);
  try("truncated", path, open(path, O_RDONLY | O_TRUNC));
  if (link(path, out) == 0) {
    try("link", path, 0);
    try_writing(open(out, O_RDWR), out);
    unlink(out);
  }
  try("rename", path, rename(path, out));
  try("unlink", path, unlink(path));
  const struct timespec times[2] = {{1, 0}, {1, 0}};
  try("utimensat", path, utimensat(AT_FDCWD, path, times, 0));
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return;
  try("futimens", path, futimens(fd, times));
  try("write", path, (int)write(fd, "\xcc", 1));
  try("ftruncate", path, ftruncate(fd, 0));
  close(fd);
}

static void attack_folder(const char* folder, const char* above, int dir) {
  char path[1024], mine[1024];
  snprintf(path, sizeof path, "%s/0123456789abcdef0123456789abcdef-0123456789abcdef.code", folder);
  snprintf(mine, sizeof mine, "%s/mine", above);
  const int fd = open(mine, O_RDWR | O_CREAT, 0500);
  if (fd >= 0) close(fd);
  try("open", path, open(path, O_WRONLY | O_CREAT | O_EXCL, 0500));
  try("open", path, open(path, O_WRONLY | O_CREAT, 0500));
  try("rename", path, rename(mine, path));
  try("link", path, link(mine, path));
  try("symlink", path, symlink("x", path));
  try("mkdir", path, mkdir(path, 0700));
  if (dir < 0) return;
  try("openat", "new", openat(dir, "new", O_WRONLY | O_CREAT, 0500));
  try("mkdirat", "new", mkdirat(dir, "new", 0700));
  try("renameat", "new", renameat(AT_FDCWD, mine, dir, "new"));
}

static void exchange(const char* step, const char* above) {
  char out[1024], mine[1024];
  snprintf(out, sizeof out, "%s/out", above);
  snprintf(mine, sizeof mine, "%s/dir", above);
  try("rename", step, rename(step, out));
  try("rmdir", step, rmdir(step));
  try("unlink", step, unlink(step));
  mkdir(mine, 0700);
  try("replace", step, rename(mine, step));
  rmdir(mine);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  if (argc == 4 && strcmp(argv[1], "link") == 0) {
    unlink(argv[3]);
    return symlink(argv[2], argv[3]) == 0 ? 0 : 1;
  }
  const char *folder = argv[1], *above = argv[2];
  char link[1024];
  snprintf(link, sizeof link, "%s/way", above);
  symlink(strrchr(folder, '/') + 1, link);
  const int dir = open(folder, O_RDONLY | O_DIRECTORY);
  const char* ways[] = {folder, link};
  for (int i = 0; i < 2; ++i) {
    DIR* list = opendir(ways[i]);
    if (list == NULL) continue;
    char names[16][256];
    int count = 0;
    for (struct dirent* e; count < 16 && (e = readdir(list)) != NULL;) {
      if (e->d_name[0] != '.') snprintf(names[count++], sizeof names[0], "%s", e->d_name);
    }
    closedir(list);
    printf("%d entries\n", count);
    for (int n = 0; n < count; ++n) {
      attack_file(ways[i], names[n], above);
      if (dir < 0) continue;
      try("openat", names[n], openat(dir, names[n], O_RDWR));
      try("unlinkat", names[n], unlinkat(dir, names[n], 0));
      try("renameat", names[n], renameat(dir, names[n], dir, "x"));
    }
    attack_folder(ways[i], above, dir);
  }
  exchange(folder, above);
  // The guest's own memory is not at stake: this is that of the process, if it was granted.
  try_writing(open("/proc/self/mem", O_RDWR), "/proc/self/mem");
  try("read", "/proc/self/mem", open("/proc/self/mem", O_RDONLY));
  unlink(link);
  printf("reached %d\n", reached);
  return 0;
}
