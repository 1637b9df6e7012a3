"""A fleet that is scaled by what its sensors say: real agents and workers, catalog, Prometheus, load and a driver.

The driver does what an autoscaler does, and no more: every few seconds it asks Prometheus for one number and
starts or stops instances. No answer, or an empty one, changes nothing.
"""
import contextlib
import json
import pathlib
import socket
import subprocess
import tempfile
import threading
import time

from harness import BINARY, Agent, Prometheus, free_port, http_call, until

SERVICE, TARGET, MOST = "worker", 10, 10
INTERVAL = 4.0  # of the driver
UP_WINDOW, DOWN_WINDOW = 3.0, 12.0
WORKER = pathlib.Path(__file__).with_name("worker.py")
SENSOR = '#!/bin/sh\n[ ! -e "$BROKEN" ] && cat sessions\n'
QUERY = f'max(service:containerpilot_replicas:clamp_ceil{{service="{SERVICE}"}})'


def config(catalog, port):
    return {
        "consul": catalog,
        "jobs": [{"name": SERVICE, "exec": ["python3", str(WORKER), str(port)], "port": port,
                  "interfaces": ["static:127.0.0.1"], "restarts": "unlimited",
                  "health": {"tcp": f"127.0.0.1:{port}", "interval": "500ms", "timeout": "2s"}}],
        "sensors": [{"name": "sessions", "help": "Sessions now.", "exec": ["./sensor.sh"], "interval": "500ms",
                     "timeout": "2s", "staleAfter": "2s", "when": {"source": SERVICE, "while": "healthy"}}],
        "scaling": [{"service": SERVICE, "min": 1, "max": MOST,
                     "stabilization": {"up": f"{UP_WINDOW:g}s", "down": f"{DOWN_WINDOW:g}s"},
                     "triggers": [{"metric": "sessions", "target": TARGET, "scope": "instance"}]}],
        "telemetry": {},
    }


class Catalog:
    """The embedded catalog on its own; wipe() loses everything it knew."""

    def __init__(self):
        self.address = f"127.0.0.1:{free_port()}"
        self._process = None

    def start(self):
        self._process = subprocess.Popen([BINARY, "-catalog", "-listen", self.address], stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)
        until(lambda: http_call(f"http://{self.address}/v1/agent/self").status == 200, "the catalog")

    def stop(self):
        self._process.kill()
        self._process.wait()

    def wipe(self):
        self.stop()
        self.start()

    def healthy(self):
        """[(address, port)] of the service."""
        answer = http_call(f"http://{self.address}/v1/health/service/{SERVICE}?passing=1").json
        return [(each["Service"]["Address"], each["Service"]["Port"]) for each in answer]


class Load(threading.Thread):
    """Keeps `sessions` connections open, spread over what the catalog says; keeps its list when that is empty."""

    def __init__(self, catalog):
        super().__init__(daemon=True)
        self.sessions = 0
        self._catalog = catalog
        self._open = {}
        self._stopping = threading.Event()

    def run(self):
        while not self._stopping.wait(0.2):
            with contextlib.suppress(OSError, ValueError):
                if instances := sorted(self._catalog.healthy()):
                    self._spread(instances)

    def _spread(self, instances):
        for gone in set(self._open) - set(instances):
            for connection in self._open.pop(gone):
                connection.close()
        for i, instance in enumerate(instances):
            here = self._open.setdefault(instance, [])
            share = self.sessions // len(instances) + (i < self.sessions % len(instances))
            while len(here) > share:
                here.pop().close()
            while len(here) < share:
                here.append(socket.create_connection(instance, timeout=1))

    def stop(self):
        self._stopping.set()
        self.join()
        for connections in self._open.values():
            for connection in connections:
                connection.close()


class Fleet:
    """`with Fleet() as fleet:` one instance runs, and the driver has begun. `samples` is what the chart shows."""

    def __init__(self):
        self._stack = contextlib.ExitStack()
        self._started = 0
        self._stopping = threading.Event()
        self.agents = []
        self.desired = None
        self.failed_queries = 0
        self.samples = []  # (seconds, sessions / TARGET, desired, running)
        self.marks = []    # (seconds, text)
        self.begun = time.monotonic()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="containerpilot-fleet-")))
            self.broken = folder / "broken"
            self.catalog = Catalog()
            self.catalog.start()
            stack.callback(self.catalog.stop)
            stack.callback(self._stop_agents)
            self._start_one()
            rules = folder / "rules.yml"
            rules.write_text(self.export("rules"))
            self.prometheus = stack.enter_context(Prometheus([{
                "job_name": "containerpilot",
                "http_sd_configs": [{"url": self.agents[0].telemetry + "/sd/prometheus", "refresh_interval": "1s"}],
            }], rules=[rules]))
            self.load = Load(self.catalog)
            self.load.start()
            stack.callback(self.load.stop)
            for work, every in ((self._drive, INTERVAL), (self._sample, 0.25)):
                thread = threading.Thread(target=self._repeat, args=(work, every), daemon=True)
                thread.start()
                stack.callback(thread.join)
            stack.callback(self._stopping.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def export(self, what):
        """What the agent makes of its own configuration."""
        run = self.agents[0].command("-config", str(self.agents[0].config), "-export", what)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def story(self):
        """What Prometheus saw, by second, for when it went wrong."""
        lines = []
        for query in (QUERY, f'service:containerpilot_wanted:max{{service="{SERVICE}"}}',
                      "sum(containerpilot_scaling_value)", "count(containerpilot_scaling_value)",
                      "count(containerpilot_scaling_target)", "max(containerpilot_scaling_input_age_seconds)"):
            found = self.prometheus.api("query_range", query=query, start=time.time() - self.seconds(), end=time.time(),
                                        step=1)["result"]
            values = {round(float(at) - time.time() + self.seconds()): value for series in found for at, value in series["values"]}
            lines.append(f"{query}:\n  " + " ".join(f"{at}:{float(value):g}" for at, value in values.items()))
        return "\n".join(lines + [f"marks: {self.marks}"])

    def seconds(self):
        return time.monotonic() - self.begun

    def mark(self, text):
        self.marks.append((self.seconds(), text))

    def set_load(self, sessions):
        self.load.sessions = sessions
        self.mark(f"load {sessions}")

    def _repeat(self, work, every):
        due = time.monotonic()
        while not self._stopping.is_set():
            work()
            due = max(due + every, time.monotonic())
            self._stopping.wait(due - time.monotonic())

    def _start_one(self):
        self._started += 1
        agent = Agent(config(self.catalog.address, free_port()), files={"sensor.sh": SENSOR},
                      env={"BROKEN": str(self.broken)}, hostname=f"host-{self._started}")
        self.agents.append(agent.start())

    def _stop_agents(self):
        while self.agents:
            self._stop_newest()

    def _stop_newest(self):
        self.agents.pop().__exit__(None, None, None)

    def _drive(self):
        try:
            self.desired = self.prometheus.value(QUERY)
        except (OSError, ValueError, LookupError):
            self.desired = None
        if self.desired is None:
            self.failed_queries += 1
            return  # no data is not zero
        while len(self.agents) < self.desired:
            self._start_one()
        while len(self.agents) > max(self.desired, 1):
            self._stop_newest()

    def _sample(self):
        self.samples.append((self.seconds(), self.load.sessions / TARGET, self.desired, len(self.agents)))


def chart(fleet, path):
    """Load, desired and actual instances over time, as SVG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Debian's own Python, for Debian's own matplotlib.
    subprocess.run(["/usr/bin/python3", pathlib.Path(__file__).with_name("chart.py"), path], check=True, text=True,
                   input=json.dumps({"samples": fleet.samples, "marks": fleet.marks}))
