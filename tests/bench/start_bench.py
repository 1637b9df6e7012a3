#!/usr/bin/env python3
"""From the exec of the agent to its first job's process, wall and CPU: start_bench.py BINARY [ORIGINAL] [ROUNDS]

ORIGINAL is another program that reads the same configuration, for a ratio; the two take turns. CPU is user and system
time of the agent, up to its death right after the job has begun. The best of many rounds is what the machine's other
work has not disturbed; the median is what a user sees here. Figures of different runs are not comparable.
"""
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile

# Writes the time, and the CPU time it came with, into a FIFO; then becomes the program named next, or else stays for
# as long as its parent does. Without a C library: what the job itself needs to start is not the agent's, and in a
# virtual machine that is most of a millisecond.
PROBE = r"""
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
static long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}
void begin(long* stack) {
  long argc = stack[0];
  char** argv = (char**)(stack + 1);
  struct timespec times[2];
  if (argc == 2) call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
  long fd = call(SYS_open, (long)argv[1], O_WRONLY | O_CLOEXEC, 0);
  call(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, (long)&times[1], 0);
  call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&times[0], 0);
  call(SYS_write, fd, (long)times, sizeof times);
  if (argc > 2) call(SYS_execve, (long)argv[2], (long)(argv + 2), (long)(argv + argc + 1));
  else call(SYS_pause, 0, 0, 0);
  call(SYS_exit, 1, 0, 0);
}
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
"""


class Bench:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.probe, self.fifo = str(self.folder / "probe"), str(self.folder / "fifo")
        subprocess.run(["cc", "-O2", "-static", "-nostdlib", "-fno-stack-protector", "-x", "c", "-", "-o", self.probe], input=PROBE, text=True, check=True)
        os.mkfifo(self.fifo)
        self.read_end = os.open(self.fifo, os.O_RDWR)
        (self.folder / "config").write_text(json.dumps({
            "consul": "127.0.0.1:1", "control": {"socket": str(self.folder / "control")},
            "jobs": [{"name": "first", "exec": [self.probe, self.fifo]}]}), encoding="utf-8")

    def stamp(self):
        """(wall, CPU) in milliseconds."""
        fields = struct.unpack("4q", os.read(self.read_end, 32))
        return tuple(fields[i] * 1e3 + fields[i + 1] / 1e6 for i in (0, 2))

    def once(self, binary):
        process = subprocess.Popen([self.probe, self.fifo, binary, "-config", str(self.folder / "config")],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begin, before = self.stamp()
        end, _ = self.stamp()
        process.kill()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = -9
        return end - begin, (usage.ru_utime + usage.ru_stime) * 1e3 - before


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rounds = int(sys.argv.pop()) if sys.argv[-1].isdigit() else 100
    results = {binary: [] for binary in sys.argv[1:]}
    with tempfile.TemporaryDirectory(prefix="containerpilot-bench-") as folder:
        bench = Bench(folder)
        for _ in range(rounds):
            for binary, figures in results.items():
                figures.append(bench.once(os.path.abspath(binary)))
    table = {}
    for binary, figures in results.items():
        for index, what in enumerate(("wall", "CPU")):
            values = [figure[index] for figure in figures]
            table[binary, what] = min(values), statistics.median(values)
            print(f"{what:<5} best {min(values):6.2f}  median {statistics.median(values):6.2f} ms  {binary}")
    if len(results) == 2:
        ours, other = results
        for what in ("wall", "CPU"):
            best, median = (mine / theirs for mine, theirs in zip(table[ours, what], table[other, what]))
            print(f"{what:<5} ratio of the best {best:.2f}, of the medians {median:.2f}; wanted: 0.4")


if __name__ == "__main__":
    main()
