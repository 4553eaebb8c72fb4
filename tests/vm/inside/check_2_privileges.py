"""Who may do what: the agent sees and can change nothing, and a unit of its own acts when it is asked."""

from __future__ import annotations

import errno
import json
import pwd
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Dict, Set

import pytest

from tests.vm.inside import refused_calls
from tests.vm.inside.machine import main_pid, prop, run, systemctl, wait_until
from tests.vm.inside.node import AGENT, RUN_DIR, UNITS, Node
from tests.vm.inside.telling import tell_more

USER = "pull-watchdog"
ACT_SOCKET = RUN_DIR / "act.sock"
NUMBERS = Path("/usr/include/linux/capability.h")
STAND_IN = Path("/run/systemd/system/stand-in.service")
SAID = Path("/run/stand-in.said")
# What would make of the copy another kind of service.
NOT_COPIED = ("Type=", "Exec", "Restart", "WatchdogSec=", "NotifyAccess=", "TimeoutSt", "StartLimit")
EXPOSURE_AT_MOST = 3.0
REQUEST = {"verb": "act", "remedy": "resume", "incident": "pw-00000000", "action": "resume-00000000"}
# Connects as somebody, asks one thing, prints the answer or why there is none.
ASK = """\
import socket, sys
with socket.socket(socket.AF_UNIX) as one:
    one.settimeout(240)
    try:
        one.connect(sys.argv[1])
        one.sendall(sys.argv[2].encode() + b"\\n")
        print(one.makefile().readline(), end="")
    except PermissionError as error:
        print(error.strerror)
"""


def check_own_user(node: Node) -> None:
    """The agent is not root, and has the capabilities that its unit lists, no other and no new ones."""
    node.observe()
    status = _status(main_pid(AGENT))
    assert status["Uid"].split() == [str(pwd.getpwnam(USER).pw_uid)] * 4
    listed = _capabilities_listed()
    tell_more(" ".join(sorted(listed)))
    assert _capabilities(status["CapEff"]) == listed
    assert _capabilities(status["CapBnd"]) == listed
    assert not listed & {"CAP_KILL", "CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_DAC_OVERRIDE", "CAP_SYS_MODULE"}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def check_calls_refused(installed: None) -> None:
    """No signal, no ptrace, no write to memory, no mount and no other namespace: refused by its filter."""
    refused = _stand_in()
    assert set(refused.values()) == {errno.EPERM}, refused


def check_calls_that_the_filter_refuses(installed: None) -> None:
    """It is the filter: without it none of these calls would be refused to the same user."""
    free = _stand_in("SystemCallFilter=", "RestrictNamespaces=no")
    assert errno.EPERM not in free.values(), free


@pytest.mark.parametrize("unit", [AGENT, "pull-watchdog-act@.service"])
def check_exposure(installed: None, unit: str) -> None:
    """Its exposure by systemd's own measure; the agent's is at most 3.0."""
    said = run("systemd-analyze", "security", "--no-pager", unit.replace("@", "@1")).splitlines()[-1]
    level = re.search(r"exposure level for \S+: ([\d.]+)", said)
    tell_more(said.encode("ascii", "ignore").decode().strip())
    assert level is not None
    assert unit != AGENT or float(level[1]) <= EXPOSURE_AT_MOST


def check_who_may_ask(node: Node) -> None:
    """Nobody but root and the agent's user may ask for an action."""
    node.observe()
    assert "denied" in _ask("nobody", REQUEST)
    assert "denied" in _ask("daemon", REQUEST)
    for user in (USER, "root"):
        assert json.loads(_ask(user, REQUEST))["outcome"] == "refused"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "pw-00000000"),
        ({"incident": "../../etc/passwd"}, "incident"),
        ({"remedy": "reboot"}, "no remedy"),
        ({"pid": 1}, "not a request"),
        ({"verb": "run"}, "not a request"),
    ],
    ids=["an unknown incident", "a path", "an unknown remedy", "a pid", "an unknown verb"],
)
def check_what_is_refused(node: Node, change: Dict[str, str], reason: str) -> None:
    """The unit that acts refuses what names no incident of its own."""
    node.observe()
    told = json.loads(_ask(USER, {**REQUEST, **change}))
    tell_more(str(told["detail"]))
    assert told["outcome"] == "refused" and reason in told["detail"]


def check_silent_caller(node: Node) -> None:
    """Who connects and says nothing does not stay, and the next one is answered."""
    node.observe()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.settimeout(240)
        silent.connect(str(ACT_SOCKET))
        assert json.loads(_ask(USER, REQUEST))["outcome"] == "refused"
        assert silent.recv(1) == b""


def _ask(user: str, request: Dict[str, str]) -> str:
    command = [sys.executable, "-I", "-c", ASK, str(ACT_SOCKET), json.dumps(request)]
    done = subprocess.run(
        command,
        user=user,
        group=pwd.getpwnam(user).pw_gid,
        extra_groups=[],
        capture_output=True,
        timeout=300,
        check=False,
    )
    return done.stdout.decode() + done.stderr.decode()


def _stand_in(*more: str) -> Dict[str, int]:
    """What the calls give in a unit that is the agent's but for the program."""
    lines = (UNITS / AGENT).read_text().partition("[Install]")[0].splitlines()
    program = f"ExecStart=/usr/bin/python3 -I {refused_calls.__file__}"
    own = ("Type=oneshot", program, f"StandardOutput=file:{SAID}", *more)
    STAND_IN.write_text("\n".join([*(one for one in lines if not one.startswith(NOT_COPIED)), *own]) + "\n")
    try:
        systemctl("daemon-reload")
        systemctl("start", STAND_IN.name)
        wait_until("it has said everything", lambda: SAID.read_text().count("\n") == len(refused_calls.CALLS))
        return {name: int(number) for name, number in (one.split() for one in SAID.read_text().splitlines())}
    finally:
        STAND_IN.unlink()
        SAID.unlink(missing_ok=True)
        systemctl("daemon-reload")


def _status(pid: int) -> Dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _capabilities(mask: str) -> Set[str]:
    numbers = dict(re.findall(r"#define (CAP_\w+)\s+(\d+)\s*$", NUMBERS.read_text(), re.MULTILINE))
    assert len(numbers) > 38
    return {name for name, number in numbers.items() if int(mask, 16) >> int(number) & 1}


def _capabilities_listed() -> Set[str]:
    """Those that the unit gives."""
    return set(prop(AGENT, "AmbientCapabilities").upper().split())
