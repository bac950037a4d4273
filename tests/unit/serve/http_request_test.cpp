// Heads of requests: what is read out of them, and which are refused.
#include "serve/http_request.h"

#include "serve/request_line.h"
#include "tests/unit/serve/pieces.h"

using namespace vmrun::serve;
using namespace vmrun::serve::test;

TEST_CASE("a request is read out of bytes in any pieces") {
  CHECK(request("GET /a%20b?x=1&y=?2 HTTP/1.1\r\nHost: example.org:8080\r\nAccept: */*\r\nX-Empty:\r\n\r\nnext") ==
        "79: GET path=/a%20b query=x=1&y=?2 authority=example.org:8080 host=example.org 1.1 none keep "
        "[Host=example.org:8080] [Accept=*/*] [X-Empty=] <>");
  CHECK(request("\r\nGET / HTTP/1.0\r\n\r\n") == "20: GET path=/ query= authority= host= 1.0 none <>");
  CHECK(request("M-SEARCH / HTTP/1.9\r\nHost:\r\n\r\n") ==
        "30: M-SEARCH path=/ query= authority= host= 1.1 none keep [Host=] <>");
  CHECK(request("GET / HTTP/1.1\r\nhOST: \t a \t \r\nx: a b\tc\xc3\xa4\r\n\r\n") ==
        "44: GET path=/ query= authority=a host=a 1.1 none keep [hOST=a] [x=a b\tc\xc3\xa4] <>");
  CHECK(request("GET / HTTP/1.1\r\nHost: a\r\n") == "25: more of the head");
  CHECK(request("") == "0: more of the head");
}

TEST_CASE("targets: origin form, absolute form, asterisk") {
  const auto target = [](std::string_view method, std::string_view t) {
    RequestLine line;
    const std::string text = std::string(method) + " " + std::string(t) + " HTTP/1.1";
    const Refusal refusal = parse_request_line(text, line);
    if (refusal) return std::to_string(refusal.status);
    return std::string(line.authority) + " " + std::string(line.path) + " " + std::string(line.query);
  };
  CHECK(target("GET", "/") == " / ");
  CHECK(target("GET", "//a/../b;c=d,e|f@g:h?i?j/{k}") == " //a/../b;c=d,e|f@g:h i?j/{k}");
  CHECK(target("GET", "http://h/p?q") == "h /p q");
  CHECK(target("GET", "HTTP://[::1]:80") == "[::1]:80 / ");
  CHECK(target("GET", "http://h?q") == "h / q");
  CHECK(target("OPTIONS", "http://h:1") == "h:1 * ");
  CHECK(target("OPTIONS", "http://h?") == "h / ");
  CHECK(target("OPTIONS", "*") == " * ");
  for (const char* bad : {"*",           "a",         "http:/h/",     "https://h/",  "ftp://h/",
                          "http://",     "http:///x", "http://u@h/",  "?q",          "http://h:65536/",
                          "http://h:x/", "/a#b",      "/a\\b",        "/a\"b",       "/a<b",
                          "/{",          "/^",        "/`",           "/\t",         "/\xc3\xa4",
                          "/?#",         "/?a<",      "http://[::1/", "http://[g]/", "http://[]/",
                          "http://h%4/"}) {
    CAPTURE(std::string(bad));
    CHECK(target("GET", bad) == "400");
  }
  CHECK(target("CONNECT", "h:80") == "501");
  CHECK(target("CONNECT", "/") == "501");
  CHECK(target(std::string(32, 'M'), "/") == " / ");
  CHECK(target(std::string(33, 'M'), "/") == "501");
}

TEST_CASE("an absolute target outweighs Host, which must be there and be well-formed all the same") {
  CHECK(request("GET http://a:1/x HTTP/1.1\r\nHost: b\r\n\r\n") ==
        "38: GET path=/x query= authority=a:1 host=a 1.1 none keep [Host=b] <>");
  CHECK(status_of(request("GET http://a/ HTTP/1.1\r\n\r\n")) == 400);
  CHECK(status_of(request("GET http://a/ HTTP/1.1\r\nHost: /\r\n\r\n")) == 400);
}

TEST_CASE("the connection is kept as version and Connection say") {
  const auto kept = [](const char* version, const char* fields) {
    const std::string text = "GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n" + fields + "\r\n";
    return request(text).find(" keep ") != std::string::npos;
  };
  CHECK(kept("1.1", ""));
  CHECK_FALSE(kept("1.0", ""));
  CHECK(kept("1.0", "Connection: Keep-Alive\r\n"));
  CHECK_FALSE(kept("1.1", "Connection: CLOSE\r\n"));
  CHECK_FALSE(kept("1.1", "Connection: upgrade, close\r\n"));
  CHECK_FALSE(kept("1.1", "Connection: keep-alive\r\nConnection: ,close\r\n"));
  CHECK_FALSE(kept("1.0", "Connection: keep-alive, close\r\n"));
  CHECK(kept("1.1", "Connection: closed\r\n"));
}

TEST_CASE("a client that waits for 100 Continue has a body to send and speaks 1.1") {
  const auto waits = [](const char* version, const char* fields) {
    const std::string text =
        "PUT / HTTP/" + std::string(version) + "\r\nHost: a\r\nExpect: 100-Continue\r\n" + fields + "\r\n";
    return request(text).find(" expect ") != std::string::npos;
  };
  CHECK(waits("1.1", "Content-Length: 1\r\n"));
  CHECK(waits("1.1", "Transfer-Encoding: chunked\r\n"));
  CHECK_FALSE(waits("1.1", "Content-Length: 0\r\n"));
  CHECK_FALSE(waits("1.1", ""));
  CHECK_FALSE(waits("1.0", "Content-Length: 1\r\n"));
}

TEST_CASE("where the body ends") {
  const auto with = [](const std::string& fields) { return request("POST / HTTP/1.1\r\nHost: a\r\n" + fields); };
  const std::string start = "POST path=/ query= authority=a host=a 1.1 ";
  CHECK(with("Content-Length: 3\r\n\r\nabcd") == "50: " + start + "length 3 keep [Host=a] [Content-Length=3] <abc>");
  CHECK(with("Content-Length: 003 , 3\r\ncontent-length: 3\r\n\r\nabcd") ==
        "75: " + start + "length 3 keep [Host=a] [Content-Length=003 , 3] [content-length=3] <abc>");
  CHECK(with("Content-Length: 3\r\n\r\nab") ==
        "49: " + start + "length 3 keep [Host=a] [Content-Length=3] <ab> more of the body");
  CHECK(with("Content-Length: 0\r\n\r\nGET") == "47: " + start + "length 0 keep [Host=a] [Content-Length=0] <>");
  CHECK(with("Transfer-Encoding: \tChunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET") ==
        "69: " + start + "chunked keep [Host=a] [Transfer-Encoding=Chunked] <ab>");
}

TEST_CASE("refused heads, each with its status") {
  struct Row {
    int status;
    const char* bytes;
  };
  // In a head that ends nowhere the refusal comes before the end.
  const Row rows[] = {
      // The request line.
      {400, "GET /\r\n"},
      {400, "GET\r\n"},
      {400, " GET / HTTP/1.1\r\n"},
      {400, "GET  / HTTP/1.1\r\n"},
      {400, "GET /  HTTP/1.1\r\n"},
      {400, "GET / HTTP/1.1 \r\n"},
      {400, "GET\t/ HTTP/1.1\r\n"},
      {400, "GET / x HTTP/1.1\r\n"},
      {400, "G(T / HTTP/1.1\r\n"},
      {400, "GET / http/1.1\r\n"},
      {400, "GET / HTTP/1\r\n"},
      {400, "GET / HTTP/11\r\n"},
      {400, "GET / HTTP/1.10\r\n"},
      {400, "GET / HTTP/+.1\r\n"},
      {400, "GET / XTTP/1.1\r\n"},
      {505, "GET / HTTP/0.9\r\n"},
      {505, "GET / HTTP/2.0\r\n"},
      {505, "PRI * HTTP/2.0\r\n"},
      {501, "CONNECT a:80 HTTP/1.1\r\n"},
      {400, "\r\n\r\n"},
      {400, "\x16"},
      {400, "GET / HTTP/1.1\n"},
      {400, "GET / HTTP/1.1\rX"},
      {400, "GET / HTTP/1.1\r\r\n"},
      {400, "GET /\x7f"},
      // Lines of the header.
      {400, "GET / HTTP/1.1\r\n Host: a\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\n b\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\n\tb: c\r\n"},
      {400, "GET / HTTP/1.1\r\nHost : a\r\n"},
      {400, "GET / HTTP/1.1\r\nHost\t: a\r\n"},
      {400, "GET / HTTP/1.1\r\nHost\r\n"},
      {400, "GET / HTTP/1.1\r\n: a\r\n"},
      {400, "GET / HTTP/1.1\r\nX\xc3\xa4: a\r\n"},
      {400, "GET / HTTP/1.1\r\nX[1]: a\r\n"},
      {400, "GET / HTTP/1.1\r\nX: a\n"},
      {400, "GET / HTTP/1.1\r\nX: a\rY: b\r\n"},
      {400, "GET / HTTP/1.1\r\nX: a\x01"},
      {400, "GET / HTTP/1.1\r\nX: a\x0b"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\n\n"},
      // Host.
      {400, "GET / HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {400, "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n"},
      // Content-Length.
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \"1\"\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1.0\r\n\r\n"},
      {413, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108865\r\n\r\n"},
      {413, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n"},
      {413, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999999\r\n\r\n"},
      // Transfer-Encoding.
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"},
      {400, "GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"},
      {501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
      {501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , chunked\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked chunked\r\n\r\n"},
      // Expect.
      {417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n"},
      {417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n"},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.bytes));
    const std::string got = request(row.bytes);
    CAPTURE(got);
    CHECK(status_of(got) == row.status);
  }
  CHECK(status_of(request(std::string_view("GET / HTTP/1.1\r\nX: a\0b\r\n", 24))) == 400);
}

TEST_CASE("a head may be as long as its limits and no longer") {
  const std::string line = "GET /" + std::string(20, 'x') + " HTTP/1.1\r\n";
  const std::string fields = "Host: a\r\nA: b\r\n";
  const std::string head = line + fields + "\r\n";
  RequestLimits limits;
  limits.line_bytes = static_cast<uint32_t>(line.size());
  limits.head_bytes = static_cast<uint32_t>(head.size());
  limits.fields = 2;
  CHECK(status_of(request(head, limits)) == 0);
  CHECK(request(head, limits).starts_with(std::to_string(head.size()) + ": GET"));

  RequestLimits less = limits;
  less.line_bytes -= 1;
  CHECK(request(head, less) == std::to_string(line.size() - 1) + ": 414 the request line is too long");
  less = limits;
  less.head_bytes -= 1;
  CHECK(request(head, less) == std::to_string(head.size() - 1) + ": 431 the head is too long");
  less.head_bytes = 10;
  CHECK(request(head, less) == "10: 414 the request line is too long");
  less.head_bytes = 0;
  CHECK(request(head, less) == "0: 414 the request line is too long");
  less = limits;
  less.fields = 1;
  CHECK(request(head, less) == std::to_string(head.size() - 2) + ": 431 there are too many header fields");
  less = limits;
  less.body_bytes = 5;
  less.head_bytes = 1000;
  const std::string start = line + "Host: a\r\nContent-Length: ";
  CHECK(status_of(request(start + "5\r\n\r\n", less)) == 0);
  CHECK(status_of(request(start + "6\r\n\r\n", less)) == 413);
}

TEST_CASE("requests follow one another on a connection") {
  RequestParser parser;
  CHECK(parser.idle());
  const std::string_view bytes = "GET /1 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n\r\nGET /2 HTTP/1.0\r\n\r\n\r\n";
  const size_t first = parser.feed(bytes);
  REQUIRE(parser.state() == RequestParser::State::Done);
  CHECK_FALSE(parser.idle());
  CHECK(parser.request().path == "/1");
  CHECK(parser.request().find("x")->value == "y");
  CHECK(parser.request().find("z") == nullptr);
  CHECK(parser.feed(bytes.substr(first)) == 0);
  parser.reset();
  CHECK(parser.idle());
  const size_t second = parser.feed(bytes.substr(first));
  REQUIRE(parser.state() == RequestParser::State::Done);
  CHECK(parser.request().path == "/2");
  CHECK(parser.request().minor == 0);
  CHECK(parser.request().fields.empty());
  CHECK(first + second + 2 == bytes.size());
  parser.reset();
  CHECK(parser.feed("\r\n") == 2);
  CHECK(parser.idle());
  CHECK(parser.feed("G") == 1);
  CHECK_FALSE(parser.idle());
}
