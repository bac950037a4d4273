// Accepts one connection on the listener it inherited (descriptor 3) and sends back what it gets in upper case.
#include <ctype.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wasi_check.h"

int main(void) {
  int connection = accept(3, NULL, NULL);
  CHECK(connection > 3);
  char buffer[256];
  for (ssize_t n; (n = recv(connection, buffer, sizeof(buffer), 0)) > 0;) {
    for (ssize_t i = 0; i < n; ++i) buffer[i] = (char)toupper((unsigned char)buffer[i]);
    CHECK(send(connection, buffer, (size_t)n, 0) == n);
  }
  CHECK(shutdown(connection, SHUT_RDWR) == 0 && close(connection) == 0);
  return done();
}
