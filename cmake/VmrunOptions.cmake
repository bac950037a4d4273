# Build-wide settings: language level, warnings, sanitizers, ccache. They hold in this folder and below it: a project that
# has this one as a subdirectory keeps its own, and gets the library alone.
option(VMRUN_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(VMRUN_BENCH "Build the benchmarks and the guest programs" ${PROJECT_IS_TOP_LEVEL})
option(VMRUN_TOOL "Build the vmrun command" ${PROJECT_IS_TOP_LEVEL})
option(VMRUN_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(VMRUN_INSTALL "Make rules for cmake --install and cpack" ${PROJECT_IS_TOP_LEVEL})
option(VMRUN_WERROR "Treat warnings as errors" ${PROJECT_IS_TOP_LEVEL})
option(VMRUN_ASSERTIONS "Check internal invariants at run time (always on in Debug builds)" OFF)
set(VMRUN_SANITIZE "" CACHE STRING "Sanitizers, such as address,undefined or thread")
option(VMRUN_UNITY "Compile eight sources of a library at once: half of the time" ON)
option(VMRUN_COVERAGE "Instrument for llvm-cov" OFF)
option(VMRUN_FUZZ "Build the libFuzzer targets with full instrumentation" OFF)

if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 22)
  message(FATAL_ERROR "vmrun needs clang 22 or newer (preserve_none and musttail); configure with a preset or with "
                      "-DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22. Programs on an installed vmrun may "
                      "use other compilers: docs/install.md")
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE AND PROJECT_IS_TOP_LEVEL)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
elseif(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)  # here alone
endif()

find_program(VMRUN_CCACHE ccache)
if(VMRUN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${VMRUN_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${VMRUN_CCACHE})
endif()

# vmrun_flags is what everything is compiled with, and vmrun_plain_flags the same without sanitizers and assertions: for
# the interpreter's handlers, which are the same in every configuration and take the longest to compile. A library shows
# what the public headers declare; a test may put a function of its own in the C library's place, for all to see.
set(is_library $<NOT:$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>>)
foreach(flags vmrun_plain_flags vmrun_flags)
  add_library(${flags} INTERFACE)
  target_include_directories(${flags} INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_compile_options(${flags} INTERFACE -Wall -Wextra -ffp-contract=off -fno-omit-frame-pointer)
  target_compile_options(${flags} INTERFACE "$<${is_library}:-fvisibility=hidden>"
                         "$<$<AND:${is_library},$<COMPILE_LANGUAGE:CXX>>:-fvisibility-inlines-hidden>")
  if(VMRUN_WERROR)
    target_compile_options(${flags} INTERFACE -Werror)
  endif()
  if(VMRUN_SANITIZE AND flags STREQUAL "vmrun_flags")
    target_compile_options(${flags} INTERFACE -fsanitize=${VMRUN_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(${flags} INTERFACE -fsanitize=${VMRUN_SANITIZE})
    # Exceptions' cells are found by references on the stack. Frames that the sanitizer keeps elsewhere would hide them.
    if(VMRUN_SANITIZE MATCHES "address")
      target_compile_options(${flags} INTERFACE -fsanitize-address-use-after-return=never)
    endif()
  endif()
  if(VMRUN_FUZZ)
    target_compile_options(${flags} INTERFACE -fsanitize=fuzzer-no-link)
  endif()
  if(VMRUN_COVERAGE)
    target_compile_options(${flags} INTERFACE -fprofile-instr-generate -fcoverage-mapping)
    target_link_options(${flags} INTERFACE -fprofile-instr-generate)
  endif()
endforeach()
if(VMRUN_ASSERTIONS OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(vmrun_flags INTERFACE VMRUN_ASSERTIONS=1)
endif()
