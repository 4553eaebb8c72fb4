"""A program of its own: makes system calls that would change something, and prints what became of each.

Nothing happens by them where they are allowed: they ask for what is not there, or
send the signal 0.  So EPERM can only be the filter's answer.
"""

import ctypes
import os
import platform
import sys

# Number on x86_64, then arguments.  1 is an address that cannot be read.
NOWHERE, NO_PROCESS = 1, 2**22 + 1
CALLS = {
    "kill": (62, os.getpid(), 0),
    "tkill": (200, os.getpid(), 0),
    "tgkill": (234, os.getpid(), os.getpid(), 0),
    "rt_sigqueueinfo": (129, os.getpid(), 0, NOWHERE),
    "rt_tgsigqueueinfo": (297, os.getpid(), os.getpid(), 0, NOWHERE),
    "pidfd_send_signal": (424, -1, 0, 0, 0),
    "ptrace": (101, 16, NO_PROCESS, 0, 0),
    "process_vm_writev": (311, NO_PROCESS, 0, 0, 0, 0, 0),
    "mount": (165, NOWHERE, NOWHERE, NOWHERE, 0, 0),
    "umount2": (166, NOWHERE, -1),
    "setns": (308, -1, 0),
}


def main() -> int:
    """One line for each call: its name and the number of its error, 0 for none."""
    assert platform.machine() == "x86_64"
    system = ctypes.CDLL(None, use_errno=True)
    for name, (number, *arguments) in CALLS.items():
        ctypes.set_errno(0)
        failed = system.syscall(number, *(ctypes.c_long(one) for one in arguments)) == -1
        print(name, ctypes.get_errno() if failed else 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
