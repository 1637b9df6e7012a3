#!/usr/bin/env python3
"""One agent with 500 services and 300 watches at rest: what it costs itself and its catalog, and how late it sees."""
import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import unittest

import harness

SERVICES, WATCHES = 500, 300
ROUND = 10.0  # seconds, a little more than the agent takes to ask for every watch that has no waiting query
WINDOW = 20.0  # seconds of rest that are measured


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connections(pid, port):
    """How many connections that process holds to that local port."""
    sockets = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(entry))
        except FileNotFoundError:  # closed meanwhile
            continue
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for fields in map(str.split, lines)
               if int(fields[2].rsplit(":", 1)[1], 16) == port and fields[3] == "01" and f"socket:[{fields[9]}]" in sockets)


@contextlib.contextmanager
def tls_front(catalog_port):
    """nginx before the catalog, as people put it before Consul: TLS, and HTTP/2 for who asks for it. Yields (port, CA file)."""
    port = harness.free_port()
    with tempfile.TemporaryDirectory(prefix="containerpilot-front-") as folder:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True)
        pathlib.Path(folder, "nginx.conf").write_text(f"""
            daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
            events {{ worker_connections 4096; }}
            http {{
              access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
              uwsgi_temp_path {folder}; scgi_temp_path {folder}; proxy_read_timeout 100s; http2_max_concurrent_streams 512;
              server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {folder}/cert.pem;
                        ssl_certificate_key {folder}/key.pem;
                        location / {{ proxy_pass http://127.0.0.1:{catalog_port}; }} }}
            }}""")
        nginx = subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf"], stderr=subprocess.DEVNULL)
        try:
            harness.until(lambda: connects(port), "nginx")
            yield port, f"{folder}/cert.pem"
        finally:
            nginx.terminate()
            nginx.wait()


def connects(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def staleness(agent):
    """Seconds, one per watch; 0: a query waits."""
    return [float(line.rsplit(" ", 1)[1]) for line in agent.get("/metrics").text.splitlines()
            if line.startswith("containerpilot_watch_staleness_seconds{")]


class ManyWatches(unittest.TestCase):
    def setUp(self):
        self.port = harness.free_port()
        address = f"127.0.0.1:{self.port}"
        catalog = subprocess.Popen([harness.BINARY, "-catalog", "-listen", address],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(catalog.wait)
        self.addCleanup(catalog.terminate)
        self.ask = lambda method, path, body=None: harness.http_call(f"http://{address}{path}", method, body)
        harness.until(lambda: self.ask("GET", "/v1/status/leader").status == 200, "the catalog")

    def test_over_http2_every_query_waits(self):
        with tls_front(self.port) as (port, ca_file):
            config = {"consul": {"address": f"127.0.0.1:{port}", "scheme": "https", "tls": {"cafile": ca_file}}, "telemetry": {},
                      "watches": [{"name": f"service-{i}", "interval": 1} for i in range(WATCHES)],
                      "jobs": [{"name": "stay", "exec": ["sleep", "1000"]}]}
            with harness.Agent(config) as agent:
                harness.until(lambda: staleness(agent).count(0) == WATCHES, "a waiting query for every watch", timeout=30)
                most = connections(agent.pid, port)
                print(f"{WATCHES} queries wait over {most} connections")
                self.assertLess(most, 20)
                body = {"Name": "service-250", "Port": 9, "Address": "127.0.0.1", "Check": {"TTL": "60s", "Status": "passing"}}
                begin = time.monotonic()
                self.assertEqual(self.ask("PUT", "/v1/agent/service/register", body).status, 200)
                harness.until(lambda: "watch 'service-250' changed" in agent.log, "the change", timeout=5)
                took = time.monotonic() - begin
                print(f"a change is seen after {took * 1000:.0f} ms")
                self.assertLess(took, 1)

    def test_five_hundred_services_and_three_hundred_watches(self):
        config = {"consul": f"127.0.0.1:{self.port}", "telemetry": {}, "logging": {"level": "info"},
                  "jobs": [{"name": f"service-{i}", "port": 1000 + i, "interfaces": ["static:127.0.0.1"],
                            "health": {"interval": 10, "ttl": 30}} for i in range(SERVICES)],
                  "watches": [{"name": f"service-{i}", "interval": 1} for i in range(WATCHES)]}
        with harness.Agent(config) as agent:
            passing = lambda: sum(check["Status"] == "passing" for check in self.ask("GET", "/v1/agent/checks").json.values())
            started = time.monotonic()
            harness.until(lambda: passing() == SERVICES + 1, "every entry", timeout=120, interval=0.5)
            print(f"{SERVICES} entries passing after {time.monotonic() - started:.2f} s")
            harness.until(lambda: agent.get("/metrics").text.count("\ncontainerpilot_watch_instances{") >= WATCHES,
                          "every watch's first answer", timeout=60, interval=0.5)
            self.settle(agent)
            self.rest(agent, self.port)
            self.latency(agent)

    def settle(self, agent):
        """Waits for a whole round in which nothing changed: what start-up set going is over."""
        changes, since = None, 0.0

        def quiet():
            nonlocal changes, since
            now = [line for line in agent.get("/metrics").text.splitlines()
                   if line.startswith(("containerpilot_watch_changes_total{", "containerpilot_watch_instances{"))]
            if now != changes:
                changes, since = now, time.monotonic()
            return time.monotonic() - since > ROUND
        harness.until(quiet, "a round without a change", timeout=60, interval=0.5)

    def rest(self, agent, port):
        def queries():
            return sum(agent.metric(f'containerpilot_catalog_calls_total{{call="{call}",result="ok"}}') or 0
                       for call in ("query", "wait", "overview"))
        cpu, asked, begin = cpu_seconds(agent.pid), queries(), time.monotonic()
        most, deadline = 0, begin + WINDOW
        while time.monotonic() < deadline:  # a measurement, not a wait
            most = max(most, connections(agent.pid, port))
            time.sleep(0.5)
        took = time.monotonic() - begin
        share = (cpu_seconds(agent.pid) - cpu) / took
        rate = (queries() - asked) / took / WATCHES
        stale = staleness(agent)
        print(f"at rest: {share:.2%} of a core, {rate:.3f} requests/s per watch, {most} connections, "
              f"{stale.count(0)} watches wait, the others see a change within {max(stale):.0f} s")
        self.assertLessEqual(most, 64)
        self.assertLess(rate, 0.095)
        self.assertLess(share, 0.1)  # the goal is 1 % with an optimised build; one for debugging takes seven times as much
        self.assertLessEqual(max(stale), 10)
        self.assertGreaterEqual(stale.count(0), 40)

    def latency(self, agent):
        name = next(line.split('"')[1] for line in agent.get("/metrics").text.splitlines()
                    if line.startswith("containerpilot_watch_staleness_seconds{") and not line.endswith(" 0"))
        changes = lambda: agent.log.count(f"watch '{name}' changed")
        known = changes()
        body = {"ID": "other", "Name": name, "Port": 9, "Address": "127.0.0.1", "Check": {"TTL": "60s", "Status": "passing"}}
        begin = time.monotonic()
        self.assertEqual(self.ask("PUT", "/v1/agent/service/register", body).status, 200)
        harness.until(lambda: changes() == known + 1, "the change of a watch that takes turns", timeout=12)
        first = time.monotonic() - begin
        self.assertLess(first, 10.5)
        # It has a place now: its next change is seen at once.
        begin = time.monotonic()
        self.assertEqual(self.ask("PUT", "/v1/agent/service/deregister/other").status, 200)
        harness.until(lambda: changes() == known + 2, "the change of a watch that waits", timeout=5)
        second = time.monotonic() - begin
        print(f"a change is seen after {first:.2f} s in turn, after {second * 1000:.0f} ms by a query that waits")
        self.assertLess(second, 1)


if __name__ == "__main__":
    harness.main()
