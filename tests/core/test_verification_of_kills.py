"""Whether a kill worked: everything that it ended is brought back, or goes on by itself."""

from __future__ import annotations

from typing import Any, List, Set

import pytest

from tests.core.machine import BIG, MIB
from tests.core.scene import Record, Scene, enforce
from tests.core.variants import Powerless, Unwatched
from watchdog.core.observation import ActionFinished, ClientScan, LogLine, Outcome
from watchdog.core.policy import DEFAULT_ON, Mode, Policy, Remedy

OTHER = "localhost:5000/other:1"
SMALL = 60 * MIB


@pytest.fixture
def scene() -> Scene:
    """Its actions take a while."""
    scene = Scene()
    scene.takes = 1
    return scene


def owed(record: Record) -> List[Any]:
    """(image, satisfied, asked) of each owed pull."""
    pulls = [pull for pull in record["cost"]["pulls"] if pull["owed"]]
    return [(pull["image"], pull["owed"]["satisfied"], pull["owed"]["asked"]) for pull in pulls]


# --- after a kill ---------------------------------------------------------------------------------


def test_the_images_arrival_is_a_recovery(scene):
    scene.hang(scene.pull(), "blocked")

    record = scene.until("recovered")

    assert scene.decided == ["kill_decompressor", "repull"]
    assert owed(record) == [(BIG, True, True)]
    assert scene.verdicts == ["recovered"]


def test_the_runtimes_word_of_the_layer_that_we_killed_is_no_fault_of_its_own(scene):
    """dockerd logs the broken layer as if its bytes were wrong; nobody else may take the pull over."""
    scene.hang(scene.pull(), "blocked")
    scene.until("verifying")
    broken = 'level=error msg="Not continuing with pull after error: unexpected EOF"'
    layer = (
        'level=error msg="failed to register layer: Error processing tar file(exit status 1): unexpected EOF"'
    )
    scene.news += [LogLine("docker", line) for line in (broken, layer)]

    scene.until("recovered")
    scene.tick(60)

    assert [one["cause"] for one in scene.incidents] == ["decompressor_blocked"]
    assert scene.decided == ["kill_decompressor", "repull"]


def test_a_repull_whose_process_ended_without_a_word_is_asked_for_again(scene):
    """It was killed before its intent: whether it pulls, the next one finds out first."""
    scene.outcomes["repull"] = Outcome.EXPIRED
    scene.hang(scene.pull(), "blocked")
    scene.until("verifying")
    while "repull" not in scene.decided:
        scene.tick()
    del scene.outcomes["repull"]

    scene.until("recovered")

    assert scene.decided == ["kill_decompressor", "repull", "repull"]


def test_the_end_of_the_killed_process_is_none():
    scene = Scene(Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON - {Remedy.REPULL}))
    scene.hang(scene.pull(), "blocked")

    record = scene.until("gave_up")

    assert "recovered" not in scene.story
    assert record["next"] == "repull is switched off: the clients have to pull again"


def test_a_process_that_survives_the_kill_is_not_recovered():
    scene = Powerless()
    scene.hang(scene.pull(), "blocked")

    record = scene.until("gave_up")

    assert scene.verdicts == ["not_recovered"]
    assert scene.decided == ["kill_decompressor"]
    assert "kill_decompressor did not help" in record["next"]


def test_a_waiting_pull_that_goes_on_by_itself_needs_no_repull(scene):
    """Its first client gave up long ago; the second one gets the layer when the first lets go."""
    one = scene.pull(client=False)
    waiter = scene.client(BIG)
    scene.hang(one, "blocked")
    scene.until("acting")
    scene.clients = [waiter]
    scene.extract(BIG, SMALL, scene.manifest(BIG, SMALL))

    scene.until("recovered")

    assert scene.decided == ["kill_decompressor"]


def test_two_clients_of_one_image_are_one_repull(scene):
    scene.hang(scene.pull(), "blocked")
    scene.client(BIG)

    record = scene.until("recovered")

    assert scene.decided == ["kill_decompressor", "repull"]
    assert owed(record) == [(BIG, True, True)] * 2


def test_two_images_on_one_layer_are_both_brought_back(scene):
    scene.hang(scene.pull(), "blocked")
    scene.manifest(OTHER, 460 * MIB, 3 * MIB)
    scene.client(OTHER)

    record = scene.until("recovered")

    assert owed(record) == [(BIG, True, True), (OTHER, True, True)]
    assert scene.decided == ["kill_decompressor", "repull"]


def test_a_client_that_ends_a_moment_later_is_brought_back_too(scene):
    """The first repull has begun, and does not cover it."""
    scene.hang(scene.pull(), "blocked")
    scene.manifest(OTHER, 460 * MIB, 3 * MIB)
    late = scene.client(OTHER)
    scene.until("acting")
    scene.clients = [late]
    scene.tick(2)
    scene.leave(late)

    record = scene.until("recovered")

    assert scene.decided == ["kill_decompressor", "repull", "repull"]
    assert owed(record) == [(BIG, True, True), (OTHER, True, True)]


def test_who_had_given_up_is_not_brought_back(scene):
    one = scene.pull(manifest=False)
    scene.hang(one, "blocked")
    scene.tick(6)
    scene.clients.clear()

    scene.until("gone")

    assert scene.decided == ["kill_decompressor"]
    assert scene.verdicts == ["inconclusive"]


def test_who_pulls_again_by_himself_is_let(scene):
    """A script, or the kubelet."""
    scene.hang(scene.pull(), "blocked")
    scene.until("acting")
    scene.client("localhost:5000/big:1")
    scene.tick(20)
    scene.extract(BIG, SMALL, scene.manifests[0].digest)

    scene.until("recovered")

    assert scene.decided == ["kill_decompressor"]


@pytest.mark.parametrize("other", [{"connected": False}, {"verb": "push"}, {"image": OTHER}, {"image": None}])
def test_another_client_is_no_reason_not_to(scene, other):
    scene.hang(scene.pull(), "blocked")
    scene.until("acting")
    scene.client(**{"image": BIG, **other})

    scene.until("recovered")

    assert scene.decided == ["kill_decompressor", "repull"]


def test_two_looks_without_the_client_are_needed(scene):
    scene.hang(scene.pull(), "blocked")
    scene.until("verifying")

    assert scene.decided == ["kill_decompressor"]
    scene.tick()
    assert scene.decided == ["kill_decompressor", "repull"]


@pytest.mark.parametrize("blind", ["part", "none"])
def test_clients_that_cannot_be_seen_have_not_gone(scene, blind):
    scene.hang(scene.pull(), "blocked")
    scene.until("acting")
    if blind == "part":
        scene.clients_complete = False
    else:
        scene.blind.add(ClientScan)

    scene.tick(20)

    assert scene.decided == ["kill_decompressor"]


def test_a_repull_that_brings_nothing_is_given_up(scene):
    scene.hang(scene.pull(), "blocked")
    scene.until("verifying")
    scene.repull = lambda *_: None  # the registry has lost it

    record = scene.until("gave_up")

    assert record["next"] == "repull did not help"


@pytest.mark.parametrize(("outcome", "times"), [(Outcome.REFUSED, 3), (Outcome.FAILED, 2)])
def test_a_repull_that_does_not_begin_is_tried_again(scene, outcome, times):
    scene.outcomes["repull"] = outcome
    scene.hang(scene.pull(), "blocked")

    scene.until("gave_up")

    assert scene.decided == ["kill_decompressor"] + ["repull"] * times


def test_a_kill_that_was_not_made_owes_nothing(scene):
    scene.outcomes["kill_decompressor"] = Outcome.REFUSED
    one = scene.pull()
    scene.hang(one, "blocked")
    scene.until("confirmed")
    scene.tick(4)

    assert owed(scene.incident) == []


class TestUncertain:
    """Two clients and no manifest: whose layer it was is not known."""

    @pytest.fixture
    def scene(self) -> Scene:
        scene = Scene()
        scene.takes = 1
        one = scene.pull(manifest=False)
        scene.client(OTHER)
        scene.hang(one, "blocked")
        return scene

    def test_it_is_recovered_when_both_have_arrived(self, scene):
        scene.until("acting")
        scene.client(BIG)  # its user pulls again
        scene.arrive(BIG)
        scene.tick(20)
        assert owed(scene.incident) == [(BIG, True, False), (OTHER, False, False)]
        assert scene.incident["state"] == "verifying"

        scene.arrive(OTHER)

        scene.until("recovered")

    def test_the_arrival_of_one_alone_proves_nothing(self, scene):
        scene.until("acting")
        scene.arrive(OTHER)

        scene.until("gave_up")

        assert owed(scene.incident) == [(BIG, False, False), (OTHER, True, False)]

    def test_an_api_users_layer_is_not_recovered_by_anothers_arrival(self):
        scene = Scene()
        scene.takes = 1
        one = scene.pull(client=False)
        scene.client(OTHER)
        scene.hang(one, "blocked")
        scene.until("acting")
        scene.arrive(OTHER)

        scene.until("gone")

        assert scene.verdicts == ["inconclusive"]

    def test_a_resume_is_not_verified_by_anothers_arrival(self):
        scene = Unwatched()
        scene.hang(scene.pull(manifest=False), "stopped")
        scene.client(OTHER)
        scene.until("verifying")
        scene.arrive(OTHER)

        scene.until("gone")


class Reluctant(Scene):
    """The killed process ends a long time after its kill, as one that waits for a disk does."""

    def killed(self, pids: Set[int]) -> None:
        self.leave(*self.clients)


def test_a_pull_that_is_owed_is_not_forgotten_while_its_decompressor_lives_on():
    scene = Reluctant()
    scene.hang(scene.pull(), "blocked")
    scene.until("gave_up")

    assert owed(scene.incident) == [(BIG, False, True)]
    scene.restart_agent()
    scene.tick(12)
    assert owed(scene.incident) == [(BIG, False, True)]


# --- a second hang during the repull --------------------------------------------------------------


class TestHangsAgain:
    @pytest.fixture
    def scene(self) -> Scene:
        """The second attempt hangs like the first one; the third does not."""
        scene = Scene()
        scene.fault = "blocked"
        scene.pull(size=SMALL)
        scene.until("verifying")
        scene.tick(14)
        return scene

    def test_the_first_incident_ends_without_success(self, scene):
        first, second = scene.incidents

        assert (first["state"], first["verification"]) == ("gone", "not_recovered")
        assert first["next"] == f"the next attempt hangs too: incident {second['id']}"

    def test_what_it_owed_is_carried_on(self, scene):
        second = scene.incident
        carried = [pull for pull in second["cost"]["pulls"] if pull["carried"]]

        assert [(pull["image"], pull["connected"]) for pull in carried] == [(BIG, True)]

    def test_the_image_is_there_in_the_end(self, scene):
        record = scene.until("recovered")

        assert record["id"] == scene.incidents[1]["id"]
        assert scene.decided == [
            "kill_decompressor",
            "repull",
            "substitute_decompressor",
            "kill_decompressor",
            "repull",
        ]

    def test_the_end_of_the_first_repull_changes_nothing(self, scene):
        first, second = (record["id"] for record in scene.incidents)
        scene.news.append(ActionFinished("repull-2", first, "repull", Outcome.FAILED, "the pull failed"))
        scene.tick()

        assert scene.record(first)["state"] == "gone"
        assert scene.record(second)["state"] not in ("gone", "gave_up")


def test_without_a_digest_the_name_carries_it_on():
    scene = Scene(enforce())
    scene.fault = "blocked"
    scene.pull(size=SMALL, manifest=False)
    scene.until("verifying")
    scene.client(BIG)
    scene.extract(BIG, SMALL)
    scene.tick(12)

    assert scene.incidents[0]["state"] == "gone"
    assert scene.incidents[0]["verification"] == "not_recovered"


def test_another_hang_carries_nothing(scene):
    scene.hang(scene.pull(), "blocked")
    scene.until("verifying")
    other = scene.pull(OTHER, size=90 * MIB)
    other.move(20 * MIB)
    scene.hang(other, "stopped")
    scene.tick(30)

    assert not any(pull["carried"] for record in scene.incidents for pull in record["cost"]["pulls"])
    assert [record["state"] for record in scene.incidents] == ["recovered", "recovered"]
