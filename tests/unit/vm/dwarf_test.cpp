// Debug information that somebody made up: what is wrong gives wrong answers or none, in bounded time and memory. What
// compilers write is read in tests/unit/engine/source_test.cpp, and tests/fuzz/dwarf_fuzz.cpp changes that at random.
#include <doctest/doctest.h>

#include <chrono>
#include <functional>

#include "vm/dwarf/lookup.h"

using namespace vmrun;
using namespace vmrun::vm::dwarf;

namespace {

using Bytes = std::vector<uint8_t>;

Bytes& operator<<(Bytes& out, uint8_t byte) {
  out.push_back(byte);
  return out;
}
void put(Bytes& out, uint64_t value, int size) {
  for (int i = 0; i < size; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * i));
}
void put(Bytes& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
  out.push_back(0);
}
/// What `body` appends, behind its length.
template <class Body>
void sized(Bytes& out, Body body) {
  Bytes inner;
  body(inner);
  put(out, inner.size(), 4);
  out.insert(out.end(), inner.begin(), inner.end());
}

/// Abbreviations: 1 a unit, 2 a function with a name, 3 a function with an origin, 4 an inlined call with an origin, 5 a
/// namespace with a name. All have children.
Bytes abbreviations() {
  Bytes out;
  const auto entry = [&](uint8_t code, uint8_t tag, std::initializer_list<uint8_t> pairs) {
    out << code << tag << 1;
    for (uint8_t byte : pairs) out << byte;
    out << 0 << 0;
  };
  entry(1, 0x11, {0x10, 0x17, 0x11, 0x01, 0x12, 0x06});
  entry(2, kSubprogram, {0x03, 0x08, 0x11, 0x01, 0x12, 0x06});
  entry(3, kSubprogram, {0x31, 0x13, 0x11, 0x01, 0x12, 0x06});
  entry(4, kInlinedSubroutine, {0x31, 0x13, 0x11, 0x01, 0x12, 0x06, 0x58, 0x0b, 0x59, 0x0b});
  entry(5, kNamespace, {0x03, 0x08});
  return out << 0;
}

void range(Bytes& out, uint32_t begin, uint32_t size) {
  put(out, begin, 4);
  put(out, size, 4);
}
template <class Body>
void unit(Bytes& out, uint32_t lines, Body body) {
  sized(out, [&](Bytes& in) {
    put(in, 4, 2);
    put(in, 0, 4);
    in << 4 << 1;
    put(in, lines, 4);
    range(in, 1, 999);
    body(in);
  });
}

/// A program of one sequence: from address 1, a row for each address.
void line_program(Bytes& out, uint32_t rows) {
  sized(out, [&](Bytes& in) {
    put(in, 4, 2);
    sized(in, [&](Bytes& header) {
      header << 1 << 1 << 1 << 1 << 1 << 1 << 0;  // one special opcode beyond: address and line by one
      put(header, "a.c");
      header << 0 << 0 << 0 << 0;
    });
    in << 0 << 5 << 2;
    put(in, 1, 4);
    for (uint32_t i = 0; i < rows; ++i) in << 2;
    in << 0 << 1 << 1;
  });
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("debug information that is made by hand") {
  const Bytes abbrev = abbreviations();
  Bytes line, info;
  line_program(line, 100);
  uint64_t called = 0;
  unit(info, 0, [&](Bytes& in) {
    in << 5;
    put(in, "outer");
    called = 4 + in.size();  // in .debug_info, behind the unit's length
    in << 2;
    put(in, "called");
    range(in, 0, 0);
    in << 0;
    in << 2;
    put(in, "caller");
    range(in, 10, 20);
    in << 4;
    put(in, called, 4);
    range(in, 15, 5);
    in << 1 << 77;
    in << 0 << 0 << 0 << 0;
  });
  Lookup lookup({info, abbrev, line, {}, {}, {}, {}, {}, {}}, 1000);
  std::vector<SourceLine> at = lookup.at(12);
  REQUIRE(at.size() == 1);
  CHECK(at[0].function == "outer::caller");
  CHECK(at[0].file == "a.c");
  at = lookup.at(16);
  REQUIRE(at.size() == 2);
  CHECK(at[0].function == "outer::called");
  CHECK(at[1].function == "outer::caller");
  CHECK(at[1].line == 77);
  CHECK(lookup.at(2000).empty());
  CHECK(lookup.at(0).empty());
  CHECK(!lookup.spent());
}

TEST_CASE("references in circles end") {
  const Bytes abbrev = abbreviations();
  Bytes info;
  unit(info, 0, [&](Bytes& in) {
    const uint64_t self = 4 + in.size();
    in << 3;
    put(in, self, 4);
    range(in, 10, 20);
    in << 4;
    put(in, self, 4);
    range(in, 10, 20);
    in << 0 << 0;
    in << 0 << 0 << 0;
  });
  Lookup lookup({info, abbrev, {}, {}, {}, {}, {}, {}, {}}, 1000);
  const std::vector<SourceLine> at = lookup.at(12);
  REQUIRE(at.size() == 2);
  CHECK(at[0].function.empty());
  CHECK(at[1].function.empty());
}

TEST_CASE("entries nested without end, and inlined calls in each other, are cut") {
  const Bytes abbrev = abbreviations();
  Bytes info;
  unit(info, 0, [&](Bytes& in) {
    in << 2;
    put(in, "f");
    range(in, 10, 20);
    for (int i = 0; i < 100'000; ++i) {
      in << 4;
      put(in, 0, 4);
      range(in, 10, 20);
      in << 0 << 1;
    }
  });
  Lookup lookup({info, abbrev, {}, {}, {}, {}, {}, {}, {}}, 1000);
  CHECK(lookup.at(12).size() == kMaxInlined + 1);
}

TEST_CASE("one line program for thousands of units is paid for out of one budget") {
  const Bytes abbrev = abbreviations();
  Bytes line, info;
  line_program(line, 900);
  for (int i = 0; i < 20'000; ++i) unit(info, 0, [](Bytes& in) { in << 0; });
  Lookup lookup({info, abbrev, line, {}, {}, {}, {}, {}, {}}, 1000, {1'000'000, 1'000'000});
  CHECK(!lookup.spent());
  CHECK(seconds_of([&] {
          for (uint64_t at = 1; at < 1000; ++at) (void)lookup.at(at);
        }) < 60);  // a second, with all that a busy machine adds
}

TEST_CASE("a budget that is spent says so") {
  const Bytes abbrev = abbreviations();
  Bytes line, info;
  line_program(line, 900);
  unit(info, 0, [](Bytes& in) { in << 0; });
  Lookup lookup({info, abbrev, line, {}, {}, {}, {}, {}, {}}, 1000, {500, 500});
  (void)lookup.at(500);
  CHECK(lookup.spent());
}

TEST_CASE("sections that end anywhere") {
  const Bytes abbrev = abbreviations();
  Bytes line, info;
  line_program(line, 50);
  unit(info, 0, [&](Bytes& in) {
    in << 2;
    put(in, "f");
    range(in, 1, 40);
    in << 0 << 0;
  });
  for (size_t cut = 0; cut <= std::max({abbrev.size(), line.size(), info.size()}); ++cut) {
    const auto head = [&](const Bytes& bytes) { return std::span(bytes).first(std::min(cut, bytes.size())); };
    for (int which = 0; which < 3; ++which) {
      // A copy that ends with its section, so that sanitizers see a byte beyond.
      const Bytes a(which == 0 ? Bytes(head(abbrev).begin(), head(abbrev).end()) : abbrev);
      const Bytes l(which == 1 ? Bytes(head(line).begin(), head(line).end()) : line);
      const Bytes i(which == 2 ? Bytes(head(info).begin(), head(info).end()) : info);
      Lookup lookup({i, a, l, {}, {}, {}, {}, {}, {}}, 1000);
      for (uint64_t at : {1, 20, 50}) CHECK(lookup.at(at).size() <= 1);
    }
  }
}
