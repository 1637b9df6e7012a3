#include "child_environment.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "support/temp_dir.h"

namespace containerpilot::detail {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

class EnvFiles : public ::testing::Test {
 protected:
  Status read(std::string_view content) {
    variables.clear();
    return read_env_file(dir.write("app.env", content), variables);
  }
  test::TempDir dir;
  std::vector<std::pair<std::string, std::string>> variables;
};

TEST_F(EnvFiles, HoldOneVariablePerLine) {
  ASSERT_TRUE(
      read("A=1\n\n  # note\nexport B='two words'\nC=\"x\"\r\nD=it's \nE=\nF=k=v\nG=\"open"));
  EXPECT_THAT(variables,
              ElementsAre(Pair("A", "1"), Pair("B", "two words"), Pair("C", "x"), Pair("D", "it's"),
                          Pair("E", ""), Pair("F", "k=v"), Pair("G", "\"open")));
}

TEST_F(EnvFiles, ThatAreWrongAreNamedWithTheLineButNotItsContent) {
  for (const std::string bad :
       {"A=1\nsecret-word\n", "A=1\n=secret-word\n", "A=1\n =secret-word"}) {
    const Status status = read(bad);
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().code(), Errc::kInvalid);
    EXPECT_THAT(status.error().text(), HasSubstr("app.env', line 2 "));
    EXPECT_THAT(status.error().text(), Not(HasSubstr("secret-word")));
  }
}

TEST_F(EnvFiles, MustBeReadableRegularAndSmall) {
  EXPECT_EQ(read_env_file(dir.path() + "/none", variables).error().code(), Errc::kNotFound);
  EXPECT_THAT(read_env_file(dir.path(), variables).error().text(), HasSubstr("not a regular file"));
  const std::string fifo = dir.path() + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(read_env_file(fifo, variables).error().text(), HasSubstr("not a regular file"));
  EXPECT_THAT(read("A=" + std::string(1024 * 1024, 'x')).error().text(),
              HasSubstr("larger than 1 MiB"));
}

TEST(ChildEnvironment, TellsAUserWhoItIs) {
  const auto made = child_environment({.env = {{"HOME", "/own"}}}, {"HOME=/root", "USER=root"},
                                      {.name = "app", .home = "/srv/app"});
  ASSERT_TRUE(made);
  EXPECT_THAT(made.value(), ElementsAre("HOME=/own", "USER=app", "LOGNAME=app"));
}

TEST(ChildEnvironment, DoesNotTakeOneNameForThePrefixOfAnother) {
  const auto made = child_environment({.env = {{"A", "3"}}}, {"AB=1", "A=2"}, {});
  ASSERT_TRUE(made);
  EXPECT_THAT(made.value(), ElementsAre("AB=1", "A=3"));
  EXPECT_STREQ(find_variable(made.value(), "AB"), "1");
  EXPECT_EQ(find_variable(made.value(), "B"), nullptr);
}

}  // namespace
}  // namespace containerpilot::detail
