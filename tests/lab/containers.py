"""A container that runs in a lab's dockerd: it does nothing, or repeats a line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.lab import Lab
from tests.lab.processes import run

SLEEPER = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"
TALKER = """#include <stdio.h>
#include <unistd.h>
int main(int count, char **words) { for (;;) { fprintf(stderr, "%s\\n", words[1]); usleep(200000); } }
"""


@contextlib.contextmanager
def running_container(lab: Lab) -> Iterator[str]:
    """Its id.  It does nothing."""
    with _container(lab, "sleeper", SLEEPER) as container:
        yield container


@contextlib.contextmanager
def talking_container(lab: Lab, line: str, *options: str) -> Iterator[str]:
    """Its name.  It repeats the line five times a second; `options` are those of `docker run`."""
    with _container(lab, "talker", TALKER, (line,), ("--name", "talker", *options)):
        yield "talker"


@contextlib.contextmanager
def _container(
    lab: Lab, name: str, source: str, arguments: Sequence[str] = (), options: Sequence[str] = ()
) -> Iterator[str]:
    """Its id.  Its control group is the lab's own, so that it ends with the lab in any case."""
    code, program, archive = (lab.root / f"{name}{kind}" for kind in (".c", "", ".tar"))
    code.write_text(source)
    run("cc", "-static", "-o", str(program), str(code))
    run("tar", "-C", str(lab.root), "-cf", str(archive), program.name)
    docker = ("docker", "-H", f"unix://{lab.dockerd.socket}")
    run(*docker, "import", str(archive), name)
    alone = ("--network", "none", "--cgroup-parent", f"/{lab.root.name}")
    container = run(*docker, "run", "-d", *alone, *options, name, f"/{name}", *arguments).strip()
    try:
        yield container
    finally:
        run(*docker, "rm", "-f", container)
        for group in Path("/sys/fs/cgroup").glob(f"*/{lab.root.name}"):
            with contextlib.suppress(OSError):  # the lab's own are in use until its end
                group.rmdir()


def is_running(lab: Lab, container: str) -> bool:
    """Whether its process lives, as dockerd tells."""
    return bool(lab.dockerd.api.get(f"/containers/{container}/json")["State"]["Running"])
