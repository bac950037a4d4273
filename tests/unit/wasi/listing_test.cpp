// Listings of directories: every buffer size, every entry once, from any cookie, in bounded memory.
#include <algorithm>
#include <set>

#include "tests/unit/wasi/host.h"
#include "wasi/dir_positions.h"

using namespace vmrun;
using namespace vmrun::wasi;

namespace {

struct Listed {
  GuestDirent entry;
  std::string name;
};

/// One fd_readdir call: the entries that fit, whether the buffer was filled.
std::vector<Listed> list(FakeGuest& g, Fd fd, uint32_t size, uint64_t cookie, bool& filled) {
  uint32_t buffer = g.alloc(size);
  auto used = g.out();
  REQUIRE(fd_readdir(g.cx(), g.memory, fd, {buffer, size}, {cookie}, used) == Errno::success);
  uint32_t n = g.value(used);
  REQUIRE(n <= size);
  filled = n == size;
  std::vector<Listed> out;
  for (uint32_t at = 0; at + sizeof(GuestDirent) <= n;) {
    auto e = g.at<GuestDirent>(buffer + at);
    at += sizeof(GuestDirent);
    if (at + e.namlen > n) break;
    out.push_back({e, g.text(buffer + at, e.namlen)});
    at += e.namlen;
  }
  return out;
}

}  // namespace

TEST_CASE("listings come in any buffer size, each entry once") {
  TempDir t;
  std::set<std::string> expected = {".", ".."};
  for (int i = 0; i < 300; ++i) {
    std::string name = "file-" + std::to_string(i) + std::string(static_cast<size_t>(i % 97), 'x');
    t.put("box/" + name, "");
    expected.insert(name);
  }
  t.dir("box/sub");
  t.link("sub", "box/link");
  expected.insert({"sub", "link"});
  // Small buffers make many calls, so memory is taken in steps of their size.
  for (uint32_t size : {140u, 256u, 1000u, 4096u, 100000u}) {
    CAPTURE(size);
    FakeGuest g(t);
    std::set<std::string> seen;
    uint64_t cookie = 0;
    for (bool filled = true; filled;) {
      auto entries = list(g, FakeGuest::kBox, size, cookie, filled);
      REQUIRE((!entries.empty() || !filled));
      for (const Listed& e : entries) {
        CHECK(seen.insert(e.name).second);
        cookie = e.entry.next;
        if (e.name == "sub") CHECK(e.entry.type == static_cast<uint8_t>(FileType::Directory));
        if (e.name == "link") CHECK(e.entry.type == static_cast<uint8_t>(FileType::SymbolicLink));
      }
    }
    CHECK(seen == expected);
  }
  // A buffer too small for one entry is filled with its beginning, and an old cookie may be used again.
  FakeGuest g(t);
  bool filled;
  CHECK(list(g, FakeGuest::kBox, 10, 0, filled).empty());
  CHECK(filled);
  auto first = list(g, FakeGuest::kBox, 4096, 0, filled);
  auto again = list(g, FakeGuest::kBox, 4096, first[1].entry.next, filled);
  CHECK(again[0].name == first[2].name);
  auto used = g.out();
  CHECK(fd_readdir(g.cx(), g.memory, FakeGuest::kBox, {g.alloc(8), 8}, {~uint64_t{0}}, used) == Errno::success);
  CHECK(g.value(used) == 0);
  // A cookie means the same through a descriptor that has not read so far.
  FakeGuest other(t);
  CHECK(list(other, FakeGuest::kBox, 4096, first[1].entry.next, filled)[0].name == first[2].name);
}

TEST_CASE("positions in listings are few however long the listing is") {
  DirPositions p;
  CHECK(p.before(0).count == 0);
  constexpr uint64_t kEntries = 100'000;
  for (uint64_t i = 1; i <= kEntries; ++i) {
    p.note(i, static_cast<int64_t>(i * 3));
    REQUIRE(p.kept() < DirPositions::kMost);
  }
  for (uint64_t count : std::vector<uint64_t>{0, 1, 128, 12345, kEntries, kEntries + 99, ~uint64_t{0}}) {
    CAPTURE(count);
    auto place = p.before(count);
    CHECK(place.count <= count);
    CHECK(std::min(count, kEntries) - place.count < 256);
    CHECK(place.position == static_cast<int64_t>(place.count * 3));
  }
  p.expect(777, 7);
  CHECK(p.before(777).position == 7);
  p.note(256, 5);  // read again, elsewhere
  CHECK(p.before(256).position == 5);
  p.clear();
  CHECK(p.before(500).count == 0);
}

TEST_CASE("a long listing can be read from any entry") {
  TempDir t;
  for (int i = 0; i < 3000; ++i) t.put("box/" + std::to_string(i), "");
  std::vector<std::string> names;
  {
    FakeGuest g(t);
    uint64_t cookie = 0;
    for (bool filled = true; filled;) {
      for (const Listed& e : list(g, FakeGuest::kBox, 2000, cookie, filled)) {
        names.push_back(e.name);
        REQUIRE(e.entry.next == names.size());
        cookie = e.entry.next;
      }
    }
    CHECK(names.size() == 3002);
    bool filled;
    for (size_t at : {2999, 1, 1023, 1025, 2047, 0, 2500, 3001}) {
      CAPTURE(at);
      CHECK(list(g, FakeGuest::kBox, 200, at, filled)[0].name == names[at]);
    }
    CHECK(list(g, FakeGuest::kBox, 200, 3002, filled).empty());
  }
}
