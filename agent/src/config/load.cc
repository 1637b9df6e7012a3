#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "config/json5.h"
#include "config/plan_context.h"
#include "config/v3_config.h"
#include "containerpilot/agent/config.h"

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

/// File, template and JSON5 of one source; null after reporting.
const Node* parse_source(const ConfigSource& source, const LoadOptions&, Tree& tree,
                         Problems& problems) {
  std::string text = source.text;
  if (!source.path.empty()) {
    Result<std::string> file = read_file(source.path);
    if (!file) {
      problems.error(file.error().text());
      return nullptr;
    }
    text = std::move(file).value();
  }
  const std::uint16_t index =
      tree.add_source(source.path.empty() ? "<inline>" : source.path, std::move(text));
  auto parsed = parse_json5(tree, index);
  if (const auto* error = std::get_if<SyntaxError>(&parsed)) {
    problems.error_at(index, error->offset, error->message);
    return nullptr;
  }
  const Node* top = std::get<const Node*>(parsed);
  if (!top->is(Node::Kind::kObject)) {
    problems.error(*top, "found " + describe(*top), "an object: { … }");
    return nullptr;
  }
  return top;
}

}  // namespace

ConfigSource config_source(std::string_view value) {
  constexpr std::string_view kFileUrl = "file://";
  if (value.substr(0, kFileUrl.size()) == kFileUrl) {
    return {std::string(value.substr(kFileUrl.size())), "", true};
  }
  if (value.find('{') != std::string_view::npos) return {"", std::string(value), true};
  return {std::string(value), "", false};
}

LoadResult load_config(const ConfigSource& source, const LoadOptions& options) {
  LoadResult result;
  Tree tree;
  Problems problems(tree);
  PlanContext context{problems, options};
  std::optional<Plan> plan;
  if (const Node* top = parse_source(source, options, tree, problems); top != nullptr) {
    V3Config config;
    object<V3Config>(v3_block()).parse(problems, *top, config);
    plan = make_v3_plan(context, config);
  }
  if (!problems.failed()) result.plan = std::move(plan);
  result.errors = problems.take_errors();
  result.warnings = problems.take_warnings();
  return result;
}

ControlSocket find_control_socket(const ConfigSource& source, const LoadOptions& options) {
  ControlSocket out{Plan().control_socket, ""};
  Tree tree;
  Problems problems(tree);
  const Node* top = parse_source(source, options, tree, problems);
  if (top == nullptr) {
    out.problem = one_line(problems.take_errors().front());
    return out;
  }
  const Node* control = top->find("control");
  const Node* socket = control == nullptr ? nullptr : control->find("socket");
  if (socket != nullptr && socket->is(Node::Kind::kString) && !socket->text.empty())
    out.path = socket->text;
  return out;
}

}  // namespace containerpilot::agent
