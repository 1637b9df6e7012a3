#!/usr/bin/env python3
"""The live page in a real headless Chromium: renders, follows, survives a restart, is accessible, strict and small."""
import os
import pathlib
import re
import sys
import unittest

import harness
from harness.browser import AVAILABLE, Browser
from harness.busy_agent import busy_agent

BUILD = pathlib.Path(os.environ.get("CONTAINERPILOT_BUILD") or pathlib.Path(__file__).resolve().parents[2] / "build/dev")
SHOTS = BUILD / "artifacts/live_page"
FILES = ("", "live/page.js", "live/page.css", "live/icon.svg", "live/dygraph.js", "live/dygraph.css", "live/licences.txt")
TAB = "\ue004"

if not AVAILABLE:
    print("SKIPPED: chromium and chromium-driver are not installed: the live page is NOT tested", file=sys.stderr)


class Files(unittest.TestCase):
    def test_are_small_strict_and_the_same_for_everybody(self):
        with busy_agent(token="s3cret-t0ken") as agent:
            total = 0
            for path in FILES:
                answer = agent.get(f"/{path}", headers={"Accept-Encoding": "gzip"})
                self.assertEqual(answer.status, 200, path)
                total += len(answer.body)
                policy = answer.headers["Content-Security-Policy"]
                self.assertIn("default-src 'none'", policy)
                self.assertNotIn("unsafe", policy)
                self.assertNotRegex(policy, r"https?:|\*")
                self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
                self.assertNotIn("s3cret", agent.get(f"/{path}").text)
            print(f"the page is {total} bytes, gzipped, in {len(FILES)} files", file=sys.stderr)
            self.assertLess(total, 150_000)
            self.assertEqual(agent.get("/status").status, 401)
            self.assertIn("Mirabilos".lower(), agent.get("/live/licences.txt").text.lower())


@unittest.skipUnless(AVAILABLE, "chromium and chromium-driver are not installed")
class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = cls.enterClassContext(Browser())

    def show(self, agent, wait_for="connected"):
        self.browser.open("about:blank")  # the page of the test before misses its agent, and says so
        for kind in ("browser", "performance"):
            self.browser.log(kind)
        self.browser.open(agent.telemetry + "/")
        harness.until(lambda: self.browser.text("#connection") == wait_for, f"the page to say {wait_for}", timeout=20)

    def until_text(self, selector, pattern, timeout=15.0):
        harness.until(lambda: re.search(pattern, self.browser.text(selector)), f"{pattern!r} in {selector}: "
                      f"{self.browser.text(selector)!r}", timeout, interval=0.1)

    def assert_quiet(self):
        self.assertEqual([e["message"] for e in self.browser.log() if e["level"] in ("SEVERE", "WARNING")], [])

    def test_shows_everything_in_light_and_dark_and_follows(self):
        with busy_agent() as agent:
            self.show(agent)
            self.until_text("#jobs", r"web\s+running\s+healthy\s+127.0.0.1:8080")
            self.until_text("#jobs", r"tick[^\n]*\s[1-9]")
            self.until_text("#jobs", r"flaky[^\n]*(exit|3)")
            self.until_text("#scaling", r"web\s+1\s+3\s+1 to 9")
            self.until_text("#sensors", r"sessions\s+30\s+30 to 30 in the last \d+ s; target 10\s+up")
            self.until_text("#sensors", r"broken\s+–\s+no value yet\s+(failing|stale)")
            self.until_text("#catalog", "embedded.*answers")
            self.until_text("#watches", r"web\s+1: 127.0.0.1:8080")
            self.until_text("#events", r"global startup|startup")
            self.assertGreater(self.browser.script("return document.querySelectorAll('.chart canvas').length"), 3)
            for scheme in ("light", "dark"):
                self.browser.prefer(scheme)
                self.browser.screenshot(SHOTS / f"{scheme}.png")
                self.assert_contrast()

            # What happens in the agent is on the page within moments, without a reload of it.
            marker = self.browser.script("return window.marker = 'still the same document'")
            before = agent.job("web")["Starts"]
            agent.control("POST", "/v3/jobs/web/restart")
            self.until_text("#jobs", rf"web\s+running\s+healthy\s+127.0.0.1:8080\s+{before + 1}\s")
            self.until_text("#events", "web.*(exit|stopp)")
            agent.command("-socket", agent.socket, "-maintenance", "enable")
            self.until_text("#connection", "in maintenance")
            agent.command("-socket", agent.socket, "-maintenance", "disable")
            self.until_text("#connection", "^connected$")
            self.assertEqual(self.browser.script("return window.marker"), marker)
            self.assert_quiet()
            self.assert_no_foreign_request(agent.telemetry)

    def assert_no_foreign_request(self, origin):
        urls = [m["params"]["request"]["url"] for m in self.browser.log("performance")
                if m["method"] == "Network.requestWillBeSent"]
        self.assertIn(origin + "/status", urls)
        self.assertEqual([url for url in urls if not url.startswith(origin + "/")], [])

    def assert_contrast(self):
        """WCAG AA: 4.5 to 1 for every text that is shown."""
        poor = self.browser.script(r"""
            const parse = (c) => c.match(/[\d.]+/g).map(Number);
            const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
              .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
              .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
            const poor = [];
            for (const node of document.querySelectorAll("body *")) {
              if (!node.checkVisibility() || ![...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
              let back = node;
              while (back && parse(getComputedStyle(back).backgroundColor)[3] === 0) back = back.parentElement;
              const a = light(parse(getComputedStyle(node).color));
              const b = back ? light(parse(getComputedStyle(back).backgroundColor)) : 1;
              const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
              if (ratio < 4.5) poor.push(`${node.tagName}.${node.className} ${node.textContent.slice(0, 20)}: ${ratio}`);
            }
            return poor;""")
        self.assertEqual(poor, [])

    def test_can_be_used_by_keyboard_and_screen_reader(self):
        with busy_agent() as agent:
            self.show(agent)
            self.until_text("#sensors", "sessions")
            # Tab reaches the skip link first, then every link and scrollable region.
            reached = []
            for _ in range(16):
                self.browser.keys(TAB)
                reached.append(self.browser.script(
                    "const a = document.activeElement; return [a.getAttribute('href') ?? a.id ?? '', "
                    "getComputedStyle(a).outlineStyle]"))
            self.assertEqual(reached[0][0], "#main")
            self.assertLessEqual({"/metrics", "status", "sensors", "events"}, {name for name, _ in reached})
            self.assertEqual([name for name, outline in reached if outline == "none" and name], [])
            # What the accessibility tree says.
            nodes = [n for n in self.browser.devtools("Accessibility.getFullAXTree")["nodes"] if not n.get("ignored")]

            def named(role):
                return [n["name"]["value"] for n in nodes if n.get("role", {}).get("value") == role and "name" in n]
            self.assertEqual(named("heading")[0].split()[0], "ContainerPilot")
            for role, at_least in (("main", 1), ("region", 4), ("navigation", 1), ("columnheader", 9), ("rowheader", 3),
                                   ("log", 1), ("link", 6), ("status", 1)):
                self.assertGreaterEqual(len(named(role)), at_least, role)
            for role in ("region", "navigation", "link", "columnheader", "rowheader", "log"):
                self.assertTrue(all(named(role)), f"{role} without a name: {named(role)}")
            self.assertFalse([n for n in nodes if n.get("role", {}).get("value") == "Canvas"], "charts are decoration")
            self.assertEqual(self.browser.script("return document.documentElement.lang"), "en")

    def test_survives_a_restart_of_the_agent(self):
        with busy_agent() as agent:
            self.show(agent)
            self.until_text("#events", ".")
            agent.stop()
            self.until_text("#connection", "no answer")
            agent.start()
            self.until_text("#connection", "^connected$", timeout=30)
            self.until_text("#jobs", r"web\s+running\s+healthy")
            self.until_text("#events", "startup", timeout=30)
            self.browser.screenshot(SHOTS / "after-restart.png")

    def test_asks_for_the_token_and_keeps_it_to_itself(self):
        with busy_agent(token="s3cret-t0ken") as agent:
            self.show(agent, "not logged in")
            self.assertEqual(self.browser.text("#jobs"), "")
            self.browser.keys("s3cret-t0ken\n", "#token")
            harness.until(lambda: self.browser.text("#connection") == "connected", "the token to be taken", timeout=20)
            self.until_text("#events", "startup")
            self.assertNotIn("s3cret", self.browser.script(
                "return document.documentElement.outerHTML + JSON.stringify({...localStorage, ...sessionStorage}) "
                "+ document.cookie + location.href"))

    def test_what_sensors_print_is_never_read_as_html(self):
        evil = "<img src=x onerror=\"document.title='owned'\">"
        with harness.Agent({
                "jobs": [{"name": "app", "exec": ["sleep", "1000"]}],
                "sensors": [{"name": "evil", "help": evil, "exec": ["sh", "-c", f"echo '{evil}'"], "interval": "500ms"}],
                "telemetry": {}}) as agent:
            harness.until(lambda: agent.get("/readyz").status == 200, "the agent")
            self.show(agent)
            self.until_text("#sensors", r"evil\s+–\s+no value yet\s+(failing|stale).*img")
            self.assertEqual(self.browser.script("return [document.title, document.images.length]"), ["ContainerPilot", 0])
            self.assert_quiet()


if __name__ == "__main__":
    harness.main()
