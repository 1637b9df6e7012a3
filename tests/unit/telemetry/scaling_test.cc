#include "containerpilot/telemetry/scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "containerpilot/telemetry/agent_metrics.h"
#include "support/sim_reactor.h"

namespace containerpilot::telemetry {
namespace {

using namespace std::chrono_literals;

constexpr auto kInstance = ScalingScope::kInstance;
constexpr auto kService = ScalingScope::kService;

ScalingSpec spec(std::vector<ScalingTrigger> triggers, unsigned min = 1, unsigned max = 100) {
  ScalingSpec spec;
  spec.service = "web";
  spec.min = min;
  spec.max = max;
  spec.triggers = std::move(triggers);
  spec.stabilization_down = 0s;
  return spec;
}

ScalingDecision once(const ScalingSpec& spec, std::optional<unsigned> instances,
                     const std::vector<std::optional<double>>& values) {
  return ScalingRule(spec).decide(TimePoint(1000s), instances, values);
}

// The worked examples of KEDA's documentation: 20 messages at 5 each are 4, whatever runs now; 20
// ms at a target of 5 ms on 3 replicas are 12.
TEST(Scaling, CountsAsTheOthersDo) {
  const ScalingSpec queue = spec({{"queue", 5, kService}}),
                    latency = spec({{"latency", 5, kInstance}});
  for (const unsigned instances : {1U, 3U, 7U, 50U})
    EXPECT_EQ(once(queue, instances, {20}).desired, 4U);
  EXPECT_EQ(once(latency, 3, {20}).desired, 12U);
  EXPECT_EQ(once(latency, 3, {20}).ratios[0], 4);
  EXPECT_EQ(once(queue, 2, {20}).ratios[0], 2);
}

TEST(Scaling, IsNotRoundedUpByTheErrorOfADivision) {
  EXPECT_EQ(once(spec({{"m", 0.1, kService}}), 1, {0.3}).desired,
            3U);  // 0.3 / 0.1 = 2.9999999999999996
  EXPECT_EQ(once(spec({{"m", 0.1, kService}}), 1, {0.7}).desired, 7U);
  EXPECT_EQ(once(spec({{"m", 0.07, kService}}), 1, {0.49}).desired, 7U);  // 7.000000000000001
  EXPECT_EQ(once(spec({{"m", 1, kService}}), 1, {3.001}).desired, 4U);
}

TEST(Scaling, LeavesARatioNearOneAlone) {
  const ScalingSpec rule = spec({{"m", 100, kInstance}});
  EXPECT_EQ(once(rule, 10, {109}).desired, 10U);
  EXPECT_EQ(once(rule, 10, {109}).raw, 11U);
  EXPECT_EQ(once(rule, 10, {109}).hold, ScalingHold::kTolerance);
  EXPECT_EQ(once(rule, 10, {91}).desired, 10U);
  EXPECT_EQ(once(rule, 10, {110}).desired, 10U);  // 1.1 - 1 > 0.1, as computers have it
  EXPECT_EQ(once(rule, 10, {90}).desired, 10U);
  EXPECT_EQ(once(rule, 10, {111}).desired, 12U);
  EXPECT_EQ(once(rule, 10, {111}).hold, ScalingHold::kNone);
}

TEST(Scaling, TakesTheLargestCount) {
  const ScalingSpec rule = spec({{"a", 10, kInstance}, {"b", 10, kService}});
  EXPECT_EQ(once(rule, 4, {20, 30}).desired, 8U);
  EXPECT_EQ(once(rule, 4, {1, 100}).desired, 10U);
}

TEST(Scaling, NeverLowersWhileAnInputIsMissing) {
  const ScalingSpec rule = spec({{"a", 10, kService}, {"b", 10, kService}});
  const ScalingDecision held = once(rule, 5, {10, std::nullopt});
  EXPECT_EQ(held.desired, 5U);
  EXPECT_EQ(held.hold, ScalingHold::kMissingInput);
  EXPECT_EQ(once(rule, 5, {80, std::nullopt}).desired, 8U);
  EXPECT_EQ(once(rule, 5, {std::nullopt, std::nullopt}).desired, 5U);
  EXPECT_EQ(once(rule, 5, {NAN, INFINITY}).desired, 5U);
  // Nobody knows how many there are: any number might be fewer.
  EXPECT_EQ(once(rule, std::nullopt, {10, std::nullopt}).desired, std::nullopt);
  EXPECT_EQ(once(rule, std::nullopt, {10, std::nullopt}).hold, ScalingHold::kMissingInput);
}

TEST(Scaling, AdvisesNothingOnAShareWithoutACount) {
  const ScalingSpec rule = spec({{"a", 10, kInstance}});
  for (const auto instances : {std::optional<unsigned>(), std::optional<unsigned>(0)}) {
    const ScalingDecision decision = once(rule, instances, {50});
    EXPECT_EQ(decision.desired, std::nullopt);
    EXPECT_EQ(decision.hold, ScalingHold::kNoInstances);
    EXPECT_TRUE(decision.active);
  }
  EXPECT_EQ(once(spec({{"a", 10, kService}}), std::nullopt, {50}).desired, 5U);
}

TEST(Scaling, StaysWithinItsLimits) {
  const ScalingSpec rule = spec({{"a", 10, kService}}, 2, 8);
  EXPECT_EQ(once(rule, 4, {1}).desired, 2U);
  EXPECT_EQ(once(rule, 4, {1}).hold, ScalingHold::kMin);
  EXPECT_EQ(once(rule, 4, {1e300}).desired, 8U);
  EXPECT_EQ(once(rule, 4, {1e300}).hold, ScalingHold::kMax);
  EXPECT_EQ(once(rule, 4, {-5}).desired, 2U);
}

TEST(Scaling, LowersOnlyAfterTheWholeDownWindow) {
  ScalingSpec windowed = spec({{"a", 10, kService}});
  windowed.stabilization_down = 300s;
  ScalingRule rule(windowed);
  TimePoint now(1000s);
  EXPECT_EQ(rule.decide(now, 6, {60}).desired, 6U);
  for (int second = 1; second < 300; ++second) {
    const ScalingDecision decision = rule.decide(now + std::chrono::seconds(second), 6, {20});
    ASSERT_EQ(decision.desired, 6U) << second;
    ASSERT_EQ(decision.hold, ScalingHold::kStabilizeDown);
  }
  EXPECT_EQ(rule.decide(now + 300s, 6, {20}).desired, 2U);
  EXPECT_EQ(rule.decide(now + 301s, 2, {50}).desired, 5U);  // up at once
}

TEST(Scaling, DoesNotLowerRightAfterARestartOfTheAgent) {
  ScalingSpec windowed = spec({{"a", 10, kService}});
  windowed.stabilization_down = 300s;
  EXPECT_EQ(once(windowed, 6, {20}).desired, 6U);
  // A catalog that has not answered yet, or knows nobody yet, is no reason either.
  ScalingRule early(windowed), empty(windowed);
  EXPECT_EQ(early.decide(TimePoint(1000s), std::nullopt, {20}, true).desired, std::nullopt);
  EXPECT_EQ(early.decide(TimePoint(1000s), std::nullopt, {20}, true).hold,
            ScalingHold::kNoInstances);
  EXPECT_EQ(early.decide(TimePoint(1001s), 6, {20}).desired, 6U);
  EXPECT_EQ(empty.decide(TimePoint(1000s), 0, {20}).desired, 2U);
  EXPECT_EQ(empty.decide(TimePoint(1001s), 6, {20}).desired, 6U);
}

TEST(Scaling, RaisesOnlyAfterTheWholeUpWindow) {
  ScalingSpec windowed = spec({{"a", 10, kService}});
  windowed.stabilization_up = 60s;
  ScalingRule rule(windowed);
  const TimePoint now(1000s);
  EXPECT_EQ(rule.decide(now, 2, {20}).desired, 2U);
  EXPECT_EQ(rule.decide(now + 1s, 2, {90}).desired, 2U);
  EXPECT_EQ(rule.decide(now + 1s, 2, {90}).hold, ScalingHold::kStabilizeUp);
  EXPECT_EQ(rule.decide(now + 30s, 2, {50}).desired, 2U);
  EXPECT_EQ(rule.decide(now + 61s, 2, {90}).desired, 5U);
}

TEST(Scaling, IsNotFooledByAFleetThatIsUnhealthyForAMoment) {
  ScalingSpec windowed = spec({{"a", 10, kService}});
  windowed.stabilization_down = 300s;
  ScalingRule rule(windowed);
  EXPECT_EQ(rule.decide(TimePoint(1000s), 10, {100}).desired, 10U);
  EXPECT_EQ(rule.decide(TimePoint(1001s), 2, {20}).desired, 10U);
  EXPECT_EQ(rule.decide(TimePoint(1002s), 0, {std::nullopt}).desired, 10U);
}

TEST(Scaling, StaysActiveWhileItDoesNotKnow) {
  ScalingRule rule(spec({{"a", 10, kService}}));
  EXPECT_TRUE(rule.decide(TimePoint(1000s), 1, {5}).active);
  EXPECT_TRUE(rule.decide(TimePoint(1001s), 1, {std::nullopt}).active);
  EXPECT_FALSE(rule.decide(TimePoint(1002s), 1, {0}).active);
  EXPECT_FALSE(rule.decide(TimePoint(1003s), 1, {std::nullopt}).active);
}

TEST(Scaling, AFleetThatReadsOneQueueAsksForNoMoreThanOneOfThem) {
  const ScalingSpec rule = spec({{"queue", 20, kService}}, 1, 1000);
  for (int depth = 0; depth < 5000; depth += 7) {
    const std::uint64_t wanted = static_cast<std::uint64_t>(depth + 19) / 20;
    for (const unsigned instances : {1U, 2U, 50U}) {
      const ScalingDecision decision = once(rule, instances, {depth});
      EXPECT_EQ(decision.raw, wanted) << depth;
      if (decision.hold == ScalingHold::kTolerance) continue;  // stays where it is
      EXPECT_EQ(decision.desired, std::max<std::uint64_t>(wanted, 1)) << depth;
    }
  }
}

// Each looks at the queue at its own moment; what the fleet is told is the largest of their
// answers.
TEST(Scaling, FiftyWorkersAskForNoMoreThanOneWhoSeesWhatTheyAllSee) {
  constexpr int kWorkers = 50;
  ScalingSpec rule = spec({{"queue", 20, kService}}, 1, 1000);
  rule.stabilization_down = 60s;
  std::vector<ScalingRule> workers(kWorkers, ScalingRule(rule));
  ScalingRule one(rule);
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  int depth = 1000;
  for (int second = 0; second < 600; ++second) {
    std::optional<unsigned> fleet, alone;
    const auto instances = static_cast<unsigned>(std::uniform_int_distribution(40, 50)(random));
    for (int i = 0; i < kWorkers; ++i) {
      const TimePoint now = TimePoint(1000s) + std::chrono::seconds(second) + i * 20ms;
      depth = std::max(0, depth + std::uniform_int_distribution(-25, 24)(random));
      fleet = std::max(
          fleet, workers[static_cast<std::size_t>(i)].decide(now, instances, {depth}).desired);
      alone = std::max(alone, one.decide(now, instances, {depth}).desired);
    }
    ASSERT_LE(*fleet, *alone) << second;
  }
}

/// The formulas of spec/scaling.md written down once more, slowly: whole numbers (thousandths), all
/// recommendations ever made, no cleverness.
class Reference {
 public:
  explicit Reference(ScalingSpec spec) : spec_(std::move(spec)) {}

  struct Answer {
    std::optional<long long> desired;
    std::optional<long long> raw;
    ScalingHold hold = ScalingHold::kNone;
  };

  Answer decide(long long second, std::optional<long long> instances,
                const std::vector<std::optional<long long>>& thousandths) {
    std::optional<long long> raw, proposed;
    bool missing = false, uncounted = false;
    for (std::size_t i = 0; i < thousandths.size(); ++i) {
      const auto target = std::llround(spec_.triggers[i].target * 1000);
      if (!thousandths[i]) {
        missing = true;
        continue;
      }
      long long fleet = std::max(*thousandths[i], 0LL);
      if (spec_.triggers[i].scope == kInstance) {
        if (!instances || *instances == 0) {
          missing = uncounted = true;
          continue;
        }
        fleet *= *instances;
      }
      const long long count = (fleet + target - 1) / target;
      long long proposal = count;
      if (instances && *instances > 0) {
        // |fleet / (target * n) - 1| <= 0.1, without dividing
        const long long wanted = target * *instances;
        if (10 * std::llabs(fleet - wanted) <= wanted) proposal = *instances;
      }
      raw = std::max(raw.value_or(0), count);
      proposed = std::max(proposed.value_or(0), proposal);
    }
    const long long current = std::max(instances.value_or(0), advised_.value_or(0));
    ScalingHold hold = proposed == raw ? ScalingHold::kNone : ScalingHold::kTolerance;
    if (missing) {
      const long long known = proposed.value_or(0);
      if (known < current) hold = ScalingHold::kMissingInput;
      proposed = std::max(known, current);
    }
    if (uncounted) return {std::nullopt, raw, ScalingHold::kNoInstances};
    if (missing && current == 0) return {std::nullopt, raw, ScalingHold::kMissingInput};
    const long long baseline = current > 0 ? current : *proposed;
    if (!counted_ && instances.value_or(0) > 0) {
      counted_ = true;
      history_.emplace_back(second, current);
    }
    history_.emplace_back(second, *proposed);
    long long up = *proposed, down = *proposed;
    for (const auto& [at, count] : history_) {
      if (at > second - std::chrono::seconds(spec_.stabilization_up / 1s).count())
        up = std::min(up, count);
      if (at > second - std::chrono::seconds(spec_.stabilization_down / 1s).count())
        down = std::max(down, count);
    }
    long long stable = baseline;
    if (stable < up) stable = up;
    if (stable > down) stable = down;
    advised_ = stable;
    if (stable < *proposed) hold = ScalingHold::kStabilizeUp;
    if (stable > *proposed) hold = ScalingHold::kStabilizeDown;
    const auto desired = std::clamp<long long>(stable, spec_.min, spec_.max);
    if (desired > stable) hold = ScalingHold::kMin;
    if (desired < stable) hold = ScalingHold::kMax;
    return {desired, raw, hold};
  }

 private:
  const ScalingSpec spec_;
  std::vector<std::pair<long long, long long>> history_;
  std::optional<long long> advised_;
  bool counted_ = false;
};

TEST(Scaling, AgreesWithASlowReferenceOnRandomHistories) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution(low, high)(random);
  };
  std::map<ScalingHold, int> seen;
  for (int round = 0; round < 300; ++round) {
    std::vector<ScalingTrigger> triggers;
    for (int i = pick(1, 3); i > 0; --i) {
      triggers.push_back({"m", pick(1, 50) / 10.0, pick(0, 1) == 0 ? kInstance : kService});
    }
    ScalingSpec rule = spec(std::move(triggers), static_cast<unsigned>(pick(0, 3)),
                            static_cast<unsigned>(pick(4, 30)));
    rule.stabilization_up = std::chrono::seconds(pick(0, 2) * pick(0, 20));
    rule.stabilization_down = std::chrono::seconds(pick(0, 2) * pick(0, 30));
    ScalingRule fast(rule);
    Reference slow(rule);
    long long second = 1000;
    for (int step = 0; step < 60; ++step) {
      second += pick(1, 5);
      std::optional<unsigned> instances;
      if (pick(0, 9) > 0) instances = static_cast<unsigned>(pick(0, 12));
      std::vector<std::optional<double>> values;
      std::vector<std::optional<long long>> thousandths;
      for (std::size_t i = 0; i < rule.triggers.size(); ++i) {
        if (pick(0, 9) == 0) {
          values.emplace_back();
          thousandths.emplace_back();
        } else {
          thousandths.emplace_back(pick(-100, 60000));
          values.emplace_back(static_cast<double>(*thousandths.back()) / 1000);
        }
      }
      const auto got = fast.decide(TimePoint(std::chrono::seconds(second)), instances, values);
      const auto expected = slow.decide(second, instances, thousandths);
      ASSERT_EQ(got.desired.has_value(), expected.desired.has_value())
          << "round " << round << " step " << step;
      if (got.desired) {
        ASSERT_EQ(*got.desired, *expected.desired) << "round " << round << " step " << step;
      }
      ASSERT_EQ(got.raw.value_or(0), static_cast<std::uint64_t>(expected.raw.value_or(0)));
      ASSERT_EQ(scaling_hold_name(got.hold), scaling_hold_name(expected.hold))
          << "round " << round << " step " << step;
      ++seen[got.hold];
    }
  }
  for (const ScalingHold hold : kAllScalingHolds)
    EXPECT_GT(seen[hold], 0) << scaling_hold_name(hold);
}

TEST(ScalingSignals, ExportsWhatIsKnownAndNothingElse) {
  test::SimReactor loop;
  Registry registry;
  MetricSpec metric;
  metric.name = "sessions";
  ASSERT_TRUE(registry.declare(metric));
  ASSERT_TRUE(registry.series("sessions"));  // declared and 0, but never recorded
  std::optional<unsigned> instances;
  ScalingSignals signals(loop, registry, nullptr,
                         [&](const std::string&) { return ScalingSignals::Instances{instances}; });
  ScalingSpec rule = spec({{"sessions", 10, kInstance}});
  signals.set({rule});
  loop.advance(1s);
  const Labels service = {{"service", "web"}},
               trigger = {{"metric", "sessions"}, {"service", "web"}, {"scope", "instance"}};
  EXPECT_FALSE(registry.value(kScalingValue, trigger));
  EXPECT_FALSE(registry.value(kScalingDesired, service));
  EXPECT_EQ(registry.value(kScalingTarget, trigger).value(), 10);
  EXPECT_EQ(registry.value(kScalingHeld, {{"service", "web"}, {"reason", "missing_input"}}).value(),
            1);

  ASSERT_TRUE(registry.record("sessions", {}, 30));
  loop.advance(1s);
  EXPECT_EQ(registry.value(kScalingValue, trigger).value(), 30);
  EXPECT_FALSE(registry.value(kScalingDesired, service));
  EXPECT_EQ(registry.value(kScalingHeld, {{"service", "web"}, {"reason", "no_instances"}}).value(),
            1);

  instances = 2;
  loop.advance(4s);
  EXPECT_EQ(registry.value(kScalingDesired, service).value(), 6);
  EXPECT_EQ(registry.value(kScalingInstances, service).value(), 2);
  EXPECT_EQ(registry.value(kScalingRatio, trigger).value(), 3);
  EXPECT_EQ(registry.value(kScalingInputAge, trigger).value(), 4);
  EXPECT_EQ(registry.value(kScalingActive, service).value(), 1);
  ASSERT_NE(signals.decision("web"), nullptr);
  EXPECT_EQ(signals.decision("web")->desired, 6U);

  signals.set({});
  std::string text;
  registry.render(TextFormat::kPrometheus004, text);
  EXPECT_EQ(text.find("containerpilot_scaling"), std::string::npos);
}

}  // namespace
}  // namespace containerpilot::telemetry
