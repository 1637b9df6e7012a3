#!/usr/bin/env python3
"""Real configuration files, ten of each generation, run with stand-ins for their commands and for Consul.

What must happen is derived here from the file and the rules of the old programs, not from what the agent says:
which processes start, in which order, and which services are registered. Each agent lives in a root folder of
its own, so that the commands have the paths the file names, and in a network with the addresses of the corpus.
"""
import collections
import hashlib
import ipaddress
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import json5

CORPUS = pathlib.Path(os.environ.get("CONTAINERPILOT_CORPUS") or
                      pathlib.Path(__file__).resolve().parents[2] / "../shared/corpus")
FILES_PER_GENERATION = 10
ADDRESSES = [("eth0", "192.0.2.2"), ("eth0", "fd00::2"), ("eth1", "10.99.0.5"), ("lo", "::1"), ("lo", "127.0.0.1")]
APPLICATION = ["the-application", "--flag"]  # the positional command of generations 1 and 2

# Notes its start and its end; stays until told to stop if /stay lists it. Prints what a sensor would.
STAND_IN = """#!/tools/dash
me="${0#/commands/}"
for word in "$@"; do me="$me $word"; done
echo "start $me" >>/log
echo 1
while IFS= read -r line; do
  if [ "$line" = "$me" ]; then
    trap 'echo "stop $me" >>/log; exit 0' TERM INT QUIT
    echo "stay $me" >>/log
    while :; do /tools/sleep 0.1; done
  fi
done </stay
echo "end $me" >>/log
"""


def argv(command):
    """As the old programs split it: at each single space, no quotes."""
    return command.strip().split(" ") if isinstance(command, str) else [str(word) for word in command]


def seconds(duration):
    """Of an interval: "1h30m", "500ms", 5."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    parts = re.findall(r"([\d.]+)(ms|s|m|h)", str(duration))
    return sum(float(number) * units[unit] for number, unit in parts) if parts else float(duration)


def address_for(specs, default):
    """The first address that the first matching interface specification names."""
    for spec in ([specs] if isinstance(specs, str) else specs) or default:
        if spec.startswith("static:"):
            return spec.removeprefix("static:")
        if "/" in spec:
            network = ipaddress.ip_network(spec, strict=False)
            matches = [a for _, a in ADDRESSES if ipaddress.ip_address(a) in network]
        elif index := re.fullmatch(r"(\w+)\[(\d+)\]", spec):
            matches = [a for name, a in ADDRESSES if name == index[1]][int(index[2]):]
        else:
            name, _, family = spec.partition(":")
            if name in ("inet", "inet6"):
                name, family = None, name
            matches = [a for n, a in ADDRESSES if (n == name if name else n != "lo")
                       and (":" in a) == (family == "inet6")]
        if matches:
            return matches[0]
    raise LookupError(specs)


class Expected:
    """What one file makes happen: command lines are joined by spaces."""

    def __init__(self):
        self.started = []      # must start before the agent is stopped
        self.may_start = set()  # may start as well, at a later tick
        self.stay = set()      # run until they are stopped
        self.at_the_end = []   # must start while the agent stops
        self.order = []        # pairs of lines of the log, the first before the second
        self.services = {}     # name -> (port, address, TTL, tags); of two of one name the later stays in the catalog
        self.exit_code = 0
        self.watched = []      # names of services somebody watches

    def start(self, command, stays=False):
        line = " ".join(argv(command))
        self.started.append(line)
        if stays:
            self.stay.add(line)
        return line


def expect_old(config):
    """Generations 1 and 2."""
    out = Expected()
    application = out.start(APPLICATION, stays=True)
    for coprocess in config.get("coprocesses") or []:
        out.start(coprocess["command"], stays=True)
    for service in config.get("services") or []:
        if service.get("health"):
            out.start(service["health"])
        out.services[service["name"]] = (int(service["port"]), address_for(service.get("interfaces"), ["eth0"]),
                                         f"{service['ttl']}s", service.get("tags") or [])
    for backend in config.get("backends") or []:
        out.watched.append(backend["name"])
        out.start(backend["onChange"])
    telemetry = config.get("telemetry")
    if telemetry is not None:
        out.services["containerpilot"] = (telemetry.get("port", 9090), address_for(telemetry.get("interfaces"), ["eth0"]),
                                          "15s", telemetry.get("tags") or [])
    for again in [(t["command"], t["frequency"]) for t in config.get("tasks") or []] + \
                 [(s["check"], s["poll"]) for s in (telemetry or {}).get("sensors") or []]:
        out.may_start.add(" ".join(argv(again[0])))
    if first := config.get("preStart") or config.get("onStart"):
        line = " ".join(argv(first))
        out.order += [(f"end {line}", f"start {other}") for other in out.started if other != line]
        out.started.append(line)
    if int(config.get("stopTimeout") or 0) < 0:  # killed without being asked
        out.exit_code = 128 + signal.SIGKILL
    if hook := config.get("preStop"):
        line = " ".join(argv(hook))
        out.at_the_end.append(line)
        out.order.append((f"end {line}", f"stop {application}"))
    if hook := config.get("postStop"):
        line = " ".join(argv(hook))
        out.at_the_end.append(line)
        out.order.append((f"stop {application}", f"start {line}"))
    return out


def expect_v3(config):
    """Follows the events from startup on until nothing new happens."""
    out = Expected()
    jobs = config.get("jobs") or []
    line = {id(job): " ".join(argv(job["exec"])) for job in jobs if job.get("exec")}
    out.watched = [watch["name"] for watch in config.get("watches") or []]
    happened = {("startup", "global")} | {(code, f"watch.{name}") for name in out.watched
                                          for code in ("changed", "healthy")}
    end_of = {}  # event -> line of the log after which it comes
    waiting = list(jobs)
    while True:
        ready = [job for job in waiting if begins_with(job) in happened]
        if not ready:
            break
        for job in ready:
            waiting.remove(job)
            run_job(out, job, line.get(id(job)), happened, end_of)
    first = {}
    for job in jobs:
        first.setdefault(job["name"], job)
    for job in waiting:
        code, source = begins_with(job)
        if code not in ("stopping", "stopped") or source not in first or id(job) not in line:
            continue
        own, other = line[id(job)], line.get(id(first[source]))
        out.at_the_end.append(own)
        if other in out.stay:
            out.order.append((f"end {own}", f"stop {other}") if code == "stopping" else
                             (f"stop {other}", f"start {own}"))
    telemetry = config.get("telemetry")
    if telemetry is not None:
        out.services["containerpilot"] = (int(telemetry.get("port", 9090)),
                                          address_for(telemetry.get("interfaces"), ["eth0", "inet"]), "15s",
                                          telemetry.get("tags") or [])
    return out


def begins_with(job):
    when = job.get("when")
    if not when or when.get("interval"):
        return ("startup", "global")
    return (when.get("once") or when.get("each"), when.get("source"))


def run_job(out, job, line, happened, end_of):
    """The job has started: what follows from that."""
    stays = bool(job.get("port")) or job.get("restarts") == "unlimited" and not (job.get("when") or {}).get("interval")
    if line:
        out.start(job["exec"], stays)
        if begins_with(job) in end_of:
            out.order.append((end_of[begins_with(job)], f"start {line}"))
        if not stays:
            happened.add(("exitSuccess", job["name"]))
            end_of.setdefault(("exitSuccess", job["name"]), f"end {line}")
    health = job.get("health")
    if health and (line is None or stays):
        happened.add(("healthy", job["name"]))
        if health.get("exec"):
            check = out.start(health["exec"])
            end_of.setdefault(("healthy", job["name"]), f"end {check}")
    if job.get("port"):
        tags = [str(tag) for tag in job.get("tags") or []]
        out.services[job["name"]] = (int(job["port"]), address_for(job.get("interfaces"), ["eth0", "inet"]),
                                     f"{int(health['ttl'])}s", tags)


class Root:
    """A root folder with the agent, its libraries and nothing else."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="containerpilot-corpus-")
        self.base = pathlib.Path(self._folder.name, "base")
        tools = [shutil.which(tool) for tool in ("dash", "sleep")]
        for file in [harness.BINARY, *tools]:
            found = subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout
            for library in re.findall(r"(/\S+) \(0x", found):
                self.copy(library, library)
        self.copy(harness.BINARY, "/agent")
        for tool in tools:
            self.copy(tool, f"/tools/{os.path.basename(tool)}")
        for folder in ("commands", "proc", "dev", "etc", "tmp", "var/run", "run", "var/log"):
            (self.base / folder).mkdir(parents=True)
        (self.base / "stand-in").write_text(STAND_IN)
        (self.base / "stand-in").chmod(0o755)

    def copy(self, source, target):
        target = self.base / target.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def fresh(self, name):
        """A copy for one file."""
        root = self.base.parent / name
        subprocess.run(["cp", "-al", self.base, root], check=True)
        return root

    def close(self):
        self._folder.cleanup()


class Run:
    """One file of the corpus, run by the agent."""

    def __init__(self, root, row, text, config, expected):
        self.root, self.row, self.expected = root, row, expected
        self.text, self.old = text, row["generation"] != "v3"
        host, _, port = re.sub(r"^https?://", "", config["consul"]).partition(":")
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost {host}\n")
        self.consul = harness.Consul(int(port or 8500))
        for line in [*expected.started, *expected.may_start, *expected.at_the_end]:
            name = line.split(" ")[0]
            path = root / (name.lstrip("/") if "/" in name else f"commands/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_symlink():
                path.symlink_to("/stand-in")
        (root / "stay").write_text("".join(f"{line}\n" for line in expected.stay))
        (root / "log").touch()
        (root / "etc/config").write_bytes(text)
        if socket := (config.get("control") or {}).get("socket"):
            (root / socket.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)

    def log(self):
        return (self.root / "log").read_text().splitlines()

    def registered(self):
        found = [call.json for call in self.consul.seen("PUT", "/v1/agent/service/register")]
        return {(e["Name"], e["Port"], e["Address"], e["Check"]["TTL"], tuple(e.get("Tags") or [])) for e in found}

    def missing(self):
        """What should have happened and has not: processes by count, catalog entries."""
        log = self.log()
        started = collections.Counter(line.removeprefix("start ") for line in log if line.startswith("start "))
        for line in self.expected.stay:
            started[line] = log.count(f"stay {line}")
        registered = self.registered()
        services = {(name, *entry[:3]) for name, entry in self.expected.services.items()}
        return collections.Counter(self.expected.started) - started, services - {entry[:4] for entry in registered}

    def run(self):
        """The exit code and what the agent said."""
        name = "/containerbuddy" if self.row["generation"] == "v1" else "/containerpilot"
        os.link(self.root / "agent", self.root / name.lstrip("/"))
        value = "file:///etc/config" if self.old else "/etc/config"
        inside = f"mount --rbind /proc {self.root}/proc && mount --rbind /dev {self.root}/dev && exec env -i \"$@\""
        env = [f"{k}={v}" for k, v in environment(self.row).items()]
        command = ["unshare", "--mount", "sh", "-c", inside, "sh", *env, shutil.which("chroot"), self.root, name,
                   "-config", value, *(APPLICATION if self.old else [])]
        with self.consul, open(self.root / "said", "wb") as said:
            for watched in self.expected.watched:
                self.consul.set_service(watched, [("other", "192.0.2.77", 80)])
            agent = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
            try:
                harness.until(lambda: agent.poll() is not None or not any(self.missing()), "all of it", 20)
                agent.send_signal(signal.SIGTERM)
                code = agent.wait(20)
            except (harness.Timeout, subprocess.TimeoutExpired):
                code = None
                agent.kill()
                agent.wait()
            self.gone = {call.path.rsplit("/", 1)[1] for call in
                         self.consul.seen("PUT", "/v1/agent/service/deregister/")}
        return code, (self.root / "said").read_text(errors="replace")


def environment(row):
    return {**row["env"], "PATH": "/commands", "HOME": "/"}


def rendered(row):
    """The text after the template; that it is the recorded one is checked, so it may be relied on."""
    source = CORPUS / row["file"]
    done = subprocess.run([harness.BINARY, "-config", source, "-template"], capture_output=True, check=True,
                          env={**row["env"], "PATH": "/nonexistent", "HOME": "/"})
    assert hashlib.sha256(done.stdout).hexdigest() == row["rendered_sha256"], f"rendering of {source} differs"
    return done.stdout.decode()


def chosen(manifest, generation):
    """Accepted files that use a Consul we can stand in for: of each repository the one with most features first."""
    rank = collections.Counter()
    rows = []
    for row in sorted((r for r in manifest if r["generation"] == generation and r["accepts"]),
                      key=lambda r: (-len(r["features"]), r["file"])):
        rows.append((rank[row["source_repo"]], len(rows), row))
        rank[row["source_repo"]] += 1
    found = 0
    for _, _, row in sorted(rows, key=lambda r: r[:2]):
        config = (json.loads if generation != "v3" else json5.loads)(rendered(row))
        consul = config.get("consul")
        if not isinstance(consul, str) or not re.match(r"(https?://)?(127\.0\.0\.1|[a-z][\w.-]*)(:\d+)?$", consul):
            continue
        yield row, config
        found += 1
        if found == FILES_PER_GENERATION:
            return


@unittest.skipUnless(os.geteuid() == 0, "a root folder and a network of its own need root")
@unittest.skipUnless((CORPUS / "manifest.json").exists(), f"SKIPPED: no corpus at {CORPUS}; set CONTAINERPILOT_CORPUS")
class CorpusRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Root()
        cls.addClassCleanup(cls.root.close)
        cls.manifest = json.loads((CORPUS / "manifest.json").read_text(encoding="utf-8"))

    def run_files(self, generation, expect):
        count = 0
        for row, config in chosen(self.manifest, generation):
            count += 1
            with self.subTest(row["file"]):
                expected = expect(config)
                run = Run(self.root.fresh(row["id"]), row, (CORPUS / row["file"]).read_bytes(), config, expected)
                code, said = run.run()
                self.judge(run, expected, code, said)
        self.assertEqual(count, FILES_PER_GENERATION)

    def judge(self, run, expected, code, said):
        log = run.log()
        told = "\n".join(["", *log, "", said])
        processes, services = run.missing()
        self.assertFalse(processes, f"not started{told}")
        self.assertFalse(services, f"not registered, only {run.registered()}{told}")
        self.assertEqual(code, expected.exit_code, told)
        known = {*expected.started, *expected.may_start, *expected.at_the_end}
        starts = [line.removeprefix("start ") for line in log if line.startswith("start ")]
        self.assertLessEqual(set(starts), known, f"started, though nothing asks for it{told}")
        for line in expected.at_the_end:
            self.assertIn(line, starts, f"not run at the end{told}")
        killed = expected.exit_code != 0  # then nobody could note that it was told to stop
        for line in [] if killed else expected.stay:
            self.assertEqual(starts.count(line), log.count(f"stop {line}"), f"not stopped{told}")
        for before, after in expected.order:
            if not (killed and (before.startswith("stop ") or after.startswith("stop "))):
                self.assertLess(log.index(before), log.index(after), f"{before!r} must come before {after!r}{told}")
        tags = {entry[0]: entry[4] for entry in run.registered()}
        for name, (_, _, _, wanted) in expected.services.items():
            self.assertEqual(list(tags[name])[:len(wanted)], wanted)
            self.assertTrue(any(identity.startswith(f"{name}-") for identity in run.gone), f"{name} is still registered")

    def test_generation_1(self):
        self.run_files("v1", expect_old)

    def test_generation_2(self):
        self.run_files("v2", expect_old)

    def test_generation_3(self):
        self.run_files("v3", expect_v3)


def enter_own_network():
    """Starts this program again in a network with the addresses the corpus was recorded with."""
    os.environ["CONTAINERPILOT_OWN_NETWORK"] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])


def make_network():
    for line in ["link set lo up", "link add eth0 type veth peer name eth1",
                 *(f"addr add {address}/{24 if '.' in address else 64} dev {name}"
                   for name, address in ADDRESSES if name != "lo"),
                 "link set eth0 addrgenmode none up", "link set eth1 addrgenmode none up"]:
        subprocess.run(["ip", *line.split(" ")], check=True)


if os.geteuid() == 0 and "CONTAINERPILOT_OWN_NETWORK" not in os.environ:
    enter_own_network()
if os.geteuid() == 0:
    make_network()
harness.main()
