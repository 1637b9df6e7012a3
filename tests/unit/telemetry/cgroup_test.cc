#include "cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "names.h"
#include "proc.h"
#include "support/temp_dir.h"

namespace containerpilot::telemetry {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

/// A folder that looks like a control group.
class Cgroup : public testing::Test {
 protected:
  void file(const std::string& name, const std::string& content) {
    std::filesystem::create_directories(
        std::filesystem::path(dir_.path() + "/" + name).parent_path());
    dir_.write(name, content);
  }
  std::map<std::string, double> read(std::vector<std::string> groups,
                                     TimePoint now = TimePoint(100s)) {
    if (!reader_) reader_.emplace(CgroupSource{std::move(groups), dir_.path()});
    const Parsed parsed = reader_->read(now);
    errors_ = parsed.errors;
    std::map<std::string, double> out;
    for (const Sample& sample : parsed.samples) {
      EXPECT_TRUE(sample.name.starts_with("containerpilot_cgroup_"));
      EXPECT_EQ(sample.total, sample.name.ends_with("_total")) << sample.name;
      out[sample.name.substr(22) + label_block({}, sample.labels)] = sample.value;
    }
    return out;
  }

  test::TempDir dir_;
  std::optional<CgroupReader> reader_;
  std::vector<std::string> errors_;
};

using Map = std::map<std::string, double>;

TEST_F(Cgroup, ReadsVersion2) {
  file("cgroup.controllers", "cpu io memory pids\n");
  file("cpu.stat",
       "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\nnr_periods 10\nnr_throttled "
       "4\nthrottled_usec 250000\n");
  file("cpu.max", "200000 100000\n");
  file("memory.current", "1000000\n");
  file("memory.max", "2000000\n");
  file("memory.high", "max\n");
  file("memory.stat", "anon 1\ninactive_file 400000\n");
  file("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n");
  file("pids.current", "12\n");
  file("pids.max", "max\n");
  file("io.stat", "8:0 rbytes=100 wbytes=200 rios=3 wios=4 dbytes=0 dios=0\n253:1 rbytes=5\n");
  file("cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n");
  file("memory.pressure",
       "some avg10=1.00 avg60=0.00 avg300=0.00 total=2000000\nfull avg10=0.00 avg60=0.00 "
       "avg300=0.00 total=1000000\n");
  EXPECT_EQ(read({"cpu", "memory", "pids", "io", "pressure"}),
            (Map{{"cpu_usage_seconds_total", 5},
                 {"cpu_user_seconds_total", 3},
                 {"cpu_system_seconds_total", 2},
                 {"cpu_periods_total", 10},
                 {"cpu_throttled_periods_total", 4},
                 {"cpu_throttled_seconds_total", 0.25},
                 {"cpu_limit_cores", 2},
                 {"memory_usage_bytes", 1000000},
                 {"memory_working_set_bytes", 600000},
                 {"memory_limit_bytes", 2000000},
                 {"memory_used_ratio", 0.3},
                 {"memory_events_total{event=\"low\"}", 0},
                 {"memory_events_total{event=\"high\"}", 0},
                 {"memory_events_total{event=\"max\"}", 7},
                 {"memory_events_total{event=\"oom\"}", 1},
                 {"memory_events_total{event=\"oom_kill\"}", 1},
                 {"pids", 12},
                 {"io_read_bytes_total{device=\"8:0\"}", 100},
                 {"io_written_bytes_total{device=\"8:0\"}", 200},
                 {"io_reads_total{device=\"8:0\"}", 3},
                 {"io_writes_total{device=\"8:0\"}", 4},
                 {"io_read_bytes_total{device=\"253:1\"}", 5},
                 {"pressure_waiting_seconds_total{resource=\"cpu\"}", 1.5},
                 {"pressure_waiting_seconds_total{resource=\"memory\"}", 2},
                 {"pressure_stalled_seconds_total{resource=\"memory\"}", 1}}));
  EXPECT_THAT(errors_, IsEmpty());
  // One second later, one of the two cores was busy all the time.
  file("cpu.stat", "usage_usec 6000000\n");
  EXPECT_EQ(read({}, TimePoint(101s)).at("cpu_used_ratio"), 0.5);
}

TEST_F(Cgroup, ReadsVersion1) {
  file("cpuacct/cpuacct.usage", "5000000000\n");
  file("cpu/cpu.stat", "nr_periods 10\nnr_throttled 4\nthrottled_time 250000000\n");
  file("cpu/cpu.cfs_quota_us", "50000\n");
  file("cpu/cpu.cfs_period_us", "100000\n");
  file("memory/memory.usage_in_bytes", "1000000\n");
  file("memory/memory.limit_in_bytes", "9223372036854771712\n");
  file("memory/memory.stat", "inactive_file 1\ntotal_inactive_file 400000\n");
  file("memory/memory.failcnt", "3\n");
  file("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  file("pids/pids.current", "12\n");
  file("pids/pids.max", "100\n");
  file("blkio/blkio.throttle.io_service_bytes",
       "8:0 Read 100\n8:0 Write 200\n8:0 Total 300\nTotal 300\n");
  file("blkio/blkio.throttle.io_serviced_recursive", "8:0 Read 3\n8:0 Write 4\n");
  EXPECT_EQ(read({"cpu", "memory", "pids", "io", "pressure"}),
            (Map{{"cpu_usage_seconds_total", 5},
                 {"cpu_periods_total", 10},
                 {"cpu_throttled_periods_total", 4},
                 {"cpu_throttled_seconds_total", 0.25},
                 {"cpu_limit_cores", 0.5},
                 {"memory_usage_bytes", 1000000},
                 {"memory_working_set_bytes", 600000},
                 {"memory_events_total{event=\"max\"}", 3},
                 {"memory_events_total{event=\"oom_kill\"}", 2},
                 {"pids", 12},
                 {"pids_limit", 100},
                 {"io_read_bytes_total{device=\"8:0\"}", 100},
                 {"io_written_bytes_total{device=\"8:0\"}", 200},
                 {"io_reads_total{device=\"8:0\"}", 3},
                 {"io_writes_total{device=\"8:0\"}", 4}}));
  EXPECT_THAT(errors_,
              ElementsAre("cannot find 'pressure' of a control group below '" + dir_.path() + "'"));
}

TEST_F(Cgroup, TakesPressureFromTheUnifiedTreeOfAHybridHost) {
  file("memory/memory.usage_in_bytes", "1000000\n");
  file("memory/memory.limit_in_bytes", "2000000\n");
  file("unified/cgroup.controllers", "\n");
  file("unified/io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n");
  EXPECT_EQ(read({"memory", "pressure"}),
            (Map{{"memory_usage_bytes", 1000000},
                 {"memory_working_set_bytes", 1000000},
                 {"memory_limit_bytes", 2000000},
                 {"memory_used_ratio", 0.5},
                 {"pressure_waiting_seconds_total{resource=\"io\"}", 0.5}}));
}

TEST_F(Cgroup, TakesTheCpuLimitOfAHybridHostFromTheOldController) {
  file("unified/cgroup.controllers", "\n");
  file("unified/cpu.stat", "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\n");
  file("cpuacct/cpuacct.usage", "5000000001\n");
  file("cpu/cpu.stat", "nr_periods 10\nnr_throttled 4\nthrottled_time 250000000\n");
  file("cpu/cpu.cfs_quota_us", "50000\n");
  file("cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(read({"cpu"}), (Map{{"cpu_usage_seconds_total", 5},
                                {"cpu_user_seconds_total", 3},
                                {"cpu_system_seconds_total", 2},
                                {"cpu_periods_total", 10},
                                {"cpu_throttled_periods_total", 4},
                                {"cpu_throttled_seconds_total", 0.25},
                                {"cpu_limit_cores", 0.5}}));
}

TEST_F(Cgroup, FindsNoFaultWithAContainerThatHasReadNothingYet) {
  file("cgroup.controllers", "io\n");
  file("io.stat", "");
  EXPECT_EQ(read({"io"}), Map{});
  EXPECT_THAT(errors_, ElementsAre());
}

TEST_F(Cgroup, SaysWhatItCannotFind) {
  EXPECT_EQ(read({"cpu", "io"}), Map{});
  EXPECT_EQ(errors_.size(), 2U);
}

TEST_F(Cgroup, SurvivesFilesThatMakeNoSense) {
  file("cgroup.controllers", "cpu\n");
  file("cpu.stat", "usage_usec\nusage_usec x\n\nnr_periods -1 2 3\n");
  file("cpu.max", "");
  file("io.stat", "=\n8:0 =5 rbytes= wbytes=x rios=1\n");
  file("memory.current", "lots");
  file("cpu.pressure", "some total=\nfull total=x\n\n");
  EXPECT_EQ(read({"cpu", "io", "memory", "pressure"}),
            (Map{{"io_reads_total{device=\"8:0\"}", 1}}));
}

TEST(CgroupPath, IsFoundByController) {
  const std::string text =
      "12:cpu,cpuacct:/docker/a:b\n11:memory:/m\n1:name=systemd:/s\n0::/unified\n";
  EXPECT_EQ(cgroup_path_of(text, "cpuacct"), "/docker/a:b");
  EXPECT_EQ(cgroup_path_of(text, "memory"), "/m");
  EXPECT_EQ(cgroup_path_of(text, ""), "/unified");
  EXPECT_EQ(cgroup_path_of(text, "pids"), "");
}

TEST(ProcessStat, IsNotFooledByACommandThatLooksLikeFields) {
  const auto stat = parse_process_stat(
      "42 (a) R 9 (b) S 7 42 42 0 -1 4194560 100 0 0 0 250 150 30 20 20 0 3 0 1000 2097152 256 "
      "18446744073709551615 "
      "1 1 0 0 0 0 0 4096 81927\n");
  ASSERT_TRUE(stat);
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  EXPECT_EQ(stat->parent, 7);
  EXPECT_EQ(stat->cpu_seconds, 400 / ticks);
  EXPECT_EQ(stat->children_cpu_seconds, 50 / ticks);
  EXPECT_EQ(stat->threads, 3U);
  EXPECT_EQ(stat->start_after_boot_seconds, 1000 / ticks);
  EXPECT_EQ(stat->virtual_bytes, 2097152);
  EXPECT_EQ(stat->resident_bytes, 256.0 * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  EXPECT_FALSE(parse_process_stat("42 (a) R 1"));
  EXPECT_FALSE(parse_process_stat(""));
}

}  // namespace
}  // namespace containerpilot::telemetry
