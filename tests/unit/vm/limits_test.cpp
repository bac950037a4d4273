// The limits of what an image may decide (vm/wasm/limits.h): what is within is accepted, one more is refused with ErrorKind
// Limit and the offset of the place. Images whose validation would take time or memory beyond all proportion are here at
// their full size, so that a walk that is not linear shows as a test that does not end.
#include "vm/wasm/limits.h"

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <vector>

#include "tests/support/module_bytes.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"
#include "vm/wasm/module_decoder.h"
#include "vm/wasm/types.h"

namespace {

using namespace vmrun;
using namespace vmrun::vm;
using test::append;
using test::append_section;
using test::append_u32;
using test::Bytes;
using test::decode;

constexpr uint8_t kVector = 0x7b, kInt = 0x7f, kEnd = 0x0b, kUnreachable = 0x00;

/// A module of one function of type 0, with these types and this body.
Bytes module_with(const std::vector<Bytes>& types, const Bytes& body) {
  Bytes out = test::kHeader, section;
  append_u32(section, static_cast<uint32_t>(types.size()));
  for (const Bytes& type : types) append(section, type);
  append_section(out, 1, section);
  append_section(out, 3, {1, 0});
  Bytes code = {1};
  append_u32(code, static_cast<uint32_t>(body.size()));
  append(code, body);
  append_section(out, 10, code);
  return out;
}

Bytes func_type(uint32_t params, uint32_t results, uint8_t type = kInt) {
  Bytes out = {0x60};
  append_u32(out, params);
  out.insert(out.end(), params, type);
  append_u32(out, results);
  out.insert(out.end(), results, type);
  return out;
}

const Bytes kNothing = func_type(0, 0);

void repeat(Bytes& out, const Bytes& bytes, size_t times) {
  for (size_t i = 0; i < times; ++i) append(out, bytes);
}

void accept(const Bytes& image) {
  auto module = decode(image);
  if (!module) FAIL(module.error().to_string());
}

/// Refused for a limit whose message begins so. Gives the offset of the place.
uint64_t refuse(const Bytes& image, const std::string& message) {
  auto module = decode(image);
  REQUIRE_FALSE(module);
  CHECK(module.error().kind == ErrorKind::Limit);
  CAPTURE(module.error().message);
  CHECK(module.error().message.find(message) != std::string::npos);
  REQUIRE(module.error().offset);
  return *module.error().offset;
}

const std::string kSlots = "function needs more than 50000 stack slots";

/// `locals` of one type, then the code.
Bytes body(uint32_t locals, uint8_t type, const Bytes& code) {
  Bytes out;
  if (locals == 0) {
    out.push_back(0);
  } else {
    out.push_back(1);
    append_u32(out, locals);
    out.push_back(type);
  }
  append(out, code);
  append(out, {kUnreachable, kEnd});
  return out;
}

Bytes operands(size_t count) {
  Bytes code;
  repeat(code, {0x41, 0}, count);  // i32.const 0
  return code;
}

}  // namespace

TEST_CASE("limits: locals and operands share 50,000 slots") {
  accept(module_with({kNothing}, body(0, 0, operands(50'000))));
  const Bytes deep = module_with({kNothing}, body(0, 0, operands(50'001)));
  CHECK(refuse(deep, kSlots) == deep.size() - 4);  // the last constant
  accept(module_with({kNothing}, body(40'000, kInt, operands(10'000))));
  refuse(module_with({kNothing}, body(40'000, kInt, operands(10'001))), kSlots);
  accept(module_with({kNothing}, body(50'000, kInt, {})));
  refuse(module_with({kNothing}, body(50'001, kInt, {})), "too many locals");
  accept(module_with({kNothing}, body(25'000, kVector, {})));
  refuse(module_with({kNothing}, body(25'001, kVector, {})), kSlots);
  accept(module_with({func_type(1000, 0)}, body(49'000, kInt, {})));
  refuse(module_with({func_type(1000, 0)}, body(49'000, kInt, operands(1))), kSlots);
}

TEST_CASE("limits: each open catch of an older try takes a slot") {
  const auto tries = [](size_t open, size_t closed, const Bytes& inside) {
    Bytes code;
    repeat(code, {0x06, 0x40, 0x19, kEnd}, closed);  // try catch_all end
    repeat(code, {0x06, 0x40, 0x19}, open);
    append(code, inside);
    repeat(code, {kEnd}, open);
    return code;
  };
  const auto constants = [](size_t count) {
    Bytes code = operands(count);
    repeat(code, {0x1a}, count);  // drop
    return code;
  };
  accept(module_with({kNothing}, body(40'000, kInt, tries(9'600, 2'000, constants(400)))));
  refuse(module_with({kNothing}, body(40'000, kInt, tries(9'600, 2'000, constants(401)))), kSlots);
  refuse(module_with({kNothing}, body(50'000, kInt, tries(0, 1, {}))), kSlots);
  accept(module_with({kNothing}, body(49'999, kInt, tries(1, 1, {}))));
  refuse(module_with({kNothing}, body(49'999, kInt, tries(2, 0, {}))), kSlots);
}

TEST_CASE("limits: where a v128 may be on the stack, operands count twice") {
  Bytes vector = {0xfd, 12};  // v128.const
  vector.insert(vector.end(), 16, 0);
  Bytes code = vector;
  append(code, operands(24'999));
  accept(module_with({kNothing}, body(0, 0, code)));
  append(code, operands(1));
  refuse(module_with({kNothing}, body(0, 0, code)), kSlots);
  // The vector last.
  code = operands(25'000);
  append(code, {0x1a});  // drop
  append(code, vector);
  accept(module_with({kNothing}, body(0, 0, code)));
  code = operands(25'001);
  append(code, vector);
  refuse(module_with({kNothing}, body(0, 0, code)), kSlots);
  // Wherever else one may come from: a block's type, a call's results, a branch to the function's own label.
  for (const Bytes& source : {Bytes{0x02, kVector, kUnreachable, kEnd}, Bytes{0x02, 1, kUnreachable, kEnd}}) {
    code = operands(24'999);
    append(code, source);
    accept(module_with({kNothing, func_type(0, 1, kVector)}, body(0, 0, code)));
    append(code, operands(1));
    refuse(module_with({kNothing, func_type(0, 1, kVector)}, body(0, 0, code)), kSlots);
  }
  code = operands(24'999);
  append(code, {0x10, 0});  // call itself
  accept(module_with({func_type(0, 1, kVector)}, body(0, 0, code)));
  append(code, operands(1));
  refuse(module_with({func_type(0, 1, kVector)}, body(0, 0, code)), kSlots);
}

TEST_CASE("limits: dead code takes no more slots than live code") {
  // Each of these blocks leaves 1000 vectors, with 6 bytes of code.
  const Bytes block = {0x02, 1, kUnreachable, kEnd};
  const std::vector<Bytes> types = {kNothing, func_type(0, 1000, kVector)};
  Bytes code = {kUnreachable};
  repeat(code, block, 25);
  accept(module_with(types, body(0, 0, code)));
  append(code, block);
  refuse(module_with(types, body(0, 0, code)), kSlots);

  Bytes large = {kUnreachable};
  repeat(large, block, 7'600'000 / block.size());
  CHECK(refuse(module_with(types, body(0, 0, large)), kSlots) < 2200);
}

TEST_CASE("limits: blocks nest 100,000 deep") {
  const auto nested = [](size_t depth) {
    Bytes code;
    repeat(code, {0x02, 0x40}, depth);
    code.insert(code.end(), depth, kEnd);
    return module_with({kNothing}, body(0, 0, code));
  };
  accept(nested(kMaxNesting));
  refuse(nested(kMaxNesting + 1), "function needs more than 100000 nested blocks");
}

TEST_CASE("limits: a br_table has 65,520 labels, each looked at once") {
  const auto table = [](uint32_t labels) {
    Bytes code = {0x0e};
    append_u32(code, labels);
    for (uint32_t i = 0; i <= labels; ++i) code.push_back(i & 1);
    return code;
  };
  Bytes code = {0x41, 0};
  append(code, table(kMaxBranchLabels + 1));
  refuse(module_with({kNothing}, body(0, 0, code)), "function needs more than 65520 labels in a br_table");

  // Two labels of a thousand results in turn, in a body as large as one may be.
  code = {0x02, 1, 0x02, 1, kUnreachable};
  repeat(code, table(kMaxBranchLabels), 7'600'000 / kMaxBranchLabels);
  append(code, {kEnd, kEnd});
  accept(module_with({kNothing, func_type(0, 1000)}, body(0, 0, code)));

  // Still, each label's types count.
  code = {0x02, kInt, 0x02, 0x7e, kUnreachable, 0x0e, 3, 0, 0, 1, 0, kEnd, kUnreachable, kEnd};
  auto module = decode(module_with({kNothing}, body(0, 0, code)));
  CHECK(module.ok());  // what is missing is of any type
  code = {0x02, kInt, 0x02, 0x7e, 0x42, 0, 0x41, 0, 0x0e, 3, 0, 0, 1, 0, kEnd, kUnreachable, kEnd};
  module = decode(module_with({kNothing}, body(0, 0, code)));
  REQUIRE_FALSE(module);
  CHECK(module.error().kind == ErrorKind::Invalid);
  code = {0x02, kInt, 0x02, 0x40, kUnreachable, 0x0e, 3, 0, 0, 1, 0, kEnd, kUnreachable, kEnd};
  module = decode(module_with({kNothing}, body(0, 0, code)));
  REQUIRE_FALSE(module);
  CHECK(module.error().message.find("different arity") != std::string::npos);
}

TEST_CASE("limits: catch clauses of a try_table") {
  const auto tries = [](uint32_t clauses) {
    Bytes code = {0x1f, 0x40};
    append_u32(code, clauses);
    repeat(code, {2, 0}, clauses);  // catch_all 0
    code.push_back(kEnd);
    return module_with({kNothing}, body(0, 0, code));
  };
  accept(tries(kMaxCatches));
  refuse(tries(kMaxCatches + 1), "function needs more than 10000 catch clauses in a try_table");
}

TEST_CASE("limits: sections, names and what is counted over a module") {
  Bytes customs = test::kHeader;
  repeat(customs, {0, 1, 0}, kMaxCustomSections);
  accept(customs);
  append(customs, {0, 1, 0});
  CHECK(refuse(customs, "more custom sections than the limit of 100000") == customs.size() - 1);

  Bytes name;
  append_u32(name, kMaxNameBytes + 1);
  name.insert(name.end(), kMaxNameBytes + 1, 'a');
  Bytes image = test::kHeader;
  append_section(image, 0, name);
  refuse(image, "a name is longer than the limit of 100000 bytes");

  Bytes elems;
  append_u32(elems, kMaxElemSegments + 1);
  repeat(elems, {1, 0, 0}, kMaxElemSegments + 1);
  image = test::kHeader;
  append_section(image, 9, elems);
  refuse(image, "100001 element segments: more than the limit of 100000");

  // Some of the locals are references: the type's index, or the abstract type's code, follows its first byte.
  for (const Bytes& one : {Bytes{6, 1, 0xd0, 0x86, 3, kInt, kEnd}, Bytes{7, 1, 0xd0, 0x86, 3, 0x63, 0x70, kEnd}}) {
    const uint32_t bodies = kMaxAllLocals / kMaxLocals;
    for (uint32_t more : {0u, 1u}) {
      Bytes declared, code;
      append_u32(declared, bodies + more);
      declared.resize(declared.size() + bodies + more, 0);
      append_u32(code, bodies + more);
      repeat(code, one, bodies);
      append(code, more == 0 ? Bytes{} : Bytes{4, 1, 1, kInt, kEnd});
      image = test::kHeader;
      append_section(image, 1, {1, 0x60, 0, 0});
      append_section(image, 3, declared);
      append_section(image, 10, code);
      if (more == 0) {
        accept(image);
      } else {
        CHECK(refuse(image, "more locals in all functions than the limit of 50000000") == image.size() - 5);
      }
    }
  }

  Bytes types;
  const uint32_t lists = kMaxTypeParts / kMaxParams;
  append_u32(types, lists + 1);
  repeat(types, func_type(kMaxParams, 0), lists);
  append(types, func_type(1, 0));
  image = test::kHeader;
  append_section(image, 1, types);
  refuse(image, "more parameters, results and fields in all types than the limit of 10000000");
}

TEST_CASE("limits: imported and own definitions count together") {
  Bytes imports;
  append_u32(imports, 99);
  repeat(imports, {0, 0, 2, 0, 0}, 99);  // memories
  for (uint8_t own : {1, 2}) {
    Bytes memories = {own};
    repeat(memories, {0, 0}, own);
    Bytes image = test::kHeader;
    append_section(image, 2, imports);
    append_section(image, 5, memories);
    if (own == 1) {
      accept(image);
    } else {
      refuse(image, "2 memories beside 99 imported ones: more than the limit of 100");
    }
  }
}

TEST_CASE("limits: an image that is too large is named, if it has a name") {
  const uint8_t byte = 0;  // no more is looked at
  const std::span<const uint8_t> huge(&byte, kMaxImageBytes + 1);
  CHECK(Image::copy(huge).error().message == "the image is larger than 1 GiB");
  CHECK(Image::copy(huge, "big.wasm").error().message == "big.wasm: the image is larger than 1 GiB");
}

TEST_CASE("limits: a registry of types that is full says so") {
  vm::TypeRegistry registry;
  std::vector<vm::ValType> params(vm::kMaxStructFields, vm::kI32);
  size_t made = 0;
  for (; made < 2 * vm::kMaxEngineTypeParts / params.size(); ++made) {
    for (size_t bit = 0; bit < 14; ++bit) params[bit] = made >> bit & 1 ? vm::kI64 : vm::kI32;
    if (!registry.intern_func(params, {})) break;
  }
  CHECK(made == vm::kMaxEngineTypeParts / (params.size() + 4));
}
