"""gzip mounted over unpigz, where no link can take its place.

Law: only over a file that is no link (the mount would land on pigz itself) and
that is not mounted over yet; never while packages are installed.  A mount in
the way makes dpkg fail, so dpkg is told to take it away first; with rpm, which
cannot be told, there is no mount.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import List

from watchdog.act import package_manager
from watchdog.act.remedy import Made
from watchdog.act.settings import ActSettings
from watchdog.act.view import View, mount_namespace
from watchdog.core.observation import Outcome
from watchdog.errors import Refused, Unavailable
from watchdog.host import command

_DEADLINE_S = 10.0
_HOOK = "pull-watchdog"
_DPKG_STATUS = "/var/lib/dpkg/status"
_RPM_DATABASES = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")


def check(settings: ActSettings, pid: int, view: View, target: str) -> None:
    """Refused unless a mount over `target`, as process `pid` sees it, harms nothing."""
    itself = view.look(target, follow=False)
    if itself is None or itself.is_link:
        raise Refused(f"{target} is a link, so a mount would land on the file behind it")
    if itself.path in mount_points(pid):
        raise Refused(f"something is mounted over {target} already")
    busy = package_manager.running()
    if busy:
        raise Refused(f"{busy} is installing packages")
    if view.look(_DPKG_STATUS) is not None:
        if view.look(str(settings.dpkg_hooks)) is None:
            raise Refused(f"dpkg could not be told to take it away: there is no {settings.dpkg_hooks}")
    elif any(view.holds_files(database) for database in _RPM_DATABASES):
        raise Refused("an upgrade of pigz by rpm would fail on it")


def make(settings: ActSettings, pid: int, view: View, gzip: str, target: str) -> None:
    """Mount gzip over unpigz in the mount namespace of process `pid`.  Raises Unavailable."""
    _write_hook(settings, view, target)
    done = command.run([*_inside(pid), "mount", "--bind", gzip, target], _DEADLINE_S)
    if not done.succeeded:
        _remove_hook(settings, view)
        raise Unavailable(f"{gzip} cannot be mounted over {target}: {_said(done)}")


def take_away(settings: ActSettings, pid: int, view: View, gzip: str, target: str) -> Made:
    """Undo the mount, if it is ours; one that is in use is detached, and ends with its last user."""
    mounted, original = view.look(target), view.look(gzip)
    is_mount = mounted is not None and mounted.path in mount_points(pid)
    if not is_mount:
        _remove_hook(settings, view)
        return Made(Outcome.DONE, f"the mount over {target} was gone already")
    if mounted is None or original is None or mounted.identity != original.identity:
        return Made(Outcome.DONE, f"what is mounted over {target} is not ours and is left alone")
    detached = ""
    done = command.run([*_inside(pid), "umount", target], _DEADLINE_S)
    if not done.succeeded:
        done = command.run([*_inside(pid), "umount", "--lazy", target], _DEADLINE_S)
        detached = "; it was in use: detached, a running gzip goes on to its end"
    if not done.succeeded:
        return Made(Outcome.FAILED, f"the mount over {target} cannot be undone: {_said(done)}")
    _remove_hook(settings, view)
    return Made(Outcome.DONE, f"the mount over {target} is undone{detached}")


def mount_points(pid: int) -> List[str]:
    """Where something is mounted, as a process sees it."""
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_bytes().splitlines()
    except OSError as error:
        raise Unavailable(f"the mounts of process {pid} cannot be read: {error.strerror}") from error
    return [os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1")) for line in lines]


def _inside(pid: int) -> List[str]:
    """The words that make a command run in a process' mount namespace."""
    if mount_namespace(pid) == mount_namespace(os.getpid()):
        return []
    return ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "--"]


def _write_hook(settings: ActSettings, view: View, target: str) -> None:
    """Have dpkg undo the mount before it does anything."""
    if view.look(_DPKG_STATUS) is None:
        return
    text = (
        f"# Written by pull-watchdog while gzip is mounted over {target}; removed with the mount.\n"
        f"pre-invoke=umount -l {shlex.quote(target)} 2>/dev/null || true\n"
    )
    try:
        with view.directory(str(settings.dpkg_hooks)) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(_HOOK, flags, 0o644, dir_fd=folder)
            with os.fdopen(fd, "w") as file:
                file.write(text)
    except OSError as error:
        raise Refused(f"dpkg cannot be told to take the mount away: {error.strerror}") from error


def _remove_hook(settings: ActSettings, view: View) -> None:
    if view.look(str(settings.dpkg_hooks)) is None:
        return
    with view.directory(str(settings.dpkg_hooks)) as folder, suppress(OSError):
        os.unlink(_HOOK, dir_fd=folder)  # noqa: PTH108  (a Path has no folder to start from)


def _said(done: command.Completed) -> str:
    return done.stderr.decode("utf-8", "replace").strip() or "no reason was given"
