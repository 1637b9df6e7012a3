#!/usr/bin/env python3
"""The dashboards: Grafana's linter rules, metrics that exist, and no empty panel over a real Prometheus and agent."""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import grafana, promql
from harness.busy_agent import busy_agent

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "dashboards/grafana"
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


class Dashboards(unittest.TestCase):
    def test_each_obeys_the_linter_of_grafana(self):
        self.assertEqual(len(BOARDS), 5)
        for name, board in BOARDS.items():
            with self.subTest(name):
                self.assertEqual(grafana.lint(board), [])

    def test_each_rule_of_the_linter_finds_its_breach(self):
        def panel(number, **changes):
            return lambda board: board["panels"][number].update(changes)

        def variable(which, **changes):
            return lambda board: next(v for v in board["templating"]["list"] if v["name"] == which).update(changes)

        def expression(text):
            return lambda board: board["panels"][0]["targets"][0].update(expr=text)
        ours = '{job=~"$job", instance=~"$instance"}'
        breaches = {
            "template-datasource": variable("datasource", name="source"),
            "template-job": variable("job", multi=False),
            "template-instance": variable("instance", allValue=".*"),
            "template-label-promql": variable("job", query={"query": "label_values(up{, job)", "refId": "x"}),
            "template-on-time-change-reload": variable("instance", refresh=1),
            "panel-datasource": panel(4, datasource={"uid": "prometheus"}),
            "panel-title-description": panel(0, description=""),
            "panel-units": panel(0, fieldConfig={"defaults": {"unit": "apples"}}),
            "panel-no-targets": panel(0, targets=[]),
            "target-promql": expression(f"sum(up{ours}"),
            "target-rate-interval": expression(f"rate(http_requests_total{ours}[5m])"),
            "target-job": expression('up{instance=~"$instance"}'),
            "target-instance": expression('up{job=~"$job"} + on () up' + ours),
            "target-counter-agg": expression(f"sum(http_requests_total{ours})"),
            "uneditable-dashboard": lambda board: board.update(editable=True),
            "import": lambda board: board.update(id=7),
        }
        self.assertEqual(set(breaches), {*grafana.RULES, "import"})
        for rule, breach in breaches.items():
            board = copy.deepcopy(BOARDS["autoscaling"])
            breach(board)
            with self.subTest(rule):
                self.assertEqual({said.partition(":")[0] for said in grafana.lint(board)}, {rule})

    def test_every_metric_is_one_the_agent_exports(self):
        for name, board in BOARDS.items():
            for title, expression in grafana.expressions(board):
                for selector in promql.selectors(expression):
                    self.assertTrue(promql.exported(selector.metric), f"{name}, {title!r}: {selector.metric}")
        self.assertFalse(promql.exported("containerpilot_no_such_metric"))

    def test_the_files_are_what_their_source_makes(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, FOLDER / "boards.py", folder], check=True)
            for name in BOARDS:
                self.assertEqual(pathlib.Path(folder, f"{name}.json").read_text(encoding="utf-8"),
                                 (FOLDER / f"{name}.json").read_text(encoding="utf-8"), f"run {FOLDER / 'boards.py'}")

    def test_titles_and_uids_are_unique_and_agree_with_the_tag(self):
        self.assertEqual(len({b["uid"] for b in BOARDS.values()} | {b["title"] for b in BOARDS.values()}), 2 * len(BOARDS))
        for board in BOARDS.values():
            self.assertIn("containerpilot", board["tags"])


class Panels(unittest.TestCase):
    def test_none_is_empty(self):
        with busy_agent() as agent:
            self.assertEqual(agent.command("-socket", agent.socket, "-putmetric", "pushed=1").returncode, 0)
            self.assertEqual(agent.command("-socket", agent.socket, "-reload").returncode, 0)
            scrape = {"job_name": "containerpilot", "http_sd_configs": [
                {"url": agent.telemetry + "/sd/prometheus", "refresh_interval": "1s"}]}
            with harness.Prometheus([scrape], interval="500ms") as prometheus:
                missing = {(name, title, expression) for name, board in BOARDS.items()
                           for title, expression in grafana.expressions(board)}

                def all_there():
                    for name, title, expression in sorted(missing):
                        # As Grafana: a range of at least four scrapes for rates.
                        plain = promql.plain(expression.replace("$__rate_interval", "4s"))
                        if prometheus.query(plain):
                            missing.discard((name, title, expression))
                    return not missing
                try:
                    harness.until(all_there, "data for every panel", timeout=45, interval=0.5)
                except harness.Timeout:
                    self.fail("no data:\n" + "\n".join(map(str, sorted(missing))))
                for board in BOARDS.values():
                    for variable in board["templating"]["list"][1:]:
                        query = variable["query"]["query"]
                        selector, label = query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
                        self.assertTrue(all(label in found for found, _ in prometheus.query(promql.plain(selector))), query)


if __name__ == "__main__":
    harness.main()
