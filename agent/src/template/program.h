#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "template/functions.h"
#include "template/value.h"

namespace containerpilot::agent::tmpl {

/// A variable's name, as an index into Program::variable_names. kRootVariable is "$".
using NameId = std::size_t;
inline constexpr NameId kRootVariable = 0;

struct Pipeline;

/// One word of a command: a term, then fields taken from its value: `$x.A.B`, `(…).A`, `.A.B`.
struct Operand {
  enum class Kind : std::uint8_t {
    kConstant,
    kTooLarge,  ///< an integer beyond int64: an error, but only when it is executed
    kNil,
    kDot,
    kVariable,
    kFunction,
    kPipeline,  ///< in parentheses
  };
  Kind kind = Kind::kConstant;
  std::size_t offset = 0;
  Value constant;
  NameId variable = kRootVariable;
  const Function* function = nullptr;
  std::unique_ptr<Pipeline> pipeline;
  std::vector<std::string_view> fields;
};

/// A function with its arguments, or a single operand.
struct Command {
  std::size_t offset = 0;
  std::vector<Operand> operands;  ///< at least one
};

/// Commands, each given the previous one's value as its last argument; then the result is stored.
struct Pipeline {
  std::size_t offset = 0;
  std::vector<Command> commands;
  std::vector<NameId> variables;  ///< `$i, $e :=`
  bool assigns = false;           ///< "=" instead of ":="
};

/// One instruction. Blocks are flat: a block's step knows where to go on, so that neither deep
/// nesting nor recursion needs a stack of calls.
///
///     if, with:  [kIf]    body [kElse] else-body [kEndBlock]
///     range:     [kRange] body [kNext] [kElse] else-body [kEndBlock]
struct Step {
  enum class Kind : std::uint8_t {
    kText,
    kAction,
    kIf,
    kWith,
    kRange,
    kNext,  ///< the next iteration, or on
    kElse,  ///< the end of the body: goes to `end`
    kEndBlock,
    kBreak,
    kContinue,
    kTemplate,
  };
  Kind kind = Kind::kText;
  std::size_t offset = 0;
  Text text;                         ///< kText; kTemplate: the name
  std::optional<Pipeline> pipeline;  ///< kTemplate may have none: the dot is nil then
  std::size_t next = 0;              ///< kRange: its kNext
  std::size_t otherwise = 0;         ///< kIf, kWith, kRange: where the else-body starts, or `end`
  std::size_t end = 0;               ///< block's kEndBlock; for kElse, too
};

/// The instructions of one {{define}}, {{block}}, or the main template, whose name is "".
using Steps = std::vector<Step>;

struct Program {
  std::map<std::string, Steps, std::less<>> templates;
  std::vector<std::string_view> variable_names;
};

}  // namespace containerpilot::agent::tmpl
