# usage: cmake -DLD=.. -DNM=.. -DOBJCOPY=.. -DAR=.. -DARCHIVES=a;b -DMORE=c;d -DSHARED=libvmrun.so -DOUTPUT=libvmrun.a -P static.cmake
# Makes OUTPUT of all that is in ARCHIVES and of what these need of MORE, with the symbols that SHARED shows.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${said}")
  endif()
  set(said "${said}" PARENT_SCOPE)
endfunction()

run(${NM} -D --defined-only --format=posix ${SHARED})
string(REGEX REPLACE "(^|\n)([^ @\n]+)[^\n]*" "\\2\n" names "${said}")
string(REGEX REPLACE "VMRUN_[0-9.]+\n" "" names "${names}")
file(WRITE ${OUTPUT}.names "${names}")

run(${LD} -r --force-group-allocation -o ${OUTPUT}.o --whole-archive ${ARCHIVES} --no-whole-archive --start-group ${MORE} --end-group)
run(${OBJCOPY} --keep-global-symbols=${OUTPUT}.names ${OUTPUT}.o)
file(REMOVE ${OUTPUT})
run(${AR} rcs ${OUTPUT} ${OUTPUT}.o)
file(REMOVE ${OUTPUT}.o)
