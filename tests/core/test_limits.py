"""Attempts that end alike name the device that ended them; attempts that almost do, do not."""

from __future__ import annotations

from dataclasses import replace
from typing import List

import pytest

from watchdog.core.limits import GIB, AttemptEnd, End, LimitKind, infer_limit, is_temp_file_mark

SECOND = 1_000_000_000
MIB = 1 << 20


def attempt(end=End.FIN, *, mib=None, lasted_s=None, silent_s=None, at_s=None, **rest) -> AttemptEnd:
    def ns(seconds):
        return None if seconds is None else int(seconds * SECOND)

    return AttemptEnd(
        end,
        size_bytes=None if mib is None else int(mib * MIB),
        duration_ns=ns(lasted_s),
        silence_ns=ns(silent_s),
        ended_at_ns=ns(at_s),
        **rest,
    )


def kind(*attempts: AttemptEnd):
    limit = infer_limit(attempts)
    return limit.kind if limit else None


def test_one_attempt_is_no_pattern():
    assert infer_limit([]) is None
    assert infer_limit([attempt(mib=1040)]) is None


# --- sizes -------------------------------------------------------------------------------


def test_just_over_a_gibibyte_is_the_full_temporary_file_of_nginx():
    limit = infer_limit([AttemptEnd(End.FIN, 1_091_061_683), AttemptEnd(End.FIN, 1_203_554_112)])
    assert limit is not None
    assert (limit.kind, limit.value) == (LimitKind.SIZE, GIB)
    assert "proxy_max_temp_file_size" in limit.parameter


def test_equal_sizes_are_a_limit_of_an_unknown_device():
    limit = infer_limit([attempt(mib=500), attempt(mib=501), attempt(mib=499.5)])
    assert limit is not None and limit.kind is LimitKind.SIZE
    assert "proxy_max_temp_file_size" not in limit.parameter


def test_what_was_on_its_way_comes_on_top_of_a_buffer_that_is_full():
    """Measured with nginx's proxy_max_temp_file_size at 300 MiB."""
    sizes = (337_117_835, 324_598_156)
    limit = infer_limit([AttemptEnd(End.FIN, size) for size in sizes])
    assert limit is not None and limit.kind is LimitKind.SIZE
    assert infer_limit([AttemptEnd(End.UNKNOWN, size) for size in sizes]) is None
    assert infer_limit([AttemptEnd(End.FIN, size // 10) for size in sizes]) is None


def test_ends_further_apart_are_alike_where_their_durations_lie_apart_much_further():
    """Measured with proxy_max_temp_file_size at 400 MiB, and 25 and then 15 MB a second to the client."""
    first = AttemptEnd(End.FIN, 434_256_836, duration_ns=15_567_998_460, silence_ns=509_297_396)
    second = AttemptEnd(End.FIN, 461_629_693, duration_ns=29_547_260_761, silence_ns=598_529_197)
    limit = infer_limit([first, second])
    assert limit is not None and (limit.kind, limit.value) == (LimitKind.SIZE, 434_256_836)


@pytest.mark.parametrize(
    "attempts",
    [
        [attempt(mib=414, lasted_s=60), attempt(mib=440, lasted_s=66)],
        [attempt(mib=414, lasted_s=15.6), attempt(mib=480, lasted_s=60)],
        [attempt(mib=41.4, lasted_s=15.6), attempt(mib=44, lasted_s=29.5)],
        [attempt(End.UNKNOWN, mib=414, lasted_s=15.6), attempt(mib=440, lasted_s=29.5)],
        [attempt(mib=414, lasted_s=15.6), attempt(mib=440)],
        [attempt(mib=414, lasted_s=15.6), attempt(mib=440, lasted_s=29.5, silent_s=3)],
        [attempt(mib=414, lasted_s=15.6), attempt(mib=440, lasted_s=29.5), attempt(mib=100, lasted_s=9)],
    ],
    ids=["one rate", "too far", "small", "no FIN", "no duration", "silent", "a third"],
)
def test_ends_as_far_apart_for_another_reason_are_none(attempts):
    assert infer_limit(attempts) is None


@pytest.mark.parametrize(
    ("attempts"),
    [
        [attempt(mib=500), attempt(mib=700)],
        [attempt(mib=1040), attempt(mib=300)],
        [attempt(mib=0.01), attempt(mib=0.01)],  # an error page
        [attempt(mib=500), attempt()],
    ],
    ids=["differ", "one of two", "small", "unknown"],
)
def test_other_sizes_are_none(attempts):
    assert infer_limit(attempts) is None


@pytest.mark.parametrize(
    ("gib", "is_mark"), [(1.0, True), (1.12, True), (1.3, True), (0.99, False), (1.4, False)]
)
def test_the_mark_of_the_temporary_file(gib, is_mark):
    assert is_temp_file_mark(int(gib * GIB)) is is_mark


# --- times -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "device"), [(60, "nginx"), (50, "HAProxy"), (350, "NLB"), (900, "Harbor"), (300, "Envoy")]
)
def test_the_same_silence_before_the_end_is_a_gap(seconds, device):
    limit = infer_limit(
        [attempt(silent_s=seconds + 0.2, lasted_s=70), attempt(silent_s=seconds, lasted_s=400)]
    )
    assert limit is not None
    assert (limit.kind, limit.value) == (LimitKind.GAP, seconds * SECOND)
    assert device in limit.device


def test_an_attempt_whose_last_byte_nobody_saw_speaks_neither_for_nor_against_a_gap():
    """Measured behind a time-out of 6 s, on a node too busy to look each second."""
    seen = attempt(mib=4.77, lasted_s=5.5, silent_s=5.8), attempt(mib=4.77, lasted_s=6.0, silent_s=6.0)
    unseen = attempt(mib=4.77, lasted_s=6.0)
    limit = infer_limit([seen[0], unseen, seen[1]])
    assert limit is not None and limit.kind is LimitKind.GAP
    assert kind(seen[0], unseen) is None  # one is no pattern
    assert kind(*seen, attempt(mib=4.77, lasted_s=3.0)) is None  # that one had another end
    assert kind(*seen, attempt(mib=4.77)) is None


def test_a_silence_of_an_unknown_length_is_a_gap_of_an_unknown_proxy():
    limit = infer_limit([attempt(silent_s=41), attempt(silent_s=41.5)])
    assert limit is not None and limit.kind is LimitKind.GAP
    assert limit.device == "a proxy on the way"


def test_silences_that_differ_are_none():
    assert kind(attempt(silent_s=60), attempt(silent_s=75)) is None


def test_the_same_duration_whatever_arrived_is_a_total():
    limit = infer_limit([attempt(lasted_s=60.4, mib=200), attempt(lasted_s=60.1, mib=900)])
    assert limit is not None
    assert (limit.kind, limit.value) == (LimitKind.TOTAL_TIME, 60 * SECOND)
    assert "readTimeout" in limit.parameter


@pytest.mark.parametrize(
    "attempts",
    [
        [attempt(lasted_s=60, mib=200), attempt(lasted_s=75, mib=900)],
        [attempt(lasted_s=0.4, mib=200), attempt(lasted_s=0.4, mib=900)],
        [attempt(lasted_s=60, mib=200), attempt(mib=900)],
    ],
    ids=["differ", "at once", "unknown"],
)
def test_other_durations_are_none(attempts):
    assert infer_limit(attempts) is None


def test_equal_in_size_and_in_time_says_only_that_it_is_the_time():
    """A steady rate: the size tells nothing of its own, unless it is nginx's."""
    assert kind(attempt(lasted_s=60, mib=500), attempt(lasted_s=60, mib=500)) is LimitKind.TOTAL_TIME
    assert kind(attempt(lasted_s=60, mib=1040), attempt(lasted_s=60, mib=1041)) is LimitKind.SIZE


def test_a_transfer_that_flowed_to_its_end_met_no_gap():
    assert kind(attempt(silent_s=0.1, lasted_s=30), attempt(silent_s=0.1, lasted_s=80)) is None


# --- resets --------------------------------------------------------------------------------


def test_resets_after_silence_are_an_idle_expiry():
    limit = infer_limit([attempt(End.RST, silent_s=350), attempt(End.RST, silent_s=350.4)])
    assert limit is not None and limit.kind is LimitKind.IDLE_EXPIRY
    assert "NLB" in limit.device


def test_resets_in_mid_flow_are_no_proxys():
    assert kind(attempt(End.RST, silent_s=0), attempt(End.RST, silent_s=0.5)) is LimitKind.CUT_IN_FLOW


@pytest.mark.parametrize(
    "attempts",
    [
        [attempt(End.RST, silent_s=350), attempt(End.FIN, silent_s=20)],
        [attempt(End.RST, silent_s=350), attempt(End.RST, silent_s=0)],
        [attempt(End.RST), attempt(End.RST)],
    ],
    ids=["one of two", "both sorts", "unknown"],
)
def test_other_resets_are_none(attempts):
    assert infer_limit(attempts) is None


def test_ends_at_one_moment_are_a_reload():
    assert kind(attempt(at_s=100, mib=10), attempt(at_s=100.4, mib=900)) is LimitKind.RELOAD
    assert kind(attempt(at_s=100, mib=10), attempt(at_s=130, mib=900)) is None
    assert kind(attempt(End.RST, at_s=100), attempt(at_s=100.4)) is None


# --- what is silent now ----------------------------------------------------------------------


def silent(**rest) -> AttemptEnd:
    return attempt(End.NONE, silent_s=400, **rest)


def test_unanswered_probes_are_a_black_hole():
    assert kind(silent(keepalive_probes=3), silent(keepalive_probes=2)) is LimitKind.BLACK_HOLE


def test_answered_probes_are_a_peer_that_stalls():
    assert kind(silent(keepalive_probes=0), silent(keepalive_probes=0)) is LimitKind.PEER_STALLED


def test_unread_bytes_are_a_reader_that_stalls():
    one = silent(keepalive_probes=0, unread_bytes=6_000_000)
    assert kind(one, one) is LimitKind.LOCAL_READER
    assert kind(one, replace(one, unread_bytes=0)) is LimitKind.PEER_STALLED


def test_one_unanswered_probe_or_none_known_says_nothing_of_the_peer():
    assert kind(silent(keepalive_probes=1), silent(keepalive_probes=3)) is None
    assert kind(attempt(End.NONE, keepalive_probes=None), attempt(End.NONE)) is None


# --- laws ------------------------------------------------------------------------------------


def test_a_limit_says_what_it_rests_on():
    cases: List[List[AttemptEnd]] = [
        [attempt(mib=1040), attempt(mib=1041)],
        [attempt(silent_s=60), attempt(silent_s=60)],
        [attempt(lasted_s=60), attempt(lasted_s=61)],
        [attempt(at_s=1), attempt(at_s=1)],
        [attempt(End.RST, silent_s=0), attempt(End.RST, silent_s=0)],
        [silent(keepalive_probes=0), silent(keepalive_probes=0)],
    ]
    for attempts in cases:
        limit = infer_limit(attempts)
        assert limit is not None and limit.device and limit.evidence
        assert infer_limit(list(reversed(attempts))) == limit
