// Backtracking with small sets and branches: sudoku by constraint counts, and a regular-expression matcher.
#include "support/guest.h"

typedef struct {
  uint16_t row[9], column[9], box[9];
  uint8_t cell[81];
  long steps;
} Board;

static int solve(Board* b) {
  int best = -1, fewest = 10;
  for (int i = 0; i < 81; i++) {
    if (b->cell[i]) continue;
    unsigned open = 0x1ff & ~(b->row[i / 9] | b->column[i % 9] | b->box[i / 27 * 3 + i % 9 / 3]);
    int n = __builtin_popcount(open);
    if (n < fewest) fewest = n, best = i;
    if (n == 0) return 0;
  }
  if (best < 0) return 1;
  b->steps++;
  int r = best / 9, c = best % 9, x = r / 3 * 3 + c / 3;
  for (unsigned open = 0x1ff & ~(b->row[r] | b->column[c] | b->box[x]); open; open &= open - 1) {
    unsigned bit = open & -open;
    b->row[r] |= bit, b->column[c] |= bit, b->box[x] |= bit;
    b->cell[best] = (uint8_t)(1 + __builtin_ctz(bit));
    if (solve(b)) return 1;
    b->row[r] &= ~bit, b->column[c] &= ~bit, b->box[x] &= ~bit;
    b->cell[best] = 0;
  }
  return 0;
}

static const char* const kPuzzles[] = {
    "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..",
    "..............3.85..1.2.......5.7.....4...1...9.......5......73..2.1........4...9",
    "1....7.9..3..2...8..96..5....53..9...1..8...26....4...3......1..4......7..7...3..",
    "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......",
};

static uint64_t play(const char* text, int shift) {
  Board b;
  memset(&b, 0, sizeof b);
  for (int i = 0; i < 81; i++) {
    if (text[i] == '.') continue;
    int digit = (text[i] - '1' + shift) % 9;
    b.cell[i] = (uint8_t)(digit + 1);
    b.row[i / 9] |= 1 << digit, b.column[i % 9] |= 1 << digit, b.box[i / 27 * 3 + i % 9 / 3] |= 1 << digit;
  }
  int solved = solve(&b);
  return guest_mix_bytes((uint64_t)(b.steps * 2 + solved), b.cell, 81);
}

// Matches a pattern of characters, '.', and the suffixes '*', '+' and '?', anchored on both ends.
static int match(const char* pattern, const char* text) {
  if (!*pattern) return !*text;
  int here = *text && (*pattern == '.' || *pattern == *text);
  if (pattern[1] == '*') return match(pattern + 2, text) || (here && match(pattern, text + 1));
  if (pattern[1] == '?') return match(pattern + 2, text) || (here && match(pattern + 2, text + 1));
  if (pattern[1] == '+') {
    if (!here) return 0;
    for (text++;; text++) {
      if (match(pattern + 2, text)) return 1;
      if (!*text || !(*pattern == '.' || *pattern == *text)) return 0;
    }
  }
  return here && match(pattern + 1, text + 1);
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 12);
  static const char* const patterns[] = {"a*b?.*c+d", ".*ab.*ba.*", "a?a?a?a?a?aaaaa", "(x.)*y+", ".*a.*b.*c.*d.*"};
  uint64_t seed = 3, hash = 0;
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < 4; i++) hash = guest_mix(hash, play(kPuzzles[i], (int)(round % 9)));
    int matched = 0;
    for (int i = 0; i < 20000; i++) {
      char text[41];
      uint64_t r = guest_random(&seed);
      int n = 5 + (int)(r % 36);
      for (int k = 0; k < n; k++) text[k] = (char)('a' + (r >> (k % 31 * 2) & 3));
      text[n] = 0;
      for (int p = 0; p < 5; p++) matched += match(patterns[p], text);
    }
    hash = guest_mix(hash, (uint64_t)matched);
  }
  guest_report("sudoku", hash);
}
