// The module around functions that a generator has made: it collects types, functions, memories, tables, globals and
// segments, and writes the image.
#pragma once

#include <string>

#include "generate_code.h"

namespace vmrun::test::generate {

class ModuleWriter {
 public:
  /// The index of a function type; added if there is none.
  uint32_t type(const Signature& signature);

  /// All imports come before all functions. They are called f0, f1 ... of module "host".
  uint32_t import(const Signature& signature);
  /// Reserves a function, so that others may call it; exported by that name, if there is one.
  uint32_t func(const Signature& signature, std::string exported = {});
  void define(uint32_t func, Code code, Types locals = {});
  const Signature& signature_of(uint32_t func) const { return types_[func_types_[func]]; }
  uint32_t type_of(uint32_t func) const { return func_types_[func]; }

  /// Exported as m0, m1 ...
  uint32_t memory(const Memory& memory);
  /// Exported as t0, t1 ...
  uint32_t table(const Table& table);
  /// Mutable, exported as g0, g1 ... `bits` is the value of an integer; others are zero or null.
  uint32_t global(Type type, uint64_t bits = 0);
  uint32_t tag(const Types& params);
  /// A passive data segment.
  uint32_t data(Bytes bytes);
  /// Bytes that memory 0 begins with from `address` on.
  void initial(uint32_t address, Bytes bytes) { initial_.push_back({address, std::move(bytes)}); }
  /// Functions that a table begins with, from its index 0 on.
  void elements(uint32_t table, std::vector<uint32_t> funcs) { active_.push_back({table, std::move(funcs)}); }
  /// A passive element segment. All of them are before those of `elements`.
  uint32_t passive(std::vector<uint32_t> funcs);

  Bytes build() const;

 private:
  struct Body {
    Code code;
    Types locals;
  };
  struct Initial {
    uint32_t address;
    Bytes bytes;
  };
  struct Active {
    uint32_t table;
    std::vector<uint32_t> funcs;
  };
  struct NewGlobal {
    Type type;
    uint64_t bits;
  };

  std::vector<Signature> types_;
  std::vector<uint32_t> func_types_;  // imports first
  std::vector<std::string> names_;    // of functions, imports' are empty
  std::vector<Body> bodies_;          // of own functions
  uint32_t imported_ = 0;
  std::vector<Memory> memories_;
  std::vector<Table> tables_;
  std::vector<NewGlobal> globals_;
  std::vector<uint32_t> tags_;
  std::vector<Bytes> datas_;
  std::vector<Initial> initial_;
  std::vector<std::vector<uint32_t>> passive_;
  std::vector<Active> active_;
};

}  // namespace vmrun::test::generate
