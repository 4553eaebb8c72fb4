"""What fails inside the P2P client: its log in the words of its generation, and a second kind of evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, List

import pytest

from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.causes.p2p import LOOKS, failing_p2p, is_explained, sign_of_recovery, waits_for_p2p
from watchdog.core.evidence import Kind
from watchdog.core.observation import (
    Api,
    ConnectionSample,
    ExtractionScan,
    Frame,
    LogLine,
    MachineSeen,
    Observation,
    P2pSeen,
    ProcessKey,
    ProcessSample,
    RuntimeSeen,
    Sight,
    TcpEvent,
    TransferScan,
)
from watchdog.core.policy import SECOND_NS
from watchdog.core.target import Target
from watchdog.core.transfer import Transfers
from watchdog.core.world import World

LOGS = Path(__file__).resolve().parents[1] / "fixtures" / "logs"
WALL_NS = 1_800_000_000 * SECOND_NS  # the fixtures are years old: each line counts from when it is read
DAEMON = ProcessSample(ProcessKey(5000, 777), 1, "dockerd")
V1 = P2pSeen("v1", "127.0.0.1:65001", "/etc/dragonfly/dfdaemon.yml", Api.ANSWERS, ProcessKey(700, 7))
GO = P2pSeen(
    *("v2_go", "127.0.0.1:65001", "/etc/dragonfly/dfget.yaml", Api.ANSWERS, ProcessKey(700, 7)),
    piece_timeout="30s",
    tasks_failed=4,
)
RUST = P2pSeen(
    *("v2_rust", "127.0.0.1:4001", "/etc/dragonfly/dfdaemon.yaml", Api.ANSWERS, ProcessKey(700, 7)),
    piece_timeout="30s",
    tasks_failed=4,
)
NO_SCHEDULER = (
    "2025-04-08T11:13:46.120199399+00:00 ERROR download_task: dragonfly-client/src/resource/task.rs:702: "
    "available schedulers not found"
)
RATE_LIMITED = (
    "2025-04-08T11:13:46.120199399+00:00 ERROR proxy: dragonfly-client/src/proxy/mod.rs:511: "
    "proxy request rate limit exceeded"
)
SOURCE_CUT = (
    "2024-11-28T15:40:01.499653716+00:00 ERROR download_task: dragonfly-client/src/resource/piece.rs:640: "
    "download piece finished: error decoding response body: connection reset by peer"
)


class Node:
    """A world a second at a time: the client as it is seen, and what is said and done."""

    def __init__(self, client: P2pSeen) -> None:
        self.world, self.transfers = World(), Transfers(SECOND_NS)
        self.client = client
        self.connections: List[ConnectionSample] = []
        self.now_ns = 0
        self._lines: List[str] = []
        self._events: List[Observation] = []

    def say(self, *lines: str) -> Node:
        self._lines += lines
        return self

    def say_log(self, name: str) -> Node:
        return self.say(*(LOGS / name).read_text().splitlines())

    def end_connection(self, port: int, pid: int = DAEMON.key.pid) -> Node:
        event = TcpEvent(self.now_ns, "state", pid, 1, 40000, port, "127.0.0.1", 1, 7)
        self._events.append(replace(event, at_ns=self.now_ns + SECOND_NS))
        return self

    def tick(self, seconds: int = 1, **changes: Any) -> List[Finding]:
        """Look once a second; `changes` are of the client."""
        self.client = replace(self.client, **changes)
        for _ in range(seconds):
            self.now_ns += SECOND_NS
            self._look()
        return failing_p2p("docker", self.world, self.transfers)

    def _look(self) -> None:
        runtime = RuntimeSeen("docker", "docker", DAEMON.key, None, Api.ANSWERS, Sight.FULL)
        scan = TransferScan("docker", DAEMON.key, tuple(self.connections))
        seen = [MachineSeen("boot", WALL_NS + self.now_ns, self.now_ns), runtime]
        seen += [ExtractionScan("docker", DAEMON), self.client, scan]
        seen += [LogLine("dfdaemon", line) for line in self._lines] + self._events
        self._lines, self._events = [], []
        self.world.apply(Frame(self.now_ns, tuple(seen)))
        self.transfers.update(scan, self.now_ns)


def connection(remote: str, silent_s: float) -> ConnectionSample:
    return ConnectionSample(
        *(9, "127.0.0.1:40000", remote, 1, 0, 0), received_bytes=0, silent_ns=int(silent_s * SECOND_NS)
    )


def only(found: List[Finding]) -> Finding:
    (one,) = found
    return one


# --- each story is named, with a second kind of evidence ---------------------------------------


def test_v1_without_its_supernode_and_connections_that_end_at_once():
    node = Node(V1)
    node.tick(2)
    found = only(node.say_log("s3/dfdaemon.log").end_connection(65001).tick(LOOKS))
    assert found.cause is Cause.P2P_SUPERNODE_UNREACHABLE and found.confirmed
    assert {one.kind for one in found.evidence} == {Kind.LOG, Kind.KERNEL_EVENT}
    assert found.target == Target(endpoint="127.0.0.1:65001", reason="v1")
    told = " ".join(found.advice)
    assert "/etc/dragonfly.conf" in told and "Dragonfly 1" in told and "supernode" in told


@pytest.mark.parametrize(
    ("client", "log", "key", "foreign"),
    [
        (RUST, "s4/rust.log", "download.pieceTimeout is 30s", "pieceDownloadTimeout: 600s"),
        (GO, "s4/go.log", "download.pieceDownloadTimeout is 30s", "pieceTimeout: 600s"),
    ],
)
def test_piece_timeouts_of_a_preheat_that_the_client_counts_itself(client, log, key, foreign):
    """No runtime pulls: the client's own count of failed tasks is the second kind."""
    node = Node(client)
    node.tick(2)
    found = only(node.say_log(log).tick(LOOKS, tasks_failed=6))
    assert found.cause is Cause.P2P_PIECE_TIMEOUT and found.confirmed
    assert {one.kind for one in found.evidence} == {Kind.LOG, Kind.COUNTERS}
    told = " ".join(found.advice)
    assert key in told and f"`download: {foreign}" not in told


@pytest.mark.parametrize(
    ("line", "cause"),
    [(NO_SCHEDULER, Cause.P2P_NO_SCHEDULER), (RATE_LIMITED, Cause.P2P_RATE_LIMITED)],
)
def test_other_faults_of_the_rust_client_with_a_runtime_that_waits(line, cause):
    node = Node(RUST)
    node.connections = [connection("127.0.0.1:4001", 30.0)]
    node.tick(2)
    found = only(node.say(line).tick(LOOKS))
    assert found.cause is cause and found.confirmed
    assert {one.kind for one in found.evidence} == {Kind.LOG, Kind.SOCKET}


def test_a_client_that_said_why_and_then_refuses():
    node = Node(V1)
    node.tick()
    found = only(node.say_log("s3/dfdaemon.log").tick(LOOKS, api=Api.REFUSED))
    assert found.confirmed and any("nobody listens" in one.text for one in found.evidence)


# --- almost such -----------------------------------------------------------------------------


def test_a_log_line_alone_confirms_nothing():
    node = Node(RUST)
    node.connections = [connection("127.0.0.1:4001", 2.0), connection("10.0.0.1:443", 90.0)]
    node.tick(2)
    found = only(node.say_log("s4/rust.log").end_connection(443).tick(20))
    assert not found.confirmed
    assert {one.kind for one in found.evidence} == {Kind.LOG}


def test_another_process_that_leaves_it_is_no_evidence():
    node = Node(V1)
    found = only(node.say_log("s3/dfdaemon.log").end_connection(65001, pid=4711).tick(LOOKS + 1))
    assert not found.confirmed


def test_a_connection_alone_is_another_familys():
    node = Node(RUST)
    node.connections = [connection("127.0.0.1:4001", 90.0)]
    assert node.tick(10, tasks_failed=9) == []


def test_words_of_another_generation_are_of_another_machine():
    node = Node(RUST)
    assert node.say_log("s3/dfdaemon.log").tick(LOOKS, tasks_failed=9) == []


def test_a_source_that_cuts_pieces_is_no_piece_timeout():
    node = Node(RUST)
    assert node.say(SOURCE_CUT).tick(LOOKS, tasks_failed=9) == []


def test_without_a_client_on_the_node_nothing_is_said_of_it():
    node = Node(RUST)
    node.say_log("s4/rust.log").tick(LOOKS)
    node.world.p2p.clear()
    assert failing_p2p("docker", node.world, node.transfers) == []


def test_a_look_that_is_stale_is_unknown():
    node = Node(RUST)
    node.tick()
    node.say_log("s4/rust.log").tick(LOOKS, tasks_failed=9)
    node.world.now_ns += 60 * SECOND_NS
    assert failing_p2p("docker", node.world, node.transfers) == []


def test_what_was_said_before_a_restart_is_over():
    node = Node(RUST)
    node.tick()
    assert only(node.say_log("s4/rust.log").tick(LOOKS, tasks_failed=9)).confirmed
    assert node.tick(2, process=ProcessKey(800, 9), tasks_failed=0) == []


def test_lines_grow_old():
    node = Node(RUST)
    node.tick()
    node.say_log("s4/rust.log").tick(LOOKS, tasks_failed=9)
    assert node.tick(240) == []


# --- Dragonfly 1 fetches the whole layer first --------------------------------------------------


def silent(remote: str) -> Finding:
    target = Target(connection=connection(remote, 300.0))
    return Finding("docker", Cause.HEADER_WAIT, DAEMON, (), 300, 0, 300, target=target)


def fetching(seconds: int, grows: int) -> Node:
    node = Node(V1)
    for _ in range(seconds):
        node.tick(stored_bytes=(node.client.stored_bytes or 0) + grows)
    return node


def test_while_its_files_grow_the_silence_is_nobodys_fault():
    node = fetching(30, grows=20_000_000)
    assert waits_for_p2p(silent("127.0.0.1:65001"), node.world)
    assert waits_for_p2p(silent("[::1]:65001"), node.world)
    assert not waits_for_p2p(silent("127.0.0.1:5000"), node.world)  # another proxy


def mirror(url: str) -> Finding:
    return Finding("docker", Cause.MIRROR_FAILING, DAEMON, (), 9, 0, 3, target=Target(endpoint=url))


def test_a_mirror_that_is_the_client_waits_for_it_as_well():
    node = fetching(30, grows=20_000_000)
    assert waits_for_p2p(mirror("http://127.0.0.1:65001/"), node.world)
    assert waits_for_p2p(mirror("http://localhost:65001"), node.world)
    assert not waits_for_p2p(mirror("http://127.0.0.1:5000/"), node.world)
    assert not waits_for_p2p(mirror("https://mirror.example"), node.world)


def test_a_mirror_that_is_the_client_is_explained_by_what_the_client_says():
    node = Node(V1)
    node.tick(2)
    found = node.say_log("s3/dfdaemon.log").end_connection(65001).tick(LOOKS)
    assert is_explained(mirror("http://127.0.0.1:65001/"), found)
    assert not is_explained(mirror("http://127.0.0.1:5000/"), found)
    assert not is_explained(mirror("https://mirror.example"), found)
    assert not is_explained(mirror("http://127.0.0.1:65001/"), [replace(only(found), samples=0)])


def test_once_they_stand_still_it_is_a_silence_like_any_other():
    node = fetching(30, grows=20_000_000)
    node.tick(30)
    assert not waits_for_p2p(silent("127.0.0.1:65001"), node.world)


def test_files_that_grow_speak_against_any_fault_of_it():
    node = fetching(5, grows=1)
    node.connections = [connection("127.0.0.1:65001", 60.0)]
    found = only(node.say_log("s3/dfdaemon.log").tick(LOOKS))
    assert not found.confirmed


# --- what shows that it is over --------------------------------------------------------------

AT_IT = Target(endpoint="127.0.0.1:4001")


def test_it_has_recovered_when_something_comes_and_nothing_fails():
    node = Node(RUST)
    node.tick(3, came=0, tasks_failed=0)
    since = node.world.wall_ns() + 1
    node.tick(came=100)
    assert sign_of_recovery(node.world, node.transfers, AT_IT, since) == ""  # one look compares with none
    node.tick(came=200)
    assert "has come since" in sign_of_recovery(node.world, node.transfers, AT_IT, since)


def test_it_has_not_while_tasks_fail():
    node = Node(RUST)
    node.tick(2, came=0, tasks_failed=0)
    node.tick(came=200, tasks_failed=1)
    assert sign_of_recovery(node.world, node.transfers, AT_IT, 0) == ""


def test_it_has_not_while_nothing_comes():
    node = Node(RUST)
    node.tick(20, came=500, tasks_failed=2)
    assert sign_of_recovery(node.world, node.transfers, AT_IT, 0) == ""


# --- what is told -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "log", "values"),
    [
        (
            RUST,
            "s4/rust.log",
            ("client.config.download.pieceTimeout", "seedClient.config.download.pieceTimeout"),
        ),
        (
            *(GO, "s4/go.log"),
            (
                "dfdaemon.config.download.pieceDownloadTimeout",
                "seedPeer.config.download.pieceDownloadTimeout",
            ),
        ),
    ],
)
def test_a_configuration_from_kubernetes_is_changed_by_its_chart(client, log, values):
    node = Node(replace(client, managed_by="kubernetes"))
    node.tick()
    told = " ".join(only(node.say_log(log).tick(LOOKS, tasks_failed=9)).advice)
    assert [value for value in values if f"--set {value}=600s" not in told] == []
    assert "In /etc/dragonfly/" not in told


def test_a_key_of_another_generation_is_pointed_at():
    node = Node(replace(RUST, foreign_key=True))
    node.tick()
    told = only(node.say_log("s4/rust.log").tick(LOOKS, tasks_failed=9)).advice[0]
    assert "download.pieceDownloadTimeout" in told and "does not know" in told
