#include "template/evaluator.h"

#include <utility>

#include "template/failure.h"
#include "template/formatter.h"

namespace containerpilot::agent::tmpl {

namespace {

/// The only operand of a pipeline that is `.NAME` or `$.NAME`, else null.
const Operand* only_variable(const Pipeline& pipeline) {
  if (pipeline.commands.size() != 1 || pipeline.commands[0].operands.size() != 1) return nullptr;
  const Operand& operand = pipeline.commands[0].operands[0];
  const bool root = operand.kind == Operand::Kind::kDot ||
                    (operand.kind == Operand::Kind::kVariable && operand.variable == kRootVariable);
  return root && operand.fields.size() == 1 ? &operand : nullptr;
}

}  // namespace

Evaluator::Evaluator(const Program& program, FunctionContext& context, std::size_t max_depth,
                     const Unset& unset)
    : program_(program),
      context_(context),
      max_depth_(max_depth),
      unset_(unset),
      output_(context.budget),
      newest_(program.variable_names.size()) {}

std::string Evaluator::run() {
  enter(program_.templates.find("")->second, &context_.environment);
  while (true) {
    if (next_ < steps_->size()) {
      context_.budget.spend(Budget::kStep);
      execute((*steps_)[next_++]);
    } else if (!calls_.empty()) {
      return_from_template();
    } else {
      return output_.take();
    }
  }
}

void Evaluator::execute(const Step& step) {
  offset_ = step.offset;
  switch (step.kind) {
    case Step::Kind::kText:
      return output_.append(step.text.view());
    case Step::Kind::kAction: {
      const Value value = evaluate(*step.pipeline);
      if (step.pipeline->variables.empty()) print(*step.pipeline, value);
      return;
    }
    case Step::Kind::kIf:
    case Step::Kind::kWith:
      return begin_condition(step);
    case Step::Kind::kRange:
      return begin_range(step);
    case Step::Kind::kNext:
      return next_iteration();
    case Step::Kind::kElse:
      next_ = step.end;
      return;
    case Step::Kind::kEndBlock:
      return end_block();
    case Step::Kind::kBreak:
    case Step::Kind::kContinue:
      return leave_loop(step.kind);
    case Step::Kind::kTemplate:
      return call_template(step);
  }
}

void Evaluator::print(const Pipeline& pipeline, const Value& value) {
  const Operand* operand = unset_ ? only_variable(pipeline) : nullptr;
  if (operand == nullptr || context_.environment.contains(operand->fields[0])) {
    return print_value(output_, value);
  }
  output_.append(unset_(operand->fields[0], operand->offset));
}

void Evaluator::begin_condition(const Step& step) {
  blocks_.push_back({nullptr, variables_.size(), dot_});
  Value value = evaluate(*step.pipeline);
  if (!is_true(value)) {
    next_ = step.otherwise;
  } else if (step.kind == Step::Kind::kWith) {
    dot_ = std::move(value);
  }
}

void Evaluator::begin_range(const Step& step) {
  blocks_.push_back({&step, variables_.size(), dot_});
  Value list = evaluate(*step.pipeline);
  offset_ = step.offset;
  Block& block = blocks_.back();
  const bool has_elements = !std::holds_alternative<Text>(list) && size_of(list);
  if (!has_elements && !std::holds_alternative<Nil>(list)) {
    throw Failure("cannot range over a value of type " + std::string(type_name(list)) +
                  "; a list or the environment would do");
  }
  block.size = size_of(list).value_or(0);
  if (block.size == 0) {
    next_ = step.otherwise;
    return;
  }
  if (const auto* map = std::get_if<const Variables*>(&list)) block.entry = (*map)->begin();
  block.list = std::move(list);
  block.looping = true;
  block.loop_variables = variables_.size();
  start_iteration(block);
}

void Evaluator::start_iteration(Block& block) {
  Value key = static_cast<std::int64_t>(block.index);
  if (const auto* texts = std::get_if<TextList>(&block.list)) {
    dot_ = texts->at(block.index);
  } else if (const auto* integers = std::get_if<IntList>(&block.list)) {
    dot_ = integers->at(block.index);
  } else {
    key = Text::borrowed(block.entry->first);
    dot_ = Text::borrowed(block.entry->second);
    ++block.entry;
  }
  ++block.index;
  // As the original: the variables on top of the stack get the values, whatever their names. With
  // `range $x = …` those need not be the ones named.
  const std::size_t declared = block.range->pipeline->variables.size();
  if (variables_.size() - first_variable_ < declared) {
    throw Failure("cannot assign two loop variables: only \"$\" is declared");
  }
  if (declared > 0) variables_[variables_.size() - 1].value = dot_;
  if (declared > 1) variables_[variables_.size() - 2].value = std::move(key);
}

void Evaluator::next_iteration() {
  Block& block = blocks_.back();
  forget_variables(block.loop_variables);
  if (block.index == block.size) {
    next_ = block.range->end;
    return;
  }
  start_iteration(block);
  next_ = static_cast<std::size_t>(block.range - steps_->data()) + 1;
}

// A break in the else-part of a range ends that range; a continue there concerns the one around it.
void Evaluator::leave_loop(Step::Kind how) {
  const bool is_break = how == Step::Kind::kBreak;
  while (blocks_.back().range == nullptr || !(is_break || blocks_.back().looping)) end_block();
  next_ = is_break ? blocks_.back().range->end : blocks_.back().range->next;
}

void Evaluator::end_block() {
  forget_variables(blocks_.back().variables);
  dot_ = std::move(blocks_.back().dot);
  blocks_.pop_back();
}

void Evaluator::call_template(const Step& step) {
  const auto found = program_.templates.find(step.text.view());
  if (found == program_.templates.end()) {
    throw Failure("cannot find the template " + quoted(step.text.view()) +
                  "; {{define}} would define it");
  }
  if (calls_.size() == max_depth_) {
    throw Failure("cannot call templates more than " + std::to_string(max_depth_) + " deep");
  }
  // Variables that the argument declares stay with the caller.
  Value dot = step.pipeline ? evaluate(*step.pipeline) : Value(Nil{});
  calls_.push_back({steps_, next_, std::move(dot_), first_variable_});
  enter(found->second, std::move(dot));
}

void Evaluator::enter(const Steps& steps, Value dot) {
  steps_ = &steps;
  next_ = 0;
  first_variable_ = variables_.size();
  dot_ = std::move(dot);
  declare(kRootVariable, dot_);
}

void Evaluator::return_from_template() {
  forget_variables(first_variable_);
  Call& caller = calls_.back();
  steps_ = caller.steps;
  next_ = caller.next;
  dot_ = std::move(caller.dot);
  first_variable_ = caller.first_variable;
  calls_.pop_back();
}

Value Evaluator::evaluate(const Pipeline& pipeline) {
  offset_ = pipeline.offset;
  Value value;
  const Value* piped = nullptr;
  for (const Command& command : pipeline.commands) {
    value = evaluate(command, piped);
    piped = &value;
  }
  for (const NameId name : pipeline.variables) {
    if (pipeline.assigns) {
      variable(name);  // fails if there is none
      variables_[newest_[name] - 1].value = value;
    } else {
      declare(name, value);
    }
  }
  return value;
}

Value Evaluator::evaluate(const Command& command, const Value* piped) {
  const std::span<const Operand> operands(command.operands);
  if (operands[0].kind == Operand::Kind::kNil) {
    offset_ = operands[0].offset;
    throw Failure("cannot use nil as a command");
  }
  return evaluate(operands[0], operands.subspan(1), piped);
}

Value Evaluator::evaluate(const Operand& operand, std::span<const Operand> arguments,
                          const Value* piped) {
  offset_ = operand.offset;
  const bool has_arguments = !arguments.empty() || piped != nullptr;
  if (operand.kind == Operand::Kind::kFunction && operand.fields.empty()) {
    return call(operand, arguments, piped);
  }
  if (operand.fields.empty() && has_arguments) {
    throw Failure("cannot give arguments to something that is not a function");
  }
  Value value;
  switch (operand.kind) {
    case Operand::Kind::kConstant:
      value = operand.constant;
      break;
    case Operand::Kind::kTooLarge:
      throw Failure("cannot use this number: it does not fit a signed 64-bit integer");
    case Operand::Kind::kNil:
      break;
    case Operand::Kind::kDot:
      value = dot_;
      break;
    case Operand::Kind::kVariable:
      value = variable(operand.variable);
      break;
    case Operand::Kind::kFunction:
      value = call(operand, {}, nullptr);
      break;
    case Operand::Kind::kPipeline:
      value = evaluate(*operand.pipeline);
      break;
  }
  if (!operand.fields.empty()) offset_ = operand.offset;
  for (const std::string_view& name : operand.fields) {
    value = field(value, name, has_arguments && &name == &operand.fields.back());
  }
  return value;
}

Value Evaluator::field(const Value& receiver, std::string_view name, bool has_arguments) {
  if (std::holds_alternative<Nil>(receiver)) return Nil{};
  const auto* map = std::get_if<const Variables*>(&receiver);
  if (map == nullptr) {
    throw Failure("cannot take the field " + quoted(name) + " of a value of type " +
                  std::string(type_name(receiver)) + "; only the environment has fields");
  }
  if (has_arguments) {
    throw Failure("cannot give arguments to the variable " + quoted(name));
  }
  const auto found = (*map)->find(name);
  return found == (*map)->end() ? Text() : Text::borrowed(found->second);
}

Value Evaluator::call(const Operand& operand, std::span<const Operand> arguments,
                      const Value* piped) {
  const Function& function = *operand.function;
  const std::size_t wanted = function.parameters.size();
  const std::size_t given = arguments.size() + (piped != nullptr ? 1 : 0);
  if (given < wanted || (given > wanted && !function.variadic)) {
    throw Failure("cannot call " + quoted(function.name) + " with " + std::to_string(given) +
                  " arguments; it takes " + (function.variadic ? "at least " : "") +
                  std::to_string(wanted));
  }
  if (function.special != Function::Special::kNone) return and_or(function, arguments, piped);

  std::vector<Value> values;
  values.reserve(given);
  const auto add = [&](Value value) {
    const std::size_t i = values.size();
    check(value, i < wanted ? function.parameters[i] : Function::Parameter::kAny);
    values.push_back(std::move(value));
  };
  for (const Operand& word : arguments) add(argument(word));
  offset_ = operand.offset;
  if (piped != nullptr) add(*piped);
  context_.budget.spend(Budget::kStep * (1 + given));
  return function.call(context_, values);
}

Value Evaluator::and_or(const Function& function, std::span<const Operand> arguments,
                        const Value* piped) {
  const bool stop_at = function.special == Function::Special::kOr;
  Value value;
  for (const Operand& word : arguments) {
    value = argument(word);
    if (is_true(value) == stop_at) return value;
  }
  return piped != nullptr ? *piped : value;
}

Value Evaluator::argument(const Operand& operand) { return evaluate(operand, {}, nullptr); }

void Evaluator::check(const Value& value, Function::Parameter expected) {
  const bool is_nil = std::holds_alternative<Nil>(value);
  switch (expected) {
    case Function::Parameter::kAny:
      return;
    case Function::Parameter::kString:
      if (std::holds_alternative<Text>(value)) return;
      throw Failure("cannot use a value of type " + std::string(type_name(value)) +
                    " here; a string is needed");
    case Function::Parameter::kTextList:
      if (is_nil || std::holds_alternative<TextList>(value)) return;
      throw Failure("cannot use a value of type " + std::string(type_name(value)) +
                    " here; a list of strings is needed");
  }
}

const Value& Evaluator::variable(NameId name) {
  const std::size_t newest = newest_[name];
  if (newest <= first_variable_) {
    throw Failure("cannot use the variable " + quoted(program_.variable_names[name]) +
                  ": its declaration was not executed");
  }
  return variables_[newest - 1].value;
}

void Evaluator::declare(NameId name, Value value) {
  variables_.push_back({name, std::move(value), newest_[name]});
  newest_[name] = variables_.size();
}

void Evaluator::forget_variables(std::size_t keep) {
  for (; variables_.size() > keep; variables_.pop_back()) {
    newest_[variables_.back().name] = variables_.back().hidden;
  }
}

}  // namespace containerpilot::agent::tmpl
