#include "negotiate.h"

#include <charconv>
#include <optional>
#include <string>

namespace containerpilot::telemetry {
namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// Cuts the part before `separator` off `rest`, trimmed.
std::string_view next(std::string_view& rest, char separator) {
  const auto end = rest.find(separator);
  const std::string_view part = trim(rest.substr(0, end));
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return part;
}

/// One entry of an Accept header.
struct Entry {
  std::string value;    ///< "text/plain", lower case
  std::string version;  ///< empty when not given
  double quality = 1;
};

Entry parse_entry(std::string_view text) {
  Entry entry;
  entry.value = lower(next(text, ';'));
  while (!text.empty()) {
    std::string_view parameter = next(text, ';');
    const std::string name = lower(next(parameter, '='));
    if (parameter.size() >= 2 && parameter.front() == '"' && parameter.back() == '"') {
      parameter = parameter.substr(1, parameter.size() - 2);
    }
    if (name == "version") entry.version = parameter;
    if (name == "q") {
      const auto [ptr, ec] =
          std::from_chars(parameter.data(), parameter.data() + parameter.size(), entry.quality);
      if (ec != std::errc() || !(entry.quality >= 0 && entry.quality <= 1)) entry.quality = 0;
    }
  }
  return entry;
}

std::optional<TextFormat> format_of(const Entry& entry) {
  if (entry.value == "application/openmetrics-text") {
    if (entry.version.empty() || entry.version == "1.0.0") return TextFormat::kOpenMetrics100;
    return std::nullopt;
  }
  if (entry.value == "text/plain") {
    if (entry.version.empty() || entry.version == "0.0.4") return TextFormat::kPrometheus004;
    return std::nullopt;
  }
  if (entry.value == "text/*" || entry.value == "*/*") return TextFormat::kPrometheus004;
  return std::nullopt;
}

}  // namespace

TextFormat choose_format(std::string_view accept) {
  TextFormat best = TextFormat::kPrometheus004;
  double best_quality = 0;
  while (!accept.empty()) {
    const Entry entry = parse_entry(next(accept, ','));
    const auto format = format_of(entry);
    if (format && entry.quality > best_quality) {
      best = *format;
      best_quality = entry.quality;
    }
  }
  return best;
}

std::string_view content_type(TextFormat format) {
  return format == TextFormat::kOpenMetrics100
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

bool accepts_gzip(std::string_view accept_encoding) {
  std::optional<double> gzip;
  double any = 0;
  while (!accept_encoding.empty()) {
    const Entry entry = parse_entry(next(accept_encoding, ','));
    if (entry.value == "gzip" || entry.value == "x-gzip") gzip = entry.quality;
    if (entry.value == "*") any = entry.quality;
  }
  return gzip.value_or(any) > 0;
}

}  // namespace containerpilot::telemetry
