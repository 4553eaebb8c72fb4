"""restart_runtime and disable_pigz: only under every condition, and each refusal with its reason."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
from dataclasses import replace
from typing import Iterator

import pytest
import yaml

from tests.act.scene import Scene, sample
from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.faults import Fault
from tests.lab.lab import Lab
from tests.lab.processes import has_ended, run, send, wait_until
from watchdog.core.causes.finding import Cause
from watchdog.core.target import Target
from watchdog.host import proc

pytestmark = pytest.mark.lab

PIGZ_OFF = "MOBY_DISABLE_PIGZ=true"


def hung(scene: Scene) -> str:
    return scene.record(Cause.DECOMPRESSOR_BLOCKED, scene.hang(Fault.PAUSE, runs=-1))


def configure(scene: Scene, **changes: object) -> None:
    """Change the configuration of the runtime."""
    content = yaml.safe_load(scene.agent.config.read_text())
    content["runtimes"][0].update(changes)
    scene.agent.configure(content)


def refused(scene: Scene, remedy: str, incident: str) -> str:
    """Why the remedy is refused; the daemon and its environment are as they were."""
    daemon, environment = scene.lab.dockerd.pid, scene.lab.dockerd.environment.read_text()
    result = scene.act(remedy, incident)
    assert result["outcome"] == "refused", result
    assert scene.lab.dockerd.pid == daemon
    assert not has_ended(daemon)
    assert scene.lab.dockerd.environment.read_text() == environment
    assert scene.ledger == ()
    return str(result["detail"])


class TestRestart:
    def test_another_process_answers(self, scene: Scene) -> None:
        incident, before = hung(scene), scene.lab.dockerd.pid

        result = scene.act("restart_runtime", incident)

        assert result["outcome"] == "done", result
        assert result["extra"] == {"old_pid": before, "new_pid": scene.lab.dockerd.pid}
        assert has_ended(before)

    def test_one_that_does_not_stop_is_killed(self, scene: Scene) -> None:
        incident, before = hung(scene), scene.lab.dockerd.pid
        content = yaml.safe_load(scene.agent.config.read_text())
        scene.agent.configure({**content, "deadlines": {"restart_runtime": "20s"}})
        patient = scene.lab.root / "patient"
        # Waits for the old one for ever, as systemd does for a stop without a time limit.
        patient.write_text(
            "#!/bin/sh\n"
            f"while grep '^State:' /proc/{before}/status | grep -qv Z; do sleep 0.1; done\n"
            f"exec {scene.lab.dockerd.service} start\n"
        )
        patient.chmod(0o755)
        configure(scene, restart=[str(patient)])

        result = scene.act("restart_runtime", incident)

        assert result["outcome"] == "done", result
        assert "did not stop within 8 s and was killed" in result["detail"]
        assert has_ended(before)
        assert scene.lab.dockerd.api.get("/version")["Version"]

    def test_a_command_that_fails_leaves_it_running(self, scene: Scene) -> None:
        incident, before = hung(scene), scene.lab.dockerd.pid
        configure(scene, restart=["/bin/sh", "-c", "echo no such thing >&2; exit 3"])

        result = scene.act("restart_runtime", incident)

        assert result["outcome"] == "failed"
        assert "no such thing" in result["detail"]
        assert scene.lab.dockerd.pid == before
        assert not has_ended(before)

    def test_a_silent_one_is_asked_for_its_goroutines_first(self, scene: Scene) -> None:
        incident, before = hung(scene), scene.lab.dockerd.pid
        tell_earlier(scene, live_restore=False, containers_running=0, swarm=False)
        with deaf(scene):
            result = scene.act("restart_runtime", incident)

        assert result["outcome"] == "done", result
        assert "was asked for its goroutines" in result["detail"]
        assert "goroutine" in scene.lab.dockerd.log_text()
        assert has_ended(before)

    def test_a_dry_run_touches_nothing(self, scene: Scene) -> None:
        incident, daemon, before = hung(scene), scene.lab.dockerd.pid, scene.changes()

        result = scene.act("restart_runtime", incident, "--dry-run")

        assert result["outcome"] == "done"
        assert f"run `{scene.lab.dockerd.service} restart`" in result["steps"][0]
        assert scene.lab.dockerd.pid == daemon
        assert scene.changes() == before


class TestRefusals:
    def test_without_a_way_to_restart(self, scene: Scene) -> None:
        incident = hung(scene)
        content = yaml.safe_load(scene.agent.config.read_text())
        del content["runtimes"][0]["restart"]
        scene.agent.configure(content)

        assert "names neither a service nor a restart command" in refused(scene, "restart_runtime", incident)

    def test_while_another_pull_moves(self, scene: Scene) -> None:
        incident = hung(scene)
        scene.lab.unpigz.arm(Fault.SLOW, after_bytes=0, runs=1)
        scene.lab.pull(images.OTHER)
        wait_until(lambda: len(scene.lab.dockerd.decompressors) >= 2, "the other pull is in extraction")

        assert "something is under way that moves: " in refused(scene, "restart_runtime", incident)

    def test_while_a_build_waits(self, scene: Scene) -> None:
        incident = hung(scene)
        client = scene.lab.build(images.OTHER)
        wait_until(lambda: len(scene.lab.dockerd.decompressors) >= 2, "the build has begun")

        assert f"docker build (pid {client.pid}) is in progress" in refused(
            scene, "restart_runtime", incident
        )

    def test_with_a_configuration_that_would_not_come_up(self, scene: Scene) -> None:
        incident = hung(scene)
        scene.lab.dockerd.config.write_text("{oops")

        told = refused(scene, "restart_runtime", incident)
        assert "would not start again" in told or "its configuration is not valid: " in told  # 23 and later

    def test_of_a_stopped_daemon(self, scene: Scene) -> None:
        incident, daemon = hung(scene), scene.lab.dockerd.pid
        scene.stop(daemon)

        assert "resume frees it" in refused(scene, "restart_runtime", incident)
        send(daemon, signal.SIGCONT)

    def test_of_a_silent_one_that_never_answered(self, scene: Scene) -> None:
        incident = hung(scene)
        with deaf(scene):
            assert "it never answered before" in refused(scene, "restart_runtime", incident)

    def test_of_a_silent_one_whose_predecessor_answered(self, scene: Scene) -> None:
        incident = hung(scene)
        tell_earlier(scene, start_ticks=1, live_restore=True, containers_running=0, swarm=False)
        with deaf(scene):
            assert "it never answered before" in refused(scene, "restart_runtime", incident)

    @pytest.mark.parametrize(
        ("told", "reason"),
        [
            (
                {"live_restore": False, "containers_running": 3, "swarm": False},
                "3 container(s) run and live-restore",
            ),
            ({"live_restore": True, "containers_running": 3, "swarm": True}, "member of a swarm"),
        ],
    )
    def test_of_a_silent_one_by_what_it_said_before(
        self, scene: Scene, told: dict[str, object], reason: str
    ) -> None:
        incident = hung(scene)
        tell_earlier(scene, **told)
        with deaf(scene):
            assert reason in refused(scene, "restart_runtime", incident)


class TestAForgedIncident:
    """What the agent has written says where to look; the machine decides."""

    def test_of_a_process_that_is_not_the_runtime_s(self, scene: Scene) -> None:
        incident = hung(scene)
        seen = scene.read(incident)
        scene.write(replace(seen, culprit=sample(scene.lab.registry.pid)))

        assert "does not descend from the runtime" in refused(scene, "restart_runtime", incident)

    def test_of_an_api_that_answers(self, scene: Scene) -> None:
        daemon = scene.lab.dockerd.pid
        for cause in (Cause.DAEMON_UNRESPONSIVE, Cause.DAEMON_STOPPED):
            incident = scene.record(cause, daemon, target=Target())
            assert "its API answers by now" in refused(scene, "restart_runtime", incident)

    def test_of_a_silent_one_whose_containers_run_whatever_it_said(self, scene: Scene) -> None:
        run_container(scene)
        incident = hung(scene)
        tell_earlier(scene, live_restore=True, containers_running=0, swarm=False)
        with deaf(scene):
            said = refused(scene, "restart_runtime", incident)
        assert "1 container(s) run and live-restore is off" in said

    def test_of_a_silent_one_in_a_swarm_whatever_it_said(self, scene: Scene) -> None:
        incident = hung(scene)
        tell_earlier(scene, live_restore=True, containers_running=0, swarm=False)
        (scene.lab.dockerd.data_root / "swarm/docker-state.json").write_text("{}")
        with deaf(scene):
            assert "member of a swarm" in refused(scene, "restart_runtime", incident)


class TestContainers:
    """With containers that run, live-restore decides."""

    def test_without_live_restore_it_is_refused(self, scene: Scene) -> None:
        run_container(scene)
        incident = hung(scene)

        assert "1 container(s) run and live-restore is off" in refused(scene, "restart_runtime", incident)

    def test_with_live_restore_they_go_on(self, live_restore: Scene) -> None:
        container = run_container(live_restore)
        incident = hung(live_restore)

        result = live_restore.act("restart_runtime", incident)

        assert result["outcome"] == "done", result
        state = live_restore.lab.dockerd.api.get(f"/containers/{container}/json")["State"]
        assert state["Running"]
        assert not has_ended(state["Pid"])

    def test_with_live_restore_they_go_on_when_the_api_is_silent(self, live_restore: Scene) -> None:
        run_container(live_restore)
        incident = hung(live_restore)
        tell_earlier(live_restore, live_restore=True, containers_running=1, swarm=False)
        with deaf(live_restore):
            result = live_restore.act("restart_runtime", incident, "--dry-run")

        assert result["outcome"] == "done", result
        assert "1 container(s) go on" in result["steps"][1]

    def test_an_exec_in_one_is_not_cut_off(self, live_restore: Scene) -> None:
        container = run_container(live_restore)
        incident = hung(live_restore)
        live_restore.lab.client("exec", container, "/sleep", "60")
        api = live_restore.lab.dockerd.api
        wait_until(lambda: api.get(f"/containers/{container}/json")["ExecIDs"], "the exec has begun")

        said = refused(live_restore, "restart_runtime", incident)

        assert f"an exec in container {container[:12]} is in progress" in said
        assert "docker exec (pid" in said


class TestDisablePigz:
    def test_the_new_process_decompresses_by_itself(self, scene: Scene) -> None:
        incident = hung(scene)
        configure(scene, env_file=str(scene.lab.dockerd.environment))

        result = scene.act("disable_pigz", incident)

        assert result["outcome"] == "done", result
        assert scene.lab.dockerd.environment.read_text() == f"{PIGZ_OFF}\n"
        assert scene.lab.pull(images.OTHER).wait() == 0
        assert scene.ledger[-1].expires_wall_ns is not None

    def test_without_a_restart_the_line_is_taken_back(self, scene: Scene) -> None:
        incident, before = hung(scene), scene.lab.dockerd.pid
        configure(scene, env_file=str(scene.lab.dockerd.environment), restart=["/bin/false"])

        result = scene.act("disable_pigz", incident)

        assert result["outcome"] == "failed"
        assert scene.lab.dockerd.environment.read_text() == ""
        assert scene.lab.dockerd.pid == before

    def test_a_start_that_does_not_read_the_file_is_a_failure(self, scene: Scene) -> None:
        incident = hung(scene)
        folder = scene.lab.root / "env"
        folder.mkdir()
        configure(scene, env_file=str(folder / "docker.env"))

        result = scene.act("disable_pigz", incident)

        assert result["outcome"] == "failed"
        assert "the new process does not have MOBY_DISABLE_PIGZ=true" in result["detail"]
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize("point", ["after_intent", "after_effect"])
    def test_killed_on_the_way_it_restarts_once(self, scene: Scene, point: str) -> None:
        incident = hung(scene)
        configure(scene, env_file=str(scene.lab.dockerd.environment))

        scene.act("disable_pigz", incident, crash=point)
        scene.act("disable_pigz", incident)

        assert scene.lab.dockerd.log_text().count('msg="Starting up"') == 2
        assert scene.lab.dockerd.environment.read_text() == f"{PIGZ_OFF}\n"

    def test_it_is_undone_for_the_next_start(self, scene: Scene) -> None:
        incident = hung(scene)
        configure(scene, env_file=str(scene.lab.dockerd.environment))
        scene.act("disable_pigz", incident)

        told = json.loads(scene.run("revert", "disable_pigz", "--json").stdout)

        assert "the running process keeps it until its next start" in told["detail"]
        assert scene.lab.dockerd.environment.read_text() == ""

    def test_refused_without_an_env_file(self, scene: Scene) -> None:
        assert "no env_file is configured" in refused(scene, "disable_pigz", hung(scene))

    def test_refused_where_others_could_write(self, scene: Scene) -> None:
        incident = hung(scene)
        folder = scene.lab.root / "env"
        folder.mkdir()
        folder.chmod(0o777)
        configure(scene, env_file=str(folder / "docker.env"))

        assert "must be a directory that root alone can write to" in refused(scene, "disable_pigz", incident)

    def test_refused_over_an_operator_s_own_lines(self, scene: Scene) -> None:
        incident = hung(scene)
        scene.lab.dockerd.environment.write_text("HTTP_PROXY=http://proxy:3128\n")
        configure(scene, env_file=str(scene.lab.dockerd.environment))

        assert "holds something else" in refused(scene, "disable_pigz", incident)


@pytest.fixture
def live_restore(_lab_is_possible: None) -> Iterator[Scene]:
    with Lab(["--live-restore"]) as lab:
        yield Scene(lab, Agent(lab))


@contextlib.contextmanager
def deaf(scene: Scene) -> Iterator[None]:
    """A daemon that lives but answers nobody: without a free descriptor it accepts no connection."""
    pid = scene.lab.dockerd.pid
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, usual[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)


def tell_earlier(scene: Scene, **told: object) -> None:
    """What the agent's state file says of the daemon from before its API fell silent."""
    key = proc.identify(scene.lab.dockerd.pid)
    ticks = told.pop("start_ticks", key.start_ticks)
    runtime = {"runtime": "lab", "process": {"pid": key.pid, "start_ticks": ticks}, **told}
    (scene.agent.run_dir / "state.json").write_text(json.dumps({"schema": 1, "runtimes": [runtime]}))


def run_container(scene: Scene) -> str:
    """A container that sleeps; its id."""
    folder, host = scene.lab.root, f"unix://{scene.lab.dockerd.socket}"
    (folder / "sleep.c").write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    run("cc", "-static", "-o", str(folder / "sleep"), str(folder / "sleep.c"))
    run("tar", "-C", str(folder), "-cf", str(folder / "sleeper.tar"), "sleep")
    run("docker", "-H", host, "import", str(folder / "sleeper.tar"), "sleeper")
    return run("docker", "-H", host, "run", "-d", "--network", "none", "sleeper", "/sleep").strip()
