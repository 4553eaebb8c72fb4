"""Reading a disk that may hang: in a child, which can be left behind.

Law: the command is back by the deadline, and nothing that it started holds its
terminal or its pipe open.  A thread would not do: a process does not end before
its last thread does, and a thread that waits for a dead disk cannot be ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from typing import Any, Callable

from watchdog.errors import Deadline, Unavailable

_PIECE_BYTES = 65536


def in_child(deadline_s: float, what: str, call: Callable[[], Any]) -> Any:
    """What `call` returns, by way of JSON.

    Raises Deadline when it does not return in time, PermissionError when it
    raises that, and Unavailable with any other error of it.  For a process with
    one thread only.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _answer(write, call)
    os.close(write)
    try:
        answer = _read_until(read, time.monotonic() + deadline_s)
    finally:
        os.close(read)
        os.kill(pid, signal.SIGKILL)
    if answer is None:
        raise Deadline(f"{what} did not answer within {deadline_s:g} s")
    os.waitpid(pid, 0)
    if "denied" in answer:
        raise PermissionError(f"{what}: {answer['denied']}")
    if "error" in answer:
        raise Unavailable(f"{what}: {answer['error']}")
    return answer["result"]


def _answer(write: int, call: Callable[[], Any]) -> None:
    """In the child: answer and end, without a trace of the parent's files and handlers."""
    status = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        try:
            answer = json.dumps({"result": call()})
        except PermissionError as error:
            answer = json.dumps({"denied": str(error)})
        except Exception as error:
            answer = json.dumps({"error": str(error)})
        with os.fdopen(write, "wb") as pipe:
            pipe.write(answer.encode())
        status = 0
    finally:
        os._exit(status)


def _read_until(read: int, limit: float) -> Any:
    """The child's answer; None when it did not come in time."""
    content = b""
    while True:
        ready, _, _ = select.select([read], [], [], max(0.0, limit - time.monotonic()))
        if not ready:
            return None
        piece = os.read(read, _PIECE_BYTES)
        if not piece:
            return json.loads(content) if content else {"error": "the child ended without an answer"}
        content += piece
