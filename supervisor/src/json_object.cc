#include "json_object.h"

#include "containerpilot/supervisor/utf8.h"

namespace containerpilot::detail {

namespace {

constexpr int kMaxDepth = 64;

// Checks grammar and remembers only the keys of the outermost object.
class Checker {
 public:
  Checker(std::string_view text, std::vector<std::string_view>& keys) : text_(text), keys_(keys) {}

  bool object(int depth) {
    if (depth > kMaxDepth || !take('{')) return false;
    space();
    if (take('}')) return true;
    do {
      space();
      const std::size_t begin = pos_;
      if (!string()) return false;
      if (depth == 1) keys_.push_back(text_.substr(begin + 1, pos_ - begin - 2));
      space();
      if (!take(':') || !value(depth)) return false;
    } while (take(','));
    return take('}');
  }
  [[nodiscard]] bool at_end() const { return pos_ == text_.size(); }

 private:
  bool take(char c) {
    if (at_end() || text_[pos_] != c) return false;
    ++pos_;
    return true;
  }
  void space() {
    while (!at_end() && (text_[pos_] == ' ' || text_[pos_] == '\t')) ++pos_;
  }
  bool word(std::string_view expected) {
    if (text_.substr(pos_, expected.size()) != expected) return false;
    pos_ += expected.size();
    return true;
  }
  bool digits() {
    const std::size_t begin = pos_;
    while (!at_end() && text_[pos_] >= '0' && text_[pos_] <= '9') ++pos_;
    return pos_ > begin;
  }
  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      return digits();
    }
    return true;
  }
  bool string() {
    if (!take('"')) return false;
    while (!at_end()) {
      const char c = text_[pos_];
      const std::size_t length = utf8_length(text_.substr(pos_));
      if (length == 0 || static_cast<unsigned char>(c) < 0x20) return false;
      pos_ += length;
      if (c == '"') return true;
      if (c == '\\' && !escape()) return false;
    }
    return false;
  }
  bool escape() {
    if (at_end()) return false;
    const char c = text_[pos_++];
    if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    constexpr std::string_view kHex = "0123456789abcdefABCDEF";
    for (int i = 0; i < 4; ++i, ++pos_) {
      if (at_end() || kHex.find(text_[pos_]) == std::string_view::npos) return false;
    }
    return true;
  }
  bool array(int depth) {
    if (depth > kMaxDepth || !take('[')) return false;
    space();
    if (take(']')) return true;
    do {
      if (!value(depth)) return false;
    } while (take(','));
    return take(']');
  }
  bool value(int depth) {
    space();
    if (at_end()) return false;
    bool good = false;
    switch (text_[pos_]) {
      case '{':
        good = object(depth + 1);
        break;
      case '[':
        good = array(depth + 1);
        break;
      case '"':
        good = string();
        break;
      case 't':
        good = word("true");
        break;
      case 'f':
        good = word("false");
        break;
      case 'n':
        good = word("null");
        break;
      default:
        good = number();
    }
    space();
    return good;
  }

  std::string_view text_;
  std::vector<std::string_view>& keys_;
  std::size_t pos_ = 0;
};

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

}  // namespace

bool parse_json_object(std::string_view text, JsonObject& result) {
  text = trimmed(text);
  if (!text.starts_with('{') || !text.ends_with('}')) return false;  // most lines end here
  result.keys.clear();
  Checker checker(text, result.keys);
  if (!checker.object(1) || !checker.at_end()) return false;
  result.members = trimmed(text.substr(1, text.size() - 2));
  return true;
}

}  // namespace containerpilot::detail
