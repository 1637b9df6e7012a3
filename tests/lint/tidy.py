#!/usr/bin/env python3
"""Runs clang-tidy over the modules' sources: tidy.py BUILD_DIR

What was clean is remembered in BUILD_DIR/tidy until the file, any of our headers or .clang-tidy changes.
A first run may stop after CONTAINERPILOT_TIDY_SECONDS (default 900); it then says which files it did not
reach. The most recently changed files come first.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import source


def digest(*paths):
    """One hash over the content of all the files."""
    total = hashlib.sha256()
    for path in paths:
        total.update(pathlib.Path(path).read_bytes())
    return total.hexdigest()


def newest_first(paths):
    """Orders by last commit; files git has no commit for come first."""
    log = subprocess.run(["git", "-c", "safe.directory=*", "log", "--format=", "--name-only"], check=False,
                         capture_output=True, text=True).stdout.split("\n")
    age = {}
    for position, path in enumerate(log):
        age.setdefault(path, position)
    return sorted(paths, key=lambda path: age.get(path, -1))


def without_pch(build, folder):
    """The compile commands without the precompiled header, which is of another compiler and stands for nothing."""
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    for command in commands:
        command["command"] = re.sub(r" (-Winvalid-pch|-include \S+/cmake_pch\.hxx)(?= )", "", command["command"])
    (folder / "compile_commands.json").write_text(json.dumps(commands), encoding="utf-8")


def main():
    build = pathlib.Path(sys.argv[1])
    deadline = time.monotonic() + float(os.environ.get("CONTAINERPILOT_TIDY_SECONDS", "900"))
    clean = build / "tidy"
    clean.mkdir(exist_ok=True)
    without_pch(build, clean)
    common = digest(".clang-tidy", *source.files("*.h"))

    def check(path):
        stamp = clean / hashlib.sha256((common + path + digest(path)).encode()).hexdigest()
        if stamp.exists():
            return "clean", ""
        if time.monotonic() > deadline:
            return "not reached", ""
        run = subprocess.run(["clang-tidy", "--quiet", "-p", str(clean), path], check=False,
                             capture_output=True, text=True)
        if run.returncode == 0:
            stamp.touch()
            return "clean", ""
        return "dirty", run.stdout + run.stderr

    paths = newest_first(source.files("*/src/*.cc"))
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("CONTAINERPILOT_JOBS", "2"))) as pool:
        results = dict(zip(paths, pool.map(check, paths)))
    for path, (state, output) in results.items():
        if state != "clean":
            print(f"{path}: {state}\n{output}")
    states = [state for state, _ in results.values()]
    print(", ".join(f"{states.count(state)} {state}" for state in ("clean", "dirty", "not reached")))
    return 1 if "dirty" in states else 0


if __name__ == "__main__":
    sys.exit(main())
