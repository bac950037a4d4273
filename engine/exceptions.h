// Where exceptions end. Every function of the API that returns a Result turns "no memory" into an Error of kind Limit;
// functions that return a plain value, and constructors, let std::bad_alloc through. What a host function threw is not
// ours: it passes, whatever its type.
#pragma once

#include <exception>
#include <new>

#include "vmrun/base/error.h"

namespace vmrun::engine {

/// Carries what a host function threw past the handlers for our own exceptions.
struct HostThrew {
  std::exception_ptr what;
};

inline Error out_of_memory() { return Error(ErrorKind::Limit, "out of memory"); }

}  // namespace vmrun::engine

/// Closes a function of the API whose body is a try block. None of these calls another within it: an inner one would let
/// out what the outer one takes for ours.
#define VMRUN_CATCH_OUR_EXCEPTIONS        \
  catch (const engine::HostThrew& host) { \
    std::rethrow_exception(host.what);    \
  }                                       \
  catch (const std::bad_alloc&) {         \
    return engine::out_of_memory();       \
  }
