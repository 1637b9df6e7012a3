"""What the comparing benches stand on: the programs side by side, and the table.

Such a bench is a program: BENCH BUILD-FOLDER [ROW...]. The folder holds agent/containerpilot (another one:
CONTAINERPILOT_BINARY). The original ContainerPilot is CONTAINERPILOT_ORIGINAL; without it there are no ratios. All take
turns, each figure is the best of its rounds. Figures of different runs are not comparable.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import children, until  # noqa: E402

if len(sys.argv) < 2:
    sys.exit(f"usage: {sys.argv[0]} BUILD-FOLDER [ROW...]")
BUILD = pathlib.Path(sys.argv[1]).resolve()
CHILD = str(BUILD / "tests/bench/bench_child")
OURS = os.path.abspath(os.environ.get("CONTAINERPILOT_BINARY") or str(BUILD / "agent/containerpilot"))
ORIGINAL = os.environ.get("CONTAINERPILOT_ORIGINAL")
AGENTS = {"ours": OURS, **({"original": ORIGINAL} if ORIGINAL else {})}


def cpu(pid):
    """Seconds of CPU this process has used; its children are not in it."""
    return time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid makes of a pid


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


def agent(binary, config, **more):
    """ContainerPilot with this configuration, the same for both. Unless it says otherwise nobody is at the catalog's
    address."""
    config = {"control": {"socket": "FOLDER/control"}, **config}
    if "catalog" not in config:
        config.setdefault("consul", "127.0.0.1:1")
    return Running([binary, "-config", "FOLDER/config"], files={"config": json.dumps(config)}, **more)


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


def bar(what, value, unit, limit=None, note=""):
    """A figure of ours alone, and what it may be at most."""
    verdict = "" if limit is None else f"{'<=':>10} {limit:<6.4g} {'reached' if value <= limit else 'MISSED'}"
    print(f"{what:<44} {value:>10.4g} {'':>10} {unit:<5} {verdict:<27} {note}", flush=True)


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


def lateness(stamps, interval):
    """Milliseconds, sorted: how much later than the earliest of its name each stamp of the second second and later is."""
    begin = stamps[0][1] + 1
    phases = {}
    for name, when in stamps:
        if when > begin:
            phases.setdefault(name, []).append(when % interval)
    late = []
    for times in phases.values():
        # Around the circle of one interval: as seen from the middle of the widest gap.
        ordered = sorted(times)
        gaps = [(ordered[i] - ordered[i - 1]) % interval for i in range(len(ordered))]
        first = ordered[gaps.index(max(gaps))]
        late += [(when - first) % interval * 1e3 for when in times]
    return sorted(late)


def main(rows):
    """Measures the named rows, else all: {name: function that prints them}."""
    if not ORIGINAL:
        print("CONTAINERPILOT_ORIGINAL is not set: no ratios")
    print(f"{'':<44} {'ours':>10} {'original':>10} {'':<5} {'ratio and goal':<27} others")
    for name in sys.argv[2:] or rows:
        rows[name]()
