#!/usr/bin/env python3
"""The agent as PID 1 of a fresh pid namespace with its own /proc."""
import os
import signal
import unittest

import harness

ORPHANS = 1000
# Double-forks: each middle process ends at once, so its child is handed to PID 1.
ORPHAN_MAKER = f"""#!/bin/sh
i=0
while [ $i -lt {ORPHANS} ]; do
  (exit 7 &) &
  i=$((i + 1))
done
wait
echo orphans made
"""


@unittest.skipUnless(os.geteuid() == 0, "a new pid namespace needs root")
class Pid1(unittest.TestCase):
    def test_is_one_process_and_it_is_pid_1(self):
        with harness.Agent({"jobs": [{"name": "who", "exec": ["sh", "-c", "echo parent=$PPID agent=$CONTAINERPILOT_PID.; exec sleep 1000"]}]},
                           pid1=True) as agent:
            agent.wait_log(r"parent=1 agent=1\.")
            self.assertEqual(len(harness.children(agent.pid)), 1)

    def test_a_thousand_orphans_leave_no_zombie(self):
        with harness.Agent({"jobs": [{"name": "maker", "exec": ["./maker.sh"]},
                                     {"name": "stay", "exec": ["sleep", "1000"]}]},
                           files={"maker.sh": ORPHAN_MAKER}, pid1=True) as agent:
            agent.wait_log("orphans made", timeout=60)
            harness.until(lambda: len(harness.children(agent.pid)) == 1, "all orphans reaped", timeout=30)
            self.assertTrue(agent.running())

    def test_children_get_default_handlers_and_an_empty_mask(self):
        with harness.Agent({"jobs": [{"name": "probe", "exec": ["sh", "-c", "cp /proc/self/status s.new; mv s.new status; exec sleep 1000"]}]},
                           pid1=True) as agent:
            fields = dict(line.split(":", 1) for line in agent.wait_file("status").splitlines())
            self.assertEqual(int(fields["SigBlk"], 16), 0)
            self.assertEqual(int(fields["SigIgn"], 16) & ~harness.GLIBC_SIGNALS, 0)

    def test_exit_codes_reach_the_outside(self):  # 3.8.0 as PID 1 always said 0 (D21)
        for wanted in (0, 1, 7, 200, 255):
            code, log = harness.run_to_end(
                {"jobs": [{"name": "app", "exec": ["sh", "-c", f"exit {wanted}"], "onFailure": "shutdown"}]}, pid1=True)
            self.assertEqual(code, wanted, log)

    def test_a_broken_config_does_not_say_0(self):
        code, log = harness.run_to_end("{ catalog: 'none', jobs: [{nam: 'x'}] }", pid1=True)
        self.assertNotEqual(code, 0, log)

    def test_sigterm_from_outside_stops_it_within_100_ms(self):
        def seconds():
            with harness.Agent({"jobs": [{"name": "app", "exec": ["sleep", "1000"]}]}, pid1=True) as agent:
                agent.wait_ready()
                harness.until(lambda: harness.children(agent.pid), "the job")
                self.assertEqual(agent.stop(), 0)
                return agent.stop_seconds
        self.assertLess(min(seconds() for _ in range(5)), 0.1)

    def test_sighup_and_sigusr2_start_their_jobs(self):
        with harness.Agent({"jobs": [
                {"name": "stay", "exec": ["sleep", "1000"]},
                {"name": "on-hup", "exec": ["echo", "hup came"], "when": {"source": "SIGHUP"}},
                {"name": "on-usr2", "exec": ["echo", "usr2 came"], "when": {"source": "SIGUSR2"}}]}, pid1=True) as agent:
            agent.wait_ready()
            agent.send(signal.SIGHUP)
            agent.wait_log("hup came")
            agent.send(signal.SIGUSR2)
            agent.wait_log("usr2 came")
            agent.send(signal.SIGHUP)
            agent.wait_log("hup came", count=2)

    def test_a_daemon_that_left_its_group_is_gone_at_the_end(self):
        with harness.Agent({"jobs": [{"name": "app", "exec": [
                "sh", "-c", "setsid sleep 1000 & echo daemon started; exec sleep 1000"]}]}, pid1=True) as agent:
            agent.wait_log("daemon started")
            agent.stop()  # fails when a process is left


@unittest.skipIf(os.geteuid() != 0, "needs root")
class AllExitCodes(unittest.TestCase):
    def test_every_code_from_0_to_255(self):
        """One agent: a job per code, its end read back from the status."""
        jobs = [{"name": f"code-{code}", "exec": ["sh", "-c", f"exit {code}"]} for code in range(256)]
        jobs.append({"name": "stay", "exec": ["sleep", "1000"]})
        with harness.Agent({"jobs": jobs, "telemetry": {}}) as agent:
            agent.wait_ready(timeout=60)

            def codes():
                ends = {job["Name"]: job.get("LastExit", {}).get("Code") for job in agent.status()["Jobs"]}
                return all(ends[f"code-{code}"] is not None for code in range(256)) and ends
            ends = harness.until(codes, "all 256 ends", timeout=30)
            self.assertEqual([ends[f"code-{code}"] for code in range(256)], list(range(256)))


if __name__ == "__main__":
    harness.main()
