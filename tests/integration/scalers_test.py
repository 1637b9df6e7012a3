#!/usr/bin/env python3
"""Manifests of autoscalers: fields, strings, guards against "no data is zero", queries over series that exist."""
import contextlib
import copy
import http.server
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import unittest

import harness
from harness import manifests, promql

ROOT = pathlib.Path(__file__).resolve().parents[2] / "dashboards"
FOLDER = ROOT / "scalers"
RECORDED = set(re.findall(r"record: (\S+)", (ROOT / "prometheus/recording.yml").read_text(encoding="utf-8")))


def documents(name):
    return manifests.load((FOLDER / name).read_text(encoding="utf-8"))


class Manifests(unittest.TestCase):
    def check_queries(self, queries):
        self.assertEqual(promql.problems(queries), {})
        for query in queries:
            for selector in promql.selectors(query):
                name = selector.metric or selector.matchers[0].split('"')[1]
                self.assertTrue(name in RECORDED or promql.exported(name), f"{query}: {name}")

    def test_keda(self):
        for name in ("keda-prometheus.yml", "keda-metrics-api.yml"):
            for document in documents(name):
                self.assertEqual(manifests.problems(document), [], name)
                self.check_queries(manifests.queries(document))

    def test_the_check_finds_what_would_hurt(self):
        good = documents("keda-prometheus.yml")[0]
        for breach, said in (
                (lambda d: d["spec"]["triggers"][0]["metadata"].pop("ignoreNullValues"), "ignoreNullValues is missing"),
                (lambda d: d["spec"]["triggers"][0]["metadata"].update(ignoreNullValues="true"), "count as 0"),
                (lambda d: d["spec"]["triggers"][0]["metadata"].update(threshold=1), "no string"),
                (lambda d: d["spec"].pop("fallback"), "fallback is missing"),
                (lambda d: d["spec"].update(maxReplicas=3), "unknown"),
                (lambda d: d["spec"].update(minReplicaCount=30), "above")):
            document = copy.deepcopy(good)
            breach(document)
            self.assertRegex("; ".join(manifests.problems(document)), said)

    def test_hpa_and_adapter_agree(self):
        (autoscaler,), (adapter,) = documents("hpa.yml"), documents("prometheus-adapter.yml")
        self.assertEqual(manifests.problems(autoscaler), [])
        self.assertEqual([m["external"]["metric"]["name"] for m in autoscaler["spec"]["metrics"]],
                         [rule["name"]["as"] for rule in adapter["externalRules"]])
        self.check_queries(list(manifests.adapter_queries(adapter["externalRules"])))

    def test_nomad(self):
        text = (FOLDER / "nomad.hcl").read_text(encoding="utf-8")
        self.check_queries([q.replace('\\"', '"') for q in re.findall(r'^ *query += "(.*)"$', text, re.M)])
        self.assertIn('on_check_error      = "ignore"', text)
        self.assertEqual(text.count("{"), text.count("}"))


class Swarm(unittest.TestCase):
    """The script against a stand-in for Prometheus and one for docker, which notes what it is told."""

    @contextlib.contextmanager
    def prometheus(self, status, body):
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}", asked
            server.shutdown()
            thread.join()

    def scaled_to(self, status, body):
        """What docker was told, '' for nothing; 3 replicas run."""
        with tempfile.TemporaryDirectory() as folder, self.prometheus(status, body) as (url, asked):
            docker = pathlib.Path(folder, "docker")
            docker.write_text('#!/bin/sh\n[ "$2" = scale ] && echo "$4" > told || echo 3\n')
            docker.chmod(0o755)
            run = subprocess.run([FOLDER / "swarm.sh", "web", "2", "9", url], cwd=folder, capture_output=True, text=True,
                                 check=False, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn("containerpilot_scaling_wanted", asked[0])
            told = pathlib.Path(folder, "told")
            return told.read_text().strip() if told.exists() else ""

    def test_follows_within_limits_and_holds_without_an_answer(self):
        def answer(value):
            return f'{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1.5,"{value}"]}}]}}}}'
        for status, body, expected in (
                (200, answer(5), "web=5"), (200, answer(1), "web=2"), (200, answer(70), "web=9"), (200, answer(3), ""),
                (200, '{"status":"success","data":{"resultType":"vector","result":[]}}', ""),
                (200, answer("NaN"), ""), (200, answer("-9e99"), ""), (200, "rubbish", ""), (503, answer(5), "")):
            with self.subTest(body=body, status=status):
                self.assertEqual(self.scaled_to(status, body), expected)


if __name__ == "__main__":
    harness.main()
