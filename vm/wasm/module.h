// A decoded, validated, immutable image, and the block records of its functions.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vm/blocks/block.h"
#include "vm/wasm/features.h"
#include "vm/wasm/types.h"
#include "vmrun/base/effort.h"
#include "vmrun/base/result.h"

namespace vmrun::vm {

class Module;
class Image;               // the bytes: a mapped file or an owned buffer (vm/wasm/image.h)
enum class Op : uint16_t;  // an instruction (vm/wasm/opcode.h)

enum class ExternKind : uint8_t { func, table, memory, global, tag };

/// A range of bytes in the image, by offset from its first byte.
struct ByteRange {
  uint32_t begin = 0, end = 0;
  uint32_t size() const { return end - begin; }
};

/// A constant expression, kept as its bytes (the closing `end` included) and evaluated at instantiation.
using ConstExpr = ByteRange;

struct Import {
  std::string_view module, name;  // into the image
  ExternKind kind;
  uint32_t index;  // in the index space of its kind
};
struct Export {
  std::string_view name;
  ExternKind kind;
  uint32_t index;
};

struct FuncDecl {
  TypeId type = TypeId::none;
  uint32_t type_index = 0;  // in the module's own type section
  ByteRange body;           // the locals and the code; empty for imports
};
struct TableDecl {
  TableType type;
  std::optional<ConstExpr> init;
};
struct GlobalDecl {
  GlobalType type;
  ConstExpr init;  // empty for imports
};
struct TagDecl {
  TypeId type = TypeId::none;
};

enum class SegmentMode : uint8_t { passive, active, declarative };
struct ElemSegment {
  SegmentMode mode;
  uint32_t table = 0;
  ConstExpr offset;  // active
  ValType type;
  std::vector<uint32_t> funcs;   // the function-index form
  std::vector<ConstExpr> exprs;  // the expression form; one of the two is empty
};
struct DataSegment {
  SegmentMode mode;
  bool is_constant = false;  // its offset is one constant, `constant`, as an address
  uint32_t memory = 0;
  ConstExpr offset;
  ByteRange bytes;
  uint64_t constant = 0;
};
struct CustomSection {
  std::string_view name;
  ByteRange bytes;  // after the name
};

/// A section as it stands in the image.
struct Section {
  uint8_t id;           // 5.5.2; 0 is custom
  uint32_t header = 0;  // offset of the id
  ByteRange bytes;      // contents, a custom section's name included
  uint32_t items = 0;   // entries, where the section is a vector
};

/// The name of a section by its id, such as "type"; "custom" for 0.
std::string_view section_name(uint8_t id);

/// An instruction that is valid but not executed: the first one in the image.
struct UnsupportedOp {
  Op op;
  uint32_t offset = 0;
  std::optional<uint32_t> func_index;  // none: in a constant expression
};

/// What the interpreter has translated so far, for statistics. Any thread.
struct TranslationCounts {
  std::atomic<uint64_t> quick{0}, careful{0};  // functions
  std::atomic<uint64_t> bytes{0};              // of function bodies read, by both
};

/// What the tier manager wants to hear. Called on the guest's thread off its fast path; must not throw or run guest
/// code, and must not block unless a function's first call is meant to wait for its compilation.
struct TierHooks {
  /// `code` was entered often, or loops in it used up slices: as much as vm/blocks/policy.h says, or in machine code that
  /// counts, a budget.
  void (*hot_function)(TierHooks* self, FuncCode& code) = nullptr;
  /// A loop of `code` used up a slice of a vCPU in `tier`.
  void (*hot_loop)(TierHooks* self, FuncCode& code, LoopCode& loop, Tier tier) = nullptr;
  /// `code` is about to be translated for the interpreter, at its first call. Machine code that this publishes is
  /// entered instead. May be null.
  void (*first_call)(TierHooks* self, FuncCode& code) = nullptr;
  /// Back-edges of a slice; 0: as many as the interpreter likes (vm/blocks/policy.h).
  int64_t slice = 0;
};

class Sources;    // vm/wasm/sources.h
class DataImage;  // vm/runtime/data_image.h

/// Everything a decoded image says. Immutable after `Module::decode`, but for the block records; safe to share between
/// threads. Owned by shared_ptr: instances and public handles keep it alive.
class Module {
 public:
  std::shared_ptr<const Image> image;
  std::shared_ptr<TypeRegistry> registry;
  std::string name;     // the file's base name, or what the embedder called the module; may be empty
  uint32_t number = 0;  // among the modules that engines of the process have made, from 1

  std::vector<TypeId> types;              // by type index
  std::vector<const TypeDef*> type_defs;  // their definitions, by type index
  std::vector<Import> imports;
  std::vector<Export> exports;
  std::vector<FuncDecl> funcs;  // imports first, in every index space
  std::vector<TableDecl> tables;
  std::vector<MemoryType> memories;
  std::vector<GlobalDecl> globals;
  std::vector<TagDecl> tags;
  std::vector<ElemSegment> elems;
  std::vector<DataSegment> datas;
  std::vector<CustomSection> customs;
  std::vector<Section> sections;  // in file order, custom ones included
  std::optional<uint32_t> start;
  Features features_used;                    // proposals that instructions and types of the image belong to
  std::optional<UnsupportedOp> unsupported;  // set: the module must not be instantiated
  uint32_t imported_funcs = 0, imported_tables = 0, imported_memories = 0, imported_globals = 0, imported_tags = 0;

  /// Block records of own functions: code(i) for i >= imported_funcs.
  FuncCode& code(uint32_t func_index) const { return codes[func_index - imported_funcs]; }
  std::unique_ptr<FuncCode[]> codes;
  void* interp = nullptr;        // interp::CodeStore*, from interp::attach to interp::detach
  Effort effort = Effort::Auto;  // of the interpreter
  mutable TranslationCounts translations;
  TierHooks* tiers = nullptr;    // who decides on promotion; null: nobody
  bool count_runs = false;       // keep FuncCode::counts
  bool source_lines = false;     // backtraces name places in the guest's source
  bool metered = false;          // its code uses up fuel (vm/wasm/fuel.h): before anything is compiled
  bool charges_each = false;     // metered, for tests: every instruction is a segment of its own
  bool guarded_memories = true;  // what the engine gives 32-bit memories: guard pages, or (dense) explicit checks

  /// The elements of an own table whose maximum is its minimum: so many from its creation on, for good. None: any number.
  std::optional<uint32_t> fixed_table_size(uint32_t table) const {
    const Limits& limits = tables[table].type.limits;
    if (table < imported_tables || limits.max != limits.min || limits.min > INT32_MAX) return std::nullopt;
    return static_cast<uint32_t>(limits.min);
  }

  const uint8_t* bytes() const;                           // first byte of the image
  const TypeDef& type_def(TypeId id) const;               // by canonical id
  const FuncType& func_type(uint32_t func_index) const {  // signature of a function
    return type_defs[funcs[func_index].type_index]->func;
  }
  /// The lowest index of a type in this module's type section, if it is there. Any thread.
  std::optional<uint32_t> type_index(TypeId id) const;
  /// The text form of a type with this module's type indices.
  std::string type_name(ValType type) const;
  /// The function's name: of the name section (decoded at first use, any thread), else of its export or import, or "".
  std::string_view func_name(uint32_t func_index) const;
  /// The module's own name from the name section, else `name`.
  std::string_view display_name() const;
  /// How messages and backtraces call a function: its name, else "func[N]".
  std::string func_label(uint32_t func_index) const;
  /// Whether the image has debug information of its own (DWARF). Reads none of it.
  bool has_debug_info() const;
  /// The guest's source, by that debug information, which is read as far as it is asked for. Any thread.
  const Sources& sources() const;

 private:
  struct Names {
    std::string_view module;
    std::vector<std::pair<uint32_t, std::string_view>> funcs;  // by function index
  };
  const Names& names() const;
  mutable std::once_flag type_indices_once_;
  mutable std::vector<std::pair<TypeId, uint32_t>> type_indices_;  // sorted; made when an index is first asked for
  mutable std::once_flag names_once_;
  mutable Names names_;
  mutable std::once_flag sources_once_;
  mutable std::shared_ptr<const Sources> sources_;

 public:
  /// What its data segments write, once it has been instantiated more than once (vm/runtime/data_image.h).
  enum class DataImageState : uint8_t { unused, used, done };
  mutable std::atomic<DataImageState> data_image_state{DataImageState::unused};
  mutable std::atomic<const DataImage*> data_image{nullptr};
  mutable std::shared_ptr<const DataImage> data_image_owner;  // whoever sets `done` writes it
};

/// How to decode.
struct DecodeOptions {
  Features features;     // what the image may use; anything else is an Unsupported error
  unsigned threads = 0;  // that validate large code sections; 0: as many as there are processors, at most 16
  std::string name;      // Module::name; empty: the image's
};

/// Decodes and validates an image. The block records are there, but not attached to an interpreter. Errors: Malformed and
/// Invalid with the lowest offset at which something is wrong (and the function's index where it is in a body), Limit
/// for what is beyond vm/wasm/limits.h or the host's memory, Unsupported for features that are off.
Result<std::shared_ptr<Module>> decode_module(std::shared_ptr<const Image> image,
                                              std::shared_ptr<TypeRegistry> registry,
                                              const DecodeOptions& options = {});

}  // namespace vmrun::vm
