#!/usr/bin/env python3
"""What people do to a running agent and its jobs: signals, start, stop, restart, and asking why."""
import json
import os
import signal
import subprocess
import unittest

import harness

STAY = {"name": "stay", "exec": ["sleep", "1000"]}
DEAF = {"name": "deaf", "exec": ["sh", "-c", "trap 'echo told' TERM; echo up; while :; do sleep 0.02; done"], "stopTimeout": "1000s"}
# Says which signal came; those that cannot be caught are not among them.
LISTENER = """#!/usr/bin/env python3
import signal
caught = [s for s in signal.Signals if s not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD)]
for one in caught:
    signal.signal(one, lambda number, frame: print("got", signal.Signals(number).name, flush=True))
print("up", flush=True)
while True:
    signal.pause()
"""
SIGNALS = ("HUP INT QUIT ILL TRAP ABRT BUS FPE USR1 SEGV USR2 PIPE ALRM TERM CONT TSTP TTIN TTOU URG XCPU XFSZ "
           "VTALRM PROF WINCH IO PWR SYS").split()


class Signals(unittest.TestCase):
    def test_each_reaches_the_job_it_is_for(self):
        for pid1 in (False, *([True] if os.geteuid() == 0 else [])):
            with self.subTest(pid1=pid1), harness.Agent({"jobs": [{"name": "app", "exec": ["./listen.py"]}]},
                                                        files={"listen.py": LISTENER}, pid1=pid1) as agent:
                agent.wait_log(r"\bup\b")
                for name in SIGNALS:
                    self.assertEqual(agent.control("POST", f"/v3/jobs/app/signal/SIG{name}").status, 200)
                    agent.wait_log(rf"got SIG{name}\b")
                done = agent.command("-socket", agent.socket, "-signal", "app=WINCH")
                self.assertEqual(done.returncode, 0, done)
                agent.wait_log(r"got SIGWINCH\b", count=2)
                self.assertEqual(agent.control("POST", "/v3/jobs/app/signal/SIGNO").status, 422)
                agent.control("POST", "/v3/jobs/app/signal/KILL")
                agent.wait_log("app exited with error: signal: killed")

    def test_any_of_them_may_be_the_stop_signal(self):
        for name in ("SIGQUIT", "SIGUSR1", "WINCH"):
            with harness.Agent({"jobs": [{"name": "app", "exec": ["./listen.py"], "stopSignal": name, "stopTimeout": "200ms"}]},
                               files={"listen.py": LISTENER}) as agent:
                agent.wait_log(r"\bup\b")
                agent.stop()
                self.assertIn(f"got SIG{name.removeprefix('SIG')}", agent.log)

    def test_a_second_term_hurries_and_a_third_kills(self):
        with harness.Agent({"jobs": [DEAF, {"name": "before", "exec": ["sh", "-c", "echo hook runs; exec sleep 1000"],
                                            "when": {"source": "deaf", "once": "stopping"}}]}) as agent:
            agent.wait_log(r"\bup\b")
            agent.send(signal.SIGTERM)
            agent.wait_log("hook runs")
            self.assertNotRegex(agent.log, r"\btold\b")
            agent.send(signal.SIGTERM)
            agent.wait_log(r"\btold\b")
            agent.send(signal.SIGTERM)
            self.assertEqual(agent.wait_exit(5), 0)
            self.assertIn("hurrying the shutdown: received SIGTERM", agent.log)
            self.assertIn("killing what is left: received SIGTERM", agent.log)

    def test_usr1_reopens_the_files_of_the_log_and_of_jobs(self):
        with harness.Agent({"logging": {"output": "own.log"}, "jobs": [
                {"name": "talk", "exec": ["sh", "-c", "while :; do echo line; sleep 0.02; done"], "logging": {"file": "talk.log"}},
                {"name": "chat", "exec": ["sh", "-c", "while :; do echo line; sleep 0.02; done"],
                 "logging": {"file": "chat.log", "raw": False}}]}) as agent:
            names = ("own.log", "talk.log", "chat.log")
            for name in ("talk.log", "chat.log"):
                agent.wait_file(name, contains="line\n")
            agent.wait_ready()
            for name in names:
                (agent.folder / name).rename(agent.folder / (name + ".1"))
            agent.send(signal.SIGUSR1)
            for name in ("talk.log", "chat.log"):
                agent.wait_file(name, contains="line\n")
            agent.stop()
            self.assertIn("shutting down", (agent.folder / "own.log").read_text())
            self.assertEqual(set((agent.folder / "talk.log").read_text().splitlines()), {"line"}, "bare")
            self.assertRegex((agent.folder / "chat.log").read_text(), r"\A\S+Z chat \d+ line\n", "as in the log")


class Control(unittest.TestCase):
    def test_one_job_is_stopped_and_started_and_says_why(self):
        with harness.Agent({"jobs": [{"name": "only", "exec": ["sleep", "1000"]}]}) as agent:
            agent.wait_ready()

            def say(*arguments):
                done = agent.command("-socket", agent.socket, *arguments)
                self.assertEqual(done.returncode, 0, done)
                return done.stdout
            agent.wait_log("'only' started: pid .*, because of startup")
            self.assertRegex(say("-why", "only"), r"startup of global")
            say("-stop", "only")
            agent.wait_log("only exited with error: signal: terminated after .*, stopped")
            self.assertTrue(agent.running(), "there is a job to be started again")
            say("-start", "only")
            agent.wait_log("'only' started: pid .*, because of a start by hand")
            self.assertRegex(say("-why", "only"), r"requested of only  \(a start by hand\)")
            say("-restart", "only")
            agent.wait_log("'only' started: pid .*, because of a restart by hand")
            agent.stop()

    def test_events_come_as_a_stream_with_those_before(self):
        with harness.Agent({"jobs": [STAY, {"name": "once", "exec": ["true"]}]}) as agent:
            agent.wait_log("once exited")
            with subprocess.Popen([harness.BINARY, "-socket", agent.socket, "-events"], stdout=subprocess.PIPE, text=True) as events:
                def next_of(code, source):
                    while True:
                        event = json.loads(events.stdout.readline())
                        if (event["code"], event["source"]) == (code, source):
                            return event
                startup = next_of("startup", "global")
                ended = next_of("exitSuccess", "once")
                self.assertEqual(ended["cause"], startup["id"])
                agent.control("POST", "/v3/jobs/stay/restart")
                self.assertEqual(next_of("requested", "stay")["detail"], "a restart by hand")
                agent.stop()

    def test_a_reload_says_what_else_changed(self):
        with harness.Agent({"jobs": [STAY], "telemetry": {}}) as agent:
            agent.wait_ready()
            agent.write_config({"jobs": [STAY], "telemetry": {}, "sensors": [
                {"name": "load", "help": "Load.", "type": "gauge", "file": "/proc/loadavg", "interval": "10s"}]})
            self.assertEqual(agent.control("POST", "/v3/reload").status, 200)
            agent.wait_log(r"configuration reloaded: no job changed; 1 unchanged; sensors changed, too")


if __name__ == "__main__":
    harness.main()
