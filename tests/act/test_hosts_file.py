"""act/hosts_file: one line of ours, and every other byte as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.processes import run
from watchdog.act import hosts_file
from watchdog.errors import Refused

HOST = "registry.example"
LINE = hosts_file.line_of("10.0.0.9", HOST, "2026-11-22T03:00:00Z")
CONTENTS = [
    "",
    "127.0.0.1\tlocalhost\n",
    "127.0.0.1 localhost",  # no last line end
    "\n\n# kept by hand \u2014 do not touch\n::1 localhost ip6-localhost\r\n\n",
    "10.0.0.1 not-registry.example registry.example.org  # registry.example\n",
]


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 localhost\n")
    path.chmod(0o644)
    return path


@pytest.mark.parametrize("content", CONTENTS)
def test_it_is_put_before_all_others_and_leaves_no_trace(hosts: Path, content: str) -> None:
    hosts.write_bytes(content.encode())

    hosts_file.add(hosts, LINE, HOST)

    assert hosts.read_bytes() == f"{LINE}\n{content}".encode()
    assert hosts_file.holds(hosts, LINE)
    assert hosts_file.remove(hosts, LINE)
    assert hosts.read_bytes() == content.encode()
    assert os.listdir(hosts.parent) == ["hosts"]


def test_mode_and_owner_are_kept(hosts: Path) -> None:
    hosts.chmod(0o640)
    os.chown(hosts, 0, 4)

    hosts_file.add(hosts, LINE, HOST)

    status = hosts.stat()
    assert (status.st_mode & 0o777, status.st_gid) == (0o640, 4)


def test_what_others_add_around_it_meanwhile_stays(hosts: Path) -> None:
    hosts_file.add(hosts, LINE, HOST)
    hosts.write_bytes(b"10.1.1.1 first\n" + hosts.read_bytes() + b"10.1.1.2 last")

    assert hosts_file.remove(hosts, LINE)

    assert hosts.read_bytes() == b"10.1.1.1 first\n127.0.0.1 localhost\n10.1.1.2 last"


@pytest.mark.parametrize("change", ["10.0.0.8", "# 10.0.0.9"])
def test_a_line_that_somebody_has_changed_is_theirs(hosts: Path, change: str) -> None:
    hosts_file.add(hosts, LINE, HOST)
    theirs = hosts.read_text().replace("10.0.0.9", change)
    hosts.write_text(theirs)

    assert not hosts_file.remove(hosts, LINE)
    assert hosts.read_text() == theirs


@pytest.mark.parametrize("line", [f"10.2.2.2 {HOST}", f"\t10.2.2.2\tother {HOST.upper()}. # x", LINE])
def test_a_name_that_has_a_line_already_is_refused(hosts: Path, line: str) -> None:
    hosts.write_text(f"127.0.0.1 localhost\n{line}\n")

    with pytest.raises(Refused, match="has a line for registry.example already"):
        hosts_file.add(hosts, LINE, HOST)


def test_a_line_that_is_only_a_comment_is_none(hosts: Path) -> None:
    hosts.write_text(f"# 10.2.2.2 {HOST}\n10.2.2.2 other # {HOST}\n")

    hosts_file.check(hosts, HOST)


def test_a_link_is_refused(hosts: Path) -> None:
    link = hosts.with_name("link")
    link.symlink_to(hosts)

    with pytest.raises(Refused):
        hosts_file.add(link, LINE, HOST)
    assert link.is_symlink() and hosts.read_bytes() == b"127.0.0.1 localhost\n"


def test_a_mounted_file_is_refused_and_not_written_into(hosts: Path) -> None:
    behind = hosts.with_name("behind")
    behind.write_bytes(b"127.0.0.1 localhost\n")
    run("mount", "--bind", str(behind), str(hosts))
    try:
        with pytest.raises(Refused, match="mounted there"):
            hosts_file.add(hosts, LINE, HOST)
        assert hosts.read_bytes() == b"127.0.0.1 localhost\n"
    finally:
        run("umount", str(hosts))


def test_a_folder_that_others_may_write_to_is_refused(hosts: Path) -> None:
    hosts.parent.chmod(0o777)
    try:
        with pytest.raises(Refused):
            hosts_file.check(hosts, HOST)
    finally:
        hosts.parent.chmod(0o700)
