// An echo server in the plainest way: it accepts a connection, gives back what comes until that ends, and takes the next.
//
//   clang-22 --target=wasm32-wasi -Wno-deprecated --sysroot=/usr -O2 -o echo.wasm echo.c
//   vmrun --instances 100 -S tcplisten=127.0.0.1:7000 echo.wasm
//
// It serves one connection at a time, so a hundred instances serve a hundred: all of them accept from the same socket, and
// wait without a thread. The socket is descriptor 3, the first one behind the standard streams.
#include <sys/socket.h>
#include <unistd.h>

static int write_all(int fd, const char* bytes, size_t size) {
  while (size != 0) {
    const ssize_t written = write(fd, bytes, size);
    if (written < 0) return -1;
    bytes += written;
    size -= (size_t)written;
  }
  return 0;
}

int main(void) {
  static char buffer[64 * 1024];
  for (;;) {
    struct sockaddr peer;
    socklen_t size = sizeof peer;
    const int connection = accept(3, &peer, &size);
    if (connection < 0) return 1;
    for (;;) {
      const ssize_t n = read(connection, buffer, sizeof buffer);
      if (n <= 0 || write_all(connection, buffer, (size_t)n) != 0) break;
    }
    close(connection);
  }
}
