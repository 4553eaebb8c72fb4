"""Image references, normalised as the Docker CLI and daemon do.

Source: distribution/reference of the Docker project: a first component without
a dot, a colon or "localhost" is not a registry; a single component on Docker
Hub lives under "library/"; no tag and no digest means "latest".  What the CLI
refuses was tried with docker 20.10.24 and 28.2.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional, Tuple
from urllib.parse import parse_qs

DEFAULT_REGISTRY = "docker.io"
_NAME_MAX = 255
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_CREATE = re.compile(r"/images/create\?([^\s\"]+)")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile("sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_IMAGE_ID = re.compile("[0-9a-f]{64}")  # as a name it could be either, so it is refused


@dataclass(frozen=True)
class Reference:
    """REGISTRY/PATH with a tag, a digest or both.  `tag` is None only beside a digest."""

    registry: str
    path: str
    tag: Optional[str]
    digest: Optional[str]

    @property
    def repository(self) -> str:
        """REGISTRY/PATH."""
        return f"{self.registry}/{self.path}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse_reference(text: str) -> Optional[Reference]:
    """The reference that a person wrote, or None where the daemon would refuse it too."""
    name, _, digest = text.partition("@")
    if _IMAGE_ID.fullmatch(text) or ("@" in text and not _DIGEST.fullmatch(digest)):
        return None
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    registry, path = _split_registry(head + slash + last)
    if not _is_name(registry, path) or (colon and not _TAG.fullmatch(tag)):
        return None
    return Reference(registry, path, tag or (None if digest else "latest"), digest or None)


def _is_name(registry: str, path: str) -> bool:
    length = len(registry) + 1 + len(path)
    return bool(length <= _NAME_MAX and _REGISTRY.fullmatch(registry) and _PATH.fullmatch(path))


def asked_for(line: str) -> Optional[Reference]:
    """The image that a line of dockerd's debug log says somebody asked it to pull.

    Source: `Calling POST /v1.41/images/create?fromImage=NAME&tag=TAG`, a tag being a digest too.
    """
    found = _CREATE.search(line)
    query = parse_qs(found.group(1)) if found else {}
    name, tag = query.get("fromImage", [""])[0], query.get("tag", [""])[0]
    if not name:
        return None
    return parse_reference(f"{name}@{tag}" if ":" in tag else f"{name}:{tag}" if tag else name)


def _split_registry(name: str) -> Tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_registry = "." in first or ":" in first or first == "localhost" or first != first.lower()
    if slash and is_registry:
        registry = DEFAULT_REGISTRY if first == "index.docker.io" else first
        path = rest
    else:
        registry, path = DEFAULT_REGISTRY, name
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    return registry, path
