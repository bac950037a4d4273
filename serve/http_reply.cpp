#include "serve/http_reply.h"

#include <algorithm>
#include <charconv>

namespace vmrun::serve {

namespace {

struct StatusText {
  uint16_t status;
  std::string_view text;
};

constexpr StatusText kStatusTexts[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {511, "Network Authentication Required"},
};

constexpr std::string_view kClassTexts[] = {"Informational", "Success", "Redirection", "Client Error", "Server Error"};

void add_field(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ").append(value).append("\r\n");
}

/// Decides how the body goes, and adds the field that says so.
Framing add_body_fields(const Reply& reply, const ReplyContext& context, std::string& out) {
  const auto add_length = [&out](uint64_t length) { add_field("Content-Length", std::to_string(length), out); };
  if (reply.status == 204 || reply.status == 304) return Framing::None;
  if (reply.status == 205) {
    add_length(0);
    return Framing::None;
  }
  if (context.head) {
    if (context.body_bytes.value_or(0) > 0) {
      add_length(*context.body_bytes);
    } else if (context.body_bytes && reply.content_length) {
      add_length(*reply.content_length);
    }
    return Framing::None;
  }
  if (context.body_bytes) {
    add_length(*context.body_bytes);
    return Framing::Length;
  }
  if (context.minor == 0) return Framing::UntilClose;
  add_field("Transfer-Encoding", "chunked", out);
  return Framing::Chunked;
}

}  // namespace

std::string_view status_text(uint16_t status) {
  const auto* at = std::find_if(std::begin(kStatusTexts), std::end(kStatusTexts),
                                [status](const StatusText& row) { return row.status == status; });
  if (at != std::end(kStatusTexts)) return at->text;
  const unsigned of_class = status / 100u;
  return of_class >= 1 && of_class <= std::size(kClassTexts) ? kClassTexts[of_class - 1] : "Unknown";
}

std::string_view chunk_head(uint64_t size, std::span<char, 18> buffer) {
  char* end = std::to_chars(buffer.data(), buffer.data() + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return {buffer.data(), static_cast<size_t>(end - buffer.data())};
}

ReplyPlan write_head(const Reply& reply, const ReplyContext& context, std::string& out) {
  out.append("HTTP/1.1 ").append(std::to_string(reply.status)).append(" ");
  out.append(reply.reason.empty() ? status_text(reply.status) : reply.reason).append("\r\n");
  bool dated = context.date.empty();
  for (const Field& field : reply.fields) {
    add_field(field.name, field.value, out);
    dated |= same_word(field.name, "date");
  }
  if (!dated) add_field("Date", context.date, out);
  ReplyPlan plan;
  plan.framing = add_body_fields(reply, context, out);
  plan.keep_alive = context.keep_alive && plan.framing != Framing::UntilClose;
  if (!plan.keep_alive) {
    add_field("Connection", "close", out);
  } else if (context.minor == 0) {
    add_field("Connection", "keep-alive", out);
  }
  out.append("\r\n");
  return plan;
}

bool write_refusal(const Refusal& refusal, const ReplyContext& context, std::string& out) {
  const Field fields[] = {{"Content-Type", "text/plain; charset=utf-8"}};
  const Reply reply{.status = refusal.status, .reason = {}, .fields = fields, .content_length = {}};
  ReplyContext whole = context;
  whole.body_bytes = refusal.reason.size() + 1;
  const ReplyPlan plan = write_head(reply, whole, out);
  if (plan.framing == Framing::Length) out.append(refusal.reason).append("\n");
  return plan.keep_alive;
}

}  // namespace vmrun::serve
