#!/usr/bin/env python3
"""The closed loop: a sensor's value scales real instances up and down, and faults never shrink the fleet."""
import os
import pathlib
import sys
import time
import unittest

import harness
from autoscale.fleet import DOWN_WINDOW, INTERVAL, SERVICE, UP_WINDOW, Fleet, chart

BUILD = pathlib.Path(os.environ.get("CONTAINERPILOT_BUILD") or pathlib.Path(__file__).resolve().parents[2] / "build/dev")
CHART = BUILD / "artifacts/autoscale.svg"
LOW, HIGH = 9, 54  # sessions: 0.9 and 5.4 instances' worth, so 1 and 6 instances
FEW, MANY = 1, 6


def say(text):
    print(text, file=sys.stderr, flush=True)


class ClosedLoop(unittest.TestCase):
    def follow(self, fleet, sessions, reached, limit):
        """Sets the load; seconds until the fleet has reached the answer."""
        began = fleet.seconds()
        fleet.set_load(sessions)
        harness.until(lambda: reached(len(fleet.agents)), f"the answer to {sessions} sessions", timeout=limit + 30)
        return fleet.seconds() - began

    def hold(self, seconds, fleet, lowest):
        """Watches for that long; fails as soon as the fleet is further from the answer than it may be."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.assertIn(len(fleet.agents), (lowest, lowest + 1))
            time.sleep(0.05)

    def all_seen(self, fleet):
        """Catalog and Prometheus know of every instance."""
        harness.until(lambda: len(fleet.catalog.healthy()) == len(fleet.agents), "all in the catalog", timeout=40)
        values = f'count(containerpilot_scaling_value{{service="{SERVICE}"}})'
        harness.until(lambda: fleet.prometheus.value(values) == len(fleet.agents), "a value of each", timeout=40)

    def test_follows_the_load_and_holds_through_faults(self):
        with Fleet() as fleet:
            try:
                self.scenario(fleet)
            except AssertionError:
                say(fleet.story())
                raise
            finally:
                chart(fleet, CHART)
                say(f"chart: {CHART}")

    def scenario(self, fleet):
        fleet.set_load(LOW)
        harness.until(lambda: fleet.desired == FEW, "the first recommendation", timeout=40)
        self.all_seen(fleet)

        # The way of the value to Prometheus and the window, then at most two looks of the driver.
        up_limit, down_limit = UP_WINDOW + 2 * INTERVAL, DOWN_WINDOW + 2 * INTERVAL
        up = self.follow(fleet, HIGH, lambda running: running >= MANY, up_limit)
        raised = fleet.seconds()
        self.all_seen(fleet)

        # For longer than the window that alone would hold the count.
        fleet.mark("sensors break")
        fleet.broken.touch()
        harness.until(lambda: fleet.prometheus.value("count(containerpilot_scaling_value)") is None, "silence", timeout=20)
        self.hold(DOWN_WINDOW + INTERVAL, fleet, MANY)
        fleet.broken.unlink()
        self.all_seen(fleet)

        fleet.mark("Prometheus restarts")
        failed = fleet.failed_queries
        fleet.prometheus.stop()
        harness.until(lambda: fleet.failed_queries > failed, "a look in vain", timeout=3 * INTERVAL + 10)
        fleet.prometheus.start()
        self.all_seen(fleet)

        fleet.mark("catalog wiped")
        fleet.catalog.wipe()
        self.hold(2 * INTERVAL, fleet, MANY)
        self.all_seen(fleet)

        counts = [running for at, _, _, running in fleet.samples if at >= raised]
        overshoot, dropped = max(counts) - MANY, max(0, MANY - min(counts))

        down = self.follow(fleet, LOW, lambda running: running == FEW, down_limit)
        self.hold(2 * INTERVAL, fleet, FEW)

        say(f"up x6: {up:.1f} s (at most {up_limit:g}); down: {down:.1f} s (at most {down_limit:g}); "
            f"overshoot: {overshoot}; dropped during faults: {dropped}; looks in vain: {fleet.failed_queries}")
        self.assertLessEqual(up, up_limit)
        self.assertLessEqual(down, down_limit)
        self.assertLessEqual(overshoot, 1)
        self.assertEqual(dropped, 0)


if __name__ == "__main__":
    harness.main()
