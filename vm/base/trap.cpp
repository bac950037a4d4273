// Names of traps and errors, and the text of an Error.
#include "vm/base/trap.h"

#include <algorithm>

#include "vm/base/assert.h"
#include "vmrun/base/error.h"
#include "vmrun/base/result.h"
#include "vmrun/base/text.h"

namespace vmrun {

std::string_view trap_message(TrapCode code) {
  switch (code) {
    case TrapCode::None: return "no trap";
    case TrapCode::Unreachable: return "unreachable";
    case TrapCode::IntegerDivideByZero: return "integer divide by zero";
    case TrapCode::IntegerOverflow: return "integer overflow";
    case TrapCode::InvalidConversionToInteger: return "invalid conversion to integer";
    case TrapCode::MemoryOutOfBounds: return "out of bounds memory access";
    case TrapCode::TableOutOfBounds: return "out of bounds table access";
    case TrapCode::UndefinedElement: return "undefined element";
    case TrapCode::UninitializedElement: return "uninitialized element";
    case TrapCode::IndirectCallTypeMismatch: return "indirect call type mismatch";
    case TrapCode::NullReference: return "null reference";
    case TrapCode::NullFunctionReference: return "null function reference";
    case TrapCode::NullExceptionReference: return "null exception reference";
    case TrapCode::CastFailure: return "cast failure";
    case TrapCode::UnalignedAtomic: return "unaligned atomic";
    case TrapCode::ExpectedSharedMemory: return "expected shared memory";
    case TrapCode::StackOverflow: return "call stack exhausted";
    case TrapCode::OutOfMemory: return "out of memory";
    case TrapCode::Interrupted: return "interrupted";
    case TrapCode::Unsupported: return "unsupported instruction";
    case TrapCode::OutOfFuel: return "out of fuel";
  }
  return "unknown trap";
}

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Malformed: return "malformed";
    case ErrorKind::Invalid: return "invalid";
    case ErrorKind::Unsupported: return "unsupported";
    case ErrorKind::Link: return "link";
    case ErrorKind::Limit: return "limit";
    case ErrorKind::Trap: return "trap";
    case ErrorKind::Exception: return "exception";
    case ErrorKind::Exit: return "exit";
    case ErrorKind::Io: return "io";
    case ErrorKind::Usage: return "usage";
    case ErrorKind::Host: return "host";
  }
  return "unknown";
}

namespace {
void append_hex(std::string& text, uint64_t value) {
  char digits[16];
  int n = 0;
  do {
    digits[n++] = "0123456789abcdef"[value & 15];
    value >>= 4;
  } while (value != 0);
  text += "0x";
  while (n > 0) text += digits[--n];
}
}  // namespace

namespace detail {

void no_value(const Error& error) {
  vm::misuse("the value of a failed Result was used; the failure is: " + std::string(to_string(error.kind)) + ": " +
             error.to_string());
}

void no_error() { vm::misuse("the error of a Result was used that has none"); }

}  // namespace detail

std::string Error::to_string() const {
  std::string text = message;
  if (offset) {
    text += " (at offset ";
    append_hex(text, *offset);
    if (func_index) text += " in function " + std::to_string(*func_index);
    text += ")";
  } else if (func_index) {
    text += " (in function " + std::to_string(*func_index) + ")";
  }
  size_t number = 0;
  for (const FrameInfo& frame : backtrace) {
    for (const FrameText& said : frame_texts(frame)) {
      text += "\n  #" + std::to_string(number++) + " " + said.name;
      if (!said.place.empty()) text += "\n       at " + said.place;
    }
  }
  return text;
}

std::vector<FrameText> frame_texts(const FrameInfo& frame) {
  std::vector<FrameText> texts;
  const size_t count = std::max<size_t>(frame.source.size(), 1);
  for (size_t i = 0; i < count; ++i) {
    FrameText& text = texts.emplace_back();
    const bool inlined = i + 1 < count;
    const std::string& function = inlined ? frame.source[i].function : frame.function;
    text.name = printable_name(frame.module) + "!" + (function.empty() ? "?" : printable_name(function)) +
                (inlined ? " (inlined) @ " : " @ ");
    append_hex(text.name, frame.offset);
    if (i >= frame.source.size() || frame.source[i].file.empty()) continue;
    const SourceLine& line = frame.source[i];
    text.place = printable_name(line.file);
    if (line.line != 0) text.place += ":" + std::to_string(line.line);
    if (line.line != 0 && line.column != 0) text.place += ":" + std::to_string(line.column);
  }
  return texts;
}

}  // namespace vmrun
