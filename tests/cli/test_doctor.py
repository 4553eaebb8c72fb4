"""`doctor`: every finding says what was seen and what to do; nothing is changed, nothing holds it up."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import ROOT, call
from tests.lab.harbor import harbor
from tests.report.ticks import QUIET
from watchdog.cli.checks import OF_HOST, OF_RUNTIME
from watchdog.cli.checks import host as host_checks
from watchdog.host import proc
from watchdog.report.vitals import Vitals

LEVELS = {"ok", "warn", "fail", "unknown"}


@pytest.fixture
def quiet(host):
    """A host whose runtime's socket is not there."""
    configure(host, f"runtimes: [{{socket: 'unix://{host.home}/docker.sock', pidfile: {host.home}/pid}}]\n")
    return host


def configure(host, more: str, metrics: str = "metrics: {listen: off}\n"):
    host.file.write_text(f"run_dir: {host.run_dir}\nstate_dir: {host.state_dir}\n{metrics}{more}")


def findings(host):
    done = host.call("doctor", "--json")
    assert done.err == ""
    return {one["id"]: one for one in done.json}, done.status


def level_and_words(host, name):
    one = findings(host)[0][name]
    return one["level"], f"{one['seen']} -> {one['advice']}"


def test_every_check_answers_in_the_same_shape_and_trouble_comes_with_advice(quiet):
    found, status = findings(quiet)

    assert list(found) == [name for name, _ in OF_HOST] + [f"docker.{name}" for name, _ in OF_RUNTIME]
    assert len(found) >= 15
    for one in found.values():
        assert one.keys() == {"id", "level", "seen", "advice"}
        assert one["level"] in LEVELS
        assert one["seen"]
        assert one["advice"] or one["level"] in ("ok", "unknown"), one
    assert status == (1 if any(one["level"] == "fail" for one in found.values()) else 0)


def test_people_get_80_columns_with_an_arrow_before_each_advice(quiet):
    done = quiet.call("doctor")

    assert "warn     docker.api" in done.out
    assert "-> start the runtime" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_wrong_configuration_is_a_finding_and_the_rest_is_still_examined(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("mode: enforced\n")

    done = call("doctor", "--json", "-c", str(path))

    assert done.status == 1
    assert (done.json[0]["id"], done.json[0]["level"]) == ("config", "fail")
    assert "config.yaml:1: mode cannot be" in done.json[0]["seen"]
    assert len(done.json) == len(OF_HOST) + len(OF_RUNTIME)


def test_a_configuration_that_others_can_change_is_told(quiet):
    quiet.file.chmod(0o644)
    assert level_and_words(quiet, "config")[0] == "ok"

    quiet.file.chmod(0o666)
    level, words = level_and_words(quiet, "config")
    assert level == "warn"
    assert f"chmod go-w {quiet.file}" in words


def test_each_file_of_the_configuration_is_named_and_looked_at(quiet):
    fragment = quiet.file.parent / "conf.d" / "50-site.yaml"
    fragment.parent.mkdir()
    fragment.write_text("mode: enforce\n")
    level, words = level_and_words(quiet, "config")
    assert level == "ok"
    assert f"{quiet.file}, {fragment}: enforce mode" in words

    fragment.chmod(0o666)
    assert f"chmod go-w {fragment}" in level_and_words(quiet, "config")[1]


def test_a_port_in_use_is_told_and_a_free_one_is_not(quiet):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        configure(quiet, "", metrics=f"metrics: {{listen: '127.0.0.1:{port}'}}\n")
        level, words = level_and_words(quiet, "metrics")
        assert level == "fail"
        assert f"127.0.0.1:{port}: Address already in use" in words

    assert level_and_words(quiet, "metrics")[0] == "ok"


def test_directories_that_cannot_be_written_are_told(quiet):
    found, _ = findings(quiet)
    assert found["state_dir"]["level"] == "ok"  # not made yet, but it can be

    quiet.state_dir.write_text("in the way")
    quiet.run_dir.write_text("in the way")
    found, status = findings(quiet)
    assert (found["state_dir"]["level"], found["run_dir"]["level"], status) == ("fail", "fail", 1)
    assert str(quiet.state_dir) in found["state_dir"]["seen"]


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a directory in memory")
def test_a_run_directory_on_a_disk_is_told_and_one_in_memory_is_not(quiet):
    in_memory = f"/dev/shm/pull-watchdog-test-{os.getpid()}"
    quiet.file.write_text(f"run_dir: {in_memory}\nstate_dir: {quiet.state_dir}\n")
    assert level_and_words(quiet, "run_dir") == ("ok", f"{in_memory}, in memory -> ")

    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", str(quiet.home)], capture_output=True, text=True, timeout=10, check=True
    ).stdout.strip()
    if kind != "tmpfs":
        configure(quiet, "")
        level, words = level_and_words(quiet, "run_dir")
        assert level == "warn"
        assert "stalled disk" in words


def test_a_corrupt_ledger_is_told_with_its_line_and_left_as_it_is(quiet):
    assert level_and_words(quiet, "ledger")[0] == "ok"

    quiet.state_dir.mkdir()
    path = quiet.state_dir / "ledger.jsonl"
    path.write_text("not a ledger\n")
    level, words = level_and_words(quiet, "ledger")
    assert level == "fail"
    assert f"{path}:1" in words
    assert path.read_text() == "not a ledger\n"


def test_a_log_that_cannot_be_read_is_told(quiet):
    log = quiet.home / "dockerd.log"
    configure(quiet, f"runtimes: [{{socket: 'unix://{quiet.home}/docker.sock', log: {log}}}]\n")
    assert level_and_words(quiet, "docker.log")[0] == "warn"

    log.write_text("a line\n")
    assert level_and_words(quiet, "docker.log")[0] == "ok"


def test_the_other_logs_are_named_and_one_that_cannot_be_read_is_told(quiet):
    log = quiet.home / "nginx.log"
    configure(quiet, f"logs: [{{name: nginx, file: {log}}}, {{name: p2p, container: dfdaemon}}]\n")
    assert level_and_words(quiet, "logs")[0] == "warn"

    log.write_text("a line\n")
    level, words = level_and_words(quiet, "logs")
    assert (level, words) == ("ok", f"nginx ({log}), p2p (container dfdaemon) -> ")


def test_a_harbor_is_asked_how_it_is(quiet):
    with harbor() as one:
        configure(quiet, f"harbor: ['{one.url}']\n")
        assert level_and_words(quiet, "harbors") == ("ok", f"{one.url} is well -> ")

        one.manner.sick = ("database",)
        level, words = level_and_words(quiet, "harbors")
        assert level == "warn"
        assert "database: failed to run SQL" in words


def test_the_p2p_client_is_named_with_a_key_that_it_does_not_know(quiet):
    config = quiet.home / "dfdaemon.yaml"
    config.write_text("download:\n  pieceTimeout: 30s\n")
    said = quiet.file.read_text()
    quiet.file.write_text(said + f"p2p: {{config: {config}}}\n")
    assert level_and_words(quiet, "p2p")[1].endswith("start it, or take it out of the runtime's mirrors")

    config.write_text("download:\n  pieceDownloadTimeout: 600s\n")
    level, words = level_and_words(quiet, "p2p")
    assert level == "warn" and "ignores without a word" in words and "write download.pieceTimeout" in words

    quiet.file.write_text(said + "p2p: off\n")
    assert level_and_words(quiet, "p2p")[0] == "ok"


def test_a_runtime_that_is_silent_does_not_hold_it_up(quiet):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{quiet.home}/docker.sock")
        silent.listen()
        before = time.monotonic()
        level, words = level_and_words(quiet, "docker.api")

    assert time.monotonic() - before < 40
    assert level == "fail"
    assert "no answer within the deadline" in words


def test_a_check_that_hangs_is_unknown(quiet):
    os.mkfifo(quiet.home / "dockerd.log")
    configure(
        quiet, f"runtimes: [{{socket: 'unix://{quiet.home}/docker.sock', log: {quiet.home}/dockerd.log}}]\n"
    )

    assert level_and_words(quiet, "docker.log") == ("unknown", "the check did not answer within 6 s -> ")


def test_a_remote_runtime_is_told(quiet):
    configure(quiet, "runtimes: [{socket: 'tcp://10.0.0.1:2375'}]\n")

    level, words = level_and_words(quiet, "docker.api")
    assert level == "warn"
    assert "not on this host" in words


@pytest.mark.parametrize(("name", "level"), [("bcc", "ok"), ("polling", "warn")])
def test_the_engine_of_a_running_agent_is_told_and_why_no_better_one(quiet, name, level):
    attempts = (("libbpf", "libbpf.so.1 is not installed"),)
    quiet.tell(QUIET, Vitals(engine=name, engine_attempts=attempts, kernel_events_lost=7))

    found, _ = findings(quiet)

    assert found["agent"]["level"] == "ok"
    assert found["engine"]["level"] == level
    assert f"{name} (not libbpf: libbpf.so.1 is not installed); 7 events were lost" in found["engine"]["seen"]


def test_an_engine_that_was_asked_for_is_no_trouble(quiet):
    configure(quiet, "engine: polling\n")
    quiet.tell(QUIET, Vitals(engine="polling"))

    assert level_and_words(quiet, "engine")[0] == "ok"


def test_a_pause_is_told_in_enforce_mode(quiet):
    configure(quiet, "mode: enforce\n")
    assert level_and_words(quiet, "action")[0] == "ok"

    quiet.call("pause", "1h", "--reason", "new disks")
    level, words = level_and_words(quiet, "action")
    assert level == "warn"
    assert "new disks" in words


@pytest.mark.parametrize(("name", "arguments", "is_rival"), [
    ("monit", (), True),
    ("monitor", (), False),
    ("node-problem-detector", ("health-checker",), True),
    ("node-problem-detector", ("kernel-monitor",), False),
    ("sh", ("/docker-entrypoint", "autoheal"), True),
    ("cat", ("autoheal",), False),
])  # fmt: skip
def test_a_rival_is_known_by_its_name_and_arguments(tmp_path, name, arguments, is_rival):
    """Real processes: a program of that name that waits for its input, whatever its arguments are."""
    program = tmp_path / name
    shutil.copy("/bin/sh", program)
    process = subprocess.Popen([program, "-c", "read x; read y", *arguments], stdin=subprocess.PIPE)
    try:
        with proc.Process(process.pid) as seen:
            limit = time.monotonic() + 5
            while seen.stat().comm != name[:15] and time.monotonic() < limit:
                time.sleep(0.01)
            assert bool(host_checks._rival(seen.stat().comm, seen.key)) is is_rival
    finally:
        process.communicate(b"\n\n", timeout=10)


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_it_changes_nothing(quiet, tmp_path):
    trace = tmp_path / "trace"
    calls = (
        "openat,open,creat,mkdir,mkdirat,unlink,unlinkat,rename,renameat2,chmod,fchmod,mount,setns,kill,bpf"
    )
    strace = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={calls},ptrace"]
    doctor = [sys.executable, "-B", "-m", "watchdog", "doctor", "-c", str(quiet.file)]
    subprocess.run([*strace, *doctor], cwd=ROOT, capture_output=True, timeout=120, check=False)

    for line in trace.read_text().splitlines():
        if " resumed>" in line:
            continue  # the end of a call whose beginning was looked at
        if "openat(" in line or "open(" in line:
            writes = any(flag in line for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"))
            assert not writes or "/dev/null" in line or "ENOENT" in line, line
        else:
            # Only the children in which checks run are ended.
            assert "SIGKILL" in line or "+++ " in line or "--- " in line, line


@pytest.mark.lab
def test_a_real_runtime_is_described(quiet):
    lab_module = pytest.importorskip("tests.lab.lab")
    if os.geteuid() != 0 or not all(
        shutil.which(one) for one in ("dockerd", "containerd", "docker-registry")
    ):
        pytest.skip("needs root, dockerd, containerd and docker-registry")
    with lab_module.Lab() as lab:
        daemon = lab.dockerd
        runtime = f"socket: 'unix://{daemon.socket}', pidfile: {daemon.pidfile}, log: {daemon.log}"
        configure(quiet, f"runtimes: [{{{runtime}}}]\n")
        found, _ = findings(quiet)

    seen = {name: (one["level"], one["seen"]) for name, one in found.items() if name.startswith("docker.")}
    assert seen["docker.api"][0] == "ok"
    assert "answers, version 2" in seen["docker.api"][1]
    assert seen["docker.process"][1].endswith("/dockerd")
    assert seen["docker.sight"] == ("ok", "its pulls can be seen in full")
    assert str(lab.root) in seen["docker.data_root"][1]
    assert seen["docker.live_restore"][0] == "warn"
    assert seen["docker.decompressor"][0] == "ok"
    assert "unpigz" in seen["docker.decompressor"][1]
    assert seen["docker.log"] == ("ok", f"{lab.dockerd.log} can be read")
