// As little debug information as there can be with everything in it, for the fuzzer of its reader.
struct Pair {
  int a, b;
};

static inline __attribute__((always_inline)) int quotient(const struct Pair* pair) { return pair->a / pair->b; }

int average(const struct Pair* pairs, int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += quotient(&pairs[i]);
  return sum;
}
