// vmrun compile: an image with the machine code of its functions, as a file.
#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <vector>

#include "tools/commands.h"
#include "tools/hot_functions.h"
#include "tools/image.h"
#include "tools/report.h"
#include "tools/run_options.h"
#include "tools/same_file.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

using Row = OptionRow<RunOptions>;

constexpr Row kCompileOptions[] = {
    {'o', "output", "FILE", "the compiled image, by habit called NAME.cwasm",
     [](RunOptions& o, std::string_view v) -> Result<void> { return o.compile.output = v, Result<void>(); }},
    {0, "all-opt", nullptr,
     "optimised code of all functions, by all processors, instead of baseline code: slow to make",
     [](RunOptions& o, std::string_view) -> Result<void> { return o.compile.all_opt = true, Result<void>(); }},
    {0, "profile", "FILE",
     "optimised code of the functions that take the time in FILE, a dump of run --profile=FILE.json, and baseline\n"
     "code of the others",
     [](RunOptions& o, std::string_view v) -> Result<void> { return o.compile.profile = v, Result<void>(); }},
    {0, "target-cpu", "NAME",
     "the processor that optimised code is for: x86-64-v3 (all that vmrun runs on), native (this one: the default)\n"
     "or another one by LLVM's name; 'help' lists them. Baseline code is for all",
     [](RunOptions& o, std::string_view v) -> Result<void> { return o.compile.processor = v, Result<void>(); }},
    {0, "mac-key", "FILE",
     "append a MAC (HMAC-SHA-256) under the key in FILE, for run --mac-key: 'head -c 32 /dev/urandom > FILE' makes one",
     set_mac_key},
};

/// Shows how far it is, on a terminal.
std::function<bool(uint32_t, uint32_t)> progress() {
  if (isatty(STDERR_FILENO) == 0) return {};
  return [shown = -1](uint32_t done, uint32_t all) mutable {
    const int percent = static_cast<int>(uint64_t{100} * done / all);
    if (percent != shown) std::fprintf(stderr, "\r%u of %u functions%s", done, all, done == all ? "\n" : "");
    shown = percent;
    return true;
  };
}

/// What --target-cpu takes.
int list_processors() {
  auto names = known_processors();
  if (!names) return fail(names.error());
  std::printf("native\n");
  for (const std::string& name : *names) std::printf("%s\n", name.c_str());
  return kExitOk;
}

/// What the file has, in a line.
void tell(const std::string& file) {
  auto info = describe_compiled_image(file);
  if (!info) return;
  unsigned long long functions[3] = {}, bytes = 0;
  for (const StoredUnit& unit : info->units) {
    ++functions[static_cast<unsigned>(unit.tier)];
    bytes += unit.bytes;
  }
  std::printf("%s: %llu functions of baseline and %llu of optimised code, %llu bytes; image and all: %llu bytes\n",
              printable(file).c_str(), functions[1], functions[2], bytes,
              static_cast<unsigned long long>(info->file_bytes));
  if (info->this_processor) return;
  std::string lacks;
  for (const std::string& name : info->lacks) lacks += (lacks.empty() ? "" : ", ") + name;
  std::printf("it will not run here: this processor has no %s\n", lacks.c_str());
}

}  // namespace

std::span<const Row> compile_rows() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> all(std::begin(kCompileOptions), std::end(kCompileOptions));
    for (const Row& row : run_rows()) {
      const std::string_view name = row.name;
      if (name == "wasm" || name == "optimize" || name == "debug") all.push_back(row);
    }
    return all;
  }();
  return rows;
}

std::string compile_options_help(bool markdown) {
  // The groups are those of run.
  const auto own = compile_rows().first(std::size(kCompileOptions));
  return markdown ? options_markdown(own) + "\nand -W, -O and -D of `vmrun run`: code fits runs with the same -O.\n"
                  : options_help(compile_rows());
}

int compile_command(Args args) {
  RunOptions options;
  auto parsed = parse(compile_rows(), options, args, false);
  if (!parsed) return fail_usage(parsed.error().message, "compile");
  if (parsed->help) return print_help("compile");
  if (!parsed->group_help.empty()) {
    std::fputs(parsed->group_help.c_str(), stdout);
    return kExitOk;
  }
  if (options.compile.processor == "help") return list_processors();
  if (parsed->positional.size() != 1) return fail_usage("compile needs one image", "compile");
  const std::string& output = options.compile.output;
  if (output.empty()) return fail_usage("where to? -o FILE.cwasm", "compile");
  if (options.config.tiers == Tiers::Interp) {
    return fail_usage("-O tier=interp makes no machine code: leave it out", "compile");
  }
  if (options.compile.all_opt && !options.compile.profile.empty()) {
    return fail_usage("--all-opt optimises what --profile would choose from: leave one of them out", "compile");
  }
  if (options.metrics) return fail_usage("-D metrics is for run and serve: leave it out", "compile");
  const std::string image(parsed->positional[0]);
  if (same_file(image, output) && !is_compiled(image)) {  // which may be renewed: it has the image inside
    return fail_usage("the compiled image would take the place of '" + image + "': name another file with -o",
                      "compile");
  }
  if (auto fit = check_together(options, image); !fit) return fail_usage(fit.error().message, "compile");
  // Of what is compiled already the image alone is taken: it may be another build's.
  auto module = load_image(Engine(options.config), image, StoredTrust::Image);
  if (!module) return fail(module.error());
  SerializeOptions what;
  what.code = options.compile.all_opt ? SerializeOptions::Code::Opt : SerializeOptions::Code::Baseline;
  what.progress = progress();
  what.key = options.mac_key;
  what.processor = options.compile.processor;
  if (!options.compile.profile.empty()) {
    auto hot = hot_functions(options.compile.profile, image, *module);
    if (!hot) return fail(hot.error());
    what.optimised = std::move(*hot);
  }
  if (auto written = module->serialize_file(output, what); !written) return fail(written.error());
  tell(output);
  return kExitOk;
}

}  // namespace vmrun::tools
