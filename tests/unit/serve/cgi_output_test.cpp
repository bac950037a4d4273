// What guests answer: what is read out of it, and what is no answer.
#include "serve/cgi_output.h"

#include "tests/unit/serve/pieces.h"

using namespace vmrun::serve;
using namespace vmrun::serve::test;

TEST_CASE("an answer is read out of bytes in any pieces") {
  CHECK(output("Content-Type: text/plain\n\nbody\r\n\n") == "26: 200  [Content-Type=text/plain] <body\r\n\n>");
  CHECK(output("content-type:a/b\r\nSTATUS: 404 Not Here \r\nX: 1\nX: 2\r\n\r\n") ==
        "54: 404 Not Here [content-type=a/b] [X=1] [X=2] <>");
  CHECK(output("Status: 204\n\n") == "13: 204  <>");
  CHECK(output("Status: 599 \t\n\n\n") == "15: 599  <\n>");
  CHECK(output("Location: /x?y#z\n\n") == "18: 302  [Location=/x?y#z] <>");
  CHECK(output("Location: http://a/\nStatus: 301\n\n") == "33: 301  [Location=http://a/] <>");
  CHECK(output("Content-Type: a/b\nContent-Length: 012\nSet-Cookie: a\nSet-Cookie: b\n\nx") ==
        "67: 200  [Content-Type=a/b] [Set-Cookie=a] [Set-Cookie=b] length 12 <x>");
  CHECK(output("Status: 200\nConnection: close\nKeep-Alive: 1\nProxy-Connection: x\nTE: x\nTrailer: x\n"
               "Transfer-Encoding: chunked\nUpgrade: x\nDate: now\n\n") == "130: 200  [Date=now] <>");
}

TEST_CASE("what is no answer is refused with 502") {
  for (const char* bad : {
           "",
           "\n",
           "\r\n\r\n",
           "Content-Type: a/b",
           "Content-Type: a/b\n",
           "Content-Type: a/b\r\n\r",
           "Hello\n\n",
           "HTTP/1.1 200 OK\r\n\r\n",
           "X: y\n\n",
           "Content-Length: 1\n\nx",
           "Content-Type: a/b\n folded\n\n",
           " Content-Type: a/b\n\n",
           "Content-Type : a/b\n\n",
           ": a\nStatus: 200\n\n",
           "Status: 200\nX\xc3\xa4: y\n\n",
           "Status: 200\nX: a\rSet-Cookie: b\n\n",
           "Status: 200\r\r\n\n",
           "Status: 200\nX: \x1b[1m\n\n",
           "Status: 200\nX: \x7f\n\n",
           "Status:\n\n",
           "Status: 20\n\n",
           "Status: 2000\n\n",
           "Status: 200OK\n\n",
           "Status: OK\n\n",
           "Status: +20\n\n",
           "Status: 100\n\n",
           "Status: 101 Switching Protocols\n\n",
           "Status: 199\n\n",
           "Status: 600\n\n",
           "Status: 000\n\n",
           "Status: 200\nstatus: 200\n\n",
           "Location:\n\n",
           "Location: /a b\n\n",
           "Location: /\xc3\xa4\n\n",
           "Location: /a\nLocation: /a\n\n",
           "Content-Type: a/b\ncontent-type: a/b\n\n",
           "Content-Type: a/b\nContent-Length: x\n\n",
           "Content-Type: a/b\nContent-Length:\n\n",
           "Content-Type: a/b\nContent-Length: -1\n\n",
           "Content-Type: a/b\nContent-Length: 1, 1\n\n",
           "Content-Type: a/b\nContent-Length: 1\nContent-Length: 1\n\n",
       }) {
    CAPTURE(std::string(bad));
    const std::string got = output(bad);
    CAPTURE(got);
    CHECK(got.find(": 502 ") != std::string::npos);
    CHECK_FALSE(got.ends_with(": 502 "));
  }
  CHECK(output(std::string_view("Status: 200\nX: a\0\n\n", 19)).find(": 502 ") != std::string::npos);
}

TEST_CASE("an answer's head may be as long as its limits and no longer") {
  const std::string_view bytes = "Status: 200\nX: y\n\nbody";
  OutputLimits limits;
  limits.head_bytes = 18;
  limits.fields = 2;
  CHECK(output(bytes, limits) == "18: 200  [X=y] <body>");
  limits.head_bytes = 17;
  CHECK(output(bytes, limits) == "17: 502 the guest's header is too long");
  limits.head_bytes = 100;
  limits.fields = 1;
  CHECK(output(bytes, limits) == "17: 502 the guest wrote too many header lines");
}
