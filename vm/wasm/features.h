// The proposals that instructions and types came with, and the set of them that a module may use.
#pragma once

#include <cstdint>
#include <string_view>

namespace vmrun::vm {

/// A WebAssembly proposal, by its usual name. `mvp` is WebAssembly 1.0.
enum class Feature : uint8_t {
  mvp,
  mutable_global,
  sign_extension,
  saturating_float_to_int,
  multi_value,
  bulk_memory,
  reference_types,
  simd,
  relaxed_simd,
  tail_call,
  extended_const,
  multi_memory,
  memory64,
  function_references,
  exceptions,
  gc,
  threads,
  legacy_exceptions,
  wide_arithmetic,
  custom_page_sizes,
};
inline constexpr int kFeatureCount = 20;

/// The name used in messages, options and the support table, such as "multi-memory".
std::string_view feature_name(Feature feature);

/// A set of features. The default allows everything this VM decodes.
struct Features {
  uint32_t bits = (1u << kFeatureCount) - 1;

  static constexpr Features none() { return {0}; }
  constexpr bool has(Feature f) const { return (bits >> static_cast<int>(f) & 1) != 0; }
  constexpr Features& add(Feature f) {
    bits |= 1u << static_cast<int>(f);
    return *this;
  }
  constexpr Features& remove(Feature f) {
    bits &= ~(1u << static_cast<int>(f));
    return *this;
  }
  friend constexpr bool operator==(Features, Features) = default;
};

}  // namespace vmrun::vm
