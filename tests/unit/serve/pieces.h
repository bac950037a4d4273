// Feeds a parser with the same bytes in many ways, and writes down what it makes of them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "serve/cgi_output.h"
#include "serve/http_body.h"
#include "serve/http_request.h"

namespace vmrun::serve::test {

/// The sizes of the pieces in which bytes come; the last counts for all that follow.
using Pieces = std::vector<size_t>;

/// Calls `use` with each piece of `bytes`, each in a block of its own that dies behind the call: a parser that keeps a
/// view of its input, or reads behind it, is found by a sanitizer. Stops when `use` returns false.
template <class Use>
void in_pieces(std::string_view bytes, const Pieces& pieces, Use use) {
  for (size_t i = 0; !bytes.empty(); ++i) {
    const size_t size = std::min(bytes.size(), pieces[std::min(i, pieces.size() - 1)]);
    const auto block = std::make_unique<char[]>(size);
    std::copy_n(bytes.data(), size, block.get());
    if (!use(std::string_view(block.get(), size))) return;
    bytes.remove_prefix(size);
  }
}

inline std::string text_of(const Refusal& refusal) {
  return std::to_string(refusal.status) + " " + std::string(refusal.reason);
}

inline std::string text_of(const Request& r) {
  std::string out = std::string(r.method) + " path=" + std::string(r.path) + " query=" + std::string(r.query) +
                    " authority=" + std::string(r.authority) + " host=" + std::string(r.host) + " 1." +
                    std::to_string(r.minor);
  out += r.body == BodyKind::None ? " none" : r.body == BodyKind::Chunked ? " chunked" : " length ";
  if (r.body == BodyKind::Length) out += std::to_string(r.content_length);
  if (r.keep_alive) out += " keep";
  if (r.expect_continue) out += " expect";
  for (const Field& field : r.fields) {
    out += " [" + std::string(field.name) + "=" + std::string(field.value) + "]";
  }
  return out;
}

/// A whole request: its head, its body, and how many bytes both have.
inline std::string read_request(std::string_view bytes, const Pieces& pieces, const RequestLimits& limits = {},
                                const BodyLimits& body_limits = {}) {
  RequestParser parser(limits);
  std::unique_ptr<BodyDecoder> body;
  std::string data;
  size_t used = 0;
  in_pieces(bytes, pieces, [&](std::string_view piece) {
    const size_t taken = parser.feed(piece);
    REQUIRE(taken <= piece.size());
    used += taken;
    piece.remove_prefix(taken);
    if (parser.state() == RequestParser::State::Refused) return false;
    if (parser.state() == RequestParser::State::Reading) {
      REQUIRE(piece.empty());
      return true;
    }
    if (!body) body = std::make_unique<BodyDecoder>(parser.request(), body_limits);
    while (!piece.empty() && !body->done() && !body->refusal()) {
      const BodyDecoder::Step step = body->decode(piece);
      REQUIRE(step.taken > 0);
      REQUIRE(step.taken <= piece.size());
      used += step.taken;
      data += step.data;
      piece.remove_prefix(step.taken);
    }
    return !body->done() && !body->refusal();
  });
  std::string out = std::to_string(used) + ": ";
  if (parser.state() == RequestParser::State::Reading) return out + "more of the head";
  if (parser.state() == RequestParser::State::Refused) return out + text_of(parser.refusal());
  out += text_of(parser.request()) + " <" + data + ">";
  REQUIRE(body->total() == data.size());
  if (body->refusal()) return out + " " + text_of(body->refusal());
  return out + (body->done() ? "" : " more of the body");
}

/// A guest's answer: its head, and the bytes behind it.
inline std::string read_output(std::string_view bytes, const Pieces& pieces, const OutputLimits& limits = {}) {
  CgiOutput parser(limits);
  std::string body;
  size_t used = 0;
  in_pieces(bytes, pieces, [&](std::string_view piece) {
    const size_t taken = parser.feed(piece);
    REQUIRE(taken <= piece.size());
    used += taken;
    if (parser.state() == CgiOutput::State::Done) body += piece.substr(taken);
    return parser.state() != CgiOutput::State::Refused;
  });
  parser.end();
  const std::string at = std::to_string(used) + ": ";
  if (parser.state() == CgiOutput::State::Refused) return at + text_of(parser.refusal());
  REQUIRE(parser.state() == CgiOutput::State::Done);
  const Reply& reply = parser.reply();
  std::string out = at + std::to_string(reply.status) + " " + std::string(reply.reason);
  for (const Field& field : reply.fields) {
    out += " [" + std::string(field.name) + "=" + std::string(field.value) + "]";
  }
  if (reply.content_length) out += " length " + std::to_string(*reply.content_length);
  return out + " <" + body + ">";
}

inline Pieces random_pieces(std::mt19937_64& random) {
  Pieces pieces(1 + random() % 20);
  for (size_t& size : pieces) size = 1 + random() % (1u << random() % 9);
  return pieces;
}

/// What `read` makes of the bytes as a whole, after it has made the same of them byte by byte and in `ways` random ways.
template <class Read>
std::string in_all_ways(std::string_view bytes, Read read, std::mt19937_64& random, int ways) {
  const std::string whole = read(bytes, Pieces{SIZE_MAX});
  CHECK(read(bytes, Pieces{1}) == whole);
  for (int i = 0; i < ways; ++i) CHECK(read(bytes, random_pieces(random)) == whole);
  return whole;
}

/// A request in all ways; see read_request for the form of the text.
inline std::string request(std::string_view bytes, const RequestLimits& limits = {}, const BodyLimits& body = {}) {
  std::mt19937_64 random(bytes.size());
  return in_all_ways(
      bytes, [&](std::string_view b, const Pieces& p) { return read_request(b, p, limits, body); }, random, 10);
}

/// A guest's answer in all ways.
inline std::string output(std::string_view bytes, const OutputLimits& limits = {}) {
  std::mt19937_64 random(bytes.size());
  return in_all_ways(bytes, [&](std::string_view b, const Pieces& p) { return read_output(b, p, limits); }, random, 10);
}

/// The status of a refused message, 0 of an accepted or incomplete one.
inline int status_of(const std::string& text) {
  const std::string behind = text.substr(text.find(' ') + 1);
  return behind.size() > 3 && behind[0] >= '4' && behind[0] <= '5' && behind[3] == ' ' ? std::stoi(behind) : 0;
}

}  // namespace vmrun::serve::test
