"""Running a program on the host for its effect, gently: guests share the machine with others."""

from __future__ import annotations

import subprocess

NICE = ("nice", "-n", "10")


class CommandFailed(Exception):
    """A program was missing, failed or took too long; the message has its last lines."""


def run(*command: str, deadline_s: float) -> None:
    """Run a program to its end.  Raises CommandFailed."""
    try:
        done = subprocess.run(
            [*NICE, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{command[0]} took longer than {deadline_s:g} s") from None
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip()
        raise CommandFailed(f"{command[0]} failed: {said[-2000:]}")
