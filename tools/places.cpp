#include "tools/places.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "tools/report.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

constexpr size_t kMostPlaces = 16, kFramesOfPlace = 16, kMostRanges = 8;

/// `state` without the number at its end, by which guests that do the same differ.
std::string kind_of(const std::string& state) {
  const size_t blank = state.rfind(' ');
  if (blank == state.npos || blank + 1 == state.size()) return state;
  const bool number = state[blank + 1] >= '0' && state[blank + 1] <= '9';
  return number ? state.substr(0, blank) : state;
}

struct SamePlace {
  std::vector<const Place*> places;

  bool same_state() const {
    return std::ranges::all_of(places, [&](const Place* p) { return p->state == places[0]->state; });
  }
};

using PlaceKey = std::tuple<std::string, std::string, std::vector<std::tuple<std::string, uint32_t, uint64_t>>>;

PlaceKey place_key(const Place& place) {
  PlaceKey key{place.name, kind_of(place.state), {}};
  for (const FrameInfo& frame : place.backtrace) {
    std::get<2>(key).emplace_back(frame.module, frame.func_index, frame.offset);
  }
  return key;
}

std::string group_text(const SamePlace& group) {
  std::vector<uint32_t> numbers;
  numbers.reserve(group.places.size());
  for (const Place* place : group.places) numbers.push_back(place->number);
  const Place& first = *group.places[0];
  std::string out =
      strf("vmrun: %s %s (%s): %s\n", numbers.size() == 1 ? "guest" : "guests", numbers_text(numbers).c_str(),
           printable(first.name).c_str(), (group.same_state() ? first.state : kind_of(first.state)).c_str());
  return out + backtrace_text(first.backtrace, kFramesOfPlace);
}

}  // namespace

std::string numbers_text(const std::vector<uint32_t>& numbers) {
  std::vector<std::string> parts;
  size_t told = 0;
  for (size_t i = 0; i < numbers.size() && parts.size() < kMostRanges;) {
    size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    if (end - i < 3) end = i + 1;  // two in a row are two numbers
    parts.push_back(std::to_string(numbers[i]));
    if (end - i > 1) parts.back() += " to " + std::to_string(numbers[end - 1]);
    told += end - i;
    i = end;
  }
  if (told < numbers.size()) parts.push_back(std::to_string(numbers.size() - told) + " more");
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) out += i + 1 == parts.size() ? " and " : ", ";
    out += parts[i];
  }
  return out;
}

std::string places_text(const std::vector<Place>& places) {
  std::map<PlaceKey, SamePlace> by_key;
  for (const Place& place : places) by_key[place_key(place)].places.push_back(&place);
  std::vector<const SamePlace*> groups;
  groups.reserve(by_key.size());
  for (const auto& [key, group] : by_key) groups.push_back(&group);
  std::ranges::sort(groups, [](const SamePlace* a, const SamePlace* b) {
    return std::pair(b->places.size(), a->places[0]->number) < std::pair(a->places.size(), b->places[0]->number);
  });
  std::string out;
  size_t told = 0;
  for (size_t i = 0; i < std::min(groups.size(), kMostPlaces); ++i) {
    out += group_text(*groups[i]);
    told += groups[i]->places.size();
  }
  if (groups.size() > kMostPlaces) {
    out += strf("vmrun: %zu more guests at %zu other places\n", places.size() - told, groups.size() - kMostPlaces);
  }
  return out;
}

}  // namespace vmrun::tools
