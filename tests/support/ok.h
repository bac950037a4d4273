// What a test does with a Result that must hold a value.
#pragma once

#include <doctest/doctest.h>

#include <utility>

#include "vmrun/base/result.h"

namespace vmrun::test {

/// The value, or a failed test with the error's text.
template <class T>
T ok(Result<T> result) {
  if (!result) FAIL(result.error().to_string());
  return std::move(*result);
}
inline void ok(Result<void> result) {
  if (!result) FAIL(result.error().to_string());
}

}  // namespace vmrun::test
