#!/usr/bin/env python3
"""Telemetry, the catalog and configurations: this agent beside the original and others, in one table.

    agent_bench.py BUILD-FOLDER [ROW...]      rows: scrape push putmetric watch passing services upkeep rest
                                                    reload config flat sensors hour

See compare.py. Takes from the folder tests/bench/{bench_child,config_bench,plain_exposer}. Both agents use a catalog
that is one more process of ours, so that no other program is needed.
"""
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import time

import compare
from compare import BUILD, CHILD, OURS, Running, agent, bar, cpu, each_agent, lateness, pick, resident, row
from harness import Consul, free_port, http_call, open_files, until

STAY = {"name": "stay", "exec": ["sleep", "1000"]}


def with_telemetry(config):
    """The same with a telemetry port, and that port."""
    port = free_port()
    telemetry = {"port": port, "interfaces": ["static:127.0.0.1"], **config.get("telemetry", {})}
    return {"jobs": [STAY], **config, "telemetry": telemetry}, port


def scraped(port):
    return http_call(f"http://127.0.0.1:{port}/metrics", timeout=60)


def sample(port, series):
    """The value of one series, None when it is not there."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", scraped(port).text, re.MULTILINE)
    return float(found[1]) if found else None


def control(run, path, body=None, timeout=30):
    answer = http_call(path, "POST", body, unix=str(run.folder / "control"), timeout=timeout)
    assert answer.status == 200, answer.text
    return answer


def ready(run, port):
    """Waits until telemetry and control answer."""
    until(lambda: scraped(port).status == 200, "telemetry", timeout=120)
    until(lambda: http_call("/v3/ping", unix=str(run.folder / "control")).status == 200, "control")


# ---- telemetry ----

def gauges(count):
    return [{"namespace": "bench", "subsystem": "gauge", "name": f"n{i}", "help": "A gauge.", "type": "gauge"}
            for i in range(count)]


def scrape_of(series):
    """CPU of the process per scrape, once with every value changed between scrapes, once with none; memory after."""
    rounds = 5 if series > 10_000 else 50
    settled = 40  # scrapes: so many it takes until the original's memory stops to grow with each

    def measure(pid, port, change):
        def each(before, rounds=rounds):
            spent = 0
            for i in range(rounds):
                before(i)
                begin = cpu(pid)
                scraped(port)
                spent += cpu(pid) - begin
            return spent / rounds * 1e3
        each(lambda i: None)  # warm
        unchanged = each(lambda i: None)
        changed = each(change) if change else unchanged
        each(lambda i: None, settled)
        return changed, unchanged, resident(pid)

    def of_agent(binary):
        config, port = with_telemetry({"telemetry": {"metrics": gauges(series)}})
        with agent(binary, config) as run:
            ready(run, port)
            until(lambda: scraped(port).text.count("\nbench_gauge_n") == series, "every gauge", timeout=60)

            def push_all(i):
                for first in range(0, series, 500):
                    control(run, "/v3/metric", {f"bench_gauge_n{n}": n + i / 4 for n in range(first, min(first + 500, series))})
            # The original would take hours for 100,000 pushes; it renders everything anew for each scrape anyway.
            slow = binary != OURS and series > 10_000
            return measure(run.pid, port, None if slow else push_all)

    def of_library():
        with subprocess.Popen([BUILD / "tests/bench/plain_exposer", str(series)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as exposer:
            port = int(exposer.stdout.readline())

            def push_all(_):
                exposer.stdin.write(b"c")
                exposer.stdin.flush()
                exposer.stdout.read(1)
            try:
                return measure(exposer.pid, port, push_all)
            finally:
                exposer.stdin.close()

    def of_node_exporter():
        port = free_port()
        with Running(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"]) as run:
            until(lambda: scraped(port).status == 200, "node-exporter")
            return measure(run.pid, port, None)
    others = {"prometheus-cpp": of_library}
    if series == 1000 and shutil.which("prometheus-node-exporter"):
        others["node-exporter"] = of_node_exporter  # has about 1,000 lines
    results = each_agent(2, of_agent, **others)
    row(f"scrape CPU, {series} gauges, all changed", pick(results, 0), "ms", 0.1)
    row(f"scrape CPU, {series} gauges, none changed", pick(results, 1), "ms", 0.03)
    row(f"RSS, {series} gauges scraped", pick(results, 2), "MB", 0.04 if series > 10_000 else 0.1)


def push_with(metrics):
    def measure(binary):
        config, port = with_telemetry({"telemetry": {"metrics": gauges(metrics)}})
        with agent(binary, config) as run:
            ready(run, port)
            begin, count = run.cpu(), 200
            for i in range(count):
                control(run, "/v3/metric", {"bench_gauge_n7": i})
            return (run.cpu() - begin) / count * 1e6
    row(f"push of one value, CPU, {metrics} metrics", each_agent(7, measure), "us", 0.04 if metrics > 100 else 0.3)


def putmetric():
    def measure(binary):
        config, port = with_telemetry({"telemetry": {"metrics": gauges(10)}})
        with agent(binary, config) as run:
            ready(run, port)
            took = []
            for i in range(30):
                begin = time.monotonic()
                subprocess.run([binary, "-config", run.folder / "config", "-putmetric", f"bench_gauge_n7={i}"], check=True,
                               stdout=subprocess.DEVNULL)
                took.append((time.monotonic() - begin) * 1e3)
            return statistics.median(took)
    row("-putmetric command, wall", each_agent(3, measure), "ms", 0.35)


# ---- the catalog ----

class Catalog:
    """An embedded catalog in a process of its own."""

    def __enter__(self):
        self.address = f"127.0.0.1:{free_port()}"
        self._process = subprocess.Popen([OURS, "-catalog", "-listen", self.address],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.ask("GET", "/v1/status/leader").status == 200, "the catalog")
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()

    def ask(self, method, path, body=None):
        return http_call(f"http://{self.address}{path}", method, body)

    def passing(self):
        return sum(check["Status"] == "passing" for check in self.ask("GET", "/v1/agent/checks").json.values())


def service(name, **more):
    return {"name": name, "exec": ["sleep", "1000"], "port": 80, "interfaces": ["static:127.0.0.1"],
            "health": {"exec": ["true"], "interval": 1, "ttl": 10}, **more}


def watch():
    """From the request that changes the catalog to the first instruction of the watch's job."""
    def measure(binary):
        config = {"jobs": [STAY, {"name": "note", "exec": [CHILD, "stamp", "STAMPS", "x"],
                                  "when": {"source": "watch.db", "each": "changed"}}],
                  "watches": [{"name": "db", "interval": 1}]}
        with Catalog() as catalog:
            catalog.ask("PUT", "/v1/agent/service/register",
                        {"ID": "db-1", "Name": "db", "Port": 5432, "Check": {"TTL": "600s", "Status": "passing"}})
            with agent(binary, {"consul": catalog.address, **config}) as run:
                seen, took = len(run.wait(1)), []
                for i in range(200 if binary == OURS else 40):
                    time.sleep(random.uniform(0.02, 0.05 if binary == OURS else 1))  # at any moment of a poll
                    begin = time.monotonic()
                    catalog.ask("PUT", f"/v1/agent/check/{'fail' if i % 2 == 0 else 'pass'}/service:db-1")
                    took.append((run.wait(seen + i + 1)[seen + i][1] - begin) * 1e3)
        took.sort()
        return statistics.median(took), took[int(len(took) * 0.99)]
    results = each_agent(1, measure)
    row("change in the catalog to the watch's job, p50", pick(results, 0), "ms", 0.02)
    row("change in the catalog to the watch's job, p99", pick(results, 1), "ms", 0.05)


def until_passing(binary, jobs):
    """Seconds from the exec of the agent. The catalog says when the last of them is there; only then is it asked for the
    others, because two cores are all that the agent has, too."""
    with Catalog() as catalog:
        health = f"/v1/health/service/{jobs[-1]['name']}?passing=1&wait=60s&index="
        index = catalog.ask("GET", health).headers["X-Consul-Index"]
        with agent(binary, {"consul": catalog.address, "jobs": jobs}, timed=True) as run:
            while not (answer := catalog.ask("GET", health + index)).json:
                index = answer.headers["X-Consul-Index"]
            if len(jobs) > 1:
                until(lambda: catalog.passing() == len(jobs), "passing", interval=0.01, timeout=60)
            return time.monotonic() - run.read()[0][1]


def passing():
    row("start to passing, ready app, 1 s check",
        each_agent(5, lambda binary: until_passing(binary, [service("web")]) * 1e3), "ms", 0.1)
    early = service("web", initial_status="passing")
    row("start to passing, initial status", each_agent(15, lambda binary: until_passing(binary, [early]) * 1e3), "ms", 0.5)


# Stays with an argument, else succeeds. Without a C library, whose start is most of a millisecond in a virtual machine:
# four hundred of them would be more than half of what is to be measured.
BARE = r"""
__asm__(".globl _start\n_start: cmpq $1, (%rsp)\n je 1f\n mov $34, %eax\n syscall\n"
        "1: xor %edi, %edi\n mov $60, %eax\n syscall\n");
"""


def services():
    def puts():
        with Catalog() as catalog:
            begin = time.monotonic()
            for i in range(200):
                catalog.ask("PUT", "/v1/agent/service/register", {"Name": f"s{i}", "Check": {"TTL": "9s", "Status": "passing"}})
            return time.monotonic() - begin
    with tempfile.TemporaryDirectory() as folder:
        bare = str(pathlib.Path(folder, "bare"))
        subprocess.run(["cc", "-O2", "-static", "-nostdlib", "-x", "c", "-", "-o", bare], input=BARE, text=True, check=True)
        jobs = [service(f"s{i}", exec=[bare, "stay"], health={"exec": [bare], "interval": 1, "ttl": 10}) for i in range(200)]
        row("200 services all passing", each_agent(3, lambda binary: until_passing(binary, jobs), **{"200 PUTs": puts}), "s", 0.3)
    jobs = [service(f"s{i}") for i in range(200)]
    row("  whose programs start a C library", each_agent(3, lambda binary: until_passing(binary, jobs)), "s")


def cpu_at_rest(run, seconds=15):
    """Milliseconds of CPU per minute."""
    before, begin = run.cpu(), time.monotonic()
    time.sleep(seconds)
    return (run.cpu() - before) / (time.monotonic() - begin) * 60e3


def upkeep():
    def measure(binary):
        with Catalog() as catalog:
            config, port = with_telemetry({"consul": catalog.address, "jobs": [service(f"s{i}") for i in range(10)]})
            with agent(binary, config) as run:
                until(lambda: catalog.passing() >= 10, "every entry")
                scraped(port)
                return cpu_at_rest(run), resident(run.pid)
    results = each_agent(2, measure)
    row("CPU, 10 services checked each second", pick(results, 0), "ms/m", 0.3)
    row("RSS, telemetry, catalog and 10 jobs", pick(results, 1), "MB", 0.45)


def rest():
    def measure(binary):
        config = {"jobs": [STAY], "watches": [{"name": f"w{i}", "interval": 1} for i in range(100)]}
        with Consul() as catalog, agent(binary, {"consul": catalog.address, **config}) as run:
            catalog.wait_for("GET", "/v1/health/service/", count=100)
            time.sleep(12)  # the first answers, and the second of those that are asked in turn
            asked, begin = len(catalog.calls), time.monotonic()
            spent = cpu_at_rest(run)
            return spent, (len(catalog.calls) - asked) / (time.monotonic() - begin)
    results = each_agent(2, measure)
    row("CPU, 100 watches at rest", pick(results, 0), "ms/m", 0.05)
    row("requests, 100 watches at rest", pick(results, 1), "1/s", 0.01)


# ---- configurations ----

def reload():
    """Of 1,000 jobs one has changed; most wait for a signal, so that the agent is measured and not its jobs."""
    def job(number, seconds):
        run = {"restarts": "unlimited"} if number < 20 else {"when": {"source": "SIGUSR2", "each": "SIGUSR2"}}
        return {"name": f"job-{number}", "exec": ["sleep", str(seconds if number == 7 else 1000)], "tags": ["a", "b"],
                "health": {"exec": "true", "interval": 600, "ttl": 1300, "timeout": "5s"}, **run}

    def config(seconds, folder="FOLDER"):
        return {"control": {"socket": f"{folder}/control"}, "jobs": [job(number, seconds) for number in range(1000)]}
    with agent(OURS, {"catalog": "none", **config(1000)}) as run:
        until(lambda: http_call("/v3/ping", unix=str(run.folder / "control")).status == 200, "control")
        took = []
        for i in range(20):
            (run.folder / "config").write_text(json.dumps({"catalog": "none", **config(1001 + i, run.folder)}), encoding="utf-8")
            begin = time.monotonic()
            answer = control(run, "/v3/reload")
            took.append((time.monotonic() - begin) * 1e3)
            report = answer.headers["Containerpilot-Report"]
            assert "job-7" in report, report
    bar("reload, 1,000 jobs, one changed, median", statistics.median(took), "ms", 50)


def configurations():
    done = subprocess.run([BUILD / "tests/bench/config_bench"], capture_output=True, text=True, check=True)
    figures = {}
    for what, took, size in re.findall(r"^(.*?)\s+([\d.]+) ms\s+(\d+) kB", done.stdout, re.MULTILINE):
        figures.setdefault(what, []).append((float(took), int(size)))
    bar("a configuration of 1,000 jobs read", figures.pop("1,000 jobs")[0][0], "ms", 50)
    for what, ((small, small_size), (large, large_size)) in figures.items():
        # Square would be ten times as much; caches alone make it more than once.
        bar(f"  10 MB of {what}: time per byte", large / large_size / (small / small_size), "x", 5, "of that with 1 MB")


# ---- sensors ----

def sensors_of(count, source, interval="1s"):
    return {"sensors": [{"name": f"s{i}", "help": "One.", "interval": interval, "timeout": "5s", **source(i)} for i in range(count)]}


def file_source(_):
    return {"file": "/proc/sys/kernel/threads-max"}


def flat():
    """How long a scrape takes while sensors run, against as many series whose sensors rest."""
    def times(source, interval):
        config, port = with_telemetry(sensors_of(200, source, interval))
        with agent(OURS, config) as run:
            ready(run, port)
            until(lambda: health_of_sensors(port).get("ok", 0) >= 200, "every sensor's first value", timeout=120, interval=0.5)
            took = []
            for _ in range(400):
                begin = time.monotonic()
                scraped(port)
                took.append((time.monotonic() - begin) * 1e3)
                time.sleep(0.01)
        took.sort()
        return took[len(took) // 2], took[int(len(took) * 0.99)]
    for what, source in (("file", file_source), ("exec", lambda i: {"exec": ["echo", "1"]})):
        for state, interval in (("at rest", "60s"), ("at 1 s", "1s")):
            median, worst = min((times(source, interval) for _ in range(2)), key=lambda result: result[1])
            bar(f"scrape p99, 200 {what} sensors {state}", worst, "ms", note=f"p50 {median:.2g}")


def health_of_sensors(port):
    """{result: runs}, of all sensors."""
    runs = {}
    for result, count in re.findall(r'containerpilot_sensor_runs_total\{result="(\w+)",sensor="\w+"\} (\d+)', scraped(port).text):
        runs[result] = runs.get(result, 0) + int(count)
    return runs


def quantile(port, histogram, part, before=None):
    """({bound: count} now, the bound in ms below which that part of what came since `before` lies)."""
    pattern = rf'^{histogram}_bucket{{le="(\S+)"}} (\d+)$'
    counts = {float(bound): int(count) for bound, count in re.findall(pattern, scraped(port).text, re.MULTILINE)}
    since = {bound: count - (before or {}).get(bound, 0) for bound, count in counts.items()}
    return counts, min(bound for bound, count in since.items() if count >= part * max(since.values())) * 1e3


def sensors():
    lag, turn = "containerpilot_loop_timer_lag_seconds", "containerpilot_loop_turn_duration_seconds"
    config, port = with_telemetry({})
    with agent(OURS, config) as run:
        ready(run, port)
        idle = cpu_at_rest(run, 5)
    config, port = with_telemetry(sensors_of(1000, file_source))
    with agent(OURS, config) as run:
        ready(run, port)
        lags, turns = quantile(port, lag, 1)[0], quantile(port, turn, 1)[0]
        before = health_of_sensors(port)
        spent = cpu_at_rest(run, 10) - idle
        after = health_of_sensors(port)
        runs = after["ok"] - before["ok"]
        bar("a file sensor at 1 s: CPU per run", spent / 6 * 1e3 / runs, "us", 100, f"{runs} runs in 10 s")
        bar("  overlaps and failures", sum(after.values()) - after["ok"], "", 0)
        # A run starts late by what the turn of the loop is late, and by the runs before it in that turn.
        error = quantile(port, lag, 0.99, lags)[1] + quantile(port, turn, 0.99, turns)[1]
        bar("1,000 file sensors at 1 s: start-time error, p99", error, "ms", 20, "at most")
    config, port = with_telemetry(sensors_of(200, lambda i: {"exec": [CHILD, "gauge", "STAMPS", f"s{i}"]}))
    with agent(OURS, config) as run:
        ready(run, port)
        lags, turns = quantile(port, lag, 1)[0], quantile(port, turn, 1)[0]
        stamps = run.wait(4000)
        error = quantile(port, lag, 0.99, lags)[1] + quantile(port, turn, 0.99, turns)[1]
        late = lateness(stamps, 1.0)
        results = health_of_sensors(port)
        bar("200 exec sensors at 1 s: start-time error, p99", late[int(len(late) * 0.99)], "ms", 20, f"p50 {statistics.median(late):.2g}")
        bar("  of it the agent's loop, p99", error, "ms", 20, "at most; the rest is the machine's")
        bar("  overlaps and failures", sum(results.values()) - results["ok"], "", 0)


def hour():
    """As many runs as an hour at 1 s holds, in less time; then nothing more is held than before."""
    def held(run):
        # Runs under way hold pipes: the least of many looks is what stays.
        files = min(len(open_files(run.pid)) for _ in range(200))
        return files, len(os.listdir(f"/proc/{run.pid}/task")), resident(run.pid)

    def compressed(what, config, runs):
        config, port = with_telemetry(config)
        with agent(OURS, config) as run:
            ready(run, port)
            until(lambda: health_of_sensors(port).get("ok", 0) >= runs / 20, "warm", timeout=600, interval=0.5)
            before, begin = held(run), time.monotonic()
            until(lambda: health_of_sensors(port)["ok"] >= runs * 21 / 20, "an hour", timeout=3600, interval=0.5)
            after, results = held(run), health_of_sensors(port)
            print(f"{what}: {results} in {time.monotonic() - begin:.0f} s")
            for name, first, last in zip(("file descriptors", "threads", "RSS in MB"), before, after):
                bar(f"  {name} after, {first:.4g} before", last, "", first * 1.05)
    compressed("1,000 file sensors, 3,600 runs each", sensors_of(1000, file_source, "50ms"), 3_600_000)
    compressed("200 exec sensors, 3,600 runs each", sensors_of(200, lambda i: {"exec": ["/bin/echo", "1"]}, "200ms"), 720_000)


compare.main({
    "scrape": lambda: [scrape_of(1000), scrape_of(100_000)], "push": lambda: [push_with(10), push_with(1000)],
    "putmetric": putmetric, "watch": watch, "passing": passing, "services": services, "upkeep": upkeep, "rest": rest,
    "reload": reload, "config": configurations, "flat": flat, "sensors": sensors, "hour": hour})
