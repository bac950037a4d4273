// Modes: which tiers an engine uses, and when. A mode brings its name, its help and its decisions.
#pragma once

#include <span>

#include "tiering/decisions.h"
#include "vmrun/base/tiers.h"

namespace vmrun::tiering {

class Mode : public Decisions {
 public:
  /// What else follows from a mode.
  struct Facts {
    bool machine_code = true;   // false: nothing is compiled, and an engine needs no manager
    bool baseline = true;       // baseline code is made: of what is called, what is hot, or of a whole module ahead
    bool optimises = false;     // optimised code is made of what is hot, while guests go on; baseline code is sampled
    bool starts_quiet = false;  // the first functions of a module begin in the interpreter, and are compiled once hot
    bool guests_wait = false;   // guests wait for each compile, so that compile threads have the guests' priority
    bool counts = true;         // Decisions::counts()
  };
  constexpr Mode(Tiers tiers, const char* name, const char* help, Facts facts)
      : tiers(tiers), name(name), help(help), facts(facts) {}

  const Tiers tiers;       // by which an embedder chooses it
  const char* const name;  // in command lines and logs
  const char* const help;  // half a sentence that follows the name
  const Facts facts;

  /// Charges and asks whether a compile pays.
  void hot_function(ModuleTiers& tiers, vm::FuncCode& code) const override;
  void hot_loop(ModuleTiers& tiers, vm::FuncCode& code, vm::LoopCode& loop, vm::Tier from) const override;
  bool counts() const override { return facts.counts; }

 protected:
  ~Mode() = default;
};

/// All of them, in the order in which help names them; the first is the default.
std::span<const Mode* const> modes();
const Mode& mode_of(Tiers tiers);

}  // namespace vmrun::tiering
