#include "ca_folder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>
#include <vector>

namespace containerpilot {

namespace {

constexpr std::uintmax_t kMaxFile = 4 * 1024 * 1024;

/// Without what else such files hold: comments, keys, other texts.
std::string certificates_in(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  std::string certificates;
  for (std::size_t at = text.find(kBegin); at != text.npos; at = text.find(kBegin, at)) {
    const std::size_t end = text.find(kEnd, at);
    if (end == text.npos) break;
    certificates.append(text.substr(at, end + kEnd.size() - at)) += '\n';
    at = end;
  }
  return certificates;
}

}  // namespace

std::string read_ca_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return "";
  if (std::filesystem::file_size(path, error) > kMaxFile || error) return "";
  std::ifstream file(path, std::ios::binary);
  return certificates_in(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::string read_ca_folder(const std::string& path) {
  std::error_code error;
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    // What `openssl rehash` left are links to files that are here as well.
    if (!entry->is_symlink(error) || entry->path().extension() != ".0")
      files.push_back(entry->path().string());
  }
  std::sort(files.begin(), files.end());
  std::string certificates;
  for (const std::string& file : files) certificates += read_ca_file(file);
  return certificates;
}

}  // namespace containerpilot
