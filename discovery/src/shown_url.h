#pragma once

#include <cstddef>
#include <string>

namespace containerpilot::discovery {

/// A URL or address for names, errors and logs: without "user:password@".
inline std::string shown_url(const std::string& url) {
  const std::size_t host = url.rfind('@');
  if (host == std::string::npos) return url;
  const std::size_t scheme = url.find("://");
  return (scheme < host ? url.substr(0, scheme + 3) : "") + url.substr(host + 1);
}

}  // namespace containerpilot::discovery
