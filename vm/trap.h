// Traps by the names of the WebAssembly specification and its test suite, and what is known about one that happened.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vmrun::vm {

class Module;

/// Why a guest stopped. `None` means that it did not.
enum class TrapCode : uint8_t {
  None,
  Unreachable,
  IntegerDivideByZero,
  IntegerOverflow,
  InvalidConversionToInteger,
  MemoryOutOfBounds,
  TableOutOfBounds,
  UndefinedElement,          // call_indirect: index beyond the table
  UninitializedElement,      // call_indirect: null entry
  IndirectCallTypeMismatch,
  NullReference,             // ref.as_non_null
  NullFunctionReference,     // call_ref
  NullExceptionReference,    // throw_ref
  UnalignedAtomic,
  ExpectedSharedMemory,
  StackOverflow,
  OutOfMemory,               // host memory or a resource limit, where the spec has no failure value
  Interrupted,               // cancelled or past its deadline
  Unsupported,               // an instruction outside the executed set (reported at load; a trap only as a last resort)
};

/// The message the test suite expects for `code`, such as "integer divide by zero".
std::string_view trap_message(TrapCode code);

/// One guest frame of a backtrace, innermost first.
struct Frame {
  const Module* module = nullptr;
  uint32_t func_index = 0;
  uint32_t offset = 0;  // byte offset of the instruction in the image
};

/// How a call into a guest ended.
enum class Outcome : uint8_t {
  Return,     // results are in place
  Trap,       // Vcpu::trap says which, Vcpu::backtrace where
  Exception,  // an exception nobody caught is in Vcpu::exception
  Error,      // a host function failed (or asked to exit); Vcpu::host_error says how
};

}  // namespace vmrun::vm
