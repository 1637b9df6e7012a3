#!/usr/bin/env python3
"""As in a hardened pod: PID 1, a user nobody knows, no capabilities, and a root that cannot be written."""
import json
import os
import subprocess
import tempfile
import unittest

import harness

# /dev is a file system of its own with a termination log in it, and, because /tmp is empty, the agent.
ROOT = """set -e
mount -t tmpfs none "$1/dev"
cp "$2" "$1/dev/agent"
mv "$1/config.json5" "$1/dev/"
mknod -m 666 "$1/dev/null" c 1 3
touch "$1/dev/termination-log"
chmod 666 "$1/dev/termination-log"
mount --move "$1/dev" /dev
mount -t tmpfs none /tmp
chmod 1777 /tmp
mount -o remount,bind,ro /
cd /
set +e
unshare --pid --fork --mount-proc setpriv --reuid 12345 --regid 12345 --clear-groups --inh-caps=-all --bounding-set=-all \
  /dev/agent -config /dev/config.json5
code=$?
echo "termination log: $(cat /dev/termination-log)"
exit $code
"""
APP = """for i in 1 2 3 4 5; do (sleep 0.01 &) ; done
echo "user $(id -u), agent $PPID"
touch /x 2>/dev/null || echo the root is read-only
while [ "$(ls -d /proc/[0-9]* | wc -l)" -gt 4 ]; do sleep 0.02; done
echo the orphans are gone
exit 7
"""


@unittest.skipUnless(os.geteuid() == 0, "namespaces and other users need root")
class Hardened(unittest.TestCase):
    def test_it_runs_reaps_and_says_why_it_ended(self):
        config = {"catalog": "none", "control": {"socket": "/tmp/control.socket"}, "jobs": [
            {"name": "app", "exec": ["sh", "-c", APP], "onFailure": "shutdown"}]}
        with tempfile.TemporaryDirectory(prefix="containerpilot-test-") as folder:
            os.mkdir(folder + "/dev")
            with open(folder + "/config.json5", "w", encoding="utf-8") as file:
                json.dump(config, file)
            done = subprocess.run(["unshare", "--mount", "sh", "-c", ROOT, "sh", folder, harness.BINARY],
                                  capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 7, done)
        for wanted in ("user 12345, agent 1", "the root is read-only", "the orphans are gone",
                       "termination log: containerpilot ends with code 7: job 'app' exited with code 7"):
            self.assertIn(wanted, done.stdout)


if __name__ == "__main__":
    harness.main()
