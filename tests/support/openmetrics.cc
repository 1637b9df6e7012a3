#include "support/openmetrics.h"

#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

namespace containerpilot::test {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

struct Sample {
  std::string name;
  Labels labels;
  double value = 0;
  std::string value_text;
};

struct Family {
  std::string name, type = "unknown", unit;
  std::set<std::string> metadata;
  std::vector<Sample> samples;
};

bool is_name(std::string_view name, bool metric) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(c >= '0' && c <= '9') && !(metric && c == ':')) return false;
  }
  return true;
}

bool ends_with(const std::string& text, const std::string& suffix) {
  return text.size() > suffix.size() &&
         text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

/// Suffixes a type gives its samples; "" is the bare name.
const std::vector<std::string>& suffixes(const std::string& type) {
  static const std::map<std::string, std::vector<std::string>> all = {
      {"counter", {"_total", "_created"}},
      {"gauge", {""}},
      {"unknown", {""}},
      {"histogram", {"_bucket", "_sum", "_count", "_created"}},
      {"gaugehistogram", {"_bucket", "_gsum", "_gcount"}},
      {"summary", {"", "_sum", "_count", "_created"}},
      {"info", {"_info"}},
      {"stateset", {""}}};
  static const std::vector<std::string> none;
  const auto found = all.find(type);
  return found == all.end() ? none : found->second;
}

class Judge {
 public:
  std::vector<std::string> problems;

  void run(std::string_view text) {
    constexpr std::string_view kEnd = "# EOF\n";
    if (!text.ends_with(kEnd)) return complain("does not end with '# EOF' and a newline");
    text.remove_suffix(kEnd.size());
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
      ++line_;
      if (line.empty()) {
        complain("empty line");
      } else if (line.find('\r') != std::string::npos) {
        complain("carriage return");
      } else if (line[0] == '#') {
        metadata(line);
      } else {
        sample(line);
      }
    }
    line_ = 0;
    finish_family();
    clashes();
  }

 private:
  void complain(const std::string& what) {
    problems.push_back((line_ > 0 ? "line " + std::to_string(line_) + ": " : "") + what);
  }

  void metadata(const std::string& line) {
    std::istringstream words(line);
    std::string hash, keyword, name;
    words >> hash >> keyword >> name;
    std::string rest;
    std::getline(words, rest);
    if (!rest.empty()) rest.erase(0, 1);
    if (line.rfind("# " + keyword + " " + name, 0) != 0 ||
        (keyword != "TYPE" && keyword != "UNIT" && keyword != "HELP")) {
      return complain("not metadata: " + line);
    }
    if (!is_name(name, true)) complain("bad name '" + name + "'");
    enter(name);
    if (!family_.samples.empty()) complain("metadata after samples");
    if (!family_.metadata.insert(keyword).second) complain("second " + keyword);
    if (keyword == "TYPE") {
      if (family_.metadata.size() > 1) complain("TYPE is not first");
      if (suffixes(rest).empty()) complain("unknown type '" + rest + "'");
      if (rest == "counter" && ends_with(name, "_total")) complain("TYPE of a counter with _total");
      if (rest == "info" && ends_with(name, "_info")) complain("TYPE of an info with _info");
      family_.type = rest;
    } else if (keyword == "UNIT") {
      if (family_.metadata.contains("HELP")) complain("UNIT after HELP");
      if (!rest.empty() && !ends_with(name, "_" + rest))
        complain("name does not end with its unit");
      if (!rest.empty() && (family_.type == "info" || family_.type == "stateset"))
        complain("unit on " + family_.type);
      family_.unit = rest;
    } else {
      for (std::size_t i = 0; i < rest.size(); ++i) {
        if (rest[i] == '"') complain("bare quote in HELP");
        if (rest[i] != '\\') continue;
        ++i;
        if (i == rest.size() || (rest[i] != 'n' && rest[i] != '\\' && rest[i] != '"'))
          complain("bad escape in HELP");
      }
    }
  }

  void enter(const std::string& name) {
    if (family_.name == name) return;
    finish_family();
    family_ = Family();
    family_.name = name;
    if (!seen_.insert(name).second)
      complain("family '" + name + "' comes twice, or is interleaved");
  }

  std::optional<Sample> parse(const std::string& line) {
    Sample sample;
    std::size_t at = line.find_first_of("{ ");
    if (at == std::string::npos) return std::nullopt;
    sample.name = line.substr(0, at);
    if (line[at] == '{') {
      ++at;
      while (at < line.size() && line[at] != '}') {
        const auto equals = line.find("=\"", at);
        if (equals == std::string::npos) return std::nullopt;
        std::string name = line.substr(at, equals - at), value;
        if (!is_name(name, false) || name.rfind("__", 0) == 0) complain("bad label '" + name + "'");
        for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
          if (line[at] == '\\') {
            ++at;
            if (at == line.size() || (line[at] != 'n' && line[at] != '\\' && line[at] != '"'))
              complain("bad escape");
          }
          value += line[at];
        }
        if (at >= line.size()) return std::nullopt;
        ++at;
        for (const auto& [other, ignored] : sample.labels) {
          if (other == name) complain("label '" + name + "' twice");
        }
        sample.labels.emplace_back(std::move(name), std::move(value));
        if (at < line.size() && line[at] == ',') ++at;
      }
      ++at;
    }
    if (at >= line.size() || line[at] != ' ') return std::nullopt;
    sample.value_text = line.substr(at + 1);
    char* end = nullptr;
    sample.value = std::strtod(sample.value_text.c_str(), &end);
    if (sample.value_text.empty() || *end != '\0')
      return std::nullopt;  // also timestamps and exemplars
    return sample;
  }

  void sample(const std::string& line) {
    auto parsed = parse(line);
    if (!parsed) return complain("not a sample: " + line);
    if (!is_name(parsed->name, true)) complain("bad name '" + parsed->name + "'");
    bool ours = false;
    for (const std::string& suffix : suffixes(family_.type))
      ours = ours || parsed->name == family_.name + suffix;
    if (!ours || family_.name.empty()) {
      return complain("sample '" + parsed->name + "' is not of the family '" + family_.name + "'");
    }
    std::string id = parsed->name;
    for (const auto& [name, value] :
         std::map<std::string, std::string>(parsed->labels.begin(), parsed->labels.end())) {
      id += "\n" + name + "=" + value;
    }
    if (!series_.insert(id).second) complain("series comes twice: " + line);
    const bool distribution = family_.type == "histogram" || family_.type == "summary";
    const bool cumulative =
        family_.type == "counter" || (distribution && parsed->name != family_.name);
    if (cumulative && !(parsed->value >= 0))
      complain("counts and sums are not negative and not NaN: " + line);
    if (family_.type == "info" && parsed->value != 1) complain("info is 1");
    family_.samples.push_back(std::move(*parsed));
  }

  void bound(const Sample& sample, const std::string& label, std::optional<std::string>& out) {
    for (const auto& [name, value] : sample.labels) {
      if (name == label) out = value;
    }
    if (!out) return complain(sample.name + " lacks " + label);
    if (*out != "+Inf" && out->find_first_of(".e") == std::string::npos) {
      complain(label + "=\"" + *out + "\" is not written as a float");
    }
  }

  void finish_family() {
    if (family_.type == "histogram") histogram();
    if (family_.type == "stateset") states();
    if (family_.type == "summary") {
      for (const Sample& sample : family_.samples) {
        if (sample.name != family_.name) continue;
        std::optional<std::string> quantile;
        bound(sample, "quantile", quantile);
        if (quantile && !(std::stod(*quantile) >= 0 && std::stod(*quantile) <= 1))
          complain("quantile out of range");
      }
    }
    for (const std::string& suffix : suffixes(family_.type)) {
      if (!family_.name.empty()) owners_.emplace_back(family_.name + suffix, family_.name);
    }
  }

  /// Ours are enumerations: one state holds.
  void states() {
    std::map<std::map<std::string, std::string>, int> holding;
    for (const Sample& sample : family_.samples) {
      std::map<std::string, std::string> labels(sample.labels.begin(), sample.labels.end());
      if (labels.erase(family_.name) == 0) complain(family_.name + " lacks the label of its name");
      if (sample.value != 0 && sample.value != 1) complain("a state is 0 or 1");
      holding[labels] += sample.value == 1 ? 1 : 0;
    }
    for (const auto& [labels, count] : holding) {
      if (count != 1) complain(family_.name + ": not one state holds but " + std::to_string(count));
    }
  }

  void histogram() {
    struct Group {
      double last = -1, last_bound = -INFINITY;
      std::optional<double> infinite, count;
      bool sum = false, negative = false;
    };
    std::map<std::map<std::string, std::string>, Group> groups;
    const std::map<std::string, std::string>* before = nullptr;
    std::set<std::map<std::string, std::string>> closed;
    for (const Sample& sample : family_.samples) {
      std::map<std::string, std::string> labels(sample.labels.begin(), sample.labels.end());
      labels.erase("le");
      const auto it = groups.try_emplace(labels).first;
      if (before != nullptr && *before != it->first) closed.insert(*before);
      if (closed.contains(it->first)) complain("metrics of " + family_.name + " are interleaved");
      before = &it->first;
      Group& group = it->second;
      if (ends_with(sample.name, "_sum")) group.sum = true;
      if (ends_with(sample.name, "_count")) group.count = sample.value;
      if (!ends_with(sample.name, "_bucket")) continue;
      std::optional<std::string> le;
      bound(sample, "le", le);
      if (!le) continue;
      const double at = *le == "+Inf" ? INFINITY : std::stod(*le);
      if (at <= group.last_bound) complain("buckets of " + family_.name + " do not rise");
      if (sample.value < group.last) complain("buckets of " + family_.name + " are not cumulative");
      if (at < 0) group.negative = true;
      if (std::isinf(at)) group.infinite = sample.value;
      group.last_bound = at;
      group.last = sample.value;
    }
    for (const auto& [labels, group] : groups) {
      if (!group.infinite) complain(family_.name + " lacks the +Inf bucket");
      if (group.count && group.count != group.infinite)
        complain(family_.name + ": count is not the +Inf bucket");
      if (group.sum != group.count.has_value())
        complain(family_.name + ": sum and count go together");
      if (group.negative && group.sum) complain(family_.name + ": sum beside negative buckets");
    }
  }

  void clashes() {
    std::map<std::string, std::string> taken;
    for (const auto& [sample, family] : owners_) {
      const auto [it, fresh] = taken.emplace(sample, family);
      if (!fresh && it->second != family)
        complain("'" + sample + "' belongs to " + it->second + " and " + family);
    }
  }

  std::size_t line_ = 0;
  Family family_;
  std::set<std::string> seen_, series_;
  std::vector<std::pair<std::string, std::string>> owners_;
};

}  // namespace

std::vector<std::string> openmetrics_problems(std::string_view text) {
  Judge judge;
  judge.run(text);
  return std::move(judge.problems);
}

}  // namespace containerpilot::test
