// Where the C++ library's exceptions end: every function of the API that returns a Result turns "no memory" into an Error
// of kind Limit. Functions that return a plain value, and constructors, let std::bad_alloc through.
#pragma once

#include <new>

#include "vmrun/error.h"

namespace vmrun::engine {

inline Error out_of_memory() { return Error(ErrorKind::Limit, "out of memory"); }

}  // namespace vmrun::engine

/// Closes a function whose body is a try block.
#define VMRUN_CATCH_NO_MEMORY       \
  catch (const std::bad_alloc&) {   \
    return engine::out_of_memory(); \
  }
