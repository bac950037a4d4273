// vmrun report: dumps become one page that needs nothing else.
#include <algorithm>
#include <filesystem>
#include <set>

#include "tools/commands.h"
#include "tools/dump_reader.h"
#include "tools/output_file.h"
#include "tools/page_texts.h"
#include "tools/report.h"
#include "tools/same_file.h"
#include "tools/source_text.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

/// More have no place on a page.
constexpr size_t kMostDumps = 16;

struct ReportOptions {
  std::string output;
  std::string source_root;  // empty: none
};

Result<void> set_output(ReportOptions& o, std::string_view value) {
  if (value.empty()) return usage_error("expected a file's name");
  o.output = value;
  return {};
}

Result<void> set_source_root(ReportOptions& o, std::string_view value) {
  if (value.empty()) return usage_error("expected a folder");
  o.source_root = value;
  return {};
}

constexpr OptionRow<ReportOptions> kReportOptions[] = {
    {'o', "output", "PAGE", "where the page goes (the first FILE, with .html in place of .json)", set_output},
    {0, "source-root", "DIR",
     "show hot source lines with their text, from files beneath DIR: images choose which files they name,\n"
     "and the page has lines of those",
     set_source_root},
};

std::span<const OptionRow<ReportOptions>> rows() { return kReportOptions; }

void replace(std::string& text, std::string_view mark, std::string_view by) {
  const size_t at = text.find(mark);
  if (at != text.npos) text.replace(at, mark.size(), by);
}

/// JSON within a script element: nothing in it ends that.
std::string in_script(const nlohmann::json& json) {
  std::string out;
  for (const char c : json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string page_of(const std::vector<std::string>& files, std::vector<nlohmann::json>& dumps) {
  nlohmann::json all = nlohmann::json::array();
  std::set<std::string> names;
  for (size_t i = 0; i < files.size(); ++i) {
    std::string name = std::filesystem::path(files[i]).filename().string();
    if (!names.insert(name).second) name = files[i];
    all.push_back({{"name", name}, {"dump", std::move(dumps[i])}});
  }
  std::string page = kReportHtml;
  replace(page, "@CSS@", kReportCss);
  replace(page, "@JS@", kReportJs);
  replace(page, "@DATA@", in_script(all));
  return page;
}

std::string default_output(const std::string& file) {
  std::filesystem::path path(file);
  path.replace_extension(".html");
  return path.string();
}

/// The file of the first source line, which is the hottest of its module; empty: there are no lines.
std::string file_of_lines(const nlohmann::json& dump) {
  for (const nlohmann::json& module : dump["modules"]) {
    const auto lines = module.find("lines");
    if (lines != module.end() && !lines->empty()) return (*lines)[0]["file"];
  }
  return {};
}

}  // namespace

std::string report_options_help(bool markdown) { return markdown ? options_markdown(rows()) : options_help(rows()); }

int report_command(Args args) {
  ReportOptions options;
  auto parsed = parse(rows(), options, args, false);
  if (!parsed) return fail_usage(parsed.error().message, "report");
  if (parsed->help) return print_help("report");
  if (parsed->positional.empty()) return fail_usage("no dump given; make one with --profile=FILE.json", "report");
  if (parsed->positional.size() > kMostDumps) return fail_usage("at most 16 dumps go on a page", "report");
  const std::vector<std::string> files(parsed->positional.begin(), parsed->positional.end());
  std::vector<nlohmann::json> dumps;
  bool has_lines_at_all = false;
  for (const std::string& file : files) {
    auto dump = read_dump(file);
    if (!dump) return fail(dump.error());
    size_t found = 0;
    if (!options.source_root.empty()) {
      if (auto done = add_source_text(*dump, options.source_root, &found); !done) return fail(done.error());
      const std::string hottest = file_of_lines(*dump);
      has_lines_at_all |= !hottest.empty();
      if (!hottest.empty() && found == 0) {
        warn("no source line of " + file + " is in a file beneath " + options.source_root + "; the hottest is in " +
             printable(hottest));
      }
    }
    dumps.push_back(std::move(*dump));
  }
  if (!options.source_root.empty() && !has_lines_at_all) {
    warn("--source-root: no source lines were sampled; an image has them when it was compiled with -g");
  }
  const std::string output = options.output.empty() ? default_output(files[0]) : options.output;
  if (std::ranges::any_of(files, [&](const std::string& file) { return same_file(file, output); })) {
    return fail_usage("the page would take the place of the dump '" + output + "': name another with --output",
                      "report");
  }
  if (auto done = write_whole_file(output, page_of(files, dumps)); !done) return fail(done.error());
  print_note("wrote " + output);
  return kExitOk;
}

}  // namespace vmrun::tools
