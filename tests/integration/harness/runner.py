"""Runs the cases of one test file and, for tests/run.sh, leaves a report of single cases."""
import os
import pathlib
import sys
import time
import unittest
import xml.etree.ElementTree as xml


class _Result(unittest.TextTestResult):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.suite = xml.Element("testsuite")
        self._started = 0.0

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()

    def _record(self, test, outcome=None, text=""):
        case = xml.SubElement(self.suite, "testcase", classname=type(test).__name__, name=test.id().split(".")[-1],
                              time=f"{time.monotonic() - self._started:.3f}")
        if outcome:
            xml.SubElement(case, outcome).text = text

    def addSuccess(self, test):
        super().addSuccess(test)
        self._record(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._record(test, "failure", str(err[1]))

    def addError(self, test, err):
        super().addError(test, err)
        self._record(test, "error", str(err[1]))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self._record(test, "failure", f"{subtest}: {err[1]}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._record(test, "skipped", reason)


def main():
    """Last line of every test file."""
    program = unittest.main(module="__main__", verbosity=2, exit=False,
                            testRunner=unittest.TextTestRunner(verbosity=2, resultclass=_Result))
    reports = os.environ.get("CONTAINERPILOT_CASES")
    if reports:
        name = "integration_" + pathlib.Path(sys.argv[0]).name.removesuffix("_test.py")
        pathlib.Path(reports).mkdir(parents=True, exist_ok=True)
        xml.ElementTree(program.result.suite).write(pathlib.Path(reports, name + ".xml"))
    sys.exit(not program.result.wasSuccessful())
