// A bytecode interpreter that dispatches with a switch: a stack machine runs a prime sieve, nested loops with calls,
// and a collatz search.
#include "support/guest.h"

enum Op {
  kPush,
  kLoad,
  kStore,
  kFetch,
  kPut,
  kAdd,
  kSub,
  kMul,
  kMod,
  kLess,
  kEqual,
  kJump,
  kJumpZero,
  kCall,
  kReturn,
  kDup,
  kDrop,
  kShift,
  kAnd,
  kHalt
};

enum { kMemory = 1 << 16, kStack = 256 };

typedef struct {
  int code[256];
  int size;
} Program;

static int emit(Program* p, int word) {
  p->code[p->size] = word;
  return p->size++;
}

static int emit2(Program* p, int op, int operand) {
  emit(p, op);
  return emit(p, operand);
}

static int memory[kMemory];

static int64_t run(const Program* program, int argument) {
  const int* code = program->code;
  int64_t stack[kStack], locals[16] = {argument};
  int calls[64];
  int pc = 0, sp = 0, depth = 0;
  uint64_t steps = 0;
  for (;;) {
    steps++;
    switch (code[pc++]) {
      case kPush: stack[sp++] = code[pc++]; break;
      case kLoad: stack[sp++] = locals[code[pc++]]; break;
      case kStore: locals[code[pc++]] = stack[--sp]; break;
      case kFetch: stack[sp - 1] = memory[stack[sp - 1] & (kMemory - 1)]; break;
      case kPut:
        memory[stack[sp - 2] & (kMemory - 1)] = (int)stack[sp - 1];
        sp -= 2;
        break;
      case kAdd: sp--, stack[sp - 1] += stack[sp]; break;
      case kSub: sp--, stack[sp - 1] -= stack[sp]; break;
      case kMul: sp--, stack[sp - 1] *= stack[sp]; break;
      case kMod: sp--, stack[sp - 1] %= stack[sp]; break;
      case kLess: sp--, stack[sp - 1] = stack[sp - 1] < stack[sp]; break;
      case kEqual: sp--, stack[sp - 1] = stack[sp - 1] == stack[sp]; break;
      case kJump: pc = code[pc]; break;
      case kJumpZero: pc = stack[--sp] ? pc + 1 : code[pc]; break;
      case kCall:
        calls[depth++] = pc + 1;
        pc = code[pc];
        break;
      case kReturn: pc = calls[--depth]; break;
      case kDup: stack[sp] = stack[sp - 1], sp++; break;
      case kDrop: sp--; break;
      case kShift: stack[sp - 1] >>= 1; break;
      case kAnd: sp--, stack[sp - 1] &= stack[sp]; break;
      case kHalt: return (int64_t)((uint64_t)stack[sp - 1] * 31 + steps);
      default: return -1;
    }
  }
}

// locals: 0 limit, 1 i, 2 j, 3 count
static Program sieve(void) {
  Program p = {.size = 0};
  emit2(&p, kPush, 2), emit2(&p, kStore, 1);
  int clear = p.size;
  emit2(&p, kLoad, 1), emit2(&p, kPush, 0), emit(&p, kPut);
  emit2(&p, kLoad, 1), emit2(&p, kPush, 1), emit(&p, kAdd), emit(&p, kDup), emit2(&p, kStore, 1);
  emit2(&p, kLoad, 0), emit(&p, kLess);
  int cleared = emit2(&p, kJumpZero, 0);
  emit2(&p, kJump, clear);
  p.code[cleared] = p.size;
  emit2(&p, kPush, 2), emit2(&p, kStore, 1);
  int outer = p.size;
  emit2(&p, kLoad, 1), emit(&p, kFetch), emit2(&p, kPush, 0), emit(&p, kEqual);
  int composite = emit2(&p, kJumpZero, 0);
  emit2(&p, kLoad, 3), emit2(&p, kPush, 1), emit(&p, kAdd), emit2(&p, kStore, 3);
  emit2(&p, kLoad, 1), emit(&p, kDup), emit(&p, kAdd), emit2(&p, kStore, 2);
  int inner = p.size;
  emit2(&p, kLoad, 2), emit2(&p, kLoad, 0), emit(&p, kLess);
  int done = emit2(&p, kJumpZero, 0);
  emit2(&p, kLoad, 2), emit2(&p, kPush, 1), emit(&p, kPut);
  emit2(&p, kLoad, 2), emit2(&p, kLoad, 1), emit(&p, kAdd), emit2(&p, kStore, 2);
  emit2(&p, kJump, inner);
  p.code[composite] = p.code[done] = p.size;
  emit2(&p, kLoad, 1), emit2(&p, kPush, 1), emit(&p, kAdd), emit(&p, kDup), emit2(&p, kStore, 1);
  emit2(&p, kLoad, 0), emit(&p, kLess);
  int end = emit2(&p, kJumpZero, 0);
  emit2(&p, kJump, outer);
  p.code[end] = p.size;
  emit2(&p, kLoad, 3), emit(&p, kHalt);
  return p;
}

// The longest collatz chain below the argument; a called routine does one step. locals: 1 n, 2 value, 3 length, 4 best
static Program collatz(void) {
  Program p = {.size = 0};
  int over = emit2(&p, kJump, 0);
  int step = p.size;  // value -> next value
  emit(&p, kDup), emit2(&p, kPush, 1), emit(&p, kAnd);
  int even = emit2(&p, kJumpZero, 0);
  emit2(&p, kPush, 3), emit(&p, kMul), emit2(&p, kPush, 1), emit(&p, kAdd), emit(&p, kReturn);
  p.code[even] = p.size;
  emit(&p, kShift), emit(&p, kReturn);
  p.code[over] = p.size;
  emit2(&p, kPush, 1), emit2(&p, kStore, 1);
  int outer = p.size;
  emit2(&p, kLoad, 1), emit2(&p, kStore, 2), emit2(&p, kPush, 0), emit2(&p, kStore, 3);
  int inner = p.size;
  emit2(&p, kPush, 1), emit2(&p, kLoad, 2), emit(&p, kLess);
  int done = emit2(&p, kJumpZero, 0);
  emit2(&p, kLoad, 2), emit2(&p, kCall, step), emit2(&p, kStore, 2);
  emit2(&p, kLoad, 3), emit2(&p, kPush, 1), emit(&p, kAdd), emit2(&p, kStore, 3);
  emit2(&p, kJump, inner);
  p.code[done] = p.size;
  emit2(&p, kLoad, 4), emit2(&p, kLoad, 3), emit(&p, kLess);
  int shorter = emit2(&p, kJumpZero, 0);
  emit2(&p, kLoad, 3), emit2(&p, kStore, 4);
  p.code[shorter] = p.size;
  emit2(&p, kLoad, 1), emit2(&p, kPush, 1), emit(&p, kAdd), emit(&p, kDup), emit2(&p, kStore, 1);
  emit2(&p, kLoad, 0), emit(&p, kLess);
  int end = emit2(&p, kJumpZero, 0);
  emit2(&p, kJump, outer);
  p.code[end] = p.size;
  emit2(&p, kLoad, 4), emit(&p, kHalt);
  return p;
}

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 10);
  Program primes = sieve(), chains = collatz();
  uint64_t hash = 0;
  for (long i = 0; i < rounds; i++) {
    hash = guest_mix(hash, (uint64_t)run(&primes, 60000 + (int)i));
    hash = guest_mix(hash, (uint64_t)run(&chains, 9000 + (int)i));
  }
  guest_report("bytecode", hash);
}
