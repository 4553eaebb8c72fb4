"""Which engine is chosen, and why not a better one, on machines that lack something."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from tests.host.bpf.engines import PROBES, engine_or_skip, environment, probes_in
from watchdog.errors import Unavailable
from watchdog.host.bpf import Engine, open_engine
from watchdog.host.bpf.bcc import open_bcc
from watchdog.host.bpf.prebuilt import open_prebuilt

pytestmark = [pytest.mark.bpf, pytest.mark.usefixtures("probes")]

CHECKOUT = PROBES.parent
RING_BYTES = 256 * 1024
needs_clang = pytest.mark.skipif(shutil.which("clang") is None, reason="no clang to make an object with")
ANOTHER_VERSION = "is of another version than this program"

REPORT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from watchdog.host.bpf import open_engine
opened = open_engine()
print(json.dumps({"engine": opened.engine.name, "attempts": {a.name: a.reason for a in opened.attempts}}))
opened.engine.close()
"""


def report(*prefix: str) -> Dict[str, Any]:
    """What `auto` chooses for a process that was started with this prefix."""
    argv = [*prefix, "/usr/bin/python3", "-c", REPORT, str(CHECKOUT)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: Dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def no_object(tmp_path: Path) -> Path:
    """A directory of sources without the object, that the engines use."""
    directory = tmp_path / "sources"
    shutil.copytree(PROBES, directory)
    return directory


def test_auto_takes_the_best() -> None:
    engine_or_skip("libbpf").engine.close()
    opened = open_engine("auto")
    try:
        assert (opened.engine.name, opened.attempts) == ("libbpf", ())
        assert opened.describe() == "libbpf"
    finally:
        opened.engine.close()


def test_without_the_object_the_next_is_taken_and_the_reason_kept(no_object: Path) -> None:
    engine_or_skip("bcc").engine.close()
    with probes_in(no_object):
        opened = open_engine("auto")
    opened.engine.close()
    assert opened.engine.name == "bcc"
    assert opened.describe() == f"bcc (not libbpf: no prebuilt object (pull_watchdog.bpf.o) in {no_object})"


def test_a_forced_engine_does_not_fall_back(no_object: Path) -> None:
    with probes_in(no_object), pytest.raises(Unavailable) as error:
        open_engine("libbpf")
    message = str(error.value)
    assert message.startswith("engine libbpf does not work here: no prebuilt object")
    assert message.endswith("set `engine: auto`") and "\n" not in message


def test_without_tracefs() -> None:
    # Where debugfs is mounted the kernel mounts a tracefs in it for whoever looks.
    script = 'umount -l /sys/kernel/debug; umount /sys/kernel/tracing && exec "$@"'
    found = report("unshare", "--mount", "--propagation", "slave", "sh", "-c", script, "sh")
    assert found["engine"] == "proc_connector"
    assert found["attempts"]["libbpf"] == "tracefs is not mounted: mount -t tracefs nodev /sys/kernel/tracing"
    assert found["attempts"]["bcc"] == found["attempts"]["libbpf"]


@pytest.fixture(scope="module")
def nested(probes: Path) -> Dict[str, Any]:
    """What `auto` chooses in a pid namespace of its own; with the probes of this checkout."""
    return report("unshare", "--pid", "--fork", "--mount-proc")


@pytest.mark.parametrize("name", ["libbpf", "bcc", "proc_connector"])
def test_in_a_nested_pid_namespace_every_kernel_engine_is_blind_and_says_so(
    nested: Dict[str, Any], name: str
) -> None:
    engine_or_skip(name).engine.close()
    assert nested["engine"] == "polling"
    assert set(nested["attempts"]) == {"libbpf", "bcc", "proc_connector"}
    assert "exec and fork of our own child" in nested["attempts"][name]
    assert "nested pid namespace" in nested["attempts"][name]


def test_a_fresh_mount_namespace_is_no_obstacle() -> None:
    engine_or_skip("libbpf").engine.close()
    assert report("unshare", "--mount", "--propagation", "slave")["engine"] == "libbpf"


@pytest.fixture(scope="module")
def unprivileged(probes: Path) -> Dict[str, Any]:
    """What `auto` chooses without the capabilities that the kernel engines need."""
    # bpf and perfmon by number: setpriv of Debian 11 does not know their names.
    return report("setpriv", "--bounding-set=-sys_admin,-cap_39,-cap_38,-net_admin")


def test_without_capabilities_another_way_is_found(unprivileged: Dict[str, Any]) -> None:
    # 6.6 and later let anybody listen.
    assert unprivileged["engine"] in ("proc_connector", "polling")


def test_without_capabilities_the_one_that_is_missing_is_named(unprivileged: Dict[str, Any]) -> None:
    engine_or_skip("libbpf").engine.close()
    assert "the kernel refuses" in unprivileged["attempts"]["libbpf"]
    assert "CAP_BPF" in unprivileged["attempts"]["libbpf"]


def test_without_root() -> None:
    if any(parent.stat().st_mode & 0o005 != 0o005 for parent in Path(__file__).resolve().parents):
        pytest.skip("only root can read this checkout, so nobody else can run it")
    found = report("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert found["engine"] in ("proc_connector", "polling")
    assert "not readable for this user" in found["attempts"]["libbpf"]
    assert "run as root" in found["attempts"]["libbpf"]


@needs_clang
def test_an_object_of_another_version_is_refused(no_object: Path) -> None:
    header = no_object / "events.h"
    text = header.read_text(encoding="utf-8")
    header.write_text(text.replace("LAYOUT_VERSION 1", "LAYOUT_VERSION 999"), encoding="utf-8")
    subprocess.run([str(no_object / "build.sh"), str(no_object)], check=True, timeout=60)
    with probes_in(no_object), pytest.raises(Unavailable, match=ANOTHER_VERSION):
        open_prebuilt(RING_BYTES)


@needs_clang
@pytest.mark.parametrize("source", ["int nothing;", 'int constant __attribute__((section(".rodata"))) = 1;'])
def test_a_foreign_object_is_refused(tmp_path: Path, source: str) -> None:
    made = tmp_path / "pull_watchdog.bpf.o"
    argv = ["clang", "-target", "bpf", "-g", "-O2", "-c", "-x", "c", "-", "-o", str(made)]
    subprocess.run(argv, input=source.encode(), check=True, timeout=60)
    with probes_in(tmp_path), pytest.raises(Unavailable, match=ANOTHER_VERSION):
        open_prebuilt(RING_BYTES)


def test_garbage_is_refused(tmp_path: Path) -> None:
    engine_or_skip("libbpf").engine.close()
    (tmp_path / "pull_watchdog.bpf.o").write_bytes(b"garbage")
    with probes_in(tmp_path), pytest.raises(Unavailable, match="is no BPF object"):
        open_prebuilt(RING_BYTES)


def test_what_the_compiler_says_is_the_reason(no_object: Path) -> None:
    engine_or_skip("bcc").engine.close()
    (no_object / "tcp_life.bpf.c").write_text("this is no C;\n", encoding="ascii")
    with probes_in(no_object), pytest.raises(Unavailable) as error:
        open_bcc(RING_BYTES)
    assert "bcc failed" in str(error.value) and "tcp_life.bpf.c:1" in str(error.value)


def test_bcc_that_takes_too_long_is_ended() -> None:
    engine_or_skip("bcc").engine.close()
    children = _children()
    with pytest.raises(Unavailable, match=r"did not compile the probes within 0\.05 s"):
        open_bcc(RING_BYTES, deadline_s=0.05)
    assert _children() == children


def test_without_headers_bcc_says_what_to_install(tmp_path: Path) -> None:
    with environment(BCC_KERNEL_SOURCE=str(tmp_path / "gone")), pytest.raises(Unavailable) as error:
        open_bcc(RING_BYTES)
    assert f"install linux-headers-{os.uname().release}" in str(error.value)


def test_no_engine_costs_the_memory_of_bcc() -> None:
    engine: Engine = engine_or_skip("bcc").engine
    engine.close()
    assert "bcc" not in sys.modules


def _children() -> List[bytes]:
    argv = ["ps", "--ppid", str(os.getpid()), "-o", "pid=,comm="]
    return [
        line
        for line in subprocess.run(argv, capture_output=True, check=True).stdout.splitlines()
        if b"ps" not in line
    ]
