// Running a test script; see wast_runner.h.
#include "tools/wast_runner.h"

#include "tools/branch_hints.h"
#include "tools/report.h"
#include "tools/wast_match.h"
#include "tools/wast_spectest.h"

namespace vmrun::tools {
namespace {

using Type = Command::Type;
using Verdict = CommandOutcome::Verdict;

/// The suite gives messages of which an engine's may be the beginning ("uninitialized element 2"), or the reverse.
bool same_message(std::string_view expected, std::string_view actual) {
  return expected.starts_with(actual) || actual.starts_with(expected);
}

/// Judges a failure against the trap that was expected.
CommandOutcome expect_trap(const Error& error, const std::string& text) {
  if (error.kind != ErrorKind::Trap) {
    return CommandOutcome::failed("expected the trap '" + text + "', got an error: " + error.message);
  }
  const std::string_view actual = trap_message(error.trap);
  if (!same_message(text, actual)) {
    return CommandOutcome::failed("expected the trap '" + text + "', got '" + std::string(actual) + "'");
  }
  return {};
}

std::string list(const std::vector<Val>& values) {
  std::string out;
  for (const Val& value : values) out += (out.empty() ? "" : ", ") + describe(value);
  return out.empty() ? "nothing" : out;
}

std::string list(const std::vector<Pattern>& patterns) {
  std::string out;
  for (const Pattern& pattern : patterns) out += (out.empty() ? "" : ", ") + describe(pattern);
  return out.empty() ? "nothing" : out;
}

CommandOutcome expect_values(const std::vector<Pattern>& expected, const std::vector<Val>& actual) {
  bool same = expected.size() == actual.size();
  for (size_t i = 0; same && i < actual.size(); ++i) same = matches(expected[i], actual[i]);
  if (same) return {};
  return CommandOutcome::failed("expected " + list(expected) + ", got " + list(actual));
}

}  // namespace

WastRunner::WastRunner(const Engine& engine, const Script& script, bool stored)
    : engine_(engine), store_(std::make_unique<Store>(engine, StoreLimits{.fuel = UINT64_MAX})), linker_(engine) {
  if (stored) maker_.emplace(engine.config());
  const size_t slash = script.path.rfind('/');
  folder_ = slash == std::string::npos ? "" : script.path.substr(0, slash + 1);
  linker_.allow_shadowing(true);
  // Cannot fail: the store is empty and the names are new.
  define_spectest(linker_, *store_).value();
}

CommandOutcome WastRunner::blocked_by(uint32_t line) {
  if (line == 0) return {Verdict::skip, 0, "needs a module in the text format"};
  return {Verdict::blocked, line, strf("needs the module of line %u", line)};
}

void WastRunner::bind(const std::string& name, const Named& named) {
  if (!name.empty()) named_[name] = named;
  latest_ = named;
}

const WastRunner::Named* WastRunner::find(const std::string& name) const {
  if (name.empty()) return latest_ ? &*latest_ : nullptr;
  auto it = named_.find(name);
  return it == named_.end() ? nullptr : &it->second;
}

std::optional<uint32_t> WastRunner::missing_provider(const Module& module) const {
  if (absent_registrations_.empty()) return {};
  for (const ImportType& import : module.imports()) {
    auto it = absent_registrations_.find(import.module);
    if (it != absent_registrations_.end()) return it->second;
  }
  return {};
}

Result<Module> WastRunner::load_stored(const std::string& path, const std::string& name) {
  auto made = Module::compile_file(*maker_, path);
  if (!made) return made;
  SerializeOptions options;
  options.code = engine_.config().tiers == Tiers::Opt ? SerializeOptions::Code::Opt : SerializeOptions::Code::Baseline;
  auto bytes = made->serialize(options);
  if (!bytes) return bytes.error();
  return Module::deserialize(engine_, *bytes, name);
}

Result<Module> WastRunner::compile(const Command& command) {
  const std::string path = folder_ + command.filename;
  auto module = maker_ ? load_stored(path, command.filename) : Module::compile_file(engine_, path);
  if (module) modules_.push_back(*module);
  return module;
}

Result<Instance> WastRunner::instantiate(const Module& module) { return linker_.instantiate(*store_, module); }

CommandOutcome WastRunner::run_module(const Command& command, const Module& module) {
  if (auto line = missing_provider(module)) {
    bind(command.name, {{}, *line});
    return blocked_by(*line);
  }
  auto instance = instantiate(module);
  if (!instance) {
    bind(command.name, {{}, command.line});
    return CommandOutcome::failed(std::string(vmrun::to_string(instance.error().kind)) + ": " +
                                  instance.error().message);
  }
  bind(command.name, {*instance, 0});
  return {};
}

CommandOutcome WastRunner::load_and_run_module(const Command& command) {
  const bool is_definition = command.type == Type::module_definition;
  if (command.is_text) {
    if (!is_definition) bind(command.name, {});
    return blocked_by(0);
  }
  auto module = compile(command);
  if (!module) {
    if (is_definition) {
      definitions_[command.name] = std::nullopt;
      latest_definition_ = std::nullopt;
    } else {
      bind(command.name, {{}, command.line});
    }
    return CommandOutcome::failed(std::string(vmrun::to_string(module.error().kind)) + ": " + module.error().message);
  }
  // The script may instantiate a plain module again by its name.
  definitions_.insert_or_assign(command.name, *module);
  latest_definition_ = *module;
  return is_definition ? CommandOutcome{} : run_module(command, *module);
}

CommandOutcome WastRunner::run_register(const Command& command) {
  const Named* named = find(command.name);
  if (!named) return CommandOutcome::failed("there is no module '" + command.name + "'");
  if (!named->instance) {
    absent_registrations_[command.as] = named->failed_at;
    return blocked_by(named->failed_at);
  }
  absent_registrations_.erase(command.as);
  auto defined = linker_.define_instance(command.as, *named->instance, *store_);
  return defined ? CommandOutcome{} : CommandOutcome::failed(defined.error().message);
}

Result<std::vector<Val>> WastRunner::perform(const Action& action, const Instance& instance) {
  if (action.is_get) {
    auto global = instance.global(action.field);
    if (!global) return global.error();
    return std::vector<Val>{global->get()};
  }
  auto func = instance.func(action.field);
  if (!func) return func.error();
  const FuncType type = func->type();
  if (type.params.size() != action.args.size()) {
    return Error(ErrorKind::Usage, strf("'%s' takes %zu arguments, the script gives %zu", action.field.c_str(),
                                        type.params.size(), action.args.size()));
  }
  std::vector<Val> args;
  for (size_t i = 0; i < action.args.size(); ++i) {
    auto value = to_value(*store_, action.args[i], type.params[i]);
    if (!value) return value.error();
    args.push_back(*value);
  }
  return func->call(args);
}

CommandOutcome WastRunner::run_action(const Command& command) {
  const Named* named = find(command.action.module);
  if (!named) return CommandOutcome::failed("there is no module '" + command.action.module + "'");
  if (!named->instance) return blocked_by(named->failed_at);
  auto results = perform(command.action, *named->instance);
  switch (command.type) {
    case Type::action:
    case Type::assert_return:
      if (!results) {
        return CommandOutcome::failed(std::string(vmrun::to_string(results.error().kind)) + ": " +
                                      results.error().message);
      }
      return command.type == Type::action ? CommandOutcome{} : expect_values(command.expected, *results);
    case Type::assert_exception:
      if (!results && results.error().kind == ErrorKind::Exception) return {};
      return CommandOutcome::failed("expected an exception, got " +
                                    (results ? list(*results) : results.error().message));
    default:  // assert_trap, assert_exhaustion
      if (results) return CommandOutcome::failed("expected the trap '" + command.text + "', got " + list(*results));
      return expect_trap(results.error(), command.text);
  }
}

/// assert_invalid and assert_malformed, also of custom sections: the module must be refused.
CommandOutcome WastRunner::run_refusal(const Command& command) {
  if (command.is_text) return blocked_by(0);
  auto module = compile(command);
  const bool custom = command.type == Type::assert_invalid_custom || command.type == Type::assert_malformed_custom;
  if (custom) {
    if (!module) return CommandOutcome::failed("refused: " + module.error().message);
    auto hints = check_branch_hints(*module);
    return hints ? CommandOutcome::failed("expected '" + command.text + "', but was accepted") : CommandOutcome{};
  }
  if (module) return CommandOutcome::failed("expected '" + command.text + "', but was accepted");
  const ErrorKind kind = module.error().kind;
  if (kind == ErrorKind::Malformed || kind == ErrorKind::Invalid) return {};
  // Where a proposal is off, its absence is the reason to refuse.
  if (kind == ErrorKind::Unsupported && engine_.config().features != FeatureSet::all()) return {};
  return CommandOutcome::failed("expected '" + command.text + "', got " + std::string(vmrun::to_string(kind)) + ": " +
                                module.error().message);
}

/// assert_unlinkable and assert_uninstantiable: a valid module that must not come to life.
CommandOutcome WastRunner::run_instantiation_failure(const Command& command) {
  if (command.is_text) return blocked_by(0);
  auto module = compile(command);
  if (!module) {
    return CommandOutcome::failed(std::string(vmrun::to_string(module.error().kind)) + ": " + module.error().message);
  }
  if (auto line = missing_provider(*module)) return blocked_by(*line);
  auto instance = instantiate(*module);
  if (instance) return CommandOutcome::failed("expected '" + command.text + "', but was instantiated");
  if (command.type == Type::assert_uninstantiable) {
    return instance.error().kind == ErrorKind::Exception ? CommandOutcome{}
                                                         : expect_trap(instance.error(), command.text);
  }
  if (instance.error().kind == ErrorKind::Link) return {};
  return CommandOutcome::failed("expected '" + command.text + "', got " +
                                std::string(vmrun::to_string(instance.error().kind)) + ": " + instance.error().message);
}

CommandOutcome WastRunner::run(const Command& command) {
  switch (command.type) {
    case Type::module:
    case Type::module_definition: return load_and_run_module(command);
    case Type::module_instance: {
      const std::optional<Module>* module =
          command.module.empty() ? &latest_definition_ : &definitions_[command.module];
      if (!*module) return CommandOutcome::failed("there is no module '" + command.module + "'");
      return run_module(command, **module);
    }
    case Type::register_: return run_register(command);
    case Type::action:
    case Type::assert_return:
    case Type::assert_trap:
    case Type::assert_exhaustion:
    case Type::assert_exception: return run_action(command);
    case Type::assert_invalid:
    case Type::assert_malformed:
    case Type::assert_invalid_custom:
    case Type::assert_malformed_custom: return run_refusal(command);
    case Type::assert_unlinkable:
    case Type::assert_uninstantiable: return run_instantiation_failure(command);
  }
  return CommandOutcome::failed("unknown command");
}

}  // namespace vmrun::tools
