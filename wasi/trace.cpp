// The trace of system calls: VMRUN_LOG=wasi=trace.
#include <fmt/format.h>

#include <iterator>

#include "wasi/bind.h"
#include "wasi/errno.h"

namespace vmrun::wasi {
namespace {

using Text = fmt::memory_buffer;

void put(Text& out, std::string_view s) { out.append(s.data(), s.data() + s.size()); }

/// "creat|trunc", or the number where it has bits without a name.
void put_flags(Text& out, uint64_t value, std::initializer_list<std::string_view> names) {
  if (value == 0 || value >> names.size() != 0) return void(fmt::format_to(std::back_inserter(out), "{:#x}", value));
  bool first = true;
  for (std::string_view name : names) {
    if (value & 1) {
      if (!first) out.push_back('|');
      put(out, name);
      first = false;
    }
    value >>= 1;
  }
}

void put_quoted(Text& out, Mem memory, uint32_t address, uint32_t length) {
  constexpr uint32_t kMost = 200;
  const std::byte* p = memory.at(address, length);
  if (p == nullptr) return void(fmt::format_to(std::back_inserter(out), "{:#x}+{}", address, length));
  out.push_back('"');
  for (uint32_t i = 0; i < length && i < kMost; ++i) {
    auto c = static_cast<unsigned char>(p[i]);
    if (c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", c);
    } else {
      out.push_back(static_cast<char>(c));
    }
  }
  put(out, length > kMost ? "\"..." : "\"");
}

/// "[3 4096]": the lengths of the first buffers.
void put_iovecs(Text& out, Mem memory, uint32_t address, uint32_t count) {
  constexpr uint32_t kMost = 4;
  out.push_back('[');
  for (uint32_t i = 0; i < count && i < kMost; ++i) {
    GuestIovec v;
    if (i != 0) out.push_back(' ');
    if (uint64_t{address} + 8u * i > UINT32_MAX || !memory.read(address + 8 * i, v)) {
      put(out, "?");
      break;
    }
    fmt::format_to(std::back_inserter(out), "{}", v.len);
  }
  put(out, count > kMost ? " ...]" : "]");
}

void put_argument(Text& out, Mem memory, const Shown& s) {
  auto to = std::back_inserter(out);
  switch (s.how) {
    case Show::Decimal: fmt::format_to(to, "{}", s.a); break;
    case Show::SignedDecimal: fmt::format_to(to, "{}", static_cast<int64_t>(s.a)); break;
    case Show::FdFlags: put_flags(out, s.a, {"append", "dsync", "nonblock", "rsync", "sync"}); break;
    case Show::OFlags: put_flags(out, s.a, {"creat", "directory", "excl", "trunc"}); break;
    case Show::LookupFlags: put_flags(out, s.a, {"symlink_follow"}); break;
    case Show::FstFlags: put_flags(out, s.a, {"atim", "atim_now", "mtim", "mtim_now"}); break;
    case Show::Buffer: fmt::format_to(to, "{:#x}+{}", s.a, s.b); break;
    case Show::Path: put_quoted(out, memory, static_cast<uint32_t>(s.a), s.b); break;
    case Show::Iovecs: put_iovecs(out, memory, static_cast<uint32_t>(s.a), s.b); break;
    default: fmt::format_to(to, "{:#x}", s.a); break;
  }
}

template <class T>
void put_stored(Text& out, Mem memory, std::string_view name, uint64_t address) {
  T value;
  if (memory.read(static_cast<uint32_t>(address), value)) {
    fmt::format_to(std::back_inserter(out), " {}={}", name, value);
  }
}

std::string_view next_word(std::string_view& words) {
  size_t n = words.find(' ');
  std::string_view word = words.substr(0, n);
  words.remove_prefix(n == words.npos ? words.size() : n + 1);
  return word;
}

}  // namespace

void trace(const Context& cx, Mem memory, const char* name, std::string_view names, const Shown* args, size_t count,
           Errno result) {
  Text out;
  put(out, name);
  out.push_back('(');
  std::string_view words = names;
  for (size_t i = 0; i < count; ++i) {
    if (i != 0) put(out, ", ");
    put(out, next_word(words));
    out.push_back('=');
    put_argument(out, memory, args[i]);
  }
  put(out, ") = ");
  put(out, errno_name(result));
  words = names;
  for (size_t i = 0; i < count && result == Errno::success; ++i) {
    std::string_view word = next_word(words);
    if (args[i].how == Show::Out16) put_stored<uint16_t>(out, memory, word, args[i].a);
    if (args[i].how == Show::Out32) put_stored<uint32_t>(out, memory, word, args[i].a);
    if (args[i].how == Show::Out64) put_stored<uint64_t>(out, memory, word, args[i].a);
  }
  std::string_view line(out.data(), out.size());
  VMRUN_LOG_AT(cx.log, trace, "{}", line);
}

}  // namespace vmrun::wasi
