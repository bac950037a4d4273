# Guest code made by the build: text fixtures (wat2wasm) and C or C++ programs (clang for wasm32-wasi).
#
# vmrun_wat(SOURCE OUTPUT)                          a rule that makes the image OUTPUT from the text file SOURCE
# vmrun_wasm_program(OUTPUT SOURCES s... [FLAGS f...])  a rule that makes the WASI program OUTPUT from C or C++ sources
#
# Both only state rules: let a custom target depend on the outputs. VMRUN_WAT2WASM and VMRUN_WASM_CC are empty or false
# when the machine cannot make them; ask before calling. --no-wasm-opt: the images must not depend on whether binaryen
# is installed.

find_program(VMRUN_WAT2WASM wat2wasm DOC "wabt's text to binary translator")

# Debian keeps the C headers and libraries of wasm32-wasi under /usr, which is what --sysroot=/usr means.
set(VMRUN_WASM_SYSROOT /usr CACHE PATH "Sysroot with include/wasm32-wasi and lib/wasm32-wasi")
set(VMRUN_WASM_CC "")
if(EXISTS ${VMRUN_WASM_SYSROOT}/lib/wasm32-wasi/libc.a)
  set(VMRUN_WASM_CC ${CMAKE_C_COMPILER})
  set(VMRUN_WASM_CXX ${CMAKE_CXX_COMPILER})
endif()

# Not --enable-all: that switches on drafts of later proposals, which change the meaning of older instructions.
set(VMRUN_WAT_FEATURES --enable-exceptions --enable-threads --enable-tail-call --enable-memory64 --enable-multi-memory
                       --enable-extended-const --enable-relaxed-simd)

function(vmrun_wat source output)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${VMRUN_WAT2WASM} ${VMRUN_WAT_FEATURES} --debug-names ${source} -o ${output}
    DEPENDS ${source}
    COMMENT "wat2wasm ${output}"
    VERBATIM)
endfunction()

function(vmrun_wasm_program output)
  cmake_parse_arguments(ARG "" "" "SOURCES;FLAGS" ${ARGN})
  set(compiler ${VMRUN_WASM_CC})
  foreach(source IN LISTS ARG_SOURCES)
    if(source MATCHES "\\.(cpp|cc|cxx)$")
      set(compiler ${VMRUN_WASM_CXX} -fno-exceptions)
    endif()
  endforeach()
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${compiler} --target=wasm32-wasi --sysroot=${VMRUN_WASM_SYSROOT} --no-wasm-opt -Wno-deprecated -O3 ${ARG_FLAGS} ${ARG_SOURCES} -o ${output}
    DEPENDS ${ARG_SOURCES}
    COMMENT "wasm32-wasi ${output}"
    VERBATIM)
endfunction()
