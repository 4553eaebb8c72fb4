"""Whose certificates the runtime accepts: the machine's, and those that are kept for a registry.

Heavy (TLS): imported only where something is asked.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Optional

CERTIFICATES = Path("/etc/docker/certs.d")


def context_for(*names: str, cafile: Optional[str] = None) -> ssl.SSLContext:
    """A context for a client of the registry with these names, as "HOST" or "HOST:PORT".

    `cafile` takes the place of the machine's own authorities.  Raises OSError
    where a certificate cannot be used.
    """
    context = ssl.create_default_context(cafile=cafile)
    for name in names:
        for authority in sorted((CERTIFICATES / name).glob("*.crt")):
            context.load_verify_locations(authority)
    return context
