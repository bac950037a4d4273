// Names as people read them: what a guest calls its things is bytes of the guest's own choosing.
#pragma once

#include <string>
#include <string_view>

#pragma GCC visibility push(default)
namespace vmrun {

/// `text` with everything escaped that would change more than the place where it is printed: control characters, marks
/// that reorder or hide text, line ends, and bytes that are no UTF-8. A byte is written as \x1b, a character beyond
/// ASCII as \u{202e}; all else, a backslash too, stays as it is, so that escaping twice is escaping once. For every
/// message, listing and log line that shows what an image says. Any thread.
std::string printable(std::string_view text);

/// The same of a name in a message: of one that is longer than 400 bytes, the beginning and "...". An image's names may
/// have 100,000 bytes, and a message names several. Any thread.
std::string printable_name(std::string_view name);

}  // namespace vmrun
#pragma GCC visibility pop
