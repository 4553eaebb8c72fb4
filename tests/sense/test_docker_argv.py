"""sense/docker_argv: what people type, and what they mean by it."""

from __future__ import annotations

import pytest

from watchdog.sense.docker_argv import Asked, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("docker pull nginx", Asked("pull", "docker.io/library/nginx:latest")),
        ("/usr/bin/docker pull localhost:5000/big:1", Asked("pull", "localhost:5000/big:1")),
        ("docker -H unix:///x.sock pull ann/x", Asked("pull", "docker.io/ann/x:latest")),
        ("docker -Hunix:///x.sock pull x", Asked("pull", "docker.io/library/x:latest")),
        ("docker --host=unix:///x.sock -D --tls pull x", Asked("pull", "docker.io/library/x:latest")),
        ("docker --context far --config /c image pull -q x", Asked("pull", "docker.io/library/x:latest")),
        ("docker pull --platform linux/arm64 x", Asked("pull", "docker.io/library/x:latest", "linux/arm64")),
        ("docker pull x --platform=linux/arm64", Asked("pull", "docker.io/library/x:latest", "linux/arm64")),
        ("docker pull -aq x", Asked("pull", "docker.io/library/x:latest")),
        (f"docker pull r.example/a/b@{DIGEST}", Asked("pull", f"r.example/a/b@{DIGEST}")),
        ("docker pull -- x", Asked("pull", "docker.io/library/x:latest")),
        ("docker push r.example/a/b:2", Asked("push", "r.example/a/b:2")),
        ("docker run ubuntu pull nginx", Asked("run", "docker.io/library/ubuntu:latest")),
        ("docker run -it --rm -p 80:80 -v /a:/b -e A=b --name n ubuntu:22.04 ls -l",
         Asked("run", "docker.io/library/ubuntu:22.04")),
        ("docker run -d -p80:80 --platform os/arch x", Asked("run", "docker.io/library/x:latest", "os/arch")),
        ("docker container create --init -h name x", Asked("run", "docker.io/library/x:latest")),
        ("docker load -i file", Asked("load")),
        ("docker import http://x/y.tgz", Asked("load")),
        ("docker build -t a:1 .", Asked("build")),
        ("docker buildx build --platform linux/arm64 .", Asked("build")),
        ("docker compose -f a.yml --profile p pull web", Asked("pull")),
        ("/usr/libexec/docker/cli-plugins/docker-compose compose -f a.yml pull", Asked("pull")),
        ("/usr/libexec/docker/cli-plugins/docker-buildx buildx build .", Asked("build")),
        ("docker-compose -f a.yml pull", Asked("pull")),
        ("/usr/bin/python3 /usr/bin/docker-compose build", Asked("build")),
        ("docker compose up", Asked("other")),
        ("docker ps", Asked("other")),
        ("docker events --filter type=image", Asked("other")),
        ("docker", Asked("other")),
    ],
)  # fmt: skip
def test_a_docker_command_line_is_understood(line: str, asked: Asked) -> None:
    assert parse(line.split()) == asked


@pytest.mark.parametrize(
    "line", ["", "bash -c docker", "dockerd -H x pull y", "podman pull x", "docker-proxy x", "python3"]
)
def test_another_programs_command_line_is_not(line: str) -> None:
    assert parse(line.split()) is None


@pytest.mark.parametrize(
    "line", ["docker pull", "docker pull Not_A_Name", "docker pull --platform", "docker run --rm"]
)
def test_an_image_is_not_made_up(line: str) -> None:
    asked = parse(line.split())
    assert asked is not None and asked.image is None


def test_an_unknown_option_may_hide_the_image_but_is_never_taken_for_it() -> None:
    assert parse("docker run --brand-new value ubuntu".split()) == Asked(
        "run", "docker.io/library/ubuntu:latest"
    )
    assert parse("docker run --brand-new-switch ubuntu".split()) == Asked("run")
