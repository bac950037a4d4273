// Decoding of a whole image: the sections' framing and contents. Used by decode_module only.
#pragma once

#include "vm/wasm/func_decoder.h"
#include "vm/wasm/image.h"
#include "vm/wasm/limits.h"
#include "vm/wasm/module.h"
#include "vm/wasm/type_reader.h"
#include "vm/wasm/validate.h"

namespace vmrun::vm {

/// Locals that all functions of a module declare together. Ours: four bytes of a body declare 50,000, and each compiler
/// does something for each of them, some 10 ns. A function has a dozen.
inline constexpr uint64_t kMaxAllLocals = 50'000'000;

class ModuleDecoder {
 public:
  /// `validated` and `known_bodies`: what decode_validated_module is told.
  ModuleDecoder(Module& module, const DecodeOptions& options, std::optional<Features> validated,
                std::span<const ByteRange> known_bodies)
      : m_(module),
        options_(options),
        validated_(validated),
        known_bodies_(validated && (validated->bits & ~options.features.bits) == 0 ? known_bodies
                                                                                   : std::span<const ByteRange>()),
        r_(module.bytes(), module.bytes(), module.bytes() + module.image->bytes().size()) {
    m_.features_used = Features::none().add(Feature::mvp);
  }

  /// Everything, bodies included. False: see error().
  bool run();
  Error error() { return std::move(error_); }

 private:
  // Framing (module_decoder.cpp)
  bool sections();
  void need_section(const Section& section);
  bool section(uint8_t id, Reader& r, Section& info);
  bool custom(Reader& r);
  bool finish();
  void make_codes();
  bool check_features();
  bool take_error(Reader& r);

  // Types and imports (module_decoder_types.cpp)
  bool type_section(Reader& r, uint32_t& items);
  bool rec_group(Reader& r, uint32_t count);
  bool sub_type(Reader& r, const TypeScope& scope, TypeDef& out);
  bool func_type(Reader& r, const TypeScope& scope, FuncType& out);
  bool field_type(Reader& r, const TypeScope& scope, FieldType& out);
  bool check_sub_types(Reader& r, size_t first, uint64_t at);
  bool import_section(Reader& r, uint32_t& items);
  bool func_type_index(Reader& r, FuncDecl& out);
  bool table_type(Reader& r, TableType& out);
  bool memory_type(Reader& r, MemoryType& out);
  bool limits(Reader& r, uint8_t flags, Limits& out);
  bool global_type(Reader& r, GlobalType& out);
  bool tag_type(Reader& r, TagDecl& out);
  bool val_type(Reader& r, ValType& out);
  /// A count of definitions in an index space that has `already` entries (imports).
  static bool definitions(Reader& r, uint32_t& count, size_t already, uint32_t limit, const char* what);
  /// Counts the parameters, results and fields of types.
  bool type_parts(Reader& r, size_t count, uint64_t at);
  /// One more import in the index space of its kind.
  static bool one_more(Reader& r, uint32_t& imported, uint32_t limit, const char* what, uint64_t at);
  bool note_type(Reader& r, ValType type, uint64_t at);

  // The other sections (module_decoder_sections.cpp)
  bool function_section(Reader& r, uint32_t& items);
  bool table_section(Reader& r, uint32_t& items);
  bool memory_section(Reader& r, uint32_t& items);
  bool tag_section(Reader& r, uint32_t& items);
  bool global_section(Reader& r, uint32_t& items);
  bool export_section(Reader& r, uint32_t& items);
  bool check_export_names(Reader& r, const std::vector<uint32_t>& offsets);
  bool start_section(Reader& r);
  bool element_section(Reader& r, uint32_t& items);
  bool element_segment(Reader& r, ElemSegment& out);
  bool data_count_section(Reader& r);
  bool code_section(Reader& r, uint32_t& items);
  bool take_known_bodies(Reader& r, uint32_t items);
  bool data_section(Reader& r, uint32_t& items);
  bool const_expr(Reader& r, ValType type, ConstExpr& out, std::optional<uint64_t>* constant = nullptr);
  bool func_ref(Reader& r, uint32_t& index);

  /// Records that the image uses `feature` at `at`; false with an error when that is off.
  bool use(Reader& r, Feature feature, uint64_t at);

  Module& m_;
  const DecodeOptions& options_;
  const std::optional<Features> validated_;
  const std::span<const ByteRange> known_bodies_;  // of a code section that need not be read
  Reader r_;
  ValidationState state_;
  NullConsumer null_;
  std::unique_ptr<FuncDecoder<NullConsumer>> const_decoder_;
  std::optional<uint32_t> data_count_;
  uint64_t locals_ = 0;  // that the bodies declare
  uint32_t bodies_ = 0;
  uint32_t type_parts_ = 0;  // parameters, results and fields of the types so far
  uint32_t elements_ = 0;    // of the element segments so far
  Error error_;
};

}  // namespace vmrun::vm
