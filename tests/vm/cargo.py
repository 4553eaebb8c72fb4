"""The guest's second disk: this checkout as it is, the packages built from it, and what to run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Sequence

from tests.lab import images
from tests.vm.host_command import run

CHECKOUT_COPY = "cargo/checkout"  # below the folder that is packed in
CHECKOUT = Path(__file__).resolve().parents[2]
DISK_SIZE = "2G"  # sparse; the lab's images are made there too
BUILD_DEADLINE_S = 600.0


def pack(work: Path, selection: Sequence[str]) -> Path:
    """Make the disk in `work`.  `selection`: arguments for pytest.  Raises CommandFailed."""
    content = work / "cargo"
    checkout = work / CHECKOUT_COPY
    for name in _files():
        place = checkout / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, place, follow_symlinks=False)
    _copy_layers(checkout / ".cache/lab")
    run("sh", str(checkout / "probes/build.sh"), str(checkout / "build/probes"), deadline_s=BUILD_DEADLINE_S)
    run("sh", str(checkout / "packaging/debian/build.sh"), str(content / "dist"), deadline_s=BUILD_DEADLINE_S)
    (content / "selection").write_text("".join(f"{one}\n" for one in selection))
    shutil.copy(checkout / "tests/vm/inside/start.sh", content / "start")
    disk = work / "cargo.img"
    run("mke2fs", "-q", "-t", "ext4", "-d", str(content), str(disk), DISK_SIZE, deadline_s=BUILD_DEADLINE_S)
    return disk


def _copy_layers(place: Path) -> None:
    """The layers that checks pull: a guest would take half a minute to make one."""
    place.mkdir(parents=True)
    for image in (images.SMALL, images.OTHER):
        for layer in images.build(image).layers:
            for path in (layer.path, layer.path.with_suffix(".json")):
                shutil.copy(path, place / path.name)


def _files() -> Sequence[str]:
    """Everything in the checkout that git knows or would not ignore."""
    listed = subprocess.run(
        ["git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE,
        check=True,
    )
    names = listed.stdout.decode().split("\0")
    return [name for name in names if name and (CHECKOUT / name).is_file()]
