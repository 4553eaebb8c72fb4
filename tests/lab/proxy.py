"""A fault proxy in front of a registry: requests pass, and go wrong on command.

It runs as a process of the lab (tests/lab/proxy_server.py).  What goes wrong
stands in a control file that it reads at each request, so a running pull meets
new rules with its next request.  What it saw stands in its access log.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType

from tests.lab import images
from tests.lab.lab import Lab
from tests.lab.processes import SYSTEM_PATH, end, wait_until
from tests.lab.registry import free_port

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"
ALWAYS = -1
BEFORE_HEAD = -1  # as `after_bytes`: nothing at all is answered
MANIFESTS = "/manifests/"
BLOBS = "/blobs/sha256:"


class Ending(str, Enum):
    """How an answer ends before its end."""

    NONE = "none"
    STALL = "stall"  # silence; the connection stays up until the client leaves
    RESET = "reset"
    CLOSE = "close"  # a FIN


@dataclass(frozen=True)
class Rule:
    """What is done to the requests that match; the first rule that matches counts.

    `path`: a part of it.  `times`: so many requests.  `after_bytes` of the body
    the `ending` comes, or anywhere up to `upto_bytes` where that is given, drawn
    with `seed`; or `after_s` seconds after the request.  `status`: answered by
    the proxy itself, with `body`.  `ignore_range`: the whole blob, with 200.
    `size_at_least`: only answers that are this long, such as layers.  `upload_bytes`:
    so many are taken of what is sent, at `rate_bytes_per_s`, then comes a reset.
    """

    path: str = BLOBS
    method: str = "GET"
    times: int = ALWAYS
    size_at_least: int = 0
    ending: Ending = Ending.NONE
    after_bytes: int = 0
    upto_bytes: int | None = None
    seed: int = 1
    after_s: float | None = None
    delay_s: float = 0.0
    rate_bytes_per_s: int | None = None
    upload_bytes: int | None = None
    ignore_range: bool = False
    status: int | None = None
    body: str = ""
    content_type: str = "text/plain"


@dataclass(frozen=True)
class Access:
    """One request as the proxy saw it.

    `range_from`: the first byte asked for, None without a Range header.
    `ending` None: it still goes on.  `sent_bytes` of the body, `seconds` from the
    request to its end.
    """

    method: str
    path: str
    client_port: int
    at_s: float
    range_from: int | None = None
    status: int | None = None
    sent_bytes: int = 0
    seconds: float = 0.0
    ending: str | None = None


class FaultProxy:
    """One proxy before `upstream_port`; use it in a `with` block within the lab's."""

    def __init__(self, lab: Lab, upstream_port: int | None = None, name: str = "proxy") -> None:
        self._lab = lab
        self._upstream_port = upstream_port or lab.registry.port
        self._name = name
        self._control = lab.root / f"{name}.json"
        self._accesses = lab.root / f"{name}.accesses"
        self._process: subprocess.Popen[bytes] | None = None
        self._generation = 0
        self.log = lab.root / f"{name}.log"
        self.port = free_port()
        self.rule()

    def __enter__(self) -> FaultProxy:
        ready = self._lab.root / f"{self._name}.ready"
        command = [
            *(PYTHON, "-m", "tests.lab.proxy_server", str(self.port), str(self._upstream_port)),
            *(str(self._control), str(self._accesses), str(ready)),
        ]
        environment = {"PATH": SYSTEM_PATH, "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = self._lab.cell.spawn(command, self._name, self.log, environment, cwd=PROJECT)
        process = self._process
        wait_until(lambda: ready.exists() or process.poll() is not None, "the fault proxy listens", 15.0)
        if process.poll() is not None:
            raise RuntimeError(f"the fault proxy ended at its start: {self.log.read_text()[-500:]}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            end(self._process)

    def rule(self, *rules: Rule) -> None:
        """From the next request on these hold anew, and no others; without any it only passes on."""
        self._generation += 1
        unfinished = self._control.with_suffix(".part")
        unfinished.write_text(
            json.dumps({"generation": self._generation, "rules": [asdict(one) for one in rules]})
        )
        unfinished.rename(self._control)

    def reference(self, image: images.Image) -> str:
        """What to pull or push through the proxy."""
        return f"localhost:{self.port}/{image.repository}:{image.tag}"

    def accesses(self, path_part: str = "", methods: Sequence[str] = ("GET",)) -> list[Access]:
        """The requests so far in the order of their beginning."""
        lines = self._accesses.read_text().splitlines() if self._accesses.exists() else []
        newest = {}  # each request has a line at its beginning and one at its end
        for line in lines:
            record = json.loads(line)
            number = record.pop("number")
            newest[number] = Access(**record)
        return [one for one in newest.values() if path_part in one.path and one.method in methods]

    def layers(self, image: images.Image) -> list[Access]:
        """The requests for the layers of an image."""
        digests = [blob.digest for blob in images.build(image).layers]
        return [one for one in self.accesses(BLOBS) if one.path.rpartition("/")[2] in digests]
