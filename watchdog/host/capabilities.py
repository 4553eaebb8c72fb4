"""What a process may do beyond its user's rights (capabilities(7)).

Numbers are those of include/uapi/linux/capability.h.
"""

from __future__ import annotations

from pathlib import Path
from typing import Union

DAC_READ_SEARCH = 2
KILL = 5
SYS_PTRACE = 19
SYS_ADMIN = 21
PERFMON = 38
BPF = 39


def effective(pid: Union[int, str] = "self") -> int:
    """A bit for each capability that is in effect; 0 where that cannot be read."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next((one for one in status.splitlines() if one.startswith("CapEff:")), "CapEff: 0")
    return int(line.split()[1], 16)


def has(bits: int, *numbers: int) -> bool:
    """Whether all of these are among the bits."""
    return all(bits >> number & 1 for number in numbers)
