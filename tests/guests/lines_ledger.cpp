// Lines that tests speak of say their number.
// A guest with debug information, for tests of source lines: its lines are in their expectations. With an argument it
// divides by zero, in a function that is inlined in another; without, it spins in one.
#include <cstdlib>
#include <cstring>

namespace app {

struct Ledger {
  int entries[8];

  int divide(int a, int b) const {
    return a / b;  // line 13
  }
  __attribute__((noinline)) int total(int by) const {
    int sum = 0;
    for (int entry : entries) sum += divide(entry, by);  // line 17
    return sum;
  }
};

namespace {
inline unsigned mix(unsigned h) {
  h ^= h << 13;
  h ^= h >> 17;
  return h ^ (h << 5);  // line 26
}
}  // namespace

__attribute__((noinline)) unsigned spin(unsigned rounds) {
  unsigned h = 1;
  for (unsigned i = 0; i < rounds; ++i) h = mix(h + i);  // line 32
  return h;
}

}  // namespace app

int main(int argc, char** argv) {
  app::Ledger ledger{{1, 2, 3, 4, 5, 6, 7, 8}};
  if (argc > 1 && std::strcmp(argv[1], "spin") == 0) return app::spin(400000000u) == 0;
  return ledger.total(argc - 2) == 0;  // line 41
}
