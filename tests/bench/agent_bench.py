#!/usr/bin/env python3
"""What the running agent costs and how quick it is, in one table: agent_bench.py [BINARY]

Beside some figures stands a floor measured in the same run. Compare within one run only.
"""
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

if len(sys.argv) > 1:
    os.environ["CONTAINERPILOT_BINARY"] = sys.argv[1]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import harness  # noqa: E402  the binary is named first


def row(what, value, unit, note=""):
    print(f"{what:<62} {value:>10.2f} {unit:<6} {note}", flush=True)


def spread(what, samples, unit="ms"):
    samples = sorted(samples)
    row(what + ", median", statistics.median(samples), unit)
    row(what + ", p99", samples[int(len(samples) * 0.99) - 1], unit, f"{len(samples)} times")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_per_minute(pid, seconds=20):
    """Milliseconds of CPU per minute, over a while of rest."""
    before, begin = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - begin) * 60e3


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1000


class Catalog:
    """An embedded catalog in a process of its own."""

    def __enter__(self):
        self.address = f"127.0.0.1:{harness.free_port()}"
        self._process = subprocess.Popen([harness.BINARY, "-catalog", "-listen", self.address],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.until(lambda: self.ask("GET", "/v1/status/leader").status == 200, "the catalog")
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()

    def ask(self, method, path, body=None):
        return harness.http_call(f"http://{self.address}{path}", method, body)

    def passing(self):
        return sum(check["Status"] == "passing" for check in self.ask("GET", "/v1/agent/checks").json.values())


def service(name, **more):
    return {"name": name, "exec": ["sleep", "1000"], "port": 80, "interfaces": ["static:127.0.0.1"],
            "health": {"exec": ["true"], "interval": 1, "ttl": 10}, **more}


def registration():
    def seconds(jobs, count):
        with Catalog() as catalog:
            begin = time.monotonic()
            with harness.Agent({"consul": catalog.address, "jobs": jobs}):
                harness.until(lambda: catalog.passing() == count, "passing", interval=0.0005, timeout=60)
                return time.monotonic() - begin
    row("start to passing, ready app, 1 s check", statistics.median(seconds([service("web")], 1) for _ in range(5)) * 1e3, "ms")
    early = service("web", initial_status="passing")
    row("start to passing, initial status", statistics.median(seconds([early], 1) for _ in range(5)) * 1e3, "ms")
    row("200 services all passing", seconds([service(f"s{i}") for i in range(200)], 200), "s")
    with Catalog() as catalog:
        begin = time.monotonic()
        for i in range(200):
            catalog.ask("PUT", "/v1/agent/service/register", {"Name": f"s{i}", "Check": {"TTL": "9s", "Status": "passing"}})
        row("  floor: 200 PUTs of a script", time.monotonic() - begin, "s")


def watches():
    with Catalog() as catalog:
        stay = {"name": "stay", "exec": ["sleep", "1000"]}
        config = {"consul": catalog.address, "jobs": [
            stay, {"name": "note", "exec": ["date", "+ran %s.%N"], "when": {"source": "watch.db", "each": "changed"}}],
            "watches": [{"name": "db", "interval": 1}]}
        body = {"ID": "db-1", "Name": "db", "Port": 5432, "Check": {"TTL": "600s", "Status": "passing"}}
        catalog.ask("PUT", "/v1/agent/service/register", body)
        with harness.Agent(config) as agent:
            took = []
            agent.wait_log(r"ran \d")
            for i in range(200):
                time.sleep(0.03)  # a quiet catalog
                begin = time.time()
                catalog.ask("PUT", f"/v1/agent/check/{'fail' if i % 2 == 0 else 'pass'}/service:db-1")
                ran = harness.until(lambda: len(found := re.findall(r"ran (\d+\.\d+)", agent.log)) > i + 1 and found,
                                    "the watch's job", interval=0.002)
                took.append((float(ran[-1]) - begin) * 1e3)
            spread("change in the catalog to the watch's job running", took)
    with Catalog() as catalog:
        config = {"consul": catalog.address, "telemetry": {}, "jobs": [stay],
                  "watches": [{"name": f"w{i}", "interval": 1} for i in range(100)]}
        with harness.Agent(config) as agent:
            agent.wait_ready()

            def queries():
                return sum(agent.metric(f'containerpilot_catalog_calls_total{{call="{call}",result="ok"}}') or 0
                           for call in ("query", "wait"))
            harness.until(lambda: queries() >= 100, "first answers")
            before, begin = queries(), time.monotonic()
            row("CPU, 100 watches at rest", cpu_per_minute(agent.pid), "ms/min")
            row("  requests", (queries() - before) / (time.monotonic() - begin), "1/s")


def upkeep():
    with Catalog() as catalog:
        config = {"consul": catalog.address, "telemetry": {}, "jobs": [service(f"s{i}") for i in range(10)]}
        with harness.Agent(config) as agent:
            harness.until(lambda: catalog.passing() == 11, "every entry")
            row("CPU, 10 services checked each second", cpu_per_minute(agent.pid), "ms/min")
            agent.get("/metrics")
            row("RSS, telemetry, catalog and 10 jobs", resident(agent.pid), "MB")


def scrapes():
    def times(agent, count=300):
        took = []
        for _ in range(count):
            begin = time.monotonic()
            agent.get("/metrics")
            took.append((time.monotonic() - begin) * 1e3)
            time.sleep(0.02)
        return took
    stay = {"name": "stay", "exec": ["sleep", "1000"]}
    with harness.Agent({"telemetry": {}, "jobs": [stay]}) as agent:
        agent.wait_ready()
        harness.until(lambda: agent.get("/metrics").status == 200, "telemetry")
        spread("scrape, nothing else runs", times(agent))
    sensors = [{"name": f"s{i}", "help": "One.", "exec": ["echo", "1"], "interval": "1s", "timeout": "5s"} for i in range(200)]
    with harness.Agent({"telemetry": {}, "jobs": [stay], "sensors": sensors}) as agent:
        agent.wait_ready()
        harness.until(lambda: agent.metric('containerpilot_sensor_up{sensor="s199"}') == 1, "every sensor")
        spread("scrape while 200 exec sensors run at 1 s", times(agent))
        late = {float(bound): float(count) for bound, count in
                re.findall(r'containerpilot_loop_timer_lag_seconds_bucket\{le="([^"]+)"\} (\d+)', agent.get("/metrics").text)}
        total = agent.metric("containerpilot_loop_timer_lag_seconds_count")
        row("  timers at most that late, p99", min(b for b, c in late.items() if c >= 0.99 * total) * 1e3, "ms", "of all timers")
        overlaps = re.findall(r'containerpilot_sensor_runs_total\{result="overlap",sensor="\w+"\} ([1-9]\d*)', agent.get("/metrics").text)
        row("  sensors that overlapped", len(overlaps), "")


def pushes():
    metrics = [{"name": f"m{i}", "help": "One.", "type": "gauge"} for i in range(1000)]
    with harness.Agent({"telemetry": {"metrics": metrics}, "jobs": [{"name": "stay", "exec": ["sleep", "1000"]}]}) as agent:
        agent.wait_ready()
        took = []
        for i in range(50):
            begin = time.monotonic()
            done = agent.command("-config", str(agent.config), "-putmetric", f"m7={i}")
            took.append((time.monotonic() - begin) * 1e3)
            assert done.returncode == 0, done.stdout
        spread("-putmetric command, 1000 metrics declared", took)


def main():
    for part in (registration, watches, upkeep, scrapes, pushes):
        part()


main()
