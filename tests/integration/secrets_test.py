#!/usr/bin/env python3
"""What was read from a secret file is not shown by the agent, wherever it turns up."""
import subprocess
import unittest

import harness

SECRET = "8c1f-two words"
CONFIG = """{
  consul: { address: "http://me:url-password@127.0.0.1:%(closed)d", token: "acl-token" },
  control: { socket: "%(folder)s/control.socket" },
  logging: { level: "DEBUG", format: "text" },
  telemetry: { port: %(port)d, listen: "127.0.0.1", interfaces: ["static:127.0.0.1"] },
  jobs: [
    { name: "missing", exec: ["/nonexistent/{{ file "secret" }}"] },
    { name: "bad-check", exec: ["sleep", "1000"], port: 80, interfaces: ["static:127.0.0.1"],
      health: { exec: ["sh", "-c", "echo '<{{ file "secret" }}>' >&2; exit 1"], interval: 1, ttl: 2 } },
  ],
  sensors: [{ name: "odd", help: "h", exec: ["echo", "{{ file "secret" }}"], interval: 1 }],
}"""


class Secrets(unittest.TestCase):
    def test_are_not_shown(self):
        agent = harness.Agent({}, files={"secret": SECRET + "\n"})
        agent.telemetry = f"http://127.0.0.1:{harness.free_port()}"
        agent.write_config(CONFIG % {"closed": harness.free_port(), "folder": agent.folder,
                                     "port": agent.telemetry_port()})
        with agent:
            agent.wait_log("cannot start job 'missing'")
            agent.wait_log("job 'bad-check' is unhealthy")
            agent.wait_log("sensor 'odd': cannot read")
            agent.wait_log("does not answer")
            shown = [harness.http_call(agent.telemetry + "/status").text, agent.control("GET", "/v3/status").text]
            for command in (["-status"], ["-status", "-json"], ["-why", "missing"], ["-explain"],
                            ["-explain", "-json"], ["-reload"]):
                shown.append(subprocess.run([harness.BINARY, "-config", str(agent.config), *command],
                                            cwd=agent.folder, capture_output=True, text=True, check=False).stdout)
            # Lines of the check itself are the job's own words.
            shown += [line for line in agent.log.splitlines() if "check=check.bad-check" not in line]
        text = "\n".join(shown)
        self.assertIn("/nonexistent/***", text)
        for secret in (SECRET, "url-password", "acl-token"):
            self.assertNotIn(secret, text)


if __name__ == "__main__":
    harness.main()
