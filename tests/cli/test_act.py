"""`act` and `revert` as commands: what they print, and how they exit."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_incidents import put
from tests.report.ticks import ID, record
from watchdog.core.observation import Outcome
from watchdog.core.policy import Remedy


@pytest.mark.parametrize("remedy", [one.value for one in Remedy])
def test_without_an_incident_nothing_is_done(host, remedy):
    done = host.call("act", remedy)

    assert done.status == 2
    assert "--incident ID" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["pw-ffffffff", "../../etc/passwd"])
def test_an_unknown_incident_is_refused(host, name):
    done = host.call("act", "resume", "--incident", name, "--json")

    assert done.status == 5
    assert (done.json["outcome"], done.json["remedy"]) == ("refused", "resume")
    assert "incidents" in done.json["detail"]
    assert not (host.state_dir / "ledger.jsonl").exists()


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_an_incident_of_another_boot_is_refused_and_told_to_people(host, dry):
    put(host.run_dir, record())

    done = host.call("act", "resume", "--incident", ID, *dry)

    assert done.status == 5
    assert done.out.startswith("resume: refused: ")
    assert not (host.state_dir / "ledger.jsonl").exists()


def test_reverting_when_nothing_is_in_force_is_fine(host):
    for words in (["--all"], ["--expired"], ["substitute_decompressor"]):
        done = host.call("revert", *words)
        assert (done.status, done.out) == (0, "Nothing of that kind is in force.\n")
        done = host.call("revert", *words, "--json")
        assert done.json == {"outcome": "done", "detail": "Nothing of that kind is in force.", "results": []}


@pytest.mark.parametrize(
    ("target", "said"), [("resume", "cannot be undone"), ("resume-1", "knows no action")]
)
def test_what_cannot_be_undone_says_why(host, target, said):
    done = host.call("revert", target)
    assert (done.status, done.out) == (5, "")
    assert said in done.err

    done = host.call("revert", target, "--json")
    assert (done.status, done.err) == (5, "")
    assert done.json["outcome"] == Outcome.REFUSED.value
    assert said in done.json["detail"]


def test_a_corrupt_ledger_is_one_line(host):
    host.state_dir.mkdir()
    (host.state_dir / "ledger.jsonl").write_text("not a ledger\n")

    done = host.call("revert", "--all")

    assert done.status == 1
    assert "ledger.jsonl:1" in done.err
    assert json.loads(host.call("revert", "--all", "--json").out)["outcome"] == "failed"


@pytest.mark.parametrize("words", [(), ("--all", "--expired"), ("resume", "--all")])
def test_one_target_has_to_be_named(host, words):
    assert host.call("revert", *words).status == 2
