# usage: cmake -DCLANG_FORMAT=PROGRAM -DGIT=PROGRAM -DSOURCE=FOLDER -P format.cmake
# Fails when clang-format would lay out a tracked C or C++ file of SOURCE in another way. Tables (*.def) are laid out by
# hand, in columns.
if(NOT CLANG_FORMAT)
  message("skipped: the layout of files is not checked, clang-format-22 is not installed (apt-get install clang-format-22)")
  return()
endif()
set(status 1)
if(GIT)
  execute_process(COMMAND ${GIT} ls-files -- *.c *.cpp *.h WORKING_DIRECTORY ${SOURCE} RESULT_VARIABLE status
                  OUTPUT_VARIABLE files ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
if(NOT status EQUAL 0 OR files STREQUAL "")
  message("skipped: the layout of files is not checked, ${SOURCE} is no checkout of git")
  return()
endif()
string(REPLACE "\n" ";" files "${files}")
execute_process(COMMAND ${CLANG_FORMAT} --dry-run -Werror ${files} WORKING_DIRECTORY ${SOURCE} RESULT_VARIABLE status)
list(LENGTH files count)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "files are laid out otherwise than .clang-format says; clang-format-22 -i FILE mends one")
endif()
message("${count} files are laid out as .clang-format says")
