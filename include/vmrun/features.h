// The parts of WebAssembly that can be switched on and off, by the names of their proposals.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

#pragma GCC visibility push(default)
namespace vmrun {

/// A proposal, or WebAssembly 1.0 itself.
enum class Feature : uint8_t {
  Mvp,  // WebAssembly 1.0: always on
  MutableGlobal,
  SignExtension,
  SaturatingFloatToInt,
  MultiValue,
  BulkMemory,
  ReferenceTypes,
  Simd,
  RelaxedSimd,
  TailCall,
  ExtendedConst,
  MultiMemory,
  Memory64,
  FunctionReferences,
  Exceptions,  // try_table, throw, throw_ref
  Gc,
  Threads,
  LegacyExceptions,  // try, catch, catch_all, delegate, rethrow: images in the field still carry them
  WideArithmetic,
  CustomPageSizes,
};
inline constexpr unsigned kFeatureCount = 20;

/// The name as tools print and accept it, such as "tail-call".
std::string_view feature_name(Feature feature);
/// The feature with that name, if there is one.
std::optional<Feature> feature_named(std::string_view name);

/// A set of features.
class FeatureSet {
 public:
  constexpr FeatureSet() = default;
  constexpr FeatureSet(std::initializer_list<Feature> features) {
    for (Feature f : features) insert(f);
  }
  static constexpr FeatureSet all() {
    FeatureSet s;
    s.bits_ = (1u << kFeatureCount) - 1;
    return s;
  }

  constexpr bool has(Feature f) const { return (bits_ >> static_cast<unsigned>(f) & 1) != 0; }
  constexpr void insert(Feature f) { bits_ |= 1u << static_cast<unsigned>(f); }
  constexpr void erase(Feature f) { bits_ &= ~(1u << static_cast<unsigned>(f)); }
  constexpr void set(Feature f, bool on) { on ? insert(f) : erase(f); }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr uint32_t bits() const { return bits_; }
  friend constexpr FeatureSet operator|(FeatureSet a, FeatureSet b) { return a.bits_ |= b.bits_, a; }
  friend constexpr bool operator==(FeatureSet, FeatureSet) = default;

 private:
  uint32_t bits_ = 0;
};

}  // namespace vmrun
#pragma GCC visibility pop
