"""The real binary with a config in a temporary folder."""
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

from . import proc
from .wait import Timeout, free_port, http_call, until

_ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.path.abspath(os.environ.get("CONTAINERPILOT_BINARY") or str(
    pathlib.Path(os.environ.get("CONTAINERPILOT_BUILD", _ROOT / "build/dev"), "agent/containerpilot")))


class Agent:
    """`with Agent({...}) as agent:` runs it; at the end it is stopped and must leave nothing behind.

    config    a dict, or text as a user writes it. In a dict `control.socket` is filled in, so is
              `catalog: "none"` when no catalog is named, and `telemetry: {}` gets a free loopback port.
    files     name -> text, written beside the config first; what starts with "#!" is made executable.
    pid1      runs it as PID 1 of a new pid namespace with its own /proc (needs root).
    folder    runs there instead of in a folder of its own.
    hostname  runs under this host name, as in a container of its own: several agents of one service.
    """

    def __init__(self, config, *, args=(), env=None, files=None, pid1=False, folder=None,
                 hostname=None):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="containerpilot-test-"))
        self._own_folder = folder is None
        self.socket = str(self.folder / "control.socket")
        self.telemetry = None
        self._pid1 = pid1
        self._hostname = hostname
        self._args = list(args)
        self._env = {**os.environ, **(env or {})}
        self._process = None
        self.exit_code = None
        self.stop_seconds = None
        for name, text in (files or {}).items():
            path = self.folder / name
            path.write_text(text, encoding="utf-8")
            if text.startswith("#!"):
                path.chmod(0o755)
        self.config = self.folder / "config.json5"
        self.write_config(config)
        self._log = self.folder / "agent.log"

    def write_config(self, config):
        """Replaces the file; a reload reads it."""
        if isinstance(config, dict):
            config = dict(config)
            config.setdefault("control", {"socket": self.socket})
            if not {"consul", "etcd", "catalog"} & set(config):
                config["catalog"] = "none"
            if config.get("telemetry") is not None:
                telemetry = {"listen": "127.0.0.1", "interfaces": ["static:127.0.0.1"], **config["telemetry"]}
                telemetry.setdefault("port", self.telemetry_port())
                self.telemetry = f"http://127.0.0.1:{telemetry['port']}"
                config["telemetry"] = telemetry
            config = json.dumps(config, indent=2)
        self.config.write_text(config, encoding="utf-8")

    def telemetry_port(self):
        return int(self.telemetry.rsplit(":", 1)[1]) if self.telemetry else free_port()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if self._process and self._process.poll() is None:
                try:
                    self.stop()
                except Timeout:
                    self.kill()
                    if kind is None:
                        raise
        finally:
            if kind is not None:
                print(f"--- log of the agent in {self.folder}\n{self.log[-6000:]}\n---")
            if self._own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        command = [BINARY, "-config", str(self.config), *self._args]
        if self._pid1:
            command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *command]
        if self._hostname:
            user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
            command = ["unshare", *user, "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self._hostname, *command]
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, env=self._env, stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        return self

    @property
    def pid(self):
        """Of the agent itself, as seen from here."""
        if not self._pid1:
            return self._process.pid
        return until(lambda: proc.children(self._process.pid), "the pid namespace")[0]

    @property
    def log(self):
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def running(self):
        return self._process.poll() is None

    def wait_log(self, pattern, timeout=10.0, count=1):
        """Waits for the count-th match of the pattern in the log; returns that match."""
        def found():
            matches = list(re.finditer(pattern, self.log))
            if len(matches) < count and not self.running():
                matches = list(re.finditer(pattern, self.log))
                if len(matches) < count:
                    raise Timeout(f"the agent ended before {pattern!r}:\n{self.log}")
            return len(matches) >= count and matches[count - 1]
        return until(found, f"{pattern!r} in the log:\n{self.log}", timeout)

    def wait_file(self, name, timeout=10.0, contains=""):
        """Waits for a file in the folder, with that text in it; returns its text."""
        path = self.folder / name
        return until(lambda: path.exists() and contains in path.read_text() and (path.read_text() or " "),
                     f"{contains!r} in file {name!r}", timeout)

    def wait_ready(self, timeout=10.0):
        """Waits until the control socket answers."""
        until(lambda: self.control("GET", "/v3/ping").status == 200, f"the control socket; log:\n{self.log}", timeout)
        return self

    def get(self, path, **named):
        """GET on the telemetry port."""
        return http_call(self.telemetry + path, **named)

    def status(self):
        return self.get("/status").json

    def job(self, name):
        """What /status says about a job."""
        status = self.status()
        return next(job for job in (status["Jobs"] or []) + (status["Services"] or []) if job["Name"] == name)

    def metric(self, series):
        """The value of a series as /metrics writes it, None when it is not there."""
        for line in self.get("/metrics").text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return None

    def control(self, method, path, body=None, **named):
        return http_call(path, method=method, body=body, unix=self.socket, **named)

    def command(self, *arguments, timeout=20, env=None):
        """Runs the binary again as a subcommand; returns subprocess.CompletedProcess."""
        return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=timeout, check=False,
                              cwd=self.folder, env={**self._env, **(env or {})}, stdin=subprocess.DEVNULL)

    def send(self, signo):
        os.kill(self.pid, signo)

    def wait_exit(self, timeout=15.0):
        """The exit code; negative for a signal."""
        # Popen.wait(timeout) looks every 50 ms only; a pidfd tells at once.
        if self._process.returncode is None:
            pidfd = os.pidfd_open(self._process.pid)
            try:
                if not select.select([pidfd], [], [], timeout)[0]:
                    raise Timeout(f"the agent did not end in {timeout} s:\n{self.log}")
            finally:
                os.close(pidfd)
        self.exit_code = self._process.wait()
        return self.exit_code

    def stop(self, signo=signal.SIGTERM, timeout=15.0):
        """Stops it; checks that no process, socket or listening port of it is left. Returns the exit code."""
        family = proc.descendants(self._process.pid)
        started = time.monotonic()
        self.send(signo)
        code = self.wait_exit(timeout)
        self.stop_seconds = time.monotonic() - started
        left = [pid for pid in family if proc.state(pid) not in (None, "Z")]
        if left:
            names = [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left if proc.state(pid)]
            raise AssertionError(f"left behind: {left} {names}")
        if os.path.exists(self.socket):
            raise AssertionError(f"left behind: {self.socket}")
        return code

    def kill(self):
        """The last resort: the agent and everything below it."""
        for pid in [*proc.descendants(self._process.pid), self._process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()


def run_to_end(config, *, timeout=15.0, **named):
    """Runs an agent that ends by itself: (exit code, output)."""
    agent = Agent(config, **named)
    with agent:
        code = agent.wait_exit(timeout)
        return code, agent.log
