// Whether what a command is to write is one of the files that it reads.
#pragma once

#include <filesystem>
#include <string>

namespace vmrun::tools {

/// Whether both paths lead to one file that exists, by whatever names or links.
inline bool same_file(const std::string& a, const std::string& b) {
  std::error_code none;
  return a == b || std::filesystem::equivalent(a, b, none);
}

}  // namespace vmrun::tools
