// Faults of guest code: at its own memory's end they are its traps, anywhere else they are bugs of ours, which end the
// process with a message and a status that no trap has.
#include <fcntl.h>
#include <sys/mman.h>

#include "tests/support/child.h"
#include "tests/unit/jit/guest.h"
#include "vm/base/assert.h"

#if defined(__x86_64__)

namespace vmrun::test {
namespace {

/// Two stores with an instance each of engine_basic, run by the interpreter.
struct Two {
  Engine engine{interpreted()};
  Module module = fixture(engine, "engine_basic");
  Linker linker{engine};
  Store store{engine}, other_store{engine};
  Instance mine{nullptr}, other{nullptr};

  Two() {
    linker.unknown_imports_trap(true);
    mine = ok(linker.instantiate(store, module));
    other = ok(linker.instantiate(other_store, module));
  }
  std::byte* base(Instance instance) { return ok(instance.memory("memory")).data().data(); }
  Result<std::vector<Val>> load(int32_t address = 0) { return ok(mine.func("load")).call({Val::i32(address)}); }

  /// Replaces "load" by code from `emit`, between prologue and epilogue.
  void replace(const std::function<void(x86::Assembler&)>& emit) {
    give_machine_code(record(mine, "load"), [&](x86::Assembler& a) {
      prologue(a);
      emit(a);
      epilogue(a);
    });
  }
  /// By code that reads 4 bytes at `address`.
  void replace_by_read_of(const void* address) {
    replace([&](x86::Assembler& a) {
      a.mov(x86::rax, reinterpret_cast<uint64_t>(address));
      a.mov(x86::eax, x86::dword_ptr(x86::rax));
    });
  }
};

/// An address that nothing is mapped at.
const void* nothing_there() {
  void* page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  return page;
}

void check_internal_error(const Ended& ended, const std::string& what) {
  CAPTURE(ended.text);
  CHECK(ended.status == vm::kInternalErrorStatus);
  CHECK(says(ended, "vmrun: internal error: "));
  CHECK(says(ended, what));
  CHECK(says(ended, "please report"));
}

TEST_CASE("compiled code that faults beyond its own memory's size traps") {
  Two two;
  for (uint64_t offset : {uint64_t{65536}, uint64_t{65533}, uint64_t{1} << 32, (uint64_t{8} << 30) + 65532}) {
    CAPTURE(offset);
    two.replace_by_read_of(two.base(two.mine) + offset);
    const Result<std::vector<Val>> read = two.load();
    REQUIRE(!read);
    CHECK(read.error().trap == TrapCode::MemoryOutOfBounds);
  }
  two.replace_by_read_of(two.base(two.mine) + 8);
  CHECK(ok(two.load())[0].as_i32() == 0x6c6c6568);
}

TEST_CASE("fault child: compiled code: an address that is no memory's" * doctest::skip()) {
  Two two;
  two.replace_by_read_of(nothing_there());
  (void)two.load();
}
TEST_CASE("fault child: compiled code: the end of another store's memory" * doctest::skip()) {
  Two two;
  two.replace_by_read_of(two.base(two.other) + 65536);
  (void)two.load();
}
TEST_CASE("fault child: compiled code: a reservation that is nobody's" * doctest::skip()) {
  Two two;
  std::byte* base;
  {
    Store gone(two.engine);
    base = two.base(ok(two.linker.instantiate(gone, two.module)));
  }
  two.replace_by_read_of(base + 65536);
  (void)two.load();
}
TEST_CASE("fault child: compiled code: an address that cannot be" * doctest::skip()) {
  Two two;
  two.replace_by_read_of(reinterpret_cast<const void*>(0x1234567812345678));
  (void)two.load();
}
TEST_CASE("fault child: compiled code: no instruction" * doctest::skip()) {
  Two two;
  two.replace([](x86::Assembler& a) { a.ud2(); });
  (void)two.load();
}
TEST_CASE("fault child: compiled code: a division in memory" * doctest::skip()) {
  Two two;
  two.replace([](x86::Assembler& a) {
    a.xor_(x86::eax, x86::eax);
    a.xor_(x86::edx, x86::edx);
    a.push(x86::rax);
    a.div(x86::qword_ptr(x86::rsp));
  });
  (void)two.load();
}
TEST_CASE("fault child: interpreter: an address that is no memory's" * doctest::skip()) {
  Two two;
  two.mine.impl()->memory0_base = static_cast<std::byte*>(const_cast<void*>(nothing_there()));
  (void)two.load();
}
TEST_CASE("fault child: interpreter: the end of another store's memory" * doctest::skip()) {
  Two two;
  two.mine.impl()->memory0_base = two.other.impl()->memory0_base;
  (void)two.load(65536);
}

TEST_CASE("guest code that faults elsewhere ends the process as a bug of ours") {
  check_internal_error(in_child("fault child: compiled code: an address that is no memory's"),
                       "SIGSEGV in compiled code at pc 0x");
  check_internal_error(in_child("fault child: compiled code: the end of another store's memory"),
                       "outside of its own memories");
  check_internal_error(in_child("fault child: compiled code: a reservation that is nobody's"),
                       "outside of its own memories");
  check_internal_error(in_child("fault child: compiled code: an address that cannot be"), "address unknown");
  check_internal_error(in_child("fault child: compiled code: no instruction"), "SIGILL in compiled code");
  check_internal_error(in_child("fault child: compiled code: a division in memory"), "SIGFPE in compiled code");
  check_internal_error(in_child("fault child: interpreter: an address that is no memory's"),
                       "SIGSEGV in the interpreter");
  check_internal_error(in_child("fault child: interpreter: the end of another store's memory"),
                       "outside of its own memories");
}

TEST_CASE("fault child: a page of the guest's memory that somebody else protects" * doctest::skip()) {
  // The embedder's handler, there before us, opens the page again.
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    const auto page = reinterpret_cast<uintptr_t>(info->si_addr) & ~uintptr_t{4095};
    mprotect(reinterpret_cast<void*>(page), 4096, PROT_READ | PROT_WRITE);
  };
  sigaction(SIGSEGV, &action, nullptr);
  Two two;
  REQUIRE(mprotect(two.base(two.mine), 4096, PROT_NONE) == 0);
  CHECK(ok(two.load(8))[0].as_i32() == 0x6c6c6568);
  CHECK(two.load(65536).error().trap == TrapCode::MemoryOutOfBounds);
}
TEST_CASE("a fault within the memory's size is not the guest's") {
  const Ended ended = in_child("fault child: a page of the guest's memory that somebody else protects");
  CHECK(ended.status == 0);
}

TEST_CASE("fault child: a broken assumption" * doctest::skip()) { VMRUN_ASSERT(1 + 1 == 3, "sums"); }
TEST_CASE("a broken assumption ends the process as a bug of ours") {
  check_internal_error(in_child("fault child: a broken assumption"), "sums (1 + 1 == 3 does not hold at ");
}

}  // namespace
}  // namespace vmrun::test

#endif
