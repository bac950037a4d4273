// Machine frames in walks over activations, and faults in machine code. One implementation per target.
#pragma once

#include <cstddef>
#include <span>

#include "vm/runtime/activation.h"

namespace vmrun::jit {

/// Tells vm/runtime/activation.h what machine frames are, and vm/runtime/fault.h whose faults those in `code` are. Called when there is a
/// code space, before anything runs in it.
void register_machine_code(std::span<const std::byte> code);

/// Where cx.exception lands that machine code throws, where earlier throws have come by the same frames. Nowhere: a
/// search has to find out (vm::raise_exception), and nothing has changed.
vm::Transfer land_quickly(vm::Vcpu& cx);

/// Goes on after a host function that did not return, from where the newest activation stands: to the landing of its
/// exception or to the host's entry. Jumped to by trampolines, with any aligned stack.
[[noreturn]] void host_failed(vm::Vcpu* cx, vm::Outcome outcome);

/// Serves what is wanted from the guest (vm/runtime/stop.h) when a host function has returned, from where the newest activation
/// stands. Called by trampolines by the C convention; does not return when the guest has to end.
void poll_after_host(vm::Vcpu* cx);

}  // namespace vmrun::jit
