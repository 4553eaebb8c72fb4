"""Exit codes, for scripts; they do not change their meaning."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    NOT_RUNNING = 3
    HANG = 4
    REFUSED = 5
    PERMISSION = 8


EXIT_CODES = """\
exit codes:
  0  all is well, or the thing was done
  1  something failed: the line on stderr says what
  2  the command line or the configuration is wrong
  3  the agent is not running
  4  a pull hangs (status)
  5  a rule forbids it (act, revert, ack); nothing was touched
  8  permission denied
"""
