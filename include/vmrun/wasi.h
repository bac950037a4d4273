// WASI preview 1: the system interface that command-line guests import.
//
//   WasiConfig config;
//   config.args({"program", "--flag"}).inherit_stdio().preopen_dir("/srv/data", "/data");
//   auto wasi = WasiContext::create(config);          // opens the directories
//   if (auto ok = add_wasi(linker, *wasi); !ok) ...   // defines wasi_snapshot_preview1 and wasi_unstable
//
// A guest's writes raise no signal in the process unless the embedder asks for it (stdio_raises): where the reader of
// a pipe is gone the guest sees errno `pipe`, where a file would outgrow RLIMIT_FSIZE it sees `fbig`. The process's
// handlers and ignored signals stay as they are. Whether there is a limit on files is looked up when the guest first
// writes.
//
// THREADS. A program that was built for wasm32-wasip1-threads imports `wasi.thread-spawn` and a shared memory:
//
//   auto instance = instantiate_wasi(store, module, *wasi);
//   auto done = run_wasi(store, [&] { return call(instance, "_start"); });      // the embedder's `call`
//
// Each of its threads has a store of its own beside `store`, with an instance of the same module over the same memories,
// which shares host functions and constants too, and runs in a task of the executor of the first one. The program ends
// when its first thread returns, when one traps or calls proc_exit, and when the store is interrupted; that ends all of
// its threads, wherever they wait. Calls into the store that begin afterwards are refused (ErrorKind::Usage).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/executor.h"
#include "vmrun/fwd.h"

#pragma GCC visibility push(default)
namespace vmrun {

class WasiConfig;
namespace wasi {
struct Context;
struct HostStream;
struct Turn;
/// Looks at the streams of `config`, for all contexts that are made of it or of its copies: they must stay what they are.
/// vmrun's own servers.
[[gnu::visibility("hidden")]] void look_at_streams(WasiConfig& config);
}  // namespace wasi

/// What a guest is given. Nothing is granted by default: no arguments, no variables, no directories, and standard
/// streams that are empty or discard. A plain value: copy it, keep it, use it for many contexts.
class WasiConfig {
 public:
  /// Host descriptor standing for a stream that is closed to the guest: reads give end of file, writes vanish.
  static constexpr int kNull = -1;

  /// The clocks of the guest in nanoseconds. `clock` is the WASI clock id: 0 realtime, 1 monotonic, 2 process CPU time,
  /// 3 thread CPU time. Called on the guest's thread, by the threads of a program at the same time; must not throw.
  using ClockFn = std::function<uint64_t(uint32_t clock)>;

  /// Appends one argument, or several. The first is the program's name.
  WasiConfig& arg(std::string value);
  WasiConfig& args(std::vector<std::string> values);
  /// Sets a variable; a later value for the same name replaces the earlier one.
  WasiConfig& env(std::string name, std::string value);
  /// Sets all variables of this process.
  WasiConfig& inherit_env();
  /// Sets the variable to its value in this process; leaves it unset when this process has none.
  WasiConfig& inherit_env(const std::string& name);

  /// Gives this process's standard streams: the descriptors 0, 1 and 2 as they are when the context is created.
  WasiConfig& inherit_stdio();
  /// Host descriptors for the streams, or kNull. They are borrowed: they must stay open while the context lives and are
  /// never closed by it, and their flags (O_NONBLOCK, O_APPEND) are never changed.
  ///
  /// A guest reads or writes a stream, waits for it and asks for its attributes, whatever it is on the host: it cannot
  /// seek in it or change its size or times. A directory gives the guest nothing. Where the host's descriptor is closed
  /// (or opened with O_PATH) the guest's is closed too, and its number is never used for anything else.
  WasiConfig& stdin_fd(int fd);
  WasiConfig& stdout_fd(int fd);
  WasiConfig& stderr_fd(int fd);

  /// Standard input is these bytes, and then the end. Contexts of the same configuration share them, and each reads all.
  WasiConfig& stdin_bytes(std::string bytes);
  /// Takes what a guest writes to a stream, in the order of its writes. False: nobody reads any more, and the guest sees
  /// errno `pipe`. Called on the guest's thread or in its task, which it may suspend; must not throw. The threads of a
  /// program call it one at a time. Contexts of the same configuration share it.
  using Sink = std::function<bool(std::string_view bytes)>;
  WasiConfig& stdout_to(Sink sink);
  WasiConfig& stderr_to(Sink sink);

  /// Lets writes to the standard streams raise SIGPIPE and SIGXFSZ in this process, as the writes of a program of its
  /// own do. Off by default.
  WasiConfig& stdio_raises(bool raises = true);

  /// For several guests with the same streams: contexts of this configuration and of its copies write to each stream in
  /// turn, so that what a guest writes in one call (fd_write) comes out in one piece, also where it has to wait for a
  /// reader in between.
  WasiConfig& stdio_in_turn();

  /// The most descriptors that the guest may have open at a time, those that it is given included; opening one more is
  /// errno `mfile`. Default: half of what this process may open (RLIMIT_NOFILE), at most 4,096. Several guests in one
  /// process share its descriptors: give each its part.
  WasiConfig& max_descriptors(uint32_t n);

  /// The most threads that the guest may have at a time beside its first; starting one more fails in the guest. 0: it may
  /// have none, and `wasi.thread-spawn` is not defined. Default: kMaxThreads.
  WasiConfig& max_threads(uint32_t n);
  static constexpr uint32_t kMaxThreads = 1024;

  /// Opens the host directory `host` for the guest, which sees it under `guest`. With `read_only` nothing beneath it
  /// can be changed, created or removed through this grant (errno `rofs`).
  WasiConfig& preopen_dir(std::string host, std::string guest, bool read_only = false);
  /// A listening (or connected) socket, borrowed like a stream. Sockets get the descriptors after the directories.
  ///
  /// Whether accepting waits is the guest's to say (fd_fdstat_set_flags), whatever the flags of a listening socket. One
  /// that says nothing waits in sock_accept; one that asks for the flags is told that accepting does not wait, and so it
  /// is from then on. Where several guests or processes accept from a socket, give it O_NONBLOCK: else one that finds
  /// another there first holds its thread.
  WasiConfig& preopen_socket(int fd);

  /// Replaces the clocks that clock_time_get reads. Waiting still happens in real time.
  WasiConfig& clock(ClockFn fn);
  /// Makes random_get a deterministic generator with this seed, for reproducible runs: not for secrets.
  WasiConfig& random_seed(uint64_t seed);

 private:
  friend class WasiContext;
  friend void wasi::look_at_streams(WasiConfig& config);
  struct Dir {
    std::string host, guest;
    bool read_only;
  };
  std::vector<std::string> args_;
  std::vector<std::pair<std::string, std::string>> env_;
  int stdio_[3] = {kNull, kNull, kNull};
  std::shared_ptr<const wasi::HostStream> known_[3];  // what they are, where that has been looked at
  std::shared_ptr<const std::string> stdin_bytes_;    // these go before stdio_
  Sink sinks_[3];
  bool stdio_raises_ = false;
  std::shared_ptr<wasi::Turn> turns_[3];
  std::optional<uint32_t> max_descriptors_;
  uint32_t max_threads_ = kMaxThreads;
  std::vector<Dir> dirs_;
  std::vector<int> sockets_;
  ClockFn clock_;
  uint64_t seed_ = 0;
  bool seeded_ = false;
};

/// The state of one guest program: its descriptors, arguments, variables. Closes what it opened when the last handle
/// goes. The threads of the program share it; programs that run at the same time need one each.
class WasiContext {
 public:
  /// Opens the directories. Errors: Io when a directory cannot be opened, Limit for more descriptors than the guest may
  /// have, Usage for arguments or variables that cannot be passed (a NUL byte in them, an empty name, '=' in a name).
  static Result<WasiContext> create(const WasiConfig& config);

  const std::shared_ptr<wasi::Context>& impl() const { return impl_; }

 private:
  explicit WasiContext(std::shared_ptr<wasi::Context> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<wasi::Context> impl_;
};

/// Defines every function of `wasi_snapshot_preview1` and of its predecessor `wasi_unstable` in `linker`, and
/// `wasi.thread-spawn` (unless the guest may have no threads), bound to `context`. What threads need beside it is
/// Linker::add_shared_memories. Usage error when one of them is already defined and the linker does not allow shadowing.
Result<void> add_wasi(Linker& linker, const WasiContext& context);

/// What a linker with add_wasi and add_shared_memories alone does, many times quicker for programs of one thread that are
/// started again and again. Errors: those of Linker::instantiate.
Result<Instance> instantiate_wasi(Store& store, const Module& module, const WasiContext& context);

/// Whether `module` imports `wasi.thread-spawn`.
bool starts_threads(const Module& module);

/// Calls `main`, which calls guests of `store`, as the first thread of a program. When it has returned, the other threads
/// are ended and waited for; those that an embedder's host function holds are waited for as well. In a task that `store` was
/// spawned with, `main` is called there. Elsewhere there is an executor for the time, by `config`, but with stacks that are
/// large enough for StoreLimits::stack_bytes: its task calls `main`, while the calling thread waits.
///
/// Returns what `main` returned, or what ended the program before that: an Error of kind Exit with the status that one of
/// the threads gave, or the trap of one of them, with its backtrace. A program that has ended so stays so: further calls of
/// the store return the same error.
///
/// Without this function the threads end, and are waited for, when `store` dies, which it does before its executor. Errors: those of Executor::create; Usage
/// (in a task without `store`).
Result<void> run_wasi(Store& store, const std::function<Result<void>()>& main, const ExecutorConfig& config = {});

}  // namespace vmrun
#pragma GCC visibility pop
