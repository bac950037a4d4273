// The baseline's own encodings read back as what asmjit encodes.
#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

#include "jit/baseline/assembler_x86_64.h"
#include "jit/plugin.h"

namespace {

using namespace vmrun;
using namespace asmjit;
namespace Inst = x86::Inst;

/// Instructions as text, without their addresses.
template <class Assembler>
std::vector<std::string> text(const jit::Plugin& plugin, Assembler& a, const auto& emit) {
  CodeHolder code;
  Environment environment;
  environment.setArch(Arch::kX64);
  code.init(environment);
  code.attach(&a);
  emit(a);
  std::istringstream lines(plugin.disassemble(reinterpret_cast<const std::byte*>(a.bufferData()), a.offset(), 0));
  std::vector<std::string> out;
  for (std::string line; std::getline(lines, line);) {
    out.push_back(line.substr(line.find(':') + 1));
  }
  return out;
}

std::vector<x86::Mem> places() {
  std::vector<x86::Mem> out;
  for (uint32_t base = 0; base < 16; ++base) {
    for (int32_t distance : {0, 8, -128, 127, 128, -129, 0x12345678}) {
      out.push_back(x86::ptr(x86::gpq(base), distance));
      for (uint32_t index : {0u, 3u, 5u, 8u, 13u, 15u}) {
        for (uint32_t shift : {0u, 3u}) out.push_back(x86::ptr(x86::gpq(base), x86::gpq(index), shift, distance));
      }
    }
  }
  return out;
}

/// `emit` takes an assembler of either kind.
void same(const auto& emit) {
  std::string why;
  const jit::Plugin* plugin = jit::load_plugin(&why);
  REQUIRE_MESSAGE(plugin != nullptr, why);
  jit::baseline::FastAssembler ours;
  x86::Assembler theirs;
  const auto got = text(*plugin, ours, emit), want = text(*plugin, theirs, emit);
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (got[i] != want[i]) CHECK(got[i] == want[i]);
  }
}

constexpr InstId kArithmetic[] = {Inst::kIdAdd, Inst::kIdOr, Inst::kIdAnd, Inst::kIdSub, Inst::kIdXor, Inst::kIdCmp};

TEST_CASE("baseline encodings: registers") {
  same([](BaseEmitter& a) {
    for (uint32_t to = 0; to < 16; ++to) {
      for (uint32_t from = 0; from < 16; ++from) {
        for (InstId id : kArithmetic) {
          a.emit(id, x86::gpq(to), x86::gpq(from));
          a.emit(id, x86::gpd(to), x86::gpd(from));
        }
        for (InstId id : {InstId{Inst::kIdMov}, InstId{Inst::kIdTest}}) {
          a.emit(id, x86::gpq(to), x86::gpq(from));
          a.emit(id, x86::gpd(to), x86::gpd(from));
        }
        for (InstId id : {InstId{Inst::kIdMovzx}, InstId{Inst::kIdMovsx}}) {
          a.emit(id, x86::gpd(to), x86::gpb_lo(from));
          a.emit(id, x86::gpd(to), x86::gpw(from));
          a.emit(id, x86::gpq(to), x86::gpb_lo(from));
        }
        a.emit(Inst::kIdMovsxd, x86::gpq(to), x86::gpd(from));
      }
    }
    a.emit(Inst::kIdLeave);
    a.emit(Inst::kIdRet);
  });
}

TEST_CASE("baseline encodings: memory") {
  same([](BaseEmitter& a) {
    for (x86::Mem place : places()) {
      for (uint32_t r : {0u, 1u, 4u, 6u, 7u, 8u, 12u, 15u}) {
        place.setSize(0);
        for (InstId id : kArithmetic) {
          a.emit(id, x86::gpq(r), place);
          a.emit(id, place, x86::gpd(r));
        }
        for (const x86::Gp& reg :
             {x86::Gp(x86::gpq(r)), x86::Gp(x86::gpd(r)), x86::Gp(x86::gpw(r)), x86::Gp(x86::gpb_lo(r))}) {
          a.emit(Inst::kIdMov, place, reg);
        }
        a.emit(Inst::kIdMov, x86::gpq(r), place);
        a.emit(Inst::kIdMov, x86::gpd(r), place);
        a.emit(Inst::kIdLea, x86::gpq(r), place);
        a.emit(Inst::kIdLea, x86::gpd(r), place);
        for (InstId id : {InstId{Inst::kIdVmovss}, InstId{Inst::kIdVmovsd}, InstId{Inst::kIdVmovups}}) {
          a.emit(id, x86::xmm(r), place);
          a.emit(id, place, x86::xmm(r));
        }
        for (uint32_t size : {1u, 2u}) {
          place.setSize(size);
          a.emit(Inst::kIdMovzx, x86::gpd(r), place);
          a.emit(Inst::kIdMovsx, x86::gpd(r), place);
          a.emit(Inst::kIdMovsx, x86::gpq(r), place);
        }
        place.setSize(4);
        a.emit(Inst::kIdMovsxd, x86::gpq(r), place);
      }
      place.setSize(4);
      a.emit(Inst::kIdInc, place);
      place.setSize(8);
      a.emit(Inst::kIdInc, place);
      a.emit(Inst::kIdDec, place);
      a.emit(Inst::kIdCall, place);
    }
  });
}

TEST_CASE("baseline encodings: constants") {
  same([](BaseEmitter& a) {
    for (int64_t v : {int64_t{0}, int64_t{1}, int64_t{127}, int64_t{128}, int64_t{-128}, int64_t{-129},
                      int64_t{0x7fffffff}, int64_t{-0x80000000LL}}) {
      for (uint32_t r = 0; r < 16; ++r) {
        for (InstId id : kArithmetic) {
          a.emit(id, x86::gpq(r), Imm(v));
          a.emit(id, x86::gpd(r), Imm(v));
        }
        a.emit(Inst::kIdMov, x86::gpd(r), Imm(v));
        if (v < 0) a.emit(Inst::kIdMov, x86::gpq(r), Imm(v));
        a.emit(Inst::kIdMov, x86::gpq(r), Imm(v + 0x1234567800000000));
        for (uint32_t size : {4u, 8u}) {
          x86::Mem place = x86::ptr(x86::gpq(r), 40);
          place.setSize(size);
          for (InstId id : kArithmetic) a.emit(id, place, Imm(v));
          a.emit(Inst::kIdMov, place, Imm(v));
        }
      }
    }
    for (int64_t v : {-128, -1, 0, 127}) {
      a.emit(Inst::kIdMov, x86::byte_ptr(x86::r14, x86::rsi), Imm(v));
      a.emit(Inst::kIdMov, x86::word_ptr(x86::r14, x86::r9, 0, 1000), Imm(v));
    }
  });
}

TEST_CASE("baseline encodings: by the operands' kinds") {
  same([](auto& a) {
    for (x86::Mem place : places()) {
      for (uint32_t r : {0u, 4u, 7u, 8u, 12u, 15u}) {
        place.setSize(0);
        a.mov(x86::gpq(r), place);
        a.mov(x86::gpd(r), place);
        for (const x86::Gp& reg :
             {x86::Gp(x86::gpq(r)), x86::Gp(x86::gpd(r)), x86::Gp(x86::gpw(r)), x86::Gp(x86::gpb_lo(r))}) {
          a.mov(place, reg);
        }
        a.lea(x86::gpq(r), place);
        a.cmovb(x86::gpd(r), place);
        a.add(x86::gpq(r), place);
        a.cmp(place, x86::gpd(r));
      }
      place.setSize(8);
      a.inc(place);
      a.dec(place);
      a.call(place);
      a.jmp(place);
      place.setSize(4);
      a.inc(place);
      a.cmp(place, 1000);
      if constexpr (requires { a.cmp_long(place, 5); }) {
        a.cmp_long(place, 5);
      } else {
        a.cmp(place, 5);
      }
      a.mov(place, Imm(-1));
    }
    for (uint32_t r = 0; r < 16; ++r) {
      a.push(x86::gpq(r));
      a.pop(x86::gpq(r));
      for (auto cond : {x86::CondCode::kO, x86::CondCode::kA, x86::CondCode::kG}) a.set(cond, x86::gpb_lo(r));
      for (uint32_t from : {0u, 5u, 9u}) {
        a.mov(x86::gpq(r), x86::gpq(from));
        a.mov(x86::gpd(r), x86::gpd(from));
        a.test(x86::gpd(r), x86::gpd(from));
        a.cmova(x86::gpq(r), x86::gpq(from));
        a.cmovnz(x86::gpd(r), x86::gpd(from));
        a.emit(Inst::kIdImul, x86::gpd(r), x86::gpd(from));
      }
      for (InstId id : {InstId{Inst::kIdShl}, InstId{Inst::kIdShr}, InstId{Inst::kIdSar}}) {
        for (int by : {1, 2, 31}) a.emit(id, x86::gpd(r), Imm(by));
        a.emit(id, x86::gpq(r), Imm(63));
      }
    }
    a.ret();
  });
}

// Both assemblers' labels by one name.
jit::baseline::Label new_label(jit::baseline::FastAssembler& a) { return a.new_label(); }
asmjit::Label new_label(x86::Assembler& a) { return a.newLabel(); }
x86::Mem at(jit::baseline::FastAssembler& a, jit::baseline::Label label) { return a.at(label); }
x86::Mem at(x86::Assembler&, asmjit::Label label) { return x86::ptr(label); }

TEST_CASE("baseline encodings: labels") {
  same([](auto& a) {
    constexpr x86::CondCode kConds[] = {x86::CondCode::kO, x86::CondCode::kB, x86::CondCode::kE, x86::CondCode::kNE,
                                        x86::CondCode::kA, x86::CondCode::kS, x86::CondCode::kP, x86::CondCode::kG};
    auto back = new_label(a), ahead = new_label(a), unused = new_label(a), data = new_label(a);
    (void)unused;
    for (int padding : {0, 100, 10000}) {
      if (padding == 0) a.bind(back);
      // Distances about those where short forms end.
      for (int i = 0; i < padding; ++i) a.nop();
      for (x86::CondCode cond : kConds) {
        a.j(cond, back);
        a.j(cond, ahead);
      }
      a.jmp(back);
      a.call(back);
      a.jmp(ahead);
      a.call(ahead);
      a.jne(ahead);
      a.js(back);
      // The distance is the instruction's last part, or a byte follows.
      a.lea(x86::rcx, at(a, data));
      a.vmovsd(x86::xmm1, at(a, data));
      a.vaddsd(x86::xmm9, x86::xmm1, at(a, data));
      a.vpshufd(x86::xmm9, at(a, data), Imm(0x1b));
      a.vpblendw(x86::xmm9, x86::xmm1, at(a, data), Imm(0x1b));
      a.vblendvps(x86::xmm9, x86::xmm1, at(a, data), x86::xmm3);
      a.vfmadd213ps(x86::xmm9, x86::xmm1, at(a, data));
    }
    a.bind(ahead);
    a.ret();
    a.bind(data);
    a.jmp(data);
  });
}

// A constant of 32 bits is loaded without its upper half, which asmjit encodes as it was asked to.
TEST_CASE("baseline encodings: short constants") {
  std::string why;
  const jit::Plugin* plugin = jit::load_plugin(&why);
  REQUIRE_MESSAGE(plugin != nullptr, why);
  jit::baseline::FastAssembler ours;
  x86::Assembler theirs;
  const auto got = text(*plugin, ours, [](BaseEmitter& a) {
    a.emit(Inst::kIdRet);  // asmjit makes the buffer
    a.emit(Inst::kIdMov, x86::r9, Imm(0xfffffff0u));
  });
  const auto want = text(*plugin, theirs, [](BaseEmitter& a) {
    a.emit(Inst::kIdRet);
    a.emit(Inst::kIdMov, x86::r9d, Imm(0xfffffff0u));
  });
  REQUIRE(got.size() == 2);
  REQUIRE(want.size() == 2);
  CHECK(got[1] == want[1]);
}

}  // namespace
