#include "template/parser.h"

#include <unordered_map>
#include <utility>

#include "template/failure.h"
#include "template/literal.h"
#include "template/token_stream.h"
#include "template/utf8.h"

namespace containerpilot::agent::tmpl {
namespace {

using Kind = Token::Kind;

/// Parentheses are the only construct parsed and evaluated by recursion.
constexpr int kMaxParens = 1000;

class Parser {
 public:
  explicit Parser(std::string_view text) : tokens_(text) {}
  Program parse();

 private:
  /// A block whose {{end}} has not been seen.
  struct OpenBlock {
    enum class Kind : std::uint8_t { kIf, kElseIf, kWith, kRange, kTemplate };
    Kind kind;
    std::size_t first;  ///< index of its step; for kTemplate: of its call, if it is a {{block}}
    std::size_t variables;
    std::optional<std::size_t> else_step;
  };

  /// A template whose {{end}} (or, for the main one, the end of input) has not been seen.
  struct OpenTemplate {
    Text name;
    Steps steps;
    std::vector<NameId> variables;  ///< in scope, innermost last
    std::unordered_map<NameId, int> declared;
    int loops = 0;             ///< bodies of ranges around this point
    std::optional<Step> call;  ///< of a {{block}}: goes into the template around it
  };

  void parse_action();
  void begin_define();
  void begin_block_template();
  void begin_block(OpenBlock::Kind kind, std::string_view context);
  void parse_else();
  void parse_end(const Token& end);
  void close_if_or_range(OpenBlock& block);
  void parse_loop_exit(Step::Kind kind, const Token& keyword);
  void parse_template_call();
  Text template_name(std::string_view context);
  void begin_template(Text name);
  void end_template();

  Pipeline pipeline(std::string_view context, Kind end);
  void declarations(Pipeline& out, std::string_view context);
  Command command(std::string_view context);
  std::optional<Operand> operand();
  std::optional<Operand> term();
  Operand number(const Token& token);
  Operand variable(const Token& token);
  Operand function(const Token& token);
  Operand parenthesized(const Token& token);

  NameId intern(std::string_view name);
  void declare(std::string_view name);
  void forget_variables(std::size_t keep);

  OpenTemplate& current() { return open_templates_.back(); }
  Step& add_step(Step::Kind kind, std::size_t offset);

  TokenStream tokens_;
  std::vector<OpenTemplate> open_templates_;
  std::vector<OpenBlock> open_blocks_;
  std::unordered_map<std::string_view, NameId> names_;
  int parens_ = 0;
  Program program_;
};

Program Parser::parse() {
  begin_template(Text());
  while (true) {
    const Token token = tokens_.next();
    if (token.kind == Kind::kEnd) {
      if (!open_blocks_.empty()) {
        throw Failure(token.offset,
                      "cannot find the {{end}} of a block before the end of the file");
      }
      end_template();
      return std::move(program_);
    }
    if (token.kind == Kind::kText) {
      add_step(Step::Kind::kText, token.offset).text = Text::borrowed(token.text);
    } else {
      parse_action();
    }
  }
}

void Parser::parse_action() {
  const Token token = tokens_.next_after_space();
  if (token.kind == Kind::kKeyword && token.text != "nil") {
    if (token.text == "if") return begin_block(OpenBlock::Kind::kIf, "if");
    if (token.text == "with") return begin_block(OpenBlock::Kind::kWith, "with");
    if (token.text == "range") return begin_block(OpenBlock::Kind::kRange, "range");
    if (token.text == "else") return parse_else();
    if (token.text == "end") return parse_end(token);
    if (token.text == "break") return parse_loop_exit(Step::Kind::kBreak, token);
    if (token.text == "continue") return parse_loop_exit(Step::Kind::kContinue, token);
    if (token.text == "template") return parse_template_call();
    if (token.text == "block") return begin_block_template();
    if (!open_blocks_.empty()) {
      throw Failure(token.offset, "cannot use {{define}} inside another block");
    }
    return begin_define();
  }
  tokens_.push_back(token);
  Pipeline pipe = pipeline("an action", Kind::kClose);
  add_step(Step::Kind::kAction, token.offset).pipeline = std::move(pipe);
}

void Parser::begin_define() {
  Text name = template_name("{{define}}");
  tokens_.expect_close("{{define}}");
  open_blocks_.push_back({OpenBlock::Kind::kTemplate, 0, 0, std::nullopt});
  begin_template(std::move(name));
}

// {{block "x" pipeline}}…{{end}} defines "x" and calls it in place.
void Parser::begin_block_template() {
  Step call;
  call.kind = Step::Kind::kTemplate;
  call.offset = tokens_.peek_after_space().offset;
  call.text = template_name("{{block}}");
  call.pipeline = pipeline("{{block}}", Kind::kClose);
  open_blocks_.push_back({OpenBlock::Kind::kTemplate, 0, 0, std::nullopt});
  begin_template(call.text);
  current().call = std::move(call);
}

void Parser::parse_template_call() {
  const std::size_t offset = tokens_.peek_after_space().offset;
  Text name = template_name("{{template}}");
  std::optional<Pipeline> argument;
  if (tokens_.peek_after_space().kind == Kind::kClose) {
    tokens_.next_after_space();
  } else {
    argument = pipeline("{{template}}", Kind::kClose);
  }
  Step& call = add_step(Step::Kind::kTemplate, offset);
  call.text = std::move(name);
  call.pipeline = std::move(argument);
}

Text Parser::template_name(std::string_view context) {
  const Token token = tokens_.next_after_space();
  if (token.kind != Kind::kString && token.kind != Kind::kRawString) {
    TokenStream::unexpected(token, std::string(context) + ", which needs a name in quotes");
  }
  const auto name = parse_string(token.text);
  if (!name) throw Failure(token.offset, "cannot read the string " + quoted(token.text));
  return *name;
}

void Parser::begin_template(Text name) {
  open_templates_.emplace_back();
  current().name = std::move(name);
  declare("$");
}

// A second definition is an error unless one of the two is blank.
void Parser::end_template() {
  OpenTemplate done = std::move(open_templates_.back());
  open_templates_.pop_back();
  const auto is_blank = [](const Steps& steps) {
    for (const Step& step : steps) {
      if (step.kind != Step::Kind::kText || !trim_space(step.text.view()).empty()) return false;
    }
    return true;
  };
  Steps& known = program_.templates[std::string(done.name.view())];
  if (is_blank(known)) {
    known = std::move(done.steps);
  } else if (!is_blank(done.steps)) {
    throw Failure(done.steps.front().offset,
                  "cannot define the template " + quoted(done.name.view()) + " a second time");
  }
  if (done.call) current().steps.push_back(std::move(*done.call));
}

void Parser::begin_block(OpenBlock::Kind kind, std::string_view context) {
  const std::size_t variables = current().variables.size();
  const std::size_t offset = tokens_.peek_after_space().offset;
  Pipeline condition = pipeline(context, Kind::kClose);
  open_blocks_.push_back({kind, current().steps.size(), variables, std::nullopt});
  Step::Kind step = Step::Kind::kIf;
  if (kind == OpenBlock::Kind::kWith) step = Step::Kind::kWith;
  if (kind == OpenBlock::Kind::kRange) {
    step = Step::Kind::kRange;
    ++current().loops;
  }
  add_step(step, offset).pipeline = std::move(condition);
}

void Parser::parse_else() {
  const Token token = tokens_.peek_after_space();
  if (open_blocks_.empty() || open_blocks_.back().kind == OpenBlock::Kind::kTemplate ||
      open_blocks_.back().else_step) {
    throw Failure(token.offset, "cannot use {{else}} here: no if, with or range is open for it");
  }
  OpenBlock& block = open_blocks_.back();
  const bool else_if = token.is_keyword("if");
  if (else_if && block.kind != OpenBlock::Kind::kIf && block.kind != OpenBlock::Kind::kElseIf) {
    throw Failure(token.offset, "cannot use {{else if}} in with or range, only in if");
  }
  if (!else_if) tokens_.expect_close("{{else}}");
  close_if_or_range(block);
  block.else_step = current().steps.size();
  add_step(Step::Kind::kElse, token.offset);
  current().steps[block.first].otherwise = current().steps.size();
  if (!else_if) return;
  tokens_.next_after_space();
  // The chain shares one {{end}}: each further "if" is a block inside the else of the one before.
  begin_block(OpenBlock::Kind::kElseIf, "if");
}

/// At the end of a body.
void Parser::close_if_or_range(OpenBlock& block) {
  if (block.kind != OpenBlock::Kind::kRange) return;
  --current().loops;
  current().steps[block.first].next = current().steps.size();
  add_step(Step::Kind::kNext, current().steps[block.first].offset);
}

void Parser::parse_end(const Token& end) {
  tokens_.expect_close("{{end}}");
  if (open_blocks_.empty()) {
    throw Failure(end.offset, "cannot use {{end}} here: no block is open");
  }
  while (true) {
    OpenBlock block = open_blocks_.back();
    open_blocks_.pop_back();
    if (block.kind == OpenBlock::Kind::kTemplate) return end_template();
    if (!block.else_step) {
      close_if_or_range(block);
      current().steps[block.first].otherwise = current().steps.size();
    }
    current().steps[block.first].end = current().steps.size();
    if (block.else_step) current().steps[*block.else_step].end = current().steps.size();
    add_step(Step::Kind::kEndBlock, end.offset);
    forget_variables(block.variables);
    if (block.kind != OpenBlock::Kind::kElseIf) return;
  }
}

void Parser::parse_loop_exit(Step::Kind kind, const Token& keyword) {
  tokens_.expect_close("{{" + std::string(keyword.text) + "}}");
  if (current().loops == 0) {
    throw Failure(keyword.offset,
                  "cannot use {{" + std::string(keyword.text) + "}} outside a range");
  }
  add_step(kind, keyword.offset);
}

Pipeline Parser::pipeline(std::string_view context, Kind end) {
  Pipeline out;
  out.offset = tokens_.peek_after_space().offset;
  declarations(out, context);
  while (tokens_.peek_after_space().kind != end) out.commands.push_back(command(context));
  const Token closing = tokens_.next_after_space();
  if (out.commands.empty()) {
    throw Failure(closing.offset, "cannot do without a value in " + std::string(context));
  }
  for (std::size_t i = 1; i < out.commands.size(); ++i) {
    const Operand& first = out.commands[i].operands.front();
    const bool constant = first.kind == Operand::Kind::kConstant ||
                          first.kind == Operand::Kind::kTooLarge ||
                          first.kind == Operand::Kind::kNil || first.kind == Operand::Kind::kDot;
    if (constant && first.fields.empty()) {
      throw Failure(first.offset, "cannot pipe a value into something that is not a function");
    }
  }
  return out;
}

// `$x :=`, `$x =`, and in a range also `$i, $e :=`.
void Parser::declarations(Pipeline& out, std::string_view context) {
  while (tokens_.peek_after_space().kind == Kind::kVariable) {
    const Token name = tokens_.next_after_space();
    const Token after = tokens_.next();
    const Token sign = after.kind == Kind::kSpace ? tokens_.next_after_space() : after;
    const bool comma = sign.kind == Kind::kOther && sign.text == ",";
    if (sign.kind != Kind::kAssign && sign.kind != Kind::kDeclare && !comma) {
      // An operand after all. Whether a space follows it matters to the command.
      tokens_.push_back(sign);
      if (after.kind == Kind::kSpace) tokens_.push_back(after);
      tokens_.push_back(name);
      return;
    }
    out.variables.push_back(intern(name.text));
    declare(name.text);
    if (!comma) {
      out.assigns = sign.kind == Kind::kAssign;
      return;
    }
    if (context != "range" || out.variables.size() > 1) {
      throw Failure(sign.offset, "cannot declare more variables in " + std::string(context));
    }
    if (tokens_.peek_after_space().kind != Kind::kVariable) {
      throw Failure(sign.offset,
                    "cannot read what follows the \",\": a range needs a variable there");
    }
  }
}

Command Parser::command(std::string_view context) {
  Command out;
  out.offset = tokens_.peek_after_space().offset;
  while (true) {
    tokens_.peek_after_space();
    if (auto word = operand()) out.operands.push_back(std::move(*word));
    const Token token = tokens_.next();
    if (token.kind == Kind::kSpace) continue;
    if (token.kind == Kind::kClose || token.kind == Kind::kRightParen) {
      tokens_.push_back(token);
    } else if (token.kind != Kind::kPipe) {
      TokenStream::unexpected(token,
                              out.operands.empty() ? context : "an operand (a space is missing?)");
    }
    if (out.operands.empty()) {
      throw Failure(token.offset, "cannot do without a value in " + std::string(context));
    }
    return out;
  }
}

std::optional<Operand> Parser::operand() {
  auto out = term();
  if (!out || tokens_.peek().kind != Kind::kField) return out;
  if (out->kind == Operand::Kind::kConstant || out->kind == Operand::Kind::kTooLarge ||
      out->kind == Operand::Kind::kNil ||
      (out->kind == Operand::Kind::kDot && out->fields.empty())) {
    throw Failure(tokens_.peek().offset,
                  "cannot take the field " + quoted(tokens_.peek().text) +
                      " of this: only a variable, a field or (…) has fields");
  }
  out->offset = tokens_.peek().offset;
  while (tokens_.peek().kind == Kind::kField) out->fields.push_back(tokens_.next().text.substr(1));
  return out;
}

std::optional<Operand> Parser::term() {
  const Token token = tokens_.next_after_space();
  Operand out;
  out.offset = token.offset;
  switch (token.kind) {
    case Kind::kIdentifier:
      return function(token);
    case Kind::kVariable:
      return variable(token);
    case Kind::kRune:
    case Kind::kNumber:
    case Kind::kComplex:
      return number(token);
    case Kind::kLeftParen:
      return parenthesized(token);
    case Kind::kDot:
      out.kind = Operand::Kind::kDot;
      return out;
    case Kind::kField:
      out.kind = Operand::Kind::kDot;
      out.fields.push_back(token.text.substr(1));
      return out;
    case Kind::kBool:
      out.constant = token.text == "true";
      return out;
    case Kind::kString:
    case Kind::kRawString: {
      auto text = parse_string(token.text);
      if (!text) throw Failure(token.offset, "cannot read the string " + quoted(token.text));
      out.constant = std::move(*text);
      return out;
    }
    case Kind::kKeyword:
      if (token.text == "nil") {
        out.kind = Operand::Kind::kNil;
        return out;
      }
      break;
    default:
      break;
  }
  tokens_.push_back(token);
  return std::nullopt;
}

Operand Parser::number(const Token& token) {
  Operand out;
  out.offset = token.offset;
  if (token.kind == Kind::kRune) {
    const auto rune = parse_rune(token.text);
    if (!rune) throw Failure(token.offset, "cannot read the character " + quoted(token.text));
    out.constant = *rune;
    return out;
  }
  auto value = token.kind == Kind::kComplex ? parse_complex(token.text) : parse_number(token.text);
  if (const auto* error = std::get_if<NumberError>(&value)) {
    if (*error != NumberError::kTooLargeForInt) {
      throw Failure(token.offset,
                    "cannot read the number " + quoted(token.text) +
                        (*error == NumberError::kTooLarge ? ": it does not fit 64 bits" : ""));
    }
    out.kind = Operand::Kind::kTooLarge;
  } else {
    out.constant = std::get<Value>(std::move(value));
  }
  return out;
}

Operand Parser::variable(const Token& token) {
  Operand out;
  out.kind = Operand::Kind::kVariable;
  out.offset = token.offset;
  out.variable = intern(token.text);
  if (current().declared[out.variable] == 0) {
    throw Failure(token.offset, "cannot use the variable " + quoted(token.text) +
                                    ": it is not declared here (with \":=\")");
  }
  return out;
}

Operand Parser::function(const Token& token) {
  Operand out;
  out.kind = Operand::Kind::kFunction;
  out.offset = token.offset;
  out.function = find_function(token.text);
  if (out.function == nullptr) {
    std::string known;
    for (const auto& functions : {config_functions(), builtin_functions()}) {
      for (const Function& f : functions) (known += known.empty() ? "" : ", ") += f.name;
    }
    throw Failure(token.offset, "cannot find a function " + quoted(token.text) +
                                    "; functions are " + known +
                                    "; a variable needs a dot before its name");
  }
  return out;
}

Operand Parser::parenthesized(const Token& token) {
  if (++parens_ > kMaxParens) {
    throw Failure(token.offset,
                  "cannot nest more than " + std::to_string(kMaxParens) + " parentheses");
  }
  Operand out;
  out.kind = Operand::Kind::kPipeline;
  out.pipeline = std::make_unique<Pipeline>(pipeline("parentheses", Kind::kRightParen));
  out.offset = out.pipeline->offset;
  --parens_;
  return out;
}

NameId Parser::intern(std::string_view name) {
  const auto [it, added] = names_.try_emplace(name, names_.size());
  if (added) program_.variable_names.push_back(name);
  return it->second;
}

void Parser::declare(std::string_view name) {
  const NameId id = intern(name);
  current().variables.push_back(id);
  ++current().declared[id];
}

void Parser::forget_variables(std::size_t keep) {
  OpenTemplate& scope = current();
  for (; scope.variables.size() > keep; scope.variables.pop_back()) {
    --scope.declared[scope.variables.back()];
  }
}

Step& Parser::add_step(Step::Kind kind, std::size_t offset) {
  Step& step = current().steps.emplace_back();
  step.kind = kind;
  step.offset = offset;
  return step;
}

}  // namespace

Program parse(std::string_view text) { return Parser(text).parse(); }

}  // namespace containerpilot::agent::tmpl
