#!/usr/bin/env python3
"""Whatever strangers send to the telemetry port: jobs run on time, memory is bounded, scrapes are answered again."""
import contextlib
import resource
import select
import socket
import time
import unittest

import harness

CROWD = 10_000
MEMORY = 40_000  # kB; what fits into the buffers of 16 workers and a queue, with room
CONFIG = {"catalog": "none", "telemetry": {}, "jobs": [
    {"name": "stay", "exec": ["sleep", "1000"]}, {"name": "tick", "exec": ["true"], "when": {"interval": "100ms"}}]}


class Crowd:
    """Connections to one port that go on for as long as the block lasts."""

    def __init__(self, port, count, text=b""):
        self._sockets = []
        for _ in range(count):
            one = socket.socket()
            one.setblocking(False)
            self._sockets.append(one)
            one.connect_ex(("127.0.0.1", port))
        if text:
            for one in self._sockets:
                select.select([], [one], [], 1)
                with contextlib.suppress(OSError):
                    one.send(text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self._sockets:
            one.close()


class Abuse(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def lags(self):
        """Turns of the loop so far, and those whose first timer was more than a quarter of a second late."""
        every = self.agent.metric("containerpilot_loop_timer_lag_seconds_count")
        return every, every - self.agent.metric('containerpilot_loop_timer_lag_seconds_bucket{le="0.25"}')

    def scrape(self, seconds):
        begin = time.monotonic()
        self.assertEqual(self.agent.get("/metrics", timeout=seconds).status, 200)
        self.assertLess(time.monotonic() - begin, seconds)

    def endless_body(self, port):
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
            with contextlib.suppress(OSError):
                for _ in range(1024):
                    one.sendall(bytes(1 << 20))
                self.fail("a gigabyte was taken")

    def test_jobs_run_on_time_and_memory_is_bounded(self):
        with harness.Agent(CONFIG) as agent:
            self.agent = agent
            agent.wait_ready()
            port = agent.telemetry_port()
            ticks = lambda: agent.metric('containerpilot_job_starts_total{name="tick"}') or 0
            harness.until(lambda: ticks() > 0, "the job's first run")
            files = len(harness.open_files(agent.pid))
            memory = harness.status_field(agent.pid, "VmRSS")
            begin, ticks_before, (turns, late) = time.monotonic(), ticks(), self.lags()

            with Crowd(port, 100, b"GET /metrics HTTP/1.1\r\nX-"):
                self.scrape(10)
            with Crowd(port, CROWD):
                pass
            self.scrape(2)
            self.endless_body(port)
            for text in (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n" * 100, b"\0" * 20_000, b"PRI * HTTP/2.0\r\n\r\n"):
                with Crowd(port, 20, text):
                    pass
            self.scrape(2)

            turns, late = (after - before for after, before in zip(self.lags(), (turns, late)))
            self.assertLess(late, max(turns / 100, 1))
            expected = (time.monotonic() - begin) / 0.1
            self.assertGreater(ticks() - ticks_before, expected * 0.8)
            self.assertLess(int(harness.status_field(agent.pid, "VmHWM").split()[0]) - int(memory.split()[0]), MEMORY)
            harness.until(lambda: len(harness.open_files(agent.pid)) <= files + 1, "descriptors to be closed")


if __name__ == "__main__":
    harness.main()
