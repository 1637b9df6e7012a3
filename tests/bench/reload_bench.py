#!/usr/bin/env python3
"""How long `-reload` takes in a running agent with 1,000 jobs of which one was changed: best and median of 20.

Measured from the request on the control socket to its answer, which comes when the new configuration is in force.
The agent is CONTAINERPILOT_BINARY, else the release build's.
"""
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("CONTAINERPILOT_BUILD", str(ROOT / "build/release"))
sys.path.insert(0, str(ROOT / "tests/integration"))
import harness  # noqa: E402 (needs the path)

JOBS = 1000
RUNNING = 20
ROUNDS = 20


def config(changed):
    """Most jobs wait for a signal, so that the agent is measured and not a thousand processes."""
    def job(number):
        return {"name": f"job-{number}", "exec": ["sleep", str(1000 + (changed if number == 7 else 0))],
                "restarts": "unlimited", "tags": ["a", "b"],
                "health": {"exec": "true", "interval": 600, "ttl": 1300, "timeout": "5s"},
                **({} if number < RUNNING else {"restarts": "never", "when": {"source": "SIGUSR2", "each": "SIGUSR2"}})}
    return {"jobs": [job(number) for number in range(JOBS)], "telemetry": {}}


def cpu(pid):
    """Milliseconds its main thread ran so far."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e6


def main():
    with harness.Agent(config(0)) as agent:
        agent.wait_ready()
        took, busy = [], cpu(agent.pid)
        for changed in range(1, ROUNDS + 1):
            agent.write_config(config(changed))
            started = time.monotonic()
            answer = agent.control("POST", "/v3/reload", timeout=60)
            took.append((time.monotonic() - started) * 1000)
            assert answer.status == 200 and "job-7" in answer.text, answer.text
        print(f"reload of {JOBS} jobs, one changed: best {min(took):.1f} ms, median {statistics.median(took):.1f} ms, "
              f"of that {(cpu(agent.pid) - busy) / ROUNDS:.1f} ms of CPU")


main()
