"""Act, wait or refuse: every reason, beside the case in which it does not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.machine import BIG, MIB
from tests.core.scene import Scene, enforce
from watchdog.core.observation import (
    ActionStarted,
    ClientScan,
    ExtractionScan,
    LedgerSeen,
    OperatorSeen,
    Outcome,
    RuntimeSeen,
    Sight,
)
from watchdog.core.policy import (
    DAY_NS,
    DEFAULT_BUDGETS,
    DEFAULT_ON,
    MINUTE_NS,
    SECOND_NS,
    Budget,
    Mode,
    Policy,
    Remedy,
)
from watchdog.core.tick import Call, Decision

OTHER = "localhost:5000/other:1"


def scene_with(kind: str, scene: Scene, looks: int = 12, **form: object) -> Scene:
    """A pull that hangs in that way, and has been confirmed where that is possible."""
    scene.hang(scene.pull(**form), kind)
    scene.tick(looks)
    return scene


@pytest.fixture
def blocked() -> Scene:
    """A hung decompressor, confirmed; decisions are only told."""
    return scene_with("blocked", Scene(acts=False))


def last(scene: Scene) -> Decision:
    scene.tick()
    return scene.decision


def assert_acts(scene: Scene, remedy: str) -> None:
    decision = last(scene)
    assert (decision.call, decision.remedy) == (Call.ACT, remedy), decision.reason


def assert_waits(scene: Scene, reason: str) -> None:
    decision = last(scene)
    assert (decision.call, decision.remedy) == (Call.WAIT, None)
    assert reason in decision.reason


def assert_refuses(scene: Scene, reason: str, state: str = "confirmed") -> None:
    decision = last(scene)
    assert (decision.call, decision.remedy) == (Call.REFUSE, None)
    assert reason in decision.reason
    assert scene.incident["state"] == state


# --- the first rung -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("stopped", "resume"),
        ("untar_stopped", "resume"),
        ("daemon_stopped", "resume"),
        ("spinning", "kill_decompressor"),
        ("blocked", "kill_decompressor"),
        ("untar_blocked", "kill_decompressor"),
    ],
)
def test_the_mildest_remedy_that_can_work_comes_first(kind, remedy):
    assert_acts(scene_with(kind, Scene(acts=False)), remedy)


def test_the_reason_names_cause_process_and_image(blocked):
    pid = blocked.incident["culprit"]["pid"]

    assert last(blocked).reason == f"decompressor_blocked: unpigz (pid {pid}) of {BIG}"


@pytest.mark.parametrize("kind", ["frozen_v2", "traced", "untar_frozen", "daemon_frozen", "storage"])
def test_what_is_held_on_purpose_or_beyond_us_is_told(kind):
    scene = scene_with(kind, Scene(enforce(*Remedy), acts=False))

    assert_refuses(scene, "hands off: ")


# --- what is not ours, or not seen ----------------------------------------------------------------


def test_a_hung_load_is_left_alone():
    scene = Scene(acts=False)
    scene.pull(size=4000 * MIB)
    scene.hang(scene.load(), "blocked")
    scene.tick(12)

    assert_refuses(scene, "no layer of a pull belongs to it for certain")


def test_a_layer_that_may_be_of_two_decompressors_is_left_alone():
    scene = Scene(acts=False)
    scene.hang(scene.pull(), "blocked")
    scene.hang(scene.pull(OTHER, size=90 * MIB), "blocked")
    scene.tick(12)

    assert_refuses(scene, "no layer of a pull belongs to it for certain")
    assert scene.decided == []


def test_a_stopped_daemon_needs_no_pull():
    scene = Scene(acts=False)
    scene.pull()
    scene.hang(scene.extractions[0], "daemon_stopped")
    scene.extractions.clear()
    scene.tick(8)

    assert_acts(scene, "resume")


@pytest.mark.parametrize("sight", [one for one in Sight if one is not Sight.FULL])
def test_a_runtime_that_is_not_seen_in_full_is_not_touched(blocked, sight):
    blocked.sight = sight

    assert_refuses(blocked, f"the runtime cannot be seen in full: {sight.value}")


def test_a_runtime_of_an_unknown_kind_is_not_touched():
    scene = Scene(acts=False)
    scene.blind.add(RuntimeSeen)
    scene_with("blocked", scene)

    assert_waits(scene, "what kind of runtime it is is not known yet")
    scene.blind.clear()
    assert_acts(scene, "kill_decompressor")


def test_without_fresh_looks_nothing_is_done(blocked):
    blocked.blind.add(ExtractionScan)
    blocked.tick(3)

    assert_waits(blocked, "the extraction is not seen at the moment")


def test_a_look_that_came_a_little_late_is_fresh(blocked):
    blocked.blind.add(ExtractionScan)

    assert_acts(blocked, "kill_decompressor")


@pytest.mark.parametrize(
    "change", ["unseen counters", "unseen pipe", "unread freezer", "output full", "partial look"]
)
def test_what_the_newest_look_does_not_show_as_hung_is_not_touched(blocked, change):
    (one,) = blocked.extractions
    if change == "unseen counters":
        one.worker.read_bytes = None
    elif change == "unseen pipe":
        one.worker.stdout = None
    elif change == "unread freezer":
        one.worker.frozen = None
    elif change == "output full":
        one.worker.pipes(filled=65_536, room=False)
    else:
        blocked.extractions.clear()
        blocked.complete = False

    assert_waits(blocked, "it is not seen to stand still at the moment")
    assert blocked.incident["state"] == "confirmed"


def test_after_a_gap_the_wait_begins_anew(blocked):
    blocked.tick(seconds=60)

    assert blocked.decision.call is Call.WAIT
    assert_waits(blocked, "it is not seen to stand still at the moment")
    blocked.tick(6)
    assert_acts(blocked, "kill_decompressor")


class TestClients:
    """A kill is told with what it costs, so first it must be known who waits."""

    def test_before_anybody_looked_at_them_it_waits(self):
        scene = Scene(acts=False)
        scene.blind.add(ClientScan)
        scene_with("blocked", scene)

        assert_waits(scene, "who waits for the layer is not known yet")

    def test_with_a_part_of_them_it_waits(self, blocked):
        blocked.clients_complete = False

        assert_waits(blocked, "who waits for the layer is not known yet")

    def test_with_an_old_look_it_waits(self, blocked):
        blocked.blind.add(ClientScan)
        blocked.tick(9)
        assert_acts(blocked, "kill_decompressor")

        assert_waits(blocked, "who waits for the layer is not known yet")

    def test_a_resume_costs_nothing_and_does_not_wait(self):
        scene = Scene(acts=False)
        scene.blind.add(ClientScan)

        assert_acts(scene_with("stopped", scene), "resume")


# --- who has forbidden it -------------------------------------------------------------------------


def test_in_observe_mode_it_is_said_what_would_be_done():
    scene = scene_with("blocked", Scene(Policy()))

    decision = last(scene)

    assert (decision.call, decision.remedy) == (Call.WOULD_ACT, "kill_decompressor")
    assert scene.decided == [] and scene.ledger.entries == ()


def test_in_observe_mode_two_incidents_are_told_in_one_tick():
    scene = Scene(Policy())
    scene.hang(scene.pull(), "stopped")
    other = scene.pull(OTHER, size=90 * MIB)
    other.move(20 * MIB)
    scene.hang(other, "stopped")
    scene.tick(6)

    assert [one.call for one in scene.ticks[-1].decisions] == [Call.WOULD_ACT] * 2


def test_an_inhibit_file_stops_it_and_its_end_lets_it(blocked):
    blocked.operator = OperatorSeen(inhibited=True)
    assert_waits(blocked, "would kill_decompressor, but all action is inhibited")
    assert blocked.ticks[-1].inhibited

    blocked.operator = OperatorSeen()
    assert_acts(blocked, "kill_decompressor")


def test_a_pause_stops_it_until_its_time_is_over(blocked):
    blocked.operator = OperatorSeen(blocked.wall_ns + 3 * SECOND_NS, "a drill")

    assert_waits(blocked, "would kill_decompressor, but action is paused: a drill")
    assert blocked.ticks[-1].paused == "a drill"
    blocked.tick()
    assert_acts(blocked, "kill_decompressor")
    assert blocked.ticks[-1].paused == ""


def test_without_a_ledger_it_is_seen_and_told_and_not_done(blocked):
    blocked.ledger = LedgerSeen(usable=False, detail="ledger.jsonl:3: not a ledger entry")

    assert_waits(blocked, "there is no ledger: ledger.jsonl:3: not a ledger entry")


def test_before_the_ledger_was_read_nothing_is_done():
    scene = Scene(acts=False)
    scene.blind.add(LedgerSeen)

    assert_waits(scene_with("blocked", scene), "there is no ledger: not read yet")


def test_one_action_at_a_time(blocked):
    blocked.news.append(ActionStarted("restart-1", "pw-other", "restart_runtime"))

    assert_waits(blocked, "would kill_decompressor, but restart_runtime is in flight")


def test_a_repull_in_flight_does_not_count(blocked):
    """It only waits for a download."""
    blocked.news.append(ActionStarted("repull-1", "pw-other", "repull"))

    assert_acts(blocked, "kill_decompressor")


def test_of_two_incidents_one_comes_first():
    scene = Scene(acts=False)
    scene.hang(scene.pull(), "stopped")
    other = scene.pull(OTHER, size=90 * MIB)
    other.move(20 * MIB)
    scene.hang(other, "stopped")
    scene.tick(6)

    first, second = scene.ticks[-1].decisions

    assert (first.call, first.remedy) == (Call.ACT, "resume")
    assert (second.call, second.reason) == (Call.WAIT, "would resume, but another action comes first")


@pytest.mark.parametrize(("kind", "remedy"), [("blocked", "kill_decompressor"), ("stopped", "resume")])
def test_a_remedy_that_is_off_is_not_taken(kind, remedy):
    scene = Scene(Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON - {Remedy(remedy)}), acts=False)

    assert_refuses(scene_with(kind, scene), "switched off: ")


# --- how often ------------------------------------------------------------------------------------


def use(scene: Scene, remedy: str, times: int = 1, outcome: Outcome = Outcome.DONE, **more: object) -> None:
    """The ledger knows that the remedy was used for this cause, on earlier processes."""
    for _ in range(times):
        action = f"{remedy}-{len(scene.ledger.entries)}"
        fields = {"culprit": None, "wall_ns": scene.wall_ns - 60 * SECOND_NS, **more}
        incident = scene.incident["id"]
        scene.write(action, "intent", incident, remedy, **fields)
        scene.write(action, "result", incident, remedy, outcome, **fields)
        earlier = tuple(replace(one, incident=f"pw-{action}") for one in scene.ledger.entries[-2:])
        scene.ledger = replace(scene.ledger, entries=(*scene.ledger.entries[:-2], *earlier))


@pytest.fixture
def unprevented() -> Scene:
    """As `blocked`, where a fault that comes back is only freed."""
    policy = Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON - {Remedy.SUBSTITUTE_DECOMPRESSOR})
    return scene_with("blocked", Scene(policy, acts=False))


def test_a_spent_budget_is_given_up(unprevented):
    use(unprevented, "kill_decompressor", 3)

    assert_refuses(
        unprevented, "the budget of kill_decompressor for decompressor_blocked is spent", "gave_up"
    )
    assert "budget" in unprevented.incident["next"]


def test_the_last_of_a_budget_is_used(unprevented):
    use(unprevented, "kill_decompressor", 2)

    assert_acts(unprevented, "kill_decompressor")


def test_the_budget_of_another_cause_is_another(unprevented):
    use(unprevented, "kill_decompressor", 3, cause="decompressor_spinning")

    assert_acts(unprevented, "kill_decompressor")


def test_a_cool_down_is_waited_for():
    policy = enforce(budgets={**DEFAULT_BUDGETS, Remedy.RESUME: Budget(3, DAY_NS, 63 * SECOND_NS)})
    scene = scene_with("stopped", Scene(policy, acts=False))
    use(scene, "resume")

    assert_waits(scene, "resume again in 2 s")
    scene.tick()
    assert_acts(scene, "resume")


def test_budgets_left_are_told(blocked):
    use(blocked, "kill_decompressor", 2)
    blocked.tick()

    assert ("kill_decompressor", "decompressor_blocked", 1) in blocked.ticks[-1].budgets
    assert ("resume", "decompressor_stopped", 6) in blocked.ticks[-1].budgets


def test_a_refused_action_is_tried_again_later_and_given_up_at_last():
    scene = Scene()
    scene.outcomes["kill_decompressor"] = Outcome.REFUSED
    scene_with("blocked", scene, looks=10)

    assert_waits(scene, "kill_decompressor again in ")
    scene.until("gave_up")

    assert scene.decided == ["kill_decompressor"] * 3
    assert scene.incident["next"].endswith("kill_decompressor: it is refused")


def test_a_failed_action_is_tried_twice():
    scene = Scene()
    scene.outcomes["kill_decompressor"] = Outcome.FAILED
    scene_with("blocked", scene)
    scene.until("gave_up")

    assert scene.decided == ["kill_decompressor"] * 2


def test_an_action_that_ended_without_a_word_is_tried_once_more():
    """The next one finds out from the machine first what became of its predecessor."""
    scene = Scene()
    scene.outcomes["kill_decompressor"] = None
    scene_with("blocked", scene)
    scene.until("gave_up")

    assert scene.decided == ["kill_decompressor"] * 2


def test_an_action_whose_end_is_unknown_to_the_ledger_too_is_not_repeated():
    scene = Scene()
    scene.outcomes["kill_decompressor"] = Outcome.EXPIRED
    scene_with("blocked", scene)
    scene.until("gave_up")

    assert scene.decided == ["kill_decompressor"]
    assert "kill_decompressor did not help" in scene.incident["next"]


# --- stronger remedies ----------------------------------------------------------------------------


def test_a_restart_comes_only_after_the_kill():
    scene = Scene(enforce(Remedy.RESTART_RUNTIME))
    scene.outcomes["kill_decompressor"] = Outcome.FAILED
    scene_with("blocked", scene, looks=60)

    assert scene.decided == ["kill_decompressor", "kill_decompressor", "restart_runtime"]


def test_pigz_is_not_disabled_for_a_fault_that_came_once():
    scene = Scene(enforce(Remedy.DISABLE_PIGZ, Remedy.RESTART_RUNTIME))
    scene.outcomes["kill_decompressor"] = Outcome.FAILED
    scene_with("blocked", scene, looks=60)

    assert "disable_pigz" not in scene.decided


def test_pigz_is_disabled_for_a_fault_that_came_back():
    scene = Scene(enforce(Remedy.DISABLE_PIGZ, Remedy.RESTART_RUNTIME))
    scene.outcomes.update(kill_decompressor=Outcome.FAILED, substitute_decompressor=Outcome.REFUSED)
    recurring(scene)
    scene.tick(60)

    assert scene.decided == [
        "substitute_decompressor",
        "kill_decompressor",
        "kill_decompressor",
        "disable_pigz",
    ]


def test_a_stopped_daemon_that_cannot_be_continued_is_restarted_where_that_is_allowed():
    scene = Scene(enforce(Remedy.RESTART_RUNTIME))
    scene.outcomes["resume"] = Outcome.FAILED
    scene_with("daemon_stopped", scene, looks=40)

    assert scene.decided == ["resume", "resume", "restart_runtime"]


@pytest.mark.parametrize("kind", ["stopped", "untar_stopped", "daemon_stopped"])
def test_what_was_stopped_again_after_us_is_left_alone(kind):
    """Everything is allowed here, and still nothing stronger follows."""
    scene = Scene(enforce(*Remedy))
    one = scene.pull()
    scene.hang(one, kind)
    scene.until("recovered")
    scene.hang(one, kind)

    scene.until("confirmed")
    scene.tick(20)

    assert scene.decided == ["resume"]
    assert "stopped again after we continued it" in scene.decision.reason


def test_what_moves_again_and_hangs_otherwise_is_freed_otherwise():
    scene = Scene()
    one = scene.pull()
    scene.hang(one, "stopped")
    scene.until("recovered")
    scene.hang(one, "blocked")
    scene.tick(20)

    assert scene.decided[:2] == ["resume", "kill_decompressor"]


# --- prevention -----------------------------------------------------------------------------------


def recurring(scene: Scene, kind: str = "blocked") -> None:
    """A hang, on a host whose ledger knows that a blocked decompressor was killed within a day."""
    probe = scene_with("blocked", Scene(acts=False))
    use(probe, "kill_decompressor")
    scene.ledger = probe.ledger
    scene.hang(scene.pull(), kind)
    scene.tick(10)


def test_a_fault_that_came_back_is_taken_away_before_it_is_freed():
    scene = Scene()
    recurring(scene)
    scene.tick(5)

    assert scene.decided[:2] == ["substitute_decompressor", "kill_decompressor"]
    assert scene.incident["recurrence"] == 1


def test_a_fault_that_came_once_is_only_freed():
    scene = scene_with("blocked", Scene())

    assert scene.decided[0] == "kill_decompressor"


def test_a_fault_that_shows_itself_late_has_come_back_too():
    """Stopped at first, hung only after we continued it."""
    scene = Scene()
    recurring(scene, "stopped")
    scene.until("recovered")
    scene.hang(scene.extractions[0], "blocked")
    scene.tick(20)

    assert scene.decided[:3] == ["resume", "substitute_decompressor", "kill_decompressor"]


@pytest.mark.parametrize("kind", ["stopped", "untar_blocked"])
def test_what_a_substitution_cannot_prevent_brings_none(kind):
    scene = Scene()
    recurring(scene, kind)
    scene.tick(5)

    assert "substitute_decompressor" not in scene.decided


def test_a_substitution_that_is_off_does_not_hold_up_the_kill():
    policy = Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON - {Remedy.SUBSTITUTE_DECOMPRESSOR})
    scene = Scene(policy)
    recurring(scene)

    assert scene.decided[0] == "kill_decompressor"


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED, Outcome.EXPIRED])
def test_a_substitution_that_was_not_made_does_not_hold_up_the_kill(outcome):
    scene = Scene()
    scene.outcomes["substitute_decompressor"] = outcome
    recurring(scene)
    scene.tick(8)

    assert scene.decided[:2] == ["substitute_decompressor", "kill_decompressor"]


def test_a_substitution_in_force_is_not_made_again():
    scene = Scene()
    recurring(scene)
    scene.until("recovered")
    scene.substituted = False  # it did not help, say
    scene.now_ns += MINUTE_NS  # more than its cool-down
    again = scene.pull(OTHER, size=90 * MIB)
    scene.hang(again, "blocked")
    scene.tick(15)

    assert scene.decided.count("substitute_decompressor") == 1
    assert scene.decided.count("kill_decompressor") == 2


def test_a_substitution_of_an_earlier_boot_is_in_force_no_more():
    scene = Scene()
    recurring(scene)
    scene.until("recovered")
    scene.boot_id = "boot-2"
    scene.substituted = False
    scene.restart_agent()
    scene.tick(90)  # the old one is undone first
    scene.hang(scene.pull(OTHER, size=90 * MIB), "blocked")
    scene.tick(15)

    assert scene.decided.count("substitute_decompressor") == 3  # made, undone, made


# --- undoing --------------------------------------------------------------------------------------


@pytest.fixture
def expired() -> Scene:
    """A substitution whose time is over; nothing else goes on."""
    scene = Scene()
    recurring(scene)
    scene.until("recovered")
    scene.acts = False
    scene.now_ns += DAY_NS
    return scene


def test_a_lasting_change_is_undone_when_its_time_is_over(expired):
    (action,) = [
        one.action for one in expired.ledger.entries if one.phase == "intent" and one.expires_wall_ns
    ]

    decision = last(expired)

    assert (decision.call, decision.remedy, decision.undo) == (Call.ACT, "substitute_decompressor", action)


def test_before_its_time_it_is_not(expired):
    expired.now_ns -= 60 * SECOND_NS
    expired.tick()

    assert expired.ticks[-1].decisions == ()


def test_it_is_undone_once(expired):
    expired.acts = True
    expired.tick(200)

    assert [one.undo is not None for one in expired.decisions(Call.ACT)].count(True) == 1
    assert not expired.substituted


def test_an_undoing_that_failed_is_tried_again_after_a_minute(expired):
    undo = last(expired)
    expired.write(undo.undo, "revert", undo.incident, undo.remedy, Outcome.FAILED)

    expired.tick(30)
    assert expired.ticks[-1].decisions == ()
    expired.tick(31)

    assert [one.undo for one in expired.ticks[-1].decisions] == [undo.undo]


def test_in_observe_mode_the_undoing_is_only_told(expired):
    expired.policy = Policy()

    assert last(expired).call is Call.WOULD_ACT


@pytest.mark.parametrize(
    ("field", "reason"), [({"inhibited": True}, "inhibited"), ({"paused_until_wall_ns": 1 << 62}, "paused")]
)
def test_inhibit_and_pause_hold_it_up(expired, field, reason):
    expired.operator = OperatorSeen(**field)

    decision = last(expired)

    assert (decision.call, decision.undo is not None) == (Call.WAIT, True)
    assert reason in decision.reason


def test_it_waits_for_an_action_that_is_in_flight(expired):
    expired.news.append(ActionStarted("kill-1", "pw-other", "kill_decompressor"))

    assert last(expired).call is Call.WAIT


def test_freeing_comes_before_undoing(expired):
    expired.hang(expired.pull(OTHER, size=90 * MIB), "stopped")
    expired.tick(6)

    acts = [one for one in expired.ticks[-1].decisions if one.call is Call.ACT]

    assert [(one.remedy, one.undo) for one in acts] == [("resume", None)]
