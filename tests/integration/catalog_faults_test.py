#!/usr/bin/env python3
"""A whole agent whose catalog has a thousand troubles: the application never notices, and in the end every entry is true."""
import random
import socket
import struct
import subprocess
import threading
import time
import unittest

import harness

FAULTS = 1000
SERVICES = 20
HEAD = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 9\r\nContent-Length: "
CANNED = {
    "half": HEAD + b"100\r\n\r\n[{\"No",
    "sick": b"HTTP/1.1 500 Sick\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsick",
    "nonsense": HEAD + b"15\r\nConnection: close\r\n\r\n[{\"Service\": 7}]",
    "huge": HEAD + b"104857600\r\n\r\n" + b"[" * (16 << 20),
}


class Proxy:
    """Passes connections on to a port of this machine, or does to new ones what `fault` says."""

    def __init__(self, port):
        self.fault, self._port, self._open = None, port, set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()
        self.reset_all()

    def reset_all(self):
        for client in list(self._open):
            self._reset(client)

    def _reset(self, client):
        self._open.discard(client)
        try:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.shutdown(socket.SHUT_RDWR)
            client.close()
        except OSError:
            pass  # gone already

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(client)
            threading.Thread(target=self._serve, args=(client, self.fault), daemon=True).start()

    def _serve(self, client, fault):
        try:
            if fault is None:
                with socket.create_connection(("127.0.0.1", self._port)) as server:
                    threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
                    self._pump(server, client)
            elif fault != "reset":
                client.recv(65536)
                if fault == "hang":
                    client.recv(65536)
                elif fault == "slow":
                    for byte in HEAD + b"2\r\n\r\n[]":
                        client.sendall(bytes([byte]))
                        time.sleep(0.02)  # that is the fault
                else:
                    client.sendall(CANNED[fault])
        except OSError:
            pass
        self._reset(client)

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class CatalogFaults(unittest.TestCase):
    def start_catalog(self):
        self.catalog = subprocess.Popen([harness.BINARY, "-catalog", "-listen", f"127.0.0.1:{self.port}"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop_catalog(self):
        self.catalog.kill()
        self.catalog.wait()

    def passing(self):
        checks = harness.http_call(f"http://127.0.0.1:{self.port}/v1/agent/checks").json
        return sum(check["Status"] == "passing" for check in checks.values())

    def test_a_thousand_of_them_leave_the_application_alone(self):
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        self.port = harness.free_port()
        self.start_catalog()
        self.addCleanup(self.stop_catalog)
        proxy = Proxy(self.port)
        self.addCleanup(proxy.close)
        jobs = [{"name": f"service-{i}", "port": 1000 + i, "interfaces": ["static:127.0.0.1"],
                 "health": {"interval": 1, "ttl": 5}} for i in range(SERVICES)]
        config = {"consul": proxy.address, "telemetry": {}, "watches": [{"name": f"service-{i}", "interval": 1} for i in range(SERVICES)],
                  "jobs": [{"name": "app", "exec": ["sleep", "1000"], "port": 80, "interfaces": ["static:127.0.0.1"],
                            "health": {"exec": ["true"], "interval": 1, "ttl": 5}}, *jobs]}
        with self.subTest(seed=seed), harness.Agent(config) as agent:
            agent.wait_log("'app' is healthy")
            app = lambda: {job["Name"]: (job.get("Pid"), job.get("Starts")) for job in agent.get("/status").json["Services"]}.get("app")
            running = lambda: (app() or (None,))[0]  # /status may be from before the start
            harness.until(running, "the application's status")
            before = app()
            for i in range(FAULTS):
                if i % 50 == 0:  # in an outage few troubles are met: let it end now and then
                    proxy.fault = None
                    harness.until(lambda: agent.metric("containerpilot_catalog_up") == 1, "the end of an outage", timeout=20)
                what = dice.randrange(12)
                if what == 0:
                    self.stop_catalog()
                    self.start_catalog()
                elif what == 1:
                    proxy.reset_all()
                else:
                    proxy.fault = dice.choice([*CANNED, "hang", "slow", "reset"])
                time.sleep(dice.uniform(0.001, 0.02))  # the next trouble comes at any moment
                if dice.randrange(3) == 0:
                    proxy.fault = None
            proxy.fault = None
            harness.until(lambda: self.passing() == SERVICES + 2, "every entry", timeout=45, interval=0.2)
            harness.until(lambda: [agent.metric(f'containerpilot_watch_instances{{service="service-{i}"}}')
                                   for i in range(SERVICES)] == [1] * SERVICES, "every watch", timeout=45, interval=0.2)
            self.assertEqual(app(), before, "the application was touched")
            turns = dict(line.removeprefix("containerpilot_loop_turn_duration_seconds").rsplit(" ", 1)
                         for line in agent.get("/metrics").text.splitlines() if line.startswith("containerpilot_loop_turn_duration_seconds"))
            late = int(turns["_count"]) - int(turns['_bucket{le="0.1"}'])
            print(f"{FAULTS} faults, {agent.log.count('does not answer')} warnings: {turns['_count']} turns of the loop took "
                  f"{float(turns['_sum']):.2f} s, {late} of them more than 100 ms")
            self.assertLess(late, int(turns["_count"]) / 50)  # a busy machine takes its share; a loop that blocks would be late each time
            self.assertEqual(agent.stop(timeout=10), 0)


if __name__ == "__main__":
    harness.main()
