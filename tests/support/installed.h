// What a compiler made, in the process's code memory.
#pragma once

#include <doctest/doctest.h>

#include <utility>

#include "jit/code/install.h"
#include "jit/compiler.h"

namespace vmrun::test {

/// The code of a compile that is done; it stays. Nothing enters it by itself.
inline const jit::CodeObject& installed(jit::CompileResult result, const vm::Module& module) {
  INFO(result.reason);
  REQUIRE(result.status == jit::CompileResult::Status::done);
  const jit::CodeObject* object = jit::install(jit::CodeSpace::get(), std::move(result.code), module, nullptr);
  REQUIRE(object != nullptr);
  return *object;
}

/// Where calls of it enter.
inline const std::byte* entry_of(const jit::CodeObject& code) { return code.begin + code.entry; }

}  // namespace vmrun::test
