#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/result.h"
#include "template/budget.h"
#include "template/value.h"

namespace containerpilot::agent::tmpl {

/// What a function may look at besides its arguments.
struct FunctionContext {
  const Variables& environment;
  const std::function<Result<std::string>(const std::string& path)>& read_file;
  Budget& budget;
};

/// A function templates can call. Throws Failure.
struct Function {
  enum class Parameter : std::uint8_t { kAny, kString, kTextList };
  /// `and` and `or` evaluate their arguments one by one and stop early; the evaluator does that.
  enum class Special : std::uint8_t { kNone, kAnd, kOr };

  std::string_view name;
  std::vector<Parameter> parameters;
  bool variadic = false;  ///< any number of kAny follow
  Value (*call)(FunctionContext&, std::span<const Value>) = nullptr;
  Special special = Special::kNone;
};

/// Null for an unknown name.
const Function* find_function(std::string_view name);

/// Go's own functions, and those of the configuration language.
std::span<const Function> builtin_functions();
std::span<const Function> config_functions();

}  // namespace containerpilot::agent::tmpl
