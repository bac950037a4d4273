// See fuel.h.
#include "vm/wasm/fuel.h"

#include "vm/base/assert.h"
#include "vm/wasm/func_decoder.h"
#include "vm/wasm/module.h"

namespace vmrun::vm {
namespace {

enum class Event : uint8_t {
#define VMRUN_EVENT(name, parameters) name,
#include "vm/wasm/func_events.def"
};

/// Reads a body for its segments.
class SegmentReader {
 public:
  struct Value {};
  struct Control {
    bool entered = false;  // a branch leads to the end
  };

  std::vector<FuelSegment>* segments = nullptr;
  uint64_t at = UINT64_MAX;  // where unspent() is asked for
  uint64_t unspent = 0;

#define VMRUN_EVENT(name, parameters) \
  void name(auto& d, auto&&... arguments) { saw(Event::name, d, arguments...); }
#include "vm/wasm/func_events.def"

 private:
  void saw(Event event, auto& d, auto&&... arguments) {
    switch (event) {
      case Event::begin:
        // The entry's units, in front of whatever comes first.
        units_ = 1 + static_cast<uint32_t>(fuel_of_locals(d.locals().size()));
        return;
      case Event::charge:
      case Event::end_function: return;

      case Event::drop:
      case Event::block:
      case Event::try_: return cost(d, 0);
      case Event::try_table: cost(d, of_catches(arguments...)); return enter_catches(d, arguments...);
      case Event::op:
        cost(d, 1);
        if (is_sized(arguments...)) close(d);
        return;
      case Event::local_get:
      case Event::local_set:
      case Event::local_tee: return cost(d, 1);

      // What may go on elsewhere.
      case Event::br:
      case Event::br_if:
      case Event::br_table:
      case Event::br_on_null:
      case Event::br_on_non_null:
      case Event::br_on_cast:
        cost(d, 1);
        enter_labels(d, arguments...);
        return close(d);
      case Event::if_:
      case Event::rethrow:
      case Event::throw_:
      case Event::throw_ref:
      case Event::call:
      case Event::call_indirect:
      case Event::call_ref:
      case Event::return_call:
      case Event::return_call_indirect:
      case Event::return_call_ref: cost(d, 1); return close(d);
      case Event::return_:
      case Event::unreachable: cost(d, 0); return close(d);

      // Where control may come from elsewhere.
      case Event::loop: cost(d, 0); return close(d);
      case Event::else_:
      case Event::catch_:
      case Event::catch_all: return enter_end(d, arguments...);
      case Event::delegate: cost(d, 0); return close(d);
      case Event::end: return end_of(d, arguments...);
    }
  }

  /// Whether it costs more by a length: what cannot be paid for is then at the end of a segment.
  static bool is_sized(Op op, const auto&...) { return costs_by_length(op); }
  static bool is_sized(const auto&...) { return false; }

  /// An instruction that costs so much is being delivered.
  void cost(auto& d, uint32_t units) {
    if (!open_) {
      // The entry's units stand in front of whatever is first; other segments begin where something costs.
      if (units + units_ == 0) return;
      open_ = true;
      offset_ = static_cast<uint32_t>(d.offset());
    }
    units_ += units;
    if (found_) unspent += units;
    if (d.offset() == at) found_ = true;
    // Interpreted only: compilers keep a condition in the flags from one instruction of a segment to the next.
    if (d.module().charges_each) close(d);
  }
  /// The segment ends behind the instruction that is being delivered.
  void close(auto& d) {
    VMRUN_ASSERT(units_ == 0 || open_, "a charge has a place");
    if (segments != nullptr && units_ != 0) segments->push_back({offset_, units_});
    open_ = false;
    units_ = 0;
    if (found_) d.stop();  // the question is answered
    found_ = false;
  }

  void enter(auto& d, uint32_t depth) { d.control(depth).entered = true; }
  // The depths of br, br_if, br_table and so on, wherever among their arguments.
  void enter_labels(auto& d, const auto&... arguments) { (enter_label(d, arguments), ...); }
  void enter_label(auto& d, uint32_t depth) { enter(d, depth); }
  void enter_label(auto& d, std::span<const uint32_t> depths) {
    for (uint32_t depth : depths) enter(d, depth);
  }
  void enter_label(auto&, const auto&) {}

  static uint32_t of_catches(const auto&, std::span<const CatchClause> clauses) {
    return static_cast<uint32_t>(fuel_of_clauses(clauses.size()));
  }
  static uint32_t of_catches(const auto&...) { return 0; }

  void enter_catches(auto& d, const auto&, std::span<const CatchClause> clauses) {
    for (const CatchClause& clause : clauses) enter(d, clause.depth + 1);  // the try_table's own frame is on top
  }
  void enter_catches(auto&, const auto&...) {}

  /// A part of the frame ends, and another begins that is not fallen into.
  template <class D>
  void enter_end(D& d, typename D::Control& c, const auto&...) {
    cost(d, 0);
    c.entered |= d.reachable();
    close(d);
  }
  void enter_end(const auto&...) {}

  template <class D>
  void end_of(D& d, const typename D::Control& c, const auto&...) {
    cost(d, 0);
    // An if without else is entered from its condition.
    if (d.reachable() && !c.entered && c.kind != ControlKind::if_ && c.kind != ControlKind::func) return;
    close(d);
  }
  void end_of(const auto&...) {}

  bool open_ = false;
  bool found_ = false;
  uint32_t offset_ = 0;
  uint32_t units_ = 0;
};

}  // namespace

bool costs_by_length(Op op) {
  switch (op) {
    case Op::memory_copy:
    case Op::memory_fill:
    case Op::memory_init:
    case Op::table_copy:
    case Op::table_fill:
    case Op::table_init:
    case Op::table_grow: return true;
    default: return false;
  }
}

std::vector<FuelSegment> fuel_segments(const Module& module, uint32_t func_index) {
  std::vector<FuelSegment> segments;
  SegmentReader reader;
  reader.segments = &segments;
  const bool valid = FuncDecoder<SegmentReader, false>(module, reader).decode(func_index);
  VMRUN_ASSERT(valid, "the body is valid");
  return segments;
}

uint64_t unspent_fuel(const Module& module, uint32_t func_index, uint32_t offset) {
  SegmentReader reader;
  reader.at = offset;
  (void)FuncDecoder<SegmentReader, false>(module, reader).decode(func_index);  // as far as it needs to
  return reader.unspent;
}

}  // namespace vmrun::vm
