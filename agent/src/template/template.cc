#include "containerpilot/agent/template.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "template/evaluator.h"
#include "template/failure.h"
#include "template/parser.h"
#include "template/utf8.h"

namespace containerpilot::agent {
namespace {

constexpr std::size_t kMaxSecretBytes = 1U << 20;

Error error_at(std::string_view text, std::size_t offset, const std::string& message) {
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.find_last_of('\n') + 1;  // 0 if there is none
  const std::size_t column = 1 + tmpl::count_runes(before.substr(line_start));
  return {Errc::kInvalid, std::to_string(line) + ":" + std::to_string(column) + ": " + message};
}

}  // namespace

Result<std::string> render_template(
    std::string_view text, const std::map<std::string, std::string, std::less<>>& environment,
    const TemplateOptions& options) {
  std::size_t offset = 0;
  try {
    const tmpl::Program program = tmpl::parse(text);
    tmpl::Budget budget(options.limits.work, options.limits.text_bytes);
    tmpl::FunctionContext context{environment, options.read_file, budget};
    tmpl::Evaluator evaluator(program, context, options.limits.call_depth, options.unset);
    try {
      return evaluator.run();
    } catch (const tmpl::Failure&) {
      offset = evaluator.offset();
      throw;
    }
  } catch (const tmpl::Failure& failure) {
    return error_at(text, failure.offset().value_or(offset), failure.message());
  }
}

Result<std::string> read_secret_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int error = errno;
    return Error(error == ENOENT ? Errc::kNotFound : Errc::kIo,
                 "cannot read '" + path + "': " + std::generic_category().message(error), error);
  }
  std::string content(kMaxSecretBytes + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad() || content.size() > kMaxSecretBytes) {
    return Error(Errc::kInvalid, "cannot read '" + path + "': at most 1 MiB is accepted");
  }
  if (content.ends_with('\n')) content.pop_back();
  if (content.ends_with('\r')) content.pop_back();
  return content;
}

}  // namespace containerpilot::agent
