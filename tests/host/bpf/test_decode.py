"""Decoding, on records that a 6.18 kernel wrote."""

from __future__ import annotations

import pytest

from watchdog.core.observation import ProcessEvent, TcpEvent
from watchdog.host.bpf.decode import decode

FORK = "f5d15db427020000010000003a6b0000386b000000000000707974686f6e33000000000000000000"
EXEC = "84f764b427020000020000003a6b0000747275650000000000000000000000002f62696e2f74727565" + "00" * 247
EXIT = "7f0f6cb427020000030000003a6b0000000000000000000074727565000000000000000000000000"
SIGNAL = "4a2f71b427020000040000003b6b0000386b000013000000736c6565700000000000000000000000"
STATE = "05538eb42702000005000000386b00008092b9748188ffffc8d20b800201000000000000000000000000ffff7f000001"
RESET = "7da78fb42702000006000000386b00008092b9748188ffffc8d20b800000000000000000000000000000ffff7f000001"
STATE_IPV6 = (
    "1a8c93ba2702000005000000386b0000806171218188ffff3ada69eb0201000000000000000000000000000000000001"
)


@pytest.mark.parametrize(
    ("record", "event"),
    [
        (FORK, ProcessEvent(2369553027573, "fork", 27450, 27448, "python3")),
        (EXEC, ProcessEvent(2369553495940, "exec", 27450, comm="true", filename="/bin/true")),
        (EXIT, ProcessEvent(2369553960831, "exit", 27450, comm="true")),
        (SIGNAL, ProcessEvent(2369554296650, "signal", 27451, 27448, "sleep", signal=19)),
        (
            STATE,
            TcpEvent(
                2369556206341,
                "state",
                27448,
                18446612688323318400,
                53960,
                32779,
                "127.0.0.1",
                old_state=2,
                new_state=1,
            ),
        ),
        (
            RESET,
            TcpEvent(2369556293501, "reset_received", 27448, 18446612688323318400, 53960, 32779, "127.0.0.1"),
        ),
        (
            STATE_IPV6,
            TcpEvent(
                2369657211930,
                "state",
                27448,
                18446612686926078336,
                55866,
                60265,
                "::1",
                old_state=2,
                new_state=1,
            ),
        ),
    ],
)
def test_records(record: str, event: object) -> None:
    assert decode(bytes.fromhex(record)) == event


def test_a_name_that_is_no_utf8_and_a_path_that_fills_its_field() -> None:
    record = bytes.fromhex(EXEC)
    assert decode(record[:16] + b"\xff\0" + record[18:]).comm == "\ufffd"  # type: ignore[union-attr]
    assert decode(record[:32] + b"x" * 256).filename == "x" * 256  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "record",
    [
        bytes.fromhex(FORK)[:-1],  # too short
        bytes.fromhex(STATE) + b"\0",  # too long
        bytes.fromhex(FORK.replace("01000000", "09000000", 1)),  # no such kind
        b"",
    ],
)
def test_what_is_no_record_of_ours_is_refused(record: bytes) -> None:
    with pytest.raises(ValueError, match=r"a ring record that events\.h does not have"):
        decode(record)
