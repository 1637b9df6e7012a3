#include "sensor_parse.h"

#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "containerpilot/supervisor/utf8.h"
#include "containerpilot/telemetry/number.h"
#include "names.h"

namespace containerpilot::telemetry {
namespace {

using nlohmann::json;

Sample sample_of(const SensorSpec& sensor, std::string name, double value) {
  Sample sample;
  sample.name = std::move(name);
  sample.value = value;
  sample.type = sensor.metric.type;
  sample.total = sensor.total;
  sample.help = sensor.metric.help;
  return sample;
}

const json* find_pointer(const json& document, const std::string& pointer) {
  const json::json_pointer at(pointer);  // checked by check_pointers()
  return document.contains(at) ? &document.at(at) : nullptr;
}

std::optional<double> number_of(const json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) {
    if (const auto number = parse_metric_value(value.get_ref<const std::string&>()))
      return number.value();
  }
  return std::nullopt;
}

std::optional<std::string> label_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number()) return value.dump();
  return std::nullopt;
}

/// Reads one exposition line from left to right.
class LineCursor {
 public:
  explicit LineCursor(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  void skip_blanks() {
    const auto start = rest_.find_first_not_of(" \t");
    rest_ = start == std::string_view::npos ? std::string_view() : rest_.substr(start);
  }
  bool take(char expected) {
    if (rest_.empty() || rest_.front() != expected) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// Up to the first of `ends`, or to the end of the line.
  std::string_view until(std::string_view ends) {
    const std::string_view part = rest_.substr(0, rest_.find_first_of(ends));
    rest_.remove_prefix(part.size());
    return part;
  }
  /// The rest of a quoted label value, its opening quote taken.
  std::optional<std::string> quoted() {
    std::string out;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return out;
      if (c == '\\') {
        if (rest_.empty()) return std::nullopt;
        c = rest_.front();
        rest_.remove_prefix(1);
        if (c == 'n') c = '\n';
      }
      out += c;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

bool parse_labels(LineCursor& line, Labels& labels) {
  for (;;) {
    line.skip_blanks();
    if (line.take('}')) return true;
    const std::string_view raw = line.until("= \t}");
    line.skip_blanks();
    if (!legal_label_name(raw) || !line.take('=')) return false;
    line.skip_blanks();
    if (!line.take('"')) return false;
    auto value = line.quoted();
    if (!value || !is_valid_utf8(*value)) return false;
    if (!labels.emplace(raw, std::move(*value)).second) return false;
    line.skip_blanks();
    if (line.take(',')) continue;
    return line.take('}');
  }
}

/// As a Prometheus server does with labels that it sets itself.
void export_reserved(Labels& labels) {
  for (const std::string reserved : {"job", "instance"}) {
    auto label = labels.extract(reserved);
    if (label.empty()) continue;
    std::string name = "exported_" + reserved;
    while (labels.contains(name)) name.insert(0, "exported_");
    label.key() = std::move(name);
    labels.insert(std::move(label));
  }
}

std::optional<Sample> parse_sample(std::string_view text) {
  LineCursor line(text);
  Sample sample;
  sample.name = line.until("{ \t");
  if (!legal_metric_name(sample.name)) return std::nullopt;
  line.skip_blanks();
  if (line.take('{') && !parse_labels(line, sample.labels)) return std::nullopt;
  export_reserved(sample.labels);
  line.skip_blanks();
  const auto value = parse_metric_value(line.until(" \t"));
  if (!value) return std::nullopt;
  sample.value = value.value();
  line.skip_blanks();
  line.until(" \t");  // a timestamp
  line.skip_blanks();
  return line.at_end() ? std::optional(std::move(sample)) : std::nullopt;
}

struct Declared {
  std::string type, help;
};

std::string unescape_help(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      out += text[i] == 'n' ? '\n' : text[i];
    } else {
      out += text[i];
    }
  }
  return out;
}

void parse_comment(std::string_view text, std::map<std::string, Declared>& declared) {
  LineCursor line(text);
  line.take('#');
  line.skip_blanks();
  const std::string_view keyword = line.until(" \t");
  if (keyword != "TYPE" && keyword != "HELP") return;
  line.skip_blanks();
  const std::string name(line.until(" \t"));
  line.skip_blanks();
  if (keyword == "TYPE") {
    declared[name].type = line.rest();
  } else if (is_valid_utf8(line.rest())) {
    declared[name].help = unescape_help(line.rest());
  }
}

void apply_declared(const std::map<std::string, Declared>& declared, Sample& sample) {
  constexpr std::string_view kTotal = "_total";
  auto found = declared.find(sample.name);
  if (found == declared.end() &&
      sample.name.ends_with(kTotal)) {  // as OpenMetrics declares counters
    found = declared.find(sample.name.substr(0, sample.name.size() - kTotal.size()));
  }
  if (found != declared.end()) sample.help = found->second.help;
  const std::string_view type = found == declared.end() ? "" : std::string_view(found->second.type);
  if (type == "counter") {
    sample.type = MetricType::kCounter;
    sample.total = true;
  } else {
    sample.untyped = type != "gauge";
  }
}

}  // namespace

Parsed parse_number_output(std::string_view text, const SensorSpec& sensor) {
  Parsed parsed;
  const auto value = parse_metric_value(text);
  if (value) {
    parsed.samples.push_back(sample_of(sensor, sensor.metric.name, value.value()));
  } else {
    parsed.add_error(value.error().text());
  }
  return parsed;
}

Parsed parse_json_output(std::string_view text, const SensorSpec& sensor) {
  Parsed parsed;
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) {
    parsed.add_error("cannot read the output: it is not JSON");
    return parsed;
  }
  Labels labels;
  for (const auto& [label, pointer] : sensor.value_labels) {
    const json* at = find_pointer(document, pointer);
    auto value = at != nullptr ? label_of(*at) : std::nullopt;
    if (value) {
      labels.emplace(label, std::move(*value));
    } else {
      parsed.add_error("cannot find a string or number for label '" + label + "' at '" + pointer +
                       "'");
    }
  }
  if (!parsed.errors.empty()) return parsed;  // without a label the value would be another series
  for (const auto& [name, pointer] : sensor.values) {
    const json* at = find_pointer(document, pointer);
    const auto value = at != nullptr ? number_of(*at) : std::nullopt;
    if (!value) {
      parsed.add_error("cannot find a number for '" + name + "' at '" + pointer + "'");
      continue;
    }
    Sample sample = sample_of(sensor, name, *value);
    sample.labels = labels;
    parsed.samples.push_back(std::move(sample));
  }
  return parsed;
}

Parsed parse_prometheus_output(std::string_view text) {
  Parsed parsed;
  std::map<std::string, Declared> declared;
  std::size_t number = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) continue;
    line.remove_prefix(start);
    if (line.front() == '#') {
      parse_comment(line, declared);
      continue;
    }
    if (auto sample = parse_sample(line)) {
      apply_declared(declared, *sample);
      parsed.samples.push_back(std::move(*sample));
    } else {
      constexpr std::size_t kShown = 60;
      parsed.add_error("cannot read line " + std::to_string(number) + " '" +
                       std::string(line.substr(0, kShown)) + "' as a Prometheus sample");
    }
  }
  if (parsed.samples.empty() && parsed.errors.empty())
    parsed.add_error("cannot find a sample in the output");
  return parsed;
}

Status check_pointers(const SensorSpec& sensor) {
  for (const auto* map : {&sensor.values, &sensor.value_labels}) {
    for (const auto& [name, pointer] : *map) {
      try {
        const json::json_pointer parsed(pointer);
        const bool found = json().contains(parsed);  // also refuses array indices like "01"
        static_cast<void>(found);
      } catch (const std::exception&) {
        return Error(Errc::kInvalid, "cannot use '" + pointer + "' for '" + name +
                                         "': a JSON pointer like '/queue/depth' is expected");
      }
    }
  }
  return ok();
}

}  // namespace containerpilot::telemetry
