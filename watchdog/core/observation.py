"""Everything that the agent can see, as frozen records.

Law: the core learns about the world from these and from nothing else.  A
recording is a file of them.  Times are int nanoseconds of CLOCK_MONOTONIC
(`_ns`) unless the name says `wall` (nanoseconds since the epoch); sizes are
bytes.  `None` means "could not be seen", never "no".

Typing: `Optional[...]` and `Tuple[...]`, because the codec evaluates the
annotations at run time and Python 3.9 cannot evaluate `int | None`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional, Tuple, Union

# --- identities -----------------------------------------------------------


@dataclass(frozen=True, order=True)
class ProcessKey:
    """A process that cannot be mistaken for a later one with the same pid.

    `start_ticks` is field 22 of /proc/PID/stat: clock ticks since boot.
    """

    pid: int
    start_ticks: int


@dataclass(frozen=True)
class Executable:
    """The file that a process runs.  Compared by device and inode, never by path."""

    path: str
    device: int
    inode: int


# --- the extraction pipeline ----------------------------------------------


@dataclass(frozen=True)
class PipeEnd:
    """One end of a pipe that a stage holds.

    `fill_bytes` is FIONREAD: exact only for "empty".  `has_room` is POLLOUT
    asked on a write end: a pipe can be full far below its capacity.
    `hung_up`: no writer is left (POLLHUP on a read end), so nothing more comes.
    """

    inode: int
    fill_bytes: Optional[int] = None
    has_room: Optional[bool] = None
    hung_up: Optional[bool] = None


@dataclass(frozen=True)
class ProcessSample:
    """One process at one moment.

    `states`: one /proc state letter a thread, the main thread first ("T",
    "SSR").  `waits`: for each thread "running", "read:FD", "write:FD" or
    "nr:N" (system call number).  `read_bytes` and `written_bytes` are rchar
    and wchar; `cpu_ticks` is utime+stime of all threads; `switches` is the sum
    of voluntary and involuntary context switches of the main thread.  `frozen`: by a cgroup freezer
    (v1 or v2).
    """

    key: ProcessKey
    parent_pid: int
    comm: str
    exe: Optional[Executable] = None
    states: str = ""
    waits: Tuple[str, ...] = ()
    read_bytes: Optional[int] = None
    written_bytes: Optional[int] = None
    cpu_ticks: Optional[int] = None
    switches: Optional[int] = None
    tracer_pid: int = 0
    frozen: Optional[bool] = None
    stdin: Optional[PipeEnd] = None
    stdout: Optional[PipeEnd] = None


@dataclass(frozen=True)
class DecompressorSample:
    """The decompressing stage: a child of the runtime and its descendants.

    `members` is the subtree, the runtime's own child first.  Behind a wrapper
    script the process that does the work is not the first.
    `command` is the file name that was executed, as exec or argv[0] gave it.
    """

    members: Tuple[ProcessSample, ...]
    command: str


@dataclass(frozen=True)
class UntarSample:
    """A docker-untar or docker-applyLayer child (docker <= 23) and its target."""

    process: ProcessSample
    target: str


@dataclass(frozen=True)
class BlobSample:
    """A layer's download file: DATA_ROOT/tmp/GetImageBlobN, held open by the runtime.

    `size_bytes`: downloaded.  `position_bytes`: read back by the extraction.
    """

    name: str
    size_bytes: int
    position_bytes: int


@dataclass(frozen=True)
class PressureSample:
    """The storage below the data root.

    `io_full_us` is the total of /proc/pressure/io "full"; `sectors` is the sum
    of sectors read and written of the device that holds the data root;
    `in_flight` its requests under way.
    """

    io_full_us: Optional[int] = None
    sectors: Optional[int] = None
    in_flight: Optional[int] = None


@dataclass(frozen=True)
class ExtractionScan:
    """One look at a runtime's extraction pipelines, while there is one.

    `complete`: every pipeline that exists is in here, so one that is missing
    has ended.  `orphans` are decompressors that once belonged to the runtime
    and whose parent is gone.
    """

    runtime: str
    daemon: Optional[ProcessSample]
    decompressors: Tuple[DecompressorSample, ...] = ()
    untars: Tuple[UntarSample, ...] = ()
    orphans: Tuple[ProcessSample, ...] = ()
    blobs: Tuple[BlobSample, ...] = ()
    pressure: Optional[PressureSample] = None
    complete: bool = True


# --- the runtime and who uses it --------------------------------------------


class Api(str, Enum):
    """How the runtime's API took the last question."""

    ANSWERS = "answers"
    SILENT = "silent"  # connected, no answer within the deadline
    REFUSED = "refused"  # nobody listens
    ABSENT = "absent"  # no socket
    FORBIDDEN = "forbidden"  # not readable for us


class Sight(str, Enum):
    """What kind of runtime this is; only FULL allows verdicts."""

    FULL = "full"
    CONTAINERD_STORE = "containerd_store"
    PODMAN = "podman"
    REMOTE = "remote"
    ROOTLESS = "rootless"
    SNAP = "snap"
    NESTED = "nested"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RuntimeSeen:
    """The runtime as its own API and /proc tell it; repeated when it changes.

    `unanswered`: so many questions in a row were taken and not answered.
    `download_attempts` and `download_slots`: how often it tries a layer, and how
    many layers it downloads at a time.  `data_root_full`: next to nothing can be
    written there any more.
    """

    runtime: str
    kind: str
    process: Optional[ProcessKey]
    exe: Optional[Executable]
    api: Api
    sight: Sight
    version: Optional[str] = None
    data_root: Optional[str] = None
    storage_driver: Optional[str] = None
    live_restore: Optional[bool] = None
    containers_running: Optional[int] = None
    swarm: Optional[bool] = None
    detail: str = ""
    mirrors: Tuple[str, ...] = ()  # of docker.io, in their order
    data_root_full: Optional[bool] = None
    unanswered: int = 0
    download_attempts: Optional[int] = None
    download_slots: Optional[int] = None


@dataclass(frozen=True)
class Client:
    """Somebody who asked the runtime for something: a `docker pull` process, an API user.

    `verb`: pull, load, build, push or other.  `connected`: its connection to
    the runtime's socket is up.
    """

    key: ProcessKey
    verb: str
    image: Optional[str] = None
    platform: Optional[str] = None
    connected: Optional[bool] = None


@dataclass(frozen=True)
class ClientScan:
    """All clients of a runtime that can be seen now."""

    runtime: str
    clients: Tuple[Client, ...] = ()
    complete: bool = True


@dataclass(frozen=True)
class Layer:
    """A layer as its manifest names it; `size_bytes` is the compressed size."""

    digest: str
    size_bytes: int


@dataclass(frozen=True)
class ManifestSeen:
    """A manifest in the runtime's content store.

    `repositories`: "HOST/PATH" of each repository that it came from.
    """

    runtime: str
    digest: str
    repositories: Tuple[str, ...]
    layers: Tuple[Layer, ...]


@dataclass(frozen=True)
class ImageEvent:
    """An event of the runtime's API about an image: pull, tag, delete, load."""

    runtime: str
    action: str
    reference: str


# --- kernel events ------------------------------------------------------------


@dataclass(frozen=True)
class ProcessEvent:
    """A birth, exec, death or signal in a watched process tree.

    `what`: fork, exec, exit, signal.  `pid` is the subject; `other_pid` the
    parent (fork) or the sender (signal), 0 where the engine cannot see it.
    `exit_status` is a wait(2) status, where the engine sees it.
    """

    at_ns: int
    what: str
    pid: int
    other_pid: int = 0
    comm: str = ""
    filename: str = ""
    signal: int = 0
    exit_status: Optional[int] = None


@dataclass(frozen=True)
class TcpEvent:
    """Something that happened to a TCP connection of a watched process.

    `what`: state, reset_received, reset_sent, retransmit.  `socket` is the
    kernel's address of it: an identity, never to be followed.  States are
    the kernel's TCP_* numbers.
    """

    at_ns: int
    what: str
    pid: int
    socket: int
    local_port: int = 0
    remote_port: int = 0
    remote_address: str = ""
    old_state: int = 0
    new_state: int = 0


@dataclass(frozen=True)
class LogLine:
    """One line of a followed log; redacted, without its line end."""

    source: str
    text: str


# --- ourselves ------------------------------------------------------------------


@dataclass(frozen=True)
class SensorState:
    """A sensor came up, went down or lost something.  `sensor` is a stable name."""

    sensor: str
    up: bool
    detail: str = ""


@dataclass(frozen=True)
class MachineSeen:
    """Which boot this is, and what the wall clock said at `monotonic_ns`."""

    boot_id: str
    wall_ns: int
    monotonic_ns: int


@dataclass(frozen=True)
class PolicySeen:
    """The part of the configuration that decisions rest on, as JSON text."""

    policy_json: str


class Outcome(str, Enum):
    """How an action ended.  None of these says that the subject recovered."""

    DONE = "done"  # the effect was made
    REFUSED = "refused"  # a rule forbade it; nothing was touched
    FAILED = "failed"  # tried, and the machine said no
    EXPIRED = "expired"  # its deadline passed; the effect is unknown


@dataclass(frozen=True)
class LedgerEntry:
    """One line of the ledger.

    `phase`: intent, result, revert, ack.  `action` names one action: its
    intent and result share it.  `culprit` is None for actions on the host
    (substitution, restart) and for acks.  `expires_wall_ns`: when a lasting
    change is to be undone.  `detail_json` carries what the remedy wants to
    remember, e.g. the counters at the intent or what has to be reverted.
    """

    action: str
    phase: str
    wall_ns: int
    boot_id: str
    incident: str
    remedy: str
    cause: str
    runtime: str
    culprit: Optional[ProcessKey] = None
    outcome: Optional[Outcome] = None
    expires_wall_ns: Optional[int] = None
    detail: str = ""
    detail_json: str = "{}"


@dataclass(frozen=True)
class LedgerSeen:
    """The ledger as read from disk.  `usable` False: no action until it is."""

    usable: bool
    entries: Tuple[LedgerEntry, ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class IncidentRemembered:
    """An incident from before the agent's own restart, as its stored JSON record."""

    record_json: str


@dataclass(frozen=True)
class ActionStarted:
    """The executor started a remedy's process."""

    action: str
    incident: str
    remedy: str


@dataclass(frozen=True)
class ActionFinished:
    """A remedy's process ended, or its deadline passed."""

    action: str
    incident: str
    remedy: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True)
class OperatorSeen:
    """What people asked for: `paused_until_wall_ns` None is no pause."""

    paused_until_wall_ns: Optional[int] = None
    pause_reason: str = ""
    inhibited: bool = False
    package_manager: str = ""  # the name of a running apt, dpkg, dnf or rpm


@dataclass(frozen=True)
class ConnectionSample:
    """One TCP connection of a runtime to a peer, at one moment.

    `cookie` is the kernel's own name of the socket, never used twice in a boot;
    None where it could not be asked for.  `local` and `remote` are
    "10.0.0.9:443" or "[2001:db8::9]:443".  `state` is the kernel's TCP_* number.
    `received_bytes` and `acked_bytes` count what the peer sent and what it has
    acknowledged of ours.  `silent_ns`: since its last byte; before the first one
    since we first saw the connection, for the kernel does not know that.
    `unanswered_probes`: keep-alive probes to which the peer's host said nothing.
    """

    inode: int
    local: str
    remote: str
    state: int
    receive_queue_bytes: int
    send_queue_bytes: int
    cookie: Optional[int] = None
    received_bytes: Optional[int] = None
    acked_bytes: Optional[int] = None
    silent_ns: Optional[int] = None
    rtt_us: Optional[int] = None
    retransmits: Optional[int] = None
    unanswered_probes: Optional[int] = None


@dataclass(frozen=True)
class TransferScan:
    """One look at what a runtime moves over the network, while a pull is active.

    `connections`: those that the runtime opened; `blobs`: its download files at
    the same moment.  `complete`: no connection that exists is missing.
    """

    runtime: str
    daemon: ProcessKey
    connections: Tuple[ConnectionSample, ...] = ()
    blobs: Tuple[BlobSample, ...] = ()
    complete: bool = True


@dataclass(frozen=True)
class P2pSeen:
    """The P2P client of this node (Dragonfly) at one moment, told at each look.

    `generation` is a value of core/dragonfly.Generation.  `address` is where the
    runtime is pointed at; `config` the configuration as the client sees it;
    `managed_by` "kubernetes", "container", or "" for the host's own.  `api` None:
    nobody could be asked.  `piece_timeout` is as written, `foreign_key`: another
    generation's stands there, which this one ignores.  `tasks_failed` and `came` (bytes
    or pieces) are its own counters; `stored_bytes` is the size of the files of its
    store that it has open.  `moving`: transfers go through it.
    """

    generation: str
    address: str
    config: str
    api: Optional[Api] = None
    process: Optional[ProcessKey] = None
    managed_by: str = ""
    version: Optional[str] = None
    piece_timeout: Optional[str] = None
    foreign_key: bool = False
    tasks_failed: Optional[int] = None
    came: Optional[int] = None
    stored_bytes: Optional[int] = None
    moving: Optional[bool] = None


@dataclass(frozen=True)
class HarborSeen:
    """What a Harbor says of its own health.

    `url`: as the operator named it.  `status`: of its HTTP answer.  `unhealthy`:
    "COMPONENT: ERROR" of each that is.  `version`: "2.5.1-...", "1" for 1.x, "" unknown.
    """

    url: str
    status: int
    unhealthy: Tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True)
class MirrorSeen:
    """A mirror of docker.io in a runtime's list, or one that an action of ours took out of it.

    `addresses`: where its name leads, "10.0.0.9:443"; none where it cannot be
    resolved.  `answers`: how often in a row it has served since that `action`
    took it out of use.
    """

    runtime: str
    url: str
    addresses: Tuple[str, ...] = ()
    action: str = ""
    answers: int = 0
    detail: str = ""


Observation = Union[
    ExtractionScan,
    RuntimeSeen,
    ClientScan,
    ManifestSeen,
    ImageEvent,
    ProcessEvent,
    TcpEvent,
    LogLine,
    SensorState,
    MachineSeen,
    PolicySeen,
    LedgerSeen,
    IncidentRemembered,
    ActionStarted,
    ActionFinished,
    OperatorSeen,
    TransferScan,
    MirrorSeen,
    HarborSeen,
    P2pSeen,
]


@dataclass(frozen=True)
class Frame:
    """What one tick of the agent got to see."""

    now_ns: int
    observations: Tuple[Observation, ...]
