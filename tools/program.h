// An image, and what one run of it needs: what is granted, linked, instantiated and called.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/run_options.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

namespace vmrun::tools {

/// The modules of --preload, with the names that they are offered as.
using Preloads = std::vector<std::pair<std::string, Module>>;

/// An image with what stays the same however often it is run. Guests of it may run at the same time.
struct Program {
  const RunOptions& options;
  std::string image;  // as on the command line
  std::string name;   // without its folders: what its guests are called
  Engine engine;
  Module module;
  Preloads preloads;
  std::vector<std::string> argv;
  Args args{};           // those of the command line, for --invoke
  bool invokes = false;  // --invoke is about this image
  bool is_also = false;  // named by --also
  bool needs_wasi = false;
  bool starts_threads = false;  // which are tasks: its first thread runs in one, too
};

/// Errors: those of load_image.
Result<Preloads> load_preloads(const RunOptions& options, const Engine& engine);
/// `image`, whose argv is its name alone. Errors: those of load_image.
Result<Program> load_program(const RunOptions& options, const Engine& engine, std::string_view image,
                             const Preloads& preloads);

/// Puts what was compiled of the images into the cache, if there is one.
void store_code(const Program& program);

/// What would be wrong of each run alike: there is nothing to call, or ARGS do not fit. Errors: Usage.
Result<void> check_entry(const Program& program);

/// Links and instantiates everything; the instance is the program's. Errors say what can be done about them.
Result<Instance> instantiate(const Program& program, Linker& linker, Store& store, const WasiConfig& wasi);

/// The same of a program that is started again and again.
Result<Instance> instantiate_quickly(const Program& program, Store& store, const WasiConfig& wasi);

/// Calls what --invoke names, or the program's entry. What is to be printed: the results, a line each.
Result<std::string> run_entry(const Program& program, const Instance& instance);

}  // namespace vmrun::tools
