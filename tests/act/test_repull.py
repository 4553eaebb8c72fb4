"""repull: what our own kill has cost comes back, by digest, under its name; nothing else is fetched."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace

import pytest

from tests.act.scene import PROJECT, PYTHON, Scene
from tests.lab import images
from tests.lab.faults import Fault
from tests.lab.processes import SYSTEM_PATH, run, wait_until
from watchdog.core.causes.finding import Cause
from watchdog.core.pull import AffectedPull
from watchdog.host import proc

pytestmark = pytest.mark.lab


def killed_pull(scene: Scene, image: images.Image = images.SMALL) -> tuple[str, AffectedPull]:
    """A pull that our own kill has ended, and its incident."""
    pid = scene.hang(Fault.PAUSE, image=image)
    pull = scene.pull_of(image, scene.clients[-1])
    incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid, pulls=(pull,), certain=True)
    assert scene.act("kill_decompressor", incident)["outcome"] == "done"
    assert scene.clients[-1].wait() != 0
    assert not scene.lab.has(image)
    scene.owe(incident, pull)
    return incident, pull


def manifest_requests(scene: Scene, image: images.Image) -> int:
    """How often the registry was asked for the image by its digest, as only a repull does."""
    digest = images.build(image).digest
    return len(scene.lab.registry.accesses(f"/manifests/{digest}"))


class TestItComesBack:
    def test_by_its_digest_and_under_its_name(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)

        result = scene.act("repull", incident)

        assert result["outcome"] == "done", result
        assert result["extra"]["pulls"][pull.image] == {"here": True, "said": "pulled and named"}
        assert scene.lab.has(images.SMALL)

    def test_both_images_that_shared_the_layer(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE, image=images.TWIN_A)
        first = scene.pull_of(images.TWIN_A, scene.clients[-1])
        scene.clients.append(scene.lab.pull(images.TWIN_B))
        second = scene.pull_of(images.TWIN_B, scene.clients[-1])
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid, pulls=(first, second), certain=True)
        scene.act("kill_decompressor", incident)
        for client in scene.clients:
            client.wait()
        scene.owe(incident, first, second)

        scene.act("repull", incident)

        assert scene.lab.has(images.TWIN_A)
        assert scene.lab.has(images.TWIN_B)

    def test_under_a_name_that_meant_an_older_image_until_the_kill(self, scene: Scene) -> None:
        older = replace(images.OTHER, repository=images.SMALL.repository)
        assert scene.lab.pull(older).wait() == 0  # the same name, other content
        before = scene.lab.dockerd.api.get(f"/images/{scene.lab.registry.reference(images.SMALL)}/json")["Id"]
        pid = scene.hang(Fault.PAUSE)
        pull = scene.pull_of(images.SMALL, scene.clients[-1])
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid, pulls=(pull,), certain=True)
        scene.act("kill_decompressor", incident)
        scene.clients[-1].wait()
        scene.owe(incident, pull)

        assert scene.act("repull", incident)["outcome"] == "done"

        after = scene.lab.dockerd.api.get(f"/images/{pull.image}/json")["Id"]
        assert after == images.build(images.SMALL).config.digest != before


class TestItIsNotFetched:
    def refused(self, scene: Scene, incident: str) -> str:
        before = len(scene.lab.registry.accesses())
        result = scene.act("repull", incident)
        assert result["outcome"] == "refused", result
        assert len(scene.lab.registry.accesses()) == before
        return str(result["detail"])

    def test_when_no_kill_of_ours_has_ended_it(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE)
        pull = scene.pull_of(images.SMALL, scene.clients[-1])
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid, pulls=(pull,), certain=True)
        scene.clients[-1].give_up()
        scene.owe(incident, pull)

        assert "no kill of ours" in self.refused(scene, incident)

    def test_when_its_client_had_given_up(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)
        scene.owe(incident, replace(pull, connected=False))

        assert "had been given up by its client" in self.refused(scene, incident)

    def test_when_its_client_is_still_at_it(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)
        scene.owe(incident, replace(pull, client=proc.identify(scene.lab.registry.pid)))

        assert "is still being pulled by its client" in self.refused(scene, incident)

    def test_when_its_digest_was_never_seen(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)
        scene.owe(incident, replace(pull, digest=None))

        assert "which digest it meant was not seen" in self.refused(scene, incident)

    def test_when_it_was_never_under_way_whatever_the_incident_says(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)
        scene.owe(incident, replace(pull, image=scene.lab.registry.reference(images.OTHER)))
        assert "was not under way when we killed" in self.refused(scene, incident)
        scene.owe(incident, replace(pull, digest=images.build(images.OTHER).digest))
        assert "was not under way when we killed" in self.refused(scene, incident)

    def test_when_the_incident_was_wrong_at_the_kill_already(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE)
        true = scene.pull_of(images.SMALL, scene.clients[-1])
        other = scene.lab.registry.reference(images.OTHER)
        forged = replace(true, image=other, digest=images.build(images.OTHER).digest)
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid, pulls=(true, forged), certain=True)
        assert scene.act("kill_decompressor", incident)["outcome"] == "done"
        scene.clients[-1].wait()
        scene.owe(incident, forged)

        assert "was not under way when we killed" in self.refused(scene, incident)

    def test_when_somebody_has_pulled_it_meanwhile(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)
        assert scene.lab.pull(images.SMALL).wait() == 0

        assert f"{pull.image} is here already" in self.refused(scene, incident)

    def test_when_it_has_gone_on_by_itself(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)
        seen = scene.read(incident)
        scene.write(replace(seen, owed=tuple(replace(one, satisfied=True) for one in seen.owed)))

        assert "has gone on by itself" in self.refused(scene, incident)

    def test_in_a_dry_run(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)
        before, ledger = len(scene.lab.registry.accesses()), scene.ledger

        result = scene.act("repull", incident, "--dry-run")

        assert result["steps"] == [f"pull {pull.image} again, by {pull.digest}"]
        assert len(scene.lab.registry.accesses()) == before
        assert scene.ledger == ledger
        assert not scene.lab.has(images.SMALL)


class TestNames:
    def test_one_that_somebody_gave_away_since_is_left_alone(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)
        assert scene.lab.pull(images.OTHER).wait() == 0
        other = scene.lab.registry.reference(images.OTHER)
        run("docker", "-H", f"unix://{scene.lab.dockerd.socket}", "tag", other, pull.image)
        given = scene.lab.dockerd.api.get(f"/images/{pull.image}/json")["Id"]

        result = scene.act("repull", incident)

        assert "is left alone" in result["detail"]
        assert scene.lab.dockerd.api.get(f"/images/{pull.image}/json")["Id"] == given


class TestTheRegistry:
    def test_that_is_away_is_named(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)
        scene.lab.registry.stop()

        result = scene.act("repull", incident)

        assert result["outcome"] == "failed"
        assert "connection refused" in result["extra"]["pulls"][pull.image]["said"]

    def test_that_wants_credentials_is_left_to_the_client(self, scene: Scene) -> None:
        incident, pull = killed_pull(scene)
        scene.lab.registry.stop()
        serve_privately(scene)

        result = scene.act("repull", incident)

        assert result["outcome"] == "failed"
        said = result["extra"]["pulls"][pull.image]["said"]
        assert said.startswith("the registry wants credentials, which only the client has")


def serve_privately(scene: Scene) -> None:
    """Let nobody into the registry without a password."""
    port, folder = scene.lab.registry.port, scene.lab.root
    (folder / "passwords").write_text(
        "nobody:$2y$05$invalidinvalidinvalidinvalidinvalidinvalidinvalidinvalidi\n"
    )
    config = folder / "private.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {scene.lab.registry.storage}}}}}\n"
        f'http: {{addr: "127.0.0.1:{port}"}}\n'
        f"auth: {{htpasswd: {{realm: private, path: {folder}/passwords}}}}\n"
    )
    command = ["docker-registry", "serve", str(config)]
    scene.lab.cell.spawn(command, "registry", folder / "private.log", {"PATH": SYSTEM_PATH})
    wait_until(lambda: answers(port), "the private registry answers")


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class TestBesideIt:
    def test_the_fault_can_be_freed_again_while_the_pull_is_under_way(self, scene: Scene) -> None:
        """The lock is given up once the runtime has taken the order; otherwise nobody could free it."""
        incident, pull = killed_pull(scene)
        scene.lab.unpigz.arm(Fault.STOP, runs=1)
        command = [
            PYTHON,
            "-m",
            "watchdog",
            "act",
            "repull",
            "--incident",
            incident,
            "-c",
            str(scene.agent.config),
        ]
        with subprocess.Popen(
            command, cwd=PROJECT, env={"PATH": SYSTEM_PATH}, stdout=subprocess.PIPE
        ) as repull:
            wait_until(lambda: scene.lab.dockerd.stands_still(0.5), "the repull hangs too")
            again = scene.record(Cause.DECOMPRESSOR_STOPPED, scene.lab.dockerd.decompressors[-1])

            assert scene.act("resume", again)["outcome"] == "done"

            said, _ = repull.communicate(timeout=30)
        assert said.decode() == f"repull: done: {pull.image}: pulled and named\n"
        assert scene.lab.has(images.SMALL)


class TestWithoutARuntime:
    def test_nothing_is_asked(self, scene: Scene) -> None:
        """Where systemd holds the socket a question would start a runtime that somebody has stopped."""
        incident, _ = killed_pull(scene)
        scene.lab.dockerd.stop()

        result = scene.act("repull", incident)

        assert (result["outcome"], result["detail"]) == ("refused", "the runtime lab does not run")
