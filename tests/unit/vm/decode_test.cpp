// The binary format's primitives, what errors say, names, features, and the disassembler.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/module_bytes.h"
#include "vm/wasm/disasm.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"
#include "vm/wasm/opcode.h"
#include "vm/wasm/reader.h"

namespace {

using namespace vmrun;
using test::Bytes;
using test::decode;
using test::func_module;

template <class T, int kBits>
std::pair<vm::LebStatus, T> leb(std::vector<uint8_t> bytes) {
  const uint8_t* p = bytes.data();
  T value{};
  vm::LebStatus status = vm::read_leb<T, kBits>(p, p + bytes.size(), value);
  return {status, value};
}

TEST_CASE("LEB128 integers") {
  using enum vm::LebStatus;
  auto u32 = leb<uint32_t, 32>;
  auto s32 = leb<int32_t, 32>;
  auto s64 = leb<int64_t, 64>;
  CHECK(u32({0x7f}) == std::pair(ok, 127u));
  CHECK(u32({0x80, 0x01}) == std::pair(ok, 128u));
  CHECK(u32({0xff, 0xff, 0xff, 0xff, 0x0f}) == std::pair(ok, 0xffffffffu));
  CHECK(u32({0x80, 0x80, 0x80, 0x80, 0x00}) == std::pair(ok, 0u));
  CHECK(u32({0x80, 0x80, 0x80, 0x80, 0x10}).first == too_large);
  CHECK(u32({0x80, 0x80, 0x80, 0x80, 0x80, 0x00}).first == too_long);
  CHECK(u32({0x80}).first == unexpected_end);
  CHECK(u32({}).first == unexpected_end);
  CHECK(s32({0x7f}) == std::pair(ok, -1));
  CHECK(s32({0x40}) == std::pair(ok, -64));
  CHECK(s32({0xc0, 0x00}) == std::pair(ok, 64));
  CHECK(s32({0x80, 0x80, 0x80, 0x80, 0x78}) == std::pair(ok, INT32_MIN));
  CHECK(s32({0xff, 0xff, 0xff, 0xff, 0x07}) == std::pair(ok, INT32_MAX));
  CHECK(s32({0xff, 0xff, 0xff, 0xff, 0x0f}).first == too_large);
  CHECK(s32({0x80, 0x80, 0x80, 0x80, 0x70}).first == too_large);
  CHECK(s64({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f}) == std::pair(ok, INT64_MIN));
  CHECK(s64({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7e}).first == too_large);
  CHECK(leb<int64_t, 33>({0x80, 0x80, 0x80, 0x80, 0x70}) == std::pair(ok, -(int64_t{1} << 32)));
  CHECK(leb<int64_t, 33>({0x80, 0x80, 0x80, 0x80, 0x60}).first == too_large);
}

TEST_CASE("UTF-8") {
  CHECK(vm::is_utf8("plain"));
  CHECK(vm::is_utf8("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  CHECK_FALSE(vm::is_utf8("\x80"));
  CHECK_FALSE(vm::is_utf8("\xc0\x80"));          // overlong
  CHECK_FALSE(vm::is_utf8("\xed\xa0\x80"));      // surrogate
  CHECK_FALSE(vm::is_utf8("\xf4\x90\x80\x80"));  // above U+10FFFF
  CHECK_FALSE(vm::is_utf8("\xe2\x82"));          // cut short
}

TEST_CASE("errors say what is wrong, where, and in which function") {
  // (func (result i32) i64.const 1)
  auto module = decode(func_module({0x60, 0, 1, 0x7f}, {0, 0x42, 1, 0x0b}));
  REQUIRE_FALSE(module);
  CHECK(module.error().kind == ErrorKind::Invalid);
  CHECK(module.error().message == "type mismatch: expected i32, found i64 at end in function 0");
  CHECK(module.error().func_index == 0u);
  CHECK(module.error().offset == 26u);

  // i32.add on an empty stack
  module = decode(func_module({0x60, 0, 0}, {0, 0x6a, 0x1a, 0x0b}));
  REQUIRE_FALSE(module);
  CHECK(module.error().message == "type mismatch: expected i32 but nothing is on the stack at i32.add in function 0");

  module = decode(func_module({0x60, 0, 0}, {0, 0xff, 0x0b}));
  REQUIRE_FALSE(module);
  CHECK(module.error().kind == ErrorKind::Malformed);
  CHECK(module.error().message == "illegal opcode ff in function 0");

  module = decode(func_module({0x60, 0, 0}, {0, 0x20, 5, 0x1a, 0x0b}));
  REQUIRE_FALSE(module);
  CHECK(module.error().message == "unknown local 5 at local.get in function 0");
}

TEST_CASE("what is no image is refused") {
  CHECK(decode({}).error().message == "unexpected end");
  CHECK(decode({0, 'a'}).error().message == "unexpected end");
  CHECK(decode({0x7f, 'E', 'L', 'F', 1, 0, 0, 0}).error().message == "magic header not detected");
  CHECK(decode({0, 'a', 's', 'm', 2, 0, 0, 0}).error().message == "unknown binary version");
  CHECK(decode({0, 'a', 's', 'm', 0x0d, 0, 1, 0}).error().message ==
        "unknown binary version: this is a component, not a core module");
  auto missing = vm::Image::open("/nonexistent/file.wasm");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind == ErrorKind::Io);
  CHECK_FALSE(vm::Image::open("/"));
}

TEST_CASE("hostile counts are refused before anything is allocated") {
  Bytes huge = {0xff, 0xff, 0xff, 0xff, 0x0f};
  for (uint8_t id : {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13}) {
    Bytes bytes = test::kHeader;
    bytes.insert(bytes.end(), {id, 5});
    bytes.insert(bytes.end(), huge.begin(), huge.end());
    CAPTURE(int{id});
    CHECK_FALSE(decode(bytes));
  }
  // 2^32 - 1 locals of type i32, twice.
  auto module = decode(
      func_module({0x60, 0, 0}, {2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b}));
  CHECK_FALSE(module);
  // A br_table with as many labels.
  module = decode(func_module({0x60, 0, 0}, {0, 0x41, 0, 0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b}));
  CHECK_FALSE(module);
}

TEST_CASE("every truncation of an image is refused or decodes, and never crashes") {
  Bytes bytes = func_module({0x60, 2, 0x7f, 0x7e, 1, 0x7f},
                            {1, 2, 0x7d, 0x02, 0x40, 0x20, 0, 0x04, 0x40, 0x0c, 1, 0x0b, 0x0b, 0x20, 0, 0x0b});
  CHECK(decode(bytes));
  for (size_t n = 0; n < bytes.size(); ++n) {
    auto module = decode(Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n)));
    CHECK((!module || n == 8 || n == 17));
  }
  // Neither does any single changed byte.
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      Bytes changed = bytes;
      changed[i] = static_cast<uint8_t>(value);
      static_cast<void>(decode(changed).ok());
    }
  }
}

TEST_CASE("the first bad function is reported, however many threads look") {
  // Many functions of some size; two of them are wrong.
  Bytes body = {0};
  for (int i = 0; i < 1000; ++i) body.insert(body.end(), {0x41, 1, 0x1a});
  body.push_back(0x0b);
  Bytes bad = body;
  bad[bad.size() - 2] = 0x6a;
  std::vector<Bytes> bodies(300, body);
  bodies[211] = bodies[123] = bad;
  Bytes bytes = test::module_of({0x60, 0, 0}, bodies);
  for (unsigned threads : {1u, 2u, 5u}) {
    vm::DecodeOptions options;
    options.threads = threads;
    auto module = decode(bytes, options);
    REQUIRE_FALSE(module);
    CHECK(module.error().func_index == 123u);
  }
}

TEST_CASE("features: what is used is recorded, and what is off is refused by name") {
  // (func (param i32) (result i32) (i32.extend8_s (local.get 0)))
  Bytes bytes = func_module({0x60, 1, 0x7f, 1, 0x7f}, {0, 0x20, 0, 0xc0, 0x0b});
  auto module = decode(bytes);
  REQUIRE(module);
  CHECK((*module)->features_used == vm::Features::none().add(vm::Feature::mvp).add(vm::Feature::sign_extension));
  vm::DecodeOptions options;
  options.features.remove(vm::Feature::sign_extension);
  module = decode(bytes, options);
  REQUIRE_FALSE(module);
  CHECK(module.error().kind == ErrorKind::Unsupported);
  CHECK(module.error().message == "i32.extend8_s needs sign-extension, which is off, in function 0");
}

TEST_CASE("object instructions decode, and the first one is remembered") {
  // (func (drop (ref.i31 (i32.const 0))))
  auto module = decode(func_module({0x60, 0, 0}, {0, 0x41, 0, 0xfb, 28, 0x1a, 0x0b}));
  REQUIRE(module);
  REQUIRE((*module)->unsupported);
  CHECK((*module)->unsupported->op == vm::Op::ref_i31);
  CHECK((*module)->unsupported->func_index == 0u);
  CHECK_FALSE((*decode(func_module({0x60, 0, 0}, {0, 0x0b})))->unsupported);
}

TEST_CASE("names come from the name section, and a broken one changes nothing") {
  Bytes bytes = func_module({0x60, 0, 0}, {0, 0x0b});
  Bytes names = bytes;
  // Module name "m"; function 0 is "f".
  Bytes section = {0, 15, 4, 'n', 'a', 'm', 'e', 0, 2, 1, 'm', 1, 4, 1, 0, 1, 'f'};
  names.insert(names.end(), section.begin(), section.end());
  auto module = decode(names);
  REQUIRE(module);
  CHECK((*module)->func_name(0) == "f");
  CHECK((*module)->func_label(0) == "f");
  CHECK((*module)->display_name() == "m");
  names.back() = 0xff;  // not UTF-8
  module = decode(names);
  REQUIRE(module);
  CHECK((*module)->func_name(0) == "");
  CHECK((*module)->func_label(0) == "func[0]");
}

TEST_CASE("disassembly") {
  auto module =
      decode(func_module({0x60, 1, 0x7f, 1, 0x7f}, {0,    0x02, 0x7f, 0x20, 0,    0x43, 0, 0,    0xc0, 0x3f, 0x1a,
                                                    0x0e, 1,    0,    1,    0x0b, 0x10, 0, 0x42, 0x7f, 0x1a, 0x0b}));
  CHECK_FALSE(module);  // br_table without an index behind the drop
  module =
      decode(func_module({0x60, 1, 0x7f, 1, 0x7f}, {0, 0x02, 0x7f, 0x41, 7, 0x43, 0,    0, 0xc0, 0x3f, 0x1a, 0x20,
                                                    0, 0x0e, 1,    0,    1, 0x0b, 0x10, 0, 0x42, 0x7f, 0x1a, 0x0b}));
  REQUIRE(module);
  std::vector<std::string> texts;
  for (const vm::DisasmLine& line : vm::disassemble(**module, 0))
    texts.push_back(std::string(line.depth * 2, ' ') + line.text);
  CHECK(texts == std::vector<std::string>{"block (result i32)", "  i32.const 7", "  f32.const 1.5", "  drop",
                                          "  local.get 0", "  br_table 0 1", "end", "call 0", "i64.const -1", "drop",
                                          "end"});
}

TEST_CASE("the opcode table is consistent") {
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    const vm::OpInfo& info = vm::kOpInfo[i];
    CAPTURE(info.mnemonic);
    uint16_t found = info.prefix ? vm::prefixed_op(info.prefix, info.code) : vm::kOpByByte[info.code];
    CHECK(found == i);
  }
  CHECK(vm::mnemonic(vm::Op::i32x4_dot_i16x8_s) == "i32x4.dot_i16x8_s");
  CHECK(vm::mnemonic(vm::Op::if_) == "if");
}

}  // namespace
