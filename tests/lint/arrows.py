#!/usr/bin/env python3
"""Fails on an include that points up, or that brings a third-party header into a public one.

The arrows (README.md): supervisor <- telemetry, discovery <- agent. Telemetry and discovery do not know
each other. Public headers include only the standard library, the system's and ours.
"""
import re
import sys

import source

MAY_INCLUDE = {
    "supervisor": {"supervisor"},
    "discovery": {"supervisor", "discovery"},
    "telemetry": {"supervisor", "telemetry"},
    "agent": {"supervisor", "discovery", "telemetry", "agent"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
OURS = re.compile(r"^containerpilot/([a-z_]+)/")
SYSTEM = re.compile(r"^(sys|netinet|arpa|linux)/|^[a-z0-9_]+(\.h)?$")
THIRD_PARTY = {"civetweb.h", "ares.h", "zlib.h"}


def problems(path, text):
    """What is wrong with the includes of one file, as lines for people."""
    module = path.split("/", 1)[0]
    public = "/include/" in path
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        name = match.group(2)
        ours = OURS.match(name)
        if ours and ours.group(1) not in MAY_INCLUDE[module]:
            yield f"{path}:{number}: {module} must not include {ours.group(1)}"
        if not ours and public and (not SYSTEM.match(name) or name in THIRD_PARTY):
            yield f"{path}:{number}: public header includes '{name}'; third-party headers belong into src/"
        if match.group(1) == '"' and public and not ours:
            yield f"{path}:{number}: public header includes private '{name}'"


def self_test():
    """The rules find what they are there to find."""
    bad = {
        "supervisor/src/a.cc": '#include "containerpilot/agent/plan.h"',
        "telemetry/src/a.cc": '#include "containerpilot/discovery/catalog.h"',
        "telemetry/include/containerpilot/telemetry/a.h": "#include <prometheus/registry.h>",
        "agent/include/containerpilot/agent/a.h": "#include <civetweb.h>",
    }
    for path, text in bad.items():
        assert list(problems(path, text)), f"not found: {path}: {text}"
    assert not list(problems("agent/src/a.cc", "#include <curl/curl.h>\n#include \"containerpilot/supervisor/log.h\""))


def main():
    self_test()
    found = []
    for path in source.files(*(f"{m}/*.{e}" for m in MAY_INCLUDE for e in ("h", "cc"))):
        with open(path, encoding="utf-8") as file:
            found += problems(path, file.read())
    print("\n".join(found) or "all include arrows point down")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
