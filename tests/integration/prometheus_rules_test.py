#!/usr/bin/env python3
"""Recording rules, alerts and scrape configs: promtool's checks and unit tests, names, labels, runbooks, metrics."""
import pathlib
import re
import subprocess
import tempfile
import unittest

import harness
from harness import promql

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "dashboards/prometheus"
RULES = [FOLDER / "recording.yml", FOLDER / "alerts.yml"]


def promtool(*arguments, folder=FOLDER):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, cwd=folder)


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The parser of Prometheus itself tells what is in the files.
        with harness.Prometheus([], rules=RULES) as prometheus:
            rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
        cls.alerts = [rule for rule in rules if rule["type"] == "alerting"]
        cls.records = [rule for rule in rules if rule["type"] == "recording"]

    def test_promtool_accepts_them(self):
        run = promtool("check", "rules", *RULES)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_their_unit_tests_pass(self):
        for name in ("recording_test.yml", "alerts_test.yml"):
            run = promtool("test", "rules", name)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_names_of_recorded_series_are_level_metric_operations(self):
        for rule in self.records:
            self.assertRegex(rule["name"], r"^[a-z_]+:containerpilot_[a-z_]+:[a-z0-9_]+$")
            self.assertNotIn("_total", rule["name"])

    def test_every_metric_is_one_the_agent_exports_or_a_rule_records(self):
        recorded = {rule["name"] for rule in self.records}
        for rule in self.alerts + self.records:
            for selector in promql.selectors(rule["query"]):
                self.assertTrue(selector.metric in recorded or promql.exported(selector.metric),
                                f"{rule['name']}: {selector.metric}")

    def test_alerts_have_what_people_need(self):
        readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
        for rule in self.alerts:
            with self.subTest(rule["name"]):
                self.assertRegex(rule["name"], r"^Agent([A-Z][a-z]+)+$")
                self.assertIn(rule["labels"].get("severity"), ("critical", "warning", "info"))
                self.assertRegex(rule["annotations"]["summary"], r"^[A-Z][^{}]*\.$")
                self.assertIn("{{", rule["annotations"]["description"])
                self.assertEqual(rule["annotations"]["runbook"], f"dashboards/README.md#{rule['name'].lower()}")
                self.assertIn(f"\n#### {rule['name']}\n", readme)

    def test_each_alert_and_record_is_named_in_a_unit_test(self):
        for rule in self.alerts:
            self.assertIn(f"alertname: {rule['name']}", (FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))
        for rule in self.records:
            self.assertIn(rule["name"], (FOLDER / "recording_test.yml").read_text(encoding="utf-8"))


class ScrapeConfigs(unittest.TestCase):
    def test_promtool_accepts_them(self):
        """Debian's promtool knows neither consul_sd nor kubernetes_sd: there, all but that block is checked."""
        for path in sorted((FOLDER / "scrape").glob("*.yml")):
            text = re.sub(r"^    (consul|kubernetes)_sd_configs:\n(      .*\n)+",
                          "    static_configs: [{targets: ['a:1']}]\n", path.read_text(encoding="utf-8"), flags=re.M)
            with tempfile.NamedTemporaryFile("w", suffix=".yml") as file, self.subTest(path.name):
                file.write(text)
                file.flush()
                run = promtool("check", "config", file.name)
                self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
                # Recording rules and alerts count on the name and on nothing per instance but `instance`.
                self.assertIn("job_name: containerpilot", text)
                self.assertLessEqual(set(re.findall(r"target_label: (\w+)", text)), {"instance", "namespace", "__metrics_path__"})


if __name__ == "__main__":
    harness.main()
