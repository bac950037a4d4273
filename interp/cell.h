// The interpreter's code unit and the shape of its handlers.
//
// Interpreter code is an array of 16-byte cells: the address of the handler and up to four 16-bit operands or an
// immediate. A handler is a preserve_none function that ends in a musttail call to the next cell's handler, so the
// values below stay in machine registers for as long as the guest runs:
//   pc    the running cell                          cx    the vCPU (budget, stack limit, trap state)
//   fp    frame base on the VM stack                inst  the running instance (globals, tables, memories)
//   mem   base of memory 0 (or a faulting address)  r, f  virtual registers the translators allocate
// Handlers never push: rsp is the entry trampoline's throughout, so a fault handler may redirect a faulting handler to
// another one with all arguments in place. A handler that can fault keeps `pc` untouched until after the access.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vm/base/value.h"
#include "vm/runtime/instance.h"

namespace vmrun::interp {

struct Cell;

#define VMRUN_PARAMS                                                                                                  \
  const ::vmrun::interp::Cell *pc, std::byte *fp, std::byte *mem, ::vmrun::vm::Vcpu *cx, ::vmrun::vm::Instance *inst, \
      uint64_t r0, uint64_t r1, uint64_t r2, uint64_t r3, double f0, double f1, double f2, double f3
#define VMRUN_ARGS pc, fp, mem, cx, inst, r0, r1, r2, r3, f0, f1, f2, f3

using Handler = __attribute__((preserve_none)) void (*)(VMRUN_PARAMS);

struct Cell {
  union {
    Handler handler;
    uint64_t w;  // in a cell that only carries data (the second and later cells of an instruction)
    void* q;
  };
  union {
    struct {
      uint16_t a, b;  // operands: slot indices (fp + 8 * index), small immediates
      union {
        struct {
          uint16_t c, d;
        };
        int32_t imm;
      };
    };
    uint64_t u;
    double f;
    void* p;
  };
};
static_assert(sizeof(Cell) == 16);

}  // namespace vmrun::interp
