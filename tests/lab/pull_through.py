"""A pull-through cache: Debian's docker-registry with `proxy: remoteurl`.

The version that Debian has fetches a layer twice on a miss, does not resume, and
answers a Range with 200 until it has the whole layer.
"""

from __future__ import annotations

import subprocess
from types import TracebackType

from tests.lab import images
from tests.lab.lab import Lab
from tests.lab.nginx import listens
from tests.lab.processes import SYSTEM_PATH, end, wait_until
from tests.lab.registry import free_port

CONFIG = """\
version: 0.1
log: {{level: info, accesslog: {{disabled: false}}}}
storage: {{filesystem: {{rootdirectory: {storage}}}}}
http: {{addr: "127.0.0.1:{port}"}}
proxy: {{remoteurl: "http://127.0.0.1:{upstream_port}"}}
"""


class PullThrough:
    """One cache before `upstream_port`, empty at its start; use it in a `with` block within the lab's."""

    def __init__(self, lab: Lab, upstream_port: int, name: str = "cache") -> None:
        self._lab = lab
        self._upstream_port = upstream_port
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self.log = lab.root / f"{name}.log"
        self.port = free_port()

    def __enter__(self) -> PullThrough:
        storage = self._lab.root / self._name
        storage.mkdir()
        config = self._lab.root / f"{self._name}.yml"
        config.write_text(CONFIG.format(storage=storage, port=self.port, upstream_port=self._upstream_port))
        command = ["docker-registry", "serve", str(config)]
        process = self._lab.cell.spawn(command, self._name, self.log, {"PATH": SYSTEM_PATH})
        self._process = process
        wait_until(lambda: process.poll() is not None or listens(self.port), "the cache listens", 10.0)
        if process.poll() is not None:
            raise RuntimeError(f"the cache ended at its start: {self.log.read_text()[-500:]}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            end(self._process)

    def reference(self, image: images.Image) -> str:
        """What to pull through the cache."""
        return f"localhost:{self.port}/{image.repository}:{image.tag}"
