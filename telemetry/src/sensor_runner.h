#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "cgroup.h"
#include "containerpilot/telemetry/sensors.h"
#include "sensor_families.h"
#include "sensor_parse.h"

namespace containerpilot::telemetry {

/// What a sensor stands on; lives longer than it.
struct SensorContext {
  Reactor& reactor;
  ProbeRunner& probes;
  const Environment& environment;
  Registry& registry;
  Sensors::Hooks hooks;
  SensorFamilies families;
};

/// How a run ended; also the label `result`.
enum class SensorResult : std::uint8_t {
  kOk,
  kExit,    ///< exec: exit code other than 0
  kSignal,  ///< exec: killed by somebody
  kTimeout,
  kStart,        ///< exec: could not be started
  kUnavailable,  ///< other sources: no answer, or a bad one
  kParse,
  kRange,    ///< outside `range`, not finite, or a counter that would fall
  kOverlap,  ///< not run, because the run before was not over
};
std::string_view sensor_result_name(SensorResult result);

/// The series one sensor feeds: makes them, caps them, drops those that are no longer reported.
class SensorSeries {
 public:
  SensorSeries(SensorContext& context, const SensorSpec& spec) : context_(context), spec_(spec) {}
  ~SensorSeries() { drop(); }
  SensorSeries(const SensorSeries&) = delete;
  SensorSeries& operator=(const SensorSeries&) = delete;

  /// What became of the samples of one run.
  struct Recorded {
    std::uint64_t good = 0;
    std::uint64_t dropped = 0;  ///< one too many, or not this sensor's to write
    bool out_of_range = false;  ///< of the refused ones
  };
  /// Records the samples; series of earlier runs that are not among them go away. What was refused
  /// is appended to `parsed.errors`.
  Recorded record(Parsed& parsed);
  /// Does what `on_stale` says to series last recorded at `newest` or before.
  void expire(TimePoint newest);
  /// The series exists with 0 or empty.
  void make_empty();
  void drop();
  [[nodiscard]] std::size_t size() const { return series_.size(); }
  /// Of its series of that metric the oldest; nullopt if it has none and lost none.
  [[nodiscard]] std::optional<Sensors::Freshness> freshness(std::string_view metric) const;
  [[nodiscard]] std::vector<std::pair<std::string, double>> values() const;

 private:
  struct Entry {
    std::string metric;
    Labels labels;
    SeriesHandle handle;
    double value = 0;
    MetricType type = MetricType::kGauge;
    std::optional<TimePoint> at = {};  ///< of the last good value
  };
  using Map = std::map<std::string, Entry>;  // by name and label block
  [[nodiscard]] Labels labels_of(const Sample& sample) const;
  /// The end, and why, if it cannot be.
  Map::iterator make(const Sample& sample, Labels labels, std::string& error);
  Map::iterator erase(Map::iterator it);
  Status record_one(Entry& entry, const Sample& sample, double value);

  SensorContext& context_;
  const SensorSpec& spec_;
  struct Lost {
    std::string metric;
    TimePoint at;
  };
  Map series_;
  std::map<std::string, Lost> lost_;  // grew stale and may come back
};

/// One sensor on its own clock. Loop thread only.
class SensorRunner {
 public:
  /// `first_delay` after now the first run is due.
  SensorRunner(SensorContext& context, SensorSpec spec, Duration first_delay);
  ~SensorRunner();
  SensorRunner(const SensorRunner&) = delete;
  SensorRunner& operator=(const SensorRunner&) = delete;

  [[nodiscard]] const SensorSpec& spec() const { return spec_; }
  [[nodiscard]] SensorState state() const;
  [[nodiscard]] std::optional<Sensors::Freshness> freshness(std::string_view metric) const {
    return series_.freshness(metric);
  }
  /// Will it write to that metric, as far as the configuration tells?
  [[nodiscard]] bool feeds(std::string_view metric) const;
  void pause(bool paused) { paused_ = paused; }

 private:
  void declare_health();
  void schedule(TimePoint due);
  void on_due();
  void start();
  void start_probe();
  void finish(SensorResult result, const std::string& error, Duration took);
  void take_output(std::string_view output, Duration took);
  void take(Parsed parsed, Duration took);
  void grow_stale();
  void report(SensorResult result, const std::string& error);
  void show_health();
  /// Is there nothing to measure now? Then state_.idle says why.
  bool idle();
  void rest(std::string why);
  [[nodiscard]] Duration since_start() const { return std::chrono::steady_clock::now() - started_; }

  SensorContext& context_;
  const SensorSpec spec_;
  const Labels health_labels_;
  Status usable_;  ///< why it does not run at all
  Probe probe_;
  std::unique_ptr<CgroupReader> cgroup_;
  SensorSeries series_;
  std::map<SensorResult, SeriesHandle> results_;
  SeriesHandle duration_, last_success_, up_gauge_, stale_gauge_, count_gauge_, dropped_;
  std::minstd_rand random_;

  bool paused_ = false;
  bool running_ = false;
  bool failing_ = false;
  std::optional<pid_t> last_pid_;  // of the job, for process sensors
  double cpu_ = 0;                 // and what it has used
  SensorState state_;
  TimePoint due_{};
  std::chrono::steady_clock::time_point started_;  // of the run; the loop's time stands still in it
  Watch timer_, jitter_timer_, stale_timer_, run_;
};

}  // namespace containerpilot::telemetry
