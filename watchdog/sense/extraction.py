"""One look at a runtime's extraction pipelines: dockerd -> unpigz -> dockerd -> docker-untar.

Law: a look waits for nobody.  It reads /proc, asks the pipes by duplicates that
are closed at once, and takes a download file's size and position from memory
(host/inode): no file of the data root is opened, so a frozen or dead disk
below it does not hold us.  The one question to that disk, which device it is,
has a deadline and is asked once for each daemon.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Callable, Iterable, List, Optional, Tuple, TypeVar

from watchdog.core.observation import (
    BlobSample,
    DecompressorSample,
    ExtractionScan,
    Observation,
    ProcessKey,
    ProcessSample,
    UntarSample,
)
from watchdog.errors import ProcessGone, WatchdogError
from watchdog.host import cgroup, proc, sampling, storage
from watchdog.host.proc import PROC
from watchdog.sense.family import Child, Family
from watchdog.sense.health import Health
from watchdog.sense.roles import Kind

_BLOB = "GetImageBlob"
_DELETED = " (deleted)"

_Subject = TypeVar("_Subject")
_Seen = TypeVar("_Seen")
_Target = Tuple[Optional[ProcessKey], Optional[str]]


class ExtractionSensor:
    """The pipelines of one runtime.

    `follow` may be called from any thread, everything else from one only.
    """

    def __init__(self, runtime: str, root: str = PROC) -> None:
        self._runtime = runtime
        self._root = root
        self._health = Health(f"extraction.{runtime}")
        self._hierarchies = cgroup.find_hierarchies(root)
        self._family = Family(root)
        self._target: _Target = (None, None)  # what is to be followed
        self._met: _Target = (None, None)  # what we have got to know
        self._device: Optional[str] = None
        self._has_met = False

    def follow(self, daemon: Optional[ProcessKey], data_root: Optional[str]) -> None:
        """This process is the runtime from now on; None: there is none."""
        self._target = (daemon, data_root)

    def read(self, now_ns: int) -> List[Observation]:
        """One scan; none while the runtime cannot be looked into."""
        try:
            self._meet()
            scan = self._scan()
        except ProcessGone:
            return []  # the runtime ended in mid-look; the next look will say so
        except WatchdogError as error:
            return self._health.down(str(error))
        return [*self._health.up(), scan]

    def _meet(self) -> None:
        """Find out what stays as it is for as long as a daemon lives."""
        target = self._target
        daemon, data_root = target
        if target == self._met or (daemon is not None and not proc.is_alive(daemon, self._root)):
            return
        if daemon is not None and daemon != self._met[0]:
            self._family.adopt(daemon)
            self._has_met = True
        self._device = self._find_device(daemon, data_root)
        self._met = target

    def _find_device(self, daemon: Optional[ProcessKey], data_root: Optional[str]) -> Optional[str]:
        if daemon is None or data_root is None:
            return None
        try:
            with proc.open_process(daemon, self._root) as process:
                return storage.find_device(process, data_root, self._root)
        except WatchdogError:
            return None  # then the disk's counters stay unknown

    def _living_daemon(self) -> Optional[ProcessKey]:
        daemon, _ = self._met
        return daemon if daemon is not None and proc.is_alive(daemon, self._root) else None

    def _scan(self) -> ExtractionScan:
        daemon = self._living_daemon()
        children = self._family.children(daemon) if daemon is not None else []
        stages = _present(self._stage, [one for one in children if one.role.kind is Kind.DECOMPRESSOR])
        members = [member.key for stage in stages for member in stage.members]
        return ExtractionScan(
            runtime=self._runtime,
            daemon=sampling.sample_daemon(daemon, self._hierarchies, self._root)
            if daemon is not None
            else None,
            decompressors=stages,
            untars=_present(self._untar, [one for one in children if one.role.kind is Kind.UNTAR]),
            orphans=_present(self._sample, self._family.orphans(daemon, members)),
            blobs=self._blobs(daemon) if daemon is not None else (),
            pressure=storage.read_pressure(self._device, self._root),
            # Before the first daemon was met, what an earlier agent saw cannot be missed.
            complete=self._has_met and all(one.role.kind is not Kind.UNREADABLE for one in children),
        )

    def _stage(self, child: Child) -> DecompressorSample:
        members = _present(self._sample, self._family.subtree(child.key))
        if not members or members[0].key != child.key:
            raise ProcessGone(f"process {child.key.pid} is gone")
        return DecompressorSample(members, child.role.word)

    def _untar(self, child: Child) -> UntarSample:
        return UntarSample(self._sample(child.key), child.role.word)

    def _sample(self, key: ProcessKey) -> ProcessSample:
        return sampling.sample_stage(key, self._hierarchies, self._root)

    def _blobs(self, daemon: ProcessKey) -> Tuple[BlobSample, ...]:
        """The layers' download files that the runtime holds open."""
        found = []
        with proc.open_process(daemon, self._root) as process:
            for number, link in process.descriptors():
                name = PurePosixPath(link).name
                if not name.startswith(_BLOB):
                    continue
                seen = process.position_and_size(number)
                if seen is not None and process.descriptor(number) == link:  # no other file since
                    found.append(
                        BlobSample(name.replace(_DELETED, ""), size_bytes=seen[1], position_bytes=seen[0])
                    )
        return tuple(found)


def _present(look: Callable[[_Subject], _Seen], subjects: Iterable[_Subject]) -> Tuple[_Seen, ...]:
    """What is seen of each, without those that ended meanwhile."""
    found = []
    for subject in subjects:
        try:
            found.append(look(subject))
        except ProcessGone:
            continue
    return tuple(found)
