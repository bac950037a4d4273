// What the documents' blocks of C++ talk about.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "vmrun/executors.h"
#include "vmrun/sync.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

/// Something that answers later, on a thread of its own.
struct Client {
  void ask(int32_t question, std::function<void(int32_t)> answer);
};

#define CONTEXT                                                                                                     \
  vmrun::Engine engine, vmrun::Module module, vmrun::Store &store, vmrun::Linker &linker, vmrun::Instance instance, \
      Client &client
#define USE_CONTEXT (void)engine, (void)module, (void)store, (void)linker, (void)instance, (void)client

// A guide's block shows what it makes, and does nothing with it; one of them makes another engine than that of the context.
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wshadow"
