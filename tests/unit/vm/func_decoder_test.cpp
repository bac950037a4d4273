// The events of the function decoder: their order, their operands, and that dead code is silent.
#include "vm/wasm/func_decoder.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/module_bytes.h"

namespace {

using namespace vmrun;
using test::Bytes;

/// Writes down every event. Each operand's payload is the number of the event that made it.
struct Recorder {
  struct Value {
    int made_by = -1;
  };
  struct Control {
    int number = -1;
  };
  std::vector<std::string> log;

  template <class... Parts>
  int note(const Parts&... parts) {
    std::string line;
    ((line += line.empty() ? "" : " ", line += text(parts)), ...);
    log.push_back(line);
    return static_cast<int>(log.size()) - 1;
  }
  static std::string text(const char* s) { return s; }
  static std::string text(std::string_view s) { return std::string(s); }
  static std::string text(int n) { return std::to_string(n); }
  static std::string text(uint32_t n) { return std::to_string(n); }
  static std::string text(const Value& v) { return "%" + std::to_string(v.made_by); }
  static std::string list(const auto& values) {
    std::string out = "(";
    for (size_t i = 0; i < values.size(); ++i) out += (i ? " " : "") + text(values[i]);
    return out + ")";
  }
  static void fill(const auto& results, int by) {
    for (auto& result : results) result.made_by = by;
  }
  /// What falls through or is branched with.
  template <class D>
  static std::string top(D& d, size_t n) {
    return list(d.stack().last(n));
  }

  void begin(auto&) { note("begin"); }
  void end_function(auto&) { note("end_function"); }
  void op(auto&, vm::Op op, const vm::Immediate&, const auto& args, const auto& results) {
    const std::string_view sig = vm::op_info(op).signature;
    if (const size_t colon = sig.find(':'); colon != sig.npos) {
      CHECK(args.size() == colon);
      CHECK(results.size() == sig.size() - colon - 1);
    }
    fill(results, args.empty() ? note(vm::mnemonic(op)) : note(vm::mnemonic(op), list(args)));
  }
  void local_get(auto&, uint32_t index, auto* result) { result->made_by = note("local.get", index); }
  void local_set(auto&, uint32_t index, const auto& v) { note("local.set", index, static_cast<const Value&>(v)); }
  void local_tee(auto&, uint32_t index, const auto& v, auto* result) {
    result->made_by = note("local.tee", index, static_cast<const Value&>(v));
  }
  void drop(auto&, const auto& v) { note("drop", static_cast<const Value&>(v)); }
  void block(auto&, auto& c) { c.number = note("block"); }
  void loop(auto& d, auto& c) { c.number = note("loop", top(d, c.params.size())); }
  void if_(auto&, auto& c, const auto& v) { c.number = note("if", static_cast<const Value&>(v)); }
  void else_(auto& d, auto& c, const auto& params) {
    int n = d.reachable() ? note("else", c.number, top(d, c.results.size())) : note("else", c.number, "dead");
    fill(params, n);
  }
  void end(auto& d, auto& c, const auto& results) {
    int n = d.reachable() ? note("end", c.number, top(d, c.results.size())) : note("end", c.number, "dead");
    fill(results, n);
  }
  void try_table(auto&, auto& c, std::span<const vm::CatchClause> clauses) {
    c.number = note("try_table", static_cast<uint32_t>(clauses.size()), clauses[0].depth);
  }
  void try_(auto&, auto& c) { c.number = note("try"); }
  void catch_(auto& d, auto&, uint32_t tag, const auto& params) {
    fill(params, note("catch", tag, d.reachable() ? "" : "dead"));
  }
  void catch_all(auto& d, auto& c) { note("catch_all", c.number, d.reachable() ? "" : "dead"); }
  void delegate(auto&, auto& c, uint32_t depth, const auto&) { note("delegate", c.number, depth); }
  void rethrow(auto&, uint32_t depth) { note("rethrow", depth); }
  void br(auto& d, uint32_t depth) { note("br", depth, top(d, d.control(depth).br_types().size())); }
  void br_if(auto& d, const auto& v, uint32_t depth) {
    note("br_if", static_cast<const Value&>(v), depth, top(d, d.control(depth).br_types().size()));
  }
  void br_table(auto&, const auto& v, std::span<const uint32_t> depths) {
    note("br_table", static_cast<const Value&>(v), static_cast<uint32_t>(depths.size()), depths.back());
  }
  void return_(auto&) { note("return"); }
  void unreachable(auto&) { note("unreachable"); }
  void br_on_null(auto&, const auto&, uint32_t, auto*) {}
  void br_on_non_null(auto&, const auto&, uint32_t) {}
  void br_on_cast(auto&, vm::Op, const vm::Immediate&, const auto&, uint32_t, auto*) {}
  void call(auto&, uint32_t index, const vm::FuncType&, const auto& args, const auto& results) {
    fill(results, note("call", index, list(args)));
  }
  void call_indirect(auto&, vm::TypeId, uint32_t, const vm::FuncType&, const auto&, const auto&, const auto&) {}
  void call_ref(auto&, vm::TypeId, const vm::FuncType&, const auto&, const auto&, const auto&) {}
  void return_call(auto&, uint32_t index, const vm::FuncType&, const auto&) { note("return_call", index); }
  void return_call_indirect(auto&, vm::TypeId, uint32_t, const vm::FuncType&, const auto&, const auto&) {}
  void return_call_ref(auto&, vm::TypeId, const vm::FuncType&, const auto&, const auto&) {}
  void throw_(auto&, uint32_t, const auto&) {}
  void throw_ref(auto&, const auto&) {}
};

template <bool kValidate>
std::vector<std::string> events_of(const vm::Module& module) {
  Recorder recorder;
  vm::ValidationState state;
  state.declared_funcs.resize(module.funcs.size());
  vm::FuncDecoder<Recorder, kValidate> decoder(module, recorder, &state);
  CHECK(decoder.decode(module.imported_funcs));
  return recorder.log;
}

/// The events of a function with this type and body; the same with and without validation.
std::vector<std::string> events(const Bytes& type, const Bytes& body) {
  auto module = test::decode(test::func_module(type, body));
  REQUIRE(module);
  std::vector<std::string> log = events_of<true>(**module);
  CHECK(events_of<false>(**module) == log);
  return log;
}

using Log = std::vector<std::string>;

TEST_CASE("operands carry their payload from where they were made") {
  CHECK(events({0x60, 2, 0x7f, 0x7f, 1, 0x7f}, {0, 0x20, 0, 0x20, 1, 0x6a, 0x22, 0, 0x41, 1, 0x10, 0, 0x0b}) ==
        Log{"begin", "local.get 0", "local.get 1", "i32.add (%1 %2)", "local.tee 0 %3", "i32.const", "call 0 (%4 %5)",
            "end -1 (%6)", "end_function"});
}

TEST_CASE("both arms of an if end with what they leave") {
  CHECK(events({0x60, 1, 0x7f, 1, 0x7f}, {0, 0x20, 0, 0x04, 0x7f, 0x41, 1, 0x05, 0x41, 2, 0x0b, 0x0b}) ==
        Log{"begin", "local.get 0", "if %1", "i32.const", "else 2 (%3)", "i32.const", "end 2 (%5)", "end -1 (%6)",
            "end_function"});
}

TEST_CASE("dead code is silent, and so are the blocks in it") {
  // block br 0 (block nop (if (i32.const 1) else end) end) i32.const 1 drop end
  CHECK(events({0x60, 0, 0}, {0,    0x02, 0x40, 0x0c, 0,    0x02, 0x40, 0x01, 0x41, 1,
                              0x04, 0x40, 0x05, 0x0b, 0x0b, 0x41, 1,    0x1a, 0x0b, 0x0b}) ==
        Log{"begin", "block", "br 0 ()", "end 1 dead", "end -1 ()", "end_function"});
  // if (return) else (unreachable) end
  CHECK(events({0x60, 1, 0x7f, 0}, {0, 0x20, 0, 0x04, 0x40, 0x0f, 0x01, 0x05, 0x00, 0x20, 0, 0x1a, 0x0b, 0x0b}) ==
        Log{"begin", "local.get 0", "if %1", "return", "else 2 dead", "unreachable", "end 2 dead", "end -1 ()",
            "end_function"});
  // A br_table and immediates of every length behind it.
  CHECK(events({0x60, 1, 0x7f, 0}, {0,    0x20, 0,    0x0e, 1,    0,    0,    0x0e, 2,    0,    0,    0,    0x44, 0x0b,
                                    0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x1a, 0x41, 0xcb, 0x00, 0x1a, 0x0b}) ==
        Log{"begin", "local.get 0", "br_table %1 2 0", "end -1 dead", "end_function"});
}

TEST_CASE("branches take the operands on top") {
  // block (result i32) i32.const 7 local.get 0 br_if 0 drop i32.const 8 end
  CHECK(events({0x60, 1, 0x7f, 1, 0x7f}, {0, 0x02, 0x7f, 0x41, 7, 0x20, 0, 0x0d, 0, 0x1a, 0x41, 8, 0x0b, 0x0b}) ==
        Log{"begin", "block", "i32.const", "local.get 0", "br_if %3 0 (%2)", "drop %2", "i32.const", "end 1 (%6)",
            "end -1 (%7)", "end_function"});
}

TEST_CASE("parameters of blocks stay on the stack") {
  // local.get 0 (loop (type 0) local.get 0 br_if 0) with type 0: i32 -> i32
  CHECK(events({0x60, 1, 0x7f, 1, 0x7f}, {0, 0x20, 0, 0x03, 0, 0x20, 0, 0x0d, 0, 0x0b, 0x0b}) ==
        Log{"begin", "local.get 0", "loop (%1)", "local.get 0", "br_if %3 0 (%1)", "end 2 (%1)", "end -1 (%5)",
            "end_function"});
}

TEST_CASE("the older exceptions") {
  // try try delegate 0 catch_all rethrow 0 end
  CHECK(events({0x60, 0, 0}, {0, 0x06, 0x40, 0x06, 0x40, 0x18, 0, 0x19, 0x09, 0, 0x0b, 0x0b}) ==
        Log{"begin", "try", "try", "delegate 2 0", "catch_all 1 ", "rethrow 0", "end 1 dead", "end -1 ()",
            "end_function"});
}

TEST_CASE("catch clauses count labels from outside") {
  // block (try_table (catch_all 0) nop) end
  CHECK(events({0x60, 0, 0}, {0, 0x02, 0x40, 0x1f, 0x40, 1, 2, 0, 0x0b, 0x0b, 0x0b}) ==
        Log{"begin", "block", "try_table 1 0", "end 2 ()", "end 1 ()", "end -1 ()", "end_function"});
}

}  // namespace
