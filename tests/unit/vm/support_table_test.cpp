// docs/support.md and docs/support_vector.md are what the opcode table says. To write them anew:
// VMRUN_UPDATE_DOCS=1 test_vm -tc="docs/support.md*"
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "vm/wasm/opcode.h"

namespace {

using namespace vmrun::vm;

std::string code_text(const OpInfo& info) {
  char text[16];
  if (info.prefix) {
    std::snprintf(text, sizeof text, "%02x %02x", info.prefix, info.code);
  } else {
    std::snprintf(text, sizeof text, "%02x", info.code);
  }
  return text;
}

/// "ii:i" as "i32 i32 → i32".
std::string signature_text(const OpInfo& info) {
  std::string_view sig = info.signature;
  if (sig == "*") return "";
  std::string out;
  for (char c : sig) {
    const char* word = c == ':'   ? "→"
                       : c == 'i' ? "i32"
                       : c == 'l' ? "i64"
                       : c == 'f' ? "f32"
                       : c == 'd' ? "f64"
                       : c == 'v' ? "v128"
                                  : "address";
    out += (out.empty() ? "" : " ") + std::string(word);
  }
  return out;
}

constexpr uint8_t kVectorPrefix = 0xfd;
constexpr std::string_view kOrigin =
    "Written from the opcode table (vm/wasm/opcodes.def) by tests/unit/vm/support_table_test.cpp; do not edit.\n\n";

/// A row for each vector instruction, or for each of the others.
std::string rows(bool vectors) {
  std::ostringstream out;
  out << "| code | instruction | operands and results | proposal | can trap | executed |\n|---|---|---|---|---|---|\n";
  for (const OpInfo& info : kOpInfo) {
    if ((info.prefix == kVectorPrefix) != vectors) continue;
    out << "| " << code_text(info) << " | " << info.mnemonic << " | " << signature_text(info) << " | "
        << feature_name(info.feature) << " | " << (info.can_trap() ? "yes" : "") << " | "
        << (info.is_gc_object() ? "no" : "yes") << " |\n";
  }
  return out.str();
}

std::string support_table() {
  std::ostringstream out;
  out << "# What is supported\n\n"
      << kOrigin
      << "Every instruction below and every [vector instruction](support_vector.md) is decoded, validated and\n"
         "disassembled. The interpreter executes all but those of\n"
         "garbage-collected objects: an image that contains one of these is refused when it is loaded for execution,\n"
         "by the instruction's name.\n\n"
         "| proposal | instructions | executed |\n|---|---|---|\n";
  for (int f = 0; f < kFeatureCount; ++f) {
    int all = 0, executed = 0;
    for (const OpInfo& info : kOpInfo) {
      if (info.feature != static_cast<Feature>(f)) continue;
      ++all;
      executed += !info.is_gc_object();
    }
    out << "| " << feature_name(static_cast<Feature>(f)) << " | ";
    if (all) {
      out << all << " | " << (executed == all ? "all" : std::to_string(executed)) << " |\n";
    } else {
      out << "(no instructions of its own) | yes |\n";
    }
  }
  out << "\n" << rows(false);
  return out.str();
}

std::string vector_table() {
  return "# Vector instructions\n\n" + std::string(kOrigin) +
         "Those of [all proposals](support.md) that begin with fd.\n\n" + rows(true);
}

void check_file(const char* name, const std::string& expected) {
  const std::filesystem::path path = std::filesystem::path(VMRUN_SOURCE "/docs") / name;
  if (std::getenv("VMRUN_UPDATE_DOCS")) std::ofstream(path) << expected;
  std::ifstream in(path);
  REQUIRE(in);
  std::stringstream text;
  text << in.rdbuf();
  CHECK(text.str() == expected);
}

TEST_CASE("docs/support.md and docs/support_vector.md say what the opcode table says") {
  check_file("support.md", support_table());
  check_file("support_vector.md", vector_table());
}

}  // namespace
