// Clocks, sleeping, polling and random bytes through libc.
#include <poll.h>
#include <sched.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "wasi_check.h"

static long long now(clockid_t id) {
  struct timespec t;
  CHECK(clock_gettime(id, &t) == 0);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(void) {
  struct timespec res;
  CHECK(clock_getres(CLOCK_REALTIME, &res) == 0 && res.tv_sec == 0 && res.tv_nsec > 0);
  CHECK(clock_getres(CLOCK_MONOTONIC, &res) == 0);
  CHECK(now(CLOCK_REALTIME) > 1600000000LL * 1000000000);
  long long before = now(CLOCK_MONOTONIC);
  struct timespec wait = {0, 20000000};
  CHECK(nanosleep(&wait, NULL) == 0);
  long long slept = now(CLOCK_MONOTONIC) - before;
  CHECK(slept >= 19000000);

  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 10000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    ++until.tv_sec;
  }
  CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) == 0);
  CHECK(now(CLOCK_REALTIME) >= until.tv_sec * 1000000000LL + until.tv_nsec);

  struct pollfd out = {STDOUT_FILENO, POLLOUT, 0};
  CHECK(poll(&out, 1, 1000) == 1 && (out.revents & POLLOUT) != 0);

  unsigned char a[256] = {0}, b[256] = {0};
  CHECK(getentropy(a, sizeof(a)) == 0 && getentropy(b, sizeof(b)) == 0);
  CHECK(memcmp(a, b, sizeof(a)) != 0);
  CHECK(sched_yield() == 0);
  return done();
}
