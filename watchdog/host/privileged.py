"""The unit that has the rights which this process lacks, where there is one."""

from __future__ import annotations

import os
from typing import Optional

# Set by the service's unit: the socket where it takes requests.
SOCKET_VARIABLE = "PULL_WATCHDOG_ACT_SOCKET"


def socket_path() -> Optional[str]:
    """Where to ask it; None where this process has every right itself."""
    return os.environ.get(SOCKET_VARIABLE) or None
