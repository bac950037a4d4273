// Loops as compilers make them for arrays, with everything at an edge: counters and strides at the edges of 32 bits,
// narrow and masked indices, accesses that end exactly at the memory's end, run off it on their way, or happen in one
// iteration only.
//
// The generator has counted each counter beforehand (generate_counters.cpp), so it knows each index in each iteration
// and chooses the base of an access by where the access shall lie. Nothing else decides how often a loop runs. Loops
// without end are there too: their one access lies outside of the memory for certain, so that a trap ends them.
#include "generate_edges.h"

#include <algorithm>

namespace vmrun::test::generate {
namespace {

constexpr uint32_t kPage = 65536;
constexpr size_t kFunctions = 10;
constexpr const char* kPlaces[] = {"inside", "up to the end", "over the end", "under the begin", "wild"};
constexpr const char* kWhens[] = {"always",           "in one iteration", "in the iteration of a parameter",
                                  "for odd counters", "by data",          "by a load"};
constexpr const char* kShapes[] = {"test at the end", "test at the begin", "leaves in the middle", "without end",
                                   "nested"};

/// Of scalars and of whole vectors.
std::vector<Op> accesses(vm::Family family, Op of_vector) {
  std::vector<Op> ops = ops_of(family);
  ops.push_back(of_vector);
  return ops;
}
const std::vector<Op>& loads() {
  static const std::vector<Op> ops = accesses(vm::Family::load, Op::v128_load);
  return ops;
}
const std::vector<Op>& stores() {
  static const std::vector<Op> ops = accesses(vm::Family::store, Op::v128_store);
  return ops;
}

class Loops {
 public:
  Loops(uint64_t number, Tally& tally) : r_(number * 0x9e3779b97f4a7c15 + 3), number_(number), tally_(tally) {}

  Bytes make() {
    pages_ = 1 + r_.below(2);
    w_.memory({.pages = pages_, .max = pages_ + r_.below(2)});
    w_.global(i64);
    Bytes bytes(2048);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(r_.bits());
    w_.initial(0, bytes);
    w_.initial(kPage - 2048, bytes);
    for (size_t i = 0; i < kFunctions; ++i) {
      index_ = (number_ * kFunctions + i) % all_indices().size();
      function("f" + std::to_string(i));
    }
    return w_.build();
  }

 private:
  static constexpr uint32_t kGlobal = 0;  // an i64 that loops leave something in
  // Locals.
  static constexpr uint32_t p = 0, s = 1, i = 2, j = 3, sum = 4, x = 5, y = 6, carried = 7, f = 8, d = 9, v = 10,
                            outer = 11, from_global = 12;

  struct Access {
    Op op;
    const Index* index = nullptr;  // none: the pointer x or y
    uint32_t pointer = x;
    uint32_t n = 0;       // of the index
    uint32_t base = 0;    // added to the index; where a pointer begins
    uint64_t offset = 0;  // in the instruction
    size_t when = 0;
    uint32_t at = 0;         // the counter in the iteration that is meant
    bool to_global = false;  // what is loaded goes into a global, so that the loop carries nothing
  };

  void hit(const char* what, const char* which) { tally_.hit(std::string("edges: ") + what + " " + which); }

  /// A number as a constant or, so that compilers do not know it, from a global.
  void number(uint32_t n) {
    if (r_.one_in(2)) {
      c_.i32(n);
    } else {
      c_.global_get(w_.global(i32, n));
    }
  }
  void wide_number(uint64_t n) {
    if (r_.one_in(2)) {
      c_.i64(n);
    } else {
      c_.global_get(w_.global(i64, n));
    }
  }

  uint32_t bytes_of(Op op) const { return 1u << vm::op_info(op).access_log2; }

  /// The index of an access without its base, in an iteration.
  uint32_t value_in(const Access& access, size_t iteration) const {
    if (access.index == nullptr) return static_cast<uint32_t>(iteration) * pointer_steps_[access.pointer - x];
    return access.index->value(static_cast<uint32_t>(counter_.values[iteration]), access.n);
  }

  Access any_access(Op op) {
    Access access;
    access.op = op;
    access.n = edge_of_32(r_);
    if (r_.one_in(3)) {
      access.pointer = x + r_.below(2);
    } else {
      access.index = &all_indices()[r_.one_in(2) ? index_ : r_.below(static_cast<uint32_t>(all_indices().size()))];
    }
    access.to_global = r_.one_in(3);
    hit("index", access.index == nullptr ? "pointer" : access.index->name);
    place(access);
    return access;
  }

  /// Chooses base and offset by where the accesses shall lie.
  void place(Access& access) {
    const size_t count = counter_.values.size();
    const auto size = static_cast<int64_t>(bytes_of(access.op)), end = static_cast<int64_t>(pages_) * kPage;
    const uint32_t first = value_in(access, 0);
    int64_t low = 0, high = 0;
    for (size_t k = 0; k < count; ++k) {
      const int64_t distance = static_cast<int32_t>(value_in(access, k) - first);
      low = std::min(low, distance), high = std::max(high, distance);
    }
    const size_t middle = r_.below(static_cast<uint32_t>(count));
    const int64_t there = static_cast<int32_t>(value_in(access, middle) - first);
    access.at = static_cast<uint32_t>(counter_.values[middle]);
    access.offset = r_.one_in(2) ? 0 : r_.below(40);
    const int64_t room = end - size - static_cast<int64_t>(access.offset);
    const bool fits = high - low <= room;
    size_t where = r_.below(8);
    where = where < 3 ? 0 : where < 5 ? 1 : where - 3;
    // With strides this long only one iteration may lie inside.
    const bool alone = !fits && where < 4;
    int64_t target = 0;  // of the first access
    switch (where) {
      case 0:
        target =
            alone ? r_.below(static_cast<uint32_t>(room)) - there : -low + (room - (high - low)) / (1 + r_.below(50));
        break;
      case 1: target = alone ? room - there : room - high; break;
      case 2: target = room + 1 - there; break;
      case 3: target = -1 - there; break;
      default:
        target = edge_of_32(r_);
        access.offset = r_.one_in(2) ? 0xffffffff : edge_of_32(r_);
        break;
    }
    hit("place", kPlaces[where]);
    access.when = alone || where == 4 ? 1 + r_.below(2) : r_.one_in(2) ? 0 : r_.below(std::size(kWhens));
    access.base = static_cast<uint32_t>(target) - first;
    // The base may stand in the instruction instead, where no sum wraps.
    const int64_t base = target - first;
    if (where != 4 && access.index != nullptr && base >= 0 && base < 2 * kPage && !r_.one_in(3)) {
      access.offset += static_cast<uint64_t>(base);
      access.base = 0;
    }
    hit("access", kWhens[access.when]);
  }

  void address(const Access& access) {
    if (access.index == nullptr) {
      // The pointer began somewhere else when another access had it first: the difference is added.
      c_.get(access.pointer);
      const uint32_t apart = access.base - pointer_starts_[access.pointer - x];
      if (apart != 0) c_.i32(apart).op(Op::i32_add);
      return;
    }
    if (access.base != 0 && r_.one_in(2)) {
      base(access.base);
      counter_value();
      access.index->emit(c_, access.n);
      c_.op(Op::i32_add);
      return;
    }
    counter_value();
    access.index->emit(c_, access.n);
    if (access.base != 0) base(access.base), c_.op(Op::i32_add);
  }
  void base(uint32_t n) {
    if (n == known_) {
      c_.get(from_global);
    } else {
      c_.i32(n);
    }
  }
  void counter_value() {
    if (counter_.wide) {
      c_.get(j).op(Op::i32_wrap_i64);
    } else {
      c_.get(i);
    }
  }

  template <class F>
  void when(const Access& access, F then) {
    if (access.when == 0) return then();
    if (access.when == 5) {
      c_.i32(r_.below(2000)).access(Op::i32_load8_u, 0).i32(1).op(Op::i32_and);
    } else if (access.when == 4) {
      c_.get(carried).i32(1).op(Op::i32_and);
    } else {
      counter_value();
      if (access.when == 1) c_.i32(access.at).op(Op::i32_eq);
      if (access.when == 2) c_.get(p).op(Op::i32_eq);
      if (access.when == 3) c_.i32(1).op(Op::i32_and);
    }
    c_.if_();
    then();
    c_.end();
  }

  char letter(Op op) const {
    const std::string_view signature = vm::op_info(op).signature;
    return signature[signature.find(':') == 1 ? 2 : 1];
  }
  uint32_t local_for(char type) const { return type == 'i' ? carried : type == 'f' ? f : type == 'd' ? d : v; }

  void load(const Access& access) {
    const char type = letter(access.op);
    const bool adds = type == 'i' || type == 'l';
    if (adds && access.to_global) {
      address(access);
      c_.access(access.op, access.offset);
      if (type == 'i') c_.op(Op::i64_extend_i32_u);
      c_.global_set(kGlobal);
      return;
    }
    if (adds) c_.get(sum);
    address(access);
    c_.access(access.op, access.offset);
    if (!adds) {
      c_.set(local_for(type));
      return;
    }
    if (type == 'i') {
      if (r_.one_in(3)) c_.tee(carried);
      c_.op(r_.one_in(2) ? Op::i64_extend_i32_u : Op::i64_extend_i32_s);
    }
    c_.op(r_.one_in(3) ? Op::i64_xor : Op::i64_add).set(sum);
  }

  void store(const Access& access) {
    address(access);
    const char type = letter(access.op);
    switch (r_.below(4)) {
      case 0:  // what is at the same index some bytes away: a copy that may overlap itself
      case 1: {
        static const std::vector<int32_t> kDistances = {1, -1, 2, -2, 3, 4, -4, 8, -8, 12, 16, -16, 31, 64, -64, 1024};
        Access from = access;
        from.op = type == 'i'   ? Op::i32_load8_u
                  : type == 'l' ? Op::i64_load
                  : type == 'f' ? Op::f32_load
                  : type == 'd' ? Op::f64_load
                                : Op::v128_load;
        const int32_t distance = r_.of(kDistances) * (r_.one_in(4) ? static_cast<int32_t>(bytes_of(from.op)) : 1);
        from.base += static_cast<uint32_t>(distance);
        address(from);
        c_.access(from.op, std::min<uint64_t>(access.offset, 64));
        hit("store of", "a copy");
        break;
      }
      case 2:
        if (type == 'i') {
          counter_value();
        } else if (type == 'l') {
          c_.get(sum);
        } else {
          c_.get(local_for(type));
        }
        hit("store of", "a value of the loop");
        break;
      default:
        if (type == 'i') c_.i32(5);
        if (type == 'l') c_.i64(0x1122334455667788);
        if (type == 'f') c_.f32_bits(0x40490fdb);
        if (type == 'd') c_.f64_bits(0x400921fb54442d18);
        if (type == 'v') c_.v128(0x0102030405060708, ~0ull);
        hit("store of", "a constant");
        break;
    }
    c_.access(access.op, access.offset);
  }

  void move_counter() {
    if (counter_.wide) {
      c_.get(j).i64(counter_.step).op(Op::i64_add);
    } else if (r_.one_in(2) && static_cast<int32_t>(counter_.step) < 0) {
      c_.get(i).i32(static_cast<uint32_t>(0 - counter_.step)).op(Op::i32_sub);
    } else {
      c_.get(i).i32(static_cast<uint32_t>(counter_.step)).op(Op::i32_add);
    }
    if (counter_.narrow == 8) counter_.sign ? c_.op(Op::i32_extend8_s) : c_.i32(0xff).op(Op::i32_and);
    if (counter_.narrow == 16) counter_.sign ? c_.op(Op::i32_extend16_s) : c_.i32(0xffff).op(Op::i32_and);
    c_.set(counter_.wide ? j : i);
  }
  void goes_on() {
    c_.get(counter_.wide ? j : i);
    if (counter_.wide) {
      c_.i64(counter_.bound);
    } else if (bound_known_) {
      c_.get(bound_local_);
    } else {
      c_.i32(static_cast<uint32_t>(counter_.bound));
    }
    c_.op(compare_op(counter_.compare, counter_.wide));
  }

  void body(const std::vector<Access>& accesses) {
    for (const Access& access : accesses) {
      when(access, [&] {
        if (std::string_view(vm::op_info(access.op).signature).ends_with(":")) {
          store(access);
        } else {
          load(access);
        }
      });
    }
    for (uint32_t pointer : {x, y}) c_.get(pointer).i32(pointer_steps_[pointer - x]).op(Op::i32_add).set(pointer);
  }

  void function(const std::string& name) {
    c_ = {};
    counter_ = any_counter(r_);
    hit("counter", vm::op_info(compare_op(counter_.compare, counter_.wide)).mnemonic);
    if (counter_.narrow != 0) hit("counter of", counter_.narrow == 8 ? "8 bits" : "16 bits");
    for (uint32_t& step : pointer_steps_) step = any_step(r_);
    size_t shape = r_.below(10);
    shape = shape < 4 ? 0 : shape < 6 ? 1 : shape - 5;
    if (shape > 4) shape = 0;
    hit("shape", kShapes[shape]);
    bound_known_ = r_.one_in(2);
    endless_ = shape == 3;
    known_ = 0;
    std::vector<Access> accesses;
    if (shape == 3) {
      endless(accesses);
    } else {
      for (uint32_t n = 1 + r_.below(3); n > 0; --n) {
        Access access = any_access(r_.of(r_.one_in(2) ? loads() : stores()));
        if (access.index == nullptr && accesses.empty()) pointer_starts_[access.pointer - x] = access.base;
        accesses.push_back(access);
      }
    }
    for (const Access& access : accesses) {
      if (access.index == nullptr) pointer_starts_[access.pointer - x] = access.base;
      if (access.base != 0) known_ = access.base;
    }
    if (shape == 4) {
      c_.i32(2 + r_.below(4)).set(outer).loop();
      begin();
      loop(accesses, r_.below(2));
      c_.get(outer).i32(1).op(Op::i32_sub).tee(outer).br_if(0).end();
    } else {
      begin();
      loop(accesses, shape);
    }
    // The sum, and where counter and pointers are in the end.
    c_.get(sum).get(i).op(Op::i64_extend_i32_u).op(Op::i64_add).get(j).op(Op::i64_xor);
    c_.get(x).op(Op::i64_extend_i32_u).i64(31).op(Op::i64_rotl).op(Op::i64_add);
    c_.get(carried).op(Op::i64_extend_i32_s).op(Op::i64_add);
    c_.get(v).op(Op::i64x2_extract_lane).byte(1).op(Op::i64_xor).end();
    const uint32_t func = w_.func({{i32, i32}, {i64}}, name);
    w_.define(func, std::move(c_), {i32, i64, i64, i32, i32, i32, f32, f64, v128, i32, i32, i32});
  }

  /// Sets what the loop begins with.
  void begin() {
    if (counter_.wide) {
      wide_number(counter_.first), c_.set(j);
    } else {
      number(static_cast<uint32_t>(counter_.first)), c_.set(i);
      number(static_cast<uint32_t>(counter_.bound)), c_.set(bound_local_);
    }
    for (uint32_t pointer : {x, y}) {
      if (!endless_ && r_.one_in(16)) {
        c_.get(s);
      } else {
        number(pointer_starts_[pointer - x]);
      }
      c_.set(pointer);
    }
    number(known_), c_.set(from_global);
  }

  void loop(const std::vector<Access>& accesses, size_t shape) {
    c_.block().loop();
    if (shape == 1) goes_on(), c_.op(Op::i32_eqz).br_if(1);
    if (shape == 2) {
      counter_value();
      c_.get(p).op(Op::i32_eq).br_if(1);
    }
    body(accesses);
    move_counter();
    if (shape == 1) {
      c_.br(0);
    } else {
      goes_on(), c_.br_if(0);
    }
    c_.end().end();
  }

  /// A counter that comes back only after 2^32 iterations, and an access outside of the memory in one of the first.
  void endless(std::vector<Access>& accesses) {
    counter_ = {};
    for (uint64_t value = 0; value < 8; ++value) counter_.values.push_back(value);
    counter_.bound = r_.one_in(2) ? 0 : 0xffffffff;
    counter_.compare = counter_.bound == 0 ? 1 : r_.one_in(2) ? 3 : 1;
    Access access;
    access.op = r_.of(r_.one_in(2) ? loads() : stores());
    if (r_.one_in(4)) access.index = &all_indices()[0];
    access.at = r_.below(8);
    access.when = 1;
    access.to_global = !r_.one_in(3);
    const uint64_t end = uint64_t{pages_} * kPage;
    // Products of such a step with the number of iterations are the largest there are.
    static const std::vector<uint32_t> kLongest = {0x7fffffff, 0x7fffffff, 0x80000000, 0x80000001, 0x7ffffffe};
    do {
      access.base = r_.one_in(2) ? 0x80000000 + r_.below(16) - 8 : edge_of_32(r_);
      access.offset = r_.one_in(3)   ? r_.below(64)
                      : r_.one_in(2) ? 0xffffffff - r_.below(2) * r_.below(64)
                                     : edge_of_32(r_);
      pointer_steps_[0] = r_.one_in(2) ? r_.of(kLongest) : any_step(r_);
    } while (static_cast<uint32_t>(access.base + value_in(access, access.at)) + access.offset < end);
    accesses.push_back(access);
  }

  Random r_;
  const uint64_t number_;
  Tally& tally_;
  ModuleWriter w_;
  Code c_;
  uint32_t pages_ = 1;
  size_t index_ = 0;
  Counter counter_;
  uint32_t pointer_steps_[2] = {1, 1};
  uint32_t pointer_starts_[2] = {};
  uint32_t known_ = 0;  // the base that is in the local from_global
  static constexpr uint32_t bound_local_ = 13;
  bool bound_known_ = false;  // the bound comes from that local
  bool endless_ = false;
};

}  // namespace

Bytes make_edges(uint64_t number, Tally& tally) { return Loops(number, tally).make(); }

void expect_edges(Tally& tally) {
  const auto expect = [&](const char* what, const char* which) {
    tally.expect(std::string("edges: ") + what + " " + which);
  };
  for (const Index& index : all_indices()) expect("index", index.name);
  expect("index", "pointer");
  for (const char* place : kPlaces) expect("place", place);
  for (const char* when : kWhens) expect("access", when);
  for (const char* shape : kShapes) expect("shape", shape);
  for (unsigned row = 1; row < 10; ++row) {
    expect("counter", vm::op_info(compare_op(row, false)).mnemonic);
    expect("counter", vm::op_info(compare_op(row, true)).mnemonic);
  }
  for (const char* bits : {"8 bits", "16 bits"}) expect("counter of", bits);
  for (const char* value : {"a copy", "a value of the loop", "a constant"}) expect("store of", value);
}

}  // namespace vmrun::test::generate
