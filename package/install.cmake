# What `cmake --install` puts where, and the packages that cpack makes of it: a .tar.gz of everything, and two for Debian,
# `vmrun` (the command, the shared library, the plug-ins) and `vmrun-dev`.
include(CMakePackageConfigHelpers)
set(plugins ${CMAKE_INSTALL_LIBDIR}/vmrun)  # vm/base/plugin.cpp looks there
set(docs ${CMAKE_INSTALL_DATADIR}/doc/vmrun)

# ---- to run ----

if(VMRUN_TOOL)
  install(TARGETS vmrun RUNTIME COMPONENT runtime)
endif()
install(TARGETS vmrun_shared LIBRARY COMPONENT runtime NAMELINK_COMPONENT development)
install(TARGETS vmrun-opt vmrun-pool LIBRARY DESTINATION ${plugins} COMPONENT runtime)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/LICENSE-APACHE ${PROJECT_SOURCE_DIR}/LICENSE-MIT
              ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_SOURCE_DIR}/README.md
        DESTINATION ${docs} COMPONENT runtime)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${docs} RENAME copyright COMPONENT runtime)  # Debian's name for it

# ---- to build with ----

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(FILES ${static_library} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs ${PROJECT_SOURCE_DIR}/examples DESTINATION ${docs} COMPONENT development)

set(config ${CMAKE_INSTALL_LIBDIR}/cmake/vmrun)
set(include_folder ${CMAKE_INSTALL_INCLUDEDIR})
set(library_folder ${CMAKE_INSTALL_LIBDIR})
configure_package_config_file(config.cmake.in ${PROJECT_BINARY_DIR}/vmrun-config.cmake INSTALL_DESTINATION ${config}
                              PATH_VARS include_folder library_folder NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0 each minor version may change what the library shows.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vmrun-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/vmrun-config.cmake ${PROJECT_BINARY_DIR}/vmrun-config-version.cmake
        DESTINATION ${config} COMPONENT development)

file(RELATIVE_PATH to_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" to_prefix "${to_prefix}")
configure_file(vmrun.pc.in ${PROJECT_BINARY_DIR}/vmrun.pc @ONLY)
configure_file(vmrun-static.pc.in ${PROJECT_BINARY_DIR}/vmrun-static.pc @ONLY)  # -lvmrun would mean the shared one
install(FILES ${PROJECT_BINARY_DIR}/vmrun.pc ${PROJECT_BINARY_DIR}/vmrun-static.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

# ---- packages ----

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME vmrun)
set(CPACK_PACKAGE_VENDOR "the vmrun authors")
set(CPACK_PACKAGE_CONTACT "the vmrun authors <vmrun@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Virtual machine for WebAssembly images")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime development)
set(CPACK_ARCHIVE_COMPONENT_INSTALL OFF)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME vmrun)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "The command, the shared library and its plug-ins.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION interpreters)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME vmrun-dev)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "Headers for C++ and C, the static library, files for CMake and pkg-config, documents and examples.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "vmrun (= ${PROJECT_VERSION}), libstdc++-12-dev | libstdc++-dev")
include(CPack)
