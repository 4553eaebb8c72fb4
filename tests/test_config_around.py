"""The configuration of other logs and of Harbors: what is accepted, and what is said of mistakes."""

from __future__ import annotations

import pytest

from tests.conftest import Load
from watchdog.config_around import LogConfig
from watchdog.errors import ConfigError


def test_logs_in_a_journal_a_file_and_a_container(load: Load) -> None:
    text = """
logs:
  - {name: kubelet, journal: kubelet.service}
  - {name: nginx, file: /var/log/nginx/error.log}
  - {name: dfdaemon, container: dragonfly-dfdaemon}
"""
    assert load(text).logs == (
        LogConfig("kubelet", journal="kubelet.service"),
        LogConfig("nginx", file="/var/log/nginx/error.log"),
        LogConfig("dfdaemon", container="dragonfly-dfdaemon"),
    )


def test_without_a_word_the_usual_ones_are_meant_and_off_is_none(load: Load) -> None:
    assert load("mode: observe\n").logs is None
    assert load("logs: off\n").logs == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("logs: [{name: a}]", "needs a name, and one of journal, file, container"),
        ("logs: [{file: /a}]", "needs a name"),
        ("logs: [{name: a, file: /a, journal: a.service}]", "needs a name, and one of"),
        ("logs: [{name: a, file: a.log}]", "absolute path"),
        ("logs: [{name: a, journal: kubelet}]", "the whole unit name"),
        ("logs: [{name: a, container: ../etc}]", "use letters"),
        ("logs: [{name: a, file: /a}, {name: a, file: /b}]", 'two logs are named "a"'),
        ("logs: [{name: docker, file: /a}]", 'a log and a runtime are both named "docker"'),
        ("logs: []", "empty list"),
        ("harbor: [harbor.example]", "write https://HOST"),
        ('harbor: ["https://admin:x@harbor.example"]', "without user"),
        ('harbor: ["https://harbor.example/api"]', "without user and path"),
        ('harbor: ["file:///etc/passwd"]', "write https://HOST"),
    ],
)
def test_a_mistake_is_named_with_its_line(load: Load, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        load(text)
    assert "config.yaml:1: " in str(error.value)


def test_harbors(load: Load) -> None:
    assert load('harbor: ["https://harbor.example", "http://10.0.0.9:8080/"]').harbors == (
        "https://harbor.example",
        "http://10.0.0.9:8080",
    )
