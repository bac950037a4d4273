# What a real perf says of a guest's machine code: names by its map, names and lines by jitdump. Run by ctest with
#   PERF, VMRUN    the two programs
#   IMAGE          stop_spin.wasm
#   FOLDER         for files
# Prints "skipped: " and the reason where perf may not do its work.

file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})

function(run out)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${FOLDER} OUTPUT_VARIABLE printed ERROR_VARIABLE printed
                  RESULT_VARIABLE status)
  set(${out} "${printed}" PARENT_SCOPE)
  set(status "${status}" PARENT_SCOPE)
endfunction()

# Samples an endless loop that ends when its time is up; a busy machine needs more of it.
function(sample out tool expected)
  foreach(seconds 1 4 16 60)
    run(recorded ${PERF} record -q -N -k mono -e cpu-clock:u -o recorded.data --
        sh -c "echo $$ > pid && exec \"$@\"" sh
        ${VMRUN} -O tier=baseline --profile ${tool} -W timeout=${seconds}s --invoke memory ${IMAGE})
    if(NOT EXISTS ${FOLDER}/recorded.data OR recorded MATCHES "[Pp]ermission|paranoid|not permitted|not supported")
      message("skipped: perf may not sample here")
      message("${recorded}")
      set(skipped TRUE PARENT_SCOPE)
      return()
    endif()
    set(data recorded.data)
    if(tool STREQUAL "jitdump")
      run(injected ${PERF} inject --jit -i recorded.data -o injected.data)
      if(NOT status EQUAL 0)
        message(FATAL_ERROR "perf inject failed:\n${injected}")
      endif()
      set(data injected.data)
    endif()
    run(report ${PERF} report -i ${data} --stdio)
    file(READ ${FOLDER}/pid pid)
    string(STRIP "${pid}" pid)
    file(REMOVE /tmp/perf-${pid}.map)
    if(report MATCHES "${expected}")
      break()
    endif()
  endforeach()
  if(NOT report MATCHES "${expected}")
    message(FATAL_ERROR "no '${expected}' in\n${report}")
  endif()
  set(${out} ${data} PARENT_SCOPE)
endfunction()

set(skipped FALSE)
sample(data perfmap "spin!memory \\[baseline\\]")
if(skipped)
  return()
endif()
sample(data jitdump "jitted-[^\n]*\\.so +[^\n]*spin!memory \\[baseline\\]")
# What scripts and flame graphs are made of.
run(scripted ${PERF} script -i ${data} -F ip,sym)
if(NOT status EQUAL 0 OR NOT scripted MATCHES "spin!memory \\[baseline\\]")
  message(FATAL_ERROR "perf script names no baseline code:\n${scripted}")
endif()
# Lines are offsets in the image.
run(annotated ${PERF} annotate -i ${data} --stdio -s "spin!memory [baseline]")
if(NOT annotated MATCHES "spin:[0-9]+")
  message(FATAL_ERROR "no lines in\n${annotated}")
endif()
file(REMOVE_RECURSE ${FOLDER})
message("perf names baseline code by its map and by jitdump")
