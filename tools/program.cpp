// Programs; see program.h.
#include "tools/program.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tools/image.h"
#include "tools/imports.h"
#include "tools/report.h"
#include "tools/values.h"

namespace vmrun::tools {
namespace {

bool imports_wasi(const Module& module) {
  for (const ImportType& import : module.imports()) {
    if (import.module.starts_with("wasi_")) return true;
  }
  return starts_threads(module);
}

/// A failure to instantiate `module` in the user's terms: what can be done about it.
Error explain(Error error, const Program& program, const Module& module, const Linker& linker) {
  if (error.kind == ErrorKind::Limit) error.message += "; -W help lists the limits";
  if (error.kind == ErrorKind::Unsupported && error.offset) {
    error.message += strf(" at offset 0x%llx", static_cast<unsigned long long>(*error.offset));
  }
  if (error.kind == ErrorKind::Link) error.message += missing_imports_hint(module, linker, program.options);
  return error;
}

/// What to do when the guest is given more descriptors than it may have open.
Error explain_context(Error error, const RunOptions& options) {
  if (error.kind == ErrorKind::Limit) {
    error.message += options.max_descriptors ? "; -S max-descriptors=N allows more"
                                             : "; -S max-descriptors=N or 'ulimit -n' allows more";
  }
  return error;
}

/// "; it exports a, b, ..." with the functions; "" when there are none.
std::string exported_functions(const Module& module) {
  std::string list;
  size_t listed = 0;
  constexpr size_t kMostListed = 20;
  for (const ExportType& item : module.exports()) {
    if (item.type.kind() != ExternKind::Func) continue;
    if (listed == kMostListed) return list + ", ...";
    list += (listed++ == 0 ? "; it exports " : ", ") + printable_name(item.name);
  }
  return list;
}

/// The image has nothing that runs by itself: how to call one of its functions, after what the arguments say was meant.
Error nothing_to_run(const Program& program, bool was_instantiated) {
  const std::string list = exported_functions(program.module);
  std::string message =
      was_instantiated && program.module.has_start() ? "only the start function was run: " : "nothing was run: ";
  message += program.image + " has no _start";
  if (list.empty()) return usage_error(message + " and exports no function");
  if (program.is_also) return usage_error(message + ", but --also runs programs" + list);
  const Misplaced meant = sort_arguments(program.args);
  message += "; call an export: vmrun" + std::string(meant.invokes ? "" : " --invoke NAME") + meant.options + " " +
             program.image + (meant.invokes || !meant.others.empty() ? meant.others : " ARGS...");
  return usage_error(message + list);
}

/// What a run calls, of the functions that the image exports: what --invoke names, or the program's entry. Nothing where
/// the image has no entry (a library). `was_instantiated`: its start function has been run.
template <class Exports>
Result<std::optional<std::string_view>> find_entry(const Program& program, bool was_instantiated, Exports exports) {
  if (program.invokes) {
    const std::string& name = *program.options.invoke;
    if (exports(name)) return std::optional<std::string_view>(name);
    return usage_error("the image exports no function '" + name + "'" + exported_functions(program.module));
  }
  for (const char* name : {"_start", ""}) {
    if (exports(name)) return std::optional<std::string_view>(name);
  }
  // An image that does nothing, or whose start function is all it does, has been run.
  const bool done = program.module.has_start() || exported_functions(program.module).empty();
  if (done && program.args.empty()) return std::optional<std::string_view>();
  return nothing_to_run(program, was_instantiated);
}

Result<std::vector<Val>> arguments(const Program& program, const FuncType& type) {
  auto values = parse_arguments(*program.options.invoke, type, program.args);
  if (values) return values;
  Error error = std::move(values).error();
  if (!sort_arguments(program.args).options.empty()) error.message += "; options stand before the image";
  return error;
}

/// Calls the initialiser of a library, if it has one.
Result<void> initialize(const Instance& instance) {
  auto item = instance.get("_initialize");
  if (!item || !item->func()) return {};
  auto done = item->func()->call();
  if (!done) return done.error();
  return {};
}

}  // namespace

Result<Preloads> load_preloads(const RunOptions& options, const Engine& engine) {
  Preloads preloads;
  for (const auto& [name, file] : options.preloads) {
    auto module = load_image_beside(engine, file, options);
    if (!module) return module.error();
    preloads.emplace_back(name, *module);
  }
  return preloads;
}

Result<Program> load_program(const RunOptions& options, const Engine& engine, std::string_view image,
                             const Preloads& preloads) {
  const std::string path(image);
  auto module = load_image_beside(engine, path, options);
  if (!module) return module.error();
  Program program{options, path, image_name(path), engine, *module, preloads, {image_name(path)}};
  program.needs_wasi = imports_wasi(*module);
  program.starts_threads = starts_threads(*module);
  for (const auto& [name, preload] : preloads) {
    program.needs_wasi |= imports_wasi(preload);
    program.starts_threads |= starts_threads(preload);
  }
  program.needs_wasi &= options.wasi;
  program.starts_threads &= program.needs_wasi && options.threads;
  return program;
}

void store_code(const Program& program) {
  program.module.store();
  for (const auto& [name, module] : program.preloads) module.store();
}

Result<void> check_entry(const Program& program) {
  const std::vector<ExportType> exports = program.module.exports();
  const FuncType* type = nullptr;
  auto entry = find_entry(program, false, [&](std::string_view name) {
    const auto found = std::ranges::find_if(
        exports, [&](const ExportType& item) { return item.name == name && item.type.func() != nullptr; });
    if (found == exports.end()) return false;
    type = found->type.func();
    return true;
  });
  if (!entry) return entry.error();
  if (!program.invokes) return {};
  if (auto values = arguments(program, *type); !values) return values.error();
  return {};
}

Result<Instance> instantiate(const Program& program, Linker& linker, Store& store, const WasiConfig& wasi) {
  linker.unknown_imports_trap(program.options.unknown_imports_trap);
  if (program.needs_wasi) {
    auto context = WasiContext::create(wasi);
    if (!context) return explain_context(std::move(context).error(), program.options);
    if (auto added = add_wasi(linker, *context); !added) return added.error();
  }
  // Each in its turn, and the program's own module at last.
  std::vector<Module> modules;
  std::vector<std::string_view> names;
  if (program.starts_threads) {
    for (const auto& [name, module] : program.preloads) {
      modules.push_back(module);
      names.push_back(name);
    }
    modules.push_back(program.module);
  }
  const auto add_memories = [&](size_t at) -> Result<void> {
    if (!program.starts_threads) return {};
    return linker.add_shared_memories(store, std::span(modules).subspan(at), std::span(names).subspan(at));
  };
  size_t turn = 0;
  for (const auto& [name, module] : program.preloads) {
    if (auto added = add_memories(turn++); !added) return explain(std::move(added).error(), program, module, linker);
    auto instance = linker.instantiate(store, module);
    if (!instance) return explain(std::move(instance).error(), program, module, linker);
    if (auto done = initialize(*instance); !done) return done.error();
    if (auto defined = linker.define_instance(name, *instance, store); !defined) return defined.error();
  }
  if (auto added = add_memories(turn); !added) {
    return explain(std::move(added).error(), program, program.module, linker);
  }
  auto instance = linker.instantiate(store, program.module);
  if (!instance) return explain(std::move(instance).error(), program, program.module, linker);
  return instance;
}

Result<Instance> instantiate_quickly(const Program& program, Store& store, const WasiConfig& wasi) {
  if (program.needs_wasi && program.preloads.empty() && !program.options.unknown_imports_trap) {
    auto context = WasiContext::create(wasi);
    if (!context) return explain_context(std::move(context).error(), program.options);
    auto instance = instantiate_wasi(store, program.module, *context);
    if (instance) return instance;
    Linker linker(program.engine);  // for what the message says about imports
    if (auto added = add_wasi(linker, *context); !added) return added.error();
    if (auto added = linker.add_shared_memories(store, program.module); !added) return added.error();
    return explain(std::move(instance).error(), program, program.module, linker);
  }
  Linker linker(program.engine);
  return instantiate(program, linker, store, wasi);
}

Result<std::string> run_entry(const Program& program, const Instance& instance) {
  std::optional<Func> function;
  auto entry = find_entry(program, true, [&](std::string_view name) {
    const auto item = instance.get(name);
    if (!item || !item->func()) return false;
    function = *item->func();
    return true;
  });
  if (!entry) return entry.error();
  if (!*entry || program.invokes) {
    if (auto done = initialize(instance); !done) return done.error();
  }
  if (!*entry) return std::string();
  std::vector<Val> given;
  if (program.invokes) {
    auto values = arguments(program, function->type());
    if (!values) return values.error();
    given = std::move(*values);
  }
  auto results = function->call(given);
  if (!results) return results.error();
  std::string out;
  for (const Val& value : *results) (out += format_value(value)) += '\n';
  return out;
}

}  // namespace vmrun::tools
