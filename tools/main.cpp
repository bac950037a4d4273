// The vmrun command: picks the subcommand. An image in place of a subcommand is run.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>
#include <system_error>
#include <vector>

#include "tools/commands.h"
#include "tools/nearest.h"
#include "tools/report.h"
#include "tools/streams.h"
#include "vmrun/base/log.h"

namespace vmrun::tools {
namespace {

std::string no_options_help(bool) { return {}; }

constexpr CommandInfo kCommands[] = {
    {"run", "[options] IMAGE [ARGS...]", "run an image; what follows it is the guest's. 'run' itself may be left out.",
     run_command, run_options_help},
    {"serve", "--http ADDRESS|--tcp ADDRESS [options] IMAGE [ARGS...]",
     "run a fresh instance of a WASI program for each HTTP request or TCP connection", serve_command,
     serve_options_help},
    {"report", "[options] FILE...", "make a page of dumps (--profile=FILE.json); of two, with what changed",
     report_command, report_options_help},
    {"top", "[options] [PID]", "look at a vmrun that runs: guests, tiers, processor time, memory, I/O", top_command,
     top_options_help},
    {"bench", "[options] IMAGE [ARGS...]", "measure tiers on an image, from its cold start to its steady state",
     bench_command, bench_options_help},
    {"compile", "IMAGE -o FILE.cwasm [options]",
     "compile an image ahead, for this build of vmrun and this processor; run FILE.cwasm as any image", compile_command,
     compile_options_help},
    {"cache", "[list|size|clear|why-not IMAGE] [options]", "look at or clear what is kept of compiled code",
     cache_command, cache_options_help},
    {"inspect", "[--json] IMAGE", "print an image's sections, types, imports, exports and proposals", inspect_command,
     inspect_options_help},
    {"objdump", "[options] IMAGE", "disassemble an image", objdump_command, objdump_options_help},
    {"wast", "[options] SCRIPT|DIRECTORY...", "run scripts of the WebAssembly test suite (JSON form)", wast_command,
     wast_options_help},
    {"help", "[COMMAND]", "explain a command", help_command, no_options_help},
};

std::string overview() {
  std::string out =
      "vmrun " VMRUN_VERSION ", a WebAssembly virtual machine\n\nusage: vmrun [run] [options] IMAGE [ARGS...]\n";
  out += "       vmrun COMMAND ...\n\ncommands:\n";
  for (const CommandInfo& command : kCommands) out += strf("  %-10s %s\n", command.name, command.summary);
  out += "\noptions of run (each group lists its keys by 'help', as in -W help):\n" + run_options_help(false);
  out += "  -V, --version                   print the version\n";
  return out;
}

const CommandInfo* find_command(const char* name) {
  for (const CommandInfo& command : kCommands) {
    if (std::strcmp(command.name, name) == 0) return &command;
  }
  return nullptr;
}

/// `name` stands in place of a command and of an image, and is neither: not the name of a file, nor like one.
bool is_neither(const char* name) {
  struct stat info;
  return name[0] != '-' && std::strpbrk(name, "./") == nullptr && stat(name, &info) != 0 && errno == ENOENT;
}

std::string hint_for(std::string_view name) {
  std::vector<std::string_view> names;
  for (const CommandInfo& command : kCommands) names.push_back(command.name);
  return command_hint(name, names);
}

bool one_of(const char* arg, std::initializer_list<const char*> list) {
  return std::ranges::any_of(list, [&](const char* known) { return std::strcmp(arg, known) == 0; });
}

/// Nothing is run, and nothing logged.
bool asks_for_help(Args args) {
  if (one_of(args[0], {"help", "--help", "-h", "--version", "-V"})) return true;
  return find_command(args[0]) && args.size() > 1 && one_of(args[1], {"--help", "-h"});
}

int run_main(Args args) {
  if (args.empty()) return fail_usage("no image given");
  if (const char* setting = std::getenv("VMRUN_LOG"); setting && *setting && !asks_for_help(args)) {
    if (auto fine = check_log_setting(setting); !fine) {
      return fail(Error(ErrorKind::Usage, "VMRUN_LOG: " + fine.error().message));
    }
  }
  if (std::strcmp(args[0], "--version") == 0 || std::strcmp(args[0], "-V") == 0) {
    std::printf("vmrun %s\n", VMRUN_VERSION);
    return kExitOk;
  }
  if (std::strcmp(args[0], "--help") == 0 || std::strcmp(args[0], "-h") == 0) return help_command({});
  if (const CommandInfo* command = find_command(args[0])) return command->run(args.subspan(1));
  if (is_neither(args[0])) {
    const std::string name(args[0]);
    return fail_usage("there is no command '" + name + "', and no image of that name" + hint_for(name));
  }
  return run_command(args);
}

int main_command(Args args) try { return run_main(args); } catch (const std::bad_alloc&) {
  std::fputs("vmrun: error: out of memory; give the process more, or the guests less\n", stderr);
  return kExitError;
} catch (const std::system_error& e) {
  if (e.code() != std::errc::resource_unavailable_try_again) return fail(e.what());
  return fail("no thread can be made: see 'ulimit -u', and the memory that is left");
}

}  // namespace

std::span<const CommandInfo> commands() { return kCommands; }

std::string command_help(const CommandInfo& command) {
  std::string out = strf("usage: vmrun %s %s\n%s\n", command.name, command.arguments, command.summary);
  if (const std::string options = command.options(false); !options.empty()) out += "\noptions:\n" + options;
  return out;
}

int print_help(const char* name) {
  const CommandInfo* command = find_command(name);
  if (!command) return fail_usage("there is no command '" + std::string(name) + "'" + hint_for(name));
  std::fputs(command_help(*command).c_str(), stdout);
  return kExitOk;
}

/// The part of docs/cli.md that comes from the tables.
std::string reference() {
  std::string out;
  for (const CommandInfo& command : kCommands) {
    out += strf("\n## vmrun %s\n`vmrun %s %s`: %s\n", command.name, command.name, command.arguments, command.summary);
    if (const std::string options = command.options(true); !options.empty()) out += "\n" + options;
  }
  return out;
}

int help_command(Args args) {
  if (!args.empty() && std::strcmp(args[0], "--markdown") == 0) {
    std::fputs(reference().c_str(), stdout);
    return kExitOk;
  }
  if (!args.empty()) return print_help(args[0]);
  std::fputs(overview().c_str(), stdout);
  return kExitOk;
}

}  // namespace vmrun::tools

int main(int argc, char** argv) {
  using namespace vmrun::tools;
  occupy_closed_streams();
  return flushed(main_command({argv + (argc > 0), static_cast<size_t>(argc > 0 ? argc - 1 : 0)}));
}
