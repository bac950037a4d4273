#include "tests/proofs/prover.h"

#include <sstream>

namespace vmrun::proofs {

void Prover::holds(const std::string& what, const Claim& claim) {
  z3::solver solver(context_);
  solver.add(assumed_);
  solver.add(!claim);
  const z3::check_result result = solver.check();
  std::ostringstream story;
  if (result == z3::sat) story << solver.get_model();
  if (result == z3::unknown) story << "the solver gave up: " << solver.reason_unknown();
  INFO("does not hold: ", what, "\n", story.str());
  CHECK(result == z3::unsat);
}

void Prover::assumptions_can_hold(const std::string& what) {
  z3::solver solver(context_);
  solver.add(assumed_);
  INFO("nothing fulfils the assumptions of: ", what);
  CHECK(solver.check() == z3::sat);
}

}  // namespace vmrun::proofs
