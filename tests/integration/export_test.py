#!/usr/bin/env python3
"""-export: what the agent makes of a configuration passes the same checks as the files in dashboards/."""
import json
import pathlib
import subprocess
import tempfile
import unittest

import harness
from harness import grafana, manifests, promql

CONFIG = {
    "catalog": "none",
    "jobs": [{"name": "web", "exec": ["sleep", "1"]}],
    "sensors": [
        {"name": "sessions", "help": "Open sessions.", "exec": "true", "interval": "1s"},
        {"name": "requests_total", "help": "Requests.", "type": "counter", "exec": "true", "interval": "1s"},
        {"name": "latency_seconds", "help": "Latency.", "type": "histogram", "exec": "true", "interval": "1s"},
        {"name": "size_bytes", "help": "Sizes.", "type": "summary", "exec": "true", "interval": "1s"},
        {"name": "queue", "help": "Queue.", "exec": "true", "interval": "1s", "format": "json",
         "values": {"queue_depth": "/depth", "queue_oldest_seconds": "/oldest"}},
        {"name": "container", "cgroup": ["cpu"], "interval": "1s"},
    ],
    "scaling": [{"service": "web", "min": 2, "max": 20, "stabilization": {"up": "30s", "down": "5m"}, "triggers": [
        {"metric": "sessions", "target": 12.5, "scope": "instance"},
        {"metric": "queue_depth", "target": 20, "scope": "service"}]}],
}
TWO = {**CONFIG, "scaling": [CONFIG["scaling"][0], {**CONFIG["scaling"][0], "service": "mill"}]}
OWN = ("sessions", "requests_total", "latency_seconds_bucket", "size_bytes", "queue_depth", "queue_oldest_seconds")
KUBERNETES = ("-for", "deployment/web", "-namespace", "shop")


def export(what, *flags, config=None):
    with tempfile.NamedTemporaryFile("w", suffix=".json5") as file:
        json.dump(config or CONFIG, file)
        file.flush()
        return subprocess.run([harness.BINARY, "-config", file.name, "-export", what, *flags], capture_output=True,
                              text=True, check=False, timeout=20)


class Export(unittest.TestCase):
    def text(self, *arguments, **named):
        run = export(*arguments, **named)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        return run.stdout

    def check_metrics(self, expressions, recorded=()):
        self.assertEqual(promql.problems(expressions), {})
        for expression in expressions:
            for selector in promql.selectors(expression):
                self.assertTrue(promql.exported(selector.metric) or selector.metric in (*OWN, *recorded), expression)

    def test_grafana_obeys_the_linter_and_shows_every_sensor(self):
        board = json.loads(self.text("grafana"))
        self.assertEqual(grafana.lint(board), [])
        expressions = [expression for _, expression in grafana.expressions(board)]
        self.check_metrics(expressions)
        shown = {selector.metric for expression in expressions for selector in promql.selectors(expression)}
        self.assertLessEqual(set(OWN), shown)

    def test_rules_are_accepted_and_recommend(self):
        for flags in ((), ("-namespace", "shop")):
            rules = self.text("rules", *flags)
            with tempfile.TemporaryDirectory() as folder:
                pathlib.Path(folder, "rules.yml").write_text(rules)
                label = ',namespace="shop"' if flags else ""
                series = [(f'{kind}{{job="c",instance="{i}",service="web",metric="{metric}",scope="{scope}"{label}}}', value)
                          for metric, scope, target, values in (("sessions", "instance", 12.5, (50, None)),
                                                                ("queue_depth", "service", 20, (81, 80)))
                          for i, measured in enumerate(values)
                          for kind, value in (("containerpilot_scaling_target", target), ("containerpilot_scaling_value", measured))
                          if value is not None]
                labels = '{job="c",service="web"' + label + "}"
                # 50 / 12.5 asks for 4, whatever the silent instance has; the queue asks for 81 / 20.
                pathlib.Path(folder, "test.yml").write_text(json.dumps({
                    "rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [{
                        "interval": "15s",
                        "input_series": [{"series": name, "values": f"{value}x9 stale"} for name, value in series],
                        "promql_expr_test": [
                            {"expr": "service:containerpilot_wanted:max", "eval_time": "1m", "exp_samples": [
                                {"labels": "service:containerpilot_wanted:max" + labels, "value": 4.05}]},
                            {"expr": "service:containerpilot_replicas:clamp_ceil", "eval_time": "2m", "exp_samples": [
                                {"labels": "service:containerpilot_replicas:clamp_ceil" + labels, "value": 5}]},
                            {"expr": "service:containerpilot_wanted:max", "eval_time": "10m", "exp_samples": []},
                            {"expr": "service:containerpilot_replicas:clamp_ceil", "eval_time": "20m", "exp_samples": []}],
                        "alert_rule_test": [{"alertname": "AgentScaleRecommendationAbsent", "eval_time": "2m", "exp_alerts": []}],
                    }]}))
                for command in (["check", "rules", "rules.yml"], ["test", "rules", "test.yml"]):
                    run = subprocess.run(["promtool", *command], cwd=folder, capture_output=True, text=True, check=False)
                    self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            (document,) = manifests.load(rules)
            all_rules = [rule for group in document["groups"] for rule in group["rules"]]
            recorded = {rule["record"] for rule in all_rules if "record" in rule}
            self.check_metrics([rule["expr"] for rule in all_rules], recorded)
            readme = pathlib.Path(__file__).resolve().parents[2].joinpath("dashboards/README.md").read_text()
            for rule in all_rules:
                if "alert" in rule:
                    self.assertIn(f"\n#### {rule['alert']}\n", readme)

    def test_keda(self):
        (document,) = manifests.load(self.text("keda", *KUBERNETES, "-prometheus", "http://prometheus:9090"))
        self.assertEqual(manifests.problems(document), [])
        self.assertEqual(document["spec"]["scaleTargetRef"], {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"})
        self.assertEqual((document["spec"]["minReplicaCount"], document["spec"]["maxReplicaCount"]), (2, 20))
        self.assertEqual([t["metadata"]["threshold"] for t in document["spec"]["triggers"]], ["12.5", "20"])
        self.check_metrics(manifests.queries(document))

    def test_hpa_with_the_rules_of_the_adapter(self):
        text = self.text("hpa", *KUBERNETES)
        (document,) = manifests.load(text)
        self.assertEqual(manifests.problems(document), [])
        comments = text.partition("# externalRules:\n")[2]
        (rules,) = manifests.load("\n".join(line.removeprefix("# ") for line in comments.splitlines()))
        self.assertEqual([m["external"]["metric"]["name"] for m in document["spec"]["metrics"]],
                         [rule["name"]["as"] for rule in rules])
        self.check_metrics(list(manifests.adapter_queries(rules)))

    def test_several_services_need_a_target_each(self):
        flags = ("-namespace", "shop", "-prometheus", "http://p:9090")
        both = self.text("keda", "-for", "mill=statefulset/mill", "-for", "web=deployment/front", *flags, config=TWO)
        self.assertEqual([(d["metadata"]["name"], d["spec"]["scaleTargetRef"]["kind"]) for d in manifests.load(both)],
                         [("front", "Deployment"), ("mill", "StatefulSet")])
        run = export("keda", "-for", "deployment/web", *flags, config=TWO)
        self.assertIn("what to scale for service 'web', like -for web=deployment/web", run.stderr)

    def test_what_is_missing_is_an_error_never_a_placeholder(self):
        for arguments, said in (
                (("keda", "-namespace", "shop", "-prometheus", "http://p"), "-for is missing"),
                (("keda", "-for", "deployment/web", "-prometheus", "http://p"), "-namespace is missing"),
                (("keda", *KUBERNETES), "-prometheus is missing"),
                (("hpa", "-namespace", "shop"), "-for is missing"),
                (("hpa", "-for", "deployment/web"), "-namespace is missing"),
                (("keda", "-for", "other=deployment/web"), "does not scale service 'other'")):
            run = export(*arguments)
            self.assertEqual((run.returncode, run.stdout), (1, ""), arguments)
            self.assertRegex(run.stderr, "^cannot export: .*" + said)
        for arguments, said in ((("helm",), "expected grafana, rules, keda or hpa"), (("hpa", "-for", "web"), "KIND/NAME"),
                                (("hpa", "-for", "daemonset/web"), "deployment, statefulset or replicaset")):
            run = export(*arguments)
            self.assertEqual((run.returncode, run.stdout), (2, ""), arguments)
            self.assertIn(said, run.stderr)
        bare = {"catalog": "none", "jobs": CONFIG["jobs"]}
        for what in ("grafana", "rules", "keda", "hpa"):
            self.assertEqual(export(what, config=bare).returncode, 1)
        measured_elsewhere = [{**CONFIG["jobs"][0], "name": "mill"}]
        zero = {**CONFIG, "jobs": measured_elsewhere, "scaling": [{**CONFIG["scaling"][0], "min": 0}]}
        self.assertIn("keeps at least 1", export("hpa", *KUBERNETES, config=zero).stderr)

    def test_the_same_configuration_gives_the_same_text(self):
        for arguments in (("grafana",), ("rules",), ("hpa", *KUBERNETES)):
            self.assertEqual(self.text(*arguments), self.text(*arguments))


if __name__ == "__main__":
    harness.main()
