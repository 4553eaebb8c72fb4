"""A virtual machine with one runtime: processes, pipes and pulls.

Plain state; nothing here knows the product but the shapes of what its sensors
bring.  The proportions are those that were measured on a real dockerd 20.10.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import List, Optional, Set, Tuple

from tests.core.hangs import HANGS, PIPE_FULL
from watchdog.core.observation import (
    BlobSample,
    Client,
    ClientScan,
    DecompressorSample,
    Executable,
    ExtractionScan,
    ImageEvent,
    Layer,
    ManifestSeen,
    Observation,
    PipeEnd,
    PressureSample,
    ProcessKey,
    ProcessSample,
    UntarSample,
)

MIB = 1 << 20
LIBRARIES = 6368  # bytes that unpigz reads before the first of its layer
AHEAD = 124_704  # the blob file's position less unpigz' rchar, with the pipe full
BIG = "localhost:5000/big:1"


@dataclass
class Proc:
    """One process.  Its fields are those of a sample and may be changed at will."""

    key: ProcessKey
    parent_pid: int
    comm: str
    exe: Optional[Executable] = None
    states: str = "R"
    waits: Tuple[str, ...] = ("running",)
    read_bytes: Optional[int] = 0
    written_bytes: Optional[int] = 0
    cpu_ticks: Optional[int] = 0
    tracer_pid: int = 0
    frozen: Optional[bool] = False
    stdin: Optional[PipeEnd] = None
    stdout: Optional[PipeEnd] = None

    def sample(self) -> ProcessSample:
        return ProcessSample(**vars(self))

    def stand(self, states: str, wait: str, **more: object) -> None:
        """Be in these states, and change what else is named."""
        vars(self).update(states=states, waits=(wait,) * len(states), **more)

    def pass_bytes(self, read: int, written: int) -> None:
        self.read_bytes = (self.read_bytes or 0) + read
        self.written_bytes = (self.written_bytes or 0) + written

    def pipes(self, filled: Optional[int] = None, room: Optional[bool] = None, ended: bool = False) -> None:
        """How full its input is, whether the writer is gone, whether its output has room."""
        if self.stdin:
            self.stdin = replace(self.stdin, fill_bytes=filled, hung_up=ended)
        if self.stdout:
            self.stdout = replace(self.stdout, has_room=room)


@dataclass
class Extraction:
    """A layer on its way from its blob file to the disk; `blob` None: of a load or a build."""

    image: Optional[str]
    digest: str
    blob: Optional[BlobSample]
    worker: Proc
    wrapper: Optional[Proc] = None
    untar: Optional[Proc] = None
    helpers: List[Proc] = field(default_factory=list)
    also: List[str] = field(default_factory=list)  # other images that wait for the same layer
    hung: str = ""

    @property
    def members(self) -> Tuple[Proc, ...]:
        """The decompressing stage, the runtime's child first."""
        return (*([self.wrapper] if self.wrapper else []), self.worker, *self.helpers)

    @property
    def pids(self) -> Set[int]:
        return {one.key.pid for one in (*self.members, *([self.untar] if self.untar else []))}

    def move(self, count: int) -> None:
        """Let that many compressed bytes pass."""
        self.worker.pass_bytes(count, count * 4 // 3)
        self.worker.cpu_ticks = (self.worker.cpu_ticks or 0) + 5
        if self.untar:
            self.untar.pass_bytes(count * 4 // 3, count * 4 // 3)
        if self.blob:
            position = self.blob.position_bytes + count
            self.blob = replace(self.blob, position_bytes=min(self.blob.size_bytes, position))

    @property
    def done(self) -> bool:
        return self.blob is not None and self.blob.position_bytes >= self.blob.size_bytes


class Machine:
    """One node.  Its fields may be changed at will; `advance` lets a second pass."""

    def __init__(self, runtime: str = "docker") -> None:
        self.runtime = runtime
        self._last_pid = 100
        self.news: List[Observation] = []  # what happens once, and is seen once
        self.daemon = self._process("dockerd", 1, "S" * 9, "nr:202")
        self.extractions: List[Extraction] = []
        self.orphans: List[Proc] = []
        self.clients: List[Client] = []
        self.clients_complete = True
        self.manifests: List[ManifestSeen] = []
        self.sectors: Optional[int] = 0
        self.disk_moves = True
        self.complete = True
        self.fault = ""  # how every new extraction hangs
        self.substituted = False  # gzip in the place of unpigz: no fault any more

    # --- pulls ---------------------------------------------------------------------------------

    def pull(
        self,
        image: str = BIG,
        size: int = 460 * MIB,
        client: bool = True,
        manifest: bool = True,
        **form: object,
    ) -> Extraction:
        """A pull that extracts a layer of `size` compressed bytes."""
        digest = self.manifest(image, size) if manifest else ""
        if client:
            self.client(image)
        return self.extract(image, size, digest, **form)

    def extract(self, image: Optional[str], size: int, digest: str = "", **form: object) -> Extraction:
        """The runtime begins to extract a layer."""
        blob = BlobSample(f"GetImageBlob{self._pid()}", size, min(size, AHEAD + LIBRARIES))
        one = self._extraction(image, digest, blob, **form)
        if self.fault and not self.substituted:
            self.hang(one, self.fault)
        return one

    def load(self, **form: object) -> Extraction:
        """The runtime extracts what is no layer of a pull: `docker load`, a build."""
        return self._extraction(None, "", None, **form)

    def manifest(self, image: str, *sizes: int, digest: str = "") -> str:
        """The content store gets an image's manifest with layers of these sizes; its digest."""
        digest = digest or "sha256:" + f"{len(self.manifests) + 10:x}".rjust(64, "a")
        layers = tuple(Layer(f"sha256:{size:064x}", size) for size in sizes)
        self.manifests.append(ManifestSeen(self.runtime, digest, (image.rpartition(":")[0],), layers))
        self.news.append(self.manifests[-1])
        return digest

    def client(
        self, image: Optional[str] = BIG, verb: str = "pull", connected: Optional[bool] = True
    ) -> Client:
        """Somebody asks the runtime for something."""
        one = Client(self._key(), verb, image, None, connected)
        self.clients.append(one)
        return one

    def leave(self, *gone: Client) -> None:
        """These clients go away."""
        self.clients = [one for one in self.clients if one not in gone]

    def arrive(self, reference: str, action: str = "pull") -> None:
        """The runtime says that an image is there."""
        self.news.append(ImageEvent(self.runtime, action, reference))

    def finish(self, extraction: Extraction) -> None:
        """The image is there, and those who asked for it go."""
        self.extractions.remove(extraction)
        for image in filter(None, (extraction.image, *extraction.also)):
            self.arrive(image)
            self.leave(*[one for one in self.clients if one.image == image])

    # --- how it hangs ----------------------------------------------------------------------------

    def hang(self, extraction: Extraction, kind: str) -> None:
        """From now on it stands still, in one of the ways of `HANGS`."""
        self.go_on(extraction)
        extraction.hung = kind
        HANGS[kind](self, extraction)

    def go_on(self, extraction: Extraction) -> None:
        """It moves again."""
        extraction.hung = ""
        extraction.worker.stand("R", "running", tracer_pid=0, frozen=False)
        extraction.worker.pipes(filled=PIPE_FULL, room=True)
        if extraction.untar:
            extraction.untar.stand("RSS", "running", tracer_pid=0, frozen=False)
            extraction.untar.pipes(filled=4096)
        self.daemon.stand("S" * 9, "nr:202", tracer_pid=0, frozen=False)
        self.disk_moves = True

    # --- what remedies do ------------------------------------------------------------------------

    def continued(self, pid: int) -> None:
        """SIGCONT."""
        for one in self.extractions:
            if "stopped" in one.hung and pid in one.pids | {self.daemon.key.pid}:
                self.go_on(one)

    def killed(self, pids: Set[int]) -> None:
        """SIGKILL to a decompressing stage: all pulls that share its layer fail."""
        for one in [each for each in self.extractions if pids & each.pids]:
            self.extractions.remove(one)
            self.leave(*[each for each in self.clients if each.image in self.sharing(one)])

    def sharing(self, extraction: Extraction) -> Set[Optional[str]]:
        """The images that a client waits for and that have this layer."""
        size = extraction.blob.size_bytes if extraction.blob else -1
        holders = {
            repository
            for manifest in self.manifests
            if size in [layer.size_bytes for layer in manifest.layers]
            for repository in manifest.repositories
        }
        images = {one.image for one in self.clients if one.image and one.image.rpartition(":")[0] in holders}
        return images | {extraction.image}

    def restart_runtime(self) -> None:
        """Another dockerd: its clients are gone, and what was stopped below the old one is an orphan."""
        for one in self.extractions:
            one.worker.parent_pid = 1
            self.orphans.append(one.worker)
        self.extractions, self.clients = [], []
        self.daemon = self._process("dockerd", 1, "S" * 9, "nr:202")

    # --- a second passes, and is seen ------------------------------------------------------------

    def advance(self, seconds: float = 1.0) -> None:
        """What does not hang moves; what is extracted is done."""
        if self.disk_moves and self.sectors is not None:
            self.sectors += 100
        if self.daemon.states == "S" * 9 and not self.daemon.frozen:
            self.daemon.pass_bytes(1000, 1000)
        for one in list(self.extractions):
            if one.hung == "spinning":
                one.worker.cpu_ticks = (one.worker.cpu_ticks or 0) + int(100 * seconds)
            if not one.hung:
                one.move(8 * MIB)
            if not one.hung and one.done:
                self.finish(one)

    def scan(self) -> ExtractionScan:
        """What the extraction sensor sees."""
        return ExtractionScan(
            runtime=self.runtime,
            daemon=self.daemon.sample(),
            decompressors=tuple(
                DecompressorSample(tuple(member.sample() for member in one.members), "/usr/bin/unpigz")
                for one in self.extractions
            ),
            untars=tuple(
                UntarSample(one.untar.sample(), f"/var/lib/docker/overlay2/{one.untar.key.pid}/diff")
                for one in self.extractions
                if one.untar
            ),
            orphans=tuple(one.sample() for one in self.orphans),
            blobs=tuple(one.blob for one in self.extractions if one.blob),
            pressure=PressureSample(io_full_us=0, sectors=self.sectors, in_flight=0),
            complete=self.complete,
        )

    def client_scan(self) -> ClientScan:
        """What the sensor of clients sees."""
        return ClientScan(self.runtime, tuple(self.clients), self.clients_complete)

    # --- inside ----------------------------------------------------------------------------------

    def _extraction(
        self,
        image: Optional[str],
        digest: str,
        blob: Optional[BlobSample],
        wrapper: bool = False,
        untar: bool = True,
    ) -> Extraction:
        shell = self._process("sh", self.daemon.key.pid, "S", "nr:61") if wrapper else None
        parent = (shell or self.daemon).key.pid
        worker = self._process("unpigz", parent, "R", "running")
        worker.read_bytes = LIBRARIES
        worker.stdin, worker.stdout = PipeEnd(worker.key.pid * 2), PipeEnd(worker.key.pid * 2 + 1)
        if shell:
            shell.stdin, shell.stdout = worker.stdin, worker.stdout
        child = self._process("exe", self.daemon.key.pid, "RSS", "running") if untar else None
        if child:
            child.stdin = PipeEnd(child.key.pid * 2)
        one = Extraction(image, digest, blob, worker, shell, child)
        self.extractions.append(one)
        self.go_on(one)
        return one

    def _process(self, comm: str, parent: int, states: str, wait: str) -> Proc:
        file = Executable(f"/usr/bin/{comm}", 2049, sum(comm.encode()))
        return Proc(self._key(), parent, comm, file, states, (wait,) * len(states))

    def _key(self) -> ProcessKey:
        pid = self._pid()
        return ProcessKey(pid, pid * 10)

    def _pid(self) -> int:
        self._last_pid += 1
        return self._last_pid
