// What a guest learns of a request.
#include "serve/cgi.h"

#include "tests/unit/serve/pieces.h"

using namespace vmrun::serve;
using namespace vmrun::serve::test;

namespace {

struct Environment {
  Refusal refusal;
  std::vector<Variable> variables;

  /// The variable's value; "(none)" where there is none, "(twice)" where there are two.
  std::string operator[](std::string_view name) const {
    std::string out = "(none)";
    for (const Variable& variable : variables) {
      if (variable.name == name) out = out == "(none)" ? variable.value : "(twice)";
    }
    return out;
  }
};

const CgiServer kServer{
    .software = "server/1", .name = "[::1]", .port = 8080, .remote_addr = "127.0.0.1", .body_bytes = {}};

Environment environment(std::string_view head, const CgiServer& server = kServer) {
  RequestParser parser;
  parser.feed(head);
  REQUIRE(parser.state() == RequestParser::State::Done);
  Environment out;
  out.refusal = cgi_variables(parser.request(), server, out.variables);
  return out;
}

}  // namespace

TEST_CASE("the variables of a request") {
  const Environment get = environment("GET /a%2Fb%20c/../+?x=%31&y HTTP/1.1\r\nHost: h:81\r\n\r\n");
  std::string all;
  for (const Variable& variable : get.variables) all += variable.name + "=" + variable.value + "\n";
  CHECK(all ==
        "GATEWAY_INTERFACE=CGI/1.1\nSERVER_SOFTWARE=server/1\nSERVER_NAME=h\nSERVER_PORT=8080\n"
        "SERVER_PROTOCOL=HTTP/1.1\nREMOTE_ADDR=127.0.0.1\nREQUEST_METHOD=GET\nSCRIPT_NAME=\nPATH_INFO=/a/b c/../+\n"
        "QUERY_STRING=x=%31&y\nHTTP_HOST=h:81\n");

  const Environment old = environment("POST / HTTP/1.0\r\nContent-Type: a/b\r\ncontent-length: 007\r\n\r\n");
  CHECK(old["SERVER_PROTOCOL"] == "HTTP/1.0");
  CHECK(old["SERVER_NAME"] == "[::1]");
  CHECK(old["QUERY_STRING"].empty());
  CHECK(old["CONTENT_LENGTH"] == "7");
  CHECK(old["CONTENT_TYPE"] == "a/b");
  CHECK(old["HTTP_HOST"] == "(none)");
  CHECK(old["HTTP_CONTENT_LENGTH"] == "(none)");
  CHECK(old["HTTP_CONTENT_TYPE"] == "(none)");

  const Environment all_paths = environment("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n");
  CHECK(all_paths["PATH_INFO"].empty());
  CHECK(all_paths["SERVER_NAME"] == "[::1]");
  const Environment absolute = environment("GET http://[::2]:5/ HTTP/1.1\r\nHost: other\r\n\r\n");
  CHECK(absolute["HTTP_HOST"] == "[::2]:5");
  CHECK(absolute["SERVER_NAME"] == "[::2]");
}

TEST_CASE("a chunked body has a length when it was read before") {
  const std::string_view head = "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(environment(head)["CONTENT_LENGTH"] == "(none)");
  CgiServer server = kServer;
  server.body_bytes = 12;
  CHECK(environment(head, server)["CONTENT_LENGTH"] == "12");
  CHECK(environment("GET / HTTP/1.1\r\nHost: h\r\n\r\n", server)["CONTENT_LENGTH"] == "(none)");
}

TEST_CASE("fields become variables") {
  const Environment e = environment(
      "GET / HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nx-one: 2\r\nCookie: a=b\r\nX-One:\r\ncookie: c=d\r\nProxy: evil\r\n"
      "pROXY: evil\r\nX_One: evil\r\nX.Y: evil\r\nX+Z: evil\r\nx9: nine\r\nAuthorization: Basic eA==\r\n"
      "Connection: close, x\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\n"
      "Expect: 100-continue\r\nProxy-Authorization: p\r\n\r\n");
  CHECK(e["HTTP_X_ONE"] == "1, 2, ");
  CHECK(e["HTTP_COOKIE"] == "a=b; c=d");
  CHECK(e["HTTP_X9"] == "nine");
  CHECK(e["HTTP_AUTHORIZATION"] == "Basic eA==");
  CHECK(e["HTTP_PROXY_AUTHORIZATION"] == "p");
  for (const Variable& variable : e.variables) {
    CAPTURE(variable.name);
    CHECK(variable.value.find("evil") == std::string::npos);
  }
  for (const char* name : {"HTTP_PROXY", "HTTP_CONNECTION", "HTTP_KEEP_ALIVE", "HTTP_PROXY_CONNECTION", "HTTP_TE",
                           "HTTP_TRAILER", "HTTP_UPGRADE", "HTTP_EXPECT"}) {
    CAPTURE(std::string(name));
    CHECK(e[name] == "(none)");
  }
}

TEST_CASE("a path is decoded once, or refused") {
  CHECK(*decode_path("/%41%2f%2F%25%34%31+") == "/A//%41+");
  CHECK(*decode_path("/%ff%C3%A4") == "/\xff\xc3\xa4");
  for (const char* bad : {"/%", "/%4", "/%4g", "/%g4", "/%%41", "/%00", "/a%00b", "/%-1", "/%u0041"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(decode_path(bad));
    const Environment e = environment("GET " + std::string(bad) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(e.refusal.status == 400);
    CHECK(e.variables.empty());
  }
  CHECK_FALSE(decode_path(std::string_view("\0", 1)));
}
