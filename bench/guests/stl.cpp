// The C++ standard library: maps, sets, strings, sorting with lambdas, a priority queue, and a word index.
#include <algorithm>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "support/guest.h"

namespace {

std::string word(uint64_t r) {
  static const char* const syllables[] = {"ka", "lo", "mi", "ren", "tu", "sha", "vor", "el"};
  std::string out;
  for (int n = 1 + static_cast<int>(r % 3); n >= 0; n--, r >>= 3) out += syllables[(r >> 4) & 7];
  return out;
}

uint64_t index_words(uint64_t seed) {
  std::map<std::string, std::vector<int>> places;
  std::unordered_map<std::string, int> counts;
  for (int i = 0; i < 20000; i++) {
    std::string w = word(guest_random(&seed));
    counts[w]++;
    places[std::move(w)].push_back(i);
  }
  std::vector<std::pair<std::string, int>> top(counts.begin(), counts.end());
  std::sort(top.begin(), top.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  uint64_t hash = top.size();
  for (size_t i = 0; i < 20 && i < top.size(); i++)
    hash = guest_mix_bytes(hash, top[i].first.data(), top[i].first.size());
  for (const auto& [key, at] : places) hash = guest_mix(hash, key.size() * 1000 + static_cast<uint64_t>(at.back()));
  return hash;
}

uint64_t shortest_paths(uint64_t seed) {
  constexpr int kNodes = 4000;
  std::vector<std::vector<std::pair<int, int>>> edges(kNodes);
  for (int i = 0; i < kNodes; i++) {
    for (int k = 0; k < 5; k++) {
      uint64_t r = guest_random(&seed);
      edges[static_cast<size_t>(i)].emplace_back(static_cast<int>(r % kNodes), 1 + static_cast<int>(r >> 40 & 255));
    }
  }
  std::vector<int> distance(kNodes, 1 << 30);
  std::priority_queue<std::pair<int, int>, std::vector<std::pair<int, int>>, std::greater<>> queue;
  queue.emplace(distance[0] = 0, 0);
  while (!queue.empty()) {
    auto [d, node] = queue.top();
    queue.pop();
    if (d > distance[static_cast<size_t>(node)]) continue;
    for (auto [to, length] : edges[static_cast<size_t>(node)]) {
      if (d + length < distance[static_cast<size_t>(to)])
        queue.emplace(distance[static_cast<size_t>(to)] = d + length, to);
    }
  }
  uint64_t hash = 0;
  for (int d : distance) hash = guest_mix(hash, static_cast<uint64_t>(d));
  return hash;
}

uint64_t intervals(uint64_t seed) {
  std::set<std::pair<int, int>> open;
  uint64_t hash = 0;
  for (int i = 0; i < 20000; i++) {
    uint64_t r = guest_random(&seed);
    int from = static_cast<int>(r % 100000);
    auto at = open.lower_bound({from, 0});
    if (at != open.end() && at->first < from + 200) {
      hash = guest_mix(hash, static_cast<uint64_t>(at->second));
      open.erase(at);
    } else {
      open.emplace(from, static_cast<int>(r >> 32 & 1023));
    }
  }
  return guest_mix(hash, open.size());
}

std::string render(const std::vector<std::shared_ptr<std::string>>& parts) {
  std::string text;
  for (const auto& part : parts) {
    text += *part;
    text += text.size() % 60 < 8 ? '\n' : ' ';
  }
  for (size_t at = 0; (at = text.find("ka", at)) != std::string::npos; at += 3) text.replace(at, 2, "KAA");
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 28);
  uint64_t seed = 23, hash = 0;
  for (long round = 0; round < rounds; round++) {
    hash = guest_mix(hash, index_words(guest_random(&seed)));
    hash = guest_mix(hash, shortest_paths(guest_random(&seed)));
    hash = guest_mix(hash, intervals(guest_random(&seed)));
    std::vector<std::shared_ptr<std::string>> parts;
    for (int i = 0; i < 3000; i++) {
      parts.push_back(i % 3 && !parts.empty() ? parts[static_cast<size_t>(i / 3)]
                                              : std::make_shared<std::string>(word(guest_random(&seed))));
    }
    std::string text = render(parts);
    hash = guest_mix_bytes(hash, text.data(), text.size());
  }
  guest_report("stl", hash);
}
