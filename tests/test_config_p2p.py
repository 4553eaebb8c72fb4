"""The section `p2p`: what it says, and what it cannot say."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchdog.config import load
from watchdog.config_p2p import P2pConfig
from watchdog.core.dragonfly import Generation
from watchdog.errors import ConfigError


def read(tmp_path: Path, text: str) -> object:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load(path).p2p


def test_without_it_everything_is_found_out(tmp_path: Path) -> None:
    assert read(tmp_path, "mode: observe\n") == P2pConfig()


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    assert read(tmp_path, "p2p: off\n") is None


def test_what_it_says_is_taken(tmp_path: Path) -> None:
    text = (
        "p2p:\n  generation: v1\n  config: /etc/dragonfly/dfdaemon.yml\n  address: 127.0.0.1:65001\n"
        "  restart: [docker, restart, dfclient]\n  piece_timeout: 10m\n"
    )
    assert read(tmp_path, text) == P2pConfig(
        generation=Generation.V1,
        config=Path("/etc/dragonfly/dfdaemon.yml"),
        address="127.0.0.1:65001",
        restart=("docker", "restart", "dfclient"),
        piece_timeout="600s",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p2p: {pieceTimeout: 10m}", 'unknown key "pieceTimeout"'),
        ("p2p: {generation: v2}", "v2_rust"),
        ("p2p: {config: dfdaemon.yaml}", "absolute path"),
        ("p2p: {address: 65001}", "ADDRESS:PORT"),
        ("p2p: {address: 10.0.0.9:65001}", "127.0.0.1:65001"),
        ("p2p: {piece_timeout: 600}", "no unit"),
        ("p2p: {service: dfdaemon.service, restart: [a]}", "remove one of the two"),
        ("p2p: {service: dfdaemon}", "whole unit name"),
        ("p2p: on", "must be a section"),
    ],
)
def test_a_fault_is_told_with_file_line_and_remedy(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"config.yaml:1: ") as error:
        read(tmp_path, text + "\n")
    assert words in str(error.value)
