"""Headless Chromium through WebDriver: chromedriver and Python's own HTTP, nothing else."""
import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

from .wait import free_port, http_call, until

AVAILABLE = bool(shutil.which("chromedriver") and shutil.which("chromium"))
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """`with Browser() as browser:` one window; errors of a command are AssertionErrors with the driver's message."""

    def __enter__(self):
        self._profile = tempfile.TemporaryDirectory(prefix="containerpilot-chromium-", ignore_cleanup_errors=True)
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._driver = subprocess.Popen(["chromedriver", f"--port={port}", "--log-level=OFF"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env={**os.environ, "HOME": self._profile.name})
        self._session = None
        try:
            until(lambda: http_call(self._url + "/status").json["value"]["ready"], "chromedriver", timeout=30)
            arguments = ["--headless=new", "--disable-gpu", "--window-size=1280,1600", "--disable-dev-shm-usage",
                         "--no-first-run", f"--user-data-dir={self._profile.name}/profile"]
            if os.geteuid() == 0:
                arguments.append("--no-sandbox")
            answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": {"args": arguments},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}})
            self._session = f"/session/{answer['sessionId']}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError, AssertionError):
            if self._session:
                self._call("DELETE", self._session)
        self._driver.terminate()
        self._driver.wait(20)
        self._profile.cleanup()

    def _call(self, method, path, body=None):
        answer = http_call(self._url + path, method, body if method == "GET" or body else {}, timeout=60)
        value = answer.json["value"]
        assert answer.status == 200, f"{path}: {value.get('message', value)}"
        return value

    def open(self, url):
        self._call("POST", self._session + "/url", {"url": url})

    def script(self, source, *arguments):
        """What `return ...` gives."""
        return self._call("POST", self._session + "/execute/sync", {"script": source, "args": list(arguments)})

    def text(self, selector):
        """All text of the first such element, '' when there is none."""
        return self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def keys(self, text, selector=None):
        """Types into an element, else into whatever has the focus."""
        if selector:
            found = self._call("POST", self._session + "/element", {"using": "css selector", "value": selector})
        else:
            found = self._call("GET", self._session + "/element/active")
        self._call("POST", f"{self._session}/element/{found[_ELEMENT]}/value", {"text": text})

    def devtools(self, command, **parameters):
        return self._call("POST", self._session + "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def prefer(self, scheme):
        """"light" or "dark"."""
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def log(self, kind="browser"):
        """Entries since the last call; kind "performance" has every request, as DevTools messages."""
        entries = self._call("POST", self._session + "/se/log", {"type": kind})
        return [json.loads(e["message"])["message"] for e in entries] if kind == "performance" else entries

    def screenshot(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._call("GET", self._session + "/screenshot")))
