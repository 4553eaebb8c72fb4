"""Logs to measure with: dockerd's debug log and an access log, healthy but for a few lines.

Every line differs in its digests, times and numbers; the seed is fixed.
"""

from __future__ import annotations

import random
from typing import Callable, Iterator, Sequence

_AGENT = "docker/20.10.17 go/go1.17.11 git-commit/a89b842 kernel/5.10.104 os/linux arch/amd64"
_CLIENT = "UpstreamClient(Docker-Client/20.10.17 \\x5C(linux\\x5C))"

Make = Callable[[random.Random, int], str]


def healthy_mix(lines: int) -> Iterator[str]:
    """99 % healthy lines, 1 % symptoms."""
    return _mixed(lines, SYMPTOMS, every=100)


def look_alike_mix(lines: int) -> Iterator[str]:
    """Every tenth line has alarming words and means nothing."""
    return _mixed(lines, LOOK_ALIKES, every=10)


def only_symptoms(lines: int) -> Iterator[str]:
    """A flood of errors."""
    return _mixed(lines, SYMPTOMS, every=1)


def _mixed(lines: int, rare: Sequence[Make], every: int) -> Iterator[str]:
    dice = random.Random(7)
    for number in range(lines):
        make = dice.choice(rare if number % every == every - 1 else HEALTHY)
        yield make(dice, number) + "\n"


def _hex(dice: random.Random, length: int = 64) -> str:
    return f"{dice.getrandbits(4 * length):0{length}x}"


def _clock(number: int) -> str:
    return f"{number // 36000 % 24:02}:{number // 600 % 60:02}:{number // 10 % 60:02}"


def _dockerd(level: str, message: str) -> Make:
    def make(dice: random.Random, number: int) -> str:
        text = message.replace("HEX", _hex(dice)).replace("ID", _hex(dice, 12))
        stamp = f"2025-03-06T{_clock(number)}.{number * 7919 % 10**9:09}Z"
        return f'time="{stamp}" level={level} msg={text.replace("NUMBER", str(dice.randrange(10**8)))}'

    return make


def _access(status: int, method: str = "GET") -> Make:
    def make(dice: random.Random, number: int) -> str:
        took, size = f"0.{dice.randrange(1000):03}", dice.randrange(10**8)
        path = f"/v2/library/app{dice.randrange(99)}/blobs/sha256:{_hex(dice)}"
        return (
            f"10.0.{dice.randrange(256)}.{dice.randrange(256)} - - [06/Mar/2025:{_clock(number)} +0000] "
            f'"{method} {path} HTTP/1.1" {status} {size} "-" "{_AGENT} {_CLIENT}" {took} {took} .'
        )

    return make


HEALTHY: Sequence[Make] = (
    *[_access(200)] * 8,
    _access(307),
    _access(202, "PATCH"),
    *[_dockerd("debug", '"Calling GET /_ping"')] * 3,
    *[_dockerd("debug", '"Calling GET /v1.41/containers/HEX/json"')] * 3,
    _dockerd("info", '"ignoring event" container=HEX module=libcontainerd type="*events.TaskDelete"'),
    _dockerd("debug", '"pulling blob \\"sha256:HEX\\""'),
    _dockerd("debug", '"Downloaded ID to tempfile /var/lib/docker/tmp/GetImageBlobNUMBER"'),
    _dockerd("debug", '"Running health check for container HEX ..."'),
)
SYMPTOMS: Sequence[Make] = (
    _dockerd("info", '"Download failed, retrying (2/5): expected HTTP 206 from byte range request"'),
    _dockerd(
        "error", '"Handler for POST /v1.41/images/create returned error: Get https://r/v2/NUMBER/: EOF"'
    ),
    _dockerd("warning", '"Error getting v2 registry: Get https://r/v2/: dial tcp 10.0.0.7:443: i/o timeout"'),
    _access(503),
)
LOOK_ALIKES: Sequence[Make] = (
    _access(404, "HEAD"),
    _access(401),
    _dockerd("error", '"Handler for GET /containers/HEX/json returned error: No such container: HEX"'),
    _dockerd("info", '"stopping event stream following graceful shutdown" error="context canceled" id=HEX'),
    _dockerd("warning", '"error authorizing context: authorization token required" http.request.id=HEX'),
    _dockerd("error", '"copy stream failed" error="reading from a closed fifo" stream=stdout id=HEX'),
)
