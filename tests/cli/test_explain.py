"""`pull-watchdog explain` on real files: stories, JSON, exit statuses, and input that is no log at all."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.conftest import ROOT, Done, call
from watchdog.cli.explain import since_ns
from watchdog.cli.log_input import MAX_LINE_BYTES, LogInput, blocks, opened
from watchdog.cli.log_lines import LogLines
from watchdog.core.symptom import SymptomKind, classify_sifted
from watchdog.errors import ConfigError

LOGS = ROOT / "tests" / "fixtures" / "logs"
FULL = 'time="2024-05-01T{}Z" level=error msg="write /var/lib/docker/x: no space left on device"\n'
FINE = 'time="2024-05-01T{}Z" level=debug msg="Calling GET /_ping"\n'


def explain(*words, stdin: bytes = b"", timeout_s: float = 60) -> Done:
    """The command with bytes on its standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "watchdog", "explain", *map(str, words)],
        cwd=ROOT, input=stdin, capture_output=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def symptoms(done: Done) -> List[str]:
    return [json.loads(row)["symptom"] for row in done.out.splitlines()]


@pytest.fixture
def log(tmp_path):
    """A function that writes a log and returns its path."""

    def write(text) -> Path:
        path = tmp_path / "some.log"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# --- stories ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "cause", "remedy"),
    [
        ("s0", "size_limit", "proxy_max_temp_file_size 0;"),
        ("s1", "decompressor_blocked", "MOBY_DISABLE_PIGZ=true"),
        ("s2", "push_commit_stalled", "switchquota"),
        ("s3", "p2p_supernode_unreachable", "/etc/dragonfly.conf"),
        ("s4", "p2p_piece_timeout", "pieceTimeout: 600s"),
    ],
)
def test_a_story_ends_with_4_and_names_its_remedy(folder, cause, remedy):
    done = explain(*sorted((LOGS / folder).iterdir()))
    assert (done.status, done.err) == (4, "")
    assert cause in done.out
    assert remedy in " ".join(done.out.split())
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_healthy_day_ends_with_0():
    done = explain(*sorted((LOGS / "healthy").iterdir()))
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Nothing wrong in ")


def test_the_lines_it_rests_on_are_shown_by_number(log):
    done = explain(log(FINE.format("02:00:00") * 41 + FULL.format("02:00:01")))
    assert "42: 02:00:01 write /var/lib/docker/x: no space left" in done.out


def test_lines_are_numbered_through_several_logs(log):
    path = log(FINE.format("02:00:00") + FULL.format("02:00:01"))
    five = LOGS / "healthy" / "dragonfly_v1.log"
    assert "7: 02:00:01 write" in explain(five, path).out


def test_standard_input_is_the_default():
    assert explain(stdin=FULL.format("02:00:01").encode()).status == 4
    assert explain("-", stdin=FINE.format("02:00:01").encode()).status == 0


def test_escapes_of_a_log_do_not_reach_the_terminal(log):
    done = explain(log(FULL.format("02:00:01").replace("docker/x", "docker/\x1b]0;pwned\x07\x9b31mx")))
    assert done.status == 4
    assert not set(done.out) & {"\x1b", "\x07", "\x9b"}


# --- JSON --------------------------------------------------------------------------------------


def test_json_is_one_object_a_line_in_order(log):
    path = log("fine\n" + FULL.format("02:00:00") + "\n" + "dial tcp 10.0.0.9:5000: i/o timeout\n" + "end")
    done = explain(path, "--json")
    assert done.status == 4
    assert symptoms(done) == ["none", "disk_full", "none", "net_timeout", "none"]
    rows = [json.loads(row) for row in done.out.splitlines()]
    assert rows[1]["time"] == "2024-05-01T02:00:00.000000000Z"
    assert rows[3]["address"] == "10.0.0.9:5000"


@pytest.mark.parametrize(
    "path", sorted(LOGS.glob("*/*.log")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_json_says_of_each_line_what_it_says_alone(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert symptoms(explain(path, "--json")) == [classify_sifted(line).kind.value for line in lines]


def test_json_of_nothing_wrong_ends_with_0(log):
    done = explain(log("fine\nfine\n"), "--json")
    assert (done.status, symptoms(done)) == (0, ["none", "none"])


# --- since ----------------------------------------------------------------------------------------


def test_since_leaves_out_what_is_older(log):
    path = log(FULL.format("02:00:00") + FINE.format("03:00:00") + FULL.format("04:00:00"))
    assert explain(path).out.startswith("2 incidents in 3 lines.")
    assert "2024-05-01 04:00:00 UTC, 1 line" in explain(path, "--since", "2024-05-01T03:00Z").out
    assert explain(path, "--since", "2024-05-01T05:00Z").status == 0


def test_since_takes_times_of_both_sorts():
    assert abs(since_ns("2h") - (time.time_ns() - 7200 * 10**9)) < 10 * 10**9
    assert since_ns("1970-01-01T00:01:00+00:00") == 60 * 10**9


def test_since_nonsense_is_a_usage_error(log):
    done = explain(log("x"), "--since", "yesterday")
    assert done.status == 2
    assert "neither 2h nor" in done.err


# --- what is no log ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (gzip.compress(b"a log\n"), "zcat"),
        (lzma.compress(b"a log\n"), "xzcat"),
        (b"\x28\xb5\x2f\xfd\x04\x58", "zstdcat"),
        (b"BZh91AY", "bzcat"),
        (b"LPKSHHRH\x00\x00", "journalctl --file"),
        (b"PK\x03\x04\x14", "unzip -p"),
        ("a log\n".encode("utf-16"), "iconv"),
    ],
    ids=["gzip", "xz", "zstd", "bzip2", "journal", "zip", "utf-16"],
)
def test_a_compressed_log_is_told_how_to_unpack(log, content, sentence):
    done = explain(log(content))
    assert done.status == 2
    assert sentence in done.err and done.err.count("\n") == 1


def test_a_directory_a_device_and_nothing_are_told(tmp_path):
    for path, sentence in (
        (tmp_path, "is a directory"),
        ("/dev/zero", "is a device"),
        (tmp_path / "none", "No such file"),
    ):
        done = explain(path)
        assert (done.status, done.out) == (2, ""), path
        assert sentence in done.err


def test_a_socket_is_told(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert explain(tmp_path / "s").status == 2


def test_a_fifo_that_nobody_writes_is_not_waited_for(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    began = time.monotonic()
    with pytest.raises(ConfigError, match="nobody has written"), opened(str(path), fifo_within_s=0.2):
        pass
    assert time.monotonic() - began < 5


def test_a_fifo_is_read_to_its_end(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(FULL.format("02:00:00").encode(),))
    writer.start()
    done = explain(path)
    writer.join(10)
    assert done.status == 4


def test_an_empty_log_is_told(log):
    done = explain(log(b""))
    assert done.status == 0
    assert "is empty" in " ".join(done.out.split())


def test_rubbish_is_told_and_read_all_the_same(log):
    done = explain(log(bytes(range(256)) * 500 + b"\n" + FULL.format("02:00:00").encode()))
    assert done.status == 4
    assert "does not look like a text log" in " ".join(done.out.split())


def test_a_log_of_the_future_is_told(log):
    done = explain(log(FULL.format("02:00:00").replace("2024", "2190")))
    assert done.status == 4
    assert "days in the future" in " ".join(done.out.split())


def test_a_line_of_ten_megabytes_is_one_line(log):
    path = log(b"error " + b"x" * 10_000_000 + b"\n" + FULL.format("02:00:00").encode() + b"half a li")
    done = explain(path, "--json")
    assert symptoms(done) == ["none", "disk_full", "none"]


def test_invalid_utf8_is_no_obstacle(log):
    done = explain(log(FULL.format("02:00:00").encode().replace(b"docker/x", b"docker/\xff\xfe\xc3(")))
    assert done.status == 4


def test_line_ends_of_windows_are_line_ends(log):
    assert (
        symptoms(explain(log(FULL.format("02:00:00").replace("\n", "\r\n") * 2), "--json"))
        == ["disk_full"] * 2
    )


def test_a_reader_that_leaves_ends_it_quietly(log):
    path = log(FULL.format("02:00:00") * 20_000)
    done = subprocess.run(
        f"{sys.executable} -m watchdog explain --json {path} | head -1",
        shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.startswith('{"symptom":"disk_full"')
    assert "Traceback" not in done.stderr


# --- laws --------------------------------------------------------------------------------------------


def _log_of(content: bytes, chunk: int) -> LogInput:
    """A log that comes in pieces of that size."""
    stream = io.BytesIO(content)
    return LogInput("x", lambda size: stream.read(min(size, chunk)), 0)


snippets = st.one_of(
    st.sampled_from(
        [b"error\n", b"\n", b"no space left on device", b"\x1b[31m", b"\x1b]0;", b"\r\n", b"\x00" * 9]
    ),
    st.binary(max_size=40),
    st.integers(1, 3 * MAX_LINE_BYTES).map(lambda count: b"y" * count),
)
contents = st.lists(snippets, max_size=8).map(b"".join)


@given(contents, st.sampled_from([1 << 16, 4099, 1 << 20]))
@settings(max_examples=60, deadline=None)
def test_each_line_is_told_of_once(content, chunk):
    if content.startswith((b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff", b"BZh", b"PK")):
        return
    lines = LogLines(_log_of(content, chunk))
    said = list(lines)
    expected = content.count(b"\n") + (0 if content.endswith(b"\n") or not content else 1)
    assert lines.lines == expected
    assert sum(one.skipped + 1 for one in said) + lines.skipped_at_end == expected
    numbers = [one.number for one in said]
    assert numbers == sorted(set(numbers))
    assert all(len(one.text) <= MAX_LINE_BYTES for one in said)


@given(contents, st.sampled_from([7, 1 << 16]))
@settings(max_examples=40, deadline=None)
def test_blocks_are_bounded_and_end_at_line_ends(content, chunk):
    if content.startswith((b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff", b"BZh", b"PK")):
        return
    parts = list(blocks(_log_of(content, chunk)))
    assert all(part.endswith(b"\n") for part in parts)
    assert all(len(part) <= 3 * MAX_LINE_BYTES + chunk for part in parts)


@given(contents)
@settings(max_examples=40, deadline=None)
def test_nothing_in_a_log_breaks_the_command(content):
    from watchdog.cli import explain as command
    from watchdog.cli.story_text import story_lines
    from watchdog.cli.text import style_for
    from watchdog.core.story import Story

    if content.startswith((b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff", b"BZh", b"PK")):
        return
    story = Story()
    lines = LogLines(_log_of(content, 1 << 16))
    for said in lines:
        story.add(said.number, said.text, said.symptom)
        assert json.loads(command._as_json(said.symptom))["symptom"] in {kind.value for kind in SymptomKind}
    with redirect_stdout(io.StringIO()) as out:
        text = "\n".join(story_lines(story.told(lines.last_ns), [], lines.lines, style_for(out)))
    assert "\x1b" not in text


def test_the_help_names_the_exit_statuses():
    assert "4 something found" in " ".join(call("explain", "--help").out.split())
