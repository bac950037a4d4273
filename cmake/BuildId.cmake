# cmake -DLIST=file -DSETTINGS=text -DOUT=file -DNOTE=file -P BuildId.cmake: writes the source file OUT that defines
# vm::build_id(), the hash of the sources named in LIST, a line each, and of SETTINGS; and NOTE, whose object is a note of it
# for plug-ins (vm/base/plugin_file.h). Stored code and plug-ins fit only the build that they name, because they know the
# layouts and the helpers of that build.
file(STRINGS ${LIST} files)
set(all "${SETTINGS}")
foreach(file IN LISTS files)
  file(SHA256 ${file} hash)
  string(APPEND all "\n${hash}")
endforeach()
string(SHA256 id "${all}")
set(note "asm(\".pushsection .note.vmrun,\\\"a\\\",@note\\n.balign 4\\n.long 6, 64, 1\\n.asciz \\\"vmrun\\\"\\n.balign 4\\n\"
    \".ascii \\\"${id}\\\"\\n.popsection\");\n")
set(text "#include \"vm/base/build.h\"\n\nstd::string_view vmrun::vm::build_id() { return \"${id}\"; }\n")
foreach(pair "OUT text" "NOTE note")
  string(REPLACE " " ";" pair "${pair}")
  list(GET pair 0 file)
  list(GET pair 1 wanted)
  set(before "")
  if(EXISTS ${${file}})
    file(READ ${${file}} before)
  endif()
  if(NOT ${wanted} STREQUAL before)
    file(WRITE ${${file}} "${${wanted}}")
  endif()
endforeach()
