#!/usr/bin/env python3
"""A bad config never starts anything, and says what is wrong, where, and what would be accepted."""
import re
import unittest

import harness

# Every job of every file would leave this mark if it were started.
MARK = '{ name: "mark", exec: ["touch", "started"] }'

CASES = {
    "no catalog": (
        "{ jobs: [" + MARK + "] }",
        [r"config\.json5.*consul.*etcd.*embedded.*none"]),
    "not JSON5": (
        '{ catalog: "none",\n  jobs: [' + MARK + ',\n  oops\n',
        [r"config\.json5:[34]:\d+: "]),
    "an unknown key": (
        '{ catalog: "none",\n  jobs: [\n    ' + MARK + ',\n    { name: "a", exec: "true", helth: {} } ] }',
        [r"config\.json5:4:\d+: .*jobs\[1\].*helth"]),
    "a bad duration": (
        '{ catalog: "none",\n  jobs: [' + MARK + ',\n    { name: "a", exec: "true",\n      timeout: "5 minutes" } ] }',
        [r"config\.json5:4:\d+: .*jobs\[1\]\.timeout.*5 minutes"]),
    "a job without a name": (
        '{ catalog: "none", jobs: [' + MARK + ',\n { exec: "true" } ] }',
        [r"config\.json5:2:\d+: .*jobs\[1\].*name"]),
    "jobs of the wrong type": (
        '{ catalog: "none",\n jobs: "web" }',
        [r"config\.json5:2:\d+: .*jobs"]),
    "an event that does not exist": (
        '{ catalog: "none", jobs: [' + MARK + ',\n { name: "a", exec: "true", when: { source: "mark", once: "finished" } } ] }',
        [r"config\.json5:2:\d+: .*jobs\[1\]\.when.*finished.*exitSuccess"]),
    "several problems at once": (
        '{ catalog: "none",\n  jobs: [ ' + MARK + ',\n    { name: "a", exec: "true", timeout: "x" },\n'
        '    { name: "b", exec: "true", restarts: "often" } ],\n  telemetry: { port: "high" } }',
        [r"config\.json5:3:\d+: .*jobs\[1\]\.timeout", r"config\.json5:4:\d+: .*jobs\[2\]\.restarts",
         r"config\.json5:5:\d+: .*telemetry\.port"]),
    "a template that does not render": (
        '{ catalog: "none",\n jobs: [' + MARK + '], stopTimeout: {{ .X | nosuchfunction }} }',
        [r"config\.json5:2:.*nosuchfunction"]),
}


class BadConfig(unittest.TestCase):
    def test_is_refused(self):
        for title, (text, lines) in CASES.items():
            with self.subTest(title), harness.Agent(text) as agent:
                code = agent.wait_exit()
                self.assertNotEqual(code, 0)
                for line in lines:
                    self.assertTrue(any(re.search(line, said) for said in agent.log.splitlines()),
                                    f"no line like {line!r} in:\n{agent.log}")
                self.assertFalse((agent.folder / "started").exists(), "something was started")

    def test_the_log_on_stdout_says_it_in_the_words_of_the_old_program(self):
        with harness.Agent({"jobs": []}) as agent:
            agent.stop()
            for text, words in (
                    ('{ catalog: "none", jobs: [{ exec: "true" }] }', "unable to parse jobs: "),
                    ('{ catalog: "none", watches: [{ name: "db" }] }', "unable to parse watches: "),
                    ('{ catalog: "none", control: { port: 1 } }', "unable to parse control: "),
                    ('{ catalog: "none", telemetry: { port: "x" } }', "telemetry configuration error: "),
                    ('{ catalog: "none", b: 1, a: 2 }', "unknown config keys: [b a]"),
                    ('{ jobs: [] }', "no discovery backend defined"),
                    ('{ jobs: x }', "parse error at line:col [1:9]: "),
                    ('{ jobs: {{ nosuch }} }', "could not apply template to config: ")):
                with self.subTest(text):
                    (agent.folder / "bad.json5").write_text(text)
                    said = agent.command("-config", "bad.json5")
                    self.assertEqual(said.returncode, 1)
                    self.assertRegex(said.stdout, r"\A\d{4}-\d\d-\d\dT[\d:.]+\S+ " + re.escape(words))
            said = agent.command("-config", "/no/such/file.json5")
            self.assertIn(" could not read config file: ", said.stdout)

    def test_a_missing_file_is_named(self):
        with harness.Agent({"jobs": []}) as agent:
            agent.wait_exit() if not agent.running() else agent.stop()
            said = agent.command("-config", "/no/such/file.json5")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("/no/such/file.json5", said.stdout + said.stderr)

    def test_no_config_at_all_says_how_to_give_one(self):
        with harness.Agent({"jobs": []}) as agent:
            agent.wait_exit() if not agent.running() else agent.stop()
            said = agent.command(env={"CONTAINERPILOT": ""})
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("-config", said.stdout + said.stderr)

    def test_a_reload_of_a_bad_config_changes_nothing(self):  # 3.8.0 stopped everything (D16)
        with harness.Agent({"jobs": [{"name": "app", "exec": ["sleep", "1000"]}]}) as agent:
            agent.wait_ready()
            before = harness.until(lambda: harness.children(agent.pid), "the job")
            agent.write_config("{ nonsense")
            answer = agent.control("POST", "/v3/reload")
            self.assertNotEqual(answer.status, 200)
            self.assertIn("config.json5", answer.text)
            self.assertEqual(harness.children(agent.pid), before)
            self.assertEqual(agent.command("-reload", "-socket", agent.socket).returncode, 1)
            self.assertTrue(agent.running())


if __name__ == "__main__":
    harness.main()
