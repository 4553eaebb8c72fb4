"""The ledger: on disk, never silently wrong, bounded."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Sequence

import pytest

from tests.act.entries import DAY_NS, NOW_NS, done, entry
from watchdog.act import ledger as ledger_module
from watchdog.act.ledger import Ledger, in_force, kept, unfinished
from watchdog.core.observation import LedgerEntry, Outcome, ProcessKey
from watchdog.errors import LedgerError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def written(ledger: Ledger, count: int) -> Sequence[LedgerEntry]:
    entries = [entry(f"a-{number}", "intent") for number in range(count)]
    for one in entries:
        ledger.append(one)
    return entries


class TestReadingBack:
    def test_what_was_written_is_read_in_order(self, ledger: Ledger) -> None:
        entries = [
            entry("a-1", "intent", culprit=ProcessKey(7, 8), detail_json='{"switches":3}'),
            entry("a-1", "result", outcome=Outcome.DONE, expires_wall_ns=5, detail="said \n twice"),
        ]
        for one in entries:
            ledger.append(one)

        assert list(ledger.read()) == entries
        assert ledger.look().usable

    def test_no_file_is_an_empty_ledger(self, ledger: Ledger) -> None:
        assert ledger.read() == ()
        assert not ledger.path.exists()

    def test_nobody_else_may_read_it(self, ledger: Ledger) -> None:
        written(ledger, 1)

        assert ledger.path.stat().st_mode & 0o077 == 0


class TestATornLastLine:
    """kill -9 or a power cut in the middle of a write."""

    @pytest.mark.parametrize("missing", [1, 2, 40])
    def test_the_entries_before_it_count(self, ledger: Ledger, missing: int) -> None:
        entries = written(ledger, 3)
        cut_off(ledger.path, missing)

        whole = 3 if missing == 1 else 2  # only the line's end is missing: the entry is all there

        assert list(ledger.read()) == entries[:whole]

    @pytest.mark.parametrize("missing", [1, 2, 40])
    def test_the_next_entry_mends_it(self, ledger: Ledger, missing: int) -> None:
        entries = written(ledger, 2)
        cut_off(ledger.path, missing)
        following = entry("a-3", "intent")

        ledger.append(following)

        whole = 2 if missing == 1 else 1
        assert list(ledger.read()) == [*entries[:whole], following]

    def test_a_torn_header_is_no_other_ledger(self, ledger: Ledger) -> None:
        written(ledger, 1)
        os.truncate(ledger.path, 10)

        assert ledger.read() == ()
        assert list(written(ledger, 1)) == list(ledger.read())

    def test_every_length_of_the_file_is_readable(self, ledger: Ledger) -> None:
        entries = written(ledger, 2)
        content = ledger.path.read_bytes()
        for length in range(len(content)):
            ledger.path.write_bytes(content[:length])
            assert list(ledger.read()) in ([], list(entries[:1]), list(entries))


class TestACorruptLedger:
    @pytest.mark.parametrize("garbage", [b"{}", b"garbage", b'{"action":"x"}', b"", b"\x00\x00", b"[1]"])
    def test_garbage_in_the_middle_stops_all_action(self, ledger: Ledger, garbage: bytes) -> None:
        written(ledger, 2)
        lines = ledger.path.read_bytes().splitlines()
        ledger.path.write_bytes(b"\n".join([*lines[:2], garbage, *lines[2:]]) + b"\n")
        before = ledger.path.read_bytes()

        with pytest.raises(LedgerError, match=rf"{ledger.path}:3: not a ledger entry"):
            ledger.read()
        with pytest.raises(LedgerError):
            ledger.append(entry("a-3", "intent"))
        assert ledger.path.read_bytes() == before
        assert not ledger.look().usable

    @pytest.mark.parametrize("first", ["hello", '{"format":"pull-watchdog ledger","version":2}', "[]"])
    def test_another_program_s_file_is_not_ours(self, ledger: Ledger, first: str) -> None:
        ledger.path.write_text(f"{first}\n")

        with pytest.raises(LedgerError, match=":1: not the header"):
            ledger.read()

    def test_a_directory_in_its_place(self, ledger: Ledger) -> None:
        ledger.path.mkdir()

        with pytest.raises(LedgerError, match="cannot be read"):
            ledger.read()

    def test_a_huge_file_is_not_read(self, ledger: Ledger) -> None:
        ledger.path.touch()
        os.truncate(ledger.path, ledger_module.READ_MAX_BYTES + 1)

        with pytest.raises(LedgerError, match="larger than"):
            ledger.read()


class TestAFullDisk:
    def test_what_does_not_fit_is_an_error_and_leaves_no_half_line(self, small_disk: Path) -> None:
        ledger = Ledger(small_disk)
        entries = list(written(ledger, 2))
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(512)):
                pass
        large = entry("a-9", "intent", detail="x" * 8192)

        with pytest.raises(LedgerError, match="No space left"):
            ledger.append(large)
        assert list(ledger.read()) == entries

        filler.unlink()
        ledger.append(large)
        assert list(ledger.read()) == [*entries, large]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "nodev", str(folder)], check=True, timeout=10)
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=10)


class TestSeveralWriters:
    def test_no_entry_is_lost(self, ledger: Ledger) -> None:
        program = (
            "import sys; from pathlib import Path; from watchdog.act.ledger import Ledger;"
            "from tests.act.entries import entry; ledger = Ledger(Path(sys.argv[1]));"
            "[ledger.append(entry(f'{sys.argv[2]}-{n}', 'intent')) for n in range(20)]"
        )
        command = [sys.executable, "-c", program, str(ledger.path.parent)]
        writers = [subprocess.Popen([*command, str(number)], cwd=ROOT) for number in range(3)]
        assert [one.wait(60) for one in writers] == [0, 0, 0]

        names = {one.action for one in ledger.read()}
        assert names == {f"{writer}-{number}" for writer in range(3) for number in range(20)}

    def test_a_writer_that_hangs_is_not_waited_for_long(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written(ledger, 1)
        monkeypatch.setattr(ledger_module, "_WRITERS_WAIT_S", 0.2)
        holder = subprocess.Popen(["flock", str(ledger.path.parent / "ledger.lock"), "sleep", "60"])
        try:
            with pytest.raises(LedgerError, match="is held by another process"):
                while True:  # until the other one has it
                    ledger.append(entry("a-2", "intent"))
        finally:
            subprocess.run(["kill", "--", *children_of(holder.pid), str(holder.pid)], check=True)
            holder.wait(10)


class TestShortening:
    def test_a_long_ledger_is_replaced_by_what_still_counts(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ledger_module, "KEEP_NEWEST", 2)
        old = [
            entry("old", "intent", wall_ns=NOW_NS - 90 * DAY_NS),
            done("old", wall_ns=NOW_NS - 90 * DAY_NS),
        ]
        new = [entry("new", "intent"), done("new")]
        for one in [*old, *new]:
            ledger.append(one)
        monkeypatch.setattr(ledger_module, "SHORTEN_BYTES", 10)
        last = entry("last", "intent")

        ledger.append(last)

        assert list(ledger.read()) == [*new, last]

    def test_a_short_one_is_left_as_it_is(self, ledger: Ledger) -> None:
        old = entry("old", "intent", wall_ns=NOW_NS - 90 * DAY_NS)
        ledger.append(old)
        ledger.append(done("old"))

        assert old in ledger.read()

    def test_what_is_unfinished_or_in_force_is_kept_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger_module, "KEEP_NEWEST", 1)
        ages_ago = NOW_NS - 400 * DAY_NS
        cut_short = entry("cut-short", "intent", wall_ns=ages_ago)
        lasting = [
            entry("lasting", "intent", wall_ns=ages_ago, expires_wall_ns=1),
            done("lasting", wall_ns=ages_ago),
        ]
        undone = [
            entry("undone", "intent", wall_ns=ages_ago, expires_wall_ns=1),
            entry("undone", "revert", wall_ns=ages_ago, outcome=Outcome.DONE),
            done("undone", wall_ns=ages_ago),
        ]

        assert kept([cut_short, *lasting, *undone, done("newest")], NOW_NS) == [
            cut_short,
            *lasting,
            done("newest"),
        ]

    def test_a_clock_that_jumps_ahead_keeps_the_newest(self) -> None:
        recent = [done(f"a-{number}") for number in range(10)]

        assert kept(recent, NOW_NS + 1000 * DAY_NS) == recent


class TestQuestions:
    def test_an_intent_without_result_is_unfinished(self) -> None:
        entries = [entry("a", "intent"), entry("b", "intent"), done("b"), entry("c", "ack")]

        assert unfinished(entries) == [entries[0]]

    def test_a_lasting_change_is_in_force_until_undone(self) -> None:
        lasting = entry("a", "intent", expires_wall_ns=1)

        assert in_force([lasting]) == [lasting]  # cut short, perhaps made
        assert in_force([lasting, done("a")]) == [lasting]
        assert in_force([lasting, entry("a", "revert", outcome=Outcome.FAILED)]) == [lasting]

    def test_one_that_was_refused_or_undone_is_not(self) -> None:
        lasting = entry("a", "intent", expires_wall_ns=1)

        assert in_force([lasting, entry("a", "result", outcome=Outcome.REFUSED)]) == []
        assert in_force([lasting, done("a"), entry("a", "revert", outcome=Outcome.DONE)]) == []
        assert in_force([entry("b", "intent")]) == []


def cut_off(path: Path, missing: int) -> None:
    os.truncate(path, path.stat().st_size - missing)


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


class TestOthersWhoCanWriteBesideIt:
    """STATE_DIR may belong to a group, the agent's; the files in it that we write are ours."""

    @pytest.mark.parametrize("name", ["ledger.jsonl", "ledger.lock"])
    def test_a_link_in_its_place_is_not_followed(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).symlink_to(tmp_path / "victim")

        with pytest.raises(LedgerError):
            Ledger(tmp_path).append(entry("a", "intent"))
        assert not (tmp_path / "victim").exists()

    def test_nor_where_a_long_one_is_shortened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        victim = tmp_path / "victim"
        victim.write_text("precious")
        ledger = Ledger(tmp_path)
        ledger.append(entry("a", "intent"))
        (tmp_path / "ledger.new").symlink_to(victim)
        monkeypatch.setattr("watchdog.act.ledger.SHORTEN_BYTES", 1)
        ledger.append(entry("b", "intent"))

        assert victim.read_text() == "precious"
        assert [one.action for one in ledger.read()] == ["a", "b"]
