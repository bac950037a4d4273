// Bodies: chunks and lengths, limits, and what could hide a request in a body.
#include "serve/http_body.h"

#include "tests/unit/serve/pieces.h"

using namespace vmrun::serve;
using namespace vmrun::serve::test;

namespace {

/// What is made of a chunked body, in all ways: its data, then why it was refused or what is missing.
std::string chunked(const std::string& body, const BodyLimits& limits = {}) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string text = request(head + body, {}, limits);
  const size_t used = std::stoul(text) - head.size();
  return std::to_string(used) + " " + text.substr(text.find('<'));
}

}  // namespace

TEST_CASE("chunks come out as one body") {
  CHECK(chunked("0\r\n\r\n") == "5 <>");
  CHECK(chunked("3\r\nabc\r\n0\r\n\r\nGET") == "13 <abc>");
  CHECK(chunked("3\r\nabc\r\n00A\r\n0123\r\n6789\r\n000\r\n\r\n") == "32 <abc0123\r\n6789>");
  CHECK(chunked("1;a\r\nx\r\n1 ; a=\"b;c\" ;d\r\ny\r\n0;z\r\n\r\n") == "34 <xy>");
  CHECK(chunked("1\r\nx\r\n0\r\nA: b\r\nc:\r\n\r\n.") == "21 <x>");
  CHECK(chunked("1\r\nx\r\n0\r\nA: b\r\n") == "15 <x> more of the body");
  CHECK(chunked("1\r\nx") == "4 <x> more of the body");
}

TEST_CASE("refused chunks") {
  struct Row {
    int status;
    const char* body;
  };
  const Row rows[] = {
      {400, "\r\n"},
      {400, "x\r\n"},
      {400, " 1\r\n"},
      {400, "+1\r\n"},
      {400, "-1\r\n"},
      {400, "0x1\r\n"},
      {400, "1_0\r\n"},
      {400, ";a\r\n"},
      {400, "1\n"},
      {400, "1 \r\n"},
      {400, "1\rx"},
      {400, "1\r\r\n"},
      {400, "1;a\n"},
      {400, "1;a\rb\r\n"},
      {400, "1;a\x01"},
      {400, "1 2\r\n"},
      {400, "1,2\r\n"},
      {400, "1\r\nxy"},
      {400, "1\r\nx\n"},
      {400, "1\r\nx\rx"},
      {400, "00000000000000001\r\n"},
      {413, "4000001\r\n"},
      {413, "ffffffffffffffff\r\n"},
      {413, "10000000000000000\r\n"},
      {400, "0\r\n\n"},
      {400, "0\r\n\rx"},
      {400, "0\r\n a: b\r\n"},
      {400, "0\r\n:b\r\n"},
      {400, "0\r\na b: c\r\n"},
      {400, "0\r\na : c\r\n"},
      {400, "0\r\na\r\n"},
      {400, "0\r\na: b\n"},
      {400, "0\r\na: b\rc\r\n"},
      {400, "0\r\na: \x7f\r\n"},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.body));
    const std::string got = chunked(row.body);
    CAPTURE(got);
    CHECK(got.find("> " + std::to_string(row.status) + " ") != std::string::npos);
  }
  CHECK(chunked(std::string("1;\0\r\n", 5)).find("> 400 ") != std::string::npos);
}

TEST_CASE("a body may be as long as its limits and no longer") {
  BodyLimits limits;
  limits.body_bytes = 20;
  const std::string most = "a\r\n0123456789\r\na\r\n0123456789\r\n";
  CHECK(chunked(most + "0\r\n\r\n", limits) == "35 <01234567890123456789>");
  CHECK(chunked(most + "1\r\nx\r\n0\r\n\r\n", limits) == "31 <01234567890123456789> 413 the body is too long");
  CHECK(chunked("15\r\n", limits) == "2 <> 413 the body is too long");
  CHECK(chunked("a\r\n0123456789\r\nb\r\n", limits) == "16 <0123456789> 413 the body is too long");
  limits.body_bytes = 0;
  CHECK(chunked("0\r\n\r\n", limits) == "5 <>");
  CHECK(chunked("1\r\n", limits) == "1 <> 413 the body is too long");
  limits.body_bytes = UINT64_MAX;
  CHECK(chunked("ffffffffffffffff\r\n", limits) == "18 <> more of the body");
  CHECK(chunked("1\r\nx\r\nffffffffffffffff\r\n", limits) == "22 <x> 413 the body is too long");

  limits = {};
  limits.extension_bytes = 4;
  CHECK(chunked("1;a\r\nx\r\n0;b\r\n\r\n", limits) == "15 <x>");
  CHECK(chunked("1;a\r\nx\r\n0;bc\r\n\r\n", limits) == "12 <x> 413 the extensions of chunks are too long");
  CHECK(chunked("1    ;\r\n", limits) == "6 <> 413 the extensions of chunks are too long");
  limits = {};
  limits.trailer_bytes = 8;
  CHECK(chunked("0\r\na:bc\r\n\r\n", limits) == "11 <>");
  CHECK(chunked("0\r\na:bcd\r\n\r\n", limits) == "12 <> 431 the trailer is too long");
}

TEST_CASE("a body with a length is handed out as it is, and no byte more") {
  BodyDecoder empty(BodyKind::Length, 0);
  CHECK(empty.done());
  CHECK(empty.decode("x").taken == 0);
  BodyDecoder none(BodyKind::None, 5);
  CHECK(none.done());

  const std::string_view input = "abcdef";
  BodyDecoder body(BodyKind::Length, 5);
  BodyDecoder::Step step = body.decode(input.substr(0, 2));
  CHECK(step.taken == 2);
  CHECK(step.data.data() == input.data());
  CHECK(step.data == "ab");
  CHECK_FALSE(body.done());
  step = body.decode(input.substr(2));
  CHECK(step.taken == 3);
  CHECK(step.data == "cde");
  CHECK(body.done());
  CHECK(body.total() == 5);

  BodyLimits limits;
  limits.body_bytes = 4;
  BodyDecoder long_one(BodyKind::Length, 5, limits);
  CHECK(long_one.refusal().status == 413);
  CHECK(long_one.decode(input).taken == 0);
  CHECK_FALSE(BodyDecoder(BodyKind::Length, 4, limits).refusal());
}
