// Why a guest stops: trap codes, by the names of the WebAssembly specification and its test suite.
#pragma once

#include <cstdint>
#include <string_view>

#pragma GCC visibility push(default)
namespace vmrun {

/// Why a guest stopped. `None` means that it did not.
enum class TrapCode : uint8_t {
  None,
  Unreachable,
  IntegerDivideByZero,
  IntegerOverflow,
  InvalidConversionToInteger,
  MemoryOutOfBounds,
  TableOutOfBounds,
  UndefinedElement,      // call_indirect: index beyond the table
  UninitializedElement,  // call_indirect: null entry
  IndirectCallTypeMismatch,
  NullReference,           // ref.as_non_null
  NullFunctionReference,   // call_ref
  NullExceptionReference,  // throw_ref
  CastFailure,             // ref.cast
  UnalignedAtomic,
  ExpectedSharedMemory,
  StackOverflow,
  OutOfMemory,  // host memory or a resource limit, where the spec has no failure value
  Interrupted,  // cancelled or past its deadline
  Unsupported,  // an instruction outside the executed set (reported at load; a trap only as a last resort)
  OutOfFuel,    // Config::fuel: what comes next costs more than the store has
};

/// The message the test suite expects for `code`, such as "integer divide by zero".
std::string_view trap_message(TrapCode code);

/// How a call into a guest, or out of it to a host function, ended. Whoever drops one goes on as if nothing had happened.
enum class [[nodiscard]] Outcome : uint8_t {
  Return,     // results are in place
  Trap,       // the guest trapped, or a host function asked for a trap
  Exception,  // an exception nobody caught (yet)
  Error,      // a host function failed or asked the guest to exit
};

}  // namespace vmrun
#pragma GCC visibility pop
