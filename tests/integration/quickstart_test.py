#!/usr/bin/env python3
"""First real-input proof: the quickstart config with a real nginx, real clients and a real Prometheus."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

import harness

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "agent/examples"


@contextlib.contextmanager
def quickstart():
    """The agent with agent/examples copied to a folder of its own, on free ports."""
    web, telemetry, catalog = harness.free_ports(3)
    with tempfile.TemporaryDirectory(prefix="containerpilot-test-") as folder:
        shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
        agent = harness.Agent((EXAMPLES / "quickstart.json5").read_text(), folder=folder, env={
            "WEB_PORT": str(web), "TELEMETRY_PORT": str(telemetry), "CATALOG_PORT": str(catalog),
            "CONTROL_SOCKET": str(pathlib.Path(folder, "control.socket"))})
        agent.web = f"http://127.0.0.1:{web}"
        agent.telemetry = f"http://127.0.0.1:{telemetry}"
        agent.catalog = f"http://127.0.0.1:{catalog}"
        agent.nginx_pid = lambda: int(pathlib.Path(folder, "nginx/nginx.pid").read_text())
        with agent:
            harness.until(lambda: agent.get("/readyz").status == 200, "the quickstart to be ready", timeout=20)
            yield agent


class StatusFollower(threading.Thread):
    """Records every status the catalog gives a service, by blocking queries."""

    def __init__(self, catalog, service):
        super().__init__(daemon=True)
        self._url = f"{catalog}/v1/health/service/{service}"
        self.seen = []

    def run(self):
        index = 0
        with contextlib.suppress(OSError):
            while True:
                answer = harness.http_call(f"{self._url}?index={index}&wait=30s", timeout=40)
                index = answer.headers["X-Consul-Index"]
                for entry in answer.json:
                    self.seen += [check["Status"] for check in entry["Checks"] if check.get("ServiceName") == "web"
                                  or check["CheckID"].startswith("service:")]


class Quickstart(unittest.TestCase):
    def test_nginx_is_supervised_registered_sensed_and_scraped(self):
        with quickstart() as agent, harness.Prometheus([{
                "job_name": "containerpilot", "http_sd_configs": [
                    {"url": agent.telemetry + "/sd/prometheus", "refresh_interval": "500ms"}]}]) as prometheus:
            query = prometheus.value
            self.assertEqual(harness.http_call(agent.web).text, "hello from nginx\n")
            passing = harness.http_call(agent.catalog + "/v1/health/service/web?passing=1").json
            self.assertEqual(len(passing), 1)
            self.assertEqual((passing[0]["Service"]["Address"], str(passing[0]["Service"]["Port"])),
                             ("127.0.0.1", agent.web.rsplit(":", 1)[1]))

            harness.until(lambda: query("up") == 1, "Prometheus to scrape the agent", timeout=30)
            for _ in range(50):
                harness.http_call(agent.web)
            harness.until(lambda: (query("nginx_requests_total") or 0) >= 50, "50 requests in Prometheus", timeout=20)
            harness.until(lambda: (query("nginx_connections_active") or 0) >= 1, "connections in Prometheus", timeout=20)

            follower = StatusFollower(agent.catalog, "web")
            follower.start()
            harness.until(lambda: "passing" in follower.seen, "the follower")
            old = agent.nginx_pid()
            os.kill(old, signal.SIGKILL)
            harness.until(lambda: agent.job("web")["Restarts"] >= 1, "the restart in the status")
            harness.until(lambda: "critical" in follower.seen, "critical in the catalog")
            harness.until(lambda: follower.seen[-1] == "passing", "passing again in the catalog", timeout=20)
            self.assertNotEqual(agent.nginx_pid(), old)
            self.assertEqual(harness.http_call(agent.web).text, "hello from nginx\n")
            series = 'containerpilot_job_restarts_total{name="web"}'
            harness.until(lambda: (agent.metric(series) or 0) >= 1, "the restart in the metrics")
            harness.until(lambda: (query("containerpilot_job_restarts_total") or 0) >= 1,
                          "the restart in Prometheus", timeout=20)
            self.assertEqual(agent.stop(), 0)

    def test_a_broken_sensor_goes_away_and_comes_back(self):
        with quickstart() as agent:
            harness.until(lambda: agent.metric("nginx_connections_active") is not None, "the sensor")
            (agent.folder / "nginx-stat.sh").chmod(0o644)
            harness.until(lambda: agent.metric("nginx_connections_active") is None, "its series to go away")
            sensor = next(s for s in agent.status()["Sensors"] if s["Name"] == "nginx_connections_active")
            self.assertFalse(sensor["Up"])
            self.assertIn("nginx-stat.sh", sensor["Error"])
            (agent.folder / "nginx-stat.sh").chmod(0o755)
            harness.until(lambda: agent.metric("nginx_connections_active") is not None, "its series to come back")

    def test_promtool_finds_nothing_to_complain_about(self):
        with quickstart() as agent:
            harness.until(lambda: agent.metric("nginx_requests_total") is not None, "the sensors")
            checked = subprocess.run(["promtool", "check", "metrics"], input=agent.get("/metrics").body,
                                     capture_output=True, check=False)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))

    def test_stopping_deregisters_and_frees_every_port(self):
        with quickstart() as agent:
            addresses = [agent.web, agent.telemetry, agent.catalog]
            self.assertEqual(agent.stop(), 0)
            for address in addresses:
                with self.assertRaises(ConnectionRefusedError):
                    harness.http_call(address)

    def test_the_status_command_shows_it_on_one_screen(self):
        with quickstart() as agent:
            said = agent.command("-status", "-socket", agent.socket)
            self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
            self.assertIn("web", said.stdout)
            self.assertIn("nginx_connections_active", said.stdout)
            same = agent.command("-status", "-json", "-socket", agent.socket)
            self.assertIn('"Sensors"', same.stdout)


if __name__ == "__main__":
    harness.main()
