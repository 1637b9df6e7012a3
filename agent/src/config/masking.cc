#include "config/masking.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace containerpilot::agent {

namespace {

constexpr std::string_view kStars = "***";
constexpr std::string_view kEndOfWord = " \t\r\n\"'`&,;<>|)}]";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

struct Span {
  std::size_t begin, end;
};

std::size_t end_of_word(std::string_view text, std::size_t at) {
  return std::min(text.find_first_of(kEndOfWord, at), text.size());
}

/// After `KEY: `, in a configuration: a string, or all up to the next member.
Span value_after_colon(std::string_view text, std::size_t at) {
  at = std::min(text.find_first_not_of(' ', at), text.size());
  if (at == text.size() || (text[at] != '"' && text[at] != '\''))
    return {at, std::min(text.find_first_of(",}", at), text.size())};
  const std::size_t close = text.find(text[at], at + 1);
  return {at, close == std::string_view::npos ? text.size() : close + 1};
}

/// Where values of secret-looking keys stand; those after a colon only if `colons`.
std::vector<Span> secret_values(std::string_view text, bool colons) {
  std::vector<Span> out;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_word(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && is_word(text[end])) ++end;
    const bool secret = is_secret_key(text.substr(at, end - at));
    at = end;
    if (!secret) continue;
    Span value{at, at};
    if (at < text.size() && text[at] == '=') {
      value = {at + 1, end_of_word(text, at + 1)};
    } else if (colons) {
      const std::size_t sign = text.find_first_not_of("\"' ", at);
      if (sign != std::string_view::npos && text[sign] == ':')
        value = value_after_colon(text, sign + 1);
    }
    if (value.end > value.begin) out.push_back(value);
    at = std::max(at, value.end);
  }
  return out;
}

/// Where passwords of URLs ("scheme://user:password@host") stand.
std::vector<Span> url_passwords(std::string_view text) {
  constexpr std::string_view kScheme = "://";
  std::vector<Span> out;
  for (std::size_t at = 0; (at = text.find(kScheme, at)) != std::string_view::npos;) {
    at += kScheme.size();
    const std::size_t end = std::min(text.find_first_of("/?#", at), end_of_word(text, at));
    const std::string_view authority = text.substr(at, end - at);
    const std::size_t host = authority.rfind('@');
    const std::size_t colon = authority.find(':');
    if (host != std::string_view::npos && colon < host && host > colon + 1)
      out.push_back({at + colon + 1, at + host});
  }
  return out;
}

std::string replaced(std::string_view text, std::vector<Span> spans, bool one_star_each) {
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return a.begin < b.begin; });
  std::string out;
  std::size_t copied = 0;
  for (const Span& span : spans) {
    if (span.begin < copied) continue;  // inside the one before
    out += text.substr(copied, span.begin - copied);
    if (one_star_each) {
      const std::string_view value = text.substr(span.begin, span.end - span.begin);
      out.append(static_cast<std::size_t>(std::count_if(
                     value.begin(), value.end(),
                     [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; })),
                 '*');
    } else {
      out += kStars;
    }
    copied = span.end;
  }
  return out.append(text.substr(copied));
}

std::string mask(std::string_view text, bool colons, bool one_star_each) {
  std::vector<Span> spans = secret_values(text, colons);
  const std::vector<Span> passwords = url_passwords(text);
  spans.insert(spans.end(), passwords.begin(), passwords.end());
  return replaced(text, std::move(spans), one_star_each);
}

}  // namespace

bool is_secret_key(std::string_view key) {
  std::string name;
  for (const char c : key) {
    if (c != '_' && c != '-') name += lower(c);
  }
  static constexpr std::array<std::string_view, 5> kWords = {"token", "password", "passwd",
                                                             "secret", "apikey"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return name.ends_with(word); });
}

std::string star_credentials(std::string_view line) { return mask(line, true, true); }

std::string masked(std::string_view text, const std::vector<std::string>& secrets) {
  std::string out = mask(text, false, false);
  for (const std::string& secret : secrets) {
    for (std::size_t at = 0; (at = out.find(secret, at)) != std::string::npos; at += kStars.size())
      out.replace(at, secret.size(), kStars);
  }
  return out;
}

std::vector<std::string> masked_command(const std::vector<std::string>& argv) {
  std::vector<std::string> out;
  bool hide = false;
  for (const std::string& word : argv) {
    const std::size_t equals = word.find('=');
    const std::string_view key = std::string_view(word).substr(0, equals);
    const bool secret =
        !key.empty() && std::all_of(key.begin(), key.end(), is_word) && is_secret_key(key);
    if (hide) {
      out.emplace_back(kStars);
    } else if (secret && equals != std::string::npos) {
      out.push_back(std::string(key) + "=" + std::string(kStars));
    } else {
      out.push_back(masked(word, {}));
    }
    hide = secret && equals == std::string::npos && word.starts_with('-');
  }
  return out;
}

}  // namespace containerpilot::agent
