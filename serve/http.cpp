// HTTP/1.1 with the contract of CGI: a connection carries requests one after the other, and each runs a fresh guest. A
// request's body is read before its guest starts. What the guest writes is kept until it is a block: then the head goes out,
// and the rest in chunks, a block each.
#include <algorithm>
#include <ctime>
#include <new>
#include <optional>

#include "engine/executor_impl.h"
#include "serve/cgi.h"
#include "serve/cgi_output.h"
#include "serve/connection.h"
#include "serve/guest.h"
#include "serve/http_body.h"
#include "serve/http_reply.h"
#include "serve/http_request.h"
#include "serve/server_impl.h"

namespace vmrun::serve {
namespace {

constexpr size_t kBlock = size_t{64} << 10;

/// "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

/// Takes what a guest writes, and sends it as an answer.
class Response {
 public:
  Response(Connection& connection, const Request& request, uint64_t most) : connection_(connection), most_(most) {
    context_.minor = request.minor;
    context_.head = request.method == "HEAD";
    context_.keep_alive = request.keep_alive;
    date_ = http_date();
    context_.date = date_;
  }

  /// The guest has written `bytes`. False: nobody wants them. Throws std::bad_alloc.
  bool write(std::string_view bytes) {
    if (lost_) return false;
    lost_ = true;  // unless all of it is kept or sent
    if (output_.state() == CgiOutput::State::Reading) bytes.remove_prefix(output_.feed(bytes));
    if (output_.state() == CgiOutput::State::Refused) return false;
    if (bytes.size() > most_ - body_) {
      too_much_ = true;
      return false;
    }
    body_ += bytes.size();
    while (!bytes.empty()) {
      const std::string_view part = bytes.substr(0, kBlock - kept_.size());
      kept_ += part;
      bytes.remove_prefix(part.size());
      if (kept_.size() == kBlock && !flush()) return false;
    }
    lost_ = false;
    return true;
  }

  /// The guest has ended; `failure` if it did not as it should. Whether another request can follow.
  bool finish(const Refusal& failure) {
    if (!begun_) {
      output_.end();
      const Refusal refusal = failure     ? failure
                              : too_much_ ? Refusal{502, "the program's answer is longer than it may be"}
                              : output_.state() == CgiOutput::State::Refused ? output_.refusal()
                              : lost_ ? Refusal{500, "there was no memory for the program's answer"}
                                      : Refusal{};
      std::string bytes;
      if (refusal) {
        status_ = refusal.status;
        context_.keep_alive = write_refusal(refusal, context_, bytes);
      } else {
        status_ = output_.reply().status;
        context_.body_bytes = body_;
        const ReplyPlan plan = write_head(output_.reply(), context_, bytes);
        context_.keep_alive = plan.keep_alive;
        if (plan.framing == Framing::Length) bytes += kept_;
        if (plan.framing == Framing::Chunked) add_chunk(bytes), bytes += kLastChunk;
        if (plan.framing == Framing::UntilClose) bytes += kept_;
      }
      return connection_.write(bytes) && context_.keep_alive;
    }
    // What has been sent cannot be taken back: only the end of the connection tells the client that something is missing.
    if (lost_ || failure) return false;
    std::string bytes;
    if (plan_.framing == Framing::Chunked) add_chunk(bytes), bytes += kLastChunk;
    if (plan_.framing == Framing::UntilClose) bytes += kept_;
    return connection_.write(bytes) && plan_.keep_alive;
  }

  uint16_t status() const { return status_; }
  uint64_t body() const { return body_; }
  /// Whether the client got less than the guest wrote.
  bool is_cut() const { return lost_ || connection_.broken(); }
  /// Whether the guest wrote no sensible answer.
  bool failed() const { return lost_ || output_.state() != CgiOutput::State::Done; }

 private:
  void add_chunk(std::string& bytes) const {
    if (kept_.empty()) return;
    char digits[18];
    bytes += chunk_head(kept_.size(), digits);
    bytes += kept_;
    bytes += kChunkEnd;
  }
  /// Sends what is kept.
  bool flush() {
    std::string bytes;
    if (!begun_) {
      begun_ = true;
      status_ = output_.reply().status;
      plan_ = write_head(output_.reply(), context_, bytes);
    }
    if (plan_.framing == Framing::Chunked) add_chunk(bytes);
    if (plan_.framing == Framing::UntilClose) bytes += kept_;
    kept_.clear();
    return connection_.write(bytes);
  }

  Connection& connection_;
  const uint64_t most_;
  std::string date_;
  ReplyContext context_;
  CgiOutput output_;
  ReplyPlan plan_;
  std::string kept_;       // of the body, not sent yet
  uint64_t body_ = 0;      // bytes of it that the guest has written
  uint16_t status_ = 200;  // that was answered
  bool begun_ = false;     // the head has been sent
  bool too_much_ = false;  // the guest wrote more than it may
  bool lost_ = false;  // some of what the guest wrote: it is told so, and the answer is never ended as if it were whole
};

/// One connection.
class Http {
 public:
  Http(Server::Impl& server, Connection& connection, const std::string& peer)
      : server_(server),
        connection_(connection),
        peer_(peer),
        parser_({.head_bytes = server.config.max_head_bytes, .body_bytes = server.config.max_body_bytes}) {}

  void serve() {
    while (read_head() && read_body() && answer()) parser_.reset();
  }

 private:
  /// Reads more of the connection into `input_`. False: it has ended, or has been idle for too long.
  bool read(io::Stop* stop) { return connection_.read(input_, kBlock / 4, until_, stop); }
  void refuse(const Refusal& refusal) {
    std::string bytes;
    const std::string date = http_date();
    write_refusal(refusal, {.date = date, .body_bytes = {}}, bytes);
    connection_.write(bytes);
    server_.answers.add(refusal.status);
    server_.log_line(peer_ + " refused " + std::to_string(refusal.status) + " " + std::string(refusal.reason));
  }

  bool read_head() {
    until_ = deadline_after(server_.config.idle_timeout);
    for (;;) {
      input_.erase(0, parser_.feed(input_));
      if (parser_.state() == RequestParser::State::Done) return true;
      if (parser_.state() == RequestParser::State::Refused) {
        refuse(parser_.refusal());
        return false;
      }
      const bool idle = parser_.idle();
      if (idle && server_.stopping.stopped()) return false;
      if (!read(idle ? &server_.stopping : nullptr)) {
        if (!parser_.idle() && sched::Clock::now() >= until_) refuse({408, "the request took too long to come"});
        return false;
      }
    }
  }

  bool read_body() {
    body_.clear();
    const Request& request = parser_.request();
    BodyDecoder decoder(request, {.body_bytes = server_.config.max_body_bytes});
    if (request.expect_continue && !decoder.done()) {
      if (!connection_.write(kContinue)) return false;
    }
    for (;;) {
      size_t taken = 0;
      while (taken < input_.size() && !decoder.done() && !decoder.refusal()) {
        const BodyDecoder::Step step = decoder.decode(std::string_view(input_).substr(taken));
        taken += step.taken;
        // In blocks, and what a string takes that grows by doubling.
        const uint64_t size = body_.size() + step.data.size();
        if (!room_.reach(server_, std::min((2 * size / kBlock + 1) * kBlock, server_.config.max_bodies_bytes),
                         until_)) {
          refuse({503, "too many requests have large bodies"});
          return false;
        }
        body_ += step.data;
      }
      input_.erase(0, taken);
      if (decoder.refusal()) {
        refuse(decoder.refusal());
        return false;
      }
      if (decoder.done()) return true;
      if (!read(nullptr)) {
        if (sched::Clock::now() >= until_) refuse({408, "the request took too long to come"});
        return false;
      }
    }
  }

  /// Runs the guest. Whether another request can follow.
  bool answer() {
    const Request& request = parser_.request();
    const auto start = sched::Clock::now();
    std::vector<Variable> variables;
    CgiServer about{.name = server_.address, .port = server_.port, .remote_addr = peer_, .body_bytes = {}};
    about.name = about.name.substr(0, about.name.rfind(':'));
    if (request.body == BodyKind::Chunked) about.body_bytes = body_.size();
    if (const Refusal refusal = cgi_variables(request, about, variables)) {
      refuse(refusal);
      return false;
    }
    WasiConfig wasi = server_.config.wasi;
    for (Variable& v : variables) wasi.env(std::move(v.name), std::move(v.value));
    Response response(connection_, request, server_.config.max_response_bytes);
    wasi.stdin_bytes(std::move(body_));
    wasi.stdout_to([&response](std::string_view bytes) {
      try {
        return response.write(bytes);
      } catch (const std::bad_alloc&) {
        return false;
      }
    });
    const GuestEnd end = server_.run_in_task(wasi);
    Refusal failure;
    if (end.stopped) {
      failure = server_.stopping.stopped() ? Refusal{503, "the server is stopping"}
                                           : Refusal{504, "the program took too long"};
    } else if (!end.ended) {
      failure = {500, "the program failed"};
    }
    room_.give_back();
    const bool keep = response.finish(failure) && !server_.stopping.stopped();
    if (!end.ended || response.failed()) server_.failures.fetch_add(1, std::memory_order_relaxed);
    const auto took = sched::Clock::now() - start;
    server_.answers.add(response.status());
    server_.answers.durations.add(std::chrono::nanoseconds(took).count());
    if (server_.config.log) {
      std::string line = peer_ + " \"" + std::string(request.method) + " " + std::string(request.path) + "\" " +
                         std::to_string(response.status()) + " " + std::to_string(response.body()) + " bytes " +
                         time_text(took);
      if (!end.ended) line += ": " + end.error;
      if (response.is_cut()) line += ": cut off";
      server_.log_line(line);
    }
    return keep;
  }

  Server::Impl& server_;
  Connection& connection_;
  const std::string& peer_;
  RequestParser parser_;
  std::string input_;  // bytes that have come and are not used up
  std::string body_;
  BodyRoom room_;                     // what the body takes of the room for all of them
  sched::Clock::time_point until_{};  // for the whole request
};

}  // namespace

void serve_http(Server::Impl& server, Connection& connection, const std::string& peer) {
  Http(server, connection, peer).serve();
}

}  // namespace vmrun::serve
