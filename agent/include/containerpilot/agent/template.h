#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "containerpilot/supervisor/result.h"

namespace containerpilot::agent {

/// Bounds on what one template may do; beyond them rendering ends with an error. Far above real
/// use: a configuration of a thousand jobs needs less than a hundredth of each.
struct TemplateLimits {
  std::size_t text_bytes = 64U << 20;  ///< of the output, and of any text made on the way
  std::size_t call_depth = 100'000;    ///< {{template}} within {{template}}; the original's limit
  /// Bytes made or read by functions, plus 64 for every action, call and iteration: about four
  /// million iterations, a second or two.
  std::size_t work = 256U << 20;
};

struct TemplateOptions {
  TemplateLimits limits;
  /// Behind {{ file "/run/secrets/x" }}: gives the content of a file. Callers that must mask
  /// secrets remember what they return; read_secret_file() does the reading. None: `file` is an
  /// error.
  std::function<Result<std::string>(const std::string& path)> read_file;
  /// Asked what to print where an action prints nothing but a variable that is not set: gets its
  /// name and the byte offset in `text`. None: nothing is printed.
  std::function<std::string(std::string_view name, std::size_t offset)> unset;
};

/// Renders a configuration template: Go's text/template (Go 1.19) with the functions default, env,
/// file, join, loop, regexReplaceAll, replaceAll and split. The dot is the environment; a variable
/// that is not set renders as nothing.
/// @param text  bytes; nothing is assumed about their encoding.
/// Errors: kInvalid, text "LINE:COLUMN: cannot …"; both count from 1, columns in characters.
/// Nothing is kept of the output. Reads no file and no environment but what it is given; any
/// thread. Source: ContainerPilot 3.8.0, config/template.
Result<std::string> render_template(
    std::string_view text, const std::map<std::string, std::string, std::less<>>& environment,
    const TemplateOptions& options = {});

/// The content of a secret's file without one line end at its end; at most 1 MiB. May block.
Result<std::string> read_secret_file(const std::string& path);

}  // namespace containerpilot::agent
