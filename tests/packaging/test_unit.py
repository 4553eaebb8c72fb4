"""The agent's unit, that of its remedies with its socket, the drop-ins of the runtimes, the directories."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List

import pytest

from tests.packaging.conftest import PACKAGING, Installed, needs, run
from watchdog.cli.codes import ExitCode
from watchdog.config import Config
from watchdog.host.privileged import SOCKET_VARIABLE

SYSTEMD = PACKAGING / "systemd"
AGENT = SYSTEMD / "pull-watchdog.service"
REMEDY = SYSTEMD / "pull-watchdog-act@.service"
SOCKET = SYSTEMD / "pull-watchdog-act.socket"
# 3.0 and 5.1, where container runtimes and node monitors have 9.2 to 9.6.
EXPOSURE_AT_MOST = {AGENT: 30, REMEDY: 51}

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


@pytest.mark.parametrize("unit", [AGENT, SOCKET])
def test_systemd_finds_no_fault(installed: Installed, unit: Path) -> None:
    needs("systemd-analyze")
    path = f"/usr/lib/systemd/system/{unit.name}"
    assert installed.run("systemd-analyze", "verify", "--man=no", path).strip() == ""


@pytest.mark.parametrize("unit", [AGENT, REMEDY])
def test_exposure(unit: Path, tmp_path: Path) -> None:
    needs("systemd-analyze")
    threshold = f"--threshold={EXPOSURE_AT_MOST[unit]}"
    said = run("systemd-analyze", "security", "--offline=true", threshold, "--no-pager", str(unit))
    assert "Overall exposure level" in said
    # The limit is one: without confinement the same unit is above it.
    naked = tmp_path / "naked.service"
    naked.write_text("[Service]\nExecStart=/bin/true\n")
    with pytest.raises(AssertionError, match=r"exposure level.* 9\.\d"):
        run("systemd-analyze", "security", "--offline=true", threshold, "--no-pager", str(naked))


def test_the_agent_is_nobody_else_and_cannot_touch_a_process() -> None:
    settings = _settings(AGENT)
    assert settings["User"] == ["pull-watchdog"]
    assert settings["AmbientCapabilities"] == settings["CapabilityBoundingSet"]
    assert not {"CAP_KILL", "CAP_SYS_ADMIN", "CAP_NET_ADMIN"} & set(
        settings["CapabilityBoundingSet"][0].split()
    )
    refused = " ".join(line for line in settings["SystemCallFilter"] if line.startswith("~")).replace("~", "")
    calls = {"kill", "tgkill", "pidfd_send_signal", "ptrace", "process_vm_writev", "mount", "setns"}
    assert calls <= set(refused.split())


def test_nothing_gives_a_remedy_a_mount_namespace() -> None:
    assert not set(_settings(REMEDY)) & IMPLIES_MOUNT_NAMESPACE


def test_openat2_is_left_to_a_remedy() -> None:
    """systemd takes it away with RestrictSUIDSGID=, because a filter cannot see its mode."""
    assert "RestrictSUIDSGID" not in _settings(REMEDY)


def test_what_a_remedy_has_started_outlives_it() -> None:
    assert _settings(REMEDY)["KillMode"] == ["process"]


def test_the_agent_asks_where_the_remedies_socket_listens() -> None:
    (path,) = _settings(SOCKET)["ListenStream"]
    assert _settings(AGENT)["Environment"] == [f"{SOCKET_VARIABLE}={path}"]
    assert Path(path).parent == Config().run_dir
    assert _settings(SOCKET)["SocketGroup"] == _settings(AGENT)["User"]
    assert SOCKET.name in _settings(AGENT)["Wants"]


def test_directories_are_those_of_the_configuration_and_not_systemds_to_remove() -> None:
    settings, default = _settings(AGENT), Config()
    assert settings["ReadWritePaths"] == [f"{default.run_dir} {default.state_dir}"]
    assert not {"StateDirectory", "RuntimeDirectory"} & set(settings)
    shared = {line.split()[1]: line.split()[2:5] for line in _lines(SYSTEMD / "tmpfiles.conf")}
    for directory in (default.run_dir, default.state_dir):
        # Sticky: what root writes there the agent can neither move away nor replace.
        assert shared[str(directory)] == ["1775", "root", settings["User"][0]]


def test_the_user_is_made_and_may_ask_docker() -> None:
    assert [line.split()[:3] for line in _lines(SYSTEMD / "sysusers.conf")] == [
        ["u", "pull-watchdog", "-"],
        ["m", "pull-watchdog", "docker"],
    ]


def test_what_cannot_get_better_is_not_tried_again() -> None:
    codes = _settings(AGENT)["RestartPreventExitStatus"][0].split()
    assert sorted(map(int, codes)) == sorted([ExitCode.USAGE, ExitCode.PERMISSION])


def test_docker_reads_the_file_that_disable_pigz_writes() -> None:
    env_file = Config().runtimes[0].env_file
    # "-": it need not exist.
    assert _settings(SYSTEMD / "docker.service.d/pull-watchdog.conf") == {"EnvironmentFile": [f"-{env_file}"]}


def test_nobody_but_root_can_write_the_runtimes_environment() -> None:
    env_file = Config().runtimes[0].env_file
    assert env_file is not None
    assert f"d {env_file.parent} 0700 root root -" in _lines(SYSTEMD / "tmpfiles.conf")
    for drop_in in SYSTEMD.glob("*.service.d/*.conf"):
        (path,) = _settings(drop_in)["EnvironmentFile"]
        assert Path(path.lstrip("-")).parent == env_file.parent
    assert Config().run_dir not in env_file.parents


def _lines(path: Path) -> List[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def _settings(path: Path) -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    for line in path.read_text().splitlines():
        setting = re.fullmatch(r"([A-Za-z]+)=(.*)", line)
        if setting:
            found.setdefault(setting[1], []).append(setting[2])
    return found
