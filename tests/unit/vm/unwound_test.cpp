// What searches for a landing leave for a backtrace, and for the next search.
#include "vm/runtime/unwound.h"

#include <doctest/doctest.h>

using namespace vmrun::vm;

namespace {

int code[64];
const void* at(size_t i) { return &code[i]; }
Unwound::Position frame(size_t i) { return {at(i), nullptr, Activation::Kind::machine, false}; }
size_t count(const Unwound& unwound) { return static_cast<size_t>(unwound.end() - unwound.begin()); }

}  // namespace

TEST_CASE("a search that is taken up again comes by its landing's frame once") {
  Unwound unwound;
  for (int round = 0; round < 3; ++round) {  // the first one has no record yet
    unwound.clear();
    CHECK(!unwound.needed());
    unwound.add(frame(0));
    unwound.add(frame(1));
    unwound.landed();
    unwound.resumed();
    unwound.add(frame(1));
    unwound.add(frame(2));
    CHECK(unwound.needed());
    REQUIRE(count(unwound) == 3);
    for (size_t i = 0; i < 3; ++i) CHECK(unwound.begin()[i].pc == at(i));
  }
  for (size_t i = 0; i < kMaxBacktrace + 10; ++i) unwound.add(frame(i % 64));
  CHECK(count(unwound) == kMaxBacktrace);
}

TEST_CASE("what a quick walk came by counts as if a search had") {
  Unwound unwound;
  CHECK(unwound.begin_quickly(0) == nullptr);
  unwound.clear();
  unwound.add(frame(9));
  REQUIRE(unwound.known(at(9), 0) != nullptr);
  Unwound::Record* record = unwound.begin_quickly(0);
  REQUIRE(record != nullptr);
  record->positions[0] = frame(0);
  record->positions[1] = frame(1);
  unwound.quickly_landed(2);
  unwound.resumed();
  unwound.add(frame(1));
  unwound.add(frame(2));
  REQUIRE(count(unwound) == 3);
  for (size_t i = 0; i < 3; ++i) CHECK(unwound.begin()[i].pc == at(i));
}

TEST_CASE("what is known of return addresses is forgotten when code is freed") {
  Unwound unwound;
  CHECK(unwound.known(at(0), 5) == nullptr);
  unwound.clear();
  unwound.add(frame(0));
  Unwound::Known* known = unwound.known(at(0), 5);
  REQUIRE(known != nullptr);
  CHECK(known->return_pc == nullptr);
  *known = {at(0), at(1)};
  CHECK(unwound.known(at(0), 5)->pad == at(1));
  REQUIRE(unwound.begin_quickly(5) != nullptr);
  CHECK(unwound.begin_quickly(5)->place_of(at(0)).pad == at(1));
  CHECK(unwound.begin_quickly(6) == nullptr);
  CHECK(unwound.known(at(0), 6)->return_pc == nullptr);
  CHECK(unwound.begin_quickly(6) != nullptr);
}
