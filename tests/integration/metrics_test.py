#!/usr/bin/env python3
"""What the telemetry port says: names are API (telemetry/README.md lists them), and what it refuses."""
import http.client
import json
import pathlib
import re
import socket
import ssl
import subprocess
import unittest

import harness
from harness.busy_agent import busy_agent

AGENT_README = pathlib.Path(__file__).resolve().parents[2] / "agent/README.md"
README = pathlib.Path(__file__).resolve().parents[2] / "telemetry/README.md"
SLEEP = ["sleep", "1000"]
STAY = {"name": "stay", "exec": SLEEP}
# What one agent with a bit of everything must show; the golden list holds more (what has not happened yet).
ALWAYS = """
    containerpilot_build_info containerpilot_start_time_seconds
    containerpilot_job_state containerpilot_job_starts_total containerpilot_job_restarts_total
    containerpilot_job_exits_total containerpilot_job_run_duration_seconds containerpilot_job_crash_loop
    containerpilot_job_healthy containerpilot_checks_total containerpilot_check_duration_seconds
    containerpilot_watch_instances containerpilot_watch_changes_total containerpilot_watch_staleness_seconds
    containerpilot_watch_last_answer_timestamp_seconds
    containerpilot_catalog_up containerpilot_catalog_calls_total containerpilot_catalog_call_duration_seconds
    containerpilot_registered containerpilot_loop_turn_duration_seconds containerpilot_loop_timer_lag_seconds
    containerpilot_loop_timers containerpilot_orphans_reaped_total
    containerpilot_bus_events_total containerpilot_control_requests_total containerpilot_reloads_total
    containerpilot_last_reload_timestamp_seconds containerpilot_last_reload_success containerpilot_maintenance
    containerpilot_log_lines_total containerpilot_log_dropped_total containerpilot_log_suppressed_total
    containerpilot_scrapes_total containerpilot_scrape_duration_seconds containerpilot_scrape_size_bytes
    containerpilot_sensor_runs_total containerpilot_sensor_run_duration_seconds containerpilot_sensor_up
    containerpilot_sensor_last_success_timestamp_seconds containerpilot_sensor_stale containerpilot_sensor_series
    containerpilot_sensor_series_dropped_total containerpilot_sensor_interval_seconds
    containerpilot_sensor_timeout_seconds containerpilot_pushes_total
    containerpilot_scaling_value containerpilot_scaling_target containerpilot_scaling_ratio
    containerpilot_scaling_input_age_seconds containerpilot_scaling_instances containerpilot_scaling_raw_desired
    containerpilot_scaling_desired containerpilot_scaling_active containerpilot_scaling_held
    containerpilot_events containerpilot_control_http_requests http_requests_total
    process_cpu_seconds_total process_open_fds process_max_fds process_resident_memory_bytes
    process_virtual_memory_bytes process_start_time_seconds process_threads
""".split()


def golden():
    """Family -> (type, label names), as the reference page has them."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) ?\| .+\|$", README.read_text(encoding="utf-8"), re.M)
    return {name: (kind, {label.strip() for label in labels.split(",") if label.strip()}) for name, kind, labels in rows}


def families(text):
    """Family -> (type, label names seen), from an exposition in text format."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    found = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.M):
        for suffix in ("", "_bucket", "_sum", "_count"):
            family = name[:len(name) - len(suffix)] if suffix and name.endswith(suffix) else name
            if family in types:
                break
        else:
            family = name
        seen = found.setdefault(family, (types.get(family, "untyped"), set()))[1]
        seen.update(set(re.findall(r'(\w+)="', labels)) - {"le", "quantile"})
    return found


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=agent"],
                   cwd=folder, check=True, capture_output=True)


def https(folder, port, path, token=None):
    """Status and body."""
    context = ssl.create_default_context(cafile=folder / "cert.pem")
    context.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


class Names(unittest.TestCase):
    def test_a_live_scrape_shows_what_the_reference_lists(self):
        config = {
            "catalog": {"embedded": {"listen": f"127.0.0.1:{harness.free_port()}"}},
            "jobs": [{"name": "web", "exec": SLEEP, "port": 80, "interfaces": ["static:127.0.0.1"],
                      "health": {"exec": ["true"], "interval": 1, "ttl": 5}},
                     {"name": "once", "exec": ["true"]}],
            "watches": [{"name": "web", "interval": 1}],
            "sensors": [{"name": "load", "help": "Load.", "exec": ["echo", "30"], "interval": "100ms", "timeout": "1s"}],
            "scaling": [{"service": "web", "min": 1, "max": 9,
                         "triggers": [{"metric": "load", "target": 10, "scope": "instance"}]}],
            "telemetry": {"metrics": [{"name": "pushed", "help": "Pushed.", "type": "gauge"}]}}
        with harness.Agent(config) as agent:
            agent.wait_ready()
            agent.control("POST", "/v3/metric", {"pushed": "4"})

            def complete():
                found = families(agent.get("/metrics").text)
                missing = [name for name in ALWAYS if name not in found]
                self.last = missing
                return None if missing else found
            try:
                found = harness.until(complete, "every family", timeout=20)
            except AssertionError:
                self.fail(f"not shown: {self.last}")
        known = golden()
        self.assertGreater(len(known), 60)
        for name, (kind, labels) in found.items():
            if name in ("load", "pushed"):
                continue
            with self.subTest(name):
                self.assertIn(name, known)
                self.assertTrue({"job", "instance"}.isdisjoint(labels), labels)
                self.assertLessEqual(labels, known[name][1])
                if kind != "untyped":
                    self.assertEqual(kind, known[name][0])


    def test_a_refused_reload_leaves_the_port_as_it_was(self):
        with harness.Agent({"jobs": [STAY], "telemetry": {}}) as agent:
            agent.wait_ready()
            agent.write_config({"jobs": [STAY], "telemetry": {"token": "secret"},
                                "logging": {"output": str(agent.folder / "missing" / "agent.log")}})
            self.assertEqual(agent.control("POST", "/v3/reload").status, 422)
            self.assertEqual(agent.get("/metrics").status, 200)

    def test_a_job_that_a_reload_replaced_is_counted_on(self):
        with harness.Agent({"jobs": [STAY], "telemetry": {}}) as agent:
            starts = lambda: agent.metric('containerpilot_job_starts_total{name="stay"}')
            harness.until(lambda: starts() == 1, "the first start")
            agent.write_config({"jobs": [{**STAY, "exec": ["sleep", "1001"]}], "telemetry": {}})
            self.assertEqual(agent.control("POST", "/v3/reload").status, 200)
            harness.until(lambda: starts() == 2, "the second start")

    def test_a_metric_may_take_over_the_name_of_a_sensor_and_give_it_back(self):
        sensor = {"sensors": [{"name": "depth", "file": "depth", "interval": "1s"}], "telemetry": {}}
        metric = {"telemetry": {"metrics": [{"name": "depth", "help": "Depth.", "type": "gauge"}]}}
        with harness.Agent({"jobs": [STAY], **sensor}, files={"depth": "4"}) as agent:
            harness.until(lambda: agent.metric("depth") == 4, "what the sensor says")
            agent.write_config({"jobs": [STAY], **metric})
            self.assertEqual(agent.control("POST", "/v3/reload").status, 200)
            self.assertEqual(agent.command("-putmetric", "depth=3", "-socket", agent.socket).returncode, 0)
            self.assertEqual(agent.metric("depth"), 3)
            agent.write_config({"jobs": [STAY], **sensor})
            self.assertEqual(agent.control("POST", "/v3/reload").status, 200)
            harness.until(lambda: agent.metric("depth") == 4, "what the sensor says again")

    def test_what_a_reload_removes_is_no_longer_shown(self):
        catalog = {"embedded": {"listen": f"127.0.0.1:{harness.free_port()}"}}
        gone = {"name": "gone", "exec": SLEEP, "port": 81, "interfaces": ["static:127.0.0.1"],
                "health": {"exec": ["true"], "interval": 1, "ttl": 5}}
        config = {"catalog": catalog, "telemetry": {}, "jobs": [{"name": "stay", "exec": SLEEP}, gone],
                  "watches": [{"name": "gone", "interval": 1}]}
        with harness.Agent(config) as agent:
            agent.wait_ready()
            # The events that were stay counted.
            shown = lambda: {line for line in agent.get("/metrics").text.splitlines()
                             if '"gone"' in line and not line.startswith("containerpilot_events{")}
            for label in ("containerpilot_registered{service=", "containerpilot_watch_instances{service=",
                          "containerpilot_checks_total{name=", "containerpilot_job_state{name="):
                harness.until(lambda: any(line.startswith(label) for line in shown()), label)
            agent.write_config({**config, "jobs": config["jobs"][:1], "watches": []})
            agent.control("POST", "/v3/reload")
            harness.until(lambda: not shown(), "its series to go")


# Told only in rare states; other tests bring some of them about.
RARELY = {("Jobs", "Note"), ("Jobs", "Ready"), ("Jobs", "SuppressedLines"), ("Check", "Reason"), ("Check", "Output"),
          ("Check", "FailuresInARow"), ("Why", "detail"), ("Entries", "Withdrawn"), ("Entries", "Error"), ("WatchDetails", "Error")}


def json_paths(node, where="top"):
    """(where, key) of everything below, list or not; the names of series are nobody's keys."""
    found = set()
    for item in node if isinstance(node, list) else [node]:
        for key, value in item.items():
            found.add(({"Services": "Jobs"}.get(where, where), key))
            if key not in ("Series", "Watches") and isinstance(value, (dict, list)):
                found |= json_paths(value, key)
    return found


class Paths(unittest.TestCase):
    def documented(self, readme, heading):
        text = readme.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
        return {("Jobs" if where == "Services" else where, key) for where, keys in
                re.findall(r"^\| `?(\w+)(?:\[\])?`? \| (.+) \|$", text, re.M) for key in re.findall(r"`(\w+)`", keys)}

    def test_of_the_status_are_the_ones_the_readme_lists(self):
        listed = self.documented(AGENT_README, "`/status`")
        self.assertGreater(len(listed), 50)
        with busy_agent() as agent:
            seen = set()

            def all_seen():
                seen.update(json_paths(agent.get("/status").json))
                return listed - RARELY <= seen
            try:
                harness.until(all_seen, "every path", timeout=30)
            except AssertionError:
                self.fail(f"not shown: {listed - RARELY - seen}")
        self.assertLessEqual(seen, listed)


class Targets(unittest.TestCase):
    def test_say_how_each_port_is_to_be_scraped(self):
        for catalog in ("none", {"embedded": {"listen": f"127.0.0.1:{harness.free_port()}"}}):
            port = harness.free_port()
            agent = harness.Agent({"catalog": catalog, "jobs": [{"name": "stay", "exec": SLEEP}], "telemetry": {
                "port": port, "listen": "0.0.0.0", "interfaces": ["static:127.0.0.1"], "metricsPath": "/numbers",
                "tls": {"cert": "cert.pem", "key": "key.pem"}}})
            make_certificate(agent.folder)
            with agent, self.subTest(catalog):
                ask = lambda: https(agent.folder, port, "/sd/prometheus")[1]
                target = harness.until(lambda: json.loads(ask()), "a target")[0]
                self.assertEqual(target["targets"], [f"127.0.0.1:{port}"])
                self.assertEqual(target["labels"]["__scheme__"], "https")
                self.assertEqual(target["labels"]["__metrics_path__"], "/numbers")


class Entry(unittest.TestCase):
    def test_it_is_registered_beats_and_leaves_first(self):
        with harness.Consul() as consul:
            config = {"consul": consul.address, "telemetry": {"tags": ["edge"]}, "jobs": [
                {"name": "web", "exec": SLEEP, "port": 80, "interfaces": ["static:127.0.0.1"],
                 "health": {"exec": ["true"], "interval": 1, "ttl": 5}}]}
            with harness.Agent(config) as agent:
                host = socket.gethostname()
                known = lambda name: [c for c in consul.seen("PUT", "/v1/agent/service/register") if c.json["Name"] == name]
                call = harness.until(lambda: known("containerpilot"), "the telemetry entry")[0]
                self.assertEqual(call.json["ID"], f"containerpilot-{host}")
                self.assertEqual(call.json["Check"]["TTL"], "15s")
                self.assertEqual(call.json["Tags"][0], "edge")
                self.assertEqual(call.json["Meta"], {"metrics_path": "/metrics", "version": call.json["Tags"][-1]})
                harness.until(lambda: known("web"), "the job's entry")
                beat = consul.wait_for("PUT", f"/v1/agent/check/update/service:containerpilot-{host}", timeout=15)
                self.assertEqual(beat.json, {"Status": "passing", "Output": "ok"})
                agent.stop()
            left = [c.path.rsplit("/", 1)[1] for c in consul.seen("PUT", "/v1/agent/service/deregister/")]
            self.assertEqual(left, [f"containerpilot-{host}", f"web-{host}"])


class Pages(unittest.TestCase):
    def test_a_sensors_page_never_makes_a_value_up(self):
        with harness.Agent({"jobs": [{"name": "stay", "exec": SLEEP}], "telemetry": {}, "sensors": [
                {"name": "queue", "help": "Queue.", "exec": ["./queue.sh"], "interval": "100ms", "timeout": "1s",
                 "staleAfter": "300ms"}]}, files={"queue.sh": "#!/bin/sh\ncat value\n"}) as agent:
            agent.wait_ready()
            refused = harness.until(lambda: (r := agent.get("/sensors/queue")).status == 503 and r, "a 503")
            self.assertNotIn('"value"', refused.text)
            (agent.folder / "value").write_text("7\n")
            good = harness.until(lambda: (r := agent.get("/sensors/queue")).status == 200 and r, "a value")
            self.assertEqual(good.json["value"], 7)
            (agent.folder / "value").unlink()
            harness.until(lambda: agent.get("/sensors/queue").status == 503, "a stale value to go")
            self.assertEqual(agent.get("/sensors/other").status, 404)
            self.assertEqual([s["name"] for s in agent.get("/sensors").json["sensors"]], ["queue"])

    def test_four_listen_to_events_and_the_fifth_is_sent_away(self):
        with harness.Agent({"jobs": [{"name": "stay", "exec": SLEEP}], "telemetry": {}}) as agent:
            agent.wait_ready()
            port = agent.telemetry_port()
            listeners = []
            for _ in range(4):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/events")
                listeners.append((connection, connection.getresponse()))
            self.assertEqual([answer.status for _, answer in listeners], [200] * 4)
            fifth = agent.get("/events")
            self.assertEqual((fifth.status, bool(fifth.headers["Retry-After"])), (503, True))
            self.assertEqual(agent.get("/metrics").status, 200)
            for connection, _ in listeners:
                connection.close()

    def test_a_catalog_outage_is_none_of_the_probes_business(self):
        with harness.Agent({"consul": f"127.0.0.1:{harness.free_port()}", "telemetry": {}, "jobs": [
                {"name": "web", "exec": SLEEP, "port": 80, "interfaces": ["static:127.0.0.1"],
                 "health": {"exec": ["test", "!", "-e", "sick"], "interval": "100ms", "ttl": 5, "failureThreshold": 1}}],
                "watches": [{"name": "db", "interval": 1}]}) as agent:
            agent.wait_ready()
            harness.until(lambda: agent.get("/readyz").status == 200, "readiness without a catalog")
            self.assertEqual(agent.get("/healthz").status, 200)
            (agent.folder / "sick").touch()
            refused = harness.until(lambda: (r := agent.get("/readyz")).status == 503 and r, "no readiness")
            self.assertIn("web", refused.text)
            self.assertEqual(agent.get("/healthz").status, 200)
            (agent.folder / "sick").unlink()
            harness.until(lambda: agent.get("/readyz").status == 200, "readiness again")
            agent.control("POST", "/v3/maintenance/enable")
            harness.until(lambda: agent.get("/readyz").status == 503, "maintenance")
            self.assertIn("maintenance", agent.get("/readyz?verbose").text)


class Scaling(unittest.TestCase):
    def test_counts_all_instances_even_if_a_watch_wants_some(self):
        catalog = f"127.0.0.1:{harness.free_port()}"
        with harness.Agent({
                "catalog": {"embedded": {"listen": catalog}}, "telemetry": {},
                "jobs": [{"name": "web", "exec": SLEEP, "port": 80, "interfaces": ["static:127.0.0.1"], "tags": ["blue"],
                          "health": {"exec": ["true"], "interval": 1, "ttl": 5}}],
                "watches": [{"name": "web", "tag": "blue", "interval": 1}],
                "sensors": [{"name": "load", "exec": ["echo", "30"], "interval": "100ms"}],
                "scaling": [{"service": "web", "max": 9, "triggers": [{"metric": "load", "target": 10}]}]}) as agent:
            agent.wait_ready()
            for number in (1, 2):
                harness.http_call(f"http://{catalog}/v1/agent/service/register", "PUT", {
                    "ID": f"other-{number}", "Name": "web", "Tags": ["green"], "Check": {"TTL": "60s", "Status": "passing"}})
            watched = 'containerpilot_watch_instances{service="web"} 1\n'
            harness.until(lambda: watched in agent.get("/metrics").text, "the watch's one instance")
            counted = 'containerpilot_scaling_instances{service="web"} 3\n'
            harness.until(lambda: counted in agent.get("/metrics").text, "three instances")
            advised = 'containerpilot_scaling_desired{service="web"} 9\n'
            harness.until(lambda: advised in agent.get("/metrics").text, "3 × 30 / 10")


class Processes(unittest.TestCase):
    def test_cpu_time_does_not_fall_with_children_nobody_waits_for(self):
        # Their time is added to nobody's.
        burn = ("import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
                "if os.fork() == 0:\n    while time.process_time() < 0.3: pass\n    os._exit(0)\n"
                "while True: time.sleep(60)\n")
        with harness.Agent({"catalog": "none", "telemetry": {}, "jobs": [{"name": "burn", "exec": ["python3", "-c", burn]}],
                            "sensors": [{"name": "burn", "process": "burn", "interval": "20ms"}]}) as agent:
            agent.wait_ready()
            seen = []

            def number(what):
                found = re.search(rf'^containerpilot_process_{what}{{name="burn"}} (\S+)$', agent.get("/metrics").text, re.M)
                return float(found[1]) if found else 0

            def over():
                seen.append(number("cpu_seconds_total"))
                return max(seen) >= 0.2 and number("processes") == 1
            harness.until(over, "the child to end")
            seen.append(number("cpu_seconds_total"))
            self.assertEqual(seen, sorted(seen))


class Secrets(unittest.TestCase):
    def test_a_bearer_token_over_tls(self):
        with harness.Consul() as consul:
            agent = harness.Agent({"consul": consul.address, "jobs": [{"name": "stay", "exec": SLEEP}],
                                   "telemetry": {"token": "sesame", "tls": {"cert": "cert.pem", "key": "key.pem"}}})
            make_certificate(agent.folder)
            with agent:
                ask = lambda path, token=None: https(agent.folder, agent.telemetry_port(), path, token)[0]
                harness.until(lambda: ask("/healthz") == 200, "the port")
                self.assertEqual(ask("/metrics"), 401)
                self.assertEqual(ask("/metrics", "sesam"), 401)
                self.assertEqual(ask("/metrics", "sesame"), 200)
                # Its own check of itself needs neither the token nor a name in the certificate.
                consul.wait_for("PUT", "/v1/agent/service/register")
                agent.stop()
                self.assertNotIn("sesame", agent.log)


if __name__ == "__main__":
    harness.main()
