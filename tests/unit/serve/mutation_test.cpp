// Random changes to good and bad messages: whatever the bytes are, the pieces in which they come make no difference, and
// what is accepted keeps the promises of the headers.
#include "serve/cgi.h"
#include "serve/http_reply.h"
#include "tests/unit/serve/pieces.h"

using namespace vmrun::serve;
using namespace vmrun::serve::test;

namespace {

constexpr size_t kMostBytes = 400;

const std::vector<std::string> kRequests = {
    "GET /a%20b?x=1 HTTP/1.1\r\nHost: example.org:80\r\nConnection: keep-alive, x\r\n\r\n",
    "\r\nOPTIONS * HTTP/1.0\r\nCookie: a\r\nCookie: b\r\n\r\n",
    "POST http://[::1]:80/p HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: "
    "u\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\nContent-Length: 2\r\n\r\n",
};
const std::vector<std::string> kOutputs = {
    "Content-Type: text/plain\nX-A: b\n\nbody\n",
    "Status: 404 Not Found\r\nContent-Length: 3\r\n\r\nabc",
    "Location: /elsewhere\nSet-Cookie: a\nConnection: close\n\n",
};
const std::vector<std::string> kWords = {
    "\r\n",
    "\n",
    "\r",
    " ",
    ":",
    ",",
    ";",
    "0",
    "ffffffffffffffff",
    "chunked",
    "Content-Length: 1\r\n",
    "%00",
    "%",
    "Transfer-Encoding: chunked\r\n",
    "Host: a\r\n",
    "\t",
    "HTTP/1.1",
    "Status: 200\n",
    "\xff",
    "[",
    "]",
    "*",
    "http://",
};

void mutate(std::string& text, std::mt19937_64& random) {
  for (uint64_t n = 1 + random() % 4; n > 0; --n) {
    const size_t at = text.empty() ? 0 : random() % text.size();
    const size_t size = random() % 12;
    const std::string& word = kWords[random() % kWords.size()];
    switch (random() % 6) {
      case 0: text.erase(at, size); break;
      case 1: text.insert(at, word); break;
      case 2: text.replace(std::min(at, text.size()), std::min(word.size(), text.size() - at), word); break;
      case 3: text.insert(at, text.substr(at, size)); break;
      case 4: text.insert(at, 1, static_cast<char>(random())); break;
      default: text.resize(at); break;
    }
  }
  text.resize(std::min(text.size(), kMostBytes));
}

/// What must hold for every request that is accepted.
void check_request(const std::string& bytes) {
  RequestParser parser;
  parser.feed(bytes);
  if (parser.state() == RequestParser::State::Refused) {
    const int status = parser.refusal().status;
    CHECK((status == 400 || status == 413 || status == 414 || status == 417 || status == 431 || status == 501 ||
           status == 505));
    CHECK_FALSE(parser.refusal().reason.empty());
  }
  if (parser.state() != RequestParser::State::Done) return;
  const Request& r = parser.request();
  CHECK(is_token(r.method));
  CHECK((r.path == "*" || r.path.starts_with('/')));
  CHECK((r.minor == 0 || r.find("host") != nullptr));
  CHECK((r.body == BodyKind::Chunked) == (r.find("transfer-encoding") != nullptr));
  CHECK((r.body == BodyKind::Length) == (r.find("content-length") != nullptr));
  std::vector<Variable> variables;
  if (cgi_variables(r, {}, variables)) return;
  for (const Variable& variable : variables) {
    CHECK(std::all_of(variable.name.begin(), variable.name.end(),
                      [](char c) { return c == '_' || is_digit(c) || (c >= 'A' && c <= 'Z'); }));
    CHECK(variable.value.find('\0') == std::string::npos);
    CHECK(std::count_if(variables.begin(), variables.end(),
                        [&](const Variable& other) { return other.name == variable.name; }) == 1);
  }
}

/// What must hold for every answer that is written.
void check_output(const std::string& bytes) {
  CgiOutput parser;
  parser.feed(bytes);
  if (parser.state() != CgiOutput::State::Done) return;
  std::string head;
  write_head(parser.reply(), {}, head);
  CHECK(head.find("\r\n\r\n") == head.size() - 4);
  CHECK(std::count(head.begin(), head.end(), '\n') == std::count(head.begin(), head.end(), '\r'));
  CHECK(std::none_of(head.begin(), head.end(), [](char c) { return is_control(c) && c != '\r' && c != '\n'; }));
}

}  // namespace

TEST_CASE("random requests: pieces agree, promises hold") {
  std::mt19937_64 random(1);
  int accepted = 0;
  RequestLimits limits;
  limits.head_bytes = 200;
  limits.line_bytes = 60;
  limits.fields = 5;
  const auto read = [&](std::string_view b, const Pieces& p) { return read_request(b, p, limits); };
  for (int i = 0; i < 6000; ++i) {
    std::string text = kRequests[random() % kRequests.size()];
    mutate(text, random);
    CAPTURE(text);
    if (status_of(in_all_ways(text, read, random, 2)) == 0) ++accepted;
    check_request(text);
  }
  CHECK(accepted > 500);
}

TEST_CASE("random answers: pieces agree, promises hold") {
  std::mt19937_64 random(2);
  int accepted = 0;
  const auto read = [](std::string_view b, const Pieces& p) { return read_output(b, p); };
  for (int i = 0; i < 6000; ++i) {
    std::string text = kOutputs[random() % kOutputs.size()];
    mutate(text, random);
    CAPTURE(text);
    if (in_all_ways(text, read, random, 2).find(": 502 ") == std::string::npos) ++accepted;
    check_output(text);
  }
  CHECK(accepted > 500);
}
