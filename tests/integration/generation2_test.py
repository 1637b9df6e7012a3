#!/usr/bin/env python3
"""What files of 1.x and 2.x make the program do, where users or their tools would notice a difference."""
import json
import signal
import socket
import unittest

import harness

HOST = socket.gethostname()
APP = ["sh", "-c", "trap 'exit 0' TERM; touch up; while :; do sleep 0.05; done"]
SERVICE = {"name": "my_web", "port": 80, "poll": 1, "ttl": 5, "interfaces": "static:192.0.2.9"}


class Generation2(unittest.TestCase):
    def setUp(self):
        self.consul = self.enterContext(harness.Consul())

    def agent(self, config, app=APP):
        return harness.Agent(json.dumps({"consul": self.consul.address, **config}), args=app)

    def test_a_check_has_the_name_it_had(self):  # dashboards and scripts know it as NAME-HOSTNAME
        with self.agent({"services": [{**SERVICE, "health": "true"}]}) as agent:
            check = self.consul.wait_for("PUT", "/v1/agent/service/register").json["Check"]
            self.assertEqual((check["CheckID"], check["Name"]), (f"my_web-{HOST}",) * 2)
            self.assertEqual(check["Notes"], "TTL for my_web set by containerpilot")
            beat = self.consul.wait_for("PUT", f"/v1/agent/check/pass/my_web-{HOST}", count=2)
            self.assertEqual(beat.query, {"note": "ok"})
            agent.stop()

    def test_captured_lines_say_who_printed_them(self):
        self.consul.set_service("db", [("db-1", "192.0.2.1", 1)])
        with self.agent({"logging": {"format": "json"},
                         "services": [{**SERVICE, "health": ["echo", "of health"]}],
                         "backends": [{"name": "db", "poll": 1, "onChange": ["echo", "of onChange"]}],
                         "tasks": [{"name": "tick", "frequency": "100ms", "timeout": "9s", "command": ["echo", "of task"]}],
                         "coprocesses": [{"name": "proxy", "command": ["echo", "of coprocess"]}]}) as agent:
            for kind, fields in (("health", {"serviceName": "my_web", "serviceID": f"my_web-{HOST}"}),
                                 ("onChange", {"backend": "db"}), ("task", {"task": "tick"}),
                                 ("coprocess", {"coprocess": "proxy"})):
                line = json.loads(agent.wait_log(rf'(?m)^{{.*"msg":"of {kind}".*}}$')[0])
                self.assertEqual({**line, "process": kind, "level": "info", **fields}, line)
            agent.stop()

    def test_lines_in_the_default_format_are_the_time_and_the_line(self):
        with self.agent({"coprocesses": [{"name": "proxy", "command": ["echo", "a  line"]}]}) as agent:
            agent.wait_log(r"(?m)^\S+ a  line$")
            agent.stop()

    def test_backends_hold_still_in_maintenance(self):
        self.consul.set_service("db", [("db-1", "192.0.2.1", 1)])
        with self.agent({"backends": [{"name": "db", "poll": 1, "onChange": ["echo", "it changed"]}],
                         "services": [SERVICE]}) as agent:
            agent.wait_log("(?m)it changed$")
            self.consul.wait_for("PUT", f"/v1/agent/check/pass/my_web-{HOST}")
            agent.send(signal.SIGUSR1)
            self.consul.wait_for("PUT", f"/v1/agent/service/deregister/my_web-{HOST}")
            asked = len(self.consul.seen("GET", "/v1/health/service/db"))
            self.consul.set_service("db", [("db-1", "192.0.2.1", 2)])
            # The answer has come, and nothing followed, when the next question is asked.
            self.consul.wait_for("GET", "/v1/health/service/db", count=asked + 1)
            self.assertEqual(agent.log.count("it changed\n"), 1)
            agent.send(signal.SIGUSR1)
            agent.wait_log("(?m)it changed$", count=2)
            agent.stop()

    def test_coprocesses_are_there_for_postStop(self):
        post_stop = ["sh", "-c", "kill -USR2 $CONTAINERPILOT_PROXY_PID && while [ ! -e served ]; do sleep 0.02; done"]
        with self.agent({"coprocesses": [{"name": "proxy", "command": [
                "sh", "-c", "trap 'touch served' USR2; touch ready; while :; do sleep 0.02; done"]}],
                         "postStop": post_stop}) as agent:
            agent.wait_file("ready")
            agent.wait_file("up")
            self.assertEqual(agent.stop(), 0)
            self.assertTrue((agent.folder / "served").exists())

    def test_a_reload_runs_a_coprocess_that_has_ended_again(self):
        with self.agent({"coprocesses": [{"name": "once", "command": ["echo", "it ran"]}]}) as agent:
            agent.wait_log("(?m)it ran$")
            agent.wait_file("up")
            pid = agent.pid
            harness.until(lambda: len(harness.children(pid)) == 1, "its end")
            agent.send(signal.SIGHUP)
            agent.wait_log("(?m)it ran$", count=2)
            agent.stop()

    def test_a_task_takes_nobodys_pid_variable(self):
        app = ["sh", "-c", "echo app $$; trap 'exit 0' TERM; touch up; while :; do sleep 0.05; done"]
        with self.agent({"tasks": [{"name": "app", "frequency": "50ms", "timeout": "9s", "command": ["echo", "tick"]}],
                         "preStop": ["sh", "-c", "echo main $CONTAINERPILOT_APP_PID"]}, app) as agent:
            pid = agent.wait_log(r"(?m)^app (\d+)$")[1]
            agent.wait_log("tick")
            agent.stop()
            self.assertRegex(agent.log, rf"(?m)^main {pid}$")

    def test_telemetry_beats_as_often_as_it_says(self):
        port = harness.free_port()
        with self.agent({"telemetry": {"port": port, "interfaces": ["lo"], "poll": 1, "ttl": 3}}) as agent:
            beats = f"/v1/agent/check/pass/containerpilot-{HOST}"
            self.consul.wait_for("PUT", beats, count=3, timeout=5)
            agent.stop()


harness.main()
