#include "containerpilot/telemetry/pushed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "containerpilot/telemetry/agent_metrics.h"

namespace containerpilot::telemetry {
namespace {

using testing::HasSubstr;
using testing::Not;

MetricSpec metric(std::string name, MetricType type, std::vector<std::string> aliases = {}) {
  MetricSpec spec;
  spec.name = std::move(name);
  spec.help = "Help.";
  spec.type = type;
  spec.push_aliases = std::move(aliases);
  return spec;
}

class Pushed : public testing::Test {
 protected:
  std::string text() {
    std::string out;
    registry_.render(TextFormat::kPrometheus004, out);
    return out;
  }
  double counted(const char* result) {
    return registry_.value(kPushes, {{"result", result}}).value();
  }
  Registry registry_;
  PushedMetrics pushed_{registry_};
};

TEST_F(Pushed, AreThereFromTheStartAndTakeAllFourTypes) {
  ASSERT_TRUE(
      pushed_.set({metric("g", MetricType::kGauge), metric("c", MetricType::kCounter),
                   metric("h", MetricType::kHistogram), metric("s", MetricType::kSummary)}));
  EXPECT_THAT(text(), HasSubstr("# TYPE g gauge\ng 0\n"));
  EXPECT_THAT(text(), HasSubstr("# TYPE c counter\nc 0\n"));
  EXPECT_THAT(text(), HasSubstr("h_bucket{le=\"0.005\"} 0\n"));
  EXPECT_THAT(text(), HasSubstr("s{quantile=\"0.99\"} NaN\n"));
  for (const char* key : {"g", "c", "h", "s"}) {
    EXPECT_TRUE(pushed_.push(key, " 2.5\n"));
    EXPECT_TRUE(pushed_.push(key, "0x1p0"));
  }
  EXPECT_THAT(text(), HasSubstr("\ng 1\n"));
  EXPECT_THAT(text(), HasSubstr("\nc 3.5\n"));
  EXPECT_THAT(text(), HasSubstr("h_sum 3.5\nh_count 2\n"));
  EXPECT_THAT(text(), HasSubstr("s_sum 3.5\ns_count 2\n"));
  EXPECT_TRUE(pushed_.push("g", "NaN"));
  EXPECT_EQ(counted("ok"), 9);
}

// Spec v3, D9: the old program listened under a key with the underscores of empty parts only.
TEST_F(Pushed, ListenUnderTheExportedNameAndTheOldKey) {
  ASSERT_TRUE(pushed_.set({metric("zed_free", MetricType::kGauge, {"__zed_free"})}));
  EXPECT_TRUE(pushed_.push("zed_free", "1"));
  EXPECT_EQ(registry_.value("zed_free", {}).value(), 1);
  EXPECT_TRUE(pushed_.push("__zed_free", "2"));
  EXPECT_EQ(registry_.value("zed_free", {}).value(), 2);
}

TEST_F(Pushed, SaysWhatIsWrong) {
  EXPECT_THAT(pushed_.push("x", "1").error().text(), HasSubstr("declares none"));
  ASSERT_TRUE(pushed_.set({metric("g", MetricType::kGauge), metric("c", MetricType::kCounter)}));
  const auto unknown = pushed_.push("gg", "1");
  EXPECT_EQ(unknown.error().code(), Errc::kNotFound);
  EXPECT_EQ(unknown.error().text(), "cannot push to metric 'gg': declared are 'c', 'g'");
  EXPECT_EQ(pushed_.push("g", "true").error().text(),
            "cannot push to metric 'g': cannot read 'true' as a value: one number is expected");
  // Spec v3, D10: the old program died of this.
  EXPECT_EQ(pushed_.push("c", "-1").error().code(), Errc::kInvalid);
  EXPECT_EQ(registry_.value("c", {}).value(), 0);
  EXPECT_EQ(counted("unknown"), 2);
  EXPECT_EQ(counted("invalid"), 2);
}

// Spec v3, D17.
TEST_F(Pushed, KeepValuesOverAReloadAndLeaveWhenRemoved) {
  ASSERT_TRUE(
      pushed_.set({metric("kept", MetricType::kCounter), metric("gone", MetricType::kGauge)}));
  ASSERT_TRUE(pushed_.push("kept", "5"));
  MetricSpec kept = metric("kept", MetricType::kCounter);
  kept.help = "Other help.";
  ASSERT_TRUE(pushed_.set({kept}));
  EXPECT_THAT(text(), HasSubstr("# HELP kept Other help.\n# TYPE kept counter\nkept 5\n"));
  EXPECT_THAT(text(), Not(HasSubstr("gone")));
  EXPECT_FALSE(pushed_.push("gone", "1"));
  ASSERT_TRUE(pushed_.set({metric("kept", MetricType::kGauge)}));
  EXPECT_THAT(text(), HasSubstr("# TYPE kept gauge\nkept 0\n"));
}

TEST_F(Pushed, KnowWhetherAReloadWouldChangeThem) {
  const auto plain = metric("a", MetricType::kGauge, {"old"});
  auto helped = plain, labelled = plain, moved = plain, wider = metric("h", MetricType::kHistogram);
  helped.help = "Better.";
  labelled.labels = {{"x", "y"}};
  moved.push_aliases = {"new"};
  const auto histogram = wider;
  wider.buckets = {{1, 2}};
  EXPECT_TRUE(pushed_.is({}));
  ASSERT_TRUE(pushed_.set({plain, histogram}));
  EXPECT_TRUE(pushed_.is({histogram, plain}));
  for (const std::vector<MetricSpec>& other :
       std::vector<std::vector<MetricSpec>>{{},
                                            {plain},
                                            {plain, histogram, metric("b", MetricType::kGauge)},
                                            {plain, metric("b", MetricType::kHistogram)},
                                            {metric("a", MetricType::kCounter, {"old"}), histogram},
                                            {helped, histogram},
                                            {labelled, histogram},
                                            {moved, histogram},
                                            {plain, wider}}) {
    EXPECT_FALSE(pushed_.is(other));
    ASSERT_TRUE(pushed_.set(other));
    EXPECT_TRUE(pushed_.is(other));
    ASSERT_TRUE(pushed_.set({plain, histogram}));
  }
}

TEST_F(Pushed, LeaveTheFamiliesOfOthersAlone) {
  const auto status = pushed_.set(
      {metric(std::string(kReloads), MetricType::kCounter), metric("g", MetricType::kGauge)});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("already in use"));
  EXPECT_TRUE(pushed_.push("g", "1"));
  EXPECT_FALSE(pushed_.push(kReloads, "1"));
}

}  // namespace
}  // namespace containerpilot::telemetry
