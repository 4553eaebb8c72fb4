"""The runtime itself: its process, how its API takes questions, and what kind it is.

Law: a runtime that is not there, comes back with another pid, or does not
answer is an observation like any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Type, TypeVar

from watchdog.core.observation import Api, Executable, Observation, ProcessKey, RuntimeSeen, Sight
from watchdog.core.policy import SECOND_NS
from watchdog.errors import ProcessGone, WatchdogError
from watchdog.host import proc
from watchdog.host.dockerd_settings import DockerdSettings, read_settings
from watchdog.host.proc import PROC
from watchdog.host.room import Room
from watchdog.sense.health import Health
from watchdog.sense.interview import Interview
from watchdog.sense.sight import EXPLANATIONS, is_remote, sight_of
from watchdog.sense.whereabouts import Whereabouts

_Kind = TypeVar("_Kind")

_REPEAT_NS = 30 * SECOND_NS  # tell, also when nothing has changed
_HOLDER_NS = 30 * SECOND_NS  # make sure that the process still has the socket
_STOPPED = ("T", "t")


class RuntimeSensor:
    """One runtime of the configuration.  Not for several threads at once.

    `socket` is a URL, of which only `unix://PATH` is looked behind.  A look may
    take seconds while the API is silent.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        socket: str,
        service: Optional[str] = None,
        pidfile: Optional[Path] = None,
        root: str = PROC,
    ) -> None:
        self._name = name
        self._kind = kind
        self._socket = socket
        self._path = socket[len("unix://") :]
        self._root = root
        self._health = Health(f"runtime.{name}")
        self._whereabouts = Whereabouts(self._path, service, pidfile, root)
        self._process: Optional[ProcessKey] = None
        self._exe: Optional[Executable] = None
        self._namespace_depth = 1
        self._settings = DockerdSettings()
        self._found_ns = 0
        self._interview = Interview(self._path)
        self._told: Optional[RuntimeSeen] = None
        self._told_ns = 0
        self._room: Optional[Room] = None

    def read(self, now_ns: int) -> List[Observation]:
        """RuntimeSeen when something has changed, and every 30 s."""
        try:
            seen = self._remote() if is_remote(self._socket) else self._look(now_ns)
        except WatchdogError as error:
            return self._health.down(str(error))
        observations = self._health.up()
        if seen != self._told or now_ns - self._told_ns >= _REPEAT_NS:
            self._told, self._told_ns = seen, now_ns
            observations.append(seen)
        return observations

    def _look(self, now_ns: int) -> RuntimeSeen:
        state = self._find(now_ns)
        if self._process is None:
            return self._absent()
        self._interview.ask(now_ns, stopped=state in _STOPPED)
        return self._present(now_ns)

    def _find(self, now_ns: int) -> str:
        """Know the runtime's process; the state letter of its main thread, "" without one."""
        state = self._state()
        if state and now_ns - self._found_ns < _HOLDER_NS:
            return state
        if not (state and self._process is not None and self._whereabouts.still(self._process)):
            self._become(self._whereabouts.find())
        self._found_ns = now_ns
        return self._state()

    def _become(self, process: Optional[ProcessKey]) -> None:
        """Another process is the runtime, or none is: nothing that was known holds any more."""
        self._process = process
        self._interview = Interview(self._path)
        if process is None:
            return
        try:
            with proc.open_process(process, self._root) as opened:
                self._exe = opened.exe()
                self._namespace_depth = opened.status().namespace_depth
            self._settings = read_settings(process, self._root)
        except ProcessGone:
            self._process = None

    def _state(self) -> str:
        if self._process is None:
            return ""
        try:
            with proc.open_process(self._process, self._root) as process:
                return "" if process.seen.state in proc.ENDED_STATES else process.seen.state
        except ProcessGone:
            return ""

    def _remote(self) -> RuntimeSeen:
        return RuntimeSeen(
            self._name, self._kind, None, None, Api.ABSENT, Sight.REMOTE, detail=EXPLANATIONS[Sight.REMOTE]
        )

    def _absent(self) -> RuntimeSeen:
        """No process.  The socket is not asked: systemd would start a runtime that is switched off."""
        there = Path(self._path).exists()
        return RuntimeSeen(
            self._name,
            self._kind,
            process=None,
            exe=None,
            api=Api.REFUSED if there else Api.ABSENT,
            sight=Sight.UNKNOWN,
            detail=f"no runtime listens on {self._path}" if there else f"there is no socket {self._path}",
        )

    def _is_full(self, data_root: Optional[str], now_ns: int) -> Optional[bool]:
        if data_root is None:
            return None
        if self._room is None or self._room.path != data_root:
            self._room = Room(data_root)
        return self._room.is_full(now_ns)

    def _present(self, now_ns: int) -> RuntimeSeen:
        talk = self._interview
        info: Dict[str, Any] = talk.info or {}
        exe_path = self._exe.path if self._exe is not None else ""
        data_root = _of_type(info.get("DockerRootDir"), str)
        sight = sight_of(talk.info, talk.version, talk.server, exe_path, self._namespace_depth)
        return RuntimeSeen(
            runtime=self._name,
            kind=self._kind,
            process=self._process,
            exe=self._exe,
            api=talk.state,
            sight=sight,
            version=_of_type(info.get("ServerVersion"), str),
            data_root=data_root,
            storage_driver=_of_type(info.get("Driver"), str),
            live_restore=_of_type(info.get("LiveRestoreEnabled"), bool),
            containers_running=_of_type(info.get("ContainersRunning"), int),
            swarm=_swarm(info),
            mirrors=_mirrors(info),
            detail="; ".join(text for text in (talk.detail, EXPLANATIONS.get(sight, "")) if text),
            unanswered=talk.unanswered,
            download_attempts=self._settings.attempts,
            download_slots=self._settings.slots,
            data_root_full=self._is_full(data_root, now_ns),
        )


def _mirrors(info: Dict[str, Any]) -> Tuple[str, ...]:
    """The mirrors of docker.io, in their order."""
    config = _of_type(info.get("RegistryConfig"), dict) or {}
    return tuple(str(one) for one in config.get("Mirrors") or ())


def _swarm(info: Dict[str, Any]) -> Optional[bool]:
    """Whether the node is part of a swarm; anything but "inactive" is."""
    swarm = info.get("Swarm")
    if not isinstance(swarm, dict) or not isinstance(swarm.get("LocalNodeState"), str):
        return None
    return swarm["LocalNodeState"] not in ("inactive", "")


def _of_type(value: Any, kind: Type[_Kind]) -> Optional[_Kind]:
    """The value if the runtime told it in the form that we know."""
    return value if isinstance(value, kind) else None
