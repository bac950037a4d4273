// What the tier manager keeps of one module: the heat of its functions, its compiled code, what failed and why. It is
// the TierHooks of the module, and what compile jobs refer to.
//
// hooks.cpp has what guests call, policy.cpp what is asked for by heat, module_tiers.cpp compiling and publishing, and
// stored.cpp what is kept of a module's code from one process to the next, code_memory.cpp what is got ready of it, known.cpp
// what earlier runs found hot, units.cpp loops that are compiled alone.
//
// Threads: the hooks run on guests' threads, compile() on compile threads, or for baseline code on a guest's; the module
// is detached by whoever drops its last reference. A block is compiled by the one thread that took its state from cold
// or queued to compiling. `mutex_` guards the tables of code and failures and orders publications; it is never held
// while compiling. Lock order: Manager's mutex, then this one; the queue's mutex is innermost.
#pragma once

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jit/code/arena.h"
#include "jit/compiler.h"
#include "jit/stored/reader.h"
#include "jit/stored/writer.h"
#include "tiering/events.h"
#include "tiering/heat.h"
#include "tiering/loop_nest.h"
#include "tiering/mode.h"
#include "tiering/queue.h"
#include "tiering/ready_code.h"
#include "tiering/schedule.h"
#include "tiering/stats.h"
#include "tiering/stored.h"
#include "vm/wasm/module.h"

namespace vmrun::tiering {

class Manager;

class ModuleTiers : public vm::TierHooks, public std::enable_shared_from_this<ModuleTiers> {
 public:
  ModuleTiers(Manager& manager, vm::Module& module, Schedule schedule, StoredCode stored);

  /// Compiles and publishes at once: baseline code on this thread, optimised code on a compile thread, for which this
  /// one waits. An empty string when the block's code of that tier is in force afterwards (or a better tier's), else the
  /// reason. Any thread.
  std::string promote(uint32_t func_index, uint32_t unit, vm::Tier tier);

  /// Baseline code of all functions, made by this thread and `helpers` compile threads.
  void compile_all(unsigned helpers);

  /// A compile thread's work on jobs of this module; does nothing for those that are outdated, or when the module died.
  void run(const Task& jobs);

  /// Gets the stored code ready that a run is likely to take, and memory for it (code_memory.cpp). Before the first guest.
  void expect_code();

  /// Waits for running compiles to notice that nobody wants them, and gives up all code. No guest may be in the module
  /// or enter it again.
  void die();

  /// Drops the oldest code and says how many bytes it has; 0 when there is none.
  size_t drop_oldest();
  /// When the oldest code was published, as a number that rises from publication to publication; UINT64_MAX for none.
  uint64_t oldest();

  /// For jit::SampleServer.
  static int64_t charge_sample(vm::FuncCode& code, uint32_t ticks);
  static bool decide_sample(vm::FuncCode& code, bool at_entry);

  TierStats stats(vm::Tier tier);
  /// How hot an own function has been found, and which tier's code it has. Any thread; approximate.
  FunctionHeat heat_of_function(uint32_t func_index);
  const vm::Module& module() const { return module_; }
  const Manager& manager() const { return manager_; }

  // ---- stored code (stored.cpp) ----
  /// What code that is stored here depends on.
  jit::stored::Settings settings() const;
  /// What the module came with.
  const StoredCode& stored() const { return stored_; }
  News news();
  /// All code that is in force, what was optimised first, then that of the stored file which nobody has used meanwhile.
  Kept keep();
  /// Adds to a file what was compiled here since the publication of number `next`, which moves on; some `bytes` at a time.
  /// Whether there is more.
  bool keep_new(uint64_t& next, size_t bytes, jit::stored::Stream& stream);
  /// Adds what the module came with and the file does not have: units from number `next` on, as they lie in their file,
  /// which moves on. Whether there is more.
  bool keep_old(size_t& next, size_t bytes, jit::stored::Stream& stream);
  /// Code of all functions (or of `only` these) that have none in `kept`, or none as good, compiled for a tier by `threads`
  /// threads and not put into force. False, when `progress` said so: see Manager::store.
  bool keep_all(vm::Tier tier, const std::vector<uint32_t>* only, const Ahead& ahead, unsigned threads,
                const Progress& progress, Kept& kept);

  // ---- for decisions ----
  /// Puts the best stored code of a function that is called first into force. False: there is none that the mode wants.
  bool use_stored(const vm::FuncCode& code);
  /// The same of units of its loops, which baseline code made after that calls. False: there is none.
  bool use_stored_loops(uint32_t func);
  /// Asks for optimised code of a function that earlier processes found hot.
  void consider_known(vm::FuncCode& code);
  /// Whether the function that is called first is one of those that the interpreter is left; counts it.
  bool is_quiet_call();
  /// Makes its code on the spot.
  void compile_at_first_call(const vm::FuncCode& code, vm::Tier tier);
  /// Makes the interpreter report `code` at that entry, from 1, of those to come.
  void report_at_entry(vm::FuncCode& code, uint32_t entry);
  /// Whether timers find out what is hot in that tier's code (jit/stop/sample.h).
  bool is_sampled(vm::Tier tier) const { return sampling_ && tier == vm::Tier::baseline; }
  /// Adds what a report of entries stands for to the function's heat.
  uint32_t charge_entries(const vm::FuncCode& code, vm::Tier tier);
  /// Adds what a slice or a tick stands for to the loop's heat and, unless it is there already, the function's, which is
  /// returned.
  uint32_t charge_loop(const vm::FuncCode& code, vm::LoopCode& loop, vm::Tier tier);
  /// Code of a better tier for a function.
  void consider(vm::FuncCode& code, vm::Tier from, uint32_t heat);
  /// The interpreter's careful code, where no machine code is to come.
  void consider_careful(vm::FuncCode& code);
  /// Optimised code for the entry at a loop.
  void consider_loop(vm::FuncCode& code, vm::LoopCode& loop, vm::Tier from);

 private:
  struct Key {
    uint32_t func_index, unit;
    vm::Tier tier;
    auto operator<=>(const Key&) const = default;
  };
  struct Code {
    uint64_t number;  // of its publication
    Key key;
    const jit::CodeObject* object;
    bool loaded;  // it was stored
  };
  /// Baseline code that calls loops' units depends on this process's records of loops, and is not stored.
  bool is_storable(const Code& code) { return code.object->calls_units.empty() && !is_given_up(code.key); }
  /// A loop's unit that is called no more: it was left too soon, or its function has optimised code.
  bool is_given_up(const Key& key);
  struct Failure {
    std::string reason;
    uint32_t retry_heat;  // UINT32_MAX: never
  };

  static ModuleTiers& self(vm::TierHooks* hooks) { return *static_cast<ModuleTiers*>(hooks); }
  static void on_first_call(vm::TierHooks* hooks, vm::FuncCode& code);
  static void on_hot_function(vm::TierHooks* hooks, vm::FuncCode& code);
  static void on_hot_loop(vm::TierHooks* hooks, vm::FuncCode& code, vm::LoopCode& loop, vm::Tier tier);
  /// The tiers of a module whose baseline code is sampled, else null.
  static ModuleTiers* sampled(const vm::FuncCode& code);
  /// What of stored_.hot is worth a compile, and comes in time.
  std::vector<HotUnit> choose_known() const;
  /// Before code is made: nobody may hear of this thread later. Where heat is sampled.
  void sample_this_thread();

  const Mode& mode() const;
  const Decisions& decisions() const;
  /// A function's index among the module's own.
  uint32_t own(const vm::FuncCode& code) const { return code.func_index - module_.imported_funcs; }

  /// What a tick has found. `factor`: how many times hotter than others it has to be.
  void consider_sampled(vm::FuncCode& code, bool entered, uint32_t factor = 1);
  /// Whether the optimiser puts the function in place of its calls, so that its time is gained by its callers' code.
  bool is_inlined(vm::FuncCode& code);
  /// Charges the tick to the function of baseline code that called what is inlined, and to the loop of it that the call is
  /// in. `polling` is where the tick is served, on the guest's thread. Null: there is no such caller.
  vm::FuncCode* charge_caller(vm::FuncCode& polling, bool at_entry);
  /// What hot code does: for the most part, and what optimised code saves of its time altogether.
  struct HotWork {
    policy::Work most = policy::Work::plain;
    double saved = policy::kSaved[static_cast<unsigned>(policy::Work::plain)];
  };
  /// What may be compiled.
  struct Unit {
    uint32_t at;    // as in jit::CompileRequest
    uint32_t size;  // bytes of wasm
    HotWork work;
    const char* reason;  // for the log
    bool ahead = true;   // the optimiser may be loaded ahead for it
  };
  /// Makes or asks for code when it pays. `heat` is what the unit pays with.
  void request(vm::FuncCode& code, const Unit& unit, vm::Tier from, vm::Tier to, uint32_t heat);
  /// So much heat has paid for a compile of that unit: the function's, and that of its loops.
  void pay(vm::FuncCode& code, uint32_t unit, uint32_t heat);
  /// The loops that an entry at the unit serves, all those of the outermost one around it, have paid with all their heat:
  /// what counts is what comes now.
  void start_again(vm::FuncCode& code, uint32_t unit);
  /// What the function does where it is hot; of a unit that is entered at a loop, in the outermost loop around that.
  HotWork work_of(vm::FuncCode& code, uint32_t unit);
  /// Bytes that are compiled: from the outermost loop around the entry to the function's end, and what is inlined.
  uint32_t size_of(vm::FuncCode& code, uint32_t unit);
  /// Whether there is a sign that the function, which a tick has found, will be called again. On the guest's thread, whose
  /// position is stored.
  bool is_called_again(const vm::FuncCode& code);
  /// The loops of a function, `table`'s. The function's body is walked over once.
  const LoopNest& nest(const vm::FuncCode& code, const vm::LoopTable& table);

  void count_task(vm::Tier tier, uint32_t units);
  /// Takes functions from all_next_ and compiles them until there are no more.
  void compile_share();
  /// Bytes of wasm that the unit is, or is part of.
  uint32_t bytes_of(const Key& key);
  /// The record of the unit's loop; null when the function has no such loop.
  vm::LoopCode* loop_of(const Key& key);
  /// Of a block in a tier; null when the function has no such loop.
  std::atomic<vm::BlockState>* state_of(const Key& key);
  /// Registers a running compile, unless the module is dying.
  bool begin();
  void end();
  /// From begin() to the end of the scope.
  struct Running {
    ModuleTiers& tiers;
    ~Running() { tiers.end(); }
  };
  /// The block's state is compiling and this thread's to change. Returns the reason when it fails. Without memory the
  /// block is cold again: nobody has tried.
  std::string compile(const Key& key, std::atomic<vm::BlockState>& state);
  std::string try_compile(const Key& key, std::atomic<vm::BlockState>& state);
  jit::CompileRequest request_of(const Key& key) const;
  /// The stored code of a unit, or null.
  const jit::stored::UnitRecord* find_stored(const Key& key) const;
  /// Brings it into code memory; null: it is damaged, or there is no memory. Any thread.
  const jit::CodeObject* install_stored(const jit::stored::UnitRecord& record);
  /// Installs it, unless it is ready, and publishes it. False: there is none, or it is damaged.
  bool load_stored(const Key& key);
  /// The units of the file in the order in which they lie there: that of the first calls in the run that made them.
  std::vector<uint32_t> units_by_place() const;
  /// Units of the file that the run before took out of it, and that this one would take, in the order of units_by_place().
  std::vector<uint32_t> expected_units() const;
  void make_ready();
  void end_expecting();
  void keep_published(Kept& kept);
  void keep_unused(Kept& kept);
  void publish(const Key& key, const jit::CodeObject* object, bool loaded = false);
  using Time = std::chrono::steady_clock::time_point;
  /// For CompileEvents, where somebody wants them. After its publication, or before the block is free again.
  void record(const Key& key, uint32_t code_bytes, Time begin, Time compiled, Time installed,
              const std::string& failure);
  void fail(const Key& key, std::string reason, uint32_t retry_heat);
  /// Takes the entries that lead into `object` back. With mutex_.
  void unlink(const Code& code);
  void remove(const Key& key);  // unlinks and retires what is published under the key, if anything; with mutex_
  void remove(const std::deque<Code>::const_iterator& at);

  // ---- loops alone (units.cpp) ----
  /// Optimised code of the loop, or of one around it, alone: where the function is large and that a small part of it. False:
  /// it is not, and something else may be better.
  bool consider_alone(vm::FuncCode& code, vm::LoopCode& loop);
  /// The units that baseline code of the function is to call.
  std::vector<jit::CalledUnit> called_units(const vm::FuncCode& code) const;
  /// Makes baseline code of the function anew, which calls the units that there are now.
  void renew_baseline(vm::FuncCode& code);
  /// The heat of a loop that is compiled alone is that of loops around it too.
  void pay_around(vm::FuncCode& code, uint32_t unit);
  void unlink_unit(vm::LoopCode& loop, const jit::CodeObject& object);

  Manager& manager_;
  vm::Module& module_;
  jit::CodeArena arena_;
  const std::unique_ptr<const Forced> forced_;  // null: the mode decides
  const bool sampling_;                         // baseline code's heat
  /// Functions that ticks have found, until somebody decides about them: index + 1, 0 for none.
  std::atomic<uint32_t> sampled_[4] = {};
  std::atomic<uint32_t> first_calls_{0};  // that the interpreter was left, up to policy::kQuietCalls
  HeatTable heat_;
  const StoredCode stored_;
  jit::Extent expected_;                // code memory that expect_code() has set aside
  std::unique_ptr<ReadyCode> ready_;    // null: none is got ready
  std::optional<pthread_t> expecting_;  // the thread that makes large pages of expected_, and then does ready_'s work
  std::vector<HotUnit> known_;          // of stored_.hot what may be asked for; by rising function
  std::vector<uint32_t> old_order_;  // units_by_place(), while keep_old() goes on; whoever keeps the code has it alone
  bool stored_fits_[vm::kTiers] = {};  // the file's code of that tier is what would be compiled here
  std::atomic<bool> said_damaged_{false};

  std::mutex mutex_;
  std::condition_variable changed_;     // a compile ended
  std::map<uint32_t, LoopNest> nests_;  // by function, of those with a loop that was hot
  std::atomic<bool> dying_{false};
  uint32_t running_ = 0;
  std::deque<Code> codes_;  // in order of publication
  std::map<Key, Failure> failures_;
  std::atomic<bool> may_retry_{false};
  std::atomic<uint32_t> all_next_{0};  // compile_all: the next function
  TierStats stats_[vm::kTiers];
};

}  // namespace vmrun::tiering
