#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace containerpilot {

/// What kind of thing went wrong, so that callers can decide; people read Error::text().
enum class Errc {
  kInvalid,      ///< the input is wrong and will stay wrong
  kNotFound,     ///< the named thing does not exist
  kTimeout,      ///< no answer within the bound
  kUnavailable,  ///< not now; trying again may help
  kDenied,       ///< permission
  kIo,           ///< a system call or the network failed
  kInternal,     ///< our own invariant is broken
};

/// An error a person can act on: says what could not be done, names the thing in quotes and says
/// what would be accepted. Begins with "cannot" where it is about an action.
class [[nodiscard]] Error {
 public:
  Error(Errc code, std::string text, int sys_errno = 0)
      : code_(code), sys_errno_(sys_errno), text_(std::move(text)) {}

  /// Puts the caller's purpose in front: "cannot load plan: cannot open 'a.json5': …".
  Error during(std::string_view what) && {
    text_.insert(0, std::string(what) + ": ");
    return std::move(*this);
  }
  [[nodiscard]] Errc code() const { return code_; }
  [[nodiscard]] int sys_errno() const { return sys_errno_; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  Errc code_;
  int sys_errno_;
  std::string text_;
};

/// A value or an Error. Must be looked at. Shaped so that it can become std::expected.
template <class T>
class [[nodiscard]] Result {
 public:
  // Implicit, so that `return value;` and `return error;` both read well.
  // NOLINTBEGIN(google-explicit-constructor)
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}
  // NOLINTEND(google-explicit-constructor)
  [[nodiscard]] bool has_value() const { return v_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & {
    assert(has_value());
    return *std::get_if<0>(&v_);
  }
  [[nodiscard]] const T& value() const& {
    assert(has_value());
    return *std::get_if<0>(&v_);
  }
  T&& value() && {
    assert(has_value());
    return std::move(*std::get_if<0>(&v_));
  }
  [[nodiscard]] const Error& error() const& {
    assert(!has_value());
    return *std::get_if<1>(&v_);
  }
  Error&& error() && {
    assert(!has_value());
    return std::move(*std::get_if<1>(&v_));
  }

 private:
  std::variant<T, Error> v_;
};

using Status = Result<std::monostate>;
inline Status ok() { return std::monostate{}; }

}  // namespace containerpilot
