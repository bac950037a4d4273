// C++ exceptions: thrown through several frames with destructors on the way, caught by type, by base class and by
// anything, rethrown, nested in handlers, and a parser that reports errors by throwing.
#include <memory>
#include <string>
#include <vector>

#include "support/guest.h"

namespace {

struct Error {
  explicit Error(int code) : code(code) {}
  virtual ~Error() = default;
  virtual int weight() const { return 1; }
  int code;
};

struct Named {
  virtual ~Named() = default;
  int length = 5;
};

struct SyntaxError : Error {
  SyntaxError(int code, int at) : Error(code), at(at) {}
  int weight() const override { return 2; }
  int at;
};

struct RangeError : Named, Error {  // not at offset 0 of the object, so that a catch must adjust the pointer
  explicit RangeError(int code) : Error(code) {}
  int weight() const override { return 3; }
};

uint64_t trail = 0;

struct Guard {
  explicit Guard(int id) : id(id) {}
  ~Guard() { trail = guest_mix(trail, static_cast<uint64_t>(id)); }
  int id;
};

[[gnu::noinline]] int descend(int depth, uint32_t choice) {
  Guard guard(depth);
  if (depth > 0) return descend(depth - 1, choice) + 1;
  switch (choice % 6) {
    case 0: throw 7;
    case 1: throw SyntaxError(static_cast<int>(choice & 15), 4);
    case 2: throw RangeError(static_cast<int>(choice & 31));
    case 3: throw 2.5;
    default: return 1;  // most calls end well
  }
}

[[gnu::noinline]] int attempt(uint32_t choice) {
  try {
    return descend(static_cast<int>(choice % 5), choice >> 3);
  } catch (const SyntaxError& e) {
    return e.code * 100 + e.at;
  } catch (const Error& e) {
    return e.code * 10 + e.weight();
  } catch (int value) {
    return value;
  }
}

[[gnu::noinline]] int outer(uint32_t choice) {
  try {
    try {
      return attempt(choice);
    } catch (double value) {
      Guard guard(static_cast<int>(value * 2));
      if (choice & 64) throw;
      throw std::string("double");
    }
  } catch (const std::string& text) {
    return static_cast<int>(text.size());
  } catch (...) {
    return -1;
  }
}

// A calculator for + - * ( ) over digits that throws on bad input.
class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}
  int parse() {
    int value = sum();
    if (at_ != text_.size()) throw SyntaxError(2, static_cast<int>(at_));
    return value;
  }

 private:
  int sum() {
    int value = product();
    while (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) {
      char op = text_[at_++];
      int right = product();
      value = op == '+' ? value + right : value - right;
    }
    return value;
  }
  int product() {
    int value = atom();
    while (at_ < text_.size() && text_[at_] == '*') {
      at_++;
      value = value * atom() % 10007;
    }
    return value;
  }
  int atom() {
    if (at_ < text_.size() && text_[at_] == '(') {
      at_++;
      int value = sum();
      if (at_ >= text_.size() || text_[at_] != ')') throw SyntaxError(1, static_cast<int>(at_));
      at_++;
      return value;
    }
    if (at_ >= text_.size() || text_[at_] < '0' || text_[at_] > '9') throw SyntaxError(3, static_cast<int>(at_));
    return text_[at_++] - '0';
  }

  std::string text_;
  size_t at_ = 0;
};

std::string expression(uint64_t* seed, int depth) {
  uint64_t r = guest_random(seed);
  if (depth == 0 || (r & 7) == 0) return std::string(1, (r >> 8) % 67 ? static_cast<char>('0' + (r >> 8) % 10) : '?');
  std::string inner = expression(seed, depth - 1) + "+-*"[(r >> 16) % 3] + expression(seed, depth - 1);
  return r & 8 ? "(" + inner + ")" : inner;
}

}  // namespace

int main(int argc, char** argv) {
  long rounds = guest_scaled(argc, argv, 40);
  uint64_t seed = 13, hash = 0;
  std::vector<std::string> texts;
  for (int i = 0; i < 400; i++) texts.push_back(expression(&seed, 5));
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < 3000; i++) {
      hash = guest_mix(hash, static_cast<uint64_t>(outer(static_cast<uint32_t>(guest_random(&seed)))));
    }
    for (const std::string& text : texts) {
      try {
        hash = guest_mix(hash, static_cast<uint64_t>(Parser(text).parse()));
      } catch (const Error& e) {
        hash = guest_mix(hash, static_cast<uint64_t>(e.code));
      }
    }
  }
  guest_report("exceptions", guest_mix(hash, trail));
}
