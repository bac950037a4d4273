// Answers as bytes.
#include "serve/http_reply.h"

#include "tests/unit/serve/pieces.h"

using namespace vmrun::serve;

namespace {

struct Written {
  std::string head;
  ReplyPlan plan;
};

Written written(std::string_view output, const ReplyContext& context) {
  CgiOutput parser;
  parser.feed(output);
  REQUIRE(parser.state() == CgiOutput::State::Done);
  Written out;
  out.plan = write_head(parser.reply(), context, out.head);
  return out;
}

ReplyContext kept(std::optional<uint64_t> body_bytes = std::nullopt) {
  ReplyContext context;
  context.keep_alive = true;
  context.body_bytes = body_bytes;
  return context;
}

}  // namespace

TEST_CASE("a body's framing: its length where it is known, chunks or the connection's end elsewhere") {
  Written w = written("Content-Type: a/b\nX: 1\nX: 2\n\n", kept(5));
  CHECK(w.head == "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX: 1\r\nX: 2\r\nContent-Length: 5\r\n\r\n");
  CHECK(w.plan.framing == Framing::Length);
  CHECK(w.plan.keep_alive);

  w = written("Status: 404 Gone Fishing\n\n", kept());
  CHECK(w.head == "HTTP/1.1 404 Gone Fishing\r\nTransfer-Encoding: chunked\r\n\r\n");
  CHECK(w.plan.framing == Framing::Chunked);
  CHECK(w.plan.keep_alive);

  ReplyContext old = kept();
  old.minor = 0;
  w = written("Status: 200\n\n", old);
  CHECK(w.head == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
  CHECK(w.plan.framing == Framing::UntilClose);
  CHECK_FALSE(w.plan.keep_alive);
  old.body_bytes = 0;
  w = written("Status: 200\n\n", old);
  CHECK(w.head == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(w.plan.framing == Framing::Length);
  CHECK(w.plan.keep_alive);

  ReplyContext once = kept(0);
  once.keep_alive = false;
  w = written("Location: /x\n\n", once);
  CHECK(w.head == "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  CHECK_FALSE(w.plan.keep_alive);
}

TEST_CASE("the guest's Content-Length never frames a body") {
  CHECK(written("Status: 200\nContent-Length: 9\n\n", kept(5)).head == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  CHECK(written("Status: 200\nContent-Length: 9\n\n", kept()).head ==
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST_CASE("answers without a body") {
  for (std::optional<uint64_t> bytes : {std::optional<uint64_t>(), std::optional<uint64_t>(7)}) {
    Written w = written("Status: 204\nContent-Length: 7\n\n", kept(bytes));
    CHECK(w.head == "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK(w.plan.framing == Framing::None);
    CHECK(w.plan.keep_alive);
    w = written("Status: 304\nContent-Length: 7\n\n", kept(bytes));
    CHECK(w.head == "HTTP/1.1 304 Not Modified\r\n\r\n");
    CHECK(w.plan.framing == Framing::None);
    w = written("Status: 205\n\n", kept(bytes));
    CHECK(w.head == "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n");
    CHECK(w.plan.framing == Framing::None);
  }
  const auto head = [](std::string_view output, std::optional<uint64_t> bytes, uint8_t minor = 1) {
    ReplyContext context = kept(bytes);
    context.head = true;
    context.minor = minor;
    const Written w = written(output, context);
    CHECK(w.plan.framing == Framing::None);
    CHECK(w.plan.keep_alive);
    return w.head;
  };
  CHECK(head("Status: 200\n\n", 5) == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  CHECK(head("Status: 200\nContent-Length: 9\n\n", 5) == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  CHECK(head("Status: 200\nContent-Length: 9\n\n", 0) == "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
  CHECK(head("Status: 200\n\n", 0) == "HTTP/1.1 200 OK\r\n\r\n");
  CHECK(head("Status: 200\nContent-Length: 9\n\n", {}) == "HTTP/1.1 200 OK\r\n\r\n");
  CHECK(head("Status: 200\n\n", {}, 0) == "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
}

TEST_CASE("the server dates an answer unless the guest did") {
  ReplyContext context = kept(0);
  context.date = "Sun, 06 Nov 1994 08:49:37 GMT";
  CHECK(written("Status: 200\n\n", context).head ==
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n");
  CHECK(written("Status: 200\ndate: then\n\n", context).head ==
        "HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 0\r\n\r\n");
}

TEST_CASE("a refusal is an answer of its own") {
  std::string out;
  CHECK_FALSE(write_refusal({431, "too long"}, {}, out));
  CHECK(out ==
        "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 9\r\nConnection: close\r\n\r\ntoo long\n");
  ReplyContext context = kept();
  context.head = true;
  out = "before ";
  CHECK(write_refusal({502, "bad"}, context, out));
  CHECK(out ==
        "before HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\n");
}

TEST_CASE("chunks are written as the decoder reads them") {
  char buffer[18];
  CHECK(chunk_head(1, buffer) == "1\r\n");
  CHECK(chunk_head(0xabc, buffer) == "abc\r\n");
  CHECK(chunk_head(UINT64_MAX, buffer) == "ffffffffffffffff\r\n");
  std::string body;
  for (std::string_view piece : {"one", "and a second piece"}) {
    body.append(chunk_head(piece.size(), buffer)).append(piece).append(kChunkEnd);
  }
  body += kLastChunk;
  CHECK(test::request("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
            .ends_with("<oneand a second piece>"));
}

TEST_CASE("each status has words") {
  CHECK(status_text(200) == "OK");
  CHECK(status_text(505) == "HTTP Version Not Supported");
  CHECK(status_text(299) == "Success");
  CHECK(status_text(499) == "Client Error");
  CHECK(status_text(599) == "Server Error");
  CHECK(status_text(0) == "Unknown");
  CHECK(status_text(600) == "Unknown");
}
