#!/usr/bin/env python3
"""Jobs that depend on something: on the catalog that is one of them, on a watch, on each other, and on who listens."""
import json
import os
import shutil
import signal
import subprocess
import unittest

import harness

STAY = {"name": "stay", "exec": ["sleep", "1000"]}

# Runs the catalog given as arguments outside its own group, so that it outlives the stop signal for a last question.
CATALOG = """#!/bin/sh
while [ ! -e go ]; do sleep 0.02; done
trap 'python3 ask.py >entries.new; mv entries.new entries; kill $child' TERM
setsid "$@" >/dev/null 2>&1 &
child=$!
while kill -0 $child; do wait; done
"""
ASK = """import sys, urllib.request
print(urllib.request.urlopen("http://%s/v1/agent/services", timeout=5).read().decode())
"""


class CatalogAsJob(unittest.TestCase):
    def own_catalog(self, address, command):
        config = {"consul": address, "telemetry": {}, "logging": {"format": "json"}, "jobs": [
            {"name": "catalog", "exec": ["./catalog.sh", *command], "restarts": "unlimited"},
            {"name": "web", "exec": ["sleep", "1000"], "port": 80, "interfaces": ["static:127.0.0.1"],
             "health": {"exec": ["true"], "interval": 1, "ttl": 10}}]}

        def services():
            return {entry["Service"] for entry in harness.http_call(f"http://{address}/v1/agent/services").json.values()} - {"consul"}
        with harness.Agent(config, files={"catalog.sh": CATALOG, "ask.py": ASK % address}) as agent:
            agent.wait_log("'web' is healthy")
            failed = 'containerpilot_catalog_calls_total{call="register",result="error"}'
            harness.until(lambda: (agent.metric(failed) or 0) >= 3, "three attempts", timeout=20)
            entries = [json.loads(line) for line in agent.log.splitlines() if line.startswith("{")]
            self.assertEqual([entry for entry in entries if entry["level"] != "info"], [], "not up yet is no news")
            (agent.folder / "go").touch()
            harness.until(lambda: services() is not None, "the catalog", timeout=20)
            # Not at the next beat or retry some time later, but now; a Consul that elects itself first may take its time.
            harness.until(lambda: services() == {"web", "containerpilot"}, "both entries", timeout=3)
            agent.stop()
            self.assertEqual(set(json.loads((agent.folder / "entries").read_text())) - {"consul"}, set(),
                             "the catalog was signalled before every entry was out")

    @unittest.skipUnless(shutil.which("consul"), "no consul on the PATH")
    def test_a_real_consul(self):
        http, dns, lan, wan, server = harness.free_ports(5)
        ports = f"ports {{ http = {http} dns = {dns} serf_lan = {lan} serf_wan = {wan} server = {server} }}"
        self.own_catalog(f"127.0.0.1:{http}", ["consul", "agent", "-dev", "-bind=127.0.0.1", "-hcl", ports])

    def test_the_agents_own(self):
        address = f"127.0.0.1:{harness.free_port()}"
        self.own_catalog(address, [harness.BINARY, "-catalog", "-listen", address])


class WhatAWatchTells(unittest.TestCase):
    def test_the_job_finds_the_change_in_its_environment_and_as_a_file(self):
        report = ("echo \"told of $CONTAINERPILOT_WATCH: now [$CONTAINERPILOT_WATCH_HEALTHY] new [$CONTAINERPILOT_WATCH_ADDED] "
                  "gone [$CONTAINERPILOT_WATCH_REMOVED].\"; cp $CONTAINERPILOT_WATCH_FILE told.new; mv told.new told")
        one, two, six = ("db-1", "192.0.2.1", 5432), ("db-2", "192.0.2.2", 5432), ("db-6", "2001:db8::6", 5432)
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [
                STAY, {"name": "on-change", "exec": ["sh", "-c", report], "when": {"source": "watch.db", "each": "changed"}}],
                "watches": [{"name": "db", "interval": 1}]}) as agent:
            consul.wait_for("GET", "/v1/health/service/db")
            consul.set_service("db", [one, two])
            agent.wait_log(r"told of db: now \[192.0.2.1:5432 192.0.2.2:5432\] new \[192.0.2.1:5432 192.0.2.2:5432\] gone \[\]\.")
            consul.set_service("db", [two, six])
            agent.wait_log(r"told of db: now \[192.0.2.2:5432 \[2001:db8::6\]:5432\] new \[\[2001:db8::6\]:5432\] gone \[192.0.2.1:5432\]\.")
            told = json.loads(agent.wait_file("told", contains="db-6"))
            self.assertEqual(told["watch"], "db")
            self.assertEqual({kind: [instance["id"] for instance in told[kind]] for kind in ("healthy", "added", "removed")},
                             {"healthy": ["db-2", "db-6"], "added": ["db-6"], "removed": ["db-1"]})
            self.assertEqual(told["added"][0]["address"], "2001:db8::6")


    def test_a_burst_is_told_as_one_change(self):
        report = "echo \"told: now [$CONTAINERPILOT_WATCH_HEALTHY] new [$CONTAINERPILOT_WATCH_ADDED] gone [$CONTAINERPILOT_WATCH_REMOVED].\""
        one, two = ("db-1", "192.0.2.1", 5432), ("db-2", "192.0.2.2", 5432)
        with harness.Consul() as consul, harness.Agent({"consul": consul.address, "jobs": [
                STAY, {"name": "on-change", "exec": ["sh", "-c", report],
                       "when": {"source": "watch.db", "each": "changed", "debounce": "2s"}}],
                "watches": [{"name": "db", "interval": 1}]}) as agent:
            consul.wait_for("GET", "/v1/health/service/db")
            consul.set_service("db", [one])
            agent.wait_log(r"told: now \[192.0.2.1:5432\] new \[192.0.2.1:5432\] gone \[\]\.")
            consul.set_service("db", [one, two])
            agent.wait_log("'db' changed: 1 -> 2 instances")
            consul.set_service("db", [two])
            agent.wait_log("'db' changed: 2 -> 1 instances")
            agent.wait_log(r"told: now \[192.0.2.2:5432\] new \[192.0.2.2:5432\] gone \[192.0.2.1:5432\]\.")


class StopOrder(unittest.TestCase):
    def test_who_was_started_by_anothers_health_goes_first(self):
        slow = "trap 'echo %s is told; sleep 0.2; echo %s is gone; exit' TERM; echo %s runs; while :; do sleep 0.02; done"
        jobs = [
            {"name": "app", "exec": ["sh", "-c", slow.replace("%s", "app")], "when": {"source": "proxy", "once": "healthy"}},
            {"name": "proxy", "exec": ["sh", "-c", slow.replace("%s", "proxy")], "when": {"source": "db", "once": "healthy"},
             "health": {"exec": "true", "interval": 1}},
            {"name": "db", "exec": ["sh", "-c", slow.replace("%s", "db")], "health": {"exec": "true", "interval": 1}}]
        with harness.Agent({"jobs": jobs}) as agent:
            agent.wait_log("app runs")
            agent.stop()
            said = [agent.log.index(f"{job} is {what}") for job in ("app", "proxy", "db") for what in ("told", "gone")]
            self.assertEqual(said, sorted(said), agent.log)


class Follow(unittest.TestCase):
    def test_every_line_from_now_on_over_restarts(self):
        with harness.Agent({"jobs": [STAY, {
                "name": "talk", "restarts": "unlimited", "exec": ["sh", "-c", "read line <orders; echo said $line; echo error $line >&2"]}]}) as agent:
            os.mkfifo(agent.folder / "orders")

            def order(word):
                with open(agent.folder / "orders", "w", encoding="utf-8") as orders:
                    orders.write(word + "\n")
                agent.wait_log(f"error {word}")
            agent.wait_ready()
            order("before")
            with subprocess.Popen([harness.BINARY, "-socket", agent.socket, "-follow", "talk"], stdout=subprocess.PIPE,
                                  text=True) as follower:
                # What is said before it is connected is not for it.
                first = None
                for number in range(1000):
                    order(f"try{number}")
                    os.set_blocking(follower.stdout.fileno(), False)
                    if (first := follower.stdout.readline()):
                        break
                os.set_blocking(follower.stdout.fileno(), True)
                self.assertRegex(first, r"^(said|error) try\d+\n$")
                for word in ("one", "two", "three"):
                    order(word)
                lines = []
                while "error three\n" not in lines or "said three\n" not in lines:
                    lines.append(follower.stdout.readline())
                    self.assertTrue(lines[-1], lines)
                kept = [line for line in lines if "try" not in line]
                self.assertEqual(sorted(kept), sorted(f"{kind} {word}\n" for word in ("one", "two", "three")
                                                      for kind in ("said", "error")))
                agent.stop(signal.SIGTERM)
                self.assertEqual(follower.stdout.read(), "")
                follower.wait(10)

    def test_a_job_that_is_not_there(self):
        with harness.Agent({"jobs": [STAY]}) as agent:
            agent.wait_ready()
            done = agent.command("-socket", agent.socket, "-follow", "nobody")
            self.assertEqual(done.returncode, 1)
            self.assertIn("stay", done.stderr + done.stdout, "says what there is")


if __name__ == "__main__":
    harness.main()
