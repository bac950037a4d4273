// Which functions of an image are worth optimised code, by a dump of --profile=FILE.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/module.h"

namespace vmrun::tools {

/// Functions by index, the one that takes most of the time first. Together they took all but a hundredth of what the dump
/// has of the image; and no more of them than compile in some two minutes of processor time. A function so small that the
/// optimiser puts it in place of its calls counts for who calls it. Errors: those of read_dump, Usage (the dump is of
/// another image, or has nothing of it).
Result<std::vector<uint32_t>> hot_functions(const std::string& dump, const std::string& image, const Module& module);

}  // namespace vmrun::tools
