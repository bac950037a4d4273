// The public names of features are the machine's own: the two enumerations are the same list.
#include "vmrun/features.h"

#include "vm/wasm/features.h"

namespace vmrun {

static_assert(kFeatureCount == vm::kFeatureCount);
static_assert(static_cast<int>(Feature::Mvp) == static_cast<int>(vm::Feature::mvp));
static_assert(static_cast<int>(Feature::ReferenceTypes) == static_cast<int>(vm::Feature::reference_types));
static_assert(static_cast<int>(Feature::MultiMemory) == static_cast<int>(vm::Feature::multi_memory));
static_assert(static_cast<int>(Feature::Gc) == static_cast<int>(vm::Feature::gc));
static_assert(static_cast<int>(Feature::CustomPageSizes) == static_cast<int>(vm::Feature::custom_page_sizes));

std::string_view feature_name(Feature feature) { return vm::feature_name(static_cast<vm::Feature>(feature)); }

std::optional<Feature> feature_named(std::string_view name) {
  for (unsigned i = 0; i < kFeatureCount; ++i) {
    if (feature_name(static_cast<Feature>(i)) == name) return static_cast<Feature>(i);
  }
  return std::nullopt;
}

}  // namespace vmrun
