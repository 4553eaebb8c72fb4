"""core/attempts, download: where each attempt at a layer began and how it ended."""

from __future__ import annotations

import pytest

from tests.core.downloading import inode, seen
from tests.core.network import MB, SECOND_NS, Network
from watchdog.core.attempts import Ending, read_failure


@pytest.mark.parametrize(
    ("how", "ending"),
    [
        ("fin", Ending.FIN),
        ("reset", Ending.RESET),
        ("ours", Ending.OURS),
        ("timeout", Ending.TIMEOUT),
    ],
)
@pytest.mark.parametrize("sees", [False, True], ids=["log", "log and kernel"])
def test_how_an_attempt_ended(how: str, ending: Ending, sees: bool) -> None:
    network = Network(sees=sees)
    layer = network.layer()
    network.tick(4)
    network.cut(layer, how)
    network.tick(2)
    (attempt,) = seen(network, layer).attempts
    assert (attempt.ending, attempt.number, attempt.limit) == (ending, 1, 5)
    assert (attempt.from_bytes, attempt.layer_bytes) == (0, 20 * MB)


@pytest.mark.parametrize(("how", "ending"), [("fin", Ending.FIN), ("reset", Ending.RESET)])
def test_the_kernel_alone_tells_it_too(how: str, ending: Ending) -> None:
    network = Network(tells=False, sees=True)
    layer = network.layer()
    network.tick(4)
    network.cut(layer, how)
    network.tick(5)
    download = seen(network, layer)
    assert download.attempts[0].ending is ending and download.failures == 1 and download.limit is None


def test_with_neither_an_end_is_unknown() -> None:
    network = Network(tells=False)
    layer = network.layer()
    network.tick(4)
    network.cut(layer)
    network.tick(2)
    assert seen(network, layer).attempts[0].ending is Ending.UNKNOWN


@pytest.mark.parametrize("tls", [False, True])
def test_a_resumed_attempt_begins_where_the_first_ended(tls: bool) -> None:
    network = Network(tls=tls)
    layer = network.layer()
    network.tick(4)
    network.cut(layer)
    network.tick(9)
    first, second = seen(network, layer).attempts
    assert not first.resumed and second.resumed and second.from_bytes == 20 * MB
    assert second.ending is Ending.OPEN and second.layer_bytes == layer.size - 20 * MB
    connection = seen(network, layer).connection
    assert connection is not None and connection.inode == inode(layer)


@pytest.mark.parametrize("tls", [False, True])
def test_a_refused_range_is_told_and_the_next_attempt_begins_at_nothing(tls: bool) -> None:
    network = Network(tls=tls)
    layer = network.layer()
    network.tick(4)
    network.cut(layer, "reset")
    layer.rate = 0
    network.tick(7)
    network.refuse_range(layer)
    layer.rate = 5 * MB
    network.tick(14)
    endings = [(one.ending, one.from_bytes) for one in seen(network, layer).attempts]
    assert endings[0] == (Ending.RESET, 0)
    assert endings[-1] == (Ending.OPEN, 0)
    assert Ending.RANGE_REFUSED in [ending for ending, _ in endings]


def test_lines_of_two_layers_go_to_their_own_by_the_port() -> None:
    network = Network()
    one, two = network.layer(rate=3 * MB), network.layer(rate=4 * MB)
    network.tick(3)
    network.cut(two, "reset")
    network.cut(one, "timeout")
    network.tick(2)
    assert seen(network, one).attempts[0].ending is Ending.TIMEOUT
    assert seen(network, two).attempts[0].ending is Ending.RESET


def test_bytes_that_came_after_the_last_look_end_the_silence_at_an_unknown_moment() -> None:
    """The agent was late: it saw the layer four seconds before its connection was gone."""
    network = Network(sees=True)
    layer = network.layer()
    network.tick(4)
    network._advance(layer, 4.0)
    network.now_ns += 4 * SECOND_NS
    network.cut(layer)
    network.look()
    (attempt,) = seen(network, layer).attempts
    assert attempt.layer_bytes == 40 * MB and attempt.silence_ns is None


def test_a_silence_that_nobody_looked_at_is_one_where_nothing_has_come() -> None:
    network = Network(sees=True)
    layer = network.layer()
    network.tick(4)
    network.now_ns += 4 * SECOND_NS
    network.cut(layer)
    network.look()
    (attempt,) = seen(network, layer).attempts
    assert attempt.layer_bytes == 20 * MB and attempt.silence_ns == 4 * SECOND_NS


def test_an_end_that_only_a_log_tells_lies_between_two_looks() -> None:
    network = Network()
    layer = network.layer()
    network.tick(4)
    network.now_ns += 3 * SECOND_NS
    network.cut(layer)
    network.look()
    (attempt,) = seen(network, layer).attempts
    assert attempt.ending is Ending.FIN and attempt.silence_ns == 3 * SECOND_NS // 2


def test_the_next_attempt_begins_where_the_file_stands_though_the_last_look_was_not_certain() -> None:
    """A disk that was slow for a moment: what had arrived was not in the file yet."""
    network = Network(sees=True)
    layer = network.layer(total=900 * MB)
    network.tick(4)
    assert layer.wire is not None
    layer.wire.receive(15 * MB, network.now_ns)
    network.look()
    layer.size += 15 * MB
    network.cut(layer)
    network.look()
    network.tick(9)
    first, second = seen(network, layer).attempts
    assert (first.from_bytes, first.layer_bytes, second.from_bytes) == (0, 35 * MB, 35 * MB)


def test_a_line_that_a_late_agent_reads_is_about_the_end_that_it_hears_of_with_it() -> None:
    network = Network(sees=True)
    layer = network.layer()
    network.tick(4)
    network.cut(layer)
    network.now_ns += 9 * SECOND_NS
    network.look()
    assert [(one.ending, one.number) for one in seen(network, layer).attempts] == [(Ending.FIN, 1)]


def test_a_line_that_comes_nine_looks_after_an_end_is_about_another() -> None:
    network = Network(tells=False, sees=True)
    layer = network.layer()
    network.tick(4)
    network.cut(layer)
    network.tick(3)
    network.tells, layer.rate = True, 0
    network.tick(6)
    network.fail(layer, "unexpected EOF")
    network.tick()
    assert [one.number for one in seen(network, layer).attempts] == [None, 2]


# --- lines of the log, as dockerd 20.10.24 and 19.03 wrote them ----------------------------------

RESET = (
    'time="2026-11-21T06:19:15.838257540Z" level=info msg="Download failed, retrying (1/5): '
    'read tcp 127.0.0.1:46688->127.0.0.1:51067: read: connection reset by peer"'
)


def test_a_line_about_a_failed_attempt_is_read() -> None:
    failure = read_failure(RESET, 5, 7)
    assert failure is not None
    assert (failure.ending, failure.local, failure.number, failure.limit, failure.at_ns) == (
        Ending.RESET,
        "127.0.0.1:46688",
        1,
        5,
        7,
    )


def test_the_oldest_form_has_no_numbers() -> None:
    failure = read_failure('level=error msg="Download failed, retrying: unexpected EOF"', 5, 7)
    assert failure is not None and (failure.ending, failure.number, failure.limit) == (Ending.FIN, None, None)


@pytest.mark.parametrize(
    "text",
    [
        'level=error msg="Download failed after 6 attempts: unexpected EOF"',
        'level=error msg="Upload failed, retrying: unexpected EOF"',
        'level=info msg="Attempting next endpoint for pull after error: unexpected EOF"',
        "",
    ],
)
def test_other_lines_are_none(text: str) -> None:
    assert read_failure(text, 5, 7) is None
