"""What /proc tells about processes."""
import os
import pathlib

# 32 and 33 as bits of SigIgn: glibc's own, which its posix_spawn leaves ignored; no program can use them.
GLIBC_SIGNALS = 0b11 << 31


def status_field(pid, name):
    """One line of /proc/PID/status: status_field(pid, "SigBlk")."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    raise LookupError(name)


def state(pid):
    """One letter: R, S, Z, ...; None when there is no such process."""
    try:
        return status_field(pid, "State")[0]
    except OSError:
        return None


def children(pid):
    """Pids of the children, zombies included."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text("ascii").split())
    except OSError:
        pass
    return found


def descendants(pid):
    """Pids of all below."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def open_files(pid):
    """What the file descriptors of a process point at, by number."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
    return found
