#include "config/masking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace containerpilot::agent {
namespace {

using testing::ElementsAre;

TEST(Masking, HidesSecretsWhereverTheyStand) {
  EXPECT_EQ(masked("x8c1f, 8c1f-8c", {"8c1f", "8c"}), "x***, ***-***");
  EXPECT_EQ(masked("nothing here", {}), "nothing here");
}

TEST(Masking, HidesPasswordsInUrls) {
  EXPECT_EQ(masked("GET http://me:pw@host:1/a?b=c every 1s", {}),
            "GET http://me:***@host:1/a?b=c every 1s");
  EXPECT_EQ(masked("postgres://u:p@ss@h/d redis://:pw@h", {}),
            "postgres://u:***@h/d redis://:***@h");
  EXPECT_EQ(masked("http://host:80/a@b http://me@host", {}), "http://host:80/a@b http://me@host");
}

TEST(Masking, HidesWhatIsCalledASecret) {
  EXPECT_EQ(masked("http://h/x?token=a1&n=2 --db-password=b2 PGPASSWORD=c3;d API_KEY=k", {}),
            "http://h/x?token=***&n=2 --db-password=*** PGPASSWORD=***;d API_KEY=***");
  EXPECT_EQ(masked("token: found 5; tokens=3", {}), "token: found 5; tokens=3");
}

TEST(Masking, HidesTheSecretsOfACommand) {
  EXPECT_THAT(masked_command({"app", "--token=a b", "--password", "pw", "password", "x", "-n=1"}),
              ElementsAre("app", "--token=***", "--password", "***", "password", "x", "-n=1"));
  EXPECT_THAT(masked_command({"sh", "-c", "app --secret=s http://a:b@c"}),
              ElementsAre("sh", "-c", "app --secret=*** http://a:***@c"));
}

TEST(Masking, KeepsTheWidthOfALine) {
  EXPECT_EQ(star_credentials("{ token: 'ключ', exec: '--secret=é2 x', url: 'http://a:bc@d' }"),
            "{ token: ******, exec: '--secret=** x', url: 'http://a:**@d' }");
}

}  // namespace
}  // namespace containerpilot::agent
