// A library whose loading lasts until a byte comes: its constructor runs inside dlopen. The environment names two descriptors,
// one to say that it has begun and one to wait for the byte.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace {

[[gnu::constructor]] void wait_for_a_byte() {
  const char* numbers = std::getenv("VMRUN_SLOW_TO_LOAD");
  int begun = -1, go = -1;
  char byte = 0;
  if (numbers == nullptr || std::sscanf(numbers, "%d,%d", &begun, &go) != 2) return;
  if (write(begun, &byte, 1) != 1 || read(go, &byte, 1) != 1) std::abort();
}

}  // namespace
