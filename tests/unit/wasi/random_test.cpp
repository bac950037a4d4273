// Calls with arguments drawn at random: none may crash, hang, or touch anything outside the grant and guest memory.
#include <random>

#include "tests/unit/wasi/host.h"
#include "wasi/bind.h"
#include "wasi/rows.h"

namespace vmrun::wasi {
namespace {

#define VMRUN_WASI_X(where, name_, function, params_)   \
  struct Row_##function {                               \
    static constexpr auto call = &function;             \
    static constexpr const char* name = #function;      \
    static constexpr std::string_view params = params_; \
  };
VMRUN_WASI_CALLS(VMRUN_WASI_X)
#undef VMRUN_WASI_X

struct Call {
  std::string_view name;
  FuncType (*type)();
  Errno (*invoke)(Context&, Mem, const Slot*);
};
constexpr Call kCalls[] = {
#define VMRUN_WASI_X(where, name, function, params) \
  {#function, &Binding<Row_##function>::type, &Binding<Row_##function>::invoke},
    VMRUN_WASI_CALLS(VMRUN_WASI_X)
#undef VMRUN_WASI_X
};

/// Waits as long as a random number says, or fills the disk.
bool left_out(std::string_view name) { return name.starts_with("poll_oneoff") || name == "fd_allocate"; }

}  // namespace
}  // namespace vmrun::wasi

using namespace vmrun;
using namespace vmrun::wasi;

TEST_CASE("random arguments do no harm") {
  std::mt19937_64 rng(7);
  auto below = [&](uint64_t n) { return rng() % n; };
  for (int round = 0; round < 8; ++round) {
    TempDir t;
    t.put("box/f", "text");
    t.dir("box/d/e");
    t.link("../..", "box/d/up");
    t.link("f", "box/l");
    FakeGuest g(t);
    if (round % 2 == 1) g.cx().resolver.force_walk();
    // Small numbers make plausible iovecs, the names plausible paths.
    std::vector<uint32_t> paths;
    for (const char* p :
         {"f", "d", "d/e", "d/up/secret", "l", "new", "d/new", "..", ".", "d/", "../secret", "/", "d/up"}) {
      paths.push_back(g.put(p));
    }
    uint32_t numbers = g.alloc(4096);
    for (uint32_t i = 0; i < 4096; i += 4) {
      REQUIRE(g.memory.write(numbers + i, static_cast<uint32_t>(below(4096))));
    }
    for (int i = 0; i < 4000; ++i) {
      const Call& call = kCalls[below(std::size(kCalls))];
      if (left_out(call.name)) continue;
      Slot args[16];
      size_t n = 0;
      for (ValType type : call.type().params) {
        uint64_t v;
        switch (below(6)) {
          case 0: v = below(8); break;  // descriptors, flags, lengths
          case 1: v = 3; break;
          case 2: v = paths[below(paths.size())]; break;
          case 3: v = numbers + below(4096); break;
          case 4: v = below(40); break;
          default: v = rng() >> below(64); break;
        }
        args[n++] = type == ValKind::I64 ? Slot::i64(v) : Slot::i32(static_cast<uint32_t>(v));
      }
      CAPTURE(call.name);
      Errno e = call.invoke(g.cx(), g.memory, args);
      CHECK(e <= Errno::notcapable);
    }
    CHECK(t.get("secret") == "out of bounds");
    size_t beside = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(t / "")) ++beside;
    CHECK(beside == 2);  // box and secret
  }
}
