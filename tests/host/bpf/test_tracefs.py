"""Offsets from `format` files as kernels wrote them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Tuple

import pytest

from watchdog.errors import Unavailable
from watchdog.host.bpf.tracefs import ABSENT, Layout, parse_format, read_layout

RECORDED = Path(__file__).parent / "formats"


@pytest.fixture
def tracefs(tmp_path: Path) -> Path:
    """A copy of what 6.18 has, to be spoilt."""
    copy = tmp_path / "tracing"
    shutil.copytree(RECORDED / "6.18", copy)
    return copy


def layout_of(tracefs: Path) -> Layout:
    return read_layout((tracefs,))


def spoil(tracefs: Path, tracepoint: str, change: Tuple[str, str]) -> None:
    path = tracefs / "events" / tracepoint / "format"
    text = path.read_text(encoding="ascii")
    assert change[0] in text
    path.write_text(text.replace(*change), encoding="ascii")


def test_offsets_of_6_18(tracefs: Path) -> None:
    layout = layout_of(tracefs)
    assert layout.refused == {} and layout.sees_tcp()
    assert layout.offsets["task_newtask__clone_flags"] == 32
    assert layout.offsets["sched_process_exec__filename"] == 8
    assert layout.offsets["sched_process_exit__group_dead"] == 32
    assert layout.offsets["signal_generate__comm"] == 20
    assert layout.offsets["inet_sock_set_state__daddr_v6"] == 56
    assert layout.offsets["tcp_send_reset__skaddr"] == 16
    assert ABSENT not in layout.offsets.values()


@pytest.mark.parametrize("kernel", ["5.10", "6.12"])
def test_older_kernels_have_all_that_is_needed(kernel: str) -> None:
    layout = layout_of(RECORDED / kernel)
    assert layout.refused == {} and layout.sees_tcp()
    absent = [field for field, offset in layout.offsets.items() if offset == ABSENT]
    assert absent == ["sched_process_exit__group_dead"]


def test_a_field_that_only_new_kernels_have_may_be_absent(tracefs: Path) -> None:
    spoil(tracefs, "sched/sched_process_exit", ("bool group_dead", "bool something"))
    layout = layout_of(tracefs)
    assert layout.offsets["sched_process_exit__group_dead"] == ABSENT
    assert layout.refused == {}


def test_a_field_of_another_size_is_not_read(tracefs: Path) -> None:
    spoil(tracefs, "tcp/tcp_receive_reset", ("offset:8;	size:8", "offset:8;	size:4"))
    layout = layout_of(tracefs)
    assert layout.refused == {
        ("tcp", "tcp_receive_reset"): "tcp:tcp_receive_reset lacks tcp_receive_reset__skaddr"
    }
    assert layout.offsets["tcp_receive_reset__skaddr"] == ABSENT
    assert layout.sees_tcp()  # states are still told


def test_without_socket_states_nothing_of_tcp_can_be_attributed(tracefs: Path) -> None:
    shutil.rmtree(tracefs / "events" / "sock")
    assert not layout_of(tracefs).sees_tcp()


def test_without_births_there_is_no_engine(tracefs: Path) -> None:
    shutil.rmtree(tracefs / "events" / "task")
    with pytest.raises(Unavailable, match="tracepoint task:task_newtask lacks"):
        layout_of(tracefs)


def test_a_tracefs_that_is_not_mounted_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=f"tracefs is not mounted: mount -t tracefs nodev {tmp_path}"):
        layout_of(tmp_path)


def test_the_second_place_is_looked_at_too(tracefs: Path, tmp_path: Path) -> None:
    assert read_layout((tmp_path, tracefs)) == layout_of(tracefs)


def test_parse_format_knows_arrays_and_pointers() -> None:
    text = (
        "name: x\nformat:\n"
        "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
        "\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n"
        "\tfield:const void * skaddr;\toffset:16;\tsize:8;\tsigned:0;\n"
        "\tfield:char comm[16];\toffset:24;\tsize:16;\tsigned:0;\n"
        'print fmt: "%s", REC->comm\n'
    )
    assert parse_format(text) == {
        "common_type": (0, 2),
        "filename": (8, 4),
        "skaddr": (16, 8),
        "comm": (24, 16),
    }
