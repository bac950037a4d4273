// Runs one test script against the embedding API and says of each command how it went.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/wast_script.h"
#include "vmrun/vmrun.h"

namespace vmrun::tools {

/// How one command went.
struct CommandOutcome {
  enum class Verdict : uint8_t {
    pass,
    fail,
    skip,     // a module in the text format, or something that needs one
    blocked,  // needs a module that failed before: `cause` is the line of that command
  };
  Verdict verdict = Verdict::pass;
  uint32_t cause = 0;
  std::string detail;  // of a failure

  static CommandOutcome failed(std::string detail) { return {Verdict::fail, 0, std::move(detail)}; }
};

/// One script at a time, in a store of its own with the suite's "spectest" module. Not thread-safe.
class WastRunner {
 public:
  /// `stored`: each module is compiled by another engine of the same settings, stored, and loaded from that.
  WastRunner(const Engine& engine, const Script& script, bool stored = false);

  /// Runs the next command: call once for each, in order.
  CommandOutcome run(const Command& command);
  /// What the script has compiled so far.
  const std::vector<Module>& modules() const { return modules_; }

 private:
  /// What a name in the script stands for: an instance, or the reason why there is none.
  struct Named {
    std::optional<Instance> instance;
    uint32_t failed_at = 0;  // line of the command that failed; 0: a skipped text module
  };

  Result<Module> compile(const Command& command);
  Result<Instance> instantiate(const Module& module);
  CommandOutcome run_module(const Command& command, const Module& module);
  CommandOutcome load_and_run_module(const Command& command);
  CommandOutcome run_register(const Command& command);
  CommandOutcome run_action(const Command& command);
  CommandOutcome run_refusal(const Command& command);
  CommandOutcome run_instantiation_failure(const Command& command);
  Result<std::vector<Val>> perform(const Action& action, const Instance& instance);
  const Named* find(const std::string& name) const;
  /// Records what the script calls `name` (and its latest module).
  void bind(const std::string& name, const Named& named);
  /// An import of `module` that a failed module should have provided: its line, 0 if skipped, or nothing.
  std::optional<uint32_t> missing_provider(const Module& module) const;
  static CommandOutcome blocked_by(uint32_t line);

  Result<Module> load_stored(const std::string& path, const std::string& name);

  Engine engine_;
  std::optional<Engine> maker_;  // of what is stored
  std::vector<Module> modules_;
  std::string folder_;  // where the script's modules lie
  std::unique_ptr<Store> store_;
  Linker linker_;
  std::map<std::string, Named> named_;
  std::optional<Named> latest_;
  std::map<std::string, std::optional<Module>> definitions_;
  std::optional<Module> latest_definition_;
  std::map<std::string, uint32_t> absent_registrations_;  // registered names whose module failed
};

}  // namespace vmrun::tools
