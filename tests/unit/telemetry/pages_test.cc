#include "containerpilot/telemetry/pages.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "support/sim_reactor.h"

namespace containerpilot::telemetry {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

SensorState state(const std::string& name, std::optional<double> value) {
  SensorState state;
  state.name = name;
  state.up = value.has_value();
  state.value = value;
  if (value) state.series = {{name, *value}};
  return state;
}

class Pages : public testing::Test {
 protected:
  json page(const std::string& path, int status) {
    const auto document = documents_.find(path);
    if (!document) return nullptr;
    EXPECT_EQ(document->status, status) << document->body;
    return json::parse(document->body);
  }
  test::SimReactor loop_;
  Documents documents_;
  SensorPages pages_{loop_, documents_};
};

TEST_F(Pages, GiveTheValueUnderAStablePath) {
  SensorState good = state("queue", 12.5);
  good.last_success = loop_.wall_now();
  good.runs = 3;
  pages_.update(good);
  EXPECT_EQ(page("/sensors/queue", 200),
            json::parse(R"({"name": "queue", "up": true, "stale": false, "runs": 3,
      "failures": 0, "lastSuccess": "2026-01-02T03:04:05.000Z", "value": 12.5, "series": {"queue": 12.5}})"));
}

TEST_F(Pages, NeverMakeAValueUp) {
  pages_.update(state("queue", std::nullopt));
  EXPECT_EQ(page("/sensors/queue", 503)["error"], "no value yet");
  SensorState failed = state("queue", 4);
  failed.stale = true;
  failed.last_error = "exited with code 1 \xff";
  pages_.update(failed);
  const json stale = page("/sensors/queue", 503);
  EXPECT_FALSE(stale.contains("value"));
  EXPECT_FALSE(stale.contains("series"));
  EXPECT_EQ(stale["error"], "stale: exited with code 1 \xEF\xBF\xBD");
  EXPECT_EQ(page("/sensors/queue", 503).contains("lastSuccess"), false);
  pages_.update(state("queue", NAN));
  EXPECT_EQ(page("/sensors/queue", 503)["error"], "the value is not a finite number");
}

TEST_F(Pages, CanBeAskedForWhateverTheSensorIsCalled) {
  pages_.replace({state("app:queue", 1), state("my disk/a?50%", 2)});
  EXPECT_EQ(page("/sensors/app:queue", 200)["value"], 1);
  EXPECT_EQ(page("/sensors/my%20disk%2Fa%3F50%25", 200)["name"], "my disk/a?50%");
  pages_.replace({});
  EXPECT_EQ(documents_.find("/sensors/my%20disk%2Fa%3F50%25"), nullptr);
}

TEST_F(Pages, ListThemAllAtMostOnceASecond) {
  EXPECT_EQ(page("/sensors", 200), json::parse(R"({"sensors": []})"));
  pages_.replace({state("a", 1), state("b", 2)});
  EXPECT_EQ(page("/sensors", 200)["sensors"].size(), 2U);
  pages_.update(state("a", 5));
  EXPECT_EQ(page("/sensors", 200)["sensors"][0]["value"], 1);
  loop_.advance(1s);
  EXPECT_EQ(page("/sensors", 200)["sensors"][0]["value"], 5);
  EXPECT_EQ(loop_.timers(), 0U);
  pages_.replace({state("b", 2)});
  EXPECT_EQ(documents_.find("/sensors/a"), nullptr);
  EXPECT_EQ(page("/sensors", 200)["sensors"].size(), 1U);
}

}  // namespace
}  // namespace containerpilot::telemetry
