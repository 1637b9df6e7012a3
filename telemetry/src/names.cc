#include "names.h"

#include <algorithm>

namespace containerpilot::telemetry {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_escaped(std::string& out, std::string_view text, bool escape_quote) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && escape_quote) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

void append_label(std::string& out, std::string_view name, std::string_view value) {
  out += out.empty() ? '{' : ',';
  out += name;
  out += "=\"";
  append_escaped(out, value, true);
  out += '"';
}

}  // namespace

bool legal_metric_name(std::string_view name) {
  return !name.empty() && !is_digit(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return is_letter(c) || is_digit(c) || c == ':'; });
}

bool legal_label_name(std::string_view name) {
  return !name.empty() && !is_digit(name.front()) && name.substr(0, 2) != "__" &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

std::string label_block(const Labels& constant, const Labels& labels) {
  std::string out;
  auto a = constant.begin();
  auto b = labels.begin();
  while (a != constant.end() || b != labels.end()) {
    if (b == labels.end() || (a != constant.end() && a->first < b->first)) {
      append_label(out, a->first, a->second);
      ++a;
    } else {
      if (a != constant.end() && a->first == b->first) ++a;
      append_label(out, b->first, b->second);
      ++b;
    }
  }
  if (!out.empty()) out += '}';
  return out;
}

void append_help(std::string& out, std::string_view help, TextFormat format) {
  append_escaped(out, help, format == TextFormat::kOpenMetrics100);
}

}  // namespace containerpilot::telemetry
