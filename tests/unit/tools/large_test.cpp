// Images with so many things of a kind that work for each pair of them would not end: what is printed is complete.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/tools/command.h"
#include "tests/unit/tools/image.h"

namespace vmrun::test {
namespace {

constexpr uint32_t kMany = 300'000;

std::vector<std::string> repeated(uint32_t count, const std::string& item) {
  return std::vector<std::string>(count, item);
}

TEST_CASE("functions that are all exported, by two names each") {
  std::vector<std::string> exports;
  exports.reserve(2 * kMany);
  for (const char* prefix : {"f", "g"}) {
    for (uint32_t i = 0; i < kMany; ++i) {
      exports.push_back(name(prefix + std::to_string(i)) + bytes({0}) + u32(i));
    }
  }
  TemporaryDirectory dir;
  const std::string image = dir.write(
      "exports.wasm", kImageHead + section(1, vec({kNothingToNothing})) + section(3, vec(repeated(kMany, u32(0)))) +
                          section(7, vec(exports)) + section(10, vec(repeated(kMany, body("")))));
  const auto one = run_vmrun({"objdump", "--function", "g299999", image});
  CHECK(one.status == 0);
  CHECK(one.out.find("func[299999] <f299999> () -> () (export \"f299999\", \"g299999\"), 2 bytes:") !=
        std::string::npos);
  const auto all = run_vmrun({"objdump", "--no-bytes", image});
  CHECK(std::count(all.out.begin(), all.out.end(), '<') == kMany);
  CHECK(run_vmrun({"inspect", image}).out.find("exports: 600000\n") != std::string::npos);
}

TEST_CASE("types that name others") {
  // Each type takes and gives a reference to the one before, so that each is a different type.
  std::vector<std::string> types{bytes({0x50, 0, 0x60, 0, 0})};
  types.reserve(kMany);
  while (types.size() < kMany) {
    const std::string before = bytes({0x63}) + s33(types.size() - 1);
    types.push_back(bytes({0x60, 1}) + before + bytes({1}) + before);
  }
  TemporaryDirectory dir;
  const auto r = run_vmrun({"inspect", dir.write("types.wasm", kImageHead + section(1, vec(types)))});
  CHECK(r.status == 0);
  CHECK(r.out.find("\n  299999: (func (param (ref null 299998)) (result (ref null 299998)))\n") != std::string::npos);
}

TEST_CASE("branch hints in every function") {
  // Each body: local.get 0, if, end; the hint is for the if.
  std::vector<std::string> hints;
  hints.reserve(kMany);
  for (uint32_t i = 0; i < kMany; ++i) hints.push_back(u32(i) + vec({u32(3) + bytes({1, 1})}));
  const std::string code = body(bytes({0x20, 0, 0x04, 0x40, 0x0b}));
  const std::string image =
      kImageHead + section(1, vec({bytes({0x60, 1, 0x7f, 0})})) + section(3, vec(repeated(kMany, u32(0)))) +
      section(0, name("metadata.code.branch_hint") + vec(hints)) + section(10, vec(repeated(kMany, code)));
  TemporaryDirectory dir;
  const auto r = run_vmrun({"inspect", dir.write("hints.wasm", image)});
  CHECK(r.status == 0);
  CHECK(r.err == "");
  // A hint for a function that does not exist is told.
  std::vector<std::string> wrong{u32(kMany) + vec({u32(3) + bytes({1, 1})})};
  const std::string bad = kImageHead + section(1, vec({bytes({0x60, 1, 0x7f, 0})})) + section(3, vec({u32(0)})) +
                          section(0, name("metadata.code.branch_hint") + vec(wrong)) + section(10, vec({code}));
  CHECK(run_vmrun({"inspect", dir.write("bad.wasm", bad)})
            .err.starts_with("vmrun: warning: branch hint: no such function"));
}

}  // namespace
}  // namespace vmrun::test
