# usage: cmake -DVMRUN=FOLDER -DPARENT=FOLDER -DWORK=FOLDER -DCC=.. -DCXX=.. -DGENERATOR=.. -P subdirectory.cmake
# Configures PARENT with VMRUN as its subdirectory, for either kind of library, and asks what its program would wait for.
file(REMOVE_RECURSE ${WORK})
# By FetchContent, as the document says, but for where it comes from.
include(${CMAKE_CURRENT_LIST_DIR}/blocks.cmake)
doc_project(${DOCUMENT} FetchContent ${WORK}/document)
execute_process(COMMAND ${CMAKE_COMMAND} -S ${WORK}/document -B ${WORK}/document/build -G ${GENERATOR} -DCMAKE_C_COMPILER=${CC}
                        -DCMAKE_CXX_COMPILER=${CXX} -DFETCHCONTENT_SOURCE_DIR_VMRUN=${VMRUN}
                RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${said}")
endif()

foreach(shared OFF ON)
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${PARENT} -B ${WORK} -G ${GENERATOR} -DVMRUN=${VMRUN} -DCMAKE_C_COMPILER=${CC}
                          -DCMAKE_CXX_COMPILER=${CXX} -DVMRUN_SHARED=${shared}
                  RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${said}")
  endif()
  if(GENERATOR STREQUAL Ninja)
    execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK} -- -t commands hello OUTPUT_VARIABLE said ERROR_VARIABLE said)
    set(library "libvmrun[.]a")
    if(shared)
      set(library "libvmrun[.]so")
    endif()
    foreach(part vmrun-opt[.]so vmrun-pool[.]so "${library}")
      if(NOT said MATCHES "-o [^ ]*${part}|OUTPUT=[^ ]*${part}")
        message(FATAL_ERROR "a program of the parent project does not have ${part} made:\n${said}")
      endif()
    endforeach()
  endif()
endforeach()
file(REMOVE_RECURSE ${WORK})
