// The page of `vmrun report` and the schema of dumps, as texts in the executable. CMake makes them of tools/page/ and
// docs/profile.schema.json.
#pragma once

namespace vmrun::tools {

extern const char* const kReportHtml;
extern const char* const kReportCss;
extern const char* const kReportJs;
extern const char* const kDumpSchema;

}  // namespace vmrun::tools
