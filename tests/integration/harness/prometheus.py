"""Debian's Prometheus, as a child of the test."""
import contextlib
import json
import pathlib
import subprocess
import tempfile
import urllib.parse

from .wait import free_port, http_call, until


class Prometheus:
    """`with Prometheus(scrape_configs, rules=[path, ...]) as prometheus:`; restart() keeps what it has stored.

    scrape_configs  what stands under that key, as a list of dicts.
    """

    def __init__(self, scrape_configs, rules=(), interval="1s"):
        self._folder = tempfile.TemporaryDirectory(prefix="containerpilot-prometheus-")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = pathlib.Path(self._folder.name, "prometheus.yml")
        self._config.write_text(json.dumps({  # JSON is YAML
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": [str(rule) for rule in rules], "scrape_configs": scrape_configs}))
        self._process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.stop()
        self._folder.cleanup()

    def start(self):
        folder = pathlib.Path(self._folder.name)
        with open(folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                ["prometheus", f"--config.file={self._config}", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log, cwd=folder)
        until(lambda: http_call(self.url + "/-/ready").status == 200,
              f"Prometheus:\n{(folder / 'log').read_text()}", timeout=30)

    def stop(self):
        self._process.terminate()
        self._process.wait(20)

    def api(self, path, **parameters):
        answer = http_call(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        if answer.json["status"] != "success":
            raise ValueError(f"{parameters}: {answer.text}")
        return answer.json["data"]

    def query(self, expression):
        """[(labels, value)] of an instant query."""
        return [(series["metric"], float(series["value"][1])) for series in self.api("query", query=expression)["result"]]

    def value(self, expression):
        """The value of the first series, None when there is none."""
        found = self.query(expression)
        return found[0][1] if found else None
