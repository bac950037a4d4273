# vmrun_library(NAME [ROOMS room...] [DEPENDS lib...] [LINK lib...]): the library of this folder, from its .cpp files and
# those of its rooms. DEPENDS names the project's folders that it may include. ROOMS are its subfolders, lowest first: what
# lies in a room may include that room, the rooms before it and the folder itself. The target is vmrun_NAME, which meets no
# target of a project that has this one as a subdirectory; by itself the project calls it NAME, too.
function(vmrun_library name)
  cmake_parse_arguments(ARG "" "" "ROOMS;DEPENDS;LINK" ${ARGN})
  set(folders . ${ARG_ROOMS})
  list(TRANSFORM folders PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  list(TRANSFORM folders APPEND /*.cpp OUTPUT_VARIABLE source_globs)
  list(TRANSFORM folders APPEND /*.h OUTPUT_VARIABLE header_globs)
  list(TRANSFORM folders APPEND /*.def OUTPUT_VARIABLE table_globs)
  file(GLOB sources CONFIGURE_DEPENDS ${source_globs})
  file(GLOB headers CONFIGURE_DEPENDS ${header_globs} ${table_globs})
  add_library(vmrun_${name} STATIC ${sources})
  target_include_directories(vmrun_${name} PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  list(TRANSFORM ARG_DEPENDS PREPEND vmrun_ OUTPUT_VARIABLE depends)
  target_link_libraries(vmrun_${name} PUBLIC ${depends} PRIVATE vmrun_flags ${ARG_LINK})
  if(PROJECT_IS_TOP_LEVEL)
    add_library(${name} ALIAS vmrun_${name})
  endif()
  set_property(GLOBAL APPEND PROPERTY VMRUN_LIBRARIES vmrun_${name})

  vmrun_unity(vmrun_${name})

  get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  vmrun_check_includes(FILES ${sources} ${headers} MAY ${folder} ${ARG_DEPENDS} ROOMS ${ARG_ROOMS})
endfunction()

# vmrun_unity(TARGET): sources of the target are compiled eight at a time, where VMRUN_UNITY says so. Names in unnamed
# namespaces must differ within a folder. Sources with options of their own (the interpreter's handlers) stay alone, and so
# do those of a processor: the compiler sees no call in their assembly, and would conclude that it throws nothing.
function(vmrun_unity target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${VMRUN_UNITY} UNITY_BUILD_BATCH_SIZE 8)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "_x86_64\\.cpp$")
  if(sources)
    set_source_files_properties(${sources} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()

# vmrun_check_includes(FILES file... MAY folder... [ROOMS room...]): fails the configure step where a file includes what lies
# in none of the folders, or in a higher room than its own. Every folder may include vmrun/base, the public headers that
# need nothing else; only who stands above the engine may include the others.
function(vmrun_check_includes)
  cmake_parse_arguments(ARG "" "" "FILES;MAY;ROOMS" ${ARGN})
  if("engine" IN_LIST ARG_MAY)
    list(APPEND ARG_MAY vmrun)
  endif()
  list(GET ARG_MAY 0 own)
  foreach(file IN LISTS ARG_FILES)
    get_filename_component(room ${file} DIRECTORY)
    get_filename_component(room ${room} NAME)
    list(FIND ARG_ROOMS "${room}" height)
    file(STRINGS ${file} includes REGEX "^#include \"[a-z]+/")
    foreach(line IN LISTS includes)
      string(REGEX REPLACE "^#include \"([a-z]+)/.*" "\\1" target "${line}")
      if(NOT target IN_LIST ARG_MAY AND NOT line MATCHES "\"vmrun/base/")
        message(SEND_ERROR "${file}: ${line}: ${own}/ may include only vmrun/base and: ${ARG_MAY}")
      elseif(height GREATER -1 AND line MATCHES "\"${own}/([a-z]+)/")
        list(FIND ARG_ROOMS "${CMAKE_MATCH_1}" other)
        if(other GREATER height)
          message(SEND_ERROR "${file}: ${line}: ${own}/${room} may not include a higher room; from the lowest: ${ARG_ROOMS}")
        endif()
      endif()
    endforeach()
  endforeach()
endfunction()
