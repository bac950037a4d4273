// Which locals a body reads later, as the look ahead says it: behind calls, at labels, at loops' headers, in handlers.
#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "jit/baseline/scan.h"
#include "tests/support/module_bytes.h"

using namespace vmrun;
using jit::baseline::BodyScan;
using jit::baseline::HomeMask;
using jit::baseline::LivePoint;

namespace {

constexpr uint8_t kNoHome = 0xff;
constexpr uint8_t kUnreachable = 0x00, kBlock = 0x02, kLoop = 0x03, kIf = 0x04, kElse = 0x05, kTry = 0x06, kEnd = 0x0b,
                  kBr = 0x0c, kBrIf = 0x0d, kBrTable = 0x0e, kReturn = 0x0f, kCall = 0x10, kCatchAll = 0x19,
                  kDrop = 0x1a, kTryTable = 0x1f, kGet = 0x20, kSet = 0x21, kZero = 0x41, kNothing = 0x40;

/// The points of a body of type () -> () with three i32 locals, whose homes are 0, 1 and none. `loops`: what each loop does
/// with these.
std::vector<LivePoint> points(std::vector<uint8_t> code, std::vector<BodyScan::LoopUse> loops = {}) {
  test::Bytes body = {1, 3, 0x7f};
  body.insert(body.end(), code.begin(), code.end());
  body.push_back(kEnd);
  auto module = test::decode(test::func_module({0x60, 0, 0}, body));
  REQUIRE(module);
  BodyScan scan;
  scan.run(**module, 0, 3);
  scan.find_live(std::array<uint8_t, 3>{0, 1, kNoHome}, kNoHome, loops);
  std::vector<LivePoint> out;
  const vm::ByteRange range = (*module)->funcs[0].body;
  for (uint32_t at = range.begin; at < range.end; ++at) {
    if (const LivePoint* point = scan.live(at)) out.push_back(*point);
  }
  return out;
}

}  // namespace

TEST_CASE("a local is live up to its last read") {
  auto found = points({kGet, 0, kDrop, kCall, 0, kGet, 1, kDrop, kCall, 0});
  REQUIRE(found.size() == 2);
  CHECK(found[0].live == 0b10);
  CHECK(found[1].live == 0);
}

TEST_CASE("a local is not live where it is written first") {
  auto found = points({kCall, 0, kZero, 0, kSet, 0, kGet, 0, kDrop});
  REQUIRE(found.size() == 1);
  CHECK(found[0].live == 0);
}

TEST_CASE("what is live at a label is so at branches to it") {
  // The block ends before the local is read; the call before the branch must keep it, the one behind it must not.
  auto found = points({kBlock, kNothing, kCall, 0, kGet, 2, kBrIf, 0, kCall, 0, kReturn, kEnd, kGet, 0, kDrop});
  REQUIRE(found.size() == 3);
  CHECK(found[0].live == 0b1);
  CHECK(found[1].live == 0b1);
  CHECK(found[2].live == 0);
  found = points(
      {kBlock, kNothing, kBlock, kNothing, kCall, 0, kGet, 2, kBrTable, 1, 0, 1, kEnd, kReturn, kEnd, kGet, 1, kDrop});
  REQUIRE(found.size() == 3);
  CHECK(found[0].live == 0b10);
  CHECK(found[1].live == 0);
  CHECK(found[2].live == 0b10);
}

TEST_CASE("both ways of a condition") {
  auto found = points({kGet, 2, kIf, kNothing, kCall, 0, kElse, kGet, 0, kDrop, kEnd, kGet, 1, kDrop});
  REQUIRE(found.size() == 2);
  CHECK(found[0].live == 0b10);
  CHECK(found[0].otherwise == 0b11);
  CHECK(found[1].live == 0b10);
  found = points({kGet, 2, kIf, kNothing, kCall, 0, kReturn, kEnd, kGet, 1, kDrop});
  REQUIRE(found.size() == 2);
  CHECK(found[0].otherwise == 0b10);
  CHECK(found[1].live == 0);
}

TEST_CASE("a loop keeps what its next iteration reads") {
  const std::vector<BodyScan::LoopUse> both = {{0b11, 0}};
  auto found = points({kLoop, kNothing, kGet, 0, kDrop, kCall, 0, kZero, 0, kSet, 0, kGet, 1, kBrIf, 0, kEnd}, both);
  REQUIRE(found.size() == 2);
  CHECK(found[0].live == 0b11);
  CHECK(found[1].live == 0b10);  // the other is written before the next iteration
  // An iteration that writes before it reads wants nothing of the one before.
  found =
      points({kLoop, kNothing, kZero, 0, kSet, 0, kGet, 0, kDrop, kCall, 0, kGet, 1, kBrIf, 0, kEnd}, {{0b11, 0b1}});
  REQUIRE(found.size() == 2);
  CHECK(found[0].live == 0b10);
  CHECK(found[1].live == 0b10);
  // But where the loop may be left before that, what is read there stays.
  found = points({kBlock, kNothing, kLoop, kNothing, kGet, 2,    kBrIf, 1,    kZero, 0,    kSet,
                  0,      kCall,    0,     kBr,      0,    kEnd, kEnd,  kGet, 0,     kDrop},
                 {{0b1, 0b1}});
  REQUIRE(found.size() == 3);
  CHECK(found[1].live == 0b1);
  CHECK(found[2].live == 0b1);
}

TEST_CASE("a handler keeps what it reads from calls in its try") {
  auto found =
      points({kBlock, kNothing, kTryTable, kNothing, 1, 2, 0, kCall, 0, kEnd, kCall, 0, kReturn, kEnd, kGet, 0, kDrop});
  REQUIRE(found.size() == 4);
  CHECK(found[2].live == 0b1);
  CHECK(found[3].live == 0);
  found = points({kTry, kNothing, kCall, 0, kReturn, kCatchAll, kCall, 0, kGet, 1, kDrop, kEnd});
  REQUIRE(found.size() == 3);
  CHECK(found[1].live == 0b10);
  CHECK(found[2].live == 0b10);
  // What is thrown in a loop inside the try, too.
  found = points({kTry, kNothing, kLoop, kNothing, kCall, 0, kUnreachable, kEnd, kCatchAll, kGet, 0, kDrop, kEnd},
                 {{0, 0}});
  REQUIRE(found.size() == 3);
  CHECK(found[1].live == 0b1);
  CHECK(found[2].live == 0b1);
}
