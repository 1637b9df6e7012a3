#!/usr/bin/env python3
"""The same work under this agent, the original ContainerPilot and Debian's tini, s6 and supervisord.

    peers_bench.py BUILD-FOLDER [ROW...]      rows: start runs lateness orphans lines json stop

See compare.py. Needs root, for pid namespaces, and tests/bench/bench_child in the folder.
"""
import os
import select
import signal
import statistics
import time

import compare
from compare import CHILD, Running, agent, each_agent, pick, resident, row
from harness import children, until


def supervisord(programs, **more):
    text = "[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=FOLDER/pid\n"
    for name, command in programs.items():
        text += f"[program:{name}]\ncommand={command}\nautorestart=false\nstartsecs=0\nstdout_logfile=FOLDER/out\nstdout_logfile_maxbytes=0\n"
    return Running(["supervisord", "-c", "FOLDER/config"], files={"config": text}, **more)


def s6(command, **more):
    """A scan folder with one service that stays when its command is done."""
    script = (f"mkdir -p scan/job\nprintf '#!/bin/sh\\n{command}\\nexec sleep 1000\\n' >scan/job/run\n"
              "chmod +x scan/job/run\nexec s6-svscan scan\n")
    return Running(["sh", "run"], files={"run": script}, **more)


# ---- rows ----

def start():
    job = [CHILD, "stamp", "STAMPS", "x"]

    def took(run):
        stamps = run.wait(2)
        return (stamps[1][1] - stamps[0][1]) * 1e3

    def measure(binary):
        with agent(binary, {"jobs": [{"name": "one", "exec": job}]}, timed=True) as run:
            return took(run)

    def plain(*prefix):
        with Running([*prefix, CHILD, "stamp", "FOLDER/stamps", "x"], timed=True) as run:
            return took(run)
    row("exec of the supervisor to its first process", each_agent(
        10, measure, floor=lambda: plain(CHILD, "init"), tini=lambda: plain("/usr/bin/tini", "-s", "--")), "ms", 0.4)


def runs():
    """200 jobs every 100 ms ask for 2,000 runs a second: more than two cores give."""
    jobs = [{"name": f"j{i}", "exec": [CHILD, "stamp", "STAMPS", f"j{i}"], "when": {"interval": "100ms"}} for i in range(200)]

    def measure(binary):
        with agent(binary, {"jobs": jobs}) as run:
            warm = run.wait(2000)
            used, memory = run.cpu(), resident(run.pid)
            stamps = run.wait(20_000)
            used, grown = run.cpu() - used, resident(run.pid) - memory
            count = len(stamps) - len(warm)
            return count / (stamps[-1][1] - warm[-1][1]), used / count * 1e6, resident(run.pid), grown
    results = each_agent(2, measure)
    row("200 jobs every 100 ms: runs", pick(results, 0), "1/s", 1.45, more_is_better=True)
    row("CPU per run", pick(results, 1), "us", 0.3)
    row("RSS after 20,000 runs", pick(results, 2), "MB")
    row("  of that since run 2,000", pick(results, 3), "MB")


def lateness():
    """100 runs a second; how much later than the earliest of its job each process is there."""
    jobs = [{"name": f"j{i}", "exec": [CHILD, "stamp", "STAMPS", f"j{i}"], "when": {"interval": "100ms"}} for i in range(10)]

    def measure(binary):
        with agent(binary, {"jobs": jobs}) as run:
            stamps = run.wait(1500)
        late = compare.lateness(stamps, 0.1)
        return statistics.median(late), late[int(len(late) * 0.99)]
    results = each_agent(3, measure)
    row("start lateness at 100 runs/s, p50", pick(results, 0), "ms", 1.0)
    row("start lateness at 100 runs/s, p99", pick(results, 1), "ms", 0.3)


def orphans():
    count = 10_000
    words = [CHILD, "orphans", str(count), "STAMPS"]
    line = f"{CHILD} orphans {count} FOLDER/stamps"

    def timed(run):
        stamps = run.wait(2)
        return (stamps[1][1] - stamps[0][1]) / count * 1e6, run.cpu() / count * 1e6

    def measure(binary):
        jobs = [{"name": "maker", "exec": words}, {"name": "stay", "exec": ["sleep", "1000"]}]
        with agent(binary, {"jobs": jobs}, pid1=True) as run:
            return timed(run)

    def plain(*command):
        with Running([*command, "sh", "-c", f"{line}; sleep 1000"], pid1=True) as run:
            return timed(run)

    def with_s6():
        with s6(line, pid1=True) as run:
            return timed(run)

    # supervisord reaps a hundred a second: left out.
    results = each_agent(3, measure, floor=lambda: plain(CHILD, "init", "/bin/env"), tini=lambda: plain("tini", "--"), s6=with_s6)
    row("an orphan as PID 1: made and reaped", pick(results, 0), "us", 1.05)
    row("CPU per orphan", pick(results, 1), "us", 0.4)


def lines(form, rate_goal):
    count = 640_000

    def timed(run):
        stamps = run.wait(2)
        if run.log.name == "log":
            until(lambda: run.log.read_bytes().count(b"usual hundred") >= count, "every line in the log")
        return count / (stamps[1][1] - stamps[0][1]), run.cpu() / count * 1e6

    def measure(binary):
        jobs = [{"name": "talk", "exec": [CHILD, "lines", str(count), "STAMPS"]}, {"name": "stay", "exec": ["sleep", "1000"]}]
        with agent(binary, {"jobs": jobs, "logging": {"format": form}}, log=None) as run:
            return timed(run)

    def with_s6():
        with Running(["sh", "-c", f"(sleep 1000; :) & {CHILD} lines {count} FOLDER/stamps | s6-log t FOLDER/logs"]) as run:
            stamps = run.wait(2)
            return count / (stamps[1][1] - stamps[0][1]), None

    def with_supervisord():
        with supervisord({"talk": f"{CHILD} lines {count} FOLDER/stamps", "stay": "sleep 1000"}) as run:
            return timed(run)
    others = {"s6-log": with_s6, "supervisord": with_supervisord} if form == "default" else {}
    results = each_agent(3, measure, **others)
    row(f"log lines, wrapped, {form}", pick(results, 0), "1/s", rate_goal, more_is_better=True)
    row(f"CPU per line, {form}", pick(results, 1), "us", 0.25)


def stop():
    def gone(run, count):
        until(lambda: len(children(run.pid)) >= count, "every job")
        time.sleep(0.3)  # at rest
        pidfd = os.pidfd_open(run.process.pid)
        begin = time.monotonic()
        os.kill(run.pid, signal.SIGTERM)
        select.select([pidfd], [], [], 30)
        took = time.monotonic() - begin
        os.close(pidfd)
        return took * 1e3
    for count in (1, 100):
        def measure(binary, count=count):
            jobs = [{"name": f"j{i}", "exec": ["sleep", "1000"]} for i in range(count)]
            with agent(binary, {"jobs": jobs}) as run:
                return gone(run, count)

        def with_supervisord(count=count):
            with supervisord({f"j{i}": "sleep 1000" for i in range(count)}) as run:
                return gone(run, count)

        def tini():
            with Running(["tini", "-s", "--", "sleep", "1000"]) as run:
                return gone(run, 1)
        others = {"supervisord": with_supervisord, **({"tini": tini} if count == 1 else {})}
        row(f"SIGTERM to gone, {count} obedient job{'s' if count > 1 else ''}", each_agent(3, measure, **others), "ms", 0.005)


compare.main({"start": start, "runs": runs, "lateness": lateness, "orphans": orphans,
              "lines": lambda: lines("default", 3), "json": lambda: lines("json", 4), "stop": stop})
