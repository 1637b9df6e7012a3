// What the keys of one job come to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "load.h"

namespace containerpilot::agent {
namespace {

using ::testing::HasSubstr;

LoadResult with_job(const std::string& keys) {
  return load_config(
      {"",
       "{catalog: 'none', jobs: [{name: 'app', exec: 'a', " + keys + "}, {name: 'b', exec: 'b'}]}",
       false},
      test::options());
}

JobSpec job_of(const std::string& keys) {
  const LoadResult result = with_job(keys);
  EXPECT_TRUE(result.plan) << test::messages(result);
  return result.plan ? result.plan->jobs[0].spec : JobSpec();
}

TEST(JobConfig, AnyIsForTheFirstOrForEveryEvent) {
  using Kind = Trigger::Kind;
  const JobSpec once = job_of(
      "when: {any: [{source: 'b', once: 'healthy'}, {source: 'b', once: 'exitFailed'}]}, restarts: "
      "'unlimited'");
  EXPECT_EQ(once.when.kind, Kind::kOnce);
  EXPECT_EQ(once.when.events.size(), 2U);
  EXPECT_EQ(job_of("when: {any: [{source: 'b', each: 'healthy'}, {source: 'SIGHUP'}]}").when.kind,
            Kind::kEach);
  EXPECT_EQ(job_of("when: {all: [{source: 'b', once: 'healthy'}]}").when.kind, Kind::kAll);
  EXPECT_THAT(
      test::messages(with_job("when: {any: [{source: 'b', once: 'healthy'}, {source: 'SIGHUP'}]}")),
      HasSubstr("found 'once' and 'each' in one list of 'any'"));
}

TEST(JobConfig, WhatIsDoneByHandOrByAReloadIsNothingToWaitFor) {
  for (const char* event : {"requested", "reloaded"})
    EXPECT_FALSE(with_job("when: {source: 'b', once: '" + std::string(event) + "'}").plan) << event;
}

TEST(JobConfig, LinesInAFileAreBareUnlessAskedOtherwise) {
  EXPECT_FALSE(job_of("").output.raw);
  EXPECT_TRUE(job_of("logging: {raw: true}").output.raw);
  EXPECT_TRUE(job_of("logging: {file: '/tmp/x'}").output.raw);
  EXPECT_FALSE(job_of("logging: {file: '/tmp/x', raw: false}").output.raw);
}

}  // namespace
}  // namespace containerpilot::agent
