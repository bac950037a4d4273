// Answers each connection's one request, and closes it: accepts, reads and writes as any program does, and waits in each.
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
  static const char kAnswer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes";
  for (;;) {
    struct sockaddr peer;
    socklen_t size = sizeof peer;
    const int connection = accept(3, &peer, &size);
    if (connection < 0) return 1;
    char request[4096];
    size_t have = 0;
    for (;;) {
      const ssize_t n = read(connection, request + have, sizeof request - 1 - have);
      if (n <= 0) break;
      have += (size_t)n;
      request[have] = 0;
      if (strstr(request, "\r\n\r\n") == NULL) continue;
      if (write(connection, kAnswer, sizeof kAnswer - 1) != sizeof kAnswer - 1) return 2;
      break;
    }
    close(connection);
  }
}
