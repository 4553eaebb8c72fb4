"""An action from its order to its result: what stops it before anything is touched."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.act.entries import entry
from watchdog.act import lock
from watchdog.act.gate import Who
from watchdog.act.ledger import Ledger
from watchdog.act.run import Result, run_remedy, settle_all
from watchdog.config import Config
from watchdog.core.causes.finding import Cause
from watchdog.core.incident import Incident, State
from watchdog.core.observation import Outcome, ProcessKey, ProcessSample
from watchdog.core.policy import DEFAULT_BUDGETS, Mode, Policy, Remedy
from watchdog.core.record import to_record
from watchdog.host import proc


def incident() -> Incident:
    """An incident about this very process, which must never be touched."""
    with proc.Process(os.getpid()) as ourselves:
        sample = ProcessSample(ourselves.key, os.getppid(), "python3", ourselves.exe())
    return Incident(
        id="pw-1a2b3c4d",
        runtime="docker",
        cause=Cause.DECOMPRESSOR_STOPPED,
        state=State.CONFIRMED,
        culprit=sample,
        evidence=(),
        opened_wall_ns=0,
        confirmed_wall_ns=0,
        stage=(sample,),
        decompressor=(sample,),
        daemon=sample,
    )


class Host:
    """Directories of a watchdog, and an incident in them."""

    def __init__(self, folder: Path, mode: Mode = Mode.ENFORCE) -> None:
        self.config = Config(policy=Policy(mode=mode), state_dir=folder / "state", run_dir=folder / "run")
        self.records = folder / "run/incidents"
        self.records.mkdir(parents=True)
        self.write(incident())

    def write(self, one: Incident, boot_id: str = "") -> None:
        record = to_record(one, boot_id or proc.boot_id())
        (self.records / f"{one.id}.json").write_text(json.dumps(record))

    def run(self, remedy: Remedy = Remedy.RESUME, **options: Any) -> Result:
        return run_remedy(self.config, remedy, **{"incident_id": "pw-1a2b3c4d", **options})

    def refusal(self, remedy: Remedy = Remedy.RESUME, **options: Any) -> str:
        """Why an action is refused.  Nothing of it may be in the ledger."""
        before = Ledger(self.config.state_dir).look()
        result = self.run(remedy, **options)
        assert result.outcome is Outcome.REFUSED
        assert Ledger(self.config.state_dir).look() == before
        return result.detail


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


class TestTheIncident:
    @pytest.mark.parametrize(
        "name", ["pw-unknown", "../../etc/passwd", "", "-x", "a" * 65, "pw-1a2b3c4d.json"]
    )
    def test_must_be_one_that_is_known(self, host: Host, name: str) -> None:
        assert "`pull-watchdog incidents` lists them" in host.refusal(incident_id=name)

    def test_must_be_of_this_boot(self, host: Host) -> None:
        host.write(incident(), boot_id="an earlier one")

        assert "was seen before the machine was restarted" in host.refusal()

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', "\x00"])
    def test_must_be_readable(self, host: Host, text: str) -> None:
        (host.records / "pw-1a2b3c4d.json").write_text(text)

        assert "cannot be used" in host.refusal()

    @pytest.mark.parametrize(
        ("name", "value"),
        [("pid", "1"), ("pid", 1.0), ("start_ticks", None), ("comm", ["x"]), ("device", True)],
    )
    def test_must_have_each_field_of_its_type(self, host: Host, name: str, value: object) -> None:
        record = to_record(incident(), proc.boot_id())
        record["culprit"][name] = value
        (host.records / "pw-1a2b3c4d.json").write_text(json.dumps(record))

        assert "cannot be used: expected " in host.refusal()

    def test_must_not_be_nested_without_end(self, host: Host) -> None:
        (host.records / "pw-1a2b3c4d.json").write_text("[" * 100_000)

        assert "cannot be used" in host.refusal()

    def test_must_be_a_plain_file(self, host: Host) -> None:
        path = host.records / "pw-1a2b3c4d.json"
        path.rename(host.records / "elsewhere")
        path.symlink_to("elsewhere")
        assert "cannot be used" in host.refusal()
        path.unlink()
        os.mkfifo(path)
        assert "is no plain file" in host.refusal()

    def test_must_be_in_the_file_of_its_name(self, host: Host) -> None:
        (host.records / "pw-other.json").write_text((host.records / "pw-1a2b3c4d.json").read_text())

        assert "is not the record of incident pw-other" in host.refusal(incident_id="pw-other")

    def test_must_be_of_a_runtime_that_is_configured(self, host: Host) -> None:
        host.write(replace(incident(), runtime="other"))

        assert 'no runtime named "other"' in host.refusal()

    def test_that_says_hands_off_is_left_alone(self, host: Host) -> None:
        host.write(replace(incident(), hands_off="it is traced by process 7"))

        assert host.refusal() == "hands off: it is traced by process 7"

    @pytest.mark.parametrize(
        ("remedy", "cause"),
        [
            (Remedy.RESUME, Cause.DECOMPRESSOR_SPINNING),
            (Remedy.KILL_DECOMPRESSOR, Cause.STORAGE_STALLED),
            (Remedy.KILL_DECOMPRESSOR, Cause.DECOMPRESSOR_ORPHANED),
            (Remedy.RESUME, Cause.DECOMPRESSOR_HELD),
            (Remedy.SUBSTITUTE_DECOMPRESSOR, Cause.UNTAR_BLOCKED),
            (Remedy.RESTART_RUNTIME, Cause.STORAGE_STALLED),
        ],
    )
    def test_must_be_one_that_the_remedy_is_for(self, host: Host, remedy: Remedy, cause: Cause) -> None:
        host.write(replace(incident(), cause=cause))

        assert host.refusal(remedy) == f"{remedy.value} is no remedy for {cause.value}"

    def test_whose_process_is_not_the_runtime_s_is_left_alone(self, host: Host) -> None:
        host.write(replace(incident(), cause=Cause.DAEMON_STOPPED))

        assert "does not listen on" in host.refusal()


class TestNoLedgerNoAction:
    def test_a_corrupt_one_stops_everything(self, host: Host) -> None:
        ledger = Ledger(host.config.state_dir)
        ledger.append(entry("a", "intent"))
        ledger.path.write_bytes(ledger.path.read_bytes() + b"garbage\n")

        assert f"{ledger.path}:3: not a ledger entry" in host.refusal()

    def test_a_directory_that_cannot_be_written_stops_everything(self, host: Host) -> None:
        host.config.state_dir.write_text("a file in its place")

        assert "cannot be read" in host.refusal()


class TestBudgets:
    """What was done is read from the ledger, so nobody who lacks rights of ours can spend more."""

    def spent(self, host: Host, times: int, **fields: Any) -> None:
        for number in range(times):
            common = {"wall_ns": time.time_ns() - 10**9, "cause": "decompressor_stopped", **fields}
            Ledger(host.config.state_dir).append(entry(f"resume-{number}", "intent", incident="x", **common))

    def test_the_agent_s_is_counted_here_as_well(self, host: Host) -> None:
        self.spent(host, DEFAULT_BUDGETS[Remedy.RESUME].count)

        assert host.refusal(who=Who.AGENT) == "the budget of resume for decompressor_stopped is spent"

    def test_the_last_one_is_left(self, host: Host) -> None:
        self.spent(host, DEFAULT_BUDGETS[Remedy.RESUME].count - 1)

        assert "does not listen on" in host.refusal(who=Who.AGENT)

    def test_a_cool_down_is_waited_for(self, host: Host) -> None:
        self.spent(host, 1, remedy="kill_decompressor", cause="decompressor_blocked")
        host.write(replace(incident(), cause=Cause.DECOMPRESSOR_BLOCKED))

        said = host.refusal(Remedy.KILL_DECOMPRESSOR, who=Who.AGENT)
        assert said.startswith("kill_decompressor again in ")

    def test_a_person_decides(self, host: Host) -> None:
        self.spent(host, DEFAULT_BUDGETS[Remedy.RESUME].count)

        assert "does not listen on" in host.refusal(who=Who.PERSON)

    def test_an_action_of_that_name_is_no_way_around_them(self, host: Host) -> None:
        """The budget passes over the actions that were refused, by their names."""
        self.spent(host, 1)
        Ledger(host.config.state_dir).append(entry("resume-0", "result", outcome=Outcome.REFUSED))

        assert host.refusal(who=Who.AGENT, action="resume-0") == "there was an action resume-0 before"


class TestTakingTurns:
    def test_another_action_is_not_disturbed(self, host: Host) -> None:
        with lock.hold(host.config.run_dir, "repull", "repull-1", 0.0):
            said = host.refusal()

        assert said.startswith("another action is under way: repull")

    def test_a_dry_run_needs_no_turn_and_writes_nothing(self, host: Host) -> None:
        before = sorted(host.config.run_dir.parent.rglob("*"))
        with lock.hold(host.config.run_dir, "repull", "repull-1", 0.0):
            result = host.run(dry_run=True)

        assert result.dry_run
        assert "another action" not in result.detail
        (host.config.run_dir / "lock").unlink()
        assert sorted(host.config.run_dir.parent.rglob("*")) == before


class TestObserveMode:
    def test_the_agent_does_nothing(self, tmp_path: Path) -> None:
        host = Host(tmp_path, Mode.OBSERVE)

        assert host.refusal(who=Who.AGENT) == "the mode is observe"

    def test_a_person_s_order_is_checked_like_any_other(self, tmp_path: Path) -> None:
        host = Host(tmp_path, Mode.OBSERVE)

        assert "does not listen on" in host.refusal(who=Who.PERSON)


class TestSettling:
    def test_what_a_restart_of_the_machine_cut_short_is_closed(self, host: Host) -> None:
        ledger = Ledger(host.config.state_dir)
        ledger.append(entry("resume-1", "intent", boot_id="an earlier one", culprit=ProcessKey(1, 1)))

        said = settle_all(host.config)

        assert said == ["resume-1 was cut short by a restart of the machine"]
        assert ledger.read()[-1].outcome is Outcome.EXPIRED

    def test_what_cannot_be_settled_is_said_and_left_open(self, host: Host) -> None:
        ledger = Ledger(host.config.state_dir)
        ledger.append(entry("resume-1", "intent", boot_id=proc.boot_id(), incident="pw-unknown"))

        (said,) = settle_all(host.config)

        assert said.startswith("resume-1 cannot be settled: no incident pw-unknown is known")
        assert len(ledger.read()) == 1

    def test_an_empty_ledger_has_nothing_to_settle(self, host: Host) -> None:
        assert settle_all(host.config) == []
        assert not Ledger(host.config.state_dir).path.exists()
