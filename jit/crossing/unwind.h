// Machine frames in walks over activations, and faults in machine code. One implementation per target.
#pragma once

#include <cstddef>
#include <span>

#include "vm/runtime/instance.h"

namespace vmrun::jit {

/// Tells vm/runtime/activation.h what machine frames are, and vm/runtime/fault.h whose faults those in `code` are. Called when there is a
/// code space, before anything runs in it.
void register_machine_code(std::span<const std::byte> code);

/// Goes on after a host function that did not return, from where the newest activation stands: to the landing of its
/// exception or to the host's entry. Jumped to by trampolines, with any aligned stack.
[[noreturn]] void host_failed(vm::Vcpu* cx, vm::Outcome outcome);

/// Serves what is wanted from the guest (vm/runtime/stop.h) when a host function has returned, from where the newest activation
/// stands. Called by trampolines by the C convention; does not return when the guest has to end.
void poll_after_host(vm::Vcpu* cx);

}  // namespace vmrun::jit
