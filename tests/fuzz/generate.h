// Random valid modules from the opcode table: every instruction of a signature that the table states can occur, and
// structured control flow, calls, tables, bulk instructions, exceptions of both forms and tail calls around them. Some
// modules are odd in one respect: frames of many locals, switches of many targets, many parameters and results, blocks
// nested deeply.
//
// What makes two correct engines agree on a module's run: loops count down and calls use up fuel, so that all ends;
// what may make a NaN is followed by instructions that turn NaNs into zeros; memories and tables have a maximum below
// any limit of the host; nothing waits.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace vmrun::test {

/// The module that belongs to a seed; or a small one, for what takes long a function.
std::vector<uint8_t> generate_module(uint64_t seed, bool small = false);

namespace generate {

enum Type : uint16_t {
  i32 = 0x7f,
  i64 = 0x7e,
  f32 = 0x7d,
  f64 = 0x7c,
  v128 = 0x7b,
  funcref = 0x70,
  externref = 0x6f,
  exnref = 0x69,
  typed = 0x6300,  // and the index of a function type: (ref null index)
};
inline bool is_ref(Type t) { return t >= typed || t < v128; }
inline bool is_typed(Type t) { return t >= typed; }
using Types = std::vector<Type>;
using Bytes = std::vector<uint8_t>;

void append_unsigned(Bytes& out, uint64_t n);
void append_signed(Bytes& out, int64_t n);
void append_type(Bytes& out, Type type);
void append_heap_type(Bytes& out, Type type);  // of a reference, as in ref.null

struct Signature {
  Types params, results;
  friend bool operator==(const Signature&, const Signature&) = default;
};

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t bits() { return engine_(); }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(engine_() % n); }
  bool one_in(uint32_t n) { return below(n) == 0; }
  template <class T>
  const T& of(const std::vector<T>& choices) {
    return choices[below(static_cast<uint32_t>(choices.size()))];
  }

 private:
  std::mt19937_64 engine_;
};

struct Func {
  uint32_t type = 0;
  bool entry = false;  // exported, never called by others, refills the fuel
};
struct Memory {
  bool is64 = false, shared = false;
  uint32_t pages = 1, max = 2;
};
struct Global {
  Type type = i32;
};
struct Table {
  Type type = funcref;
  uint32_t size = 0, max = 0;
  bool is64 = false;
};

/// What the functions of one module may use.
struct World {
  std::vector<Signature> types;
  std::vector<Func> funcs;  // imports first
  uint32_t imported = 0;
  std::vector<Memory> memories;
  std::vector<Global> globals;  // the first is the fuel
  std::vector<Table> tables;
  std::vector<uint32_t> tags;   // types
  std::vector<uint32_t> datas;  // sizes of passive segments
  uint32_t elems = 0;           // entries of the one passive element segment
  bool legacy = false;          // the older exceptions instead of try_table
  uint32_t typed_types = 0;     // so many types, the first ones, may be named by references
  bool small = false;           // bodies are short
  // Oddities.
  bool large_frames = false, many_targets = false, deep = false;

  uint32_t type_of(const Signature& signature);  // its index; added if there is none
  const Signature& signature(uint32_t func) const { return types[funcs[func].type]; }
};

/// The body of one function, with its size in front of it. May add types to the world.
Bytes generate_body(World& world, Random& random, uint32_t func);

}  // namespace generate
}  // namespace vmrun::test
