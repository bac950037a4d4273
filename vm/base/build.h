// Which build of vmrun this is.
#pragma once

#include <string_view>

namespace vmrun::vm {

/// 64 hexadecimal digits: the hash of all sources that decide what compiled code looks like and what it finds at run time,
/// of the compiler and its settings (cmake/BuildId.cmake). Equal ones understand each other's stored code.
std::string_view build_id();

}  // namespace vmrun::vm
