// Directories through libc: making, listing, seeking in listings, renaming, removing, links, and no way out.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wasi_check.h"

static int by_name(const void* a, const void* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

/// The names in `path` but "." and "..", sorted and joined by spaces.
static const char* list(const char* path) {
  static char out[4096];
  char* names[64];
  int n = 0;
  DIR* d = opendir(path);
  if (d == NULL) return "?";
  for (struct dirent* e; (e = readdir(d)) != NULL;) {
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) names[n++] = strdup(e->d_name);
  }
  closedir(d);
  qsort(names, (size_t)n, sizeof(names[0]), by_name);
  out[0] = 0;
  for (int i = 0; i < n; ++i) {
    if (i != 0) strcat(out, " ");
    strcat(out, names[i]);
    free(names[i]);
  }
  return out;
}

static void touch(const char* path) {
  int fd = open(path, O_WRONLY | O_CREAT, 0600);
  CHECK(fd >= 0 && close(fd) == 0);
}

static void making(void) {
  CHECK(mkdir("/d", 0755) == 0);
  FAILS(mkdir("/d", 0755), EEXIST);
  FAILS(mkdir("/x/y", 0755), ENOENT);
  CHECK(mkdir("/d/e", 0755) == 0 && mkdir("/d/f", 0755) == 0);
  touch("/d/one");
  touch("/d/two");
  CHECK(strcmp(list("/d"), "e f one two") == 0);
  FAILS(rmdir("/d"), ENOTEMPTY);
  FAILS(rmdir("/d/one"), ENOTDIR);
  FAILS(unlink("/d/e"), EISDIR);
  CHECK(rmdir("/d/f") == 0);
  CHECK(strcmp(list("/d"), "e one two") == 0);
  FAILS(opendir("/d/one"), ENOTDIR);
  FAILS(opendir("/nowhere"), ENOENT);
}

static void renaming(void) {
  CHECK(rename("/d/one", "/d/e/uno") == 0);
  CHECK(strcmp(list("/d/e"), "uno") == 0);
  CHECK(rename("/d/e", "/d/g") == 0);
  CHECK(strcmp(list("/d"), "g two") == 0);
  FAILS(rename("/d/two", "/d/g"), EISDIR);
  FAILS(rename("/d/g", "/d/two"), ENOTDIR);
  FAILS(rename("/d/none", "/d/x"), ENOENT);
  CHECK(rename("/d/two", "/d/g/uno") == 0);
  CHECK(strcmp(list("/d/g"), "uno") == 0);
}

static void links(void) {
  char text[64];
  struct stat st;
  CHECK(symlink("g/uno", "/d/sym") == 0);
  CHECK(readlink("/d/sym", text, sizeof(text)) == 5 && memcmp(text, "g/uno", 5) == 0);
  CHECK(readlink("/d/sym", text, 3) == 3);
  CHECK(lstat("/d/sym", &st) == 0 && S_ISLNK(st.st_mode));
  CHECK(stat("/d/sym", &st) == 0 && S_ISREG(st.st_mode));
  FAILS(open("/d/sym", O_RDONLY | O_NOFOLLOW), ELOOP);
  FAILS(readlink("/d/g", text, sizeof(text)), EINVAL);
  CHECK(link("/d/g/uno", "/d/hard") == 0);
  CHECK(stat("/d/hard", &st) == 0 && st.st_nlink == 2);
  CHECK(symlink("loop", "/d/loop") == 0);
  FAILS(open("/d/loop", O_RDONLY), ELOOP);
  CHECK(symlink("nothing", "/d/dangling") == 0);
  FAILS(open("/d/dangling", O_RDONLY), ENOENT);
  CHECK(strcmp(list("/d"), "dangling g hard loop sym") == 0);
  CHECK(unlink("/d/sym") == 0 && unlink("/d/hard") == 0 && unlink("/d/loop") == 0 && unlink("/d/dangling") == 0);
}

static void escaping(void) {
  CHECK(symlink("../../secret", "/d/out") == 0);
  CHECK(open("/d/out", O_RDONLY) == -1 && (errno == EPERM || errno == ENOTCAPABLE));
  CHECK(open("/../secret", O_RDONLY) == -1);
  CHECK(open("/d/../../secret", O_RDONLY) == -1 && (errno == EPERM || errno == ENOTCAPABLE));
  CHECK(symlink("/etc", "/d/abs") == -1);
  CHECK(rename("/d/g/uno", "/d/../../stolen") == -1);
  CHECK(unlink("/d/out") == 0);
}

static void long_listing(void) {
  char name[64];
  CHECK(mkdir("/many", 0755) == 0);
  for (int i = 0; i < 500; ++i) {
    snprintf(name, sizeof(name), "/many/a-file-with-number-%d", i);
    touch(name);
  }
  DIR* d = opendir("/many");
  CHECK(d != NULL);
  int n = 0;
  long middle = 0;
  char after_middle[64] = "";
  for (struct dirent* e; (e = readdir(d)) != NULL; ++n) {
    if (n == 250) middle = telldir(d);
    if (n == 251) strcpy(after_middle, e->d_name);
  }
  CHECK(n == 502);
  seekdir(d, middle);
  struct dirent* e = readdir(d);
  CHECK(e != NULL && strcmp(e->d_name, after_middle) == 0);
  rewinddir(d);
  for (n = 0; readdir(d) != NULL; ++n) {
  }
  CHECK(n == 502);
  CHECK(closedir(d) == 0);
  for (int i = 0; i < 500; ++i) {
    snprintf(name, sizeof(name), "/many/a-file-with-number-%d", i);
    CHECK(unlink(name) == 0);
  }
  CHECK(rmdir("/many") == 0);
}

int main(void) {
  making();
  renaming();
  links();
  escaping();
  long_listing();
  CHECK(unlink("/d/g/uno") == 0 && rmdir("/d/g") == 0 && rmdir("/d") == 0);
  return done();
}
