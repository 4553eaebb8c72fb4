"""Everything that can hang in a lab, each as a block during which it hangs.

A scene yields the pid of the process that a diagnosis should name, and lets go of
what it holds when the block ends.  Pulls that wait are ended with the lab.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from tests.lab import images, sight
from tests.lab.cases import hung
from tests.lab.clients import Client
from tests.lab.faults import Fault, Form, frozen_by_cgroup, stopped, traced
from tests.lab.lab import Lab
from tests.lab.processes import kill, wait_until

Stage = Callable[[Lab], AbstractContextManager[int]]
MID_LAYER_BYTES = 8 * images.MB
NOTICED_S = 6.0  # a stopped process is noticed by then


@contextlib.contextmanager
def decompressor_hangs(fault: Fault, form: Form, lab: Lab) -> Iterator[int]:
    """A pull stands still because of its decompressor."""
    culprit, _ = _hang(lab, fault, form)
    yield culprit


@contextlib.contextmanager
def comes_back(lab: Lab) -> Iterator[int]:
    """A person kills the hung decompressor and pulls again: it hangs again."""
    culprit, _ = _hang(lab, runs=2)
    kill(culprit)
    lab.pull(images.SMALL)
    hung(lab)
    yield lab.dockerd.decompressors[-1]


@contextlib.contextmanager
def given_up_and_waiting(lab: Lab) -> Iterator[int]:
    """The client gave up, and a second pull waits on the layer."""
    _, first = _hang(lab)
    time.sleep(2.0)  # nobody gives up sooner
    first.give_up()
    lab.pull(images.SMALL)
    yield lab.dockerd.decompressors[-1]


@contextlib.contextmanager
def joined_by(image: images.Image, second: images.Image, lab: Lab) -> Iterator[int]:
    """A second pull, of the same image or of another one on the same base, waits on the hung layer."""
    culprit, _ = _hang(lab, image=image)
    lab.pull(second)
    yield culprit


@contextlib.contextmanager
def beside_a_healthy_pull(lab: Lab) -> Iterator[int]:
    """Another pull, without a shared layer, is under way and slow."""
    culprit, _ = _hang(lab)
    other = slow_pull(lab, images.OTHER)
    yield culprit
    lab.unpigz.disarm()
    _ends_well(other)


@contextlib.contextmanager
def load_and_build_hang(lab: Lab) -> Iterator[int]:
    """A `docker load` and a `docker build` hang; the load is the one that is named."""
    lab.unpigz.install()
    lab.unpigz.arm(Fault.PAUSE, MID_LAYER_BYTES, runs=3)  # a build decompresses twice, once to look
    lab.load(images.SMALL)
    first = wait_until(lambda: next(iter(lab.dockerd.decompressors), None), "the load decompresses")
    lab.build(images.OTHER)
    wait_until(lambda: len(lab.dockerd.decompressors) == 3, "both decompress")
    hung(lab)
    yield first


@contextlib.contextmanager
def untar_stops(lab: Lab) -> Iterator[int]:
    slow_pull(lab, images.SMALL)
    untar = wait_until(lambda: next(iter(lab.dockerd.untars), None), "docker-untar runs")
    with stopped(untar):
        yield untar


@contextlib.contextmanager
def dockerd_stops(lab: Lab) -> Iterator[int]:
    slow_pull(lab, images.SMALL)
    with stopped(lab.dockerd.pid):
        yield lab.dockerd.pid


@contextlib.contextmanager
def stops_again(lab: Lab) -> Iterator[int]:
    """Somebody stops the decompressor, lets it go on, and stops it again."""
    slow_pull(lab, images.SMALL)
    pid = lab.dockerd.decompressors[-1]
    with stopped(pid):
        time.sleep(NOTICED_S)
    wait_until(lambda: sight.state(pid) != "T", "it goes on")
    with stopped(pid):
        yield pid


@contextlib.contextmanager
def frozen_by(version: int, lab: Lab) -> Iterator[int]:
    """The decompressor is in a frozen control group, v1 or v2."""
    slow_pull(lab, images.SMALL)
    pid = lab.dockerd.decompressors[-1]
    with frozen_by_cgroup(pid, lab.root.name, version):
        yield pid


@contextlib.contextmanager
def in_gdb(lab: Lab) -> Iterator[int]:
    slow_pull(lab, images.SMALL)
    pid = lab.dockerd.decompressors[-1]
    with traced(pid):
        yield pid


@contextlib.contextmanager
def disk_freezes(lab: Lab) -> Iterator[int]:
    """The file system of dockerd's data takes no more writes; docker-untar is the first who waits."""
    slow_pull(lab, images.BIG)
    untar = wait_until(lambda: next(iter(lab.dockerd.untars), None), "docker-untar runs")
    assert lab.disk is not None, "this scene needs a lab with a disk of its own"
    with lab.disk.frozen(at_most_s=90):
        lab.unpigz.disarm()
        yield untar


def slow_pull(lab: Lab, image: images.Image) -> Client:
    """A pull that is in extraction at 50 KB/s, for as long as nobody disarms it."""
    before = len(lab.dockerd.decompressors)
    if not lab.unpigz.path.exists():
        lab.unpigz.install()
    lab.unpigz.arm(Fault.SLOW, 4 * images.MB, runs=1)
    pull = lab.pull(image)
    wait_until(lambda: len(lab.dockerd.decompressors) > before, "the extraction runs")
    return pull


def _hang(
    lab: Lab,
    fault: Fault = Fault.PAUSE,
    form: Form = Form.BINARY,
    runs: int = 1,
    image: images.Image = images.SMALL,
) -> tuple[int, Client]:
    """The hung decompressor, behind a wrapper the program that it runs, and who pulls."""
    lab.unpigz.install(form)
    lab.unpigz.arm(fault, MID_LAYER_BYTES, runs)
    pull = lab.pull(image)
    hung(lab)
    return lab.dockerd.decompressors[-1], pull


def _ends_well(pull: Client) -> None:
    if pull.wait(60) != 0:
        raise AssertionError(f"the healthy pull ends well: {pull.output[-300:]}")
