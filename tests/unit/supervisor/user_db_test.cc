#include "user_db.h"

#include <gmock/gmock.h>

#include "support/temp_dir.h"

namespace containerpilot::detail {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Identities : public ::testing::Test {
 protected:
  Result<Identity> resolve(const ProcessSpec& spec) {
    return resolve_identity(spec, passwd, group);
  }
  test::TempDir dir;
  std::string passwd = dir.write("passwd",
                                 "root:x:0:0:root:/root:/bin/sh\n"
                                 "# a comment\n"
                                 "+nis\n"
                                 "app:x:1000:1001:The app,,,:/srv/app:/bin/false\n"
                                 "4242:x:7:8::/named/by/number:\n"
                                 "broken:x:notanumber:1::/:\n");
  std::string group = dir.write("group",
                                "root:x:0:\n"
                                "app:x:1001:\n"
                                "video:x:44:app,root\n"
                                "audio:x:29:root,app\n"
                                "empty:x:50:\n");
};

TEST_F(Identities, AreUnchangedWhenNothingIsAskedFor) {
  const auto who = resolve({});
  ASSERT_TRUE(who);
  EXPECT_FALSE(who.value().uid || who.value().gid || who.value().groups);
}

TEST_F(Identities, OfAUserHaveItsGroupsAndHome) {
  const auto who = resolve({.user = "app"});
  ASSERT_TRUE(who) << who.error().text();
  EXPECT_EQ(who.value().uid, 1000u);
  EXPECT_EQ(who.value().gid, 1001u);
  EXPECT_THAT(*who.value().groups, ElementsAre(44, 29));
  EXPECT_EQ(who.value().home, "/srv/app");
}

TEST_F(Identities, OfAKnownNumberAreThoseOfItsUser) {
  EXPECT_EQ(resolve({.user = "1000"}).value().name, "app");
  EXPECT_EQ(resolve({.user = "4242"}).value().uid, 7u)
      << "a name that looks like a number is a name";
}

TEST_F(Identities, OfAnUnknownNumberKeepTheGroupAndHaveNoOthers) {
  const auto who = resolve({.user = "555"});
  ASSERT_TRUE(who);
  EXPECT_EQ(who.value().uid, 555u);
  EXPECT_FALSE(who.value().gid);
  EXPECT_THAT(*who.value().groups, IsEmpty());
  EXPECT_EQ(who.value().name, "");
}

TEST_F(Identities, TakeGroupsAsGiven) {
  const auto who = resolve({.user = "app", .group = "video", .groups = {"audio", "99"}});
  ASSERT_TRUE(who);
  EXPECT_EQ(who.value().gid, 44u);
  EXPECT_THAT(*who.value().groups, ElementsAre(29, 99));
}

TEST_F(Identities, ThatDoNotExistAreNamed) {
  for (const ProcessSpec& spec : {ProcessSpec{.user = "nobody-here"}, ProcessSpec{.user = "broken"},
                                  ProcessSpec{.user = "-1"}, ProcessSpec{.user = "4294967295"}}) {
    const auto who = resolve(spec);
    ASSERT_FALSE(who) << spec.user;
    EXPECT_EQ(who.error().code(), Errc::kInvalid);
    EXPECT_THAT(who.error().text(), HasSubstr("no user '" + spec.user + "' in " + passwd));
  }
  EXPECT_THAT(resolve({.group = "nope"}).error().text(), HasSubstr("no group 'nope' in " + group));
  EXPECT_THAT(resolve({.groups = {"video", "nope"}}).error().text(), HasSubstr("no group 'nope'"));
}

TEST_F(Identities, NeedNoFilesForNumbers) {
  passwd = group = dir.path() + "/missing";
  const auto who = resolve({.user = "5", .group = "6", .groups = {"7"}});
  ASSERT_TRUE(who);
  EXPECT_EQ(who.value().uid, 5u);
  EXPECT_EQ(who.value().gid, 6u);
}

}  // namespace
}  // namespace containerpilot::detail
