// Runs one command and reports what it cost: `launch SECONDS OUT ERR COMMAND...` starts COMMAND with its output in the
// files OUT and ERR, kills it after SECONDS, and prints one line:
//   <exit status, or -signal, or "timeout"> <wall ns> <user us> <system us> <peak resident KiB>
// A program this small does it, not the script, because a child starts out with its parent's peak memory, and because
// the start of a process is a part of what is measured.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static volatile pid_t child;
static volatile sig_atomic_t late;

static void expire(int signal) {
  (void)signal;
  late = 1;
  kill(-child, SIGKILL);
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: launch SECONDS OUT ERR COMMAND...\n");
    return 2;
  }
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_addopen(&files, 2, argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);

  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = expire;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);

  int64_t start = now();
  pid_t pid;
  int error = posix_spawnp(&pid, argv[4], &files, &attributes, argv + 4, environ);
  if (error != 0) {
    fprintf(stderr, "launch: %s: %s\n", argv[4], strerror(error));
    return 1;
  }
  child = pid;
  alarm((unsigned)atoi(argv[1]));
  int status;
  struct rusage usage;
  if (wait4(pid, &status, 0, &usage) < 0) return 1;
  int64_t wall = now() - start;
  if (late) {
    printf("timeout");
  } else {
    printf("%d", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  }
  printf(" %lld %lld %lld %ld\n", (long long)wall, (long long)usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec,
         (long long)usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec, usage.ru_maxrss);
}
