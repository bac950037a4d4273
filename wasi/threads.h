// wasi-threads: the import that starts threads (wasi/program.h does the work).
#pragma once

#include <memory>

#include "vmrun/func.h"
#include "wasi/context.h"

namespace vmrun::wasi {

inline constexpr const char* kThreadsModule = "wasi";
inline constexpr const char* kThreadSpawn = "thread-spawn";

/// The function of that name, for guests of `context`.
std::shared_ptr<const HostFunc> thread_spawn(const std::shared_ptr<Context>& context);

}  // namespace vmrun::wasi
