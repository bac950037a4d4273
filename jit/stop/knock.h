// Knocks of other processes (vmrun/knock.h), as the stop signal's handler hears them.
#pragma once

#include <atomic>

namespace vmrun::jit {

/// What a knock's signal carries as its value: "vmrknock".
inline constexpr unsigned long kKnock = 0x6b636f6e6b726d76;

using KnockAnswer = void (*)();
/// Null: nobody answers.
extern std::atomic<KnockAnswer> knock_answer;

/// By the stop signal's handler: whether the signal is a knock, by its value.
inline bool is_knock(const void* value) { return reinterpret_cast<unsigned long>(value) == kKnock; }
/// Answers, if the thread was interrupted where it holds no lock: in machine code of a guest, in the interpreter's handlers,
/// or in a guest's system call that may wait.
void hear_knock(void* ucontext);

}  // namespace vmrun::jit
