// Dynamic programming: edit distance, longest common subsequence, knapsack, matrix-chain order and shortest paths
// between all pairs.
#include "support/guest.h"

enum { kLength = 2000, kWeight = 20000, kItems = 60, kChain = 110, kNodes = 96 };

static char s[kLength], t[kLength];

static int least(int a, int b) { return a < b ? a : b; }
static int most(int a, int b) { return a > b ? a : b; }

static int edit_distance(void) {
  static int row[kLength + 1];
  for (int j = 0; j <= kLength; j++) row[j] = j;
  for (int i = 1; i <= kLength; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= kLength; j++) {
      int change = diagonal + (s[i - 1] != t[j - 1]);
      diagonal = row[j];
      row[j] = least(least(row[j], row[j - 1]) + 1, change);
    }
  }
  return row[kLength];
}

static int common_subsequence(void) {
  static uint16_t table[kLength + 1][kLength + 1];
  for (int i = 1; i <= kLength; i++) {
    for (int j = 1; j <= kLength; j++) {
      table[i][j] = (uint16_t)(s[i - 1] == t[j - 1] ? table[i - 1][j - 1] + 1 : most(table[i - 1][j], table[i][j - 1]));
    }
  }
  // Walk back along the choices, as a program that wants the sequence would.
  int hash = 0;
  for (int i = kLength, j = kLength; i && j;) {
    if (s[i - 1] == t[j - 1]) {
      hash = hash * 31 + s[i - 1];
      i--, j--;
    } else if (table[i - 1][j] >= table[i][j - 1]) {
      i--;
    } else {
      j--;
    }
  }
  return hash ^ table[kLength][kLength];
}

static int knapsack(uint64_t seed) {
  static int value[kWeight + 1];
  memset(value, 0, sizeof value);
  for (int i = 0; i < kItems; i++) {
    int weight = 1 + (int)(guest_random(&seed) % 900), worth = 1 + (int)(guest_random(&seed) % 500);
    for (int w = kWeight; w >= weight; w--) value[w] = most(value[w], value[w - weight] + worth);
  }
  return value[kWeight];
}

static int chain_order(uint64_t seed) {
  static int cost[kChain][kChain], size[kChain + 1];
  for (int i = 0; i <= kChain; i++) size[i] = 2 + (int)(guest_random(&seed) % 40);
  for (int length = 2; length <= kChain; length++) {
    for (int i = 0; i + length <= kChain; i++) {
      int j = i + length - 1, best = INT32_MAX;
      for (int k = i; k < j; k++) {
        best = least(best, cost[i][k] + cost[k + 1][j] + size[i] * size[k + 1] * size[j + 1]);
      }
      cost[i][j] = best;
    }
  }
  return cost[0][kChain - 1];
}

static int all_paths(uint64_t seed) {
  static int distance[kNodes][kNodes];
  for (int i = 0; i < kNodes; i++) {
    for (int j = 0; j < kNodes; j++) distance[i][j] = i == j ? 0 : 1 + (int)(guest_random(&seed) % 10000);
  }
  for (int k = 0; k < kNodes; k++) {
    for (int i = 0; i < kNodes; i++) {
      for (int j = 0; j < kNodes; j++) distance[i][j] = least(distance[i][j], distance[i][k] + distance[k][j]);
    }
  }
  int sum = 0;
  for (int i = 0; i < kNodes; i++) sum += distance[i][(i * 7) % kNodes];
  return sum;
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 24);
  uint64_t seed = 1, hash = 0;
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < kLength; i++) {
      s[i] = (char)('a' + guest_random(&seed) % 6);
      t[i] = (char)('a' + guest_random(&seed) % 6);
    }
    hash = guest_mix(hash, (uint64_t)edit_distance());
    hash = guest_mix(hash, (uint64_t)common_subsequence());
    hash = guest_mix(hash, (uint64_t)knapsack(seed));
    hash = guest_mix(hash, (uint64_t)chain_order(seed));
    hash = guest_mix(hash, (uint64_t)all_paths(seed));
  }
  guest_report("dynamic", hash);
}
