// The template language by hand: one test per rule, expected values from Go's documentation of
// text/template, fmt, strconv and regexp, or from Go 1.19 itself.
#include "containerpilot/agent/template.h"

#include <gtest/gtest.h>

#include <string>

namespace containerpilot::agent {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

const Variables kEnvironment = {{"CONSUL", "consul:8500"},
                                {"EMPTY", ""},
                                {"LIST", " a,b ,c "},
                                {"N", "3"},
                                {"URL", "h?a=b&c=d"}};

/// The output, or "error LINE:COLUMN".
std::string render(std::string_view text, const TemplateOptions& options = {}) {
  const auto result = render_template(text, kEnvironment, options);
  if (result) return result.value();
  EXPECT_EQ(result.error().code(), Errc::kInvalid);
  const std::string& error = result.error().text();
  return "error " + error.substr(0, error.find(": "));
}

std::string error_text(std::string_view text, const TemplateOptions& options = {}) {
  const auto result = render_template(text, kEnvironment, options);
  return result ? "rendered: " + result.value() : result.error().text();
}

TEST(Template, CopiesTextAndInsertsVariables) {
  EXPECT_EQ(render(""), "");
  EXPECT_EQ(render("{ consul: \"{{ .CONSUL }}\" }"), "{ consul: \"consul:8500\" }");
  EXPECT_EQ(render("[{{.UNSET}}]"), "[]");
  EXPECT_EQ(render("{{.URL}} {{env \"URL\"}}"), "h?a=b&c=d h?a=b&c=d");
  EXPECT_EQ(render(std::string("a\0\xff", 3)), std::string("a\0\xff", 3));
}

TEST(Template, TrimsOnlyWhereADashTouchesWhiteSpace) {
  EXPECT_EQ(render("a \n{{- 1 -}}\t b"), "a1b");
  EXPECT_EQ(render("a {{-3}} b"), "a -3 b");
  EXPECT_EQ(render("a\u00a0{{- 1}}"), "a\u00a01");
  EXPECT_EQ(render("a {{- /* c */ -}} b"), "ab");
}

TEST(Template, ChoosesBranches) {
  EXPECT_EQ(render("{{if .EMPTY}}a{{else if .N}}b{{else}}c{{end}}"), "b");
  EXPECT_EQ(render("{{with .N}}{{.}}{{$.CONSUL}}{{end}}{{with .EMPTY}}a{{else}}{{.N}}{{end}}"),
            "3consul:85003");
  EXPECT_EQ(render("{{if and .N (not .EMPTY)}}both{{end}}"), "both");
}

TEST(Template, RangesOverListsIntegersAndTheEnvironment) {
  EXPECT_EQ(render("{{range $i, $x := split \",\" .LIST}}{{$i}}{{$x}};{{end}}"), "0a;1b ;2c;");
  EXPECT_EQ(render("{{range loop 2 5}}{{.}}{{end}}{{range loop 2 0}}{{.}}{{end}}"), "23421");
  EXPECT_EQ(render("{{range $k, $v := .}}{{$k}} {{end}}"), "CONSUL EMPTY LIST N URL ");
  EXPECT_EQ(render("{{range loop 0}}x{{else}}none{{end}}"), "none");
  EXPECT_EQ(render("{{range .N}}x{{end}}"), "error 1:9");
}

TEST(Template, LeavesLoopsWithBreakAndContinue) {
  EXPECT_EQ(render("{{range loop 9}}{{if eq . 1}}{{continue}}{{end}}{{if eq . "
                   "4}}{{break}}{{end}}{{.}}{{end}}"),
            "023");
  EXPECT_EQ(render("{{range loop 2}}{{range loop 0}}{{else}}{{continue}}{{end}}x{{end}}"), "");
  EXPECT_EQ(render("{{if .N}}{{break}}{{end}}"), "error 1:12");
}

TEST(Template, KeepsVariablesToTheirBlock) {
  EXPECT_EQ(render("{{$x := 1}}{{if true}}{{$x = 2}}{{$x := 3}}{{$x}}{{end}}{{$x}}"), "32");
  EXPECT_EQ(render("{{if true}}{{$x := 1}}{{end}}{{$x}}"), "error 1:32");
  EXPECT_EQ(render("{{define \"t\"}}{{$x}}{{end}}{{$x := 1}}{{template \"t\"}}"), "error 1:17");
}

TEST(Template, AssignedLoopVariablesGoToTheTopOfTheStackAsInTheOriginal) {
  EXPECT_EQ(render("{{$x := 1}}{{$y := 2}}{{range $x = loop 5 7}}{{end}}{{$y}}"), "6");
  EXPECT_EQ(render("{{range $, $ = loop 2}}{{end}}"), "error 1:9");
}

TEST(Template, CallsDefinedTemplates) {
  EXPECT_EQ(render("{{define \"t\"}}<{{.}}>{{end}}{{template \"t\" .N}}{{template \"t\"}}"),
            "<3><<no value>>");
  EXPECT_EQ(render("{{block \"b\" 7}}[{{.}}]{{end}}{{template \"b\" 8}}"), "[7][8]");
  EXPECT_EQ(render("{{template \"nope\"}}"), "error 1:12");
  EXPECT_EQ(render("{{define \"t\"}}a{{end}}{{define \"t\"}}b{{end}}"), "error 1:37");
  EXPECT_EQ(render("{{define \"t\"}}a{{end}}{{define \"t\"}} {{end}}{{template \"t\"}}"), "a");
}

TEST(Template, ReadsNumbersAsGoDoes) {
  EXPECT_EQ(render("{{0x1F}} {{017}} {{0b11}} {{1_000}} {{'a'}} {{-0}}"), "31 15 3 1000 97 0");
  EXPECT_EQ(render("{{1e3}} {{1000000.0}} {{0.00001}} {{1.0}} {{1i}} {{-.5}}"),
            "1000 1e+06 1e-05 1 (0+1i) -0.5");
  EXPECT_EQ(render("{{printf \"%T\" -0x1E}} {{printf \"%T\" 0x1E}}"), "float64 int");
  EXPECT_EQ(render("{{if false}}{{9223372036854775808}}{{end}}ok"), "ok");
  EXPECT_EQ(render("{{9223372036854775808}}"), "error 1:3");
  EXPECT_EQ(render("{{if false}}{{18446744073709551616}}{{end}}"), "error 1:15");
  EXPECT_EQ(render("{{08}}"), "error 1:3");
  EXPECT_EQ(render("{{1__0}}"), "error 1:3");
}

TEST(Template, ReadsStringsAsGoDoes) {
  EXPECT_EQ(render(R"({{"\x41\101\u00e9\U0001F600\n"}})"), "AA\u00e9\U0001F600\n");
  EXPECT_EQ(render("{{`a\\n\r\nb`}}"), "a\\n\nb");
  EXPECT_EQ(render("{{\"\xff\"}}{{`\xff`}}"), "\uFFFD\xff");
  EXPECT_EQ(render(R"({{"\q"}})"), "error 1:3");
  EXPECT_EQ(render("\n{{\"a\nb\"}}"), "error 2:3");
}

TEST(Template, PrintfWritesMarkersInsteadOfFailing) {
  EXPECT_EQ(render(R"({{printf "%d %s" "x"}})"), "%!d(string=x) %!s(MISSING)");
  EXPECT_EQ(render(R"({{printf "%s" 1 nil 2.5}})"), "%!s(int=1)%!(EXTRA <nil>, float64=2.5)");
  EXPECT_EQ(render(R"({{printf "%!"}}|{{printf "%"}})"), "%!!(MISSING)|%!(NOVERB)");
  EXPECT_EQ(render(R"({{printf "%[3]d" 1 2}}{{printf "%*d" "a" 1}})"),
            "%!d(BADINDEX)%!(BADWIDTH)1");
  EXPECT_EQ(render(R"({{printf "%-[]" 1}}|{{printf "%[]d" 1}}|{{printf "%[" 1}})"),
            "%!](BADINDEX)|%!d(BADINDEX)|%!(NOVERB)");
}

TEST(Template, PrintfKnowsFlagsWidthsAndVerbs) {
  EXPECT_EQ(
      render(
          R"({{printf "%+05d|%-5s|%5.1f|%x|%#o|%q|%U|%e" 42 "ab" 2.25 "hi" 8 'x' 9731 12345.678}})"),
      "+0042|ab   |  2.2|6869|010|'x'|U+2603|1.234568e+04");
  EXPECT_EQ(render(R"({{printf "%v %T %#v" (loop 2) (split "," "a,b") .N}})"),
            "[0 1] []string \"3\"");
  EXPECT_EQ(render(R"({{printf "%[2]*[1]d|%.3s|%c|%t|%08.3f" 42 6}})"),
            "    42|%!s(int=006)|%!c(MISSING)|%!t(MISSING)|%!f(MISSING)");
}

TEST(Template, ComparesOnlyWhatIsComparable) {
  EXPECT_EQ(render("{{eq 1 2 1}} {{eq .N \"3\"}} {{lt \"a\" \"b\"}} {{ge 2.5 2.5}} {{eq (index "
                   "\"a\" 0) 97}}"),
            "true true true true true");
  EXPECT_EQ(render("{{eq nil nil}} {{eq 1 nil}} {{ne . nil}}"), "true false true");
  EXPECT_EQ(render("{{eq 1 1.0}}"), "error 1:3");
  EXPECT_EQ(render("{{lt true false}}"), "error 1:3");
  EXPECT_EQ(render("{{eq . .}}"), "error 1:3");
}

TEST(Template, IndexesAndSlices) {
  EXPECT_EQ(render("{{index . \"N\"}}{{index (loop 5) 4}}{{slice \"abcdef\" 1 3}}{{len .LIST}}"),
            "34bc8");
  EXPECT_EQ(render("{{slice (split \",\" \"a,b,c\") 1}}{{index (slice (loop 9) 4) 1}}"), "[b c]5");
  EXPECT_EQ(render("{{index (loop 2) 2}}"), "error 1:3");
  EXPECT_EQ(render("{{slice (loop 2) 2 1}}"), "error 1:3");
}

TEST(Template, DefaultReplacesEverythingThatIsNoFilledString) {
  EXPECT_EQ(render("{{.UNSET | default 10.0}} {{.N | default 10}} {{5 | default \"x\"}} {{default "
                   "nil nil}}"),
            "10 3 x <nil>");
}

TEST(Template, SplitsJoinsAndReplaces) {
  EXPECT_EQ(render("{{split \",\" .LIST | join \"+\"}} {{split \",\" \"  \" | len}}"), "a+b +c 0");
  EXPECT_EQ(render("{{replaceAll \"\" \"-\" \"a\u00e9\"}} {{replaceAll \"aa\" \"b\" \"aaa\"}}"),
            "-a-\u00e9- ba");
  EXPECT_EQ(render("{{loop 3 | join \",\"}}"), "error 1:12");
}

TEST(Template, ReplacesByRegularExpressionAsGoDoes) {
  EXPECT_EQ(render("{{regexReplaceAll `(\\w+)@(?P<h>\\w+)` `$h.${1}$$ $1x` \"u@host\"}}"),
            "host.u$ ");
  EXPECT_EQ(render("{{regexReplaceAll `x*` `-` \"abc\"}}"), "-a-b-c-");
  EXPECT_EQ(render("{{regexReplaceAll `.` `<$0>` \"a\\xff\"}}"), "<a><\xff>");
  EXPECT_EQ(render("{{regexReplaceAll `\\B` `|` \"K\\u212ak\"}}"), "K\u212ak");
  EXPECT_EQ(render("{{regexReplaceAll `(?P<n>a)|(?P<n>b)` `[$n]` \"ab\"}}"), "[a][b]");
  EXPECT_EQ(render("{{regexReplaceAll `\\C` `` \"a\"}}"), "error 1:3");
  EXPECT_EQ(render("{{if false}}{{regexReplaceAll `(` `` \"a\"}}{{end}}"), "");
}

TEST(Template, Escapes) {
  EXPECT_EQ(
      render("{{html \"<a b='c'>&\\x00\"}} {{js \"<'\\n\\u2028\u00e9\"}} {{urlquery .URL \" \"}}"),
      "&lt;a b=&#39;c&#39;&gt;&amp;\uFFFD \\u003C\\'\\u000A\\u2028\u00e9 h%3Fa%3Db%26c%3Dd+");
}

TEST(Template, ReadsFilesOnlyThroughTheCaller) {
  EXPECT_EQ(render("{{file \"/run/secrets/x\"}}"), "error 1:3");
  std::string read;
  TemplateOptions options;
  options.read_file = [&](const std::string& path) -> Result<std::string> {
    read = path;
    if (path != "/run/secrets/x") return Error(Errc::kNotFound, "cannot read '" + path + "'");
    return std::string("s3cret");
  };
  EXPECT_EQ(render("{{file \"/run/secrets/x\" | print \"=\"}}", options), "=s3cret");
  EXPECT_EQ(read, "/run/secrets/x");
  EXPECT_EQ(error_text("\n {{ file \"/y\" }}", options), "2:5: cannot read '/y'");
}

TEST(Template, ErrorsNeverShowValues) {
  TemplateOptions options;
  options.read_file = [](const std::string&) -> Result<std::string> {
    return std::string("(s3cret");
  };
  for (const char* use :
       {"loop (file ``)", "regexReplaceAll (file ``) `` ``", "index . (file ``) 1",
        "len (eq (file ``) 1)", "template (file ``)", "(file ``).X"}) {
    const std::string error = error_text("{{" + std::string(use) + "}}", options);
    EXPECT_EQ(error.find("rendered"), std::string::npos) << error;
    EXPECT_EQ(error.find("s3cret"), std::string::npos) << error;
  }
}

TEST(Template, ErrorsSayWhereAndWhat) {
  EXPECT_EQ(error_text("a\nb {{ .N.X }}"),
            "2:8: cannot take the field \"X\" of a value of type string; only the environment has "
            "fields");
  EXPECT_EQ(error_text("\u00e9 {{loop}}"),
            "1:5: cannot loop with 0 arguments; \"loop END\" and \"loop BEGIN END\" are possible");
  EXPECT_EQ(error_text("{{if .N}}\n"),
            "2:1: cannot find the {{end}} of a block before the end of the file");
  EXPECT_TRUE(error_text("{{CONSUL}}")
                  .starts_with("1:3: cannot find a function \"CONSUL\"; functions are "));
}

std::string repeat(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST(TemplateLimits, BlocksNestAsDeepAsTheTextGoes) {
  EXPECT_EQ(
      render(repeat("{{if 1}}{{range loop 1}}", 4'000) + "x" + repeat("{{end}}{{end}}", 4'000)),
      "x");
  EXPECT_EQ(render("{{if 0}}" + repeat("{{else if 0}}", 4'000) + "{{else}}x{{end}}"), "x");
}

TEST(TemplateLimits, ParenthesesNestAThousandTimes) {
  EXPECT_EQ(render("{{" + repeat("(", 1000) + "1" + repeat(")", 1000) + "}}"), "1");
  EXPECT_EQ(render("{{" + repeat("(", 1001) + "1" + repeat(")", 1001) + "}}"), "error 1:1003");
}

TEST(TemplateLimits, EndlessTemplatesEndWithAnError) {
  TemplateOptions small;
  small.limits = {.text_bytes = 1000, .call_depth = 100, .work = 1'000'000};
  EXPECT_EQ(render("{{define \"t\"}}{{template \"t\"}}{{end}}{{template \"t\"}}", small),
            "error 1:26");
  EXPECT_EQ(render("{{range loop 999999999999}}{{end}}", small), "error 1:9");
  EXPECT_EQ(render("{{range loop 999999999999}}x{{end}}", small), "error 1:28");
  EXPECT_EQ(render("{{$x := `x`}}{{range loop 99}}{{$x = print $x $x}}{{end}}", small),
            "error 1:38");
  EXPECT_EQ(render("{{printf `%9999d`}}", small), "%!d(MISSING)");
  EXPECT_EQ(render("{{printf `%9999d` 1}}", small), "error 1:3");
  EXPECT_EQ(render("{{replaceAll `` .URL .URL | replaceAll `` .URL | replaceAll `` .URL}}", small),
            "error 1:50");
}

TEST(ReadSecretFile, SaysWhatIsWrong) {
  const auto missing = read_secret_file("/nonexistent/secret");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Errc::kNotFound);
  EXPECT_EQ(missing.error().text(), "cannot read '/nonexistent/secret': No such file or directory");
}

}  // namespace
}  // namespace containerpilot::agent
