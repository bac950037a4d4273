// Arguments of --invoke: numbers as the text format writes them.
#include <doctest/doctest.h>

#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

/// What the export `name` of cli_bits, which gives back its argument's bits, says of `text`; "" when it is refused.
std::string bits(const std::string& name, const std::string& text) {
  const auto r = run_vmrun({"--invoke", name, fixture("cli_bits"), text});
  if (r.status == 0) return r.out.substr(0, r.out.size() - 1);
  CHECK(r.status == 2);
  CHECK(r.err.find("'" + text + "' is not a") != std::string::npos);
  return "";
}

TEST_CASE("integers") {
  CHECK(bits("i32", "0x7fff_ffff") == "2147483647");
  CHECK(bits("i32", "1_000_000") == "1000000");
  CHECK(bits("i32", "+5") == "5");
  CHECK(bits("i32", "-0x8000_0000") == "-2147483648");
  CHECK(bits("i32", "4294967295") == "-1");
  CHECK(bits("i64", "9223372036854775808") == "-9223372036854775808");
  CHECK(bits("i64", "18446744073709551615") == "-1");
  CHECK(bits("i64", "-9223372036854775808") == "-9223372036854775808");
  CHECK(bits("i64", "0xFFFF_FFFF_FFFF_FFFF") == "-1");
  for (const char* wrong : {"", "-", "+", "0x", "_1", "1_", "1__0", "0x_1", "1 ", " 1", "0b1", "1.0", "1e3", "--1",
                            "4294967296", "-2147483649", "0x1_0000_0000"}) {
    CAPTURE(wrong);
    CHECK(bits("i32", wrong) == "");
  }
  CHECK(bits("i64", "18446744073709551616") == "");
  CHECK(bits("i64", "-9223372036854775809") == "");
}

TEST_CASE("floats") {
  CHECK(bits("f32", "0x1p-3") == "1040187392");          // 0.125
  CHECK(bits("f32", "-0x1.8p+1") == "-1069547520");      // -3
  CHECK(bits("f32", "0x1.fffffep127") == "2139095039");  // the largest
  CHECK(bits("f32", "0x1p-149") == "1");                 // the smallest
  CHECK(bits("f32", "0x0.8p-149") == "0");               // half of it: to even
  CHECK(bits("f32", "0x0.c_0p-149") == "1");
  CHECK(bits("f32", "0x1.000001p0") == "1065353216");  // half way: to even
  CHECK(bits("f32", "0x1.000003p0") == "1065353218");
  CHECK(bits("f32", "16777217") == "1266679808");     // rounded once
  CHECK(bits("f32", "1_0.2_5e0_1") == "1120731136");  // 102.5
  CHECK(bits("f32", "5.") == "1084227584");
  CHECK(bits("f32", ".5") == "1056964608");
  CHECK(bits("f32", "-0") == "-2147483648");
  CHECK(bits("f32", "inf") == "2139095040");
  CHECK(bits("f32", "-inf") == "-8388608");
  CHECK(bits("f32", "nan") == "2143289344");
  CHECK(bits("f32", "-nan") == "-4194304");
  CHECK(bits("f32", "nan:0x200000") == "2141192192");
  CHECK(bits("f32", "-nan:0x7f_ffff") == "-1");
  CHECK(bits("f64", "nan:0x4000000000000") == "9219994337134247936");
  CHECK(bits("f64", "0x1p-1074") == "1");
  CHECK(bits("f64", "0x1.fffffffffffffp1023") == "9218868437227405311");
  CHECK(bits("f64", "4.9e-324") == "1");
  CHECK(bits("f64", "0x1p-3") == "4593671619917905920");
  for (const char* wrong :
       {"",        ".",    "e1",      "0x",     "0x.p1", "1e",     "1e+",     "0x1p",         "0x1e+1", "1p3",
        "1_.5",    "1._5", "1.5_",    "1e_1",   "nan:",  "nan:0x", "nan:0x0", "nan:0x800000", "nan:1",  "nan:canonical",
        "infinit", "1e39", "0x1p128", "-1e999", "1.5x",  "++1"}) {
    CAPTURE(wrong);
    CHECK(bits("f32", wrong) == "");
  }
  CHECK(bits("f64", "0x1p1024") == "");
  CHECK(bits("f64", "nan:0x10000000000000") == "");
}

TEST_CASE("vectors") {
  const auto vector = [](const std::string& text) {
    const auto r = run_vmrun({"--invoke", "vector", fixture("cli_values"), text});
    return r.status == 0 ? r.out : r.err;
  };
  CHECK(vector("0x1_00000000_00000000") == "18446744073709551616\n");
  CHECK(vector("i32x4 1 0 0 0") == "1\n");
  CHECK(vector("i64x2 0 1") == "18446744073709551616\n");
  CHECK(vector("i8x16 -1 -1 -1 -1 -1 -1 -1 -1 0 0 0 0 0 0 0 0") == "18446744073709551615\n");
  CHECK(vector("i16x8 0xffff 1 0 0 0 0 0 0") == "131071\n");
  CHECK(vector("f32x4 nan:0x200000 0x1p-3 0 0") == "4467570832492724224\n");
  CHECK(vector("f64x2 0 -0") == "170141183460469231731687303715884105728\n");
  for (const char* wrong : {"i32x4", "i32x4 1 2 3", "i32x4 1 2 3 4 5", "i8x16 256 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
                            "i5x1 1", "-1", "f32x4 1 2 3 x"}) {
    CAPTURE(wrong);
    CHECK(vector(wrong).find("(write it as one unsigned integer, or as 'i32x4 1 2 3 4')") != std::string::npos);
  }
}

}  // namespace
}  // namespace vmrun::test
