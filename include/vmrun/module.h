// Module: a decoded and validated image, ready to be instantiated any number of times, and all that can be asked about
// it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/engine.h"
#include "vmrun/fwd.h"
#include "vmrun/stored.h"
#include "vmrun/types.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// A section of an image.
struct SectionInfo {
  uint8_t id;              // spec 5.5.2; 0 is custom
  std::string_view name;   // "type", "code", ...; a custom section's own name
  uint64_t header_offset;  // byte offset of the id
  uint64_t offset, size;   // of the contents (for a custom section including its name)
  uint64_t items;          // entries, where the section is a vector; otherwise 0
};

/// A custom section: its name and the bytes after the name. Views into the image.
struct CustomSection {
  std::string_view name;
  uint64_t offset;
  std::span<const uint8_t> bytes;
};

/// A function body in the image.
struct FuncBody {
  uint32_t func_index;  // in the function index space, imports first
  uint32_t type_index;
  uint64_t offset, size;  // of the body: its locals and code
  std::string_view name;  // see Module::function_name
};

/// How much of a module the interpreter has translated.
struct TranslationStats {
  uint64_t quick_functions = 0, careful_functions = 0;
  uint64_t bytes = 0;  // of function bodies read
};

/// What a machine tier has done for a module.
struct TierStats {
  uint64_t functions = 0;   // compiled as a whole
  uint64_t osr_units = 0;   // compiled to enter at a loop
  uint64_t failed = 0;      // compiles that ended without code
  uint64_t bugs = 0;        // of these: by an error of vmrun's own, which its log names: please report it
  uint64_t tasks = 0;       // shares of work that compile threads took
  uint64_t task_units = 0;  // functions and loops that were compiled in these
  uint64_t loaded = 0;      // of the functions and units: taken from stored code instead of being compiled
  uint64_t dropped = 0;     // given up again for want of code memory
  uint64_t wasm_bytes = 0;  // of the compiled functions' bodies
  uint64_t code_bytes = 0;  // of machine code that they became
  std::chrono::nanoseconds compile_time{0};
  uint64_t osr_entries = 0;                               // frames that moved into the tier in the middle of a loop
  std::vector<std::pair<std::string, uint64_t>> reasons;  // of failures, the most frequent first
};

/// How often a function began to run, and how often one of its loops was entered in the middle, by Tier; and which tiers'
/// compilers refused it. A call that optimised code inlines is a run in that tier. All zero without Config::count_runs.
struct FunctionRuns {
  uint64_t runs[3] = {}, osr_entries[3] = {};
  bool refused[3] = {};
};

/// What baseline code has counted in a function (Config::profile). Counts are of 32 bits and may miss some where threads
/// meet.
struct FunctionProfile {
  struct Condition {
    uint64_t offset;  // of the `if` or `br_if`, in the image
    uint64_t count;   // `if`: found true; `br_if`: did not branch
  };
  struct IndirectCall {
    uint64_t offset;
    std::optional<uint32_t> target;  // the function it called last, by index in that function's module; none: never run
    uint64_t changes;                // of the target; 1: there was only one
  };
  uint64_t entries = 0;
  std::vector<Condition> conditions;
  std::vector<IndirectCall> indirect_calls;
};

/// How hot a function has been found. Time is what reports of the interpreter, counters and ticks stand for: an estimate
/// that decides on compiles, of the time until it was optimised.
struct FunctionHeat {
  struct Loop {
    uint64_t offset;  // of the `loop` in the image
    Tier tier;        // of the code that it may be entered in
    std::chrono::nanoseconds heat;
  };
  Tier tier = Tier::Interp;  // of the code that calls get
  std::chrono::nanoseconds heat{};
  std::vector<Loop> loops;  // those that have been hot
};

/// A line of disassembly.
struct DisassembledInstr {
  uint64_t offset;                 // in the image
  std::span<const uint8_t> bytes;  // the instruction's own
  uint32_t depth;                  // nesting of blocks
  std::string text;                // mnemonic and immediates, as in the text format
};

/// Shared handle to an immutable module: copying is cheap, copies refer to the same module, any thread may use it. What
/// a function returns as a view lives as long as the module.
class Module {
 public:
  /// Decodes and validates `bytes`, which are copied. `name` is what backtraces show for a module without a name
  /// section. Errors: Malformed, Invalid, Unsupported, Limit.
  static Result<Module> compile(const Engine& engine, std::span<const uint8_t> bytes, std::string_view name = {});
  /// The same for a file, which is read: what happens to it later does not change the module. Only custom sections of
  /// 64 KiB and more (debug information) are read when they are asked for; the file stays open for that. Errors: Io in
  /// addition.
  static Result<Module> compile_file(const Engine& engine, const std::filesystem::path& path);

  /// The module as a compiled image: its bytes, with machine code for this build and processor and for the settings of
  /// its engine (none, where that only interprets). May take long: `options` say what is compiled. Guests may run
  /// meanwhile. Errors: Limit, Usage (options.progress ended it, or its processor is unknown), Unsupported (the optimiser,
  /// which knows processors, is not installed).
  Result<std::vector<uint8_t>> serialize(const SerializeOptions& options = {}) const;
  /// The same into a file, which takes its name when it is complete. Its mode is that of a program that nobody may write
  /// (0555, less what the process's mask takes away); StoredTrust::Program asks for that. A file that is there is replaced if it is
  /// a regular one. Errors: Io in addition.
  Result<void> serialize_file(const std::filesystem::path& path, const SerializeOptions& options = {}) const;
  /// A module from a compiled image, which is not validated again and whose code is run: these bytes are trusted as the
  /// program itself is (vmrun/stored.h). `name`: as for compile. Code that was made for other settings than the engine's
  /// (Config::dense_memory, profile, inlining and so on) is left alone, and functions are compiled as if there was none.
  /// Errors: Malformed (these are no such bytes, or damaged ones), Unsupported (another build or processor), Limit, Usage
  /// (StoredTrust::Program, and this is no file, or one with another mode).
  static Result<Module> deserialize(const Engine& engine, std::span<const uint8_t> bytes, std::string_view name = {},
                                    StoredTrust trust = StoredTrust::Code);
  /// The same for a file, of which code is read when it is first called; the file stays open. It may be replaced by
  /// another one, but must not be changed. Errors: Io in addition.
  static Result<Module> deserialize_file(const Engine& engine, const std::filesystem::path& path,
                                         StoredTrust trust = StoredTrust::Code);
  /// The same for bytes, or a file, that others could have written: its MAC is looked at first, in one pass over bytes that
  /// are in this process's memory, and nothing of a file with another one is used. Errors: Malformed in addition (it has
  /// no MAC, or none under this key).
  static Result<Module> deserialize(const Engine& engine, std::span<const uint8_t> bytes, std::string_view name,
                                    const MacKey& key);
  static Result<Module> deserialize_file(const Engine& engine, const std::filesystem::path& path, const MacKey& key);
  /// Puts what was compiled of the module, and what was hot, into the engine's cache, for later processes. To be called
  /// when a program ends, or now and then. True: something was written; false: there is no cache, nothing new that is
  /// worth it, or no way to write it, which the log tells (VMRUN_LOG=cache=info). Any thread; guests may run meanwhile.
  bool store() const;

  const Engine& engine() const;
  /// From the name section, else the name or the file's base name given at compilation.
  std::string_view name() const;
  /// Of the image, in bytes.
  size_t size() const;

  std::vector<ImportType> imports() const;
  std::vector<ExportType> exports() const;
  /// The export of that name, if there is one.
  std::optional<ExternType> export_type(std::string_view name) const;
  bool has_start() const;

  // ---- introspection, for tools ----

  /// The module's type definitions, by type index, as in the text format.
  std::vector<std::string> types() const;
  /// Sections in file order, custom ones included.
  std::vector<SectionInfo> sections() const;
  /// With their contents; those that a file no longer has are zero. `sections` names them for less.
  std::vector<CustomSection> custom_sections() const;
  /// The source of the instruction at a byte offset in the image, as FrameInfo::source has it, by the debug information
  /// (DWARF) in the image; empty: unknown. Reads of it what has not been read before, which may take a second or two and
  /// some 300 MB, not more.
  std::vector<SourceLine> source_at(uint64_t offset) const;
  /// First custom section of that name.
  std::optional<CustomSection> custom_section(std::string_view name) const;
  /// The proposals that the module uses. Walks all code: not for a start-up path.
  FeatureSet features_used() const;
  /// Own functions (imports have no body), in order.
  std::vector<FuncBody> functions() const;
  uint32_t function_count() const;  // imports included
  FuncType function_type(uint32_t func_index) const;
  /// From the name section, else what the function is exported or imported as, else "".
  std::string_view function_name(uint32_t func_index) const;
  /// What has been translated for execution so far, by all stores.
  TranslationStats translation_stats() const;
  /// What has been compiled for that tier so far (nothing for the interpreter).
  TierStats tier_stats(Tier tier) const;
  /// The profile of an own function; empty when there is none.
  FunctionProfile profile(uint32_t func_index) const;
  /// Of an own function; nothing for an import, an index out of range or an engine that only interprets.
  FunctionHeat function_heat(uint32_t func_index) const;
  /// Zero for an import or an index out of range.
  FunctionRuns function_runs(uint32_t func_index) const;
  /// The instructions of an own function. Usage error for an import or an index out of range.
  Result<std::vector<DisassembledInstr>> disassemble(uint32_t func_index) const;
  /// The machine code that a tier's compiler makes of an own function for this processor, one instruction a line with
  /// offsets in the image behind ';'. Errors: Usage for an import, an index out of range or the interpreter;
  /// Unsupported with the reason when the compiler does not take the function or is not installed.
  Result<std::string> disassemble_code(uint32_t func_index, Tier tier) const;

  const std::shared_ptr<vm::Module>& impl() const { return impl_; }

 private:
  Module(Engine engine, std::shared_ptr<vm::Module> impl) : engine_(std::move(engine)), impl_(std::move(impl)) {}
  friend class Instance;
  Engine engine_;
  std::shared_ptr<vm::Module> impl_;
};

}  // namespace vmrun
#pragma GCC visibility pop
