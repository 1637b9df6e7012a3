#!/usr/bin/python3
"""chart.py FILE.svg: draws what a Fleet recorded, which comes as JSON on stdin."""
import json
import sys

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "containerpilot"
from matplotlib import pyplot  # noqa: E402  (after use())

story = json.load(sys.stdin)
times, load, desired, running = zip(*story["samples"])
figure, axes = pyplot.subplots(figsize=(10, 4.2), constrained_layout=True)
axes.fill_between(times, load, step="post", alpha=0.2, label="load / target")
axes.step(times, [float("nan") if value is None else value for value in desired], where="post", linestyle="--",
          label="recommended by Prometheus (a gap: no answer)")
axes.step(times, running, where="post", linewidth=2, label="instances running")
top = max(running) + 3
for when, text in story["marks"]:
    axes.axvline(when, color="grey", linewidth=0.6)
    axes.text(when, top - 0.1, f" {text}", fontsize=7, rotation=90, va="top")
axes.set(ylim=(0, top), xlabel="seconds", ylabel="instances",
         title="The fleet follows the sensor, and holds through faults")
axes.legend(loc="lower center", fontsize=8)
figure.savefig(sys.argv[1], metadata={"Date": None})
