"""substitute_decompressor: gzip in the place of unpigz, for one runtime, for a while.

For a fault that comes back.  First choice is a link: a file `unpigz` in an
earlier directory of the runtime's own PATH, which leads over RUN_DIR-act to gzip.
It is in force from the next layer on; RUN_DIR-act is gone after a reboot, and a link
that leads nowhere is passed over.  Only root can make it lead anywhere again.
Second choice is a bind mount of gzip over unpigz (act/bind_mount).  Both are undone
by `revert`, and when their time is over.

gzip does what the runtime asks of unpigz (`-d -c`); a person who calls unpigz
without -d gets gzip too, as long as it lasts.

What the runtime would execute is looked up in its own PATH and root, never taken
from a running process: behind a wrapper script that would be the shell.  What is
in force can be looked up at any time, so a killed substitution is simply looked at.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Iterator, Optional, Tuple

from watchdog.act import bind_mount, own_file
from watchdog.act.remedy import DECOMPRESSOR_CAUSES, Context, Made, Plan, RemedyCode, Trace
from watchdog.act.runtime import current_key, held_runtime
from watchdog.act.settings import ActSettings
from watchdog.act.view import File, View, view_of
from watchdog.core.observation import Outcome, ProcessKey
from watchdog.core.policy import Remedy
from watchdog.errors import Refused
from watchdog.host import birth
from watchdog.host.docker import DockerApi

_LOOKED_UP_PER_LAYER_SINCE = (20, 10)
# containerd looks unpigz up once and keeps the path: gone, it would break its pulls.  Its content store
# does not tell: dockerd 20.10 keeps its images' manifests there (moby pull request 41607).
_CONTAINERD_LAYERS = tuple(
    f"/var/lib/containerd/io.containerd.snapshotter.v1.{name}/snapshots" for name in ("overlayfs", "native")
)


class Form(str, Enum):
    """How gzip takes the place."""

    LINK = "link"
    MOUNT = "mount"


@dataclass(frozen=True)
class Substitution:
    """What is put where.

    `target`: the unpigz that is in force without us; `target_changed_ns` its
    ctime.  `folder`: where the link is made; None for a mount.
    """

    form: Form
    target: str
    target_changed_ns: int
    gzip: str
    folder: Optional[str] = None


@dataclass(frozen=True)
class Programs:
    """What the runtime would execute: names as its PATH gives them, and the files behind."""

    path_variable: str
    unpigz: str
    unpigz_file: File
    gzip: str
    gzip_file: File


def plan(context: Context) -> Plan[Substitution]:
    """Find out what the runtime executes, and which of the two forms is possible."""
    with _runtime_view(context) as (key, view):
        programs = find_programs(key, view)
        _check_culprit(context, view, programs)
        chosen, no_link = _choose(context.settings, key, view, programs)
    where = f"a mount over {chosen.target} (no link: {no_link})" if no_link else f"a link in {chosen.folder}"
    step = (
        f"let {context.settings.runtime.name} run {chosen.gzip} in the place of {chosen.target}, by {where}"
    )
    return Plan(
        steps=(step,),
        memory=chosen,
        expires_wall_ns=context.wall_ns + context.settings.expiries_ns[Remedy.SUBSTITUTE_DECOMPRESSOR],
    )


def effect(context: Context, intended: Plan[Substitution]) -> Made:
    """Put it in force, and look whether it is."""
    if plan(context).memory != intended.memory:
        raise Refused("what the runtime would execute has changed since it was looked at")
    chosen, settings = intended.memory, context.settings
    with _runtime_view(context) as (key, view):
        if chosen.form is Form.LINK:
            _make_link(settings, view, chosen)
        else:
            bind_mount.make(settings, key.pid, view, chosen.gzip, chosen.target)
        if not _is_in_force(key, view):
            undone = undo(settings, chosen)
            return Made(Outcome.FAILED, f"{chosen.gzip} did not come into force; {undone.detail}")
    return Made(Outcome.DONE, f"from the next layer on {chosen.gzip} runs in the place of {chosen.target}")


def trace(context: Context, memory: Substitution) -> Trace:
    """Whether gzip is what the runtime executes can be seen at any time."""
    with _runtime_view(context) as (key, view):
        return Trace.MADE if _is_in_force(key, view) else Trace.NONE


def undo(settings: ActSettings, memory: Substitution) -> Made:
    """Take the link or the mount away, if it is ours; what is gone already is no error."""
    pid = _whose_view(settings)
    with view_of(pid) as view:
        if memory.folder is None:
            return bind_mount.take_away(settings, pid, view, memory.gzip, memory.target)
        return _remove_link(settings, view, memory, memory.folder)


def is_outdated(settings: ActSettings, memory: Substitution) -> bool:
    """True when the unpigz behind the substitution was replaced, as a package upgrade does."""
    if memory.form is Form.MOUNT:
        return False  # the mount hides it; dpkg takes the mount away itself
    with view_of(_whose_view(settings)) as view:
        found = view.look(memory.target)
    return found is None or found.changed_ns != memory.target_changed_ns


def find_programs(key: ProcessKey, view: View) -> Programs:
    """unpigz and gzip as the runtime finds them.  Raises Refused where there is nothing to substitute."""
    path_variable = birth.environment(key).get("PATH", "")
    unpigz, unpigz_file = _find(view, "unpigz", path_variable)
    gzip, gzip_file = _find(view, "gzip", path_variable)
    pigz = view.look_path("pigz", path_variable)
    pigz_file = view.look(pigz) if pigz else None
    if gzip_file.identity == unpigz_file.identity:
        raise Refused(f"{unpigz} is {gzip} already")
    if pigz_file is not None and gzip_file.identity == pigz_file.identity:
        raise Refused(f"{gzip} is pigz under another name: nothing is won by it")
    return Programs(path_variable, unpigz, unpigz_file, gzip, gzip_file)


@contextmanager
def _runtime_view(context: Context) -> Iterator[Tuple[ProcessKey, View]]:
    with held_runtime(context.settings, context.incident.daemon) as daemon, view_of(daemon.key.pid) as view:
        yield daemon.key, view


def _whose_view(settings: ActSettings) -> int:
    """The runtime's pid, or our own while there is no runtime."""
    key = current_key(settings)
    return key.pid if key is not None else os.getpid()


def _find(view: View, name: str, path_variable: str) -> Tuple[str, File]:
    path = view.look_path(name, path_variable)
    file = view.look(path) if path else None
    if path is None or file is None:
        raise Refused(f"the runtime finds no {name} in its PATH ({path_variable})")
    return path, file


def _check_culprit(context: Context, view: View, programs: Programs) -> None:
    """What hung must be what the runtime would execute again."""
    command = context.incident.command
    if not command.startswith("/") or Path(command).name != "unpigz":
        return  # a wrapper's shell, or a name without a path
    hung = view.look(command)
    if hung is None or hung.identity != programs.unpigz_file.identity:
        raise Refused(f"{command} has hung, but the runtime would execute {programs.unpigz} by now")


def _choose(
    settings: ActSettings, key: ProcessKey, view: View, programs: Programs
) -> Tuple[Substitution, str]:
    """The link if it is possible, else the mount and why no link; Refused with both reasons."""
    folder, why_no_link = None, ""
    try:
        folder = _link_folder(settings, view, programs)
    except Refused as no_link:
        why_no_link = str(no_link)
        try:
            bind_mount.check(settings, key.pid, view, programs.unpigz)
        except Refused as no_mount:
            raise Refused(f"no link: {no_link}; no mount: {no_mount}") from None
    form = Form.LINK if folder else Form.MOUNT
    changed_ns = programs.unpigz_file.changed_ns
    return Substitution(form, programs.unpigz, changed_ns, programs.gzip, folder), why_no_link


def _link_folder(settings: ActSettings, view: View, programs: Programs) -> str:
    """The first directory before unpigz's own in the runtime's PATH that can take the link."""
    _check_looked_up_per_layer(settings)
    if any(view.holds_files(layers) for layers in _CONTAINERD_LAYERS):
        raise Refused("containerd pulls images here too, and would keep the link's path after it is gone")
    _check_run_dir(settings, view)
    for folder in programs.path_variable.split(":"):
        if folder == str(Path(programs.unpigz).parent):
            break
        found = view.look(folder) if folder.startswith("/") else None
        if found is None or not found.is_root_only_directory or not view.is_writable(folder):
            continue
        if view.look(f"{folder}/unpigz", follow=False) is None:
            return folder
    raise Refused(
        f"no directory before {programs.unpigz} in the runtime's PATH ({programs.path_variable}) can take it"
    )


def _check_looked_up_per_layer(settings: ActSettings) -> None:
    """Refused where the link would not do.  Raises ApiError: a silent API is no reason for a mount."""
    version = str(DockerApi(settings.socket_path or "").version().get("Version", ""))
    try:
        major, minor = (int(part) for part in version.split(".")[:2])
    except ValueError:
        raise Refused(f"the runtime's version is not known: {version!r}") from None
    if (major, minor) < _LOOKED_UP_PER_LAYER_SINCE:
        raise Refused(f"docker {version} looks unpigz up once, at its start")


def _check_run_dir(settings: ActSettings, view: View) -> None:
    """The runtime must see the same place of RUN_DIR as we do, and root alone may write there."""
    place = str(settings.own_dir.parent)
    with view_of(os.getpid()) as ours:
        mine, theirs = ours.look(place), view.look(place)
    if mine is None or theirs is None or mine.identity != theirs.identity:
        raise Refused(f"the runtime does not see {place}: it lives in a container or a root of its own")
    if not mine.is_root_only_directory:
        raise Refused(f"others than root can write to {place}, and so could let the link lead elsewhere")


def _between(settings: ActSettings) -> Path:
    """The link in RUN_DIR-act, over which the first one leads."""
    return settings.own_dir / f"unpigz-{settings.runtime.name}"


def _make_link(settings: ActSettings, view: View, chosen: Substitution) -> None:
    own_file.make_folder(settings.own_dir)
    between = _between(settings)
    with suppress(FileNotFoundError):
        between.unlink()
    try:
        between.symlink_to(chosen.gzip)
        with view.directory(chosen.folder or "") as folder:
            os.symlink(between, "unpigz", dir_fd=folder)
    except OSError as error:
        with suppress(FileNotFoundError):
            between.unlink()
        raise Refused(f"no link can be made in {chosen.folder}: {error.strerror}") from error


def _remove_link(settings: ActSettings, view: View, memory: Substitution, folder: str) -> Made:
    between = _between(settings)
    link = f"{folder}/unpigz"
    said = f"{link} was gone already"
    if view.look(link, follow=False) is not None:
        try:
            with view.directory(folder) as fd:
                if os.readlink("unpigz", dir_fd=fd) != str(between):
                    return Made(Outcome.DONE, f"{link} is not ours any more and is left alone")
                os.unlink("unpigz", dir_fd=fd)  # noqa: PTH108  (a Path has no folder to start from)
        except OSError as error:
            return Made(Outcome.FAILED, f"{link} cannot be removed: {error.strerror}")
        said = f"{link} is removed; {memory.target} is in force again from the next layer on"
    with suppress(FileNotFoundError):
        between.unlink()
    return Made(Outcome.DONE, said)


def _is_in_force(key: ProcessKey, view: View) -> bool:
    """True when the runtime would execute gzip where it looks for unpigz."""
    path_variable = birth.environment(key).get("PATH", "")
    paths = [view.look_path(name, path_variable) for name in ("unpigz", "gzip")]
    unpigz, gzip = (view.look(path) if path else None for path in paths)
    return unpigz is not None and gzip is not None and unpigz.identity == gzip.identity


SUBSTITUTE_DECOMPRESSOR = RemedyCode(
    name=Remedy.SUBSTITUTE_DECOMPRESSOR,
    causes=DECOMPRESSOR_CAUSES,
    memory=Substitution,
    plan=plan,
    effect=effect,
    trace=trace,
    undo=undo,
)
