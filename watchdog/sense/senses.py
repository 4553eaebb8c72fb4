"""All sensors together: what the agent asks at each tick.

Law: the event engine belongs to the loop's thread, every other sensor to a
thread of its own.  Quick ones are waited for a moment, so that a tick rests on
samples of its own; slow ones are taken when they come.
"""

from __future__ import annotations

import time
from typing import Callable, Dict, List, Optional, Sequence

from watchdog.config import Config, RuntimeConfig
from watchdog.config_around import LogConfig
from watchdog.core.observation import Observation, RuntimeSeen
from watchdog.core.policy import SECOND_NS
from watchdog.core.tick import Tick
from watchdog.host.bpf import Opened, open_engine
from watchdog.sense.awaited_images import AwaitedImageSensor
from watchdog.sense.clients import ClientSensor
from watchdog.sense.extraction import ExtractionSensor
from watchdog.sense.harbor import PERIOD_NS as HARBOR_PERIOD_NS
from watchdog.sense.harbor import HarborSensor
from watchdog.sense.image_events import ImageEventSensor
from watchdog.sense.kernel import KernelSensor
from watchdog.sense.log_places import follower_of, runtimes_own, usual_logs
from watchdog.sense.logs import LogSensor
from watchdog.sense.manifests import ManifestSensor
from watchdog.sense.mirror import MirrorSensor
from watchdog.sense.operator import OperatorSensor
from watchdog.sense.p2p import P2pSensor
from watchdog.sense.pacing import Inbox, PacedSensor
from watchdog.sense.runtime import RuntimeSensor
from watchdog.sense.transfer import TransferSensor

EVERY_TICK_NS = 0


class Senses:
    """Everything that the agent sees with.  Raises Unavailable where a forced engine does not work.

    `cursor_of`: where the log of that name was read to by an agent before us, or "".
    """

    def __init__(self, config: Config, inbox: Inbox, cursor_of: Callable[[str], str]) -> None:
        self.engine: Opened = open_engine(config.engine.value)
        self._inbox = inbox
        self._kernel = KernelSensor(self.engine)
        self._runtimes = [RuntimeSenses(one, inbox, cursor_of(one.name)) for one in config.runtimes]
        logs = usual_logs() if config.logs is None else config.logs
        own = {one.name for one in config.runtimes}
        self._logs = [
            FollowedLog(one, inbox, cursor_of(one.name), self._sockets) for one in logs if one.name not in own
        ]
        operator = OperatorSensor(config.state_dir, config.run_dir)
        self._of_node = [
            PacedSensor("operator", operator.read, inbox, SECOND_NS),
            *(log.paced for log in self._logs),
        ]
        for url in config.harbors:
            harbor = HarborSensor(url)
            self._of_node.append(PacedSensor(harbor.name, harbor.read, inbox, HARBOR_PERIOD_NS))
        if config.p2p is not None:
            self._of_node.append(PacedSensor("p2p", P2pSensor(config.p2p).read, inbox, 2 * SECOND_NS))

    def fileno(self) -> Optional[int]:
        """Readable when there are kernel events; None where the engine has to be polled."""
        return self._kernel.fileno()

    @property
    def events_lost(self) -> int:
        """How many kernel events were lost and healed by a look at /proc."""
        return self._kernel.dropped

    def look(self, now_ns: int, within_s: float) -> None:
        """Ask everybody; what they see is in the inbox, now or later."""
        ends_at = time.monotonic() + within_s
        for sensor in self._of_node:
            sensor.ask(now_ns)
        asked = [sensor for one in self._runtimes for sensor in one.ask(now_ns)]
        self._inbox.put(self._kernel.read())
        for sensor in asked:
            sensor.wait(max(0.0, ends_at - time.monotonic()))
        for pid in [one.take_new_pid() for one in self._runtimes]:
            if pid is not None:
                self._kernel.runtime_changed(pid)

    def cursors(self) -> Dict[str, str]:
        """Where each log has been read to, by its name."""
        own = {one.name: one.cursor() for one in self._runtimes}
        return {**own, **{one.name: one.sensor.cursor() for one in self._logs}}

    def attend(self, tick: Tick) -> None:
        """What the core waits for decides what is looked at next."""
        for one in self._runtimes:
            one.attend(tick)

    def close(self) -> None:
        """Detach from the kernel and let the threads end."""
        for one in self._runtimes:
            one.close()
        for sensor in self._of_node:
            sensor.close()
        self._kernel.close()

    def _sockets(self) -> List[str]:
        """The sockets of those runtimes that are known to run."""
        return [one.socket_path for one in self._runtimes if one.runs]


class FollowedLog:
    """A log of the node that is no runtime's own."""

    def __init__(
        self, log: LogConfig, inbox: Inbox, cursor: str, sockets: Callable[[], Sequence[str]]
    ) -> None:
        self.name = log.name
        self.sensor = LogSensor(log.name, follower_of(log, cursor, sockets))
        self.paced = PacedSensor(f"log.{log.name}", self.sensor.read, inbox, EVERY_TICK_NS)


class RuntimeSenses:
    """The sensors of one runtime, and what one of them needs to know from another."""

    def __init__(self, runtime: RuntimeConfig, inbox: Inbox, cursor: str) -> None:
        name = runtime.name
        self.name = name
        self._runtime = RuntimeSensor(
            name, runtime.kind.value, runtime.socket, runtime.service, runtime.pidfile
        )
        self._extraction = ExtractionSensor(name)
        self._clients = ClientSensor(name, runtime.socket)
        self._transfer = TransferSensor(name)
        self._manifests = ManifestSensor(name)
        self._mirrors = MirrorSensor(name)
        self._image_events = ImageEventSensor(name, runtime.socket)
        self._awaited = AwaitedImageSensor(name, runtime.socket)
        self.socket_path = runtime.socket[len("unix://") :]
        own_log = runtimes_own(runtime, cursor)
        self._log = LogSensor(name, own_log) if own_log else None
        self._seen: Optional[RuntimeSeen] = None
        self._new_pid: Optional[int] = None
        self._quick = (
            PacedSensor(f"extraction.{name}", self._extraction.read, inbox, EVERY_TICK_NS),
            PacedSensor(f"clients.{name}", self._clients.read, inbox, EVERY_TICK_NS),
        )
        self._while_active = PacedSensor(f"transfer.{name}", self._transfer.read, inbox, EVERY_TICK_NS)
        self._active = False
        self._slow = (
            PacedSensor(f"runtime.{name}", self._read_runtime, inbox, SECOND_NS),
            PacedSensor(f"manifests.{name}", self._manifests.read, inbox, SECOND_NS),
            PacedSensor(f"mirrors.{name}", self._mirrors.read, inbox, SECOND_NS),
            PacedSensor(f"image_events.{name}", self._image_events.read, inbox, EVERY_TICK_NS),
            PacedSensor(f"awaited_images.{name}", self._awaited.read, inbox, SECOND_NS),
            *([PacedSensor(f"log.{name}", self._log.read, inbox, EVERY_TICK_NS)] if self._log else []),
        )

    def ask(self, now_ns: int) -> List[PacedSensor]:
        """Ask the sensors whose time it is; those that a tick should wait for."""
        for sensor in self._slow:
            sensor.ask(now_ns)
        asked = (*self._quick, self._while_active) if self._active else self._quick
        return [sensor for sensor in asked if sensor.ask(now_ns)]

    def take_new_pid(self) -> Optional[int]:
        """The runtime's pid, once after each change."""
        pid, self._new_pid = self._new_pid, None
        return pid

    def attend(self, tick: Tick) -> None:
        """Look at transfers while something goes on, and for the images that a verification waits for."""
        self._active = tick.active
        self._mirrors.watch(tick.bypassed)
        self._awaited.wait_for([image for runtime, image in tick.awaited if runtime == self.name])

    @property
    def runs(self) -> bool:
        """Whether its process is known: nobody is connected to before, for that might start one."""
        return self._seen is not None and self._seen.process is not None

    def cursor(self) -> str:
        """Where the log has been read to, or ""."""
        return self._log.cursor() if self._log else ""

    def close(self) -> None:
        """Let the threads end."""
        for sensor in (*self._quick, self._while_active, *self._slow):
            sensor.close()

    def _read_runtime(self, now_ns: int) -> Sequence[Observation]:
        seen = self._runtime.read(now_ns)
        for one in seen:
            if isinstance(one, RuntimeSeen):
                self._follow(one)
        return seen

    def _follow(self, seen: RuntimeSeen) -> None:
        before = self._seen.process if self._seen else None
        self._seen = seen
        if seen.process is not None and seen.process != before:
            self._new_pid = seen.process.pid
        self._extraction.follow(seen.process, seen.data_root)
        self._clients.follow(seen.process)
        self._transfer.follow(seen.process)
        self._manifests.follow(seen.process, seen.data_root)
        self._mirrors.follow(seen.process, seen.mirrors)
        self._image_events.follow(seen.process)
