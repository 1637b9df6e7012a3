#!/usr/bin/env python3
"""Runs shellcheck over every shell script."""
import subprocess
import sys

import source


def is_shell(path):
    with open(path, "rb") as file:
        return file.readline().rstrip() in (b"#!/bin/sh", b"#!/bin/bash")


sys.exit(subprocess.run(["shellcheck", *filter(is_shell, source.files())], check=False).returncode)
