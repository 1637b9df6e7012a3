#!/usr/bin/env python3
"""Adds up what ran: summary.py REPORTS_DIR; ends with "N passed, N failed" and exits 1 unless all passed.

Reads ctest's reports (REPORTS_DIR/*.xml). Where a test program wrote its own report with single cases
(REPORTS_DIR/cases/<report>/<program>.xml), those are counted instead of the program.
"""
import pathlib
import sys
import xml.etree.ElementTree as xml


def cases(report):
    """(name, passed) of each case a program ran; skipped ones are left out."""
    for case in xml.parse(report).getroot().iter("testcase"):
        if case.get("status") == "notrun" or case.find("skipped") is not None:
            continue
        name = f"{case.get('classname')}.{case.get('name')}"
        yield name, case.find("failure") is None and case.find("error") is None


def results(reports):
    """(name, passed) over everything."""
    for report in sorted(reports.glob("*.xml")):
        for test in xml.parse(report).getroot().iter("testcase"):
            program = test.get("name")
            passed = test.get("status") == "run"
            detail = reports / "cases" / report.stem / f"{program.replace('.', '_')}.xml"
            single = list(cases(detail)) if detail.exists() else []
            yield from ((f"{program} {name}", ok) for name, ok in single)
            if not single or (not passed and all(ok for _, ok in single)):
                yield program, passed


def main():
    everything = list(results(pathlib.Path(sys.argv[1])))
    for name, passed in everything:
        if not passed:
            print(f"failed: {name}")
    failed = sum(not passed for _, passed in everything)
    print(f"\n{len(everything) - failed} passed, {failed} failed")
    return 1 if failed or not everything else 0


if __name__ == "__main__":
    sys.exit(main())
