"""The kernel's TCP_* numbers: the states of a connection."""

from __future__ import annotations

ESTABLISHED = 1
SYN_SENT = 2
CLOSE = 7
CLOSE_WAIT = 8
LISTEN = 10
