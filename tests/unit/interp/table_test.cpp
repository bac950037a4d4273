// Tables of handlers: the index that a selector computes and the places that a table's maker asks for are the same.
#include <doctest/doctest.h>

#include <cstdint>
#include <set>

#include "interp/handlers/fused_tables.h"
#include "interp/handlers/tables.h"

using namespace vmrun::interp;

namespace {

using Two = Dim<struct TwoName, 2>;
using FromOne = Dim<struct FromOneName, 3, 1>;
using Four = Dim<struct FourName, 4>;
using Sample = Table<Two, FromOne, Four>;

static_assert(Sample::kSize == 24);
static_assert(Sample::index(Two{0}, FromOne{1}, Four{0}) == 0);
static_assert(Sample::index(Two{0}, FromOne{1}, Four{3}) == 3);
static_assert(Sample::index(Two{0}, FromOne{2}, Four{0}) == 4);
static_assert(Sample::index(Two{1}, FromOne{3}, Four{3}) == 23);
static_assert(Sample::at<Two>(22) == 1 && Sample::at<FromOne>(22) == 3 && Sample::at<Four>(22) == 2);

template <class... Dims>
int round_trips(Table<Dims...>) {
  using T = Table<Dims...>;
  int wrong = 0;
  for (int i = 0; i < T::kSize; i++) wrong += T::index(Dims{T::template at<Dims>(i)}...) != i;
  return wrong;
}

/// How many different handlers there are.
template <class T, class... Dims>
size_t handlers_of(Table<Dims...>) {
  std::set<Handler> found;
  for (int i = 0; i < T::kSize; i++) {
    if (Handler handler = T::find(Dims{T::template at<Dims>(i)}...)) found.insert(handler);
  }
  return found.size();
}

}  // namespace

TEST_CASE("places of every table are where its index says") {
  CHECK(round_trips(Sample{}) == 0);
  CHECK(round_trips(IntBinaryTable{}) == 0);
  CHECK(round_trips(FloatBinaryTable{}) == 0);
  CHECK(round_trips(LoadTable{}) == 0);
  CHECK(round_trips(StoreTable{}) == 0);
  CHECK(round_trips(GlobalTable{}) == 0);
  CHECK(round_trips(BranchIfTable{}) == 0);
  CHECK(round_trips(BranchFloatTable{}) == 0);
}

TEST_CASE("addresses: a place stands for one mode with its locations") {
  for (int place = 0; place < AllAddresses::Place::kExtent; place++) {
    const auto [mode, base, index] = AllAddresses::parts(place);
    CHECK(AllAddresses::place(mode, base, index) == place);
  }
  CHECK(AllAddresses::Place::kExtent == 5 + 5 + 25 + 1 + 25);
  CHECK(Addresses<Address::base_offset>::place(Address::indexed, 0, 0) == -1);
}

TEST_CASE("tables hold what their makers name") {
  // Operations with constants on the right have a handler for each destination and each left operand.
  CHECK(handlers_of<IntLeftTable>(IntLeftTable{}) == 4 * 5 * 5);
  CHECK(handlers_of<MoveTable>(MoveTable{}) == 5 * 7);
  CHECK(handlers_of<GlobalTable>(GlobalTable{}) == 2 * 2 * 2 * 5);
  CHECK(handlers_of<BranchTableTable>(BranchTableTable{}) == 16 * 5);
  CHECK(handlers_of<LoadTable>(LoadTable{}) == 11 * 5 * 61);
  // A constant goes to no indexed address.
  CHECK(handlers_of<StoreTable>(StoreTable{}) == 6 * (6 * 61 - 50));
}
