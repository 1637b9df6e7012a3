#!/usr/bin/env python3
"""The static file in roots that hold next to nothing (tests/run.sh --static)."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import ssl
import struct
import subprocess
import tempfile
import unittest

import harness

BUSYBOX = shutil.which("busybox")
MEGABYTE = 1024 * 1024


def is_static(path):
    """No program header asks for an interpreter."""
    elf = pathlib.Path(path).read_bytes()
    offset, = struct.unpack_from("<Q", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x36)
    interpreter = 3
    return all(struct.unpack_from("<I", elf, offset + i * size)[0] != interpreter for i in range(count))


def make_certificates(folder, name):
    """A CA of our own and a server's certificate by it, made by openssl."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", "server.key", "-out", "server.csr")
    pathlib.Path(folder, "names").write_text(f"subjectAltName=DNS:{name}\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "names", "-out", "server.pem")


class Root:
    """A folder to be somebody's whole file system: the agent, a config, and what a test adds."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder)
        for name in ("bin", "etc/ssl/certs", "proc", "dev", "run"):
            (self.path / name).mkdir(parents=True)
        os.mknod(self.path / "dev/null", 0o666 | 0o020000, os.makedev(1, 3))
        shutil.copy(harness.BINARY, self.path / "bin/containerpilot")

    @contextlib.contextmanager
    def run(self, config, env=None):
        """The agent as PID 1 in this root; yields (outer process, log function)."""
        (self.path / "etc/containerpilot.json5").write_text(json.dumps(config))
        log = self.path / "log"
        with open(log, "ab") as out:
            process = subprocess.Popen(
                ["unshare", "--pid", "--fork", "--kill-child", f"--root={self.path}", "--wd=/", "--mount-proc=/proc",
                 "/bin/containerpilot", "-config", "/etc/containerpilot.json5"],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL, env={"PATH": "/bin", **(env or {})})
        try:
            yield process, lambda: log.read_text(errors="replace")
        finally:
            for pid in harness.children(process.pid):
                os.kill(pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@unittest.skipUnless(is_static(harness.BINARY), "not the static file")
class StaticFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="containerpilot-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_is_no_more_than_8_mb(self):
        self.assertLessEqual(os.path.getsize(harness.BINARY), 8 * MEGABYTE)

    def test_idle_takes_no_more_than_5_mb(self):
        checks = self.folder / "checks"
        with harness.Agent({"catalog": {"embedded": {"listen": "127.0.0.1:0"}}, "telemetry": {}, "jobs": [
                {"name": "web", "exec": ["sleep", "1000"], "port": 8000, "interfaces": ["static:127.0.0.1"],
                 "health": {"exec": ["sh", "-c", f"echo >>{checks}"], "interval": 1, "ttl": 5}}]}) as agent:
            harness.until(lambda: agent.get("/readyz").status == 200, "the agent")
            # Long after the start, and after a beat of the telemetry entry.
            harness.until(lambda: len(checks.read_text()) >= 8, "some checks", timeout=30)
            kilobytes = int(harness.status_field(agent.pid, "VmRSS").split()[0])
        self.assertLessEqual(kilobytes * 1024, 5 * MEGABYTE)

    @unittest.skipUnless(os.geteuid() == 0 and BUSYBOX, "needs root and busybox")
    def test_an_empty_root_is_enough(self):
        """PID 1, a job, a user by name, a catalog by name over TLS, and a scrape; no libc, no shell."""
        make_certificates(self.folder, "catalog.test")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        root = Root(self.folder / "root")
        shutil.copy(BUSYBOX, root.path / "bin/busybox")
        shutil.copy(self.folder / "ca.pem", root.path / "etc/ssl/certs/ca-certificates.crt")
        (root.path / "etc/hosts").write_text("127.0.0.1 catalog.test\n")
        (root.path / "etc/passwd").write_text("app:x:1234:1235::/:/bin/false\n")
        (root.path / "etc/group").write_text("app:x:1235:\n")
        telemetry = harness.free_port()
        with harness.Consul(tls=tls) as consul, root.run({
                "consul": {"address": f"catalog.test:{consul.port}", "scheme": "https", "tls": {"verify": True}},
                "telemetry": {"port": telemetry, "listen": "127.0.0.1", "interfaces": ["static:127.0.0.1"]},
                "control": {"socket": "/run/control.socket"},
                "jobs": [{"name": "web", "exec": ["/bin/busybox", "sleep", "1000"], "user": "app", "port": 8000,
                          "interfaces": ["static:127.0.0.1"],
                          "health": {"exec": ["/bin/busybox", "true"], "interval": 1, "ttl": 5}}]}) as (outer, log):
            try:
                call = consul.wait_for("PUT", "/v1/agent/service/register", timeout=15)
            except harness.Timeout as timeout:
                raise AssertionError(log()) from timeout
            self.assertIn(call.json["Name"], ("web", "containerpilot"))
            page = harness.until(lambda: harness.http_call(f"http://127.0.0.1:{telemetry}/metrics"), "the metrics")
            self.assertIn("containerpilot_build_info", page.text)
            agent, = harness.children(outer.pid)
            job = harness.until(lambda: harness.children(agent), "the job")[0]
            harness.until(lambda: harness.status_field(job, "Uid").split()[0] == "1234", "the user of the job")
            self.assertEqual(harness.status_field(job, "Gid").split()[0], "1235")

    @unittest.skipUnless(os.geteuid() == 0 and BUSYBOX, "needs root and busybox")
    def test_a_root_without_time_zones_keeps_appointments_in_them(self):
        root = Root(self.folder / "root")
        shutil.copy(BUSYBOX, root.path / "bin/busybox")
        with root.run({"catalog": "none", "control": {"socket": "/run/control.socket"}, "jobs": [
                {"name": "stay", "exec": ["/bin/busybox", "sleep", "1000"]},
                {"name": "nightly", "exec": ["/bin/busybox", "true"],
                 "when": {"schedule": "0 3 * * *", "timeZone": "Asia/Kathmandu"}}]}) as (_, log):
            def next_start():
                screen = subprocess.run([harness.BINARY, "-socket", str(root.path / "run/control.socket"), "-status", "-json"],
                                        capture_output=True, text=True, check=False)
                jobs = json.loads(screen.stdout)["Jobs"] if screen.stdout else []
                return next((job.get("NextStart") for job in jobs if job["Name"] == "nightly"), None)
            try:
                when = harness.until(next_start, "the next start")
            except harness.Timeout as timeout:
                raise AssertionError(log()) from timeout
        self.assertRegex(when, "T21:15:00")  # Nepal is 5:45 ahead of UTC all year

    @unittest.skipUnless(os.geteuid() == 0 and BUSYBOX and shutil.which("musl-gcc"), "needs root, busybox and musl")
    def test_a_root_like_alpine_runs_its_own_programs(self):
        """busybox as the shell, musl as the C library of the application."""
        root = Root(self.folder / "root")
        shutil.copy(BUSYBOX, root.path / "bin/busybox")
        (root.path / "bin/sh").symlink_to("busybox")
        (root.path / "lib").mkdir()
        shutil.copy("/lib/ld-musl-x86_64.so.1", root.path / "lib/ld-musl-x86_64.so.1")
        source = self.folder / "app.c"
        source.write_text('#include <stdio.h>\n#include <unistd.h>\nint main(void) { puts("musl app up"); '
                          "fflush(stdout); pause(); return 0; }\n")
        subprocess.run(["musl-gcc", str(source), "-o", str(root.path / "bin/app")], check=True)
        with root.run({"catalog": "none", "control": {"socket": "/run/control.socket"}, "jobs": [
                {"name": "app", "exec": ["/bin/app"]},
                {"name": "shell", "exec": ["sh", "-c", "busybox echo shell of $CONTAINERPILOT_PID."]}]}) as (_, log):
            harness.until(lambda: "musl app up" in log() and "shell of 1." in log(), "both jobs")


if __name__ == "__main__":
    harness.main()
