#include "vm/base/hmac.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace vmrun::vm;

namespace {

std::string mac_of(const std::string& key, const std::string& text) {
  const std::vector<uint8_t> bytes(key.begin(), key.end());
  return HmacSha256(bytes).add(text).finish().hex();
}

}  // namespace

TEST_CASE("hmac: the examples of RFC 4231") {
  const std::string large(131, '\xaa');
  std::string counted;
  for (char c = 1; c <= 25; ++c) counted += c;
  CHECK(mac_of(std::string(20, '\x0b'), "Hi There") ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(mac_of("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(mac_of(std::string(20, '\xaa'), std::string(50, '\xdd')) ==
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  CHECK(mac_of(counted, std::string(50, '\xcd')) == "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
  CHECK(mac_of(large, "Test Using Larger Than Block-Size Key - Hash Key First") ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  CHECK(
      mac_of(large,
             "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
             "hashed before being used by the HMAC algorithm.") ==
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST_CASE("hmac: pieces of any size, and keys around a block's") {
  const std::vector<uint8_t> key(32, 7);
  const std::string all(1000, 'x');
  const Digest whole = HmacSha256(key).add(all).finish();
  for (const size_t piece : {1u, 63u, 64u, 65u, 999u}) {
    HmacSha256 mac(key);
    for (size_t at = 0; at < all.size(); at += piece) mac.add(std::string_view(all).substr(at, piece));
    CHECK(mac.finish() == whole);
  }
  // A key is filled up with zeros to a block, and only a longer one is hashed.
  CHECK(mac_of(std::string(63, 'k') + '\0', "x") == mac_of(std::string(63, 'k'), "x"));
  CHECK(mac_of(std::string(64, 'k'), "x") != mac_of(std::string(65, 'k'), "x"));
}

TEST_CASE("hmac: digests are compared whole") {
  Digest a, b;
  CHECK(equal_in_constant_time(a, b));
  for (size_t i = 0; i < a.bytes.size(); ++i) {
    b = a;
    b.bytes[i] ^= 0x80;
    CHECK(!equal_in_constant_time(a, b));
  }
}
