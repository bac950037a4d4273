// Names of features.
#include "vm/wasm/opcode.h"

namespace vmrun::vm {

std::string_view feature_name(Feature feature) {
  switch (feature) {
    case Feature::mvp: return "mvp";
    case Feature::mutable_global: return "mutable-global";
    case Feature::sign_extension: return "sign-extension";
    case Feature::saturating_float_to_int: return "saturating-float-to-int";
    case Feature::multi_value: return "multi-value";
    case Feature::bulk_memory: return "bulk-memory";
    case Feature::reference_types: return "reference-types";
    case Feature::simd: return "simd";
    case Feature::relaxed_simd: return "relaxed-simd";
    case Feature::tail_call: return "tail-call";
    case Feature::extended_const: return "extended-const";
    case Feature::multi_memory: return "multi-memory";
    case Feature::memory64: return "memory64";
    case Feature::function_references: return "function-references";
    case Feature::exceptions: return "exceptions";
    case Feature::gc: return "gc";
    case Feature::threads: return "threads";
    case Feature::legacy_exceptions: return "legacy-exceptions";
    case Feature::wide_arithmetic: return "wide-arithmetic";
    case Feature::custom_page_sizes: return "custom-page-sizes";
  }
  return "";
}

}  // namespace vmrun::vm
