#!/usr/bin/env python3
"""The same work under this agent, the original ContainerPilot and Debian's tini, s6 and supervisord.

    peers_bench.py BUILD-FOLDER [ROW...]      rows: start runs lateness orphans lines json stop

The folder holds agent/containerpilot (another one: CONTAINERPILOT_BINARY) and tests/bench/bench_child. The
original is CONTAINERPILOT_ORIGINAL; without it there are no ratios. Needs root, for pid namespaces.
All take turns, each figure is the best of its rounds. Figures of different runs are not comparable.
"""
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import children, until  # noqa: E402

if len(sys.argv) < 2:
    sys.exit(__doc__)
BUILD = pathlib.Path(sys.argv[1]).resolve()
CHILD = str(BUILD / "tests/bench/bench_child")
OURS = os.environ.get("CONTAINERPILOT_BINARY") or str(BUILD / "agent/containerpilot")
ORIGINAL = os.environ.get("CONTAINERPILOT_ORIGINAL")
AGENTS = {"ours": OURS, **({"original": ORIGINAL} if ORIGINAL else {})}
TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    """Seconds of CPU this process has used; its children are not in it."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid):
    """MB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


class Running:
    """A supervisor at work in a folder of its own; `stamps` is the file its children write into."""

    def __init__(self, command, pid1=False, log="/dev/null", files=None, timed=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="containerpilot-bench-"))
        self.stamps = self.folder / "stamps"
        self.stamps.touch()
        for name, text in (files or {}).items():
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace("STAMPS", str(self.stamps)).replace("FOLDER", str(self.folder)), encoding="utf-8")
            path.chmod(0o755)
        self.log = self.folder / "log" if log is None else pathlib.Path(log)
        prefix = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] if pid1 else []
        if timed:  # the first stamp is the moment before the supervisor
            prefix += [CHILD, "exec", str(self.stamps)]
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([*prefix, *[word.replace("FOLDER", str(self.folder)) for word in command]],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder)
        self.pid1 = pid1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        left = [self.process.pid, *children(self.process.pid)]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if self.pid1 else signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return until(lambda: children(self.process.pid), "the namespace")[0] if self.pid1 else self.process.pid

    def parts(self):
        """The supervisor's own processes: as PID 1 the original is two."""
        first = self.pid
        exe = os.readlink(f"/proc/{first}/exe")
        found = [first]
        for pid in children(first):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/exe") == exe:
                    found.append(pid)
        return found

    def cpu(self):
        return sum(cpu(pid) for pid in self.parts())

    def read(self):
        """[(name, seconds)] of the stamps so far."""
        lines = self.stamps.read_text(encoding="utf-8").split("\n")[:-1]
        return [(name, int(when) / 1e9) for name, when in (line.split() for line in lines)]

    def wait(self, count, timeout=120):
        until(lambda: self.stamps.read_bytes().count(b"\n") >= count, f"{count} stamps", timeout=timeout)
        return self.read()


def agent(binary, jobs, logging=None, **more):
    """ContainerPilot with these jobs. The same file for both; nobody listens at that catalog's address."""
    config = {"consul": "127.0.0.1:1", "control": {"socket": "FOLDER/control"}, "jobs": jobs, "logging": logging or {}}
    return Running([binary, "-config", "FOLDER/config"], files={"config": json.dumps(config)}, **more)


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


# ---- the table ----

def row(what, figures, unit, goal=None, more_is_better=False):
    """figures: {who: [one per round]}."""
    best = {who: (max if more_is_better else min)(values) for who, values in figures.items() if values}
    others = ", ".join(f"{who} {value:.4g}" for who, value in best.items() if who not in AGENTS)
    text = f"{what:<44} {best['ours']:>10.4g} {best.get('original', float('nan')):>10.4g} {unit:<5}"
    verdict = ""
    if goal is not None and "original" in best:
        ratio = best["ours"] / best["original"]
        reached = ratio >= goal if more_is_better else ratio <= goal
        verdict = f"{ratio:>7.3f} {'>=' if more_is_better else '<='} {goal:<6} {'reached' if reached else 'MISSED'}"
    print(f"{text} {verdict:<27} {others}", flush=True)


def interleaved(rounds, **makers):
    """Runs each maker in turn: {name: [result per round]}."""
    results = {name: [] for name in makers}
    for _ in range(rounds):
        for name, make in makers.items():
            results[name].append(make())
    return results


def each_agent(rounds, measure, **others):
    return interleaved(rounds, **{who: (lambda binary=binary: measure(binary)) for who, binary in AGENTS.items()}, **others)


def pick(results, index):
    return {who: [result[index] for result in rounds if result[index] is not None] for who, rounds in results.items()}


# ---- rows ----

def start():
    job = [CHILD, "stamp", "STAMPS", "x"]

    def took(run):
        stamps = run.wait(2)
        return (stamps[1][1] - stamps[0][1]) * 1e3

    def measure(binary):
        with agent(binary, [{"name": "one", "exec": job}], timed=True) as run:
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
        with agent(binary, jobs) as run:
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
        with agent(binary, jobs) as run:
            stamps = run.wait(1500)
        begin = stamps[0][1] + 1
        phases = {}
        for name, when in stamps:
            if when > begin:
                phases.setdefault(name, []).append(when % 0.1)
        late = []
        for times in phases.values():
            # Around the circle of 100 ms: as seen from the middle of the widest gap.
            ordered = sorted(times)
            gaps = [(ordered[i] - ordered[i - 1]) % 0.1 for i in range(len(ordered))]
            first = ordered[gaps.index(max(gaps))]
            late += [(time - first) % 0.1 for time in times]
        late.sort()
        return statistics.median(late) * 1e3, late[int(len(late) * 0.99)] * 1e3
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
        with agent(binary, [{"name": "maker", "exec": words}, {"name": "stay", "exec": ["sleep", "1000"]}], pid1=True) as run:
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
        with agent(binary, jobs, logging={"format": form}, log=None) as run:
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
            with agent(binary, jobs) as run:
                return gone(run, count)

        def with_supervisord(count=count):
            with supervisord({f"j{i}": "sleep 1000" for i in range(count)}) as run:
                return gone(run, count)

        def tini():
            with Running(["tini", "-s", "--", "sleep", "1000"]) as run:
                return gone(run, 1)
        others = {"supervisord": with_supervisord, **({"tini": tini} if count == 1 else {})}
        row(f"SIGTERM to gone, {count} obedient job{'s' if count > 1 else ''}", each_agent(3, measure, **others), "ms", 0.005)


def main():
    rows = {"start": start, "runs": runs, "lateness": lateness, "orphans": orphans,
            "lines": lambda: lines("default", 3), "json": lambda: lines("json", 4), "stop": stop}
    if not ORIGINAL:
        print("CONTAINERPILOT_ORIGINAL is not set: no ratios")
    print(f"{'':<44} {'ours':>10} {'original':>10} {'':<5} {'ratio and goal':<27} others")
    for name in sys.argv[2:] or rows:
        rows[name]()


main()
