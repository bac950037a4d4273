// See browser.h.
#include "tests/unit/tools/browser.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <utility>

namespace vmrun::test {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void insert(std::string& page, const std::string& before, const std::string& text) {
  const size_t at = page.find(before);
  REQUIRE(at != page.npos);
  page.insert(at, text);
}

}  // namespace

bool has_browser() {
  if (run_script("command -v chromium").status == 0) return true;
  MESSAGE("skipped: chromium is not installed");
  return false;
}

CommandResult browse(const TemporaryDirectory& folder, const std::vector<std::string>& options,
                     const std::string& address) {
  std::vector<std::string> arguments{folder.path()};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.push_back(address);
  return run_script(
      "folder=$1; shift; HOME=\"$folder\" exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage "
      "--user-data-dir=\"$folder/browser\" \"$@\"",
      arguments);
}

std::string drive_report(const TemporaryDirectory& folder, const std::string& page, const std::string& script,
                         const std::vector<std::string>& options) {
  std::string text = contents(page);
  insert(
      text, "<script type=\"application/json\"",
      "<script>window.errorsSeen = []; window.onerror = (text) => void errorsSeen.push(text);"
      "console.error = (...all) => errorsSeen.push(all.join(' '));"
      "document.addEventListener('securitypolicyviolation', (e) => errorsSeen.push('policy: ' + e.violatedDirective));"
      "</script>");
  insert(text, "</body>", "<script>" + contents(script) + "</script>");
  const std::string driven = folder.write("driven.html", text);
  std::vector<std::string> all = options;
  all.insert(all.end(), {"--virtual-time-budget=5000", "--dump-dom"});
  const auto r = browse(folder, all, "file://" + driven);
  CHECK(r.status == 0);
  const size_t at = r.out.find("data-wrong=\"");
  if (at == r.out.npos) return "nothing";
  return plain(r.out.substr(at + 12, r.out.find('"', at + 12) - at - 12));
}

std::string plain(std::string text) {
  for (const auto& [entity, letter] : {std::pair("&quot;", "\""), {"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}}) {
    for (size_t at = 0; (at = text.find(entity, at)) != text.npos; ++at) {
      text.replace(at, std::string_view(entity).size(), letter);
    }
  }
  return text;
}

}  // namespace vmrun::test
