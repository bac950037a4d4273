// What `vmrun run` can be told: its options and the keys of the groups -W, -O, -S and -D, each a row of a table from
// which parsing, help and docs/cli.md come.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/options.h"
#include "vmrun/engine.h"
#include "vmrun/profile.h"
#include "vmrun/store.h"

namespace vmrun::tools {

struct RunOptions {
  Config config;
  StoreLimits limits;
  std::optional<std::string> invoke;
  std::optional<std::string> argv0;
  struct Dir {
    std::string host;
    std::string guest;                    // the name that the guest knows it by
    std::optional<std::string> absolute;  // one more, that was not asked for
    bool read_only = false;
  };
  std::vector<Dir> dirs;
  std::vector<std::pair<std::string, std::string>> preloads;  // name, image
  struct Variable {
    std::string name;
    std::optional<std::string> value;  // none: as it is in this process
  };
  std::vector<Variable> env;
  bool stats = false;
  std::optional<CodeTool> profile;
  /// --profile=guest
  struct GuestSamples {
    std::string file = "vmrun-guest-profile.json";
    std::chrono::nanoseconds interval = std::chrono::milliseconds(10);
    ProfileFormat format = ProfileFormat::Speedscope;
  };
  std::optional<GuestSamples> guest_samples;
  /// --profile=FILE.json
  struct Dump {
    std::string file;
    std::optional<std::chrono::nanoseconds> every;
  };
  std::optional<Dump> dump;
  std::optional<uint64_t> repeat;
  /// Compiled images are made with it, or run only if their MAC is right under it.
  std::optional<MacKey> mac_key;
  std::string mac_key_file;
  bool allow_precompiled = false;  // the code of compiled images is run, whatever their names and modes

  // -O
  struct Cache {
    enum class Mode : uint8_t { on, off, read } mode = Mode::on;
    std::string folder;  // empty: the user's
    std::optional<uint64_t> bytes;
    bool asked_for = false;  // -O says something of it
  } cache;
  bool dense_memory_max = false;  // config.dense_memory_max_bytes was given

  // -W
  std::optional<std::chrono::nanoseconds> timeout;
  bool stack_asked_for = false;  // limits.stack_bytes was given
  bool unknown_imports_trap = false;
  // -S
  bool wasi = true;
  bool inherit_env = false;
  bool listenfd = false;
  std::vector<std::string> tcplisten;
  std::optional<uint64_t> random_seed;
  std::optional<uint32_t> max_descriptors;
  bool threads = true;
  std::optional<uint32_t> max_threads;
  // -D
  bool gdb = false;
  bool debug_info = false;
  std::optional<std::string> metrics;  // an address, or unix:PATH

  // Guests on a scheduler, beside each other.
  struct Many {
    struct Also {
      std::string image;
      std::vector<std::string> args;
    };
    std::vector<Also> also;
    std::optional<uint32_t> instances;  // of the image
    unsigned workers = 0;               // 0: one for each processor
    bool pin = false;

    bool wanted() const { return !also.empty() || instances || workers != 0 || pin; }
  } many;

  // `vmrun bench` alone.
  struct Bench {
    std::vector<std::string> tiers;  // none: auto, interp, baseline, opt
    std::vector<std::string> peers;
    std::chrono::nanoseconds time = std::chrono::seconds(3);  // of each setting
    size_t iterations = 10'000;                               // of each, at most
    std::string json, svg;
  } bench;
  // `vmrun compile` alone.
  struct Compile {
    std::string output;
    bool all_opt = false;
    std::string processor, profile;
  } compile;

  // `vmrun serve` alone.
  struct Serve {
    std::optional<std::string> tcp, http;
    unsigned workers = 0;
    bool pin = false;
    std::string io = "auto";
    std::optional<uint32_t> instances, connections;
    std::optional<uint64_t> max_body, max_response;
    std::optional<std::chrono::nanoseconds> idle, grace;
    bool quiet = false;
  } serve;
};

std::span<const OptionRow<RunOptions>> run_rows();
/// Those of `vmrun serve`: its own, and those of run that mean something for guests that are started for each request.
std::span<const OptionRow<RunOptions>> serve_rows();

/// Those of `vmrun compile`.
std::span<const OptionRow<RunOptions>> compile_rows();

/// Gives the engine the cache that -O cache asks for.
void settle_cache(RunOptions& options);

/// Refuses options that do nothing beside others, two directories of one name and a standard input that is read twice.
/// `image` as on the command line. Errors: Usage.
Result<void> check_together(RunOptions& options, std::string_view image);

/// Arguments that stand behind an image, where those that are options of `vmrun run` should stand before it.
struct Misplaced {
  std::string options;  // each after a blank, quoted where a shell asks for it; with their values
  std::string others;
  bool invokes = false;  // --invoke is one of the options
};
Misplaced sort_arguments(Args args);

/// --mac-key, also an option of `vmrun compile`.
Result<void> set_mac_key(RunOptions& options, std::string_view file);
/// -O inline, also an option of `vmrun wast`.
Result<void> set_inline(RunOptions& options, std::string_view value);
/// -O effort, also an option of `vmrun wast`.
Result<void> set_effort(RunOptions& options, std::string_view value);
/// -O tier, likewise.
Result<void> set_tier(RunOptions& options, std::string_view value);

}  // namespace vmrun::tools
