#include <dirent.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "config/commands.h"
#include "config/compatibility.h"
#include "config/generation.h"
#include "config/json5.h"
#include "config/merge.h"
#include "config/plan_context.h"
#include "config/v3_config.h"
#include "containerpilot/agent/config.h"
#include "containerpilot/agent/template.h"

namespace containerpilot::agent {

namespace {

constexpr std::size_t kMostBytes = 64 * 1024 * 1024;

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int error = errno;
    return Error(
        Errc::kIo,
        "cannot read config file '" + path + "': " + std::generic_category().message(error), error);
  }
  std::string text;
  std::array<char, 64 * 1024> piece;
  while (file && text.size() <= kMostBytes) {
    file.read(piece.data(), piece.size());
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return Error(Errc::kIo, "cannot read config file '" + path + "'");
  if (text.size() > kMostBytes) {
    return Error(Errc::kInvalid,
                 "cannot read config file '" + path + "': at most 64 MiB are accepted");
  }
  return text;
}

std::string name_of(const ConfigSource& source) {
  return source.path.empty() ? "<inline>" : source.path;
}

Result<std::string> read_source(const ConfigSource& source) {
  if (source.path.empty()) return source.text;
  return read_file(source.path);
}

/// A folder stands for its *.json5 and *.json files, in the order of their names.
Result<std::vector<ConfigSource>> expand(const ConfigSource& source) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(source.path.c_str()), &::closedir);
  if (!folder) return std::vector{source};
  std::vector<std::string> paths;
  const std::string before = source.path + (source.path.ends_with('/') ? "" : "/");
  // NOLINTNEXTLINE(concurrency-mt-unsafe): our own DIR
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    const bool config = name.ends_with(".json5") || name.ends_with(".json");
    if (config && name.front() != '.') paths.push_back(before + entry->d_name);
  }
  if (paths.empty()) {
    return Error(Errc::kNotFound,
                 "config folder '" + source.path + "' holds no *.json5 and no *.json file");
  }
  std::sort(paths.begin(), paths.end());
  std::vector<ConfigSource> out;
  out.reserve(paths.size());
  for (std::string& path : paths) out.push_back({std::move(path), "", source.old_form});
  return out;
}

/// One load, from text to plan.
class Loader {
 public:
  explicit Loader(const LoadOptions& options) : options_(options) {}

  LoadResult load(const std::vector<ConfigSource>& sources) {
    std::optional<Plan> plan;
    LoadResult result;
    if (const Node* top = parse(sources); top != nullptr) {
      plan = make_plan(*top, sources);
      if (options_.check) {
        check_commands(problems_, *top, plan->generation, options_.environment);
        result.differences = compatibility_notes(tree_, *top, plan->generation);
      }
    }
    if (options_.check || problems_.failed()) warn_of_unset();
    if (!problems_.failed()) result.plan = std::move(plan);
    // The longest first: one may be a part of another.
    std::sort(secrets_.begin(), secrets_.end(),
              [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
    if (result.plan) result.plan->secrets = result.plan->logging.masked = secrets_;
    result.errors = problems_.take_errors();
    result.warnings = problems_.take_warnings();
    for (Problem& problem : result.errors) mask(problem);
    for (Problem& problem : result.warnings) mask(problem);
    return result;
  }

  /// All sources merged into one tree; null after reporting.
  const Node* parse(const std::vector<ConfigSource>& sources) {
    if (sources.empty()) {
      problems_.error("no configuration is given; accepted: -config, or $CONTAINERPILOT");
    }
    Node* base = nullptr;
    bool good = true;
    for (const ConfigSource& source : sources) {
      const Result<std::vector<ConfigSource>> files = expand(source);
      if (!files) {
        problems_.error(files.error().text());
        return nullptr;
      }
      for (const ConfigSource& file : files.value()) {
        Node* top = parse(file);
        good = good && top != nullptr;
        if (base != nullptr && top != nullptr) {
          merge(*base, *top);
        } else if (top != nullptr) {
          base = top;
        }
      }
    }
    return good ? base : nullptr;
  }

  [[nodiscard]] std::vector<Problem> take_errors() { return problems_.take_errors(); }

 private:
  /// File, template and JSON5 of one file; null after reporting.
  Node* parse(const ConfigSource& source) {
    Result<std::string> text = read_source(source);
    if (!text) {
      problems_.error(text.error().text());
      return nullptr;
    }
    std::vector<Unset> unset;
    Result<std::string> rendered = render(text.value(), unset);
    if (!rendered) {
      report_template_error(tree_.add_source(name_of(source), std::move(text).value()),
                            rendered.error().text());
      return nullptr;
    }
    const std::uint16_t index = tree_.add_source(name_of(source), std::move(rendered).value());
    if (!unset.empty()) {
      tree_.source(index).has_unset = options_.check;
      unset_.emplace_back(tree_.add_source(name_of(source), std::move(text).value()),
                          std::move(unset));
    }
    auto parsed = parse_json5(tree_, index);
    if (const auto* error = std::get_if<SyntaxError>(&parsed)) {
      problems_.error_at(index, error->offset, error->message);
      return nullptr;
    }
    Node* top = std::get<Node*>(parsed);
    if (!top->is(Node::Kind::kObject)) {
      problems_.error(*top, "found " + describe(*top), "an object: { … }");
      return nullptr;
    }
    return top;
  }

  /// A variable that is printed though it is not set.
  struct Unset {
    std::string name;
    std::size_t offset;
  };

  /// For -check, and when something is wrong: then this is often why.
  void warn_of_unset() {
    for (const auto& [source, variables] : unset_) {
      std::set<std::string> told;
      for (const Unset& variable : variables) {
        if (!told.insert(variable.name).second) continue;
        problems_.warning_at(source, static_cast<std::uint32_t>(variable.offset),
                             "'" + variable.name + "' is not set" +
                                 (options_.check ? " here, so what depends on it is not checked"
                                                 : ", so nothing stands in its place"));
      }
    }
  }

  Result<std::string> render(const std::string& text, std::vector<Unset>& unset) {
    TemplateOptions options;
    options.unset = [this, &unset](std::string_view name, std::size_t offset) {
      unset.push_back({std::string(name), offset});
      return std::string(options_.check ? kUnset : "");
    };
    options.read_file = [this](const std::string& path) {
      Result<std::string> content = read_secret_file(path);
      if (content && !content.value().empty()) secrets_.push_back(content.value());
      return content;
    };
    return render_template(text, options_.environment, options);
  }

  /// `text` is "LINE:COLUMN: cannot …".
  void report_template_error(std::uint16_t source, const std::string& text) {
    Position at;
    const char* end = text.data() + text.size();
    const char* colon = std::from_chars(text.data(), end, at.line).ptr;
    if (colon != end && *colon == ':') colon = std::from_chars(colon + 1, end, at.column).ptr;
    const std::size_t message = text.find(": ");
    problems_.error_at(source, tree_.offset(source, at),
                       message == std::string::npos ? text : text.substr(message + 2));
  }

  Plan make_plan(const Node& top, const std::vector<ConfigSource>& sources) {
    PlanContext context{problems_, options_};
    const Detected detected = detect_generation(problems_, tree_, top, sources.front(), options_);
    if (detected.generation == Generation::kV3) {
      V3Config config;
      object<V3Config>(v3_block).parse(problems_, top, config);
      return make_v3_plan(context, config);
    }
    if (!detected.strict) problems_.tolerate_unknown_keys();
    V2Config config;
    object<V2Config>(v2_block).parse(problems_, top, config);
    return make_v2_plan(context, config, detected.generation);
  }

  void mask(Problem& problem) const {
    for (const std::string& secret : secrets_) {
      for (std::string* text : {&problem.message, &problem.accepted, &problem.excerpt}) {
        mask_all(*text, secret);
      }
    }
  }

  static void mask_all(std::string& text, const std::string& secret) {
    for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos;) {
      text.replace(at, secret.size(), "***");
    }
  }

  const LoadOptions& options_;
  Tree tree_;
  Problems problems_{tree_};
  std::vector<std::string> secrets_;
  std::vector<std::pair<std::uint16_t, std::vector<Unset>>> unset_;  // by source of the template
};

}  // namespace

ConfigSource config_source(std::string_view value) {
  constexpr std::string_view kFileUrl = "file://";
  if (value.substr(0, kFileUrl.size()) == kFileUrl) {
    return {std::string(value.substr(kFileUrl.size())), "", true};
  }
  if (value.find('{') != std::string_view::npos) return {"", std::string(value), true};
  return {std::string(value), "", false};
}

std::vector<ConfigSource> config_sources(const std::vector<std::string>& values) {
  std::vector<ConfigSource> out;
  out.reserve(values.size());
  for (const std::string& value : values) out.push_back(config_source(value));
  return out;
}

std::string check_report(const LoadResult& result) {
  std::string out;
  for (const Problem& problem : result.errors) out += with_excerpt(problem) + "\n";
  for (const Problem& problem : result.warnings) out += with_excerpt(problem) + "\n";
  const auto count = [](std::size_t n, const char* what) {
    return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
  };
  out +=
      count(result.errors.size(), "error") + ", " + count(result.warnings.size(), "warning") + "\n";
  if (result.differences.empty()) return out;
  out += "\ndiffers from the original for this file:\n";
  for (const Problem& difference : result.differences) {
    out += "  " + difference.file + ":" + std::to_string(difference.line) + " " + difference.path +
           ": " + difference.message + "\n    to keep the old behaviour: " + difference.accepted +
           "\n";
  }
  return out;
}

Result<std::string> render_config(const std::vector<ConfigSource>& sources,
                                  const LoadOptions& options) {
  TemplateOptions rendering;
  rendering.read_file = read_secret_file;
  std::string out;
  for (const ConfigSource& source : sources) {
    const Result<std::vector<ConfigSource>> files = expand(source);
    if (!files) return files.error();
    for (const ConfigSource& file : files.value()) {
      Result<std::string> text = read_source(file);
      if (!text) return text;
      Result<std::string> rendered = render_template(text.value(), options.environment, rendering);
      if (!rendered) return std::move(rendered).error().during(name_of(file));
      out += rendered.value();
    }
  }
  return out;
}

LoadResult load_config(const std::vector<ConfigSource>& sources, const LoadOptions& options) {
  return Loader(options).load(sources);
}
LoadResult load_config(const ConfigSource& source, const LoadOptions& options) {
  return load_config(std::vector{source}, options);
}

ControlSocket find_control_socket(const std::vector<ConfigSource>& sources,
                                  const LoadOptions& options) {
  ControlSocket out{Plan().control_socket, ""};
  Loader loader(options);
  const Node* top = loader.parse(sources);
  if (top == nullptr) {
    out.problem = one_line(loader.take_errors().front());
    return out;
  }
  const Node* control = top->find("control");
  const Node* socket = control == nullptr ? nullptr : control->find("socket");
  if (socket != nullptr && socket->is(Node::Kind::kString) && !socket->text.empty()) {
    out.path = socket->text;
  }
  return out;
}

}  // namespace containerpilot::agent
