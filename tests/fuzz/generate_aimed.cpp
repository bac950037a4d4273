#include "generate_aimed.h"

namespace vmrun::test {

std::span<const generate::Kind> aimed_kinds() {
  using namespace generate;
  static constexpr Kind kKinds[] = {
      {"identities", make_identities, expect_identities}, {"edges", make_edges, expect_edges},
      {"pressure", make_pressure, expect_pressure},       {"wide", make_wide, expect_wide},
      {"effects", make_effects, expect_effects},          {"inlined", make_inlined, expect_inlined},
  };
  return kKinds;
}

}  // namespace vmrun::test
