"""A container that runs in a lab's dockerd and does nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.lab.lab import Lab
from tests.lab.processes import run

SLEEPER = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


@contextlib.contextmanager
def running_container(lab: Lab) -> Iterator[str]:
    """Its id.  Its control group is the lab's own, so that it ends with the lab in any case."""
    source, program, archive = (lab.root / name for name in ("sleeper.c", "sleeper", "sleeper.tar"))
    source.write_text(SLEEPER)
    run("cc", "-static", "-o", str(program), str(source))
    run("tar", "-C", str(lab.root), "-cf", str(archive), program.name)
    docker = ("docker", "-H", f"unix://{lab.dockerd.socket}")
    run(*docker, "import", str(archive), "sleeper")
    parent = ("--cgroup-parent", f"/{lab.root.name}")
    container = run(*docker, "run", "-d", "--network", "none", *parent, "sleeper", "/sleeper").strip()
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
