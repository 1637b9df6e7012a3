#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace containerpilot {

struct HttpTarget {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;
  friend bool operator==(const HttpTarget&, const HttpTarget&) = default;
};

/// Splits and decodes a request target: "/path?query", "http://host/path?query" or "*". nullopt: a
/// form servers do not take, a bad percent escape, or an escaped NUL.
std::optional<HttpTarget> parse_http_target(std::string_view target);

bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace containerpilot
