# What a real gdb says of a guest's machine code: its frames by name, from a host function and from the middle of a loop
# down to main(). Run by ctest with
#   GDB, VMRUN     the two programs
#   FIXTURES       the directory with wasi_env.wasm, stop_spin.wasm and lines_ledger5.wasm
#   SOURCE         the project's directory
# Prints "skipped: " and the reason where gdb may not do its work.

# Runs vmrun under gdb with the commands in between, and puts what gdb prints into `out`.
function(debug out)
  cmake_parse_arguments(arg "" "" "COMMANDS;ARGS" ${ARGN})
  set(options)
  foreach(command "set pagination off" "set confirm off" "set debuginfod enabled off"
                  "handle SIGSEGV nostop noprint pass" "handle SIGURG nostop noprint pass" ${arg_COMMANDS})
    list(APPEND options -ex ${command})
  endforeach()
  execute_process(COMMAND ${GDB} -q -nx -batch ${options} --args ${VMRUN} ${arg_ARGS}
                  OUTPUT_VARIABLE printed ERROR_VARIABLE printed)
  if(printed MATCHES "ptrace: Operation not permitted|Could not trace the inferior|Cannot create process")
    message("skipped: gdb may not trace processes here")
    message("${printed}")
    return()
  endif()
  set(${out} "${printed}" PARENT_SCOPE)
endfunction()

# Frames, in their order with any others between them, but none without a name.
function(expect printed)
  set(pattern "")
  foreach(frame ${ARGN})
    string(APPEND pattern "#[0-9]+ [^\n]* ${frame}[^\n]*\n.*")
  endforeach()
  if(NOT printed MATCHES "${pattern}" OR printed MATCHES "\\?\\?")
    message(FATAL_ERROR "not found: ${ARGN}\nin\n${printed}")
  endif()
endfunction()

# Every call with a frame: without lines, what optimised code inlines has none of its own for a debugger.
foreach(tier baseline opt)
  set(calls)
  foreach(name __wasi_fd_write writev __stdio_write printf main _start)
    list(APPEND calls "wasi_env\\.wasm!${name} \\[${tier}\\]")
  endforeach()
  debug(printed COMMANDS "break vmrun::wasi::fd_write" run bt ARGS -O tier=${tier},inline=off -D gdb ${FIXTURES}/wasi_env.wasm)
  if(NOT DEFINED printed)
    return()
  endif()
  expect("${printed}" "vmrun::wasi::fd_write" "vmrun trampoline" ${calls} "vmrun trampoline"
         "vmrun::interp::enter_handlers" "vmrun::Func::call" "main \\(")

  # Beneath the runtime's help: a helper's entry.
  debug(printed COMMANDS "break vmrun::vm::memory_grow" run bt
        ARGS -O tier=${tier},inline=off -D gdb --invoke grow ${FIXTURES}/stop_spin.wasm)
  expect("${printed}" "vmrun::vm::memory_grow" "vmrun::jit::HelperEntry<" "spin!grow \\[${tier}\\]" "vmrun trampoline"
         "vmrun::Func::call" "main \\(")

  # From the middle of a loop: the signal that stops it, and what its handler makes of the loop's frame. It comes when the
  # time is up, which is too early where gdb has not read all symbols by then.
  foreach(stop "handle SIGURG stop print pass" "break vmrun_preempted")
    foreach(seconds 1 4 16 60)
      debug(printed COMMANDS ${stop} run bt
            ARGS -O tier=${tier},inline=off -D gdb -W timeout=${seconds}s --invoke memory ${FIXTURES}/stop_spin.wasm)
      if(printed MATCHES "spin!memory")
        break()
      endif()
    endforeach()
    set(handler)
    if(stop MATCHES "^break")
      set(handler "vmrun_preempted" "<signal handler called>")
    endif()
    expect("${printed}" ${handler} "spin!memory \\[${tier}\\]" "vmrun trampoline" "vmrun::interp::enter_handlers"
           "vmrun::Func::call" "main \\(")
  endforeach()
endforeach()
# By source lines, as docs/debugging.md says: a breakpoint in code that is not there yet, callers with their lines, steps.
if(EXISTS ${FIXTURES}/lines_ledger5.wasm)
  set(prepare "set breakpoint pending on" "set mem inaccessible-by-default off" "mem 0x700000000000 0x7fff00000000 ro"
              "set substitute-path /guest ${SOURCE}")
  foreach(image lines_ledger4 lines_ledger5)
    debug(printed COMMANDS ${prepare} "break lines_ledger.cpp:32" run bt delete step step step
          ARGS -O tier=baseline,eager=baseline -D debug-info ${FIXTURES}/${image}.wasm spin)
    foreach(wanted "Breakpoint 1, [^\n]*app::spin[^\n]*lines_ledger.cpp:32\n32[^\n]*// line 32"
                   "#0 [^\n]*app::spin[^\n]*baseline[^\n]*lines_ledger.cpp:32"
                   "#1 [^\n]*main[^\n]*baseline[^\n]*lines_ledger.cpp:40" "\n2[456][^\n]*h")
      if(NOT printed MATCHES "${wanted}")
        message(FATAL_ERROR "not found: ${wanted}\nin\n${printed}")
      endif()
    endforeach()
    # Where a trap comes from, in either compiler's code.
    foreach(tier baseline opt)
      debug(printed COMMANDS "break vmrun::vm::leave_to_host" run bt
            ARGS -O tier=${tier},inline=off -D debug-info ${FIXTURES}/${image}.wasm x)
      expect("${printed}" "vmrun::vm::leave_to_host" "app::Ledger::divide \\([^\n]*lines_ledger.cpp:13"
             "lines_ledger.\\.wasm!app::Ledger::total[^\n]*\\[${tier}\\][^\n]*lines_ledger.cpp:17"
             "lines_ledger.\\.wasm!main \\[${tier}\\][^\n]*lines_ledger.cpp:41" "main \\(")
    endforeach()
    # The same where our compiler inlines too: what it has inlined is a frame as well, without a tier of its own.
    debug(printed COMMANDS "break vmrun::vm::leave_to_host" run bt
          ARGS -O tier=opt -D debug-info ${FIXTURES}/${image}.wasm x)
    expect("${printed}" "vmrun::vm::leave_to_host" "app::Ledger::divide \\([^\n]*lines_ledger.cpp:13"
           "[^ ]*app::Ledger::total[^\n]*lines_ledger.cpp:17" "[^ ]*main [^\n]*lines_ledger.cpp:41" "main \\(")
    # In the middle of a loop of an inlined call, and out of it again.
    debug(printed COMMANDS ${prepare} "break lines_ledger.cpp:26" run bt "info frame" up "info source"
          ARGS -O tier=baseline,eager=baseline -D debug-info ${FIXTURES}/${image}.wasm spin)
    expect("${printed}" "[^\n]*mix \\([^\n]*lines_ledger.cpp:26" "[^ ]*app::spin[^\n]*\\[baseline\\][^\n]*lines_ledger.cpp:32"
           "[^ ]*main [^\n]*lines_ledger.cpp:40")
    if(NOT printed MATCHES "inlined into frame 1")
      message(FATAL_ERROR "no inlined frame in\n${printed}")
    endif()
  endforeach()
else()
  message("without a compiler for wasm32-wasi there are no source lines to look at")
endif()
message("frames of baseline and optimised code are named and unwound")
