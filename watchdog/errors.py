"""The errors that a caller handles differently.

Each says what was tried, on what, and what came back.
"""

from __future__ import annotations


class WatchdogError(Exception):
    """Any error of ours; the message is a sentence for a person."""


class ConfigError(WatchdogError):
    """The configuration cannot be used; the message names file and line."""


class RecordingError(WatchdogError):
    """A recording is truncated, foreign or of another version."""


class LedgerError(WatchdogError):
    """The ledger cannot be read or written; without it there is no action."""


class ProcessGone(WatchdogError):
    """The process ended, or its pid now belongs to another one."""


class Deadline(WatchdogError):
    """Something did not answer in time."""


class Unavailable(WatchdogError):
    """Something is not there or not allowed on this host."""


class Refused(WatchdogError):
    """A rule forbids the action; nothing was touched."""


class NotRunning(WatchdogError):
    """There is no agent that this run directory belongs to."""
