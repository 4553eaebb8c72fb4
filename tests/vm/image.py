"""Disk images of whole Debian systems, made once for each recipe and kept in .cache/vm.

Needs root for mmdebstrap's chroot, and neither a loop device nor a mount.  An
image is never written to after it was made: a guest runs on a throw-away layer
above it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.vm.host_command import run
from tests.vm.suite import Suite

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "vm"
RECIPE = 2  # raise it when the code below makes another image of the same ingredients
DISK_SIZE = "8G"  # sparse: what is not used takes no space
MAKING_DEADLINE_S = 1800.0

# What a guest does with its life: take the second disk, run the checks on it, power off.
CHECKS_UNIT = """\
[Unit]
Description=Checks of pull-watchdog
After=multi-user.target systemd-user-sessions.service docker.service
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mount /dev/vdb /srv && exec sh /srv/start'
"""
# Services of installed packages that take a port, a device or the processor.
MASKED = (
    *("docker-registry.service", "watchdog.service", "wd_keepalive.service", "prometheus.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "e2scrub_all.timer"),
)


@dataclass(frozen=True)
class Image:
    """A system on a disk, with its kernel beside it because QEMU loads that directly."""

    disk: Path
    kernel: Path
    initrd: Path


def image_of(suite: Suite) -> Image:
    """The image of this suite, made now if there is none of this recipe.  Raises CommandFailed."""
    folder = CACHE / f"{suite.name}-{_recipe(suite)}"
    if not folder.exists():
        _make(suite, folder)
    return Image(folder / "disk.img", folder / "vmlinuz", folder / "initrd.img")


def _recipe(suite: Suite) -> str:
    content = [RECIPE, CHECKS_UNIT, MASKED, DISK_SIZE, suite.packages]
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def _make(suite: Suite, folder: Path) -> None:
    """Make the image beside its place and move it there, so that a broken attempt leaves nothing."""
    CACHE.mkdir(parents=True, exist_ok=True)
    for outdated in CACHE.glob(f"{suite.name}-*"):
        shutil.rmtree(outdated)
    with tempfile.TemporaryDirectory(prefix=f".{suite.name}-", dir=CACHE) as work:
        root, made = Path(work, "root"), Path(work, "made")
        made.mkdir()
        _install(suite, root)
        _configure(root)
        for name in ("vmlinuz", "initrd.img"):
            shutil.copy(next((root / "boot").glob(f"{name}-*")), made / name)
        run(
            *("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(made / "disk.img"), DISK_SIZE),
            deadline_s=MAKING_DEADLINE_S,
        )
        made.rename(folder)


def _install(suite: Suite, root: Path) -> None:
    run(
        *("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root"),
        # Documentation and translations would be half of the image.
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        # To be installed again in a guest, which has no network.
        '--customize-hook=chroot "$1" sh -c "cd /root && apt-get download pigz"',
        *(f"--include={','.join(suite.packages)}", suite.name, str(root)),
        deadline_s=MAKING_DEADLINE_S,
    )


def _configure(root: Path) -> None:
    units = root / "etc/systemd/system"
    (units / "checks.service").write_text(CHECKS_UNIT)
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "checks.service").symlink_to("../checks.service")
    for name in MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    (root / "etc/fstab").write_text("/dev/vda / ext4 rw 0 0\n")
    (root / "etc/hostname").write_text("guest\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost guest\n::1 localhost\n")
