"""What the tests of the running program stand on. Python's standard library only.

A test file is a program: it imports harness, defines unittest cases, ends with harness.main(). The agent
under test is CONTAINERPILOT_BINARY, else the one in the CONTAINERPILOT_BUILD folder, else the dev build's.
Nothing waits for a fixed time: every wait is for a condition, with a deadline.
"""
from . import grafana, promql
from .agent import BINARY, Agent, run_to_end
from .consul import Consul
from .proc import GLIBC_SIGNALS, children, descendants, open_files, state, status_field
from .prometheus import Prometheus
from .runner import main
from .wait import Timeout, free_port, free_ports, http_call, until

__all__ = ["Agent", "BINARY", "Consul", "GLIBC_SIGNALS", "Prometheus", "Timeout", "children", "descendants", "free_port", "free_ports", "grafana",
           "http_call", "main", "open_files", "promql", "run_to_end", "state", "status_field", "until"]
