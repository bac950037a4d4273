// Module: compilation, and what can be asked about an image.
#include "vmrun/module.h"

#include <algorithm>

#include "engine/convert.h"
#include "engine/engine_impl.h"
#include "engine/exceptions.h"
#include "engine/load.h"
#include "jit/code/install.h"
#include "jit/listing.h"
#include "vm/blocks/profile.h"
#include "vm/wasm/disasm.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"
#include "vm/wasm/sources.h"

namespace vmrun {
namespace {

static_assert(static_cast<int>(Tier::Baseline) == static_cast<int>(vm::Tier::baseline));
static_assert(static_cast<int>(Tier::Opt) == static_cast<int>(vm::Tier::opt));

/// With the text format's abbreviations, and the module's own type indices.
std::string type_name(const vm::Module& module, vm::ValType type) {
  const bool concrete = type.is_ref() && type.heap().is_concrete();
  return concrete ? module.type_name(type) : engine::to_public(type).to_string();
}

std::string field_text(const vm::Module& module, const vm::FieldType& field) {
  const std::string type = field.packed != 0 ? "i" + std::to_string(field.packed) : type_name(module, field.type);
  return field.mutable_ ? "(mut " + type + ")" : type;
}

/// A type definition in the text format.
std::string type_text(const vm::Module& module, const vm::TypeDef& def) {
  std::string text;
  switch (def.kind) {
    case vm::TypeDef::Kind::func:
      text = "(func";
      if (!def.func.params.empty()) {
        text += " (param";
        for (vm::ValType type : def.func.params) text += " " + type_name(module, type);
        text += ")";
      }
      if (!def.func.results.empty()) {
        text += " (result";
        for (vm::ValType type : def.func.results) text += " " + type_name(module, type);
        text += ")";
      }
      text += ")";
      break;
    case vm::TypeDef::Kind::struct_:
      text = "(struct";
      for (const vm::FieldType& field : def.fields) text += " (field " + field_text(module, field) + ")";
      text += ")";
      break;
    case vm::TypeDef::Kind::array: text = "(array " + field_text(module, def.fields[0]) + ")"; break;
  }
  if (def.final_ && def.super == vm::TypeId::none) return text;
  std::string sub = def.final_ ? "(sub final " : "(sub ";
  if (def.super != vm::TypeId::none) {
    sub += std::to_string(module.type_index(def.super).value_or(0)) + " ";
  }
  return sub + text + ")";
}

}  // namespace

namespace {

CustomSection custom(const vm::Module& module, const vm::CustomSection& section) {
  return {section.name, section.bytes.begin, module.image->custom(section.bytes.begin, section.bytes.end)};
}

/// The stored machine code of a function, if the module came with it.
std::optional<std::string> stored_listing(const vm::Module& module, uint32_t func_index, vm::Tier tier) {
  const tiering::StoredCode stored = tiering::Manager::stored(module);
  const auto* record = stored.file != nullptr ? stored.file->find(func_index, jit::kWholeFunction, tier) : nullptr;
  auto code = record != nullptr ? stored.file->load(*record, module) : std::nullopt;
  const jit::Plugin* plugin = code ? jit::load_plugin(nullptr) : nullptr;
  if (plugin == nullptr) return std::nullopt;
  std::vector<std::byte> bytes(code->bytes.begin(), code->bytes.end());
  jit::write_types(*code, bytes);
  code->bytes = bytes;
  return jit::listing(*plugin, *code);
}

}  // namespace

Result<Module> Module::compile(const Engine& engine, std::span<const uint8_t> bytes, std::string_view name) try {
  Result<std::shared_ptr<vm::Module>> module = engine::load_module(engine, vm::Image::copy(bytes, name), name);
  if (!module) return std::move(module).error();
  return Module(engine, std::move(*module));
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<Module> Module::compile_file(const Engine& engine, const std::filesystem::path& path) try {
  Result<std::shared_ptr<vm::Module>> module = engine::load_file(engine, path);
  if (!module) return std::move(module).error();
  return Module(engine, std::move(*module));
}
VMRUN_CATCH_OUR_EXCEPTIONS

const Engine& Module::engine() const { return engine_; }
std::string_view Module::name() const { return impl_->display_name(); }
size_t Module::size() const { return impl_->image->bytes().size(); }

std::vector<ImportType> Module::imports() const {
  std::vector<ImportType> out;
  out.reserve(impl_->imports.size());
  for (const vm::Import& import : impl_->imports) {
    out.push_back(
        {std::string(import.module), std::string(import.name), engine::extern_type(*impl_, import.kind, import.index)});
  }
  return out;
}

std::vector<ExportType> Module::exports() const {
  std::vector<ExportType> out;
  out.reserve(impl_->exports.size());
  for (const vm::Export& item : impl_->exports) {
    out.push_back({std::string(item.name), engine::extern_type(*impl_, item.kind, item.index), item.index});
  }
  return out;
}

std::optional<ExternType> Module::export_type(std::string_view name) const {
  for (const vm::Export& item : impl_->exports) {
    if (item.name == name) return engine::extern_type(*impl_, item.kind, item.index);
  }
  return std::nullopt;
}

bool Module::has_start() const { return impl_->start.has_value(); }

std::vector<std::string> Module::types() const {
  std::vector<std::string> out;
  out.reserve(impl_->types.size());
  for (const vm::TypeDef* def : impl_->type_defs) out.push_back(type_text(*impl_, *def));
  return out;
}

std::vector<SectionInfo> Module::sections() const {
  std::vector<SectionInfo> out;
  out.reserve(impl_->sections.size());
  size_t custom = 0;
  for (const vm::Section& section : impl_->sections) {
    const std::string_view name = section.id == 0 ? impl_->customs[custom++].name : vm::section_name(section.id);
    out.push_back({section.id, name, section.header, section.bytes.begin, section.bytes.size(), section.items});
  }
  return out;
}

std::vector<CustomSection> Module::custom_sections() const {
  std::vector<CustomSection> out;
  out.reserve(impl_->customs.size());
  for (const vm::CustomSection& section : impl_->customs) {
    out.push_back(custom(*impl_, section));
  }
  return out;
}

std::vector<SourceLine> Module::source_at(uint64_t offset) const { return impl_->sources().at(offset); }

std::optional<CustomSection> Module::custom_section(std::string_view name) const {
  const auto section = std::ranges::find(impl_->customs, name, &vm::CustomSection::name);
  if (section == impl_->customs.end()) return std::nullopt;
  return custom(*impl_, *section);
}

FeatureSet Module::features_used() const {
  FeatureSet out;
  for (unsigned i = 0; i < kFeatureCount; ++i) {
    if (impl_->features_used.has(static_cast<vm::Feature>(i))) out.insert(static_cast<Feature>(i));
  }
  return out;
}

std::vector<FuncBody> Module::functions() const {
  std::vector<FuncBody> out;
  out.reserve(impl_->funcs.size() - impl_->imported_funcs);
  for (uint32_t i = impl_->imported_funcs; i < impl_->funcs.size(); ++i) {
    const vm::FuncDecl& func = impl_->funcs[i];
    out.push_back({i, func.type_index, func.body.begin, func.body.size(), impl_->func_name(i)});
  }
  return out;
}

uint32_t Module::function_count() const { return static_cast<uint32_t>(impl_->funcs.size()); }
FuncType Module::function_type(uint32_t func_index) const { return engine::to_public(impl_->func_type(func_index)); }
std::string_view Module::function_name(uint32_t func_index) const { return impl_->func_name(func_index); }

TranslationStats Module::translation_stats() const {
  const vm::TranslationCounts& counts = impl_->translations;
  return {counts.quick.load(std::memory_order_relaxed), counts.careful.load(std::memory_order_relaxed),
          counts.bytes.load(std::memory_order_relaxed)};
}

FunctionRuns Module::function_runs(uint32_t func_index) const {
  FunctionRuns out;
  if (func_index < impl_->imported_funcs || func_index >= impl_->funcs.size()) return out;
  const vm::FuncCode& code = impl_->code(func_index);
  const vm::TierCounts* counts = code.counts.load(std::memory_order_acquire);
  if (counts == nullptr || !impl_->count_runs) return out;
  for (unsigned tier = 0; tier < vm::kTiers; ++tier) {
    out.runs[tier] = counts[tier].runs.load(std::memory_order_relaxed);
    out.osr_entries[tier] = counts[tier].osr_entries.load(std::memory_order_relaxed);
    out.refused[tier] = code.state[tier].load(std::memory_order_relaxed) == vm::BlockState::failed;
  }
  // The interpreter's entries are what it has reported and what it has charged since.
  out.runs[0] += code.heat.load(std::memory_order_relaxed);
  return out;
}

FunctionHeat Module::function_heat(uint32_t func_index) const {
  FunctionHeat out;
  if (func_index < impl_->imported_funcs || func_index >= impl_->funcs.size()) return out;
  const auto time = [](double ns) { return std::chrono::nanoseconds(static_cast<int64_t>(ns)); };
  const tiering::FunctionHeat heat = tiering::Manager::heat(*impl_, func_index);
  out.tier = static_cast<Tier>(heat.tier);
  out.heat = time(heat.nanoseconds);
  for (const auto& loop : heat.loops) {
    out.loops.push_back({loop.offset, static_cast<Tier>(loop.tier), time(loop.nanoseconds)});
  }
  return out;
}

FunctionProfile Module::profile(uint32_t func_index) const {
  FunctionProfile out;
  if (func_index < impl_->imported_funcs || func_index >= impl_->funcs.size()) return out;
  for (const vm::ProfileCount& count : vm::profile_of(impl_->code(func_index))) {
    switch (count.site.kind) {
      case vm::ProfileKind::entry: out.entries = count.value; break;
      case vm::ProfileKind::then:
      case vm::ProfileKind::passed: out.conditions.push_back({count.site.offset, count.value}); break;
      case vm::ProfileKind::target: {
        std::optional<uint32_t> target;
        if (count.value != 0) target = count.value - 1;
        out.indirect_calls.push_back({count.site.offset, target, count.changes});
        break;
      }
    }
  }
  return out;
}

TierStats Module::tier_stats(Tier tier) const {
  const vm::Tier which = static_cast<vm::Tier>(tier);
  const tiering::TierStats stats = tiering::Manager::stats(*impl_, which);
  TierStats out;
  out.functions = stats.functions;
  out.osr_units = stats.osr_units;
  out.failed = stats.failed;
  out.bugs = stats.bugs;
  out.tasks = stats.tasks;
  out.task_units = stats.task_units;
  out.loaded = stats.loaded;
  out.dropped = stats.dropped;
  out.wasm_bytes = stats.wasm_bytes;
  out.code_bytes = stats.code_bytes;
  out.compile_time = stats.compile_time;
  out.osr_entries = stats.osr_entries;
  out.reasons.assign(stats.reasons.begin(), stats.reasons.end());
  std::sort(out.reasons.begin(), out.reasons.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return out;
}

Result<std::string> Module::disassemble_code(uint32_t func_index, Tier tier) const try {
  if (func_index < impl_->imported_funcs || func_index >= impl_->funcs.size()) {
    return Error(ErrorKind::Usage, "function " + std::to_string(func_index) + " has no body in this module");
  }
  if (tier == Tier::Interp) return Error(ErrorKind::Usage, "the interpreter makes no machine code");
  if (auto listed = stored_listing(*impl_, func_index, static_cast<vm::Tier>(tier))) return std::move(*listed);
  jit::CompileRequest request;
  request.module = impl_.get();
  request.func_index = func_index;
  request.every_mark = true;
  std::string why;
  std::unique_ptr<jit::Compiler> baseline;
  jit::Compiler* compiler = nullptr;
  if (tier == Tier::Baseline) {
    baseline = jit::make_baseline_compiler();
    compiler = baseline.get();
  } else {
    compiler = jit::load_opt_compiler(&why);
  }
  if (compiler == nullptr) return Error(ErrorKind::Unsupported, why);
  jit::Listed listed = jit::compile_listing(*compiler, request);
  if (!listed.done) return Error(ErrorKind::Unsupported, listed.text);
  return std::move(listed.text);
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<std::vector<DisassembledInstr>> Module::disassemble(uint32_t func_index) const try {
  if (func_index < impl_->imported_funcs || func_index >= impl_->funcs.size()) {
    return Error(ErrorKind::Usage, "function " + std::to_string(func_index) + " has no body in this module");
  }
  std::vector<DisassembledInstr> out;
  for (vm::DisasmLine& line : vm::disassemble(*impl_, func_index)) {
    out.push_back({line.offset, {impl_->bytes() + line.offset, line.size}, line.depth, std::move(line.text)});
  }
  return out;
}
VMRUN_CATCH_OUR_EXCEPTIONS

}  // namespace vmrun
