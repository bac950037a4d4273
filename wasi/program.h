// Program: the threads of one guest program (wasi-threads).
//
// The first thread is the embedder's: a guest in a task of an executor, whose store becomes the program's main one when it
// calls `wasi.thread-spawn`. Each further thread has a store of its own, with an instance that shares the memories, and runs
// in a task of the same executor.
//
// Rules. A thread is in the table from before its store is made until its guest has returned; who ends the program stops
// what is in the table, and who adds to it or starts one looks first whether the program has ended. The lock guards the
// table and how the program has ended; nobody waits under it. Threads keep the program, and the program keeps none of
// them: it waits for them when the main thread ends, or its store dies.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "sched/sync.h"
#include "vm/runtime/store.h"
#include "vmrun/base/result.h"

namespace vmrun::wasi {

struct Context;

class Program final : public vm::StoreGroup, public std::enable_shared_from_this<Program> {
 public:
  /// What ids of threads lie below: the rest is the C library's.
  static constexpr uint32_t kIds = 1u << 29;

  /// Bytes of records (of imports, functions, tables' heads) that all threads' instances may take together.
  static constexpr uint64_t kMostRecords = uint64_t{4} << 30;

  /// `main` is the store of its first thread. At most `most` others live at a time.
  Program(vm::Store& main, uint32_t most) : main_(&main), most_(most) {}

  /// Starts a thread beside that of `caller`, which calls `wasi_thread_start` with its id and `argument`. Returns the id, or
  /// a negated Errno where there is no room for it. By a thread of the program. Errors: Link (what the image imports or
  /// exports admits no thread).
  Result<int32_t> spawn(Context& context, vm::Instance& caller, uint32_t argument);
  /// The main thread has ended so, and with it the program: ends the others and waits for them. Returns what has ended it.
  Result<void> finish(Result<void> main);
  /// Threads that live, the main one not counted.
  size_t live() const;

  Error failed(vm::Store& store, Error error) override;
  std::optional<Error> why_refused() const override;
  void leave(vm::Store& store) override;

 private:
  struct Thread;

  /// Under the lock. Ends all threads but that of `store`.
  void end(std::optional<Error> why, const vm::Store* store);
  bool is_over() const;
  static void run(Thread& thread);

  mutable std::mutex lock_;
  vm::Store* main_;  // null: it is gone
  const uint32_t most_;
  uint32_t last_id_ = 0;
  uint64_t records_ = 0;  // bytes, of the threads that are in the table or have yet to go
  std::unordered_map<uint32_t, Thread*> threads_;
  bool over_ = false;
  std::optional<Error> end_;  // over: how, unless the main thread has returned
  sched::WaitGroup running_;
};

}  // namespace vmrun::wasi
