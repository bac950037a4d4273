// Result<T>: a value or an Error. The caller must look: the type is [[nodiscard]]. Who takes the value of a failure
// ends the process, with the failure's text.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "vmrun/base/error.h"

#pragma GCC visibility push(default)
namespace vmrun {

namespace detail {
/// Prints that the value of a Result was used although it holds `error`, and aborts.
[[noreturn]] void no_value(const Error& error);
/// The same about the error of a success.
[[noreturn]] void no_error();
}  // namespace detail

/// Holds a T or an Error. `if (!r) return r.error();` hands a failure on; `*r` and `r->` reach the value; where there
/// is none they print the error and abort.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  template <class U = T>
    requires(std::is_constructible_v<T, U &&> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error>)
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return *checked(); }
  const T& value() const& { return *checked(); }
  T&& value() && { return std::move(*checked()); }
  /// The same by the name that people look for: the value, or the end of the program with the error's text.
  T& unwrap() & { return *checked(); }
  T&& unwrap() && { return std::move(*checked()); }
  T& operator*() & { return *checked(); }
  const T& operator*() const& { return *checked(); }
  T&& operator*() && { return std::move(*checked()); }
  T* operator->() { return checked(); }
  const T* operator->() const { return checked(); }

  /// The failure. Only when !ok().
  Error& error() & { return *checked_error(); }
  const Error& error() const& { return *checked_error(); }
  Error&& error() && { return std::move(*checked_error()); }

  T value_or(T otherwise) && { return ok() ? std::move(*std::get_if<0>(&state_)) : std::move(otherwise); }

 private:
  T* checked() {
    if (T* p = std::get_if<0>(&state_)) return p;
    detail::no_value(*std::get_if<1>(&state_));
  }
  const T* checked() const {
    if (const T* p = std::get_if<0>(&state_)) return p;
    detail::no_value(*std::get_if<1>(&state_));
  }
  Error* checked_error() {
    if (Error* p = std::get_if<1>(&state_)) return p;
    detail::no_error();
  }
  const Error* checked_error() const {
    if (const Error* p = std::get_if<1>(&state_)) return p;
    detail::no_error();
  }
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error. `return {};` is success.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  void value() const {
    if (error_) detail::no_value(*error_);
  }
  void unwrap() const { value(); }

  /// The failure. Only when !ok().
  Error& error() & {
    if (!error_) detail::no_error();
    return *error_;
  }
  const Error& error() const& {
    if (!error_) detail::no_error();
    return *error_;
  }
  Error&& error() && { return std::move(error()); }

 private:
  std::optional<Error> error_;
};

}  // namespace vmrun
#pragma GCC visibility pop
