// A headless Chromium that tests use.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/tools/command.h"

namespace vmrun::test {

/// Says so where it is missing.
bool has_browser();

/// Opens an address; `options` are the browser's own, one word each. Its home is in `folder`. What it prints.
CommandResult browse(const TemporaryDirectory& folder, const std::vector<std::string>& options,
                     const std::string& address);

/// Opens the page of vmrun report with the file `script` at its end, and with errors of all kinds collected from the start
/// in window.errorsSeen. What the script found wrong (document.documentElement.dataset.wrong, a JSON array), or "nothing".
std::string drive_report(const TemporaryDirectory& folder, const std::string& page, const std::string& script,
                         const std::vector<std::string>& options);

/// `text` with the entities of HTML attributes as what they stand for.
std::string plain(std::string text);

}  // namespace vmrun::test
