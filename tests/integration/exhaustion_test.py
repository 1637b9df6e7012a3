#!/usr/bin/env python3
"""What runs out comes back: the agent survives, says so, and goes on when there is room again."""
import contextlib
import os
import pathlib
import re
import resource
import subprocess
import tempfile
import unittest

import harness

STAY = {"name": "stay", "exec": ["sleep", "1000"]}
TALK = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i of many; sleep 0.01; done"]


@contextlib.contextmanager
def small_disk():
    """A folder on a file system of 256 KiB."""
    with tempfile.TemporaryDirectory(prefix="containerpilot-disk-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
        try:
            yield pathlib.Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """Takes all the room there is; returns the file that has it."""
    filler = folder / "filler"
    with open(filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))
    return filler


@unittest.skipUnless(os.geteuid() == 0, "a file system of its own needs root")
class FullDisk(unittest.TestCase):
    def test_under_the_log_file_of_a_job(self):
        with small_disk() as disk, harness.Agent({"telemetry": {}, "jobs": [
                {"name": "talk", "exec": TALK, "logging": {"file": str(disk / "talk.log")}},
                {"name": "tick", "exec": ["echo", "tick"], "when": {"interval": "50ms"}}]}) as agent:
            log = disk / "talk.log"
            harness.until(lambda: log.stat().st_size, "the first line")
            filler = fill(disk)
            agent.wait_log(r"cannot write to '.*talk\.log': No space left on device")
            ticks = len(re.findall(r"\d tick", agent.log))
            agent.wait_log(r"\d tick", count=ticks + 5)
            self.assertEqual(agent.get("/metrics").status, 200)
            before = log.read_text().count("\n")
            filler.unlink()
            lost = int(agent.wait_log(r"'.*talk\.log' can be written again, (\d+) lines were lost")[1])
            harness.until(lambda: log.read_text().count("\n") > before + 5, "more lines")
            lines = log.read_text().split("\n")[:-1]
            numbers = [int(found[1]) for line in lines if (found := re.fullmatch(r"line (\d+) of many", line))]
            # At most the line at which the disk was full is cut.
            self.assertGreaterEqual(len(numbers), len(lines) - 1)
            self.assertEqual(numbers, sorted(numbers))
            self.assertEqual(numbers[-1], len(numbers) + lost)
            self.assertEqual(agent.log.count("cannot write to"), 1, "told once")

    def test_under_the_agents_own_log(self):
        with small_disk() as disk, harness.Agent({"telemetry": {}, "logging": {"output": str(disk / "own.log")}, "jobs": [
                {"name": "talk", "exec": TALK}]}) as agent:
            log = disk / "own.log"
            harness.until(lambda: log.exists() and "of many" in log.read_text(), "the first line")
            filler = fill(disk)
            harness.until(lambda: agent.metric("containerpilot_log_dropped_total") > 0, "lost lines")
            filler.unlink()
            harness.until(lambda: re.search(r"own\.log' can be written again, \d+ lines were lost", log.read_text()), "the news")


class DescriptorsRunOut(unittest.TestCase):
    def test_starts_fail_and_then_succeed_again(self):
        jobs = [{"name": f"often{i}", "exec": ["true"], "when": {"interval": "50ms"}} for i in range(20)]
        with harness.Agent({"telemetry": {}, "jobs": [STAY, *jobs]}) as agent:
            agent.wait_ready()
            harness.until(lambda: agent.job("often0")["Starts"] > 2, "the first runs")
            _, hard = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
            # Fewer than are in use now, so that not one start finds what it needs.
            resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (8, hard))
            agent.wait_log("cannot start job 'often.*no file descriptors are left")
            resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (hard, hard))
            agent.wait_ready()
            starts = agent.job("often0")["Starts"]
            harness.until(lambda: agent.job("often0")["Starts"] > starts + 5 and
                          agent.job("often0")["LastExit"]["Code"] == 0, "good runs again")
            self.assertEqual(agent.job("stay")["Restarts"], 0, "what ran was not touched")


if __name__ == "__main__":
    harness.main()
