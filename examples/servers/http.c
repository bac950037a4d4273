// An HTTP server for thousands of connections in one guest: nothing waits but poll_oneoff, for all of them at once.
//
//   clang-22 --target=wasm32-wasi -Wno-deprecated --sysroot=/usr -O2 -o http.wasm http.c
//   vmrun -S tcplisten=127.0.0.1:8080 http.wasm & curl localhost:8080/this
//
// WASI is called by its own names (wasi/api.h): poll() of the C library would put its arrays on the stack. The
// subscriptions stay from call to call, one for each connection.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

enum { kListener = 3, kMost = 16 * 1024, kRequest = 4096, kAnswer = 1024 };

typedef struct {
  int fd;
  size_t at;          // its place in waits
  size_t have;        // bytes of a request that is not complete yet
  size_t left, sent;  // bytes of an answer that could not be written at once, and how many of them were
  int ends;           // after the answer
  char request[kRequest];
  char answer[kAnswer];
} Connection;

static __wasi_subscription_t waits[kMost + 1];  // the listener's, then the connections'
static __wasi_event_t events[kMost + 1];
static Connection* connections[kMost + 1];  // by their places in waits; the listener has none
static size_t count;                        // of connections
static Connection* idle;                    // one that ended last, for the next

static void set_wait(size_t at, Connection* c) {
  connections[at] = c;
  waits[at].userdata = (uintptr_t)c;
  waits[at].u.tag = c != NULL && c->left != 0 ? __WASI_EVENTTYPE_FD_WRITE : __WASI_EVENTTYPE_FD_READ;
  waits[at].u.u.fd_read.file_descriptor = c != NULL ? (__wasi_fd_t)c->fd : kListener;  // fd_write has it there, too
  if (c != NULL) c->at = at;
}

static void add(int fd) {
  Connection* c = idle != NULL ? idle : malloc(sizeof *c);
  idle = NULL;
  if (c == NULL) {
    (void)__wasi_fd_close((__wasi_fd_t)fd);
    return;
  }
  c->fd = fd;
  c->have = c->left = c->sent = 0;
  c->ends = 0;
  set_wait(++count, c);
}

static void drop(Connection* c) {
  (void)__wasi_fd_close((__wasi_fd_t)c->fd);
  if (c->at != count) set_wait(c->at, connections[count]);  // the last one moves to its place
  --count;
  if (idle == NULL) {
    idle = c;
  } else {
    free(c);
  }
}

static void accept_all(void) {
  while (count < kMost) {
    __wasi_fd_t fd;
    if (__wasi_sock_accept(kListener, __WASI_FDFLAGS_NONBLOCK, &fd) != __WASI_ERRNO_SUCCESS) return;
    add((int)fd);
  }
}

// Writes what is left of the answer. 0: the connection is over.
static int send_answer(Connection* c) {
  const __wasi_ciovec_t part = {(const uint8_t*)c->answer + c->sent, c->left};
  size_t written = 0;
  const __wasi_errno_t error = __wasi_fd_write((__wasi_fd_t)c->fd, &part, 1, &written);
  if (error != __WASI_ERRNO_SUCCESS && error != __WASI_ERRNO_AGAIN) return 0;
  c->sent += written;
  c->left -= written;
  if (c->left == 0) c->sent = 0;
  return c->left != 0 || !c->ends;
}

// Answers the request that ends at `end`.
static void answer(Connection* c, const char* end) {
  char method[8] = "", path[256] = "", body[300];
  int minor = 0;
  const int known = sscanf(c->request, "%7s %255s HTTP/1.%d", method, path, &minor) == 3 && strcmp(method, "GET") == 0;
  const int size =
      snprintf(body, sizeof body, known ? "Hello %s %s\n" : "This server knows GET alone.\n", method, path);
  c->ends = !known || minor == 0 || strstr(c->request, "\r\nConnection: close") != NULL;
  c->left = (size_t)snprintf(
      c->answer, sizeof c->answer, "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n%s",
      known ? "200 OK" : "501 Not Implemented", size, c->ends ? "Connection: close\r\n" : "", body);
  c->have -= (size_t)(end - c->request);
  memmove(c->request, end, c->have);
}

// Reads, and answers what is complete. 0: the connection is over.
static int serve(Connection* c) {
  if (c->left == 0) {
    const __wasi_iovec_t room = {(uint8_t*)c->request + c->have, kRequest - 1 - c->have};
    size_t n = 0;
    const __wasi_errno_t error = __wasi_fd_read((__wasi_fd_t)c->fd, &room, 1, &n);
    if (error == __WASI_ERRNO_AGAIN) return 1;
    if (error != __WASI_ERRNO_SUCCESS || n == 0) return 0;  // it has ended, or sends a head that is too long
    c->have += n;
  } else if (!send_answer(c)) {
    return 0;
  }
  for (;;) {
    c->request[c->have] = 0;
    char* end = strstr(c->request, "\r\n\r\n");
    if (c->left != 0 || end == NULL) return 1;
    end[2] = 0;
    answer(c, end + 4);
    if (!send_answer(c)) return 0;
  }
}

int main(void) {
  // Accepting does not wait from here on.
  if (__wasi_fd_fdstat_set_flags(kListener, __WASI_FDFLAGS_NONBLOCK) != __WASI_ERRNO_SUCCESS) {
    fprintf(stderr, "descriptor %d is no listening socket: vmrun -S tcplisten=ADDRESS\n", kListener);
    return 1;
  }
  set_wait(0, NULL);
  for (;;) {
    size_t ready = 0;
    if (__wasi_poll_oneoff(waits, events, count + 1, &ready) != __WASI_ERRNO_SUCCESS) return 1;
    int arrivals = 0;
    for (size_t i = 0; i < ready; ++i) {
      Connection* c = (Connection*)(uintptr_t)events[i].userdata;
      if (c == NULL) {
        arrivals = 1;
      } else if (!serve(c)) {
        drop(c);
      } else {
        set_wait(c->at, c);
      }
    }
    if (arrivals) accept_all();
  }
}
