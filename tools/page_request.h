// The heads of HTTP requests for pages, and answers to them. The bytes come from anybody.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tools/page_server.h"

namespace vmrun::tools {

struct PageHead {
  int status = 0;  // 0: a request; else what it is refused with
  std::string why;
  PageRequest request;
  bool no_body = false;  // HEAD
  bool by_name = false;  // its Host is neither an address nor localhost
};

/// The head at the beginning of `bytes`; none: its end has not come. One of more than `most` bytes is refused.
std::optional<PageHead> parse_page_head(std::string_view bytes, size_t most);

/// The whole answer; the connection ends with it.
std::string page_answer(const Page& page, bool no_body);

}  // namespace vmrun::tools
