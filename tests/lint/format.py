#!/usr/bin/env python3
"""Fails if a C++ file is not as clang-format would write it."""
import subprocess
import sys

import source

sys.exit(subprocess.run(["clang-format", "--dry-run", "--Werror", *source.files("*.h", "*.cc")],
                        check=False).returncode)
