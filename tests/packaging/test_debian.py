"""The Debian package: what is in it, and that it runs as it would when installed."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from tests.packaging.conftest import (
    PACKAGING,
    Installed,
    installed_paths,
    needs,
    run,
)
from watchdog import __version__

DOCUMENTS = [
    "/usr/share/doc/pull-watchdog/README.md.gz",
    "/usr/share/doc/pull-watchdog/changelog.gz",
    "/usr/share/doc/pull-watchdog/copyright",
    "/usr/share/lintian/overrides/pull-watchdog",
    "/usr/share/man/man5/pull-watchdog.yaml.5.gz",
    "/usr/share/man/man8/pull-watchdog.8.gz",
    "/usr/share/python3/runtime.d/pull-watchdog.rtupdate",  # a new Python compiles the modules anew
    "/usr/share/zsh/vendor-completions/_pull-watchdog",
]


def test_contents_are_exactly_the_list(deb: Path) -> None:
    assert sorted(_listed(deb)) == sorted(installed_paths() + DOCUMENTS)


def test_everything_belongs_to_root_and_only_root_may_change_it(deb: Path) -> None:
    for line in run("dpkg-deb", "-c", str(deb)).splitlines():
        mode, owner = line.split()[:2]
        assert owner == "root/root", line
        assert mode[5] == "-" and mode[8] == "-", line
        assert "s" not in mode, line


def test_version_is_the_programs_own(deb: Path) -> None:
    assert _field(deb, "Version") == __version__
    assert re.match(r"pull-watchdog \((.+)\)", (PACKAGING / "debian/changelog").read_text())[1] == __version__


def test_it_needs_what_the_code_imports_and_one_way_to_load_probes(deb: Path) -> None:
    depends = re.split(r",\s*", _field(deb, "Depends"))
    needed = {re.split(r"[ :(|]", one)[0] for one in depends}
    libraries = {"psutil", "structlog", "prometheus-client", "yaml", "systemd"}
    assert {"python3", *(f"python3-{name}" for name in libraries)} <= needed
    assert "libbpf1 | python3-bpfcc" in depends  # where libbpf is older than 1.0 it is bcc's
    assert "python3-bpfcc" in _field(deb, "Suggests")


def test_it_bundles_no_library(deb: Path) -> None:
    assert [path for path in _listed(deb) if "/vendor/" in path or "structlog" in path] == []


def test_it_takes_no_name_from_the_other_watchdogs(deb: Path) -> None:
    for path in _listed(deb):
        assert "dist-packages" not in path
        assert not re.search(r"/(s?bin|system|man\d)/watchdog[.\d]*(service|gz)?$", path), path


def test_only_the_configuration_is_the_operators(deb: Path) -> None:
    assert run("dpkg-deb", "--ctrl-tarfile", str(deb), cwd=deb.parent)
    control = _control_files(deb)
    assert control["conffiles"].split() == ["/etc/pull-watchdog/config.yaml"]


def test_it_runs_in_isolated_mode_where_it_is_installed(installed: Installed) -> None:
    assert installed.run("pull-watchdog", "--version") == f"pull-watchdog {__version__}\n"
    assert "doctor" in installed.run("pull-watchdog", "--help")
    assert installed.read("/usr/bin/pull-watchdog").startswith("#!/usr/bin/python3 -I\n")


def test_another_watchdog_in_its_way_is_passed_over(installed: Installed, tmp_path: Path) -> None:
    """Neither PYTHONPATH nor the current directory decides whose `watchdog` is imported."""
    (tmp_path / "watchdog").mkdir()
    (tmp_path / "watchdog/__init__.py").write_text("raise SystemExit('the wrong watchdog')\n")
    command = ("env", f"PYTHONPATH={tmp_path}")
    assert installed.run(*command, "pull-watchdog", "--version", cwd=tmp_path).endswith(f"{__version__}\n")
    # The trap is one: without -I the same directory does win.
    with pytest.raises(AssertionError, match="the wrong watchdog"):
        run(sys.executable, "-c", "import watchdog", cwd=tmp_path)


def test_a_remedys_process_finds_the_same_program(installed: Installed) -> None:
    """The agent starts its actions with this command line, from its own place."""
    code = (
        "import sys; sys.path.insert(0, '/usr/share/pull-watchdog');"
        "from watchdog.act.executor import command_line; from watchdog.config import Config;"
        "import subprocess; sys.exit(subprocess.call(command_line(Config()), stdin=subprocess.DEVNULL))"
    )
    assert "not a request" in installed.run("/usr/bin/python3", "-I", "-c", code)


def test_the_probe_object_is_for_the_kernels_machine(installed: Installed) -> None:
    path = installed.root / "usr/lib/pull-watchdog/probes/pull_watchdog.bpf.o"
    header = path.read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    assert int.from_bytes(header[18:20], "little") == 247  # EM_BPF
    assert not path.stat().st_mode & stat.S_IXUSR


def test_maintainer_scripts_are_shell_without_faults(deb: Path) -> None:
    for name, text in _control_files(deb).items():
        if text.startswith("#!/bin/sh"):
            subprocess.run(["sh", "-n"], input=text.encode(), check=True)
            assert "\nset -e\n" in text, name


def test_lintian_has_nothing_to_say(deb: Path) -> None:
    """Beside a hint of Debian 12's, of which later ones do not know: that it is for systemd is what it is."""
    needs("lintian")
    other_inits = ("--suppress-tags", "package-supports-alternative-init-but-no-init.d-script")
    levels = ("--fail-on", "error,warning", "-I", "--pedantic")
    said = run("lintian", *levels, *other_inits, "--allow-root", str(deb), deadline_s=120.0)
    assert [line for line in said.splitlines() if line.startswith(("E:", "W:", "I:", "P:"))] == []


def test_user_and_directories_are_there_before_the_units_start(deb: Path) -> None:
    postinst = _control_files(deb)["postinst"]
    steps = ("systemd-sysusers ", "systemd-tmpfiles ", "deb-systemd-invoke start")
    user, directories, start = (postinst.index(step) for step in steps)
    assert user < directories < start
    assert postinst.index("py3compile") < start


@pytest.mark.parametrize("word", ["enforce", "daemon-reexec", "restart docker"])
def test_installing_neither_enforces_nor_restarts_the_runtime(deb: Path, word: str) -> None:
    assert word not in "".join(_control_files(deb)[name] for name in ("postinst", "prerm", "postrm"))


def _listed(deb: Path) -> List[str]:
    """Its files, as absolute paths; directories are left out."""
    lines = run("dpkg-deb", "-c", str(deb)).splitlines()
    return [line.split()[5].lstrip(".") for line in lines if not line.startswith("d")]


def _field(deb: Path, name: str) -> str:
    return run("dpkg-deb", "-f", str(deb), name).strip()


def _control_files(deb: Path) -> Dict[str, str]:
    out = deb.parent / "control"
    if not out.exists():
        run("dpkg-deb", "-e", str(deb), str(out))
    return {one.name: one.read_text() for one in out.iterdir()}
