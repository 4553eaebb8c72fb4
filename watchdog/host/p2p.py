"""The Dragonfly client of this node: which generation, how configured, and whether it answers.

Law: only a process that is one of Dragonfly's by name, and listens where its
configuration says, is asked anything.  Questions are GETs with a deadline, and
the reply decides the generation where names and ports do not.
"""

from __future__ import annotations

import os
import re
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Mapping, Optional, Tuple

from watchdog.config_p2p import P2pConfig
from watchdog.core.dragonfly import COMMS, PRODUCTS, Generation, Port, Product
from watchdog.core.observation import Api, ProcessKey
from watchdog.core.tcp import ESTABLISHED, LISTEN
from watchdog.errors import ProcessGone, Refused, WatchdogError
from watchdog.host import birth, proc, tcp, yaml_line
from watchdog.host.proc import PROC, Process
from watchdog.host.sock_diag import Entry, SockDiag

ANSWER_WITHIN_S = 1.0
PAYLOAD_BYTES = 4096  # in two seconds; keep-alives and announcements are smaller
_MOST_CONFIG_BYTES = 1 << 20
_MOST_ANSWER_BYTES = 4 << 20
_PIECE_BYTES = 65536
_OF_KUBERNETES = re.compile(r"kubepods|cri-containerd")
_OF_CONTAINERS = re.compile(r"(?:docker|libpod)[-/][0-9a-f]{64}")
_CONFIG_MAP = re.compile(r"/\.\.(?:data|\d{4}_)")  # how the kubelet mounts one

KUBERNETES, CONTAINER = "kubernetes", "container"


@dataclass(frozen=True)
class P2pClient:
    """What was found.

    `config` is the path as the client itself sees it, `text` its content (None
    where it cannot be read).  `managed_by`: "kubernetes", "container" or "" for
    the host's own.  `address` is where the runtime is pointed at.  `process` None:
    it is configured here and does not run.  `api` None: nobody could be asked.
    """

    generation: Generation
    address: str
    config: str
    text: Optional[str]
    process: Optional[ProcessKey] = None
    managed_by: str = ""
    api: Optional[Api] = None

    @property
    def product(self) -> Product:
        return PRODUCTS[self.generation]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def value(self, keys: Tuple[str, ...]) -> Optional[str]:
        """What its configuration says there, as written; None where it says nothing that can be read."""
        return _value(self.text, keys)

    def port_of(self, port: Port) -> int:
        """A port of its own, as configured or as usual."""
        return _port(self.text, port)


def find(wanted: P2pConfig) -> Optional[P2pClient]:
    """The client of this node; None where there is none.  Raises Unavailable or Deadline."""
    found = [one for pid in proc.pids() for one in _running(pid, wanted)]
    answering = (one for one in found if one.api is Api.ANSWERS)
    return next(answering, found[0] if found else _not_running(wanted))


def look_again(client: P2pClient) -> P2pClient:
    """The same client as it answers now.  Raises ProcessGone."""
    if client.process is None:
        raise ProcessGone("it does not run")
    with proc.open_process(client.process) as process:
        if process.seen.state in proc.ENDED_STATES:
            raise ProcessGone(f"process {process.pid} has ended")
        listening = _listening(process)
    return _asked(client, listening)


def ask(port: int, path: str, deadline_s: float = ANSWER_WITHIN_S) -> Tuple[Api, int, bytes]:
    """GET from this machine's port: how it was taken, the status, the body."""
    ends_at, answer = time.monotonic() + deadline_s, b""
    request = f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: pull-watchdog\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), deadline_s) as connection:
            connection.sendall(request.encode())
            while len(answer) < _MOST_ANSWER_BYTES:
                connection.settimeout(max(0.001, ends_at - time.monotonic()))
                piece = connection.recv(_PIECE_BYTES)
                if not piece:
                    break
                answer += piece
    except socket.timeout:
        return Api.SILENT, 0, b""
    except OSError:
        return Api.REFUSED, 0, b""
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return Api.ANSWERS, status, body


def metrics(client: P2pClient) -> str:
    """Its own counters, as Prometheus' text; "" where it serves none."""
    port = client.port_of(client.product.metrics_port)
    return _answered(port, "/metrics") if port else ""


def version(client: P2pClient, counted: str) -> Optional[str]:
    """What it says of its version, in these counters or when asked; None where it does not say."""
    if client.generation is Generation.V1:
        told = re.search(r"\d+\.\d+\.\d+", _answered(client.port, "/debug/version")[:1000])
        return told[0] if told else None
    told = re.search(rf'^{client.product.metrics}version{{.*git_version="([^"]+)"', counted, re.MULTILINE)
    return told[1] if told else None


def parse_counters(text: str, beginning: str) -> Dict[str, int]:
    """Sums of the samples whose names begin so, by the rest of the name."""
    found: Dict[str, int] = {}
    for name, value in re.findall(rf"^{beginning}(\w+)(?:{{.*}})? ([0-9.e+]+)", text, re.MULTILINE):
        found[name] = found.get(name, 0) + int(float(value))
    return found


def traffic(key: ProcessKey) -> Dict[int, int]:
    """The bytes that went over each connection of it and its children that is up, by its cookie.

    Raises ProcessGone, Unavailable or Deadline.
    """
    with proc.open_process(key) as process, SockDiag() as diag:
        family = [key.pid, *process.children()]
        up = [one for pid in family for one in _sockets_of(diag, pid) if one.state == ESTABLISHED]
        asked = [diag.details(one) for one in up]
    return {
        entry.cookie: (info.received_bytes or 0) + (info.acked_bytes or 0)
        for entry, info in filter(None, asked)
    }


def moves(before: Mapping[int, int], after: Mapping[int, int]) -> bool:
    """Whether more went over one of the connections than heartbeats do."""
    return any(total - before.get(cookie, 0) >= PAYLOAD_BYTES for cookie, total in after.items())


def stored_bytes(key: ProcessKey) -> Optional[int]:
    """The size of the files of its store that it and its children hold open; None where that cannot be seen.

    Dragonfly 1 writes a layer whole before it sends the first byte of it.
    """
    try:
        with proc.open_process(key) as process:
            family = [key.pid, *process.children()]
        return sum(size for pid in family for size in _open_files(pid))
    except WatchdogError:
        return None


def _answered(port: int, path: str) -> str:
    _, status, body = ask(port, path)
    return body.decode("utf-8", "replace") if status == 200 else ""


# --- inside ---------------------------------------------------------------------------


def _running(pid: int, wanted: P2pConfig) -> Iterator[P2pClient]:
    """The client that this process may be, once for each generation that its ports allow."""
    try:
        with Process(pid) as process:
            comm = process.seen.comm
            if comm not in COMMS or process.seen.state in proc.ENDED_STATES:
                return
            listening = _listening(process)
            path = str(wanted.config) if wanted.config else _configured_path(process.key)
            groups = process.cgroup().decode("utf-8", "replace")
            for generation, product in PRODUCTS.items():
                if product.comm != comm or wanted.generation not in (None, generation):
                    continue
                config = path or product.config
                text, managed_by = _read(pid, config), _managed_by(pid, groups, config)
                address = wanted.address or f"127.0.0.1:{_port(text, product.proxy)}"
                one = P2pClient(generation, address, config, text, process.key, managed_by)
                if one.port in listening:
                    yield _asked(one, listening)
    except WatchdogError:
        return


def _asked(one: P2pClient, listening: FrozenSet[int]) -> P2pClient:
    """The client with how it takes the question that only its generation answers."""
    if one.port not in listening:
        return replace(one, api=Api.REFUSED)
    port = one.port_of(one.product.question_port)
    if port not in listening:
        return replace(one, api=None)  # that server is switched off
    state, status, _ = ask(port, one.product.question)
    return replace(one, api=state if status in (0, 200) else None)


def _not_running(wanted: P2pConfig) -> Optional[P2pClient]:
    """A client that is configured on this host, and whose process is not there."""
    for generation, product in PRODUCTS.items():
        path = str(wanted.config or product.config)
        if wanted.generation not in (None, generation) or not Path(path).exists():
            continue
        if wanted.generation is None and Path(path).name != Path(product.config).name:
            continue
        text = _read(os.getpid(), path)
        address = wanted.address or f"127.0.0.1:{_port(text, product.proxy)}"
        return P2pClient(generation, address, path, text, api=Api.REFUSED)
    return None


def _configured_path(key: ProcessKey) -> str:
    """What its arguments or its environment name as its configuration; "" for the usual place."""
    words = birth.arguments(key)
    for word, following in zip(words, [*words[1:], ""]):
        name, separator, value = word.partition("=")
        if name in ("--config", "-c"):
            return value if separator else following
    return birth.environment(key).get("DFDAEMON_CONFIG", "")


def _read(pid: int, path: str) -> Optional[str]:
    """A file as that process sees it."""
    try:
        with open(f"{PROC}/{pid}/root{path}", "rb") as file:
            return file.read(_MOST_CONFIG_BYTES).decode("utf-8")
    except (OSError, ValueError):
        return None


def _managed_by(pid: int, groups: str, path: str) -> str:
    if _OF_KUBERNETES.search(groups) or _CONFIG_MAP.search(_real_path(pid, path)):
        return KUBERNETES
    return CONTAINER if _OF_CONTAINERS.search(groups) else ""


def _real_path(pid: int, path: str) -> str:
    try:
        fd = os.open(f"{PROC}/{pid}/root{path}", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def _value(text: Optional[str], keys: Tuple[str, ...]) -> Optional[str]:
    try:
        return yaml_line.scalar(text, keys) if text and keys else None
    except Refused:
        return None


def _port(text: Optional[str], port: Port) -> int:
    """A port as a number or as in ":8000"."""
    written = (_value(text, port.keys) or "").rpartition(":")[2]
    return int(written) if written.isdigit() and 0 < int(written) < 65536 else port.usual


def _listening(process: Process) -> FrozenSet[int]:
    with SockDiag() as diag:
        return frozenset(one.local[1] for one in _sockets(diag, process) if one.state == LISTEN)


def _sockets(diag: SockDiag, process: Process) -> List[Entry]:
    held = tcp.sockets_of(process)
    return diag.tcp(frozenset(held)) if held else []


def _sockets_of(diag: SockDiag, pid: int) -> List[Entry]:
    try:
        with Process(pid) as process:
            return _sockets(diag, process)
    except ProcessGone:
        return []  # a dfget that has done its work


def _open_files(pid: int) -> Iterator[int]:
    """The sizes of the files below Dragonfly 1's store that one process has open."""
    try:
        with Process(pid) as process:
            for number, link in process.descriptors():
                if "/.small-dragonfly/" in link and "/logs/" not in link:
                    place = process.position_and_size(number)
                    yield place[1] if place is not None else 0
    except ProcessGone:
        return
