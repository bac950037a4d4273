// What WASI calls cost metered guests: the bytes that they move.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/ok.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

namespace vmrun::test {
namespace {

/// (import "wasi_snapshot_preview1" NAME (func (param i32 i32) (result i32)))  (memory (export "memory") 1)
/// (func (export "f") (param i32 i32) (result i32) (call 0 (local.get 0) (local.get 1)))
std::vector<uint8_t> image_that_calls(const std::string& name, uint8_t params) {
  std::vector<uint8_t> out{0, 'a', 's', 'm', 1, 0, 0, 0};
  const auto section = [&](uint8_t id, const std::vector<uint8_t>& body) {
    out.insert(out.end(), {id, static_cast<uint8_t>(body.size())});
    out.insert(out.end(), body.begin(), body.end());
  };
  std::vector<uint8_t> type{1, 0x60, params}, import{1, 22}, code{1, static_cast<uint8_t>(4 + 2 * params), 0};
  type.insert(type.end(), params, 0x7f);
  type.insert(type.end(), {1, 0x7f});
  const std::string from = "wasi_snapshot_preview1";
  import.insert(import.end(), from.begin(), from.end());
  import.push_back(static_cast<uint8_t>(name.size()));
  import.insert(import.end(), name.begin(), name.end());
  import.insert(import.end(), {0, 0});
  for (uint8_t i = 0; i < params; ++i) code.insert(code.end(), {0x20, i});
  code.insert(code.end(), {0x10, 0, 0x0b});
  section(1, type);
  section(2, import);
  section(3, {1, 0});
  section(5, {1, 0, 1});
  section(7, {2, 6, 'm', 'e', 'm', 'o', 'r', 'y', 2, 0, 1, 'f', 0, 1});
  section(10, code);
  return out;
}

struct Guest {
  Engine engine;
  Store store;
  std::string written;
  Instance instance;

  Guest(const std::string& call, uint8_t params, Tiers tiers)
      : engine(config(tiers)), store(engine), instance(nullptr) {
    const Module module = ok(Module::compile(engine, image_that_calls(call, params), "guest"));
    Linker linker(engine);
    WasiConfig wasi;
    wasi.stdout_to([this](std::string_view bytes) {
      written += bytes;
      return true;
    });
    ok(add_wasi(linker, ok(WasiContext::create(wasi))));
    instance = ok(linker.instantiate(store, module));
  }
  static Config config(Tiers tiers) {
    Config config;
    config.tiers = tiers;
    config.fuel = true;
    return config;
  }
  /// What is used up of so much fuel.
  uint64_t used(std::vector<Val> args, int32_t wanted, uint64_t fuel = 1'000'000) {
    ok(store.set_fuel(fuel));
    CHECK(ok(ok(instance.func("f")).call(args))[0].as_i32() == wanted);
    return fuel - store.fuel();
  }
};

constexpr Tiers kTiers[] = {Tiers::Interp, Tiers::Baseline, Tiers::Opt};

TEST_CASE("metered guests pay for random bytes") {
  for (const Tiers tiers : kTiers) {
    Guest guest("random_get", 2, tiers);
    const auto used = [&](int32_t bytes, int32_t wanted, uint64_t fuel = 1'000'000) {
      return guest.used({Val::i32(0), Val::i32(bytes)}, wanted, fuel);
    };
    CHECK(used(0, 0) == 4);
    CHECK(used(1, 0) == 4 + 1);
    CHECK(used(100, 0) == 4 + 7);
    CHECK(used(65536, 0) == 4 + 4096);
    CHECK(used(65537, 21) == 4);  // fault
    CHECK(used(65536, 0, 10) == 10);
  }
}

TEST_CASE("metered guests pay for what is written, not for what might have been") {
  for (const Tiers tiers : kTiers) {
    Guest guest("fd_write", 4, tiers);
    auto* words = reinterpret_cast<uint32_t*>(ok(guest.instance.memory("memory")).data().data());
    words[0] = 1024;
    words[1] = 33;
    const auto used = [&](int32_t fd, int32_t wanted) {
      return guest.used({Val::i32(fd), Val::i32(0), Val::i32(1), Val::i32(16)}, wanted);
    };
    CHECK(used(1, 0) == 6 + 3);
    CHECK(guest.written.size() == 33);
    CHECK(used(77, 8) == 6);  // badf
  }
}

}  // namespace
}  // namespace vmrun::test
