// docs/support.md is what the opcode table says. To write it anew: VMRUN_UPDATE_DOCS=1 test_vm -tc="docs/support.md*"
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

std::string support_table() {
  std::ostringstream out;
  out << "# What is supported\n\n"
         "Written from the opcode table (vm/wasm/opcodes.def) by tests/unit/vm/support_table_test.cpp; do not edit.\n\n"
         "Every instruction below is decoded, validated and disassembled. The interpreter executes all but those of\n"
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
  out << "\n| code | instruction | operands and results | proposal | can trap | executed "
         "|\n|---|---|---|---|---|---|\n";
  for (const OpInfo& info : kOpInfo) {
    out << "| " << code_text(info) << " | " << info.mnemonic << " | " << signature_text(info) << " | "
        << feature_name(info.feature) << " | " << (info.can_trap() ? "yes" : "") << " | "
        << (info.is_gc_object() ? "no" : "yes") << " |\n";
  }
  return out.str();
}

TEST_CASE("docs/support.md says what the opcode table says") {
  const std::filesystem::path path = VMRUN_SOURCE "/docs/support.md";
  if (std::getenv("VMRUN_UPDATE_DOCS")) std::ofstream(path) << support_table();
  std::ifstream in(path);
  REQUIRE(in);
  std::stringstream text;
  text << in.rdbuf();
  CHECK(text.str() == support_table());
}

}  // namespace
