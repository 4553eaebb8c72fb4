"""What a Docker command line asks for, read from its arguments.

Pure.  Source: the option tables of docker/cli 20.10 to 28 and of compose v2.
An option that is not known to be a switch takes the next word as its value;
so a new switch may hide an image's name, but never invents one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Dict, FrozenSet, List, Optional, Sequence, Tuple

from watchdog.core.reference import parse_reference


@dataclass(frozen=True)
class Asked:
    """`verb`: pull, load, build, push, run (pulls only what is not there) or other.

    `image` is the normalised reference, None where the arguments do not say.
    """

    verb: str
    image: Optional[str] = None
    platform: Optional[str] = None


_OTHER = Asked("other")
_PROGRAMS = frozenset({"docker", "docker-compose", "docker-buildx"})

# Switches, which take no value: as letters and as words.
_Switches = Tuple[str, FrozenSet[str]]
_GLOBAL: _Switches = ("Dvh", frozenset({"debug", "tls", "tlsverify", "version", "help"}))
_COMPOSE: _Switches = (
    "hv",
    frozenset({"help", "version", "compatibility", "verbose", "dry-run", "all-resources"}),
)
_TRANSFER: _Switches = ("aqh", frozenset({"all-tags", "quiet", "disable-content-trust", "help"}))
_RUN: _Switches = (
    "ditPq",
    frozenset(
        "detach interactive tty rm init privileged publish-all read-only sig-proxy quiet help"
        " no-healthcheck oom-kill-disable disable-content-trust use-api-socket".split()
    ),
)

# (command words) -> (verb, its switches, whether options end at the first word that is none)
_COMMANDS: Dict[Tuple[str, ...], Tuple[str, Optional[_Switches], bool]] = {
    ("pull",): ("pull", _TRANSFER, False),
    ("image", "pull"): ("pull", _TRANSFER, False),
    ("push",): ("push", _TRANSFER, False),
    ("image", "push"): ("push", _TRANSFER, False),
    ("run",): ("run", _RUN, True),
    ("create",): ("run", _RUN, True),
    ("container", "run"): ("run", _RUN, True),
    ("container", "create"): ("run", _RUN, True),
    ("load",): ("load", None, False),
    ("image", "load"): ("load", None, False),
    ("import",): ("load", None, False),
    ("image", "import"): ("load", None, False),
    ("build",): ("build", None, False),
    ("image", "build"): ("build", None, False),
    ("builder", "build"): ("build", None, False),
    ("buildx", "build"): ("build", None, False),
    ("buildx", "bake"): ("build", None, False),
    ("compose", "pull"): ("pull", None, False),
    ("compose", "build"): ("build", None, False),
    ("compose", "push"): ("push", None, False),
}


def parse(argv: Sequence[str]) -> Optional[Asked]:
    """What this command line asks for; None when it is no Docker command line."""
    words = list(argv)
    if words and PurePosixPath(words[0]).name.startswith("python"):
        words = words[1:]  # docker-compose 1 is a script
    program = PurePosixPath(words[0]).name if words else ""
    if program not in _PROGRAMS:
        return None
    _, rest = _split(words[1:], _GLOBAL, ends_at_word=True)
    plugin = program[len("docker-") :]
    if plugin and rest[:1] != [plugin]:
        rest = [plugin, *rest]  # called by itself and not by docker
    if rest[:1] == ["compose"]:
        rest = ["compose", *_split(rest[1:], _COMPOSE, ends_at_word=True)[1]]
    return _asked(rest)


def _asked(words: List[str]) -> Asked:
    for length in (2, 1):
        command = _COMMANDS.get(tuple(words[:length])) if len(words) >= length else None
        if command is not None:
            verb, switches, ends_at_word = command
            if switches is None:
                return Asked(verb)
            options, rest = _split(words[length:], switches, ends_at_word)
            reference = parse_reference(rest[0]) if rest else None
            return Asked(verb, str(reference) if reference else None, options.get("platform"))
    return _OTHER


def _split(words: Sequence[str], switches: _Switches, ends_at_word: bool) -> Tuple[Dict[str, str], List[str]]:
    """Options with their values, and the words that are no options."""
    options: Dict[str, str] = {}
    plain: List[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return options, plain + left
        if not word.startswith("-") or word == "-":
            if ends_at_word:
                return options, [word, *left]
            plain.append(word)
        elif word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if not equals and name not in switches[1] and left:
                value = left.pop(0)
            options[name] = value
        elif _wants_value(word[1:], switches[0]) and left:
            left.pop(0)
    return options, plain


def _wants_value(letters: str, switches: str) -> bool:
    """Whether `-abc` takes the next word: only if its last letter is the first that is no switch."""
    for index, letter in enumerate(letters):
        if letter == "=":
            return False
        if letter not in switches:
            return index == len(letters) - 1
    return False
