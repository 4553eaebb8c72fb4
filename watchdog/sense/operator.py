"""What people want: a pause, an inhibit file, or their package manager at work.

Law: in doubt, hands off.  A pause that cannot be read is an order to pause whose
end is unknown, so it inhibits until somebody mends it.

A package manager is found by the lock that it holds on this host: neither by its
name, which a build in a container has too, nor by its files.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from watchdog.core.observation import Observation, OperatorSeen
from watchdog.errors import ProcessGone, Unavailable
from watchdog.host.proc import PROC, Process
from watchdog.sense.health import Health

INHIBIT = Path("/etc/pull-watchdog/inhibit")
# Locks that are held while packages are changed: dpkg and apt, rpm and dnf (its old place and its new one).
PACKAGE_LOCKS = tuple(
    Path(path)
    for path in (
        "/var/lib/dpkg/lock-frontend",
        "/var/lib/dpkg/lock",
        "/usr/lib/sysimage/rpm/.rpm.lock",
        "/var/lib/rpm/.rpm.lock",
    )
)
_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, pid
_MOST_BYTES = 4096


@dataclass(frozen=True)
class Pause:
    """`until_wall_ns`: its end, in nanoseconds since the epoch."""

    until_wall_ns: int
    reason: str
    owner: str = ""


def parse_pause(text: str) -> Pause:
    """The contents of pause.json.  Raises ValueError."""
    fields = json.loads(text)
    if not isinstance(fields, dict) or not isinstance(fields.get("until_wall_ns"), int):
        raise ValueError("it has no until_wall_ns")
    return Pause(fields["until_wall_ns"], str(fields.get("reason", "")), str(fields.get("owner", "")))


def parse_lock(answer: bytes) -> Optional[int]:
    """Who holds the lock, from the kernel's answer to F_GETLK: None for nobody, 0 for somebody unknown."""
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return None if kind == fcntl.F_UNLCK else max(pid, 0)


def lock_holder(path: Path) -> Optional[int]:
    """Who holds the POSIX lock of a file, as `parse_lock` tells it.  The file is not changed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None  # this host has no such package manager
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return parse_lock(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    finally:
        os.close(descriptor)


class OperatorSensor:
    """What stands in `state_dir`/pause.json, the inhibit files, and the package manager's locks."""

    def __init__(
        self,
        state_dir: Path,
        run_dir: Path,
        inhibit: Path = INHIBIT,
        locks: Sequence[Path] = PACKAGE_LOCKS,
        root: str = PROC,
    ) -> None:
        self._pause = state_dir / "pause.json"
        self._inhibits = (run_dir / "inhibit", inhibit)
        self._locks = tuple(locks)
        self._root = root
        self._health = Health("operator")
        self._told: Optional[OperatorSeen] = None

    def read(self, now_ns: int) -> List[Observation]:
        """OperatorSeen when something has changed."""
        seen, trouble = self._look()
        observations = self._health.down(trouble) if trouble else self._health.up()
        if seen != self._told:
            self._told = seen
            observations.append(seen)
        return observations

    def _look(self) -> Tuple[OperatorSeen, str]:
        """What is wanted, and what could not be read."""
        try:
            pause, trouble = self._read_pause(), ""
            inhibited_by = self._inhibit_reason()
        except Unavailable as error:
            pause, trouble = None, str(error)
            inhibited_by = trouble
        seen = OperatorSeen(
            paused_until_wall_ns=pause.until_wall_ns if pause is not None else None,
            pause_reason=inhibited_by or (pause.reason if pause is not None else ""),
            inhibited=bool(inhibited_by),
            package_manager=self._package_manager(),
        )
        return seen, trouble

    def _read_pause(self) -> Optional[Pause]:
        text = _read(self._pause)
        if text is None:
            return None
        try:
            return parse_pause(text)
        except ValueError as error:
            raise Unavailable(
                f"{self._pause} is damaged ({error}), so all action is inhibited: remove it"
            ) from error

    def _inhibit_reason(self) -> str:
        """What the first inhibit file says, or that it is there; "" without one."""
        for path in self._inhibits:
            text = _read(path)
            if text is not None:
                first_line = text.strip().partition("\n")[0]
                return f"{path}: {first_line}" if first_line else f"{path} is there"
        return ""

    def _package_manager(self) -> str:
        """The name of a running one, e.g. "apt-get"; "" without one."""
        holders = (lock_holder(path) for path in self._locks)
        pid = next((pid for pid in holders if pid is not None), None)
        if pid is None:
            return ""
        try:
            with Process(pid, self._root) as process:
                return process.seen.comm
        except ProcessGone:
            return "package manager"


def _read(path: Path) -> Optional[str]:
    """A small file, None when there is none.  Raises Unavailable when it is there and cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror}), so all action is inhibited") from error
