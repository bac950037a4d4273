// Escapes in names.
#include "vmrun/base/text.h"

#include <doctest/doctest.h>

#include "vmrun/base/error.h"
#include "vmrun/base/log.h"

using vmrun::printable;

TEST_CASE("what only shows itself stays as it is") {
  for (const char* text : {"", "main", "std::vector<int>::operator[]", "a b\\n",
                           "Gr\xc3\xb6\xc3\x9f"
                           "e",
                           "\xe6\xbc\xa2", "\xf0\x9f\x98\x80", "\xc2\xa0", "\xef\xbf\xbd"}) {
    CHECK(printable(text) == text);
  }
}

TEST_CASE("what acts is escaped") {
  CHECK(printable(std::string_view("\0\t\n\r\x1b\x7f", 6)) == "\\x00\\x09\\x0a\\x0d\\x1b\\x7f");
  CHECK(printable("\xc2\x80\xc2\x9b\xc2\x9f") == "\\u{80}\\u{9b}\\u{9f}");  // C1
  CHECK(printable("\xe2\x80\xaa\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9") ==
        "\\u{202a}\\u{202e}\\u{2066}\\u{2069}");  // direction
  CHECK(printable("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\x8b\xef\xbb\xbf") == "\\u{2028}\\u{2029}\\u{200b}\\u{feff}");
  CHECK(printable("\xf3\xa0\x81\x81") == "\\u{e0041}");  // a tag
}

TEST_CASE("bytes that are no UTF-8 are escaped one by one") {
  CHECK(printable("\x9b") == "\\x9b");
  CHECK(printable("a\xff"
                  "b") == "a\\xffb");
  CHECK(printable("\xc3") == "\\xc3");           // cut off
  CHECK(printable("\xc0\x8a") == "\\xc0\\x8a");  // a line end, too long
  CHECK(printable("\xe0\x80\x8a") == "\\xe0\\x80\\x8a");
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // a surrogate
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // beyond Unicode
  CHECK(printable("\xe2\x80") == "\\xe2\\x80");
}

TEST_CASE("escaping twice is escaping once") {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string once = printable(std::string{static_cast<char>(a), static_cast<char>(b)});
      CHECK(printable(once) == once);
    }
  }
}

TEST_CASE("a long name is cut, at the end of a character") {
  using vmrun::printable_name;
  const std::string most(400, 'a');
  CHECK(printable_name(most) == most);
  CHECK(printable_name(most + "b") == most + "...");
  CHECK(printable_name("\n") == "\\x0a");
  for (const std::string character : {"\u00e9", "\u20ac", "\U0001f600"}) {
    for (size_t before = 400 - character.size(); before <= 400; ++before) {
      const bool fits = before + character.size() <= 400;
      const std::string start(before, 'a');
      CHECK(printable_name(start + character + "tail of it") ==
            start + (fits ? character + std::string("tail of it", 400 - before - character.size()) : "") + "...");
    }
  }
  CHECK(printable_name(std::string(500, '\x80')).size() == 4 * 397 + 3);  // no UTF-8 at all
}

TEST_CASE("an error's text escapes the names in its backtrace") {
  vmrun::Error error(vmrun::ErrorKind::Trap, "unreachable");
  error.backtrace.push_back({"m\x1b", "f\n", 0, 16});
  CHECK(error.to_string() == "unreachable\n  #0 m\\x1b!f\\x0a @ 0x10");
}

TEST_CASE("a log setting is checked") {
  using vmrun::check_log_setting;
  for (const char* good : {"trace", "wasi=trace", "all=error", "wasi=debug,tiering=info", "tiering=warn"}) {
    CHECK(check_log_setting(good).ok());
  }
  CHECK(check_log_setting("wasi=loud").error().message ==
        "there is no level 'loud'; there are error, warn, info, debug, trace");
  CHECK(check_log_setting("foo").error().message ==
        "there is no level 'foo'; there are error, warn, info, debug, trace");
  CHECK(check_log_setting("jit=trace").error().message ==
        "no component 'jit' has messages; there are cache, io, memory, serve, tiering, wasi and all");
  CHECK_FALSE(check_log_setting("").ok());
  CHECK_FALSE(check_log_setting("wasi=trace,foo").ok());
}
