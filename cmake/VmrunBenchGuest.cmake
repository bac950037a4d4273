# vmrun_bench_guest(NAME SOURCES s... SAYS TEXT [FLAGS f...] [WASM_FLAGS f...] [DIRECTORY] [VECTORISED] [NEEDS proposal...] [WASM_SOURCES s...])
#
# One guest program of the benchmarks: the same sources with the same flags (-O3 and FLAGS) as a WASI image, as a native
# program, and as a native program with the compiler's vectoriser off (it tells how much of a ratio is vectorisation).
# WASM_FLAGS go to the image alone: the instructions it may use, and support code the packaged libraries lack. DIRECTORY
# says that the program reads and writes files; VECTORISED that its native twin works with vectors whatever the
# compiler does; NEEDS names the proposals beyond the first release that an engine must
# have. Each call adds a row to the manifest, which
# vmrun_bench_manifest() writes; bench/compare reads it. --no-wasm-opt: the images must not depend on whether binaryen is
# installed, and its older versions cannot read the final exception instructions.
set(VMRUN_BENCH_GUESTS ${CMAKE_BINARY_DIR}/bench/guests)
set_property(GLOBAL PROPERTY VMRUN_BENCH_ROWS "")
set_property(GLOBAL PROPERTY VMRUN_BENCH_OUTPUTS "")

set(VMRUN_BENCH_FLAGS -O3 -ffp-contract=off -fno-exceptions -Wall -Wextra -Werror -I${CMAKE_CURRENT_SOURCE_DIR})

function(vmrun_bench_guest name)
  cmake_parse_arguments(ARG "DIRECTORY;VECTORISED" "SAYS" "SOURCES;FLAGS;WASM_FLAGS;WASM_SOURCES;NEEDS" ${ARGN})
  list(TRANSFORM ARG_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  list(TRANSFORM ARG_WASM_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  set(native_libraries -lm)
  set(wasm_libraries "")
  if(ARG_SOURCES MATCHES "\\.cpp")
    # The C driver compiles each source as its own language, so the C++ libraries are named here.
    set(native_libraries -lstdc++ -lm)
    set(wasm_libraries -lc++ -lc++abi)
  endif()
  set(image ${VMRUN_BENCH_GUESTS}/wasm/${name}.wasm)
  set(native ${VMRUN_BENCH_GUESTS}/native/${name})
  set(scalar ${VMRUN_BENCH_GUESTS}/native-scalar/${name})
  file(GLOB support CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/support/*)

  add_custom_command(
    OUTPUT ${image}
    COMMAND ${CMAKE_C_COMPILER} --target=wasm32-wasi --sysroot=/usr --no-wasm-opt -Wno-deprecated ${VMRUN_BENCH_FLAGS} ${ARG_FLAGS}
            ${ARG_WASM_FLAGS} ${ARG_SOURCES} ${ARG_WASM_SOURCES} ${wasm_libraries} -Wl,--strip-debug,--compress-relocations -o ${image}
    DEPENDS ${ARG_SOURCES} ${ARG_WASM_SOURCES} ${support}
    COMMENT "Guest ${name}.wasm" VERBATIM)
  add_custom_command(
    OUTPUT ${native}
    COMMAND ${CMAKE_C_COMPILER} ${VMRUN_BENCH_FLAGS} ${ARG_FLAGS} ${ARG_SOURCES} ${native_libraries} -o ${native}
    DEPENDS ${ARG_SOURCES} ${support}
    COMMENT "Guest ${name}, native" VERBATIM)
  add_custom_command(
    OUTPUT ${scalar}
    COMMAND ${CMAKE_C_COMPILER} ${VMRUN_BENCH_FLAGS} -fno-vectorize -fno-slp-vectorize ${ARG_FLAGS} ${ARG_SOURCES}
            ${native_libraries} -o ${scalar}
    DEPENDS ${ARG_SOURCES} ${support}
    COMMENT "Guest ${name}, native without the vectoriser" VERBATIM)

  list(JOIN ARG_NEEDS "\", \"" needs)
  if(needs)
    set(needs "\"${needs}\"")
  endif()
  list(JOIN ARG_FLAGS " " flags)
  list(JOIN ARG_WASM_FLAGS " " wasm_flags)
  set(directory false)
  if(ARG_DIRECTORY)
    set(directory true)
  endif()
  set(vectorised false)
  if(ARG_VECTORISED)
    set(vectorised true)
  endif()
  set_property(GLOBAL APPEND PROPERTY VMRUN_BENCH_ROWS
    "{\"name\": \"${name}\", \"says\": \"${ARG_SAYS}\", \"directory\": ${directory}, \"vectorised\": ${vectorised}, \"needs\": [${needs}], \"flags\": \"${flags}\", \"wasm_flags\": \"${wasm_flags}\"}")
  set_property(GLOBAL APPEND PROPERTY VMRUN_BENCH_OUTPUTS ${image} ${native} ${scalar})
endfunction()

# Writes guests/manifest.json into the build folder and adds the target `bench_guests`, which builds every guest.
function(vmrun_bench_manifest)
  file(MAKE_DIRECTORY ${VMRUN_BENCH_GUESTS}/wasm ${VMRUN_BENCH_GUESTS}/native ${VMRUN_BENCH_GUESTS}/native-scalar)
  get_property(rows GLOBAL PROPERTY VMRUN_BENCH_ROWS)
  get_property(outputs GLOBAL PROPERTY VMRUN_BENCH_OUTPUTS)
  list(JOIN rows ",\n  " rows)
  list(JOIN VMRUN_BENCH_FLAGS " " flags)
  string(REPLACE "-I${CMAKE_CURRENT_SOURCE_DIR}" "-I." flags "${flags}")
  file(CONFIGURE OUTPUT ${VMRUN_BENCH_GUESTS}/manifest.json @ONLY CONTENT
    "{\"compiler\": \"@CMAKE_C_COMPILER@ @CMAKE_C_COMPILER_VERSION@\", \"flags\": \"@flags@\", \"guests\": [\n  @rows@\n]}\n")
  add_custom_target(bench_guests ALL DEPENDS ${outputs})
endfunction()
