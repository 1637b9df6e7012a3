"""An agent in which everything happens that dashboards show: for "no panel is empty"."""
import contextlib

from .agent import Agent
from .wait import free_port, until

_CGROUP = {
    "cgroup.controllers": "cpu io memory pids\n", "cpu.max": "200000 100000\n", "memory.current": "1000000\n",
    "memory.max": "2000000\n", "memory.high": "max\n", "memory.stat": "anon 1\ninactive_file 400000\n",
    "memory.events": "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n", "pids.current": "12\n", "pids.max": "100\n",
    "io.stat": "8:0 rbytes=100 wbytes=200 rios=3 wios=4 dbytes=0 dios=0\n",
    **{f"{what}.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n"
                           "full avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n" for what in ("cpu", "memory", "io")},
}


# The kernel's counters move; so do these, with each run of the sensor `clock`.
_CLOCK = r"""#!/bin/sh
n=$(date +%s)
printf 'usage_usec %s000000\nuser_usec 1\nsystem_usec 1\nnr_periods %s\nnr_throttled %s\nthrottled_usec 5\n' \
  $n $((n * 2)) $n > cpu.stat.new && mv cpu.stat.new cpu.stat
echo $n
"""


def _sensor(name, command, **more):
    return {"name": name, "help": "A test.", "exec": command, "interval": "500ms", "timeout": "400ms", **more}


@contextlib.contextmanager
def busy_agent(token=None):
    """Yields the agent once it is ready."""
    agent = Agent("", files={**_CGROUP, "clock.sh": _CLOCK,
                             "many.sh": "#!/bin/sh\nprintf 'many{n=\"1\"} 1\\nmany{n=\"2\"} 2\\n'\n"})
    agent.write_config({
        "catalog": {"embedded": {"listen": f"127.0.0.1:{free_port()}"}},
        "jobs": [
            {"name": "web", "exec": ["sleep", "1000"], "port": 8080, "interfaces": ["static:127.0.0.1"],
             "health": {"exec": "true", "interval": "1s", "timeout": "1s"}},
            {"name": "flaky", "exec": ["sh", "-c", "exit 3"], "restarts": "unlimited"},
            {"name": "tick", "exec": ["true"], "when": {"interval": "1s"}},
        ],
        "watches": [{"name": "web", "interval": 1}],
        "sensors": [
            _sensor("sessions", "echo 30"), _sensor("queue_depth", "echo 55"), _sensor("broken", "false"),
            _sensor("clock", ["./clock.sh"]), _sensor("many", ["./many.sh"], format="prometheus", maxSeries=1),
            {"name": "container", "cgroup": ["cpu", "memory", "pids", "io", "pressure"],
             "cgroupRoot": str(agent.folder), "interval": "500ms"},
            {"name": "web_process", "process": "web", "interval": "500ms"},
        ],
        "scaling": [{"service": "web", "min": 1, "max": 9, "stabilization": {"down": "2s"}, "triggers": [
            {"metric": "sessions", "target": 10, "scope": "instance"},
            {"metric": "queue_depth", "target": 20, "scope": "service"}]}],
        "telemetry": {"metrics": [{"name": "pushed", "help": "A test.", "type": "gauge"}],
                      **({"token": token} if token else {})},
    })
    with agent:
        until(lambda: agent.get("/readyz").status == 200, f"the agent:\n{agent.log}", timeout=20)
        yield agent
