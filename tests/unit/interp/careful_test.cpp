// The careful translator against the quick one: modules that hold every combination of neighbouring operations it may
// fuse, with operands in registers and, where many values live at once, in slots.
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "tests/support/interp_fixture.h"
#include "tests/support/module_bytes.h"
#include "vm/wasm/opcode.h"

using namespace vmrun;
using vmrun::vm::Op;

namespace {

using test::Bytes;

/// Writes function bodies.
class Code {
 public:
  Bytes bytes;

  Code& op(Op op) {
    const vm::OpInfo& info = vm::op_info(op);
    if (info.prefix != 0) {
      bytes.push_back(info.prefix);
      test::append_u32(bytes, info.code);
    } else {
      bytes.push_back(static_cast<uint8_t>(info.code));
    }
    return *this;
  }
  Code& u32(uint32_t n) {
    test::append_u32(bytes, n);
    return *this;
  }
  Code& get(uint32_t local) { return op(Op::local_get).u32(local); }
  Code& set(uint32_t local) { return op(Op::local_set).u32(local); }
  Code& tee(uint32_t local) { return op(Op::local_tee).u32(local); }
  Code& i32(int32_t n) { return op(Op::i32_const).leb(n); }
  Code& i64(int64_t n) { return op(Op::i64_const).leb(n); }
  Code& memory(Op op_, uint32_t offset) { return op(op_).u32(0).u32(offset); }
  Code& block(Op op_) {
    op(op_);
    bytes.push_back(0x40);
    return *this;
  }
  Code& leb(int64_t n) {
    for (bool more = true; more;) {
      uint8_t byte = n & 0x7f;
      n >>= 7;
      more = !((n == 0 && (byte & 0x40) == 0) || (n == -1 && (byte & 0x40) != 0));
      bytes.push_back(byte | (more ? 0x80 : 0));
    }
    return *this;
  }
};

constexpr uint8_t kI32 = 0x7f, kI64 = 0x7e, kF32 = 0x7d, kF64 = 0x7c;

struct Function {
  Bytes params, results;
  uint32_t locals;  // of the type of the first parameter
  Bytes code;
};

/// A module with two pages of memory and a global, whose functions are exported as f0, f1...
Bytes module_of(const std::vector<Function>& funcs) {
  Bytes out = test::kHeader, types, decls, exports, code;
  for (Bytes* section : {&types, &decls, &exports, &code})
    test::append_u32(*section, static_cast<uint32_t>(funcs.size()));
  for (uint32_t i = 0; i < funcs.size(); i++) {
    const Function& f = funcs[i];
    types.push_back(0x60);
    for (const Bytes* list : {&f.params, &f.results}) {
      test::append_u32(types, static_cast<uint32_t>(list->size()));
      test::append(types, *list);
    }
    test::append_u32(decls, i);
    test::append(exports, {2, 'f', static_cast<uint8_t>('0' + i), 0});
    test::append_u32(exports, i);
    Bytes body = {1};
    test::append_u32(body, f.locals);
    body.push_back(f.params[0]);
    test::append(body, f.code);
    body.push_back(0x0b);
    test::append_u32(code, static_cast<uint32_t>(body.size()));
    test::append(code, body);
  }
  test::append_section(out, 1, types);
  test::append_section(out, 3, decls);
  test::append_section(out, 5, {1, 0, 2});
  test::append_section(out, 6, {1, kI32, 1, 0x41, 0, 0x0b});
  test::append_section(out, 7, exports);
  test::append_section(out, 10, code);
  return out;
}

/// Runs `call` on an instance of the module in each effort; all must give the same.
void compare(const Bytes& bytes, const std::function<std::vector<uint64_t>(Instance)>& run) {
  std::vector<uint64_t> expected;
  for (Effort effort : {Effort::Quick, Effort::Careful, Effort::Auto}) {
    vmrun::test::World world(effort);
    Module module = vmrun::test::ok(Module::compile(world.engine, bytes));
    std::vector<uint64_t> got = run(vmrun::test::ok(world.linker.instantiate(world.store, module)));
    if (effort == Effort::Quick) expected = got;
    CHECK(got == expected);
  }
}

constexpr int64_t kValues[] = {0,          1,           -1,        2,         31,
                               63,         255,         4096,      -4096,     65535,
                               0x12345678, -0x12345678, INT32_MAX, INT32_MIN, 0x123456789abcdef0,
                               INT64_MIN};

// ---- two operations --------------------------------------------------------------------------------------------------

/// acc = rotl(acc, 1) ^ (every pair of operations in every shape), over parameters 0, 1, 2; 3 is acc. With `pressure`,
/// six more values are alive throughout.
template <class T>
Bytes pairs(const std::vector<Op>& operations, bool pressure) {
  constexpr bool kWide = sizeof(T) == 8;
  Code c;
  auto constant = [&](int64_t n) { kWide ? c.i64(n) : c.i32(static_cast<int32_t>(n)); };
  auto mix = [&](const std::function<void()>& expression) {
    c.get(3);
    constant(1);
    c.op(kWide ? Op::i64_rotl : Op::i32_rotl);
    expression();
    c.op(kWide ? Op::i64_xor : Op::i32_xor).set(3);
  };
  if (pressure) {
    for (uint32_t i = 4; i < 10; i++) {
      c.get(i % 3);
      constant(i * 77);
      c.op(kWide ? Op::i64_mul : Op::i32_mul).set(i);
    }
  }
  for (Op o1 : operations) {
    for (Op o2 : operations) {
      mix([&] { c.get(0), constant(5), c.op(o1).get(1).op(o2); });
      mix([&] { c.get(1).get(0), constant(-3), c.op(o1).op(o2); });
      mix([&] { c.get(0).get(1).op(o1), constant(100), c.op(o2); });
      mix([&] { c.get(0).get(1).op(o1).get(2).op(o2); });
      mix([&] { c.get(2).get(0).get(1).op(o1).op(o2); });
      mix([&] { c.get(0), constant(7), c.op(o1), constant(0x12345), c.op(o2); });
      mix([&] { c.get(0), constant(7), c.op(o1).get(0), constant(9), c.op(o2).op(kWide ? Op::i64_xor : Op::i32_xor); });
      mix([&] { constant(1), c.get(0).op(o1).get(2).op(o2); });
    }
  }
  if (pressure) {
    for (uint32_t i = 4; i < 10; i++) c.get(3).get(i).op(kWide ? Op::i64_add : Op::i32_add).set(3);
  }
  c.get(3);
  return c.bytes;
}

#define VMRUN_OPERATIONS(N)                                                           \
  {Op::N##_add, Op::N##_sub,   Op::N##_mul,   Op::N##_and,  Op::N##_or,  Op::N##_xor, \
   Op::N##_shl, Op::N##_shr_s, Op::N##_shr_u, Op::N##_rotl, Op::N##_rotr}
const std::vector<Op> kOps32 = VMRUN_OPERATIONS(i32), kOps64 = VMRUN_OPERATIONS(i64);
#define VMRUN_COMPARISONS(N)                                             \
  {Op::N##_eq,   Op::N##_ne,   Op::N##_lt_s, Op::N##_lt_u, Op::N##_gt_s, \
   Op::N##_gt_u, Op::N##_le_s, Op::N##_le_u, Op::N##_ge_s, Op::N##_ge_u}
const std::vector<Op> kCompares32 = VMRUN_COMPARISONS(i32), kCompares64 = VMRUN_COMPARISONS(i64);

}  // namespace

TEST_CASE("two integer operations") {
  std::vector<Function> funcs;
  for (bool pressure : {false, true}) {
    funcs.push_back({{kI32, kI32, kI32}, {kI32}, 7, pairs<uint32_t>(kOps32, pressure)});
    funcs.push_back({{kI64, kI64, kI64}, {kI64}, 7, pairs<uint64_t>(kOps64, pressure)});
  }
  compare(module_of(funcs), [](Instance instance) {
    std::vector<uint64_t> out;
    auto a = vmrun::test::func<int32_t(int32_t, int32_t, int32_t)>(instance, "f0");
    auto b = vmrun::test::func<int64_t(int64_t, int64_t, int64_t)>(instance, "f1");
    auto c = vmrun::test::func<int32_t(int32_t, int32_t, int32_t)>(instance, "f2");
    auto d = vmrun::test::func<int64_t(int64_t, int64_t, int64_t)>(instance, "f3");
    for (int64_t x : kValues) {
      for (int64_t y : kValues) {
        int32_t narrow_x = static_cast<int32_t>(x), narrow_y = static_cast<int32_t>(y);
        out.push_back(static_cast<uint32_t>(vmrun::test::ok(a.call(narrow_x, narrow_y, 3))));
        out.push_back(static_cast<uint64_t>(vmrun::test::ok(b.call(x, y, x ^ 5))));
        out.push_back(static_cast<uint32_t>(vmrun::test::ok(c.call(narrow_x, narrow_y, narrow_y ^ 9))));
        out.push_back(static_cast<uint64_t>(vmrun::test::ok(d.call(x, y, -7))));
      }
    }
    return out;
  });
}

TEST_CASE("two float operations") {
  auto body = [](bool wide) {
    Code c;
    const std::vector<Op> operations =
        wide ? std::vector{Op::f64_add, Op::f64_sub, Op::f64_mul, Op::f64_div, Op::f64_min}
             : std::vector{Op::f32_add, Op::f32_sub, Op::f32_mul, Op::f32_div, Op::f32_min};
    for (Op o1 : operations) {
      for (Op o2 : operations) {
        for (int shape = 0; shape < 3; shape++) {
          if (shape == 0) c.get(0).get(1).op(o1).get(2).op(o2);
          if (shape == 1) c.get(2).get(0).get(1).op(o1).op(o2);
          if (shape == 2) c.get(1).get(0).op(o1).get(2).get(1).op(o1).op(o2);
          // acc = acc / 2 + it
          c.get(3).get(4).op(wide ? Op::f64_mul : Op::f32_mul).op(wide ? Op::f64_add : Op::f32_add).set(3);
        }
      }
    }
    c.get(3);
    return c.bytes;
  };
  std::vector<Function> funcs = {{{kF32, kF32, kF32, kF32, kF32}, {kF32}, 0, body(false)},
                                 {{kF64, kF64, kF64, kF64, kF64}, {kF64}, 0, body(true)}};
  compare(module_of(funcs), [](Instance instance) {
    std::vector<uint64_t> out;
    auto f = vmrun::test::func<float(float, float, float, float, float)>(instance, "f0");
    auto g = vmrun::test::func<double(double, double, double, double, double)>(instance, "f1");
    for (double x : {0.1, -2.5, 1e10, 3e-7}) {
      for (double y : {7.0, -1e-5, 12345.678}) {
        out.push_back(std::bit_cast<uint32_t>(vmrun::test::ok(f.call(float(x), float(y), 1.7f, 0.3f, 0.5f))));
        out.push_back(std::bit_cast<uint64_t>(vmrun::test::ok(g.call(x, y, 1.7, 0.3, 0.5))));
      }
    }
    return out;
  });
}

TEST_CASE("comparisons, branches and selects") {
  auto body = [](const std::vector<Op>& compares, bool wide) {
    Code c;
    auto constant = [&](int64_t n) { wide ? c.i64(n) : c.i32(static_cast<int32_t>(n)); };
    auto count = [&](int n) {
      c.get(3);
      constant(n);
      c.op(wide ? Op::i64_add : Op::i32_add);
      constant(3);
      c.op(wide ? Op::i64_rotl : Op::i32_rotl).set(3);
    };
    int n = 1;
    for (Op op : compares) {
      for (int64_t k : {int64_t{0}, int64_t{-5}, int64_t{100000}}) {
        c.block(Op::block).get(0), constant(k), c.op(op).op(Op::br_if).u32(0);
        count(n++);
        c.op(Op::end);
        c.block(Op::block).get(0), constant(k), c.op(op).op(Op::i32_eqz).op(Op::br_if).u32(0);
        count(n++);
        c.op(Op::end);
      }
      c.block(Op::block).get(0).get(1).op(op).op(Op::br_if).u32(0);
      count(n++);
      c.op(Op::end);
      // smaller or larger, both ways round
      c.get(0).get(1).get(0).get(1).op(op).op(Op::select);
      c.get(0).get(1).get(1).get(0).op(op).op(Op::select).op(wide ? Op::i64_sub : Op::i32_sub);
      c.get(3).op(wide ? Op::i64_xor : Op::i32_xor).set(3);
      // the result as a value
      c.get(0).get(1).op(op);
      if (wide) c.op(Op::i64_extend_i32_u);
      c.get(3).op(wide ? Op::i64_add : Op::i32_add).set(3);
      // a counted loop: from x & 15 by one while it compares with 40, at most 60 rounds
      c.get(0), constant(15), c.op(wide ? Op::i64_and : Op::i32_and).set(4);
      constant(0);
      c.set(5).block(Op::block).block(Op::loop);
      count(1);
      c.get(5), constant(1), c.op(wide ? Op::i64_add : Op::i32_add).tee(5);
      constant(60), c.op(wide ? Op::i64_eq : Op::i32_eq).op(Op::br_if).u32(1);
      c.get(4), constant(1), c.op(wide ? Op::i64_add : Op::i32_add).tee(4), constant(40), c.op(op).op(Op::br_if).u32(0);
      c.op(Op::end).op(Op::end);
    }
    if (!wide) {
      c.block(Op::block).get(0).i32(8).op(Op::i32_and).op(Op::br_if).u32(0);
      count(n++);
      c.op(Op::end).block(Op::block).get(0).get(1).op(Op::i32_and).op(Op::i32_eqz).op(Op::br_if).u32(0);
      count(n++);
      c.op(Op::end);
    }
    c.get(3);
    return c.bytes;
  };
  std::vector<Function> funcs = {{{kI32, kI32, kI32}, {kI32}, 3, body(kCompares32, false)},
                                 {{kI64, kI64, kI64}, {kI64}, 3, body(kCompares64, true)}};
  compare(module_of(funcs), [](Instance instance) {
    std::vector<uint64_t> out;
    auto f = vmrun::test::func<int32_t(int32_t, int32_t, int32_t)>(instance, "f0");
    auto g = vmrun::test::func<int64_t(int64_t, int64_t, int64_t)>(instance, "f1");
    for (int64_t x : kValues) {
      for (int64_t y : kValues) {
        out.push_back(
            static_cast<uint32_t>(vmrun::test::ok(f.call(static_cast<int32_t>(x), static_cast<int32_t>(y), 0))));
        out.push_back(static_cast<uint64_t>(vmrun::test::ok(g.call(x, y, 0))));
      }
    }
    return out;
  });
}

TEST_CASE("addresses, operations on memory and neighbours of loads and stores") {
  struct Access {
    Op load, store, op;
    uint8_t type;
  };
  const Access accesses[] = {
      {Op::i32_load, Op::i32_store, Op::i32_add, kI32},      {Op::i32_load, Op::i32_store, Op::i32_sub, kI32},
      {Op::i32_load, Op::i32_store, Op::i32_xor, kI32},      {Op::i32_load, Op::i32_store, Op::i32_shl, kI32},
      {Op::i64_load, Op::i64_store, Op::i64_add, kI64},      {Op::i64_load, Op::i64_store, Op::i64_xor, kI64},
      {Op::i64_load32_s, Op::i64_store32, Op::i64_or, kI64}, {Op::f32_load, Op::f32_store, Op::f32_add, kF32},
      {Op::f32_load, Op::f32_store, Op::f32_sub, kF32},      {Op::f64_load, Op::f64_store, Op::f64_add, kF64},
      {Op::f64_load, Op::f64_store, Op::f64_mul, kF64},      {Op::i32_load8_u, Op::i32_store8, Op::i32_add, kI32},
      {Op::i32_load16_s, Op::i32_store16, Op::i32_sub, kI32}};
  Code c;
  // Parameter 0 is a base, 1 an index, 2 scratch; the memory holds small floats and integers alike.
  const std::function<void()> addresses[] = {
      [&] { c.get(0); },
      [&] { c.get(0).i32(24).op(Op::i32_add); },
      [&] { c.get(0).i32(-16).op(Op::i32_add); },
      [&] { c.get(0).get(1).op(Op::i32_add); },
      [&] { c.get(0).get(1).i32(3).op(Op::i32_shl).op(Op::i32_add); },
      [&] { c.get(1).i32(2).op(Op::i32_shl).get(0).op(Op::i32_add).i32(40).op(Op::i32_add); },
      [&] { c.get(0).i32(-8).op(Op::i32_add).get(1).i32(3).op(Op::i32_shl).op(Op::i32_add); },
      [&] { c.get(0).get(1).op(Op::i32_add).i32(8).op(Op::i32_add); },
      [&] { c.i32(1024); },
  };
  for (const Access& access : accesses) {
    for (auto& address : addresses) {
      for (uint32_t offset : {0u, 8u, 9000u}) {
        auto value = [&] {
          if (access.type == kI32) c.get(1);
          if (access.type == kI64) c.get(1).op(Op::i64_extend_i32_s);
          if (access.type == kF32) c.get(1).op(Op::f32_convert_i32_s);
          if (access.type == kF64) c.get(1).op(Op::f64_convert_i32_u);
        };
        // memory[a] = memory[a] op x, through the same local
        address();
        c.tee(2).get(2).memory(access.load, offset);
        value();
        c.op(access.op).memory(access.store, offset);
        // memory[a] = x op memory[a], with the address written twice
        address();
        value();
        address();
        c.memory(access.load, offset).op(access.op).memory(access.store, offset);
        // a copy, a constant, and increments around them
        address();
        c.tee(2).get(2).memory(access.load, offset).memory(access.store, offset + 8);
        c.get(2).i32(8).op(Op::i32_add).set(2);
        c.get(2).get(2).memory(Op::i32_load, 4).memory(Op::i32_store, 4);
        c.get(2).i32(4).op(Op::i32_add).set(2).get(1).i32(1).op(Op::i32_add).i32(7).op(Op::i32_and).set(1);
      }
    }
  }
  // The sum of everything; a load and a branch on it.
  c.i32(0).set(0).i32(0).set(2).block(Op::loop);
  c.block(Op::block).get(0).memory(Op::i32_load8_u, 0).i32(7).op(Op::i32_eq).op(Op::br_if).u32(0);
  c.block(Op::block).get(0).memory(Op::i32_load, 0).get(2).op(Op::i32_lt_s).op(Op::br_if).u32(0);
  c.get(2).get(0).memory(Op::i32_load, 0).op(Op::i32_add).i32(5).op(Op::i32_rotl).set(2);
  c.op(Op::end).op(Op::end);
  c.get(2).get(0).memory(Op::i32_load16_u, 0).op(Op::i32_add).i32(3).op(Op::i32_rotl).set(2);
  c.get(0).i32(4).op(Op::i32_add).tee(0).i32(65536).op(Op::i32_ne).op(Op::br_if).u32(0).op(Op::end).get(2);
  compare(module_of({{{kI32, kI32, kI32}, {kI32}, 0, c.bytes}}), [](Instance instance) {
    std::vector<uint64_t> out;
    auto f = vmrun::test::func<int32_t(int32_t, int32_t, int32_t)>(instance, "f0");
    for (int32_t base : {512, 640, 4096}) {
      for (int32_t index : {0, 1, 5}) out.push_back(static_cast<uint32_t>(vmrun::test::ok(f.call(base, index, 0))));
    }
    return out;
  });
}

TEST_CASE("values that live across calls, arguments and the global") {
  // f1(x, y) = (x << 1) ^ y + global; the global counts.
  Code leaf;
  leaf.get(0).i32(1).op(Op::i32_shl).get(1).op(Op::i32_xor).op(Op::global_get).u32(0).op(Op::i32_add);
  leaf.op(Op::global_get).u32(0).i32(1).op(Op::i32_add).op(Op::global_set).u32(0);
  Code c;
  for (int i = 0; i < 3; i++) {
    for (uint32_t local : {2u, 3u, 4u, 5u, 6u}) c.get(local).get(local % 3).op(Op::i32_add).set(local);
    c.op(Op::global_get).u32(0).i32(-16).op(Op::i32_add).tee(2).op(Op::global_set).u32(0);
    c.get(0).i32(1).op(Op::i32_add).get(3).op(Op::call).u32(1).get(3).op(Op::i32_add).set(3);
    c.get(4).get(5).op(Op::call).u32(1).set(4);
    c.i32(7).get(0).memory(Op::i32_load, 16).op(Op::call).u32(1).get(5).op(Op::i32_xor).set(5);
    c.get(2).i32(16).op(Op::i32_add).op(Op::global_set).u32(0);
    // a loop with a call on one path only
    c.i32(0).set(6).block(Op::loop).block(Op::block);
    c.get(6).i32(3).op(Op::i32_and).op(Op::br_if).u32(0);
    c.get(6).get(1).op(Op::call).u32(1).get(4).op(Op::i32_add).set(4).op(Op::end);
    c.get(5).get(6).op(Op::i32_add).i32(3).op(Op::i32_rotl).get(3).op(Op::i32_xor).set(5);
    c.get(3).get(5).op(Op::i32_sub).set(3);
    c.get(6).i32(1).op(Op::i32_add).tee(6).i32(50).op(Op::i32_lt_u).op(Op::br_if).u32(0).op(Op::end);
  }
  c.get(2).get(3).op(Op::i32_add).get(4).op(Op::i32_add).get(5).op(Op::i32_xor).get(6).op(Op::i32_sub);
  std::vector<Function> funcs = {{{kI32, kI32, kI32}, {kI32}, 4, c.bytes}, {{kI32, kI32}, {kI32}, 0, leaf.bytes}};
  compare(module_of(funcs), [](Instance instance) {
    std::vector<uint64_t> out;
    auto f = vmrun::test::func<int32_t(int32_t, int32_t, int32_t)>(instance, "f0");
    for (int32_t x = 0; x < 400; x += 7) out.push_back(static_cast<uint32_t>(vmrun::test::ok(f.call(x, x * 31, -x))));
    return out;
  });
}
