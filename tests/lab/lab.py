"""The lab itself: one folder, one control group, one dockerd, one registry.

Law: a lab is alone.  It uses nothing that another lab or the host's own Docker
uses, and when it ends, nothing of it is left on the machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.lab import cleanup, images
from tests.lab.clients import Client, write_build_context
from tests.lab.disk import Disk
from tests.lab.dockerd import Dockerd
from tests.lab.faults import FakeUnpigz
from tests.lab.processes import Cell, start_guard
from tests.lab.registry import Registry


class Lab:
    """A private dockerd and registry; use it in a `with` block.

    `dockerd_options`: further arguments, such as "--live-restore".
    `disk_mb`: put dockerd's data on an ext4 file system of its own, which can be
    frozen (`lab.disk`).
    """

    def __init__(
        self, dockerd_options: Sequence[str] = (), debug: bool = False, disk_mb: int | None = None
    ) -> None:
        # Short: a UNIX socket's path has at most 107 bytes, and containerd's stand deep below.
        self.root = Path(tempfile.mkdtemp(prefix="pwlab-", dir="/tmp"))
        self._guard = start_guard(self.root)
        try:
            self.cell = Cell(self.root.name)
            self.disk = Disk(self.root, self.cell, disk_mb) if disk_mb else None
            self.registry = Registry(self.root, self.cell)
            self.dockerd = Dockerd(self.root, self.cell, dockerd_options, debug)
            self.unpigz = FakeUnpigz(self.root, self.dockerd.programs)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Lab:
        try:
            self.registry.start()
            self.dockerd.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End and remove everything.  The guard does the same again and then goes."""
        try:
            cleanup.clean(self.root)
        finally:
            self._guard.communicate(timeout=3 * cleanup.DEADLINE_S)

    def client(self, *arguments: str) -> Client:
        """Start the docker command line with these arguments."""
        return Client(self.root, self.cell, arguments)

    def pull(self, image: images.Image) -> Client:
        """Publish an image, unless it is there already, and start `docker pull` of it."""
        self.registry.publish(image)
        return self.client("pull", self.registry.reference(image))

    def load(self, image: images.Image) -> Client:
        """Start `docker load` of the image from a compressed archive; it gets the tag `loaded`."""
        archive = self.root / f"{image.repository}.tar.gz"
        images.write_archive(images.build(image), archive)
        return self.client("load", "-i", str(archive))

    def build(self, image: images.Image) -> Client:
        """Start a `docker build` that ADDs the image's first layer; it gets the tag `built`."""
        context = self.root / f"build-{image.repository}"
        write_build_context(context, images.layer_blob(image.layers[0]).path)
        return self.client("build", "-t", f"{image.repository}:built", str(context))

    def has(self, image: images.Image) -> bool:
        return self.dockerd.api.has_image(self.registry.reference(image))

    def remove(self, image: images.Image) -> None:
        """Remove a pulled image, so that the next pull starts from nothing."""
        self.dockerd.api.remove_image(self.registry.reference(image))
