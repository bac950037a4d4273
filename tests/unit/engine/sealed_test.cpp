// Compiled images with a MAC: what was made with the key is run, and nothing else is.
#include <cstring>

#include "jit/stored/format.h"
#include "tests/unit/engine/stored.h"
#include "vm/base/hmac.h"

using namespace vmrun;
using namespace vmrun::test;
namespace fs = std::filesystem;

namespace {

constexpr size_t kTrailer = 48;

MacKey key_of(uint8_t byte) { return ok(MacKey::from_bytes(std::vector<uint8_t>(32, byte))); }

std::vector<uint8_t> sealed(const MacKey& key) {
  SerializeOptions options;
  options.key = key;
  return ok(ok(Module::compile_file(Engine(with_tiers(Tiers::Baseline)), kStoredImage)).serialize(options));
}

ErrorKind refusal(std::span<const uint8_t> bytes, const MacKey& key, const char* says) {
  const auto module = Module::deserialize(Engine(with_tiers(Tiers::Baseline)), bytes, "x", key);
  REQUIRE(!module);
  CAPTURE(module.error().message);
  CHECK(module.error().message.find(says) != std::string::npos);
  return module.error().kind;
}

}  // namespace

TEST_CASE("sealed: what was made with the key is run, by whoever has it") {
  const Folder folder;
  const std::vector<uint8_t> bytes = sealed(key_of(1));
  const Module module = ok(Module::deserialize(Engine(with_tiers(Tiers::Baseline)), bytes, "x", key_of(1)));
  check_stored(module);
  CHECK(how_code_came(module).compiled == 0);
  SerializeOptions options;
  options.key = key_of(1);
  const fs::path file = folder.path() / "x.cwasm";
  ok(ok(Module::compile_file(Engine(with_tiers(Tiers::Baseline)), kStoredImage)).serialize_file(file, options));
  const Module read = ok(Module::deserialize_file(Engine(with_tiers(Tiers::Baseline)), file, key_of(1)));
  // It is used as it was read: what happens to the file afterwards is not seen.
  write_file(file, std::string(fs::file_size(file), 'x'));
  check_stored(read);
  CHECK(how_code_came(read).compiled == 0);
  // Without a key it is as if there were none.
  check_stored(ok(Module::deserialize(Engine(with_tiers(Tiers::Baseline)), bytes, "x")));
  check_stored(ok(Module::deserialize(Engine(with_tiers(Tiers::Baseline)), bytes, "x", StoredTrust::Image)));
}

TEST_CASE("sealed: another key, another byte, another length and no MAC are refused") {
  const MacKey key = key_of(1);
  const std::vector<uint8_t> good = sealed(key);
  CHECK(refusal(good, key_of(2), "not right under this key") == ErrorKind::Malformed);
  for (size_t at = 0; at < good.size(); at += 509) {
    std::vector<uint8_t> bytes = good;
    bytes[at] ^= 4;
    const auto module = Module::deserialize(Engine(with_tiers(Tiers::Baseline)), bytes, "x", key);
    REQUIRE(!module);
    CHECK(module.error().kind == ErrorKind::Malformed);
  }
  std::vector<uint8_t> bytes(good.begin(), good.end() - kTrailer);
  CHECK(refusal(bytes, key, "there is no MAC") == ErrorKind::Malformed);
  bytes = good;
  bytes.insert(bytes.end() - kTrailer, 0);
  refusal(bytes, key, "not right");
  bytes = good;
  bytes.erase(bytes.end() - kTrailer - 1);
  refusal(bytes, key, "not right");
  // A MAC of those very bytes, but by a hash without a key.
  bytes = good;
  const vmrun::vm::Digest plain = vmrun::vm::sha256(std::as_bytes(std::span(bytes)).first(bytes.size() - kTrailer));
  std::memcpy(bytes.data() + bytes.size() - plain.bytes.size(), plain.bytes.data(), plain.bytes.size());
  refusal(bytes, key, "not right");
  for (const size_t size : {size_t{0}, size_t{1}, kTrailer - 1, kTrailer, size_t{300}}) {
    CHECK(!Module::deserialize(Engine(), std::span(good).first(size), "x", key));
    CHECK(!Module::deserialize(Engine(), std::span(good).last(size), "x", key));
  }
}

TEST_CASE("sealed: nothing of a file is looked at before its MAC") {
  // Of another format: who looked at the header first would say that.
  std::vector<uint8_t> bytes = sealed(key_of(1));
  bytes[offsetof(jit::stored::Header, format)] = 99;
  refusal(bytes, key_of(1), "not right under this key");
}

TEST_CASE("sealed: keys") {
  CHECK(MacKey::from_bytes(std::vector<uint8_t>(31)).error().kind == ErrorKind::Usage);
  CHECK(MacKey::from_bytes(std::vector<uint8_t>(4097)).error().kind == ErrorKind::Usage);
  CHECK(ok(MacKey::from_bytes(std::vector<uint8_t>(4096))).bytes().size() == 4096);
  const Folder folder;
  write_file(folder.path() / "short", "secret\n");
  write_file(folder.path() / "key", std::string(32, 'k'));
  CHECK(MacKey::read_file(folder.path() / "none").error().kind == ErrorKind::Io);
  CHECK(MacKey::read_file(folder.path()).error().kind == ErrorKind::Io);
  CHECK(MacKey::read_file(folder.path() / "short").error().kind == ErrorKind::Usage);
  CHECK(ok(MacKey::read_file(folder.path() / "key")).bytes()[31] == 'k');
}
