"""The unit, its drop-in for docker, and the directory of the environment file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List

import pytest

from tests.packaging.conftest import PACKAGING, Installed, needs, run
from watchdog.cli.codes import ExitCode
from watchdog.config import Config

UNIT = PACKAGING / "systemd/pull-watchdog.service"
EXPOSURE_AT_MOST = 51  # 5.1, where container runtimes and node monitors have 9.2 to 9.6

# What gives a service a mount namespace of its own (systemd.exec(5), and exec_needs_mount_namespace()
# of systemd 247 to 257).  In one, a bind mount would not reach the host.
IMPLIES_MOUNT_NAMESPACE = {
    *("RootDirectory", "RootImage", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "MountImages"),
    *("ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "MountFlags"),
    *("ExtensionImages", "ExtensionDirectories", "PrivateTmp", "PrivateDevices", "PrivateMounts"),
    *("PrivateNetwork", "PrivateIPC", "NetworkNamespacePath", "IPCNamespacePath", "ProtectSystem"),
    *("ProtectHome", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs"),
    *("ProtectControlGroups", "ProtectProc", "ProcSubset", "DynamicUser", "LogNamespace"),
    *("LoadCredential", "SetCredential", "MountAPIVFS", "PrivatePIDs", "BindLogSockets"),
}


def test_systemd_finds_no_fault(installed: Installed) -> None:
    needs("systemd-analyze")
    unit = "/usr/lib/systemd/system/pull-watchdog.service"
    assert installed.run("systemd-analyze", "verify", "--man=no", unit).strip() == ""


def test_exposure(tmp_path: Path) -> None:
    needs("systemd-analyze")
    threshold = f"--threshold={EXPOSURE_AT_MOST}"
    said = run("systemd-analyze", "security", "--offline=true", threshold, "--no-pager", str(UNIT))
    assert "Overall exposure level" in said
    # The limit is one: without confinement the same unit is above it.
    naked = tmp_path / "naked.service"
    naked.write_text("[Service]\nExecStart=/bin/true\n")
    with pytest.raises(AssertionError, match=r"exposure level.* 9\.\d"):
        run("systemd-analyze", "security", "--offline=true", threshold, "--no-pager", str(naked))


def test_nothing_gives_it_a_mount_namespace() -> None:
    assert not set(_settings(UNIT)) & IMPLIES_MOUNT_NAMESPACE


def test_openat2_is_left_to_it() -> None:
    """systemd takes it away with RestrictSUIDSGID=, because a filter cannot see its mode."""
    assert "RestrictSUIDSGID" not in _settings(UNIT)


def test_directories_are_those_of_the_configuration() -> None:
    settings, default = _settings(UNIT), Config()
    assert settings["StateDirectory"] == [default.state_dir.name]
    assert default.state_dir.parent == Path("/var/lib")
    assert settings["RuntimeDirectory"] == [default.run_dir.name]
    assert default.run_dir.parent == Path("/run")
    assert settings["RuntimeDirectoryPreserve"] == ["yes"]  # or a restart would lose lock and incidents


def test_what_cannot_get_better_is_not_tried_again() -> None:
    codes = _settings(UNIT)["RestartPreventExitStatus"][0].split()
    assert sorted(map(int, codes)) == sorted([ExitCode.USAGE, ExitCode.PERMISSION])


def test_a_remedy_outlives_the_agent() -> None:
    assert _settings(UNIT)["KillMode"] == ["process"]


def test_docker_reads_the_file_that_disable_pigz_writes() -> None:
    drop_in = PACKAGING / "systemd/docker.service.d/pull-watchdog.conf"
    env_file = Config().runtimes[0].env_file
    assert _settings(drop_in) == {"EnvironmentFile": [f"-{env_file}"]}  # "-": it need not exist


def test_nobody_but_root_can_write_that_file() -> None:
    text = (PACKAGING / "systemd/tmpfiles.conf").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    env_file = Config().runtimes[0].env_file
    assert env_file is not None
    assert lines == [f"d {env_file.parent} 0700 root root -"]
    # Not below the agent's own directory, which systemd may remove.
    assert Config().run_dir not in env_file.parents


def _settings(path: Path) -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    for line in path.read_text().splitlines():
        setting = re.fullmatch(r"([A-Za-z]+)=(.*)", line)
        if setting:
            found.setdefault(setting[1], []).append(setting[2])
    return found
