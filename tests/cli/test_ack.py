"""`ack`: only what was given up, into the ledger, in the form that the core understands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_incidents import put
from tests.report.ticks import ID, record
from watchdog.act.ledger import Ledger
from watchdog.core.history import History
from watchdog.core.incident import State
from watchdog.core.observation import LedgerEntry
from watchdog.core.policy import DAY_NS, Budget, Remedy


def test_an_incident_that_was_given_up_starts_anew(host):
    put(host.run_dir, record(state=State.GAVE_UP))
    ledger = Ledger(host.state_dir)
    ledger.append(
        LedgerEntry("resume-1", "intent", 1, "boot", ID, "resume", "decompressor_stopped", "docker")
    )
    budget = Budget(1, 100 * 365 * DAY_NS)

    def remaining():
        entries = ledger.read()
        return History(entries, entries[-1].wall_ns + 1).remaining(
            Remedy.RESUME, "decompressor_stopped", budget
        )

    assert remaining() == 0

    done = host.call("ack", ID, "--reason", "pigz was reinstalled")

    assert (done.status, done.err) == (0, "")
    entry = ledger.read()[-1]
    assert (entry.phase, entry.incident, entry.cause) == ("ack", ID, "decompressor_stopped")
    assert (entry.runtime, entry.detail) == ("docker", "pigz was reinstalled")
    assert entry.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert remaining() == 1


def test_one_that_is_only_on_the_disk_is_found_too(host):
    put(host.state_dir, record(state=State.GAVE_UP))

    assert host.call("ack", ID).status == 0


@pytest.mark.parametrize("state", [State.CONFIRMED, State.RECOVERED])
def test_any_other_is_refused_and_nothing_is_written(host, state):
    put(host.run_dir, record(state=state))

    done = host.call("ack", ID)

    assert done.status == 5
    assert f"is {state.value}" in done.err
    assert not (host.state_dir / "ledger.jsonl").exists()


def test_an_unknown_incident_is_one_line(host):
    done = host.call("ack", "pw-ffffffff")

    assert done.status == 1
    assert "no incident pw-ffffffff is known" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_corrupt_ledger_is_one_line_and_stays_as_it_is(host):
    put(host.run_dir, record(state=State.GAVE_UP))
    host.state_dir.mkdir()
    path = host.state_dir / "ledger.jsonl"
    path.write_text("not a ledger\n")

    done = host.call("ack", ID)

    assert done.status == 1
    assert "ledger.jsonl:1" in done.err
    assert len(done.err.splitlines()) == 1
    assert path.read_text() == "not a ledger\n"


def test_the_reason_may_hold_anything(host):
    put(host.run_dir, record(state=State.GAVE_UP))

    assert host.call("ack", ID, "--reason", 'quote " and \n line').status == 0
    assert Ledger(host.state_dir).read()[-1].detail == 'quote " and \n line'
    assert len(json.loads((host.run_dir / "incidents" / f"{ID}.json").read_text())) > 10
