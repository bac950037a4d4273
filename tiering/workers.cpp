// The compile threads of a tier manager: see pool.h for the arena they work in.
#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "jit/code/reclaim.h"
#include "tiering/log.h"
#include "tiering/manager.h"
#include "tiering/pool.h"
#include "vm/base/plugin.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {
namespace {

/// Loads the plug-in at the first call; it stays. Null when it cannot be.
const PoolPlugin* pool_plugin() {
  static const PoolPlugin* plugin = [] {
    std::string why;
    void* library = vm::open_plugin(kPoolPluginFile, &why);
    const void* symbol = library != nullptr ? dlsym(library, kPoolPluginSymbol) : nullptr;
    if (symbol == nullptr) VMRUN_LOG_AT(log(), info, "compiling without an arena: {}", why);
    return static_cast<const PoolPlugin*>(symbol);
  }();
  return plugin;
}

thread_local bool compile_thread = false;

/// Lowers the calling thread's priority; a thread's nice value is its own on Linux.
void lower_priority() {
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));
  setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + policy::kCompileNice);
}

}  // namespace

unsigned Manager::thread_limit() const {
  return options_.threads != 0 ? options_.threads : policy::default_threads(std::thread::hardware_concurrency());
}

void Manager::start_threads() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, policy::kCompileStack);
  for (unsigned i = thread_limit(); i != 0; --i) {
    auto work = [](void* self) -> void* {
      compile_thread = true;
      static_cast<Manager*>(self)->serve();
      return nullptr;
    };
    pthread_t thread;
    if (const int error = pthread_create(&thread, &attributes, work, this); error != 0) {
      VMRUN_LOG_AT(log(), warn, "cannot start a compile thread: {}", std::strerror(error));
      break;
    }
    threads_.push_back(thread);
  }
  pthread_attr_destroy(&attributes);
  thread_count_.store(threads_.size(), std::memory_order_release);
}

bool is_compile_thread() { return compile_thread; }

void Manager::serve() {
  if (!options_.mode->facts.guests_wait) lower_priority();
  const PoolPlugin* plugin = pool_plugin();
  {
    std::lock_guard lock(mutex_);
    if (plugin != nullptr && arena_ == nullptr) {
      arena_ = plugin->create(thread_limit());
    }
  }
  auto work = [](void* self) {
    auto* manager = static_cast<Manager*>(self);
    for (;;) {
      Task task = manager->queue_.pop();
      if (task.empty()) return;
      manager->run(task);
      jit::reclaim_code();  // what the new code has replaced, and what earlier walks could not say yet
      task.clear();
      manager->queue_.done();
    }
  };
  if (plugin != nullptr) {
    plugin->serve(arena_, work, this);
  } else {
    work(this);
  }
}

void Manager::run(Task& task) {
  auto work = [](void* env) {
    const Task& jobs = *static_cast<const Task*>(env);
    if (jobs[0].errand) return jobs[0].errand();
    jobs[0].module->run(jobs);
  };
  if (arena_ != nullptr) {
    pool_plugin()->run(work, &task);
  } else {
    work(&task);
  }
}

void Manager::join_threads() {
  queue_.close();
  for (pthread_t thread : threads_) pthread_join(thread, nullptr);
  if (arena_ != nullptr) pool_plugin()->destroy(arena_);
}

}  // namespace vmrun::tiering
