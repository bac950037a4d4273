// The entry point of every doctest executable.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
// doctest would put its own fault handlers in front of the machine's, which turn a guest's fault into a trap.
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS
#include <doctest/doctest.h>
