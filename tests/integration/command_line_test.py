#!/usr/bin/env python3
"""Flags, exit codes and streams, as scripts written for the old programs rely on them."""
import os
import pathlib
import re
import stat
import subprocess
import tempfile
import unittest

import harness

CONFIG = '{ consul: "{{ .WHERE | default "localhost" }}:8500", jobs: [] }\n'
RENDERED = '{ consul: "localhost:8500", jobs: [] }\n'


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        self.config = self.folder / "app.json5"
        self.config.write_text(CONFIG)

    def run_agent(self, *arguments, env=None, umask=0o022, name=None):
        """Exit code, stdout, stderr."""
        done = subprocess.run([name or harness.BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=20,
                              check=False, executable=harness.BINARY, cwd=self.folder, umask=umask,
                              env={"PATH": os.environ["PATH"], **(env or {})}, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def test_version_is_two_lines_on_stdout(self):
        for flag in ("-version", "--version", "-version=true", "-version=T"):
            code, out, err = self.run_agent(flag)
            self.assertEqual((code, err), (0, ""))
            self.assertRegex(out, r"\AVersion: \S+\nGitHash: \S+\n\Z")

    def test_help_goes_to_stderr_and_ends_the_reading_of_flags(self):
        for arguments in (["-help"], ["--h"], ["-help", "-nosuchflag"], ["-version", "-help"]):
            code, out, err = self.run_agent(*arguments)
            self.assertEqual((code, out), (0, ""), arguments)
            self.assertIn("Usage:", err)

    def test_wrong_flags_are_2_with_usage_on_stderr(self):
        for arguments in (["-nosuchflag"], ["-nosuchflag", "-help"], ["-config"], ["-version=maybe"], ["---version"],
                          ["-=x"], ["-putenv", "NAME"], ["-putmetric", "name"]):
            code, out, err = self.run_agent(*arguments)
            self.assertEqual((code, out), (2, ""), arguments)
            self.assertIn("Usage:", err)

    def test_the_first_of_several_commands_in_the_old_order_runs(self):
        self.assertEqual(self.run_agent("-ping", "-template", "-config", self.config)[1], RENDERED)
        self.assertIn("Version:", self.run_agent("-template", "-version", "-config", self.config)[1])

    def test_a_switched_off_flag_counts_as_not_given(self):
        self.assertEqual(self.run_agent("-version=false", "-template", "-config", self.config)[1], RENDERED)

    def test_no_configuration_is_1(self):
        for arguments, env in (([], {}), (["-config", ""], {}), ([], {"CONTAINERPILOT": ""}), (["-maintenance", ""], {})):
            self.assertEqual(self.run_agent(*arguments, env=env)[0], 1, arguments)

    def test_a_configuration_comes_as_path_url_text_or_variable(self):
        self.assertEqual(self.run_agent("-config", "app.json5", "-template"), (0, RENDERED, ""))
        self.assertEqual(self.run_agent(f"--config=file://{self.config}", "--template"), (0, RENDERED, ""))
        self.assertEqual(self.run_agent("-config", "file://app.json5", "-template"), (0, RENDERED, ""))
        self.assertEqual(self.run_agent("-config", CONFIG, "-template"), (0, RENDERED, ""))
        for value in (self.config, f"file://{self.config}", CONFIG):
            for name in ("CONTAINERPILOT", "CONTAINERBUDDY"):
                self.assertEqual(self.run_agent("-template", env={name: str(value)}), (0, RENDERED, ""))
        self.assertEqual(self.run_agent("-config", self.config, "-template", env={"CONTAINERPILOT": "/none"})[0], 0)

    def test_template_renders_what_is_no_configuration_too(self):
        self.assertEqual(self.run_agent("-config", '{{ "x" }} is not {JSON', "-template"), (0, "x is not {JSON", ""))

    def test_template_of_several_files_and_of_a_folder_comes_in_order(self):
        more = self.folder / "more"
        more.mkdir()
        (more / "2.json5").write_text("{{ 2 }}")
        (more / "1.json").write_text("{{ 1 }}")
        self.assertEqual(self.run_agent("-config", self.config, "-config", more, "-template"), (0, RENDERED + "12", ""))

    def test_template_writes_a_file_of_mode_0644(self):
        for umask, mode in ((0, 0o644), (0o077, 0o600)):
            for out, name in (("plain.json", "plain.json"), ("file://url.json", "url.json")):
                (self.folder / name).unlink(missing_ok=True)
                self.assertEqual(self.run_agent("-config", self.config, "-template", "-out", out, umask=umask), (0, "", ""))
                self.assertEqual((self.folder / name).read_text(), RENDERED)
                self.assertEqual(stat.S_IMODE((self.folder / name).stat().st_mode), mode)
        self.assertEqual(self.run_agent("-config", self.config, "-template", "-out", "-"), (0, RENDERED, ""))

    def test_a_template_that_fails_writes_nothing(self):
        (self.folder / "out").write_text("kept")
        code, out, err = self.run_agent("-config", "a\n{{ .X | nosuch }}", "-template", "-out", "out")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"2:\d+: cannot find a function \"nosuch\"")
        self.assertEqual((self.folder / "out").read_text(), "kept")
        self.assertEqual(self.run_agent("-config", self.config, "-template", "-out", "/no/such/folder")[0], 1)

    def test_what_cannot_be_read_is_named_and_1(self):
        folder = self.folder / "folder.json"
        (folder / "inner.json").mkdir(parents=True)
        for value, word in (("nosuch.json5", "nosuch.json5"), (folder, "inner.json"), ("/proc/self/mem", "/proc/self/mem")):
            for command in (["-template"], ["-check"], []):
                code, out, err = self.run_agent("-config", value, *command)
                self.assertEqual(code, 1, (value, command))
                self.assertIn(word, out + err)

    def test_check_reports_on_stdout_and_needs_nothing_of_this_host(self):
        text = '{ consul: "consul.example.invalid:8500", jobs: [ { name: "web", exec: "no-such-program --flag", port: 80,\n' \
               '  interfaces: "nosuch0", health: { exec: "/no/such/check", interval: {{ .EVERY }}, ttl: 5 },\n' \
               '  when: { source: "{{ .AFTER }}", once: "exitSuccess" } } ] }'
        code, out, err = self.run_agent("-config", text, "-check")
        self.assertEqual((code, err), (0, ""), out)
        for said in (r"warning: .*EVERY.*is not set", r"warning: .*no-such-program", r"warning: .*/no/such/check",
                     r"warning: .*nosuch0", r"\n.*0 errors, \d+ warnings"):
            self.assertRegex(out, said)
        code, out, err = self.run_agent("-config", "{ consul: 'c', jobs: [{}] }", "-check")
        self.assertEqual((code, err), (1, ""))
        self.assertRegex(out, "jobs\\[0\\]: 'name' is missing")

    def test_arguments_of_the_application_are_templates(self):
        old = '{"consul": "127.0.0.1:1", "services": []}'
        code, out, _ = self.run_agent("-config", old, "sh", "-c", 'test "$CONTAINERPILOT_PID" = {{ .CONTAINERPILOT_PID }} '
                                      '&& echo "{{ .WORD }} $0"', "-config", env={"WORD": "hello"})
        self.assertEqual(code, 0)
        self.assertIn("hello -config\n", out)
        _, out, _ = self.run_agent("-config", old, "echo", "{{ .WORD }}", "{{ .WORD | nosuch }}", env={"WORD": "hello"})
        self.assertIn("{{ .WORD }} {{ .WORD | nosuch }}\n", out)
        _, out, _ = self.run_agent("-config", old, "echo", "{{ .WORD }}", env={"WORD": "hello"}, name="/bin/containerbuddy")
        self.assertIn("{{ .WORD }}\n", out)

    def test_hooks_of_generation_2_know_the_pids_of_those_before(self):
        old = '{"consul": "127.0.0.1:1", "preStart": ["sh", "-c", "echo pre $$"], ' \
              '"postStop": ["sh", "-c", "echo post $CONTAINERPILOT_PRESTART_PID $CONTAINERPILOT_APP_PID"]}'
        code, out, _ = self.run_agent("-config", old, "sh", "-c", "echo app $$")
        self.assertEqual(code, 0)
        pre, app = (re.search(rf"^{who} (\d+)$", out, re.MULTILINE)[1] for who in ("pre", "app"))
        self.assertIn(f"post {pre} {app}\n", out)

    def test_agents_of_generation_2_run_beside_each_other(self):  # they had no control socket to fight for
        arguments = [harness.BINARY, "-config", '{"consul": "127.0.0.1:1"}', "sh", "-c", "echo up; read line <fifo"]
        os.mkfifo(self.folder / "fifo")
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=self.folder) as first:
            for line in first.stdout:
                if line == "up\n":
                    break
            code, out, _ = self.run_agent("-config", '{"consul": "127.0.0.1:1"}', "echo", "second")
            (self.folder / "fifo").write_text("\n")
        self.assertEqual((code, first.returncode), (0, 0), out)
        self.assertRegex(out, "(?m)^second$")


harness.main()
