// What can go wrong, as a value. Every operation that can fail returns a Result (vmrun/base/result.h) that holds its value
// or one of these. vmrun throws nothing of its own; what a host function of the embedder's threw comes out again
// (vmrun/func.h).
//
// What is neither: a bug of vmrun, such as guest code that reaches outside of its own memories, ends the process with
// two lines on stderr, that say what to report, and exit status 70, which no trap and no error has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmrun/base/trap.h"

#pragma GCC visibility push(default)
namespace vmrun {
namespace vm {
struct Instance;
}

/// What sort of failure an Error is. The first eight concern the image or the guest, the rest the caller or the host.
enum class ErrorKind : uint8_t {
  Malformed,    // the bytes are not a WebAssembly module (spec chapter 5)
  Invalid,      // decoded, but against a validation rule (spec chapter 3)
  Unsupported,  // valid, but uses what this build or configuration does not execute
  Link,         // an import is missing or has an incompatible type
  Limit,        // a resource limit of the engine or the store was reached
  Trap,         // the guest trapped: `trap` says why, `backtrace` where
  Exception,    // the guest threw an exception nobody caught: `exception`, `backtrace`
  Exit,         // the guest asked to end with `exit_status`; not a failure in itself
  Io,           // a file or a system call failed
  Usage,        // the caller used the API wrongly: wrong argument types, an unknown export, a bad option
  Host,         // a host function failed with a message of its own
};

/// The kind's name in lower case, such as "malformed".
std::string_view to_string(ErrorKind kind);

/// A place in the guest's source, by the debug information (DWARF) in its image. The image says all of it, and need not
/// tell the truth: do not open files by these names without asking the user.
struct SourceLine {
  std::string function;           // with its scopes, "app::Ledger::divide"; empty: unknown
  std::string file;               // as the guest's compiler knew it, after its folder; empty: unknown
  uint32_t line = 0, column = 0;  // from 1; 0: unknown
};

/// One guest frame of a backtrace.
struct FrameInfo {
  std::string module;       // the module's name: from its name section, else its file's base name, else "<module>"
  std::string function;     // from the name section, else what it is exported as, else "func[N]"; see vmrun/base/text.h
  uint32_t func_index = 0;  // in the module's function index space
  uint64_t offset = 0;      // byte offset of the instruction in the image
  // With Config::backtrace_details: where that is in the source. Calls that the guest's own compiler inlined come first,
  // innermost first; the last one is in the function itself. Empty: unknown.
  std::vector<SourceLine> source = {};
  // Why `source` is empty although the image speaks of debug information; else empty. One line.
  std::string source_note = {};
  // Whose frame it is, to be compared with the Instance::impl of instances of the store while that lives. Null: not
  // known, which is so in optimised code, and of a function that was stopped as it began.
  vm::Instance* instance = nullptr;
};

/// A frame in words.
struct FrameText {
  std::string name;   // "module!function @ 0x1a2", or of an inlined call "module!function (inlined) @ 0x1a2"
  std::string place;  // "src/ledger.cc:12:7", or nothing
};
/// The frame with those that the guest's compiler inlined in it, innermost first. Names are escaped (vmrun/base/text.h).
std::vector<FrameText> frame_texts(const FrameInfo& frame);

/// A failure. Cheap to move; compares nothing; owns all that it mentions, so it may outlive store and engine.
struct Error {
  ErrorKind kind = ErrorKind::Usage;
  std::string message;                 // one line without the kind, no full stop
  std::optional<uint64_t> offset;      // Malformed, Invalid: byte offset in the image
  std::optional<uint32_t> func_index;  // Malformed, Invalid, Unsupported: the function it is in
  TrapCode trap = TrapCode::None;      // Trap
  int exit_status = 0;                 // Exit
  uint64_t exception = 0;  // Exception: the exnref's bits; until the next call into the store, or while pinned
  std::vector<FrameInfo> backtrace;  // Trap, Exception, Host: innermost frame first

  Error() = default;
  // Other names than the members': the header stays silent under -Wshadow.
  Error(ErrorKind its_kind, std::string text, std::optional<uint64_t> at = std::nullopt)
      : kind(its_kind), message(std::move(text)), offset(at) {}

  /// The message with its place, and the backtrace one frame a line: what a tool prints.
  std::string to_string() const;
};

}  // namespace vmrun
#pragma GCC visibility pop
