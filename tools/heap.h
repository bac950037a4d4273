// How the process's memory for small things is had, where an image is large.
#pragma once

#include <string>

namespace vmrun::tools {

/// A large image has tens of thousands of functions, each with some records: a few megabytes, of which a start touches nearly
/// all. From 8 MiB on, that memory comes from the system at once and, where it has them, in large pages. For the main
/// thread, before the image is loaded; whatever fails, all is as usual.
void prepare_heap(const std::string& image);

}  // namespace vmrun::tools
