// Where the system refuses executable memory, guests are interpreted, and the log says so once.
#include <doctest/doctest.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

constexpr std::string_view kWarning = "no executable memory: the system refuses it";

size_t count(std::string_view text, std::string_view what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) n++;
  return n;
}

/// Runs vmrun where no memory becomes executable after it was mapped. Libraries are mapped executable at once.
CommandResult run_without_code(const std::vector<std::string>& args) {
  CommandResult result;
  // A filter holds for the thread that installs it, and for what that starts.
  std::thread([&] {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program{std::size(code), code};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    result = run_vmrun(args);
  }).join();
  return result;
}

TEST_CASE("where executable memory is refused, guests are interpreted") {
  const auto right = run_vmrun({"-O", "tier=interp", fixture("cli_guest"), "a", "b"});
  for (const char* tier : {"auto", "interp+baseline", "baseline", "opt", "steps"}) {
    CAPTURE(tier);
    const auto r = run_without_code({"-O", std::string("tier=") + tier, fixture("cli_guest"), "a", "b"});
    CHECK(r.status == right.status);
    CHECK(r.out == right.out);
    CHECK(count(r.err, kWarning) == 1);
  }
  const auto eager = run_without_code({"-O", "tier=baseline,eager=baseline", fixture("cli_guest"), "a", "b"});
  CHECK(eager.out == right.out);
  CHECK(count(eager.err, kWarning) == 1);
}

TEST_CASE("what needs no machine code does not miss it") {
  const auto r = run_without_code({"-O", "tier=interp", fixture("cli_guest"), "a", "b"});
  CHECK(count(r.err, kWarning) == 0);
  const auto traps =
      run_without_code({"-O", "tier=baseline", "-W", "timeout=100ms", "--invoke", "loop", fixture("stop_spin")});
  CHECK(traps.status == 134);
  CHECK(count(traps.err, "time limit of 100ms reached") == 1);
}

TEST_CASE("--stats says why there is no machine code") {
  const auto r = run_without_code({"-O", "tier=baseline", "--stats", fixture("cli_guest"), "a", "b"});
  CHECK(count(r.err, kWarning) == 1);
  CHECK(count(r.err, "there is no executable memory") == 1);  // in the statistics
}

}  // namespace
}  // namespace vmrun::test
