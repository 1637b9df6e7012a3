#!/usr/bin/env python3
"""What kept 3.8.0 from ever ending on SIGTERM (spec v3, section 10, D1 to D7): each ends within its bound here."""
import contextlib
import signal
import socket
import threading
import unittest

import harness

STAY = {"name": "stay", "exec": ["sleep", "1000"]}
# What stopping costs on a busy machine, beside what the configuration makes it wait for.
SLACK = 2.0


class SilentServer:
    """Takes every connection and never says a word."""

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self.connections = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                self.connections.append(self._listener.accept()[0])

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self.connections:
            connection.close()


class EndsOnSigterm(unittest.TestCase):
    def assert_ends(self, agent, bound=0.0):
        """agent.stop() also sees to it that no process is left."""
        agent.stop(timeout=bound + SLACK + 10)
        self.assertLess(agent.stop_seconds, bound + SLACK)

    def test_without_any_job(self):  # D1
        with harness.Agent({"jobs": [], "telemetry": {}}) as agent:
            agent.wait_ready()
            self.assert_ends(agent)

    def test_with_a_job_that_waits_for_the_end_of_nobody(self):  # D2
        for event in ("stopping", "stopped"):
            with self.subTest(event=event), harness.Agent({"jobs": [STAY, {
                    "name": "after", "exec": ["true"], "when": {"source": "nobody", "once": event}}]}) as agent:
                agent.wait_log("'stay' started")
                self.assertRegex(agent.log, r'nothing is called .{0,2}nobody')
                self.assert_ends(agent)

    def test_with_a_job_that_waits_for_the_end_of_what_has_ended(self):  # D2
        for occurrence in ("each", "once"):
            for event in ("stopping", "stopped"):
                with self.subTest(occurrence=occurrence, event=event), harness.Agent({"jobs": [
                        STAY, {"name": "brief", "exec": ["true"]},
                        {"name": "after", "exec": ["echo", "after ran"], "when": {"source": "brief", occurrence: event}}]}) as agent:
                    agent.wait_log("after ran")
                    self.assert_ends(agent)

    def test_with_a_pre_stop_job_that_hangs(self):  # D3
        with harness.Agent({"jobs": [
                {**STAY, "stopTimeout": "1s"},
                {"name": "before", "exec": ["sh", "-c", "echo before runs; exec sleep 300"],
                 "when": {"source": "stay", "once": "stopping"}}]}) as agent:
            agent.wait_log("'stay' started")
            self.assert_ends(agent, bound=1)
            self.assertIn("before runs", agent.log)

    def test_with_an_event_waiting_for_a_run_that_goes_on(self):  # D4
        with harness.Agent({"jobs": [STAY, {
                "name": "on-hup", "exec": ["sh", "-c", "echo hup runs; exec sleep 1000"], "when": {"source": "SIGHUP"}}]}) as agent:
            agent.wait_ready()
            agent.send(signal.SIGHUP)
            agent.wait_log("hup runs")
            agent.send(signal.SIGHUP)
            agent.send(signal.SIGHUP)
            self.assert_ends(agent)
            self.assertEqual(agent.log.count("hup runs"), 1, "what waited is not started any more")

    def test_with_a_tick_waiting_for_a_run_that_goes_on(self):  # D4
        with harness.Agent({"jobs": [STAY, {
                "name": "often", "exec": ["sh", "-c", "echo tick; exec sleep 1000"], "timeout": "1000s",
                "when": {"interval": "20ms"}}], "telemetry": {}}) as agent:
            agent.wait_log("tick")
            harness.until(lambda: agent.job("often")["State"] == "running", "the run")
            self.assert_ends(agent)

    def test_with_half_a_request_at_the_control_socket(self):  # D5
        with harness.Agent({"jobs": [STAY]}) as agent, socket.socket(socket.AF_UNIX) as half:
            agent.wait_ready()
            half.connect(agent.socket)
            half.sendall(b"POST /v3/metric HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            self.assert_ends(agent)

    def test_with_a_consul_that_accepts_and_never_answers(self):  # D6
        with SilentServer() as silent, harness.Agent({"consul": silent.address, "jobs": [{
                "name": "web", "exec": ["sleep", "1000"], "port": 8000, "interfaces": ["static:192.0.2.7"],
                "health": {"exec": ["true"], "interval": 1, "ttl": 5}}],
                "watches": [{"name": "db", "interval": 1}]}) as agent:
            harness.until(lambda: len(silent.connections) >= 2, "a beat and a watch under way")
            self.assert_ends(agent, bound=2)  # a second for each goodbye: the entry, then the catalog

    def test_with_a_thousand_metrics_pushed_while_a_job_is_stuck(self):  # D7
        metrics = [{"name": f"m{i}", "help": "One.", "type": "gauge"} for i in range(1100)]
        with harness.Agent({"telemetry": {"metrics": metrics}, "jobs": [STAY, {
                "name": "on-hup", "exec": ["sh", "-c", "echo hup runs; exec sleep 1000"], "when": {"source": "SIGHUP"}}]}) as agent:
            agent.wait_ready()
            agent.send(signal.SIGHUP)
            agent.wait_log("hup runs")
            agent.send(signal.SIGHUP)
            for _ in range(2):
                answer = agent.control("POST", "/v3/metric", {f"m{i}": i for i in range(1100)})
                self.assertEqual(answer.status, 200, answer.text)
            self.assertEqual(agent.metric("m1099"), 1099)
            self.assert_ends(agent)


if __name__ == "__main__":
    harness.main()
