"""gzip in the place of unpigz: pigz and its package go on working, and it goes away again.

Each case runs in a copy of the system (tests/lab/system_copy.py), because there the
system's own unpigz hangs at every layer, and its package is installed anew.  Run as
a program, `FORM END`, this is one case inside such a copy.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from enum import Enum
from functools import partial
from pathlib import Path

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, check
from tests.lab.faults import FakeUnpigz, Fault, compiled
from tests.lab.lab import Lab
from tests.lab.processes import run, wait_until
from tests.lab.system_copy import require, run_inside

SYSTEM = Path("/usr/bin")
UNPIGZ = SYSTEM / "unpigz"
EXPIRY_S = 40
DEADLINE_S = 300.0


class Form(Enum):
    """How gzip takes the place; the agent mounts only where no link can be made."""

    LINK = "link"
    MOUNT = "mount"


class End(Enum):
    """What takes it away again."""

    REVERT = "revert"
    EXPIRY = "expiry"
    UPGRADE = "dpkg -i"


def substituted(form: Form, end: End) -> Measured:
    """The case, in a copy of the system."""
    done = run_inside([sys.executable, "-m", __name__, form.value, end.value], DEADLINE_S)
    if done.returncode != 0:
        raise AssertionError((done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def inside(form: Form, end: End) -> Measured:
    """The system's unpigz hangs at every layer until gzip stands in for it."""
    require()
    with Lab() as lab:
        package = pack_pigz(lab.root)
        fault = _break_unpigz()
        if form is Form.MOUNT:
            _leave_no_place_for_a_link(lab)
        expiry = f"{EXPIRY_S}s" if end is End.EXPIRY else "24h"
        with Agent(lab, expiries={"substitute_decompressor": expiry}) as agent:
            fault.arm(Fault.PAUSE, 8 * images.MB)
            lab.pull(images.SMALL)
            wait_until(lambda: _stands_in(lab, form), f"gzip stands in by a {form.value}", 90.0)
            wait_until(lambda: lab.has(images.SMALL) or None, "the image is there", 60.0)
            _check_pigz("while gzip stands in for unpigz")
            said = _take_away(lab, agent, form, end, package)
            _check_pigz("afterwards")
            left = list(agent.run_dir.parent.rglob("unpigz-*"))
            check(not left, f"nothing of it is left beside the run directory: {left}")
    return Measured(seen=said)


def _take_away(lab: Lab, agent: Agent, form: Form, end: End, package: Path) -> str:
    if end is End.EXPIRY:
        wait_until(lambda: not _stands_in(lab, form), "its time is over", EXPIRY_S + 60.0)
        return f"the agent undid it after {EXPIRY_S} s; pigz -p 2 worked"
    if end is End.UPGRADE:
        run("dpkg", "-i", str(package), deadline_s=180.0)
        check(run("sh", "-c", "echo works | pigz | unpigz") == "works\n", "the new unpigz works")
        check(not _is_mounted(), "dpkg took the mount away")
    told = agent.command("revert", "substitute_decompressor").strip()
    check(not _stands_in(lab, form), f"it is gone: {told}")
    return f"pigz -p 2 worked{', dpkg -i succeeded' if end is End.UPGRADE else ''}; {told.splitlines()[-1]}"


def _stands_in(lab: Lab, form: Form) -> bool:
    if form is Form.MOUNT:
        return _is_mounted() and UNPIGZ.samefile("/usr/bin/gzip")
    return os.path.lexists(lab.dockerd.early / "unpigz")


def _is_mounted() -> bool:
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split(" ")[4] == str(UNPIGZ) for line in mounts)


def _check_pigz(when: str) -> None:
    said = run("sh", "-c", "echo works | pigz -p 2 -c | gzip -dc")
    check(said == "works\n", f"pigz -p 2 works {when}: {said}")


def _break_unpigz() -> FakeUnpigz:
    """Put the fake in the place of the system's own unpigz."""
    fresh = SYSTEM / "unpigz.new"
    shutil.copy(compiled(), fresh)
    fresh.replace(UNPIGZ)
    return FakeUnpigz(SYSTEM.parent, SYSTEM)


def _leave_no_place_for_a_link(lab: Lab) -> None:
    """Others could write to every folder before unpigz's own."""
    for folder in (lab.dockerd.early, lab.dockerd.programs, Path("/usr/sbin")):
        folder.chmod(0o777)


def pack_pigz(folder: Path) -> Path:
    """The pigz package, packed again from what is installed of it: the network is not needed."""
    tree = folder / "pigz"
    for name in run("dpkg", "-L", "pigz").split():
        if Path(name).is_file():
            (tree / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, tree / name[1:])
    (tree / "usr/bin/unpigz").unlink()
    os.link(tree / "usr/bin/pigz", tree / "usr/bin/unpigz")  # one file with two names, as in the original
    (tree / "DEBIAN").mkdir()
    status = run("dpkg", "-s", "pigz").splitlines()
    control = [line for line in status if not line.startswith(("Status:", "Conffiles:"))]
    (tree / "DEBIAN/control").write_text("\n".join(control) + "\n")
    run("dpkg-deb", "--build", "--root-owner-group", str(tree), str(folder / "pigz.deb"))
    return folder / "pigz.deb"


def main() -> None:
    """One case, inside; its measurement as JSON on the last line."""
    form, end = sys.argv[1:]
    print(json.dumps(vars(inside(Form(form), End(end)))))


CASES = [
    Case(
        f"substitution in place by a {form.value}, then {end.value}",
        "`pigz -p 2` works; `dpkg -i` of pigz succeeds; it is taken away",
        partial(substituted, form, end),
        once=True,
    )
    for form in Form
    for end in End
]

if __name__ == "__main__":
    main()
