#pragma once

#include <map>
#include <string>
#include <vector>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"
#include "containerpilot/telemetry/spec.h"
#include "sensor_parse.h"

namespace containerpilot::telemetry {

/// Reads one control group, wherever its files are: v2, v1, or v1 with a v2 tree beside it. Files
/// that this kernel or container does not have are left out. Loop thread only.
class CgroupReader {
 public:
  explicit CgroupReader(CgroupSource source);
  /// Samples of containerpilot_cgroup_*; what is unlimited has no limit sample. `now` is for
  /// cpu_used_ratio, which needs two readings.
  /// Errors: one per group of which no file could be read.
  Parsed read(TimePoint now);

 private:
  using Values = std::map<std::string, double, std::less<>>;
  void read_cpu(Parsed& parsed, TimePoint now);
  void read_memory(Parsed& parsed);
  void read_pids(Parsed& parsed);
  /// False when there is nothing to read; a container that has done none has no lines in it.
  bool read_io(Parsed& parsed);
  void read_pressure(Parsed& parsed);
  void add_cpu_ratio(Parsed& parsed, double usage, double cores, TimePoint now);
  [[nodiscard]] std::string v2(const std::string& file) const;
  [[nodiscard]] std::string v1(const std::string& controller, const std::string& file) const;

  const CgroupSource source_;
  std::string v2_folder_;                          ///< empty: none
  std::map<std::string, std::string> v1_folders_;  ///< by controller
  double last_usage_ = -1;
  TimePoint last_read_{};
};

/// The last path of /proc/self/cgroup for a v1 controller, or for v2 ("").
std::string cgroup_path_of(std::string_view proc_self_cgroup, std::string_view controller);

}  // namespace containerpilot::telemetry
