#include "containerpilot/telemetry/sensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "containerpilot/telemetry/agent_metrics.h"
#include "containerpilot/telemetry/scaling.h"
#include "support/fake_http.h"
#include "support/fake_launcher.h"
#include "support/log_capture.h"
#include "support/sim_reactor.h"
#include "support/temp_dir.h"

namespace containerpilot::telemetry {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

/// Sensors on a virtual clock; most read a file, which is how a test tells them what to see.
class SensorTest : public testing::Test {
 protected:
  SensorSpec file_sensor(const std::string& name, const std::string& content) {
    SensorSpec spec;
    spec.name = name;
    spec.metric.name = name;
    spec.metric.help = "Help.";
    spec.source = FileSource{say(name, content)};
    spec.interval = 10s;
    spec.timeout = 1s;
    spec.stale_after = 30s;
    return spec;
  }
  SensorSpec exec_sensor(const std::string& name) {
    SensorSpec spec = file_sensor(name, "");
    ProcessSpec process;
    process.argv = {"/bin/probe"};
    spec.source = process;
    return spec;
  }
  /// What the file sensor of that name sees from now on.
  std::string say(const std::string& name, const std::string& content) {
    return dir_.write(name, content);
  }

  std::string text() {
    std::string out;
    registry_.render(TextFormat::kPrometheus004, out);
    return out;
  }
  double runs(const std::string& sensor, const std::string& result) {
    return registry_.value(kSensorRuns, {{"sensor", sensor}, {"result", result}}).value();
  }
  double health(std::string_view metric, const std::string& sensor) {
    return registry_.value(metric, {{"sensor", sensor}}).value();
  }
  std::optional<double> value(const std::string& name, const Labels& labels = {}) {
    const auto value = registry_.value(name, labels);
    return value ? std::optional(value.value()) : std::nullopt;
  }
  SensorState state(std::size_t index = 0) { return sensors_.states().at(index); }

  test::LogCapture log_;
  test::TempDir dir_;
  test::SimReactor loop_;
  test::FakeLauncher launcher_{loop_};
  test::FakeHttpClient http_{loop_};
  test::FakeResolver resolver_{loop_};
  ProbeRunner probes_{loop_, launcher_, http_, resolver_};
  Environment environment_;
  Registry registry_;
  std::map<std::string, bool> held_;
  std::optional<pid_t> pid_;
  int updates_ = 0;
  Sensors sensors_{loop_,
                   probes_,
                   environment_,
                   registry_,
                   {.condition_holds = [this](const HeldCondition& c) { return held_[c.source]; },
                    .pid_of = [this](const std::string&) { return pid_; },
                    .updated = [this](const SensorState&) { ++updates_; }}};
};

TEST_F(SensorTest, RecordsWhatItReadsOnItsInterval) {
  sensors_.set({file_sensor("depth", "4\n")});
  EXPECT_EQ(value("depth"), std::nullopt);
  loop_.advance(0s);
  EXPECT_EQ(value("depth"), 4);
  say("depth", "5");
  loop_.advance(9999ms);
  EXPECT_EQ(value("depth"), 4);
  loop_.advance(1ms);
  EXPECT_EQ(value("depth"), 5);
  EXPECT_EQ(runs("depth", "ok"), 2);
  const std::string took = std::string(kSensorDuration) + "_sum{sensor=\"depth\"} ";
  EXPECT_THAT(text(), HasSubstr(took));
  EXPECT_THAT(text(), Not(HasSubstr(took + "0\n")));
  EXPECT_EQ(health(kSensorUp, "depth"), 1);
  EXPECT_EQ(health(kSensorSeries, "depth"), 1);
  EXPECT_EQ(health(kSensorLastSuccess, "depth"),
            std::chrono::duration<double>(loop_.wall_now().time_since_epoch()).count());
  EXPECT_EQ(state().value, 5);
  EXPECT_TRUE(state().up);
  EXPECT_EQ(updates_, 2);
}

TEST_F(SensorTest, DropsItsSeriesWhenTheValueGrowsStale) {
  sensors_.set({file_sensor("depth", "4")});
  loop_.advance(0s);
  say("depth", "broken");
  loop_.advance(29s);
  EXPECT_EQ(value("depth"), 4);
  EXPECT_EQ(health(kSensorUp, "depth"), 0);
  EXPECT_EQ(health(kSensorStale, "depth"), 0);
  loop_.advance(1s);
  EXPECT_EQ(value("depth"), std::nullopt);
  EXPECT_THAT(text(), Not(HasSubstr("\ndepth ")));
  EXPECT_EQ(health(kSensorStale, "depth"), 1);
  EXPECT_EQ(health(kSensorSeries, "depth"), 0);
  EXPECT_TRUE(state().stale);
  EXPECT_EQ(state().value, std::nullopt);
  say("depth", "6");
  loop_.advance(10s);
  EXPECT_EQ(value("depth"), 6);
  EXPECT_EQ(health(kSensorStale, "depth"), 0);
}

TEST_F(SensorTest, HoldsOrReplacesAStaleValueWhenToldTo) {
  SensorSpec hold = file_sensor("hold", "4"), fixed = file_sensor("fixed", "4");
  hold.on_stale.kind = StalePolicy::Kind::kHold;
  fixed.on_stale = {StalePolicy::Kind::kFixed, -1};
  sensors_.set({hold, fixed});
  loop_.advance(1s);
  say("hold", "x");
  say("fixed", "x");
  loop_.advance(60s);
  EXPECT_EQ(value("hold"), 4);
  EXPECT_EQ(value("fixed"), -1);
  EXPECT_EQ(health(kSensorStale, "hold"), 1);
  EXPECT_EQ(health(kSensorStale, "fixed"), 1);
}

TEST_F(SensorTest, KeepsOldFormsForEver) {
  SensorSpec old = file_sensor("old", "4");
  old.stale_after = 0s;
  old.zero_at_start = true;
  old.first_run_at_once = false;
  sensors_.set({old});
  EXPECT_EQ(value("old"), 0);
  loop_.advance(9s);
  EXPECT_EQ(value("old"), 0);
  loop_.advance(1s);
  EXPECT_EQ(value("old"), 4);
  say("old", "x");
  loop_.advance(1h);
  EXPECT_EQ(value("old"), 4);
  EXPECT_EQ(health(kSensorStale, "old"), 0);
}

TEST_F(SensorTest, LogsAFailureOnceAndItsEnd) {
  sensors_.set({file_sensor("depth", "many")});
  loop_.advance(25s);
  EXPECT_EQ(runs("depth", "parse"), 3);
  EXPECT_EQ(log_.count("sensor 'depth': cannot read 'many' as a value"), 1);
  say("depth", "1");
  loop_.advance(10s);
  EXPECT_EQ(log_.count("sensor 'depth': works again"), 1);
}

TEST_F(SensorTest, MultipliesThenChecksTheRange) {
  SensorSpec spec = file_sensor("bytes", "2");
  spec.multiply = 1024;
  spec.range_min = 0;
  spec.range_max = 4096;
  sensors_.set({spec});
  loop_.advance(0s);
  EXPECT_EQ(value("bytes"), 2048);
  for (const char* bad : {"5", "-1", "inf", "nan"}) {
    say("bytes", bad);
    loop_.advance(10s);
  }
  EXPECT_EQ(runs("bytes", "range"), 4);
  EXPECT_EQ(runs("bytes", "ok"), 1);
}

TEST_F(SensorTest, TakesNonFiniteValuesOnlyWhenAllowed) {
  SensorSpec spec = file_sensor("g", "+Inf");
  spec.allow_non_finite = true;
  sensors_.set({spec});
  loop_.advance(0s);
  EXPECT_THAT(text(), HasSubstr("\ng +Inf\n"));
}

TEST_F(SensorTest, AddsIncrementsAndRefusesNegativeOnes) {
  SensorSpec spec = file_sensor("c_total", "2");
  spec.metric.type = MetricType::kCounter;
  sensors_.set({spec});
  loop_.advance(10s);
  EXPECT_EQ(value("c_total"), 4);
  say("c_total", "-1");
  loop_.advance(10s);
  EXPECT_EQ(value("c_total"), 4);
  EXPECT_EQ(runs("c_total", "range"), 1);
  EXPECT_THAT(state().last_error, HasSubstr("a counter never falls"));
}

TEST_F(SensorTest, MakesUpNoNumberForARefusedFirstValue) {
  SensorSpec added = file_sensor("added_total", "-5"), total = file_sensor("all_total", "-5");
  added.metric.type = total.metric.type = MetricType::kCounter;
  total.total = true;
  sensors_.set({added, total});
  loop_.advance(1s);
  for (const std::string name : {"added_total", "all_total"}) {
    EXPECT_EQ(value(name), std::nullopt);
    EXPECT_FALSE(sensors_.freshness(name));
  }
  EXPECT_THAT(state(0).series, testing::IsEmpty());
  EXPECT_THAT(state(1).series, testing::IsEmpty());
  say("added_total", "5");
  loop_.advance(20s);
  EXPECT_EQ(value("added_total"), 10);
  EXPECT_EQ(state().value, 10);  // what the metric says, not the last increment
}

TEST_F(SensorTest, BeginsATotalAnewAfterItFell) {
  SensorSpec spec = file_sensor("c_total", "100");
  spec.metric.type = MetricType::kCounter;
  spec.total = true;
  sensors_.set({spec});
  loop_.advance(10s);
  EXPECT_EQ(value("c_total"), 100);
  say("c_total", "3");
  loop_.advance(10s);
  EXPECT_EQ(value("c_total"), 3);
  EXPECT_EQ(runs("c_total", "range"), 0);
  EXPECT_FALSE(log_.contains("c_total"));
  say("c_total", "-1");
  loop_.advance(10s);
  EXPECT_EQ(runs("c_total", "range"), 1);
  EXPECT_EQ(value("c_total"), 3);
}

TEST_F(SensorTest, FeedsManySeriesFromOneRunAndDropsThoseThatEnd) {
  SensorSpec spec =
      file_sensor("stats", "# TYPE depth gauge\ndepth{q=\"a\"} 1\ndepth{q=\"b\"} 2\n");
  spec.format = SensorFormat::kPrometheus;
  spec.metric.labels = {{"zone", "x"}};
  sensors_.set({spec});
  loop_.advance(0s);
  EXPECT_EQ(value("depth", {{"q", "b"}, {"zone", "x"}}), 2);
  EXPECT_THAT(text(), HasSubstr("# HELP depth Help.\n"));  // its own when the source gives none
  EXPECT_EQ(health(kSensorSeries, "stats"), 2);
  EXPECT_THAT(state().series, ElementsAre(Pair("depth{q=\"a\",zone=\"x\"}", 1),
                                          Pair("depth{q=\"b\",zone=\"x\"}", 2)));
  say("stats", "# TYPE depth gauge\ndepth{q=\"a\"} 3\n");
  loop_.advance(10s);
  EXPECT_EQ(value("depth", {{"q", "a"}, {"zone", "x"}}), 3);
  EXPECT_EQ(value("depth", {{"q", "b"}, {"zone", "x"}}), std::nullopt);
}

TEST_F(SensorTest, ExpiresEachSeriesByItself) {
  SensorSpec spec = file_sensor("stats", R"({"a": 1, "b": 2})");
  spec.format = SensorFormat::kJson;
  spec.values = {{"a", "/a"}, {"b", "/b"}};
  sensors_.set({spec});
  loop_.advance(0s);
  say("stats", R"({"a": 3})");
  loop_.advance(20s);
  EXPECT_EQ(value("a"), 3);
  EXPECT_EQ(value("b"), 2);
  loop_.advance(10s);
  EXPECT_EQ(value("a"), 3);
  EXPECT_EQ(value("b"), std::nullopt);
  EXPECT_EQ(runs("stats", "parse"), 3);
}

TEST_F(SensorTest, CapsItsSeries) {
  std::string many;
  for (int i = 0; i < 10; ++i) many += "m{i=\"" + std::to_string(i) + "\"} 1\n";
  SensorSpec spec = file_sensor("many", many);
  spec.format = SensorFormat::kPrometheus;
  spec.max_series = 4;
  sensors_.set({spec});
  loop_.advance(0s);
  EXPECT_EQ(health(kSensorSeries, "many"), 4);
  EXPECT_EQ(health(kSensorDropped, "many"), 6);
  EXPECT_EQ(runs("many", "ok"), 1);
}

TEST_F(SensorTest, MakesRoomForTheSeriesOfTheNextRun) {
  SensorSpec spec = file_sensor("turns", "m{i=\"0\"} 1\n");
  spec.format = SensorFormat::kPrometheus;
  spec.max_series = 1;
  sensors_.set({spec});
  loop_.advance(0s);
  for (const std::string i : {"1", "2", "3"}) {
    say("turns", "m{i=\"" + i + "\"} 1\n");
    loop_.advance(10s);
    EXPECT_EQ(value("m", {{"i", i}}), 1);
  }
  EXPECT_EQ(health(kSensorDropped, "turns"), 0);
}

TEST_F(SensorTest, TellsOnlyTheFirstOfManyFaults) {
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "m{i=\"" + std::to_string(i) + "\"} NaN\n";
  SensorSpec spec = file_sensor("many", many);
  spec.format = SensorFormat::kPrometheus;
  sensors_.set({spec});
  loop_.advance(0s);
  EXPECT_LT(state().last_error.size(), 500U);
  EXPECT_THAT(state().last_error, HasSubstr("and 4995 more"));
}

TEST_F(SensorTest, RenamesLabelsThatAScrapeSets) {
  SensorSpec spec = file_sensor("mix", "m{job=\"a\",instance=\"b\",exported_job=\"c\"} 1\n");
  spec.format = SensorFormat::kPrometheus;
  sensors_.set({spec});
  loop_.advance(0s);
  EXPECT_EQ(
      value("m",
            {{"exported_exported_job", "a"}, {"exported_instance", "b"}, {"exported_job", "c"}}),
      1);
}

TEST_F(SensorTest, WritesNothingThatBelongsToOthers) {
  SensorSpec spec = file_sensor(
      "evil", "containerpilot_build_info 7\ncontainerpilot_process_threads 1\nmine 1\n");
  spec.format = SensorFormat::kPrometheus;
  sensors_.set({spec});
  loop_.advance(0s);
  EXPECT_EQ(value("containerpilot_build_info"), std::nullopt);
  EXPECT_EQ(value("mine"), 1);
  EXPECT_EQ(health(kSensorDropped, "evil"), 2);
  EXPECT_THAT(state().last_error, HasSubstr("belongs to somebody else"));
}

TEST_F(SensorTest, LetsTwoSensorsFeedOneFamily) {
  SensorSpec in = file_sensor("in", "1"), out = file_sensor("out", "2");
  in.metric.name = out.metric.name = "depth";
  in.metric.labels = {{"q", "in"}};
  out.metric.labels = {{"q", "out"}};
  sensors_.set({in, out});
  loop_.advance(1s);
  EXPECT_EQ(registry_.total("depth").value().sum, 3);
  sensors_.set({out});
  EXPECT_EQ(value("depth", {{"q", "in"}}), std::nullopt);
  EXPECT_EQ(value("depth", {{"q", "out"}}), 2);
}

TEST_F(SensorTest, LetsOnlyOneSensorFeedASeries) {
  SensorSpec first = file_sensor("first", "m 1\n"), second = file_sensor("second", "m 2\n");
  first.format = second.format = SensorFormat::kPrometheus;
  sensors_.set({first, second});
  loop_.advance(1s);
  EXPECT_EQ(value("m"), 1);
  EXPECT_THAT(state(1).last_error, HasSubstr("another sensor does"));
  sensors_.set({first});
  EXPECT_EQ(value("m"), 1);
  sensors_.set({second});
  loop_.advance(1s);
  EXPECT_EQ(value("m"), 2);
}

TEST_F(SensorTest, MayBeOfAnotherTypeAfterAReload) {
  SensorSpec spec = file_sensor("m", "1");
  sensors_.set({spec});
  loop_.advance(0s);
  spec.metric.type = MetricType::kCounter;
  sensors_.set({spec});
  loop_.advance(1s);
  EXPECT_EQ(runs("m", "ok"), 1);
  EXPECT_THAT(text(), HasSubstr("# TYPE m counter\nm 1\n"));
  sensors_.retire({});
  EXPECT_FALSE(registry_.has("m"));
}

TEST_F(SensorTest, MayReadAnotherTypeThanBefore) {
  SensorSpec spec = file_sensor("stats", "# TYPE m gauge\nm{i=\"1\"} 1\n");
  spec.format = SensorFormat::kPrometheus;
  sensors_.set({spec});
  loop_.advance(0s);
  say("stats", "# TYPE m counter\nm{i=\"2\"} 2\n");
  loop_.advance(10s);
  EXPECT_EQ(runs("stats", "ok"), 2);
  EXPECT_THAT(text(), HasSubstr("# TYPE m counter\nm{i=\"2\"} 2\n"));
}

TEST_F(SensorTest, CallsNothingStaleThatIsNotMeasured) {
  SensorSpec waits = file_sensor("waits", "1"), job = file_sensor("job", "");
  waits.condition = HeldCondition{"web", HeldState::kHealthy};
  job.source = ProcessSource{"web"};
  held_["web"] = true;
  pid_ = ::getpid();
  sensors_.set({waits, job});
  loop_.advance(1s);
  held_["web"] = false;
  pid_.reset();
  loop_.advance(60s);
  EXPECT_EQ(value("waits"), std::nullopt);
  EXPECT_EQ(health(kSensorStale, "waits") + health(kSensorStale, "job"), 0);
  EXPECT_EQ(log_.entries().size(), 0U);
  EXPECT_EQ(state(0).idle, "'web' is not healthy");
  EXPECT_EQ(state(1).idle, "job 'web' does not run");
  held_["web"] = true;
  loop_.advance(10s);
  EXPECT_EQ(state(0).idle, "");
  EXPECT_EQ(value("waits"), 1);
}

TEST_F(SensorTest, WaitsForItsCondition) {
  SensorSpec spec = file_sensor("depth", "broken");
  spec.condition = HeldCondition{"web", HeldState::kHealthy};
  sensors_.set({spec});
  loop_.advance(60s);
  EXPECT_EQ(state().runs, 0U);
  EXPECT_EQ(log_.entries().size(), 0U);
  say("depth", "1");
  held_["web"] = true;
  loop_.advance(10s);
  EXPECT_EQ(value("depth"), 1);
  held_["web"] = false;
  loop_.advance(10s);
  EXPECT_EQ(health(kSensorUp, "depth"), 0);
}

TEST_F(SensorTest, HoldsStillInMaintenanceWhereOldFormsDid) {
  SensorSpec old = file_sensor("old", "1"), now = file_sensor("now", "1");
  old.paused_in_maintenance = true;
  sensors_.set({old, now});
  sensors_.pause(true);
  loop_.advance(20s);
  EXPECT_EQ(runs("old", "ok"), 0);
  EXPECT_GE(runs("now", "ok"), 2);
  sensors_.pause(false);
  loop_.advance(10s);
  EXPECT_EQ(runs("old", "ok"), 1);
}

TEST_F(SensorTest, KeepsUnchangedSensorsAndTheirPhaseOnReload) {
  const SensorSpec a = file_sensor("a", "1");
  SensorSpec b = file_sensor("b", "2");
  sensors_.set({a, b});
  loop_.advance(4s);
  b.interval = 20s;
  sensors_.set({b, a});
  EXPECT_EQ(value("a"), 1);
  EXPECT_EQ(runs("a", "ok"), 1);
  loop_.advance(6s);
  EXPECT_EQ(runs("a", "ok"), 2);  // its phase did not move
  sensors_.set({});
  EXPECT_EQ(value("a"), std::nullopt);
  EXPECT_THAT(text(), Not(HasSubstr("sensor=")));
  EXPECT_FALSE(registry_.has("a"));
  EXPECT_EQ(loop_.timers(), 0U);
}

TEST_F(SensorTest, SpreadsItsFirstRunsOverASecond) {
  std::vector<SensorSpec> specs;
  for (int i = 0; i < 100; ++i) specs.push_back(file_sensor("s" + std::to_string(i), "1"));
  sensors_.set(specs);
  std::uint64_t before = 0;
  for (int slice = 0; slice < 10; ++slice) {
    loop_.advance(slice == 0 ? 99ms : 100ms);
    std::uint64_t done = 0;
    for (const SensorState& one : sensors_.states()) done += one.runs;
    EXPECT_NEAR(static_cast<double>(done - before), 10, 2) << slice;
    before = done;
  }
}

TEST_F(SensorTest, DelaysEachRunByItsJitter) {
  SensorSpec spec = file_sensor("j", "1");
  spec.jitter = 5s;
  sensors_.set({spec});
  loop_.advance(4999ms);
  loop_.advance(1ms);
  EXPECT_EQ(runs("j", "ok"), 1);
  loop_.advance(100s);
  EXPECT_NEAR(runs("j", "ok"), 11, 1);
  EXPECT_EQ(runs("j", "overlap"), 0);
}

TEST_F(SensorTest, ReadsOnlyRegularFiles) {
  SensorSpec spec = file_sensor("f", "1");
  spec.source = FileSource{dir_.path()};
  sensors_.set({spec});
  loop_.advance(0s);
  EXPECT_EQ(runs("f", "unavailable"), 1);
  EXPECT_THAT(state().last_error, HasSubstr("a regular file is expected"));
  spec.source = FileSource{dir_.path() + "/none"};
  sensors_.set({spec});
  loop_.advance(1s);
  EXPECT_THAT(state().last_error, HasSubstr("No such file"));
}

TEST_F(SensorTest, ReadsNothingIntoOutputThatWasCutOff) {
  const std::string long_line = "m 1" + std::string(1 << 20, '2') + "\n";
  SensorSpec file = file_sensor("f", long_line), web = file_sensor("w", "");
  file.format = web.format = SensorFormat::kPrometheus;
  HttpProbe probe;
  probe.url = "http://127.0.0.1:8080/metrics";
  web.source = probe;
  sensors_.set({file, web});
  loop_.advance(1s);
  http_.data(http_.last("GET", "/metrics"),
             "a 1\n# " + std::string((1 << 20) - 11, ' ') + "\nb 12");
  http_.data(http_.last("GET", "/metrics"), "345\n");
  http_.answer(http_.last("GET", "/metrics"), 200);
  EXPECT_EQ(value("b"), std::nullopt);
  EXPECT_EQ(runs("f", "unavailable"), 1);
  EXPECT_THAT(state(0).last_error, HasSubstr("a megabyte or more"));
  EXPECT_EQ(runs("w", "parse"), 1);
  EXPECT_THAT(state(1).last_error, HasSubstr("thrown away"));
}

TEST_F(SensorTest, ObservesIntoHistograms) {
  SensorSpec spec = file_sensor("wait_seconds", "0.3");
  spec.metric.type = MetricType::kHistogram;
  spec.metric.buckets = {0.1, 1};
  sensors_.set({spec});
  loop_.advance(10s);
  EXPECT_THAT(text(),
              HasSubstr("wait_seconds_bucket{le=\"0.1\"} 0\nwait_seconds_bucket{le=\"1\"} 2\n"));
}

TEST_F(SensorTest, RunsACommandWithTheEnvironmentAndReadsItsOutput) {
  environment_.set("TOKEN", "x");
  launcher_.use_pipes();
  sensors_.set({exec_sensor("depth")});
  loop_.advance(0s);
  EXPECT_EQ(launcher_.last("sensor 'depth'").env("TOKEN"), "x");
  launcher_.print("sensor 'depth'", "17\n");
  launcher_.print("sensor 'depth'", "connecting\n", true);
  launcher_.finish("sensor 'depth'");
  loop_.settle();
  EXPECT_EQ(value("depth"), 17);
  EXPECT_EQ(runs("depth", "ok"), 1);
  EXPECT_THAT(text(),
              HasSubstr("containerpilot_sensor_run_duration_seconds_count{sensor=\"depth\"} 1\n"));
}

TEST_F(SensorTest, TellsHowACommandFailed) {
  sensors_.set({exec_sensor("depth")});
  loop_.advance(0s);
  launcher_.finish("sensor 'depth'", {.code = 3});
  loop_.advance(10s);
  launcher_.finish("sensor 'depth'", {.signal = SIGSEGV});
  launcher_.fail_next("sensor 'depth'",
                      Error(Errc::kNotFound, "cannot start '/bin/probe': no such file"));
  loop_.advance(10s);
  EXPECT_EQ(runs("depth", "exit"), 1);
  EXPECT_EQ(runs("depth", "signal"), 1);
  EXPECT_EQ(runs("depth", "start"), 1);
  EXPECT_EQ(state().failures, 3U);
  EXPECT_THAT(state().last_error, HasSubstr("no such file"));
}

TEST_F(SensorTest, KillsACommandThatTakesTooLongAndNeverOverlaps) {
  SensorSpec slow = exec_sensor("slow");
  slow.timeout = 25s;
  sensors_.set({slow, file_sensor("other", "1")});
  loop_.advance(24s);
  EXPECT_EQ(launcher_.starts("sensor 'slow'"), 1);
  EXPECT_EQ(runs("slow", "overlap"), 2);
  EXPECT_EQ(runs("other", "ok"), 3);  // a hung sensor delays no other
  loop_.advance(1s);
  EXPECT_EQ(runs("slow", "timeout"), 1);
  EXPECT_TRUE(launcher_.last("sensor 'slow'").tree_killed);
  loop_.advance(5s);
  EXPECT_EQ(launcher_.starts("sensor 'slow'"), 2);
}

TEST_F(SensorTest, LeavesNothingRunningWhenStopped) {
  sensors_.set({exec_sensor("slow")});
  loop_.advance(0s);
  EXPECT_EQ(launcher_.running(), 1U);
  sensors_.stop();
  loop_.settle();
  EXPECT_EQ(launcher_.running(), 0U);
  EXPECT_EQ(loop_.timers(), 0U);
}

TEST_F(SensorTest, ReadsJsonOverHttp) {
  SensorSpec spec = file_sensor("app", "");
  HttpProbe probe;
  probe.url = "http://127.0.0.1:8080/stats";
  spec.source = probe;
  spec.format = SensorFormat::kJson;
  spec.values = {{"app_sessions", "/sessions/open"}};
  sensors_.set({spec});
  loop_.advance(0s);
  http_.data(http_.last("GET", "/stats"), R"({"sessions": {"open": 12}})");
  http_.answer(http_.last("GET", "/stats"), 200);
  EXPECT_EQ(value("app_sessions"), 12);
  loop_.advance(10s);
  http_.answer(http_.last("GET", "/stats"), 503, "");
  EXPECT_EQ(runs("app", "unavailable"), 1);
  EXPECT_EQ(value("app_sessions"), 12);
}

TEST_F(SensorTest, TellsHowFreshAMetricIs) {
  sensors_.set({file_sensor("depth", "4")});
  EXPECT_FALSE(sensors_.freshness("depth"));
  loop_.advance(0s);
  const TimePoint recorded = loop_.now();
  say("depth", "x");
  loop_.advance(29s);
  ASSERT_TRUE(sensors_.freshness("depth"));
  EXPECT_EQ(sensors_.freshness("depth")->recorded_at, recorded);
  EXPECT_FALSE(sensors_.freshness("depth")->stale);
  EXPECT_FALSE(sensors_.freshness("other"));
}

TEST_F(SensorTest, TellsTheAgeOfAScalingInputThatIsGone) {
  ScalingSpec rule;
  rule.service = "web";
  rule.triggers = {{"depth", 1, ScalingScope::kService}};
  ScalingSignals signals(loop_, registry_, &sensors_, nullptr);
  sensors_.set({file_sensor("depth", "4")});
  signals.set({rule});
  loop_.advance(1s);
  say("depth", "nonsense");
  loop_.advance(60s);
  ASSERT_EQ(value("depth"), std::nullopt);
  const Labels labels = {{"service", "web"}, {"metric", "depth"}, {"scope", "service"}};
  EXPECT_GE(value(std::string(kScalingInputAge), labels).value_or(0), 60);
}

// Half of a sum looks like less load: a part that is gone makes the whole stale.
TEST_F(SensorTest, CallsAMetricStaleWhenAPartOfItIs) {
  SensorSpec spec = file_sensor("stats", "depth{q=\"a\"} 1\ndepth{q=\"b\"} 2\nother 3\n");
  spec.format = SensorFormat::kPrometheus;
  sensors_.set({spec});
  loop_.advance(0s);
  EXPECT_FALSE(sensors_.freshness("depth")->stale);
  say("stats", "depth{q=\"a\"} 1\ndepth{q=\"b\"} oops\nother 3\n");
  loop_.advance(40s);
  EXPECT_EQ(registry_.total("depth").value().sum, 1);
  EXPECT_TRUE(sensors_.freshness("depth")->stale);
  EXPECT_FALSE(sensors_.freshness("other")->stale);
  say("stats", "depth{q=\"a\"} 1\nother 3\n");  // now it is said that there is no more of it
  loop_.advance(10s);
  EXPECT_FALSE(sensors_.freshness("depth")->stale);
}

TEST_F(SensorTest, CallsAMetricStaleWhenAnotherOfItsValuesIsGood) {
  for (const auto kind : {StalePolicy::Kind::kHold, StalePolicy::Kind::kFixed}) {
    SensorSpec spec = file_sensor("stats", R"({"a": 1, "b": 2})");
    spec.format = SensorFormat::kJson;
    spec.values = {{"a", "/a"}, {"b", "/b"}};
    spec.on_stale = {kind, -1};
    sensors_.set({spec});
    loop_.advance(1s);
    say("stats", R"({"a": 1})");
    loop_.advance(40s);
    EXPECT_EQ(value("b"), kind == StalePolicy::Kind::kHold ? 2 : -1);
    EXPECT_FALSE(sensors_.freshness("a")->stale);
    EXPECT_TRUE(sensors_.freshness("b")->stale);
  }
}

TEST_F(SensorTest, CallsAMetricStaleWhileOneOfItsSensorsHasSaidNothing) {
  SensorSpec in = file_sensor("in", "1"), out = file_sensor("out", "broken");
  in.metric.name = out.metric.name = "depth";
  in.metric.labels = {{"q", "in"}};
  out.metric.labels = {{"q", "out"}};
  sensors_.set({in, out});
  loop_.advance(1s);
  EXPECT_TRUE(sensors_.freshness("depth")->stale);
  say("out", "2");
  loop_.advance(10s);
  EXPECT_FALSE(sensors_.freshness("depth")->stale);
}

TEST_F(SensorTest, MeasuresTheProcessOfAJob) {
  SensorSpec spec = file_sensor("web", "");
  spec.source = ProcessSource{"web"};
  sensors_.set({spec});
  loop_.advance(0s);
  EXPECT_EQ(state().runs, 0U);  // a job that does not run is no failure
  pid_ = ::getpid();
  loop_.advance(10s);
  const Labels labels = {{"name", "web"}};
  EXPECT_GT(value("containerpilot_process_resident_memory_bytes", labels).value_or(0), 1e6);
  EXPECT_GE(value("containerpilot_process_open_fds", labels).value_or(0), 3);
  EXPECT_EQ(value("containerpilot_process_processes", labels), 1);
  EXPECT_EQ(runs("web", "ok"), 1);
  pid_.reset();
  loop_.advance(10s);
  EXPECT_EQ(value("containerpilot_process_processes", labels), std::nullopt);
  EXPECT_EQ(health(kSensorUp, "web"), 0);
}

}  // namespace
}  // namespace containerpilot::telemetry
