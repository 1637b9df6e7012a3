"""The project's own source files, as git knows them."""
import subprocess


def _git_ls_files(*arguments):
    # The clone may belong to another user: tests run as root in a user's checkout.
    return subprocess.run(["git", "-c", "safe.directory=*", "ls-files", *arguments],
                          check=True, capture_output=True, text=True).stdout.splitlines()


def files(*patterns):
    """Tracked files, and new ones not ignored, that match any pattern and exist; sorted."""
    present = _git_ls_files("--cached", "--others", "--exclude-standard", "--", *patterns)
    return sorted(set(present) - set(_git_ls_files("--deleted")))
