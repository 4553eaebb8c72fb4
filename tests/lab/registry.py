"""A private registry: Debian's docker-registry on a loopback port.

Images are put into its storage folder as links to the cache, which takes no time
and no space; what it answers is the real server's doing.
"""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab import images
from tests.lab.processes import SYSTEM_PATH, Cell, end, wait_until

CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: false}}}}
storage: {{filesystem: {{rootdirectory: {storage}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
# Apache's combined form: `127.0.0.1 - - [date] "GET /v2/.. HTTP/1.1" 200 1234 "" "docker/20.10"`
ACCESS = re.compile(r'"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/[\d.]+" (?P<status>\d+) (?P<bytes>\d+) ')
ATTEMPTS = 5


@dataclass(frozen=True)
class Access:
    """One answered request: the bytes are those of the body that was sent."""

    method: str
    path: str
    status: int
    sent_bytes: int


def free_port() -> int:
    """A loopback port that was free a moment ago; who binds it must be ready to try another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Registry:
    """One docker-registry process and its storage.  `port` is known after `start`."""

    def __init__(self, root: Path, cell: Cell) -> None:
        self.storage = root / "registry"
        self.log = root / "registry.log"
        self.port = 0
        self._config = root / "registry.yml"
        self._cell = cell
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the registry was not started"
        return self._process.pid

    def start(self) -> None:
        """Start on a free port, or on the earlier one after a stop.  Raises TimeoutError."""
        for _ in range(ATTEMPTS):
            if self._serve(self.port or free_port()):
                return
        raise TimeoutError(f"docker-registry found no port: {self.log.read_text()[-500:]}")

    def stop(self) -> None:
        if self._process is not None:
            end(self._process)

    def publish(self, image: images.Image) -> images.BuiltImage:
        """Make the image pullable under `reference(image)`."""
        built = images.build(image)
        for blob in (built.manifest, built.config, *built.layers):
            self._store(blob)
        repository = self._root / "repositories" / image.repository
        for blob in (built.config, *built.layers):
            _write_link(repository / "_layers" / _folder(blob.digest), blob.digest)
        _write_link(repository / "_manifests/revisions" / _folder(built.digest), built.digest)
        tag = repository / "_manifests/tags" / image.tag
        _write_link(tag / "current", built.digest)
        _write_link(tag / "index" / _folder(built.digest), built.digest)
        return built

    def reference(self, image: images.Image) -> str:
        """What to pull: "localhost:PORT/REPOSITORY:TAG"."""
        return f"localhost:{self.port}/{image.repository}:{image.tag}"

    def accesses(self, path_part: str = "", method: str = "GET") -> list[Access]:
        """The requests that the registry has answered so far, such as all for one digest."""
        found = (ACCESS.search(line) for line in self.log.read_text().splitlines())
        requests = [Access(m["method"], m["path"], int(m["status"]), int(m["bytes"])) for m in found if m]
        return [request for request in requests if path_part in request.path and request.method == method]

    @property
    def _root(self) -> Path:
        return self.storage / "docker/registry/v2"

    def _serve(self, port: int) -> bool:
        self.storage.mkdir(exist_ok=True)
        self._config.write_text(CONFIG.format(storage=self.storage, port=port))
        command = ["docker-registry", "serve", str(self._config)]
        process = self._cell.spawn(command, "registry", self.log, {"PATH": SYSTEM_PATH})
        wait_until(lambda: process.poll() is not None or _answers(port), "docker-registry answers", 10.0)
        if process.poll() is not None:
            return False  # somebody else took the port in between
        self.port, self._process = port, process
        return True

    def _store(self, blob: images.Blob) -> None:
        algorithm, _, digest = blob.digest.partition(":")
        place = self._root / "blobs" / algorithm / digest[:2] / digest / "data"
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(blob.path)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _folder(digest: str) -> str:
    return digest.replace(":", "/")


def _write_link(folder: Path, digest: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "link").write_text(digest)
