// Runs probes (numeric_probe.h) in the interpreter and in a compiler's code, and compares results, traps and memory.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "jit/compiler.h"
#include "jit/crossing/publish.h"
#include "jit/crossing/trampoline.h"
#include "tests/support/installed.h"
#include "tests/support/numeric_probe.h"
#include "vm/runtime/store.h"
#include "vmrun/vmrun.h"

namespace vmrun::test {

inline std::string describe(const Probe& p, const std::vector<const Cell*>& operands) {
  std::string text = vm::op_info(p.op).mnemonic;
  for (uint8_t byte : p.immediate) text += " " + std::to_string(byte);
  text += ", variant " + std::to_string(static_cast<int>(p.variant)) + ":";
  for (const Cell* cell : operands) {
    char digits[3];
    text += " 0x";
    for (size_t i = 16; i-- > 0;) {
      std::snprintf(digits, sizeof digits, "%02x", (*cell)[i]);
      text += digits;
    }
  }
  return text;
}

/// The same module twice: in the interpreter, and compiled.
class Comparison {
 public:
  Comparison(jit::Compiler& compiler, std::vector<Probe> probes, bool dense_memory = false)
      : probes_(std::move(probes)), engine_(configured(dense_memory)), store_(engine_), linker_(engine_) {
    const Bytes image = probe_module(probes_);
    for (int i = 0; i < 2; ++i) {
      Result<Module> module = Module::compile(engine_, image, "probes");
      if (!module) FAIL(module.error().to_string());
      Result<Instance> instance = linker_.instantiate(store_, *module);
      if (!instance) FAIL(instance.error().to_string());
      instances_.push_back(*instance);
    }
    compile(compiler);
  }

  /// Returns how many results were compared.
  size_t run() {
    size_t compared = 0;
    for (size_t i = 0; i < probes_.size() && failures_ < 20; ++i) compared += run(i);
    return compared;
  }

 private:
  using Typed = TypedFunc<void(int32_t, int32_t, int32_t, int32_t)>;

  void compile(jit::Compiler& compiler) {
    const vm::Module& module = *instances_[1].func("0")->impl()->instance->module;
    for (uint32_t i = 0; i < probes_.size(); ++i) {
      jit::CompileRequest request;
      request.module = &module;
      request.func_index = i;
      INFO(describe(probes_[i], {}));
      const jit::CodeObject& code = installed(compiler.compile(request), module);
      REQUIRE(jit::publish_function(module.code(i), entry_of(code), compiler.tier()));
    }
  }

  size_t run(size_t index) {
    const Probe& probe = probes_[index];
    std::vector<Typed> funcs;
    std::vector<std::span<std::byte>> memories;
    for (const Instance& instance : instances_) {
      funcs.push_back(*instance.func(std::to_string(index))->typed<void(int32_t, int32_t, int32_t, int32_t)>());
      memories.push_back(instance.memory("memory")->data());
      fill(memories.back(), probe);
    }
    const size_t count = probe.operands.size();
    size_t sizes[3] = {1, 1, 1};
    for (size_t i = 0; i < count; ++i) sizes[i] = values_of(probe.operands[i]).size();
    if (probe.variant == Variant::constant) sizes[count - 1] = 1;
    size_t compared = 0;
    for (size_t a = 0; a < sizes[0]; ++a) {
      for (size_t b = 0; b < sizes[1]; ++b) {
        // A part of all triples: neighbours of the other two.
        for (size_t c = 0; c < sizes[2]; c += count == 3 ? 1 + (a + b) % 5 : 1) {
          const size_t at[3] = {a, b, c};
          int32_t arguments[3] = {};
          std::vector<const Cell*> cells;
          for (size_t i = 0; i < count; ++i) {
            const char letter = probe.operands[i];
            const Cell& cell = values_of(letter)[at[i]];
            cells.push_back(&cell);
            if (letter == 'p') {
              std::memcpy(&arguments[i], cell.data(), 4);
            } else {
              arguments[i] = static_cast<int32_t>(kOperands * i + 16 * at[i]);
            }
          }
          std::string outcomes[2];
          for (int tier = 0; tier < 2; ++tier) {
            Result<void> result = funcs[static_cast<size_t>(tier)].call(arguments[0], arguments[1], arguments[2],
                                                                        static_cast<int32_t>(kResults));
            if (!result) outcomes[tier] = std::to_string(static_cast<int>(result.error().trap));
          }
          ++compared;
          const auto* expected = reinterpret_cast<const uint8_t*>(memories[0].data()) + kResults;
          const auto* got = reinterpret_cast<const uint8_t*>(memories[1].data()) + kResults;
          const bool same = outcomes[0] == outcomes[1] && same_result(probe.op, expected, got) &&
                            std::memcmp(expected + 16, got + 16, 32) == 0;
          if (same) continue;
          Cell wanted, found;
          std::memcpy(wanted.data(), expected, 16);
          std::memcpy(found.data(), got, 16);
          INFO(describe(probe, cells) << " gives (interpreter, code) " << describe(probe, {&wanted, &found}));
          CHECK(outcomes[0] == outcomes[1]);
          CHECK(same);
          if (++failures_ >= 20) return compared;
        }
      }
    }
    CHECK(std::memcmp(memories[0].data(), memories[1].data(), kResults) == 0);
    return compared;
  }

  static Config configured(bool dense_memory) {
    jit::initialize();
    Config config;
    config.tiers = Tiers::Interp;
    config.dense_memory = dense_memory;
    return config;
  }

  static constexpr size_t kOperands = 4096;  // bytes for the values of one operand

  static void fill(std::span<std::byte> memory, const Probe& probe) {
    for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::byte>(i * 37 + i / 256);
    for (size_t i = 0; i < probe.operands.size(); ++i) {
      const std::vector<Cell>& values = values_of(probe.operands[i]);
      std::memcpy(memory.data() + kOperands * i, values.data(), values.size() * sizeof(Cell));
    }
  }

  std::vector<Probe> probes_;
  Engine engine_;
  Store store_;
  Linker linker_;
  std::vector<Instance> instances_;
  int failures_ = 0;
};

/// Compares all plain instructions of scalars, or with `vectors` those of vectors, in `variants`.
inline void compare_all(jit::Compiler& compiler, bool vectors, std::span<const Variant> variants) {
  size_t compared = 0;
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    const auto op = static_cast<vm::Op>(i);
    if (!is_plain(op) || vm::is_vector(vm::family(op)) != vectors) continue;
    compared += Comparison(compiler, probes_of(op, variants)).run();
  }
  MESSAGE(compared << " results compared");
}

/// Compares all loads and stores on a memory whose bounds are checked by code.
inline void compare_dense(jit::Compiler& compiler, std::span<const Variant> variants) {
  size_t compared = 0;
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    const auto op = static_cast<vm::Op>(i);
    if (!is_plain(op) || vm::op_info(op).signature[0] != 'p') continue;
    compared += Comparison(compiler, probes_of(op, variants), true).run();
  }
  MESSAGE(compared << " results compared");
}

}  // namespace vmrun::test
