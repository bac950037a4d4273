// The subcommands of vmrun: one function and one row each.
#pragma once

#include <span>
#include <string>

#include "tools/options.h"

namespace vmrun::tools {

struct CommandInfo {
  const char* name;
  const char* arguments;  // what follows the name in the usage line
  const char* summary;    // one line
  int (*run)(Args args);  // arguments after the name; returns the exit status
  /// The options as help text, or as Markdown for docs/cli.md.
  std::string (*options)(bool markdown);
};

/// Every subcommand, in the order in which help shows them.
std::span<const CommandInfo> commands();

/// The usage, summary and options of one command.
std::string command_help(const CommandInfo& command);
/// Prints that of the command named `name` on standard output; returns the exit status.
int print_help(const char* name);

int run_command(Args args);
std::string run_options_help(bool markdown);
int serve_command(Args args);
std::string serve_options_help(bool markdown);
int report_command(Args args);
std::string report_options_help(bool markdown);
int bench_command(Args args);
std::string bench_options_help(bool markdown);
int inspect_command(Args args);
std::string inspect_options_help(bool markdown);
int objdump_command(Args args);
std::string objdump_options_help(bool markdown);
int wast_command(Args args);
std::string wast_options_help(bool markdown);
int top_command(Args args);
std::string top_options_help(bool markdown);
int compile_command(Args args);
std::string compile_options_help(bool markdown);
int cache_command(Args args);
std::string cache_options_help(bool markdown);
int help_command(Args args);

}  // namespace vmrun::tools
