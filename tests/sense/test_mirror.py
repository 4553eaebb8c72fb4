"""The mirrors of a runtime, and the asking of those that were taken out of use."""

from __future__ import annotations

from tests.host.test_registry import WHOLE, serving
from watchdog.core.observation import MirrorSeen
from watchdog.core.tick import Bypassed
from watchdog.sense.mirror import MirrorSensor

SECOND_NS = 1_000_000_000
LOCAL = "http://127.0.0.1:5001/"


def test_where_each_leads_is_told_once() -> None:
    sensor = MirrorSensor("docker")
    sensor.follow(None, (LOCAL,))

    assert sensor.read(0) == [MirrorSeen("docker", LOCAL, ("127.0.0.1:5001",))]
    assert sensor.read(SECOND_NS) == []
    assert sensor.read(61 * SECOND_NS) == []


def test_a_runtime_without_mirrors_costs_nothing() -> None:
    sensor = MirrorSensor("docker")

    assert sensor.read(0) == []


def test_one_in_use_is_not_asked() -> None:
    with serving(WHOLE) as (url, asked):
        sensor = MirrorSensor("docker")
        sensor.follow(None, (url,))
        sensor.read(0)
        sensor.watch([Bypassed("a", "another", url, "lab/small:1")])
        sensor.read(SECOND_NS)

        assert asked == []


def test_answers_in_a_row_are_counted_20_seconds_apart() -> None:
    answers = dict(WHOLE)
    with serving(answers) as (url, asked):
        sensor = MirrorSensor("docker")
        sensor.watch([Bypassed("a", "docker", url, "lab/small:1")])

        assert [one.answers for one in told(sensor, 0)] == [1]
        assert told(sensor, 19) == []
        assert [one.answers for one in told(sensor, 20)] == [2]
        answers["/v2/lab/small/manifests/1"] = (502, b"")
        assert [one.answers for one in told(sensor, 40)] == [0]
        answers.update(WHOLE)
        assert [one.answers for one in told(sensor, 60)] == [1]
        assert asked


def test_answers_to_another_bypass_begin_anew() -> None:
    with serving(WHOLE) as (url, _):
        sensor = MirrorSensor("docker")
        sensor.watch([Bypassed("a", "docker", url)])
        told(sensor, 0)
        sensor.watch([Bypassed("b", "docker", url)])

        assert [(one.action, one.answers) for one in told(sensor, 1)] == [("b", 1)]


def told(sensor: MirrorSensor, second: int) -> list[MirrorSeen]:
    return [one for one in sensor.read(second * SECOND_NS) if isinstance(one, MirrorSeen)]
