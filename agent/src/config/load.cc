#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "config/generation.h"
#include "config/json5.h"
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
    return Error(Errc::kIo, "cannot read config file '" + path + "': " + std::strerror(error),
                 error);
  }
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) return Error(Errc::kIo, "cannot read config file '" + path + "'");
  if (text.size() > kMostBytes) {
    return Error(Errc::kInvalid, "config file '" + path + "' is larger than 64 MiB");
  }
  return text;
}

Result<std::string> read_source(const ConfigSource& source) {
  return source.path.empty() ? Result<std::string>(source.text) : read_file(source.path);
}

std::string name_of(const ConfigSource& source) {
  return source.path.empty() ? "<inline>" : source.path;
}

/// One load, from text to plan.
class Loader {
 public:
  explicit Loader(const LoadOptions& options) : options_(options) {}

  LoadResult load(const ConfigSource& source) {
    std::optional<Plan> plan;
    if (const Node* top = parse(source); top != nullptr) plan = make_plan(*top, source);
    LoadResult result;
    if (!problems_.failed()) result.plan = std::move(plan);
    if (result.plan) result.plan->secrets = secrets_;
    result.errors = problems_.take_errors();
    result.warnings = problems_.take_warnings();
    for (Problem& problem : result.errors) mask(problem);
    for (Problem& problem : result.warnings) mask(problem);
    return result;
  }

  /// File, template and JSON5; null after reporting.
  const Node* parse(const ConfigSource& source) {
    Result<std::string> text = read_source(source);
    if (!text) {
      problems_.error(text.error().text());
      return nullptr;
    }
    Result<std::string> rendered = render(text.value());
    if (!rendered) {
      report_template_error(tree_.add_source(name_of(source), std::move(text).value()),
                            rendered.error().text());
      return nullptr;
    }
    const std::uint16_t index = tree_.add_source(name_of(source), std::move(rendered).value());
    auto parsed = parse_json5(tree_, index);
    if (const auto* error = std::get_if<SyntaxError>(&parsed)) {
      problems_.error_at(index, error->offset, error->message);
      return nullptr;
    }
    const Node* top = std::get<const Node*>(parsed);
    if (!top->is(Node::Kind::kObject)) {
      problems_.error(*top, "found " + describe(*top), "an object: { … }");
      return nullptr;
    }
    return top;
  }

  [[nodiscard]] std::vector<Problem> take_errors() { return problems_.take_errors(); }

 private:
  Result<std::string> render(const std::string& text) {
    TemplateOptions options;
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

  Plan make_plan(const Node& top, const ConfigSource& source) {
    PlanContext context{problems_, options_};
    const Detected detected = detect_generation(problems_, tree_, top, source, options_);
    if (detected.generation == Generation::kV3) {
      V3Config config;
      object<V3Config>(v3_block()).parse(problems_, top, config);
      return make_v3_plan(context, config);
    }
    if (!detected.strict) problems_.tolerate_unknown_keys();
    V2Config config;
    object<V2Config>(v2_block()).parse(problems_, top, config);
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

Result<std::string> render_config(const ConfigSource& source, const LoadOptions& options) {
  const Result<std::string> text = read_source(source);
  if (!text) return text;
  TemplateOptions rendering;
  rendering.read_file = read_secret_file;
  Result<std::string> rendered = render_template(text.value(), options.environment, rendering);
  if (!rendered) return std::move(rendered).error().during(name_of(source));
  return rendered;
}

LoadResult load_config(const ConfigSource& source, const LoadOptions& options) {
  return Loader(options).load(source);
}

ControlSocket find_control_socket(const ConfigSource& source, const LoadOptions& options) {
  ControlSocket out{Plan().control_socket, ""};
  Loader loader(options);
  const Node* top = loader.parse(source);
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
