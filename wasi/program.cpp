// The threads of a guest program: see program.h.
#include "wasi/program.h"

#include <new>
#include <system_error>

#include "engine/guest_task.h"
#include "engine/instantiate.h"
#include "engine/sibling.h"
#include "sched/scheduler.h"
#include "vm/runtime/stop.h"
#include "vmrun/func.h"
#include "vmrun/instance.h"
#include "vmrun/store.h"
#include "wasi/context.h"

namespace vmrun::wasi {
namespace {

constexpr const char* kEntry = "wasi_thread_start";

/// Bytes that another instance of the module takes, its memories, table elements and stack not counted.
uint64_t records_of(const vm::Module& module) {
  constexpr uint64_t kImport = 256, kFunc = 64, kOther = 128;
  return kImport * module.imports.size() + kFunc * module.funcs.size() +
         kOther * (module.globals.size() + module.tables.size() + module.tags.size() + module.memories.size());
}

int32_t refusal(Errno why) { return -static_cast<int32_t>(why); }

/// What a new thread calls.
Result<Func> find_entry(vm::Instance& instance) {
  const std::optional<Extern> entry = Instance(&instance).get(kEntry);
  if (entry && entry->func() && entry->func()->type() == FuncType{{ValKind::I32, ValKind::I32}, {}}) {
    return *entry->func();
  }
  return Error(ErrorKind::Link, std::string("the image imports wasi.thread-spawn, but exports no function ") + kEntry +
                                    " with two i32 parameters: build it for wasm32-wasip1-threads");
}

}  // namespace

/// A thread from when it is asked for until its store is gone.
struct Program::Thread {
  Thread(std::shared_ptr<Program> of, uint32_t number) : program(std::move(of)), id(number) {}
  ~Thread() {
    retire();
    store.reset();
    if (counted) {
      {
        std::lock_guard guard(program->lock_);
        program->records_ -= records;
      }
      program->running_.done();
    }
  }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  /// Its guest has returned: the id is free.
  void retire() {
    std::lock_guard guard(program->lock_);
    if (listed) program->threads_.erase(id);
    listed = false;
  }

  const std::shared_ptr<Program> program;
  const uint32_t id;
  uint32_t argument = 0;
  uint64_t records = 0;
  std::shared_ptr<io::Reactor> reactor;
  std::unique_ptr<Store> store;
  vm::Instance* instance = nullptr;
  std::optional<Func> entry;
  sched::Task task;
  bool listed = false;   // in the table
  bool counted = false;  // the program waits for it
};

void Program::run(Thread& thread) {
  std::optional<Error> error;
  try {
    const GuestTask here(*thread.store, thread.reactor);
    if (!thread.program->is_over()) {
      Result<void> done = engine::run_start(thread.store->impl(), *thread.instance);
      if (done) {
        const Val args[] = {Val::i32(static_cast<int32_t>(thread.id)), Val::i32(static_cast<int32_t>(thread.argument))};
        if (auto called = thread.entry->call(args); !called) done = std::move(called).error();
      }
      if (!done) error = std::move(done).error();
    }
  } catch (const std::exception& thrown) {
    error = Error(ErrorKind::Host, std::string("a host function that a thread called threw: ") + thrown.what());
  } catch (...) {
    error = Error(ErrorKind::Host, "a host function that a thread called threw an exception");
  }
  thread.retire();
  if (error) thread.program->failed(thread.store->impl(), std::move(*error));
}

namespace {
/// The fuel of a thread that does not come about goes back to the one that starts it.
struct Lent {
  vm::Vcpu& from;
  uint64_t fuel;
  ~Lent() { from.fuel += fuel; }
};
}  // namespace

Result<int32_t> Program::spawn(Context& context, vm::Instance& caller, uint32_t argument) try {
  const GuestTask* task = GuestTask::current();
  if (task == nullptr || task->reactor() == nullptr) {
    VMRUN_LOG_AT(context.log, warn, "thread-spawn: the guest runs in no task of an executor (run_wasi makes one)");
    return refusal(Errno::notsup);
  }
  std::shared_ptr<Thread> thread;
  {
    std::lock_guard guard(lock_);
    if (over_) return refusal(Errno::canceled);
    if (threads_.size() >= most_) return refusal(Errno::again);
    const uint64_t records = records_of(*caller.module);
    if (records > kMostRecords - records_) return refusal(Errno::nomem);
    do {
      last_id_ = last_id_ + 1 < kIds ? last_id_ + 1 : 1;
    } while (threads_.contains(last_id_));
    thread = std::make_shared<Thread>(shared_from_this(), last_id_);
    threads_.emplace(thread->id, thread.get());
    thread->listed = thread->counted = true;
    thread->records = records;
    records_ += records;
    running_.add();
  }
  context.fds.share();
  thread->argument = argument;
  thread->reactor = task->reactor();
  std::unique_ptr<Store> store = Store::beside(*static_cast<Store*>(caller.store->owner));
  Lent lent{caller.store->vcpu(), store->impl().vcpu().fuel};
  store->impl().group = shared_from_this();
  Result<vm::Instance*> instance = engine::make_sibling(store->impl(), caller);
  if (!instance && instance.error().kind == ErrorKind::Limit) return refusal(Errno::nomem);
  if (!instance) return std::move(instance).error();
  Result<Func> entry = find_entry(**instance);
  if (!entry) return std::move(entry).error();
  thread->instance = *instance;
  thread->entry = *entry;
  {
    std::lock_guard guard(lock_);
    thread->store = std::move(store);
    if (over_) return refusal(Errno::canceled);
  }
  const auto id = static_cast<int32_t>(thread->id);
  sched::Task started;
  try {
    started = sched::spawn_beside(
        [thread]() mutable {
          run(*thread);
          thread.reset();
        },
        {.name = "guest's thread", .with_stack = true});
  } catch (const std::system_error&) {
    return refusal(Errno::again);
  }
  lent.fuel = 0;
  std::lock_guard guard(lock_);
  thread->task = started;
  if (over_) started.cancel();
  return id;
} catch (const std::bad_alloc&) {
  return refusal(Errno::nomem);
}

bool Program::is_over() const {
  std::lock_guard guard(lock_);
  return over_;
}

size_t Program::live() const {
  std::lock_guard guard(lock_);
  return threads_.size();
}

void Program::end(std::optional<Error> why, const vm::Store* store) {
  if (over_) return;
  over_ = true;
  end_ = std::move(why);
  // It stands until the call from outside has ended: a host function may take the trap of a call of its own for an answer.
  if (main_ != nullptr && main_ != store) vm::ask_interrupt(main_->vcpu(), vm::Interrupt::ended);
  for (const auto& [id, thread] : threads_) {
    if (thread->store == nullptr || &thread->store->impl() == store) continue;  // or it looks before it starts
    // The interrupt is for the guest, also one that has not begun; the cancellation for host functions that wait, too.
    thread->store->interrupt();
    if (thread->task) thread->task.cancel();
  }
}

Error Program::failed(vm::Store& store, Error error) {
  std::lock_guard guard(lock_);
  end(error, &store);
  if (&store == main_) vm::end_interrupt(main_->vcpu(), vm::Interrupt::ended);
  return end_.value_or(std::move(error));
}

std::optional<Error> Program::why_refused() const {
  std::lock_guard guard(lock_);
  if (!over_) return std::nullopt;
  return Error(
      ErrorKind::Usage,
      "the program of the guest has ended" + (end_ ? " (" + end_->message + ")" : std::string()) +
          ", and its threads with it, so what is called would wait for them in vain: instantiate it in a new store");
}

void Program::leave(vm::Store& store) {
  {
    std::lock_guard guard(lock_);
    if (&store != main_) return;
    end(std::nullopt, &store);
    main_ = nullptr;
  }
  running_.wait(sched::Cancellable::No);
}

Result<void> Program::finish(Result<void> main) {
  {
    std::lock_guard guard(lock_);
    end(main ? std::nullopt : std::optional<Error>(main.error()), main_);
    if (main_ != nullptr) vm::end_interrupt(main_->vcpu(), vm::Interrupt::ended);
  }
  running_.wait(sched::Cancellable::No);
  std::lock_guard guard(lock_);
  if (end_) return *end_;
  return main;
}

}  // namespace vmrun::wasi
