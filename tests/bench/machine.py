"""The machine that a number was measured on, and readings of processes."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def describe() -> str:
    """One line: processor, cores, memory, kernel, Python."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory_kb = int(next(line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")).split()[1])
    python = subprocess.run(
        ["/usr/bin/python3", "--version"], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
    kernel = platform.release()
    return f"{cpu}, {os.cpu_count()} cores, {memory_kb / 2**20:.0f} GiB, Linux {kernel}, {python}"


def pss_mb(pid: int, but: str = "\0") -> float:
    """The proportional set size of a process in MB, without mappings of files below `but`."""
    total_kb, counted = 0, True
    for line in _lines(f"/proc/{pid}/smaps"):
        name = line.split(":", 1)[0]
        if (" " not in name and name.isalnum()) or "_" in name:
            if name == "Pss" and counted:
                total_kb += int(line.split()[1])
        else:
            counted = but not in line
    return total_kb / 1024


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process so far, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def cpu_with_children_s(pid: int) -> float:
    """CPU time of a process and of its children that have ended, in seconds (10 ms steps)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
