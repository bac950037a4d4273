// A test script of the WebAssembly suite in JSON, as written by `wast2json` (wabt) and `wasm-tools json-from-wast`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmrun/base/result.h"

namespace vmrun::tools {

/// What a float may be in an expected result besides one exact bit pattern.
enum class NanClass : uint8_t { exact, canonical, arithmetic };

/// One scalar: its bits, zero-extended, or a class of NaNs.
struct Lane {
  uint64_t bits = 0;
  NanClass nan = NanClass::exact;
};

/// An argument, or what a result must look like.
struct Pattern {
  enum class Kind : uint8_t { i32, i64, f32, f64, v128, ref, either };
  Kind kind = Kind::i32;
  Lane scalar;                   // i32, i64, f32, f64
  uint8_t lane_bits = 0;         // v128: 8, 16, 32 or 64
  bool lane_float = false;       // v128: lanes are floats (NaN classes apply)
  std::vector<Lane> lanes;       // v128
  std::string ref_type;          // ref: "externref", "funcref", "anyref", "refnull" ...
  bool ref_null = false;         // ref: the value must be (is) null
  std::optional<uint32_t> host;  // ref: the number of a host reference
  std::vector<Pattern> choices;  // either
};

struct Action {
  bool is_get = false;  // read an exported global; otherwise call an exported function
  std::string module;   // the instance's name; empty: the latest one
  std::string field;
  std::vector<Pattern> args;
};

struct Command {
  enum class Type : uint8_t {
    module,
    module_definition,
    module_instance,
    register_,
    action,
    assert_return,
    assert_trap,
    assert_exhaustion,
    assert_exception,
    assert_invalid,
    assert_malformed,
    assert_unlinkable,
    assert_uninstantiable,
    assert_invalid_custom,
    assert_malformed_custom,
  };
  Type type = Type::module;
  uint32_t line = 0;
  std::string name;    // module, module_definition, register: the script's name for it; module_instance: the instance's
  std::string as;      // register: the name to import it by
  std::string module;  // module_instance: the definition's name
  std::string filename;  // a module's file, relative to the script
  std::string text;      // the message an assertion expects
  bool is_text = false;  // the file is in the text format
  Action action;
  std::vector<Pattern> expected;
};

/// The name of a command's type as scripts spell it.
const char* to_string(Command::Type type);

struct Script {
  std::string path;    // of the JSON file
  std::string source;  // the .wast it came from
  std::vector<Command> commands;
};

/// Reads a script. Errors: Io when it cannot be read, Malformed when it is not such a script.
Result<Script> load_script(const std::string& path);

}  // namespace vmrun::tools
