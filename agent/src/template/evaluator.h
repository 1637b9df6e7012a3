#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "template/functions.h"
#include "template/program.h"

namespace containerpilot::agent::tmpl {

/// Runs a program once. Its own stacks hold blocks, calls and variables, so that a template can
/// nest and recurse as deep as the limits say.
class Evaluator {
 public:
  using Unset = std::function<std::string(std::string_view name, std::size_t offset)>;
  /// All arguments must outlive the evaluator. `max_depth` bounds {{template}} calls within calls;
  /// `unset`, if any, says what is printed for a variable that is not set.
  Evaluator(const Program& program, FunctionContext& context, std::size_t max_depth,
            const Unset& unset);

  /// The main template's output, with the environment as its dot. Throws Failure; offset() tells
  /// where.
  std::string run();
  /// Byte offset of what is being evaluated.
  [[nodiscard]] std::size_t offset() const { return offset_; }

 private:
  struct Binding {
    NameId name;
    Value value;
    std::size_t hidden;  ///< what newest_[name] was before
  };

  /// An if, with or range being executed.
  struct Block {
    const Step* range;      ///< null for if and with
    std::size_t variables;  ///< to be kept when the block ends
    Value dot;              ///< to be restored then
    // Of a range with something to iterate over:
    bool looping = false;
    Value list{};
    std::size_t size = 0;
    std::size_t index = 0;
    Variables::const_iterator entry{};
    std::size_t loop_variables = 0;  ///< variables outside the body
  };

  /// What a {{template}} call returns to.
  struct Call {
    const Steps* steps;
    std::size_t next;
    Value dot;
    std::size_t first_variable;
  };

  void execute(const Step& step);
  void print(const Pipeline& pipeline, const Value& value);
  void begin_condition(const Step& step);
  void begin_range(const Step& step);
  void start_iteration(Block& block);
  void next_iteration();
  void leave_loop(Step::Kind how);
  void end_block();
  void call_template(const Step& step);
  void enter(const Steps& steps, Value dot);
  void return_from_template();

  Value evaluate(const Pipeline& pipeline);
  Value evaluate(const Command& command, const Value* piped);
  Value evaluate(const Operand& operand, std::span<const Operand> arguments, const Value* piped);
  Value field(const Value& receiver, std::string_view name, bool has_arguments);
  Value call(const Operand& function, std::span<const Operand> arguments, const Value* piped);
  Value and_or(const Function& function, std::span<const Operand> arguments, const Value* piped);
  Value argument(const Operand& operand);
  static void check(const Value& value, Function::Parameter expected);

  const Value& variable(NameId name);
  void declare(NameId name, Value value);
  void forget_variables(std::size_t keep);

  const Program& program_;
  FunctionContext& context_;
  const std::size_t max_depth_;
  const Unset& unset_;
  Buffer output_;

  const Steps* steps_ = nullptr;
  std::size_t next_ = 0;
  Value dot_;
  std::size_t offset_ = 0;
  std::vector<Call> calls_;
  std::vector<Block> blocks_;
  std::vector<Binding> variables_;
  std::size_t first_variable_ = 0;   ///< of the running template; those below belong to its callers
  std::vector<std::size_t> newest_;  ///< by name: 1 + index of its newest binding, 0 for none
};

}  // namespace containerpilot::agent::tmpl
