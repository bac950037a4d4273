// Tells tools outside of the process about its machine code: profilers by perf's map or jitdump file, debuggers by GDB's
// interface.
//
// Threads: code is announced by whoever published it, once it can be found and before anything leads to it, and taken
// back by whoever frees it, before its memory is used again. One lock serves all announcers; nothing else is locked
// under it but that of a module's sources. Announcers are switched on before there is code, and stay for as long as the process, but in tests.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "jit/code/code.h"

namespace vmrun::jit {

class Announcer {
 public:
  virtual ~Announcer() = default;
  virtual void added(const CodeObject& code, const std::string& name) = 0;
  virtual void removed(const CodeObject& code) = 0;
};

/// perf's map: /tmp/perf-PID.map, a line per piece of code. `perf report` finds it by itself. Code that was freed stays
/// in it. Null, with the reason in `*why`, when the file cannot be made.
std::unique_ptr<Announcer> make_perf_map(std::string* why);

/// perf's jitdump: jit-PID.dump in the current directory, with the code itself, for `perf record -k mono` followed by
/// `perf inject --jit`. Source lines in it are byte offsets in the image.
std::unique_ptr<Announcer> make_jitdump(std::string* why);

/// GDB's interface for compiled code (also LLDB's): each piece an object file in memory with a symbol and the shape of
/// its frame; with `lines` also the guest's source lines, where the image tells of them.
enum class GdbLines : uint8_t { off, on };
std::unique_ptr<Announcer> make_gdb_announcer(GdbLines lines);

/// Code that is published from now on is announced to `announcer`.
void announce_to(std::unique_ptr<Announcer> announcer);

/// Takes all announcers away.
void stop_announcing();

/// How tools call a piece of code, such as "fib.wasm!fib [baseline]" or "sort.wasm!func[3] [opt, loop at 0x1f3]".
std::string code_name(const CodeObject& code);

/// Whether anybody listens; set before the first code.
extern std::atomic<bool> announcing;

/// Whether somebody wants to know of each instruction what it was made of: from then on baseline code has a mark for each,
/// not only for those that are called from or can trap. Never reset.
extern std::atomic<bool> marking_all;

/// For CodeSpace.
void announce_added(const CodeObject& code);
void announce_removed(const CodeObject& code);

}  // namespace vmrun::jit
