// For guest programs that check themselves: CHECK prints what failed; done() ends with "ok" or with status 1.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(condition)                                                                                 \
  do {                                                                                                   \
    errno = 0;                                                                                           \
    if (!(condition)) {                                                                                  \
      printf("%s:%d: %s (errno %d: %s)\n", __FILE_NAME__, __LINE__, #condition, errno, strerror(errno)); \
      ++failures;                                                                                        \
    }                                                                                                    \
  } while (0)

/// A call that must fail with `expected`.
#define FAILS(call, expected)                                                                                        \
  do {                                                                                                               \
    errno = 0;                                                                                                       \
    long result_ = (long)(call);                                                                                     \
    if ((result_ != -1 && result_ != 0) || errno != (expected)) {                                                    \
      printf("%s:%d: %s: result %ld, errno %d (%s) instead of %s\n", __FILE_NAME__, __LINE__, #call, result_, errno, \
             strerror(errno), #expected);                                                                            \
      ++failures;                                                                                                    \
    }                                                                                                                \
  } while (0)

static int done(void) {
  puts(failures == 0 ? "ok" : "failed");
  return failures == 0 ? 0 : 1;
}
