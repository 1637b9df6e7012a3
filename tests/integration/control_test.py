#!/usr/bin/env python3
"""The control socket and the subcommands that use it (spec v3, sections 1 and 7)."""
import json
import os
import socket
import stat
import unittest

import harness

STAY = {"name": "stay", "exec": ["sleep", "1000"]}


def agent_with_metrics():
    return harness.Agent({"jobs": [STAY], "telemetry": {"metrics": [
        {"namespace": "org", "subsystem": "team", "name": "gauge", "help": "A gauge.", "type": "gauge"},
        {"name": "bare", "help": "A name alone.", "type": "counter"}]}})


class Endpoints(unittest.TestCase):
    def test_answers_and_refusals(self):
        with harness.Agent({"jobs": [STAY]}) as agent:
            agent.wait_ready()
            for method, path, body, status in (
                    ("GET", "/v3/ping", None, 200),
                    ("POST", "/v3/environ", {"A": "1"}, 200),
                    ("GET", "/v3/environ", None, 405),
                    ("POST", "/v3/environ", "not json", 422),
                    ("POST", "/v3/environ", '{"A": 1}', 422),
                    ("GET", "/v3/metric", None, 405),
                    ("POST", "/v3/metric", "[]", 422),
                    ("GET", "/v3/reload", None, 405),
                    ("GET", "/v3/maintenance/enable", None, 405),
                    ("POST", "/v3/maintenance/enable", None, 200),
                    ("POST", "/v3/maintenance/disable", None, 200),
                    ("GET", "/v3/env", None, 404),
                    ("GET", "/", None, 404)):
                with self.subTest(f"{method} {path} {body}"):
                    self.assertEqual(agent.control(method, path, body).status, status)

    def test_bodies_are_those_of_the_old_program_and_reasons_a_header(self):
        with agent_with_metrics() as agent:
            agent.wait_ready()
            for path, body, status, text, report in (
                    ("/v3/environ", "null", 200, "\n", ""),
                    ("/v3/environ", {"A=B": "x", "": "y", "C": "z"}, 200, "\n", ""),
                    ("/v3/environ", {"A": 1}, 422, "Unprocessable Entity\n", "expected a string"),
                    ("/v3/metric", {"nosuch": 1}, 422, "Unprocessable Entity\n", "nosuch"),
                    ("/v3/reload", None, 200, "\n", "no job changed; 1 unchanged")):
                with self.subTest(f"{path} {body}"):
                    answer = agent.control("POST", path, body)
                    self.assertEqual((answer.status, answer.text), (status, text))
                    self.assertIn(report, answer.headers.get("Containerpilot-Report", ""))
            said = agent.command("-reload", "-socket", agent.socket)
            self.assertEqual((said.stdout, said.stderr), ("", "-reload: no job changed; 1 unchanged\n"))
            said = agent.command("-putmetric", "nosuch=1", "-socket", agent.socket)
            self.assertEqual((said.returncode, said.stdout), (1, ""))
            self.assertIn("'nosuch'", said.stderr)

    def test_a_connection_ends_with_its_answer(self):  # scripts that speak to the socket read until its end
        with harness.Agent({"jobs": [STAY]}) as agent:
            agent.wait_ready()
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(agent.socket)
                client.sendall(b"GET /v3/ping HTTP/1.1\r\nHost: control\r\n\r\n")
                answer = b"".join(iter(lambda: client.recv(4096), b""))
            self.assertRegex(answer, rb"(?s)\AHTTP/1.1 200 OK\r\n.*Connection: close\r\n\r\n\n\Z")

    def test_only_the_owner_may_connect(self):  # 3.8.0 left it to the umask (D37)
        with harness.Agent({"jobs": [STAY]}) as agent:
            agent.wait_ready()
            self.assertEqual(stat.S_IMODE(os.stat(agent.socket).st_mode), 0o600)

    def test_a_variable_is_seen_by_what_starts_later(self):
        with harness.Agent({"jobs": [STAY, {"name": "say", "exec": ["sh", "-c", "echo color=$COLOR."],
                                            "when": {"source": "SIGHUP"}}]}) as agent:
            agent.wait_ready()
            self.assertEqual(agent.control("POST", "/v3/environ", {"COLOR": "green"}).status, 200)
            agent.send(1)
            agent.wait_log(r"color=green\.")

    def test_a_metric_is_recorded_under_its_exported_name(self):  # 3.8.0 wanted "__bare" (D9)
        with agent_with_metrics() as agent:
            agent.wait_ready()
            agent.control("POST", "/v3/metric", {"org_team_gauge": 4, "bare": "2.5"})
            harness.until(lambda: agent.metric("org_team_gauge") == 4 and agent.metric("bare") == 2.5, "both values")
            agent.control("POST", "/v3/metric", {"__bare": 1})
            harness.until(lambda: agent.metric("bare") == 3.5, "the old spelling")

    def test_a_reload_leaves_alone_what_did_not_change(self):
        with harness.Agent({"jobs": [STAY, {"name": "old", "exec": ["sleep", "1001"]}], "telemetry": {}}) as agent:
            agent.wait_ready()
            stay = harness.until(lambda: agent.job("stay")["Pid"], "the job")
            agent.write_config({"jobs": [STAY, {"name": "new", "exec": ["sleep", "1002"]}], "telemetry": {}})
            self.assertEqual(agent.control("POST", "/v3/reload").status, 200)
            harness.until(lambda: agent.job("new").get("Pid"), "the new job")
            self.assertEqual(agent.job("stay")["Pid"], stay)
            self.assertNotIn("old", [job["Name"] for job in agent.status()["Jobs"]])


    def test_a_reload_is_logged_in_the_words_scripts_wait_for(self):
        with harness.Agent({"jobs": [STAY], "logging": {"level": "debug"}}) as agent:
            agent.wait_ready()
            agent.control("POST", "/v3/reload")
            agent.wait_log("control: reloaded app via control plane")
            agent.wait_log(f"control: serving at {agent.socket}", count=2)

    def test_the_telemetry_entry_stays_healthy_in_maintenance(self):
        with agent_with_metrics() as agent:
            agent.wait_ready()
            agent.control("POST", "/v3/maintenance/enable")
            self.assertTrue(agent.status()["Maintenance"])
            self.assertEqual([(s["Name"], s["Status"]) for s in agent.status()["Services"]],
                             [("containerpilot", "healthy")])


class Commands(unittest.TestCase):
    def test_reach_the_agent_by_its_socket(self):
        with agent_with_metrics() as agent:
            agent.wait_ready()
            by_socket = ("-socket", agent.socket)
            self.assertEqual((agent.command("-ping", *by_socket).stdout, agent.command("-ping", *by_socket).returncode),
                             ("ok\n", 0))
            for arguments in (("-putenv", "A=b"), ("-putmetric", "org_team_gauge=7"), ("-maintenance", "enable"),
                              ("-maintenance", "disable"), ("-reload",)):
                said = agent.command(*arguments, *by_socket)
                self.assertEqual(said.returncode, 0, (arguments, said))
            self.assertEqual(agent.command("-ping", "-config", str(agent.config)).stdout, "ok\n")
            self.assertEqual(agent.command("-ping", env={"CONTAINERPILOT_SOCKET": agent.socket}).stdout, "ok\n")

    def test_fail_with_1_when_nobody_answers_and_2_on_wrong_use(self):
        with harness.Agent({"jobs": [STAY]}) as agent:
            agent.wait_ready()
            self.assertEqual(agent.command("-ping", "-socket", "/nowhere.socket").returncode, 1)
            self.assertEqual(agent.command("-putenv", "novalue", "-socket", agent.socket).returncode, 2)
            self.assertEqual(agent.command("-nosuchflag").returncode, 2)

    def test_version_and_help_need_no_config(self):
        with harness.Agent({"jobs": [STAY]}) as agent:
            said = agent.command("-version")
            self.assertEqual(said.returncode, 0)
            self.assertRegex(said.stdout, r"\AVersion: \S+\nGitHash: \S+\n\Z")
            self.assertEqual(agent.command("-help").returncode, 0)

    def test_template_renders_and_starts_nothing(self):
        with harness.Agent({"jobs": [STAY]}) as agent:
            (agent.folder / "t.json5").write_text('{ "x": "{{ .COLOR | default "red" }}" }')
            said = agent.command("-config", "t.json5", "-template", env={"COLOR": "a=b=c"})
            self.assertEqual((said.returncode, said.stdout), (0, '{ "x": "a=b=c" }'))  # cut at the second = in 3.8.0
            agent.command("-config", "t.json5", "-template", "-out", "rendered")
            self.assertEqual((agent.folder / "rendered").read_text(), '{ "x": "red" }')

    def test_status_says_by_its_exit_code_whether_all_is_well(self):
        sick = {"name": "sick", "exec": ["sleep", "1000"], "health": {"exec": ["false"], "interval": "100ms"}}
        with harness.Agent({"jobs": [STAY]}) as agent:
            agent.wait_ready()
            self.assertEqual(agent.command("-status", "-socket", agent.socket).returncode, 0)
            agent.write_config({"jobs": [STAY, sick]})
            agent.control("POST", "/v3/reload")
            harness.until(lambda: agent.command("-status", "-socket", agent.socket).returncode == 1, "exit code 1")
            self.assertEqual(agent.command("-status", "-socket", "/nowhere.socket").returncode, 2)

    def test_json_status_is_the_status_page(self):
        with agent_with_metrics() as agent:
            agent.wait_ready()
            mine = json.loads(agent.command("-status", "-json", "-socket", agent.socket).stdout)
            self.assertEqual(set(mine), set(agent.status()))


if __name__ == "__main__":
    harness.main()
