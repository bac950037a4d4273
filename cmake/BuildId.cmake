# cmake -DLIST=file -DSETTINGS=text -DOUT=file -P BuildId.cmake: writes the source file that defines vm::build_id(), the
# hash of the sources named in LIST, a line each, and of SETTINGS. Stored code fits only the build that it names, because
# it knows the layouts and the helpers of that build.
file(STRINGS ${LIST} files)
set(all "${SETTINGS}")
foreach(file IN LISTS files)
  file(SHA256 ${file} hash)
  string(APPEND all "\n${hash}")
endforeach()
string(SHA256 id "${all}")
set(text "#include \"vm/base/build.h\"\n\nstd::string_view vmrun::vm::build_id() { return \"${id}\"; }\n")
set(before "")
if(EXISTS ${OUT})
  file(READ ${OUT} before)
endif()
if(NOT text STREQUAL before)
  file(WRITE ${OUT} "${text}")
endif()
