#!/usr/bin/env python3
"""What Consul gets to see, byte for byte where 3.8.0's bodies were recorded (spec v3, section 5.2)."""
import socket
import unittest

import harness

HOST = socket.gethostname()


def service(**more):
    return {"name": "web", "exec": ["sleep", "1000"], "port": 8000, "interfaces": ["static:192.0.2.7"],
            "health": {"exec": ["true"], "interval": 1, "ttl": 5}, **more}


class Wire(unittest.TestCase):
    def test_register_as_3_8_0_wrote_it(self):
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [service(
                tags=["a", "b"], consul={"enableTagOverride": True, "deregisterCriticalServiceAfter": "10m"})]}):
            call = consul.wait_for("PUT", "/v1/agent/service/register")
        self.assertEqual(call.json, {
            "ID": f"web-{HOST}", "Name": "web", "Tags": ["a", "b"], "Port": 8000, "Address": "192.0.2.7",
            "EnableTagOverride": True,
            "Check": {"TTL": "5s", "Status": "passing", "Notes": "TTL for web set by containerpilot",
                      "DeregisterCriticalServiceAfter": "10m"},
            "Checks": None})
        self.assertTrue(call.body.endswith(b"\n"))

    def test_nothing_is_registered_before_the_first_passing_check(self):
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [service(
                health={"exec": ["test", "-e", "ok"], "interval": 1, "ttl": 5})]}) as agent:
            agent.wait_ready()
            self.assertEqual(consul.seen("PUT", "/v1/agent/service/register"), [])
            (agent.folder / "ok").touch()
            consul.wait_for("PUT", "/v1/agent/service/register")

    def test_initial_status_registers_at_once(self):
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [service(
                initial_status="critical", health={"exec": ["false"], "interval": 60, "ttl": 90})]}):
            call = consul.wait_for("PUT", "/v1/agent/service/register", timeout=5)
        self.assertEqual(call.json["Check"]["Status"], "critical")

    def test_each_passing_check_is_a_beat(self):
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [service()]}):
            call = consul.wait_for("PUT", f"/v1/agent/check/update/service:web-{HOST}", count=2)
        self.assertEqual(call.json, {"Status": "passing", "Output": "ok"})

    def test_a_failing_check_is_critical_at_once(self):  # 3.8.0 let the TTL run out (D26)
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [service(
                health={"exec": ["./check.sh"], "interval": 1, "ttl": 60, "failureThreshold": 1})]},
                files={"check.sh": "#!/bin/sh\ntest ! -e broken || { echo disk is full; exit 1; }\n"}) as agent:
            consul.wait_for("PUT", "/v1/agent/service/register")
            (agent.folder / "broken").touch()
            beats = harness.until(
                lambda: [c for c in consul.seen("PUT", "/v1/agent/check/update/") if c.json["Status"] == "critical"],
                "a critical beat")
            self.assertIn("disk is full", beats[0].json["Output"])

    def test_deregister_at_the_end(self):
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [service()]}) as agent:
            consul.wait_for("PUT", "/v1/agent/service/register")
            agent.stop()
            call = consul.wait_for("PUT", f"/v1/agent/service/deregister/web-{HOST}")
            self.assertEqual(call.body, b"")

    def test_every_call_carries_the_token_and_no_log_line_does(self):
        with harness.Consul() as consul, harness.Agent({
                "consul": {"address": consul.address, "token": "sesame-sesame"}, "logging": {"level": "debug"},
                "jobs": [service()], "watches": [{"name": "db", "interval": 1}]}) as agent:
            consul.wait_for("PUT", "/v1/agent/check/update/")
            consul.wait_for("GET", "/v1/health/service/db")
            agent.stop()
            for call in consul.calls:
                self.assertEqual(call.headers.get("X-Consul-Token"), "sesame-sesame", call)
            self.assertNotIn("sesame", agent.log)

    def test_a_watch_asks_for_passing_instances_by_tag_and_datacenter(self):
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [
                {"name": "stay", "exec": ["sleep", "1000"]}],
                "watches": [{"name": "db", "interval": 1, "tag": "primary", "dc": "east"}]}):
            call = consul.wait_for("GET", "/v1/health/service/db")
        self.assertEqual({key: call.query.get(key) for key in ("passing", "tag", "dc")},
                         {"passing": "1", "tag": "primary", "dc": "east"})

    def test_a_change_starts_the_jobs_that_wait_for_it(self):
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [
                {"name": "stay", "exec": ["sleep", "1000"]},
                {"name": "changed", "exec": ["echo", "db has changed"], "when": {"source": "watch.db", "each": "changed"}},
                {"name": "gone", "exec": ["echo", "db is gone"], "when": {"source": "watch.db", "each": "unhealthy"}}],
                "watches": [{"name": "db", "interval": 1}]}) as agent:
            consul.wait_for("GET", "/v1/health/service/db")
            consul.set_service("db", [("db-1", "192.0.2.9", 5432)])
            agent.wait_log("db has changed", timeout=3)
            consul.set_service("db", [])
            agent.wait_log("db is gone", timeout=3)

    def test_after_consul_forgot_us_we_register_again(self):  # 3.8.0 never did (D14)
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [service()]}):
            consul.wait_for("PUT", "/v1/agent/check/update/")
            known = len(consul.seen("PUT", "/v1/agent/service/register"))
            consul.refuse = lambda call: (
                500 if call.path.startswith("/v1/agent/check/update/")
                and len(consul.seen("PUT", "/v1/agent/service/register")) == known else None)
            consul.wait_for("PUT", "/v1/agent/service/register", count=known + 1)

    def test_after_maintenance_the_service_comes_back(self):  # 3.8.0 lost it for ever (D11)
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [service()]}) as agent:
            consul.wait_for("PUT", "/v1/agent/service/register")
            agent.control("POST", "/v3/maintenance/enable")
            consul.wait_for("PUT", "/v1/agent/service/deregister/")
            known = len(consul.seen("PUT", "/v1/agent/service/register"))
            agent.control("POST", "/v3/maintenance/disable")
            consul.wait_for("PUT", "/v1/agent/service/register", count=known + 1)


class DeadCatalog(unittest.TestCase):
    def test_one_that_accepts_and_never_answers_harms_nobody(self):  # 3.8.0 hung for ever (D6)
        with socket.create_server(("127.0.0.1", 0), backlog=64) as hole:
            with harness.Agent({"consul": f"127.0.0.1:{hole.getsockname()[1]}", "telemetry": {}, "jobs": [
                    service(initial_status="passing"),
                    {"name": "tick", "exec": ["echo", "tick"], "when": {"interval": "100ms"}}],
                    "watches": [{"name": "db", "interval": 1}]}) as agent:
                agent.wait_log("tick", count=10)
                self.assertEqual(agent.get("/metrics").status, 200)
                agent.stop(timeout=10)

    def test_none_at_all_harms_nobody(self):
        with harness.Agent({"consul": f"127.0.0.1:{harness.free_port()}", "telemetry": {}, "jobs": [
                service(initial_status="passing"),
                {"name": "tick", "exec": ["echo", "tick"], "when": {"interval": "100ms"}}]}) as agent:
            agent.wait_log("tick", count=10)
            self.assertEqual(agent.stop(timeout=5), 0)


if __name__ == "__main__":
    harness.main()
