"""How the runtime was started: its program, its arguments, and the configuration file that they name."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from watchdog.act.identity import Subject
from watchdog.errors import Unavailable
from watchdog.host import birth, command, dockerd_settings
from watchdog.host.dockerd_settings import CONFIG_OPTION

_VALIDATES_SINCE = 23
_PROGRAM_DEADLINE_S = 10.0


@dataclass(frozen=True)
class DaemonCommand:
    """`program`: its path as the runtime's own PATH gives it; None where it is not found any more."""

    words: Tuple[str, ...]
    program: Optional[str]

    @property
    def config_file(self) -> str:
        """Where it reads its configuration."""
        return dockerd_settings.config_file(self.words)

    @property
    def names_config_file(self) -> bool:
        """Its arguments name the file: it does not start without it."""
        return self.option(CONFIG_OPTION) is not None

    def option(self, name: str) -> Optional[str]:
        """The value of an option; None without it."""
        return dockerd_settings.option(self.words, name)

    def faults_of(self, config_file: str) -> List[str]:
        """Why it would not start with that file in the place of its own."""
        if self.program is None:
            return ["the runtime's program cannot be found: it would not start again"]
        if _major_version(self.program) < _VALIDATES_SINCE:
            return self._json_faults(Path(config_file))
        words = [self.program, *self._words_without_config(), f"{CONFIG_OPTION}={config_file}", "--validate"]
        done = command.run(words, _PROGRAM_DEADLINE_S)
        return [] if done.succeeded else [f"its configuration is not valid: {_last_line(done.stderr)}"]

    def _words_without_config(self) -> List[str]:
        previous = ["", *self.words]
        return [
            word
            for before, word in list(zip(previous, self.words))[1:]
            if CONFIG_OPTION not in (before, word.partition("=")[0])
        ]

    def _json_faults(self, file: Path) -> List[str]:
        """Older daemons cannot check themselves; that the file is JSON can be seen."""
        try:
            value = json.loads(file.read_bytes())
        except FileNotFoundError:
            return [f"{file} is gone, and it would not start without it"] if self.names_config_file else []
        except (OSError, ValueError) as error:
            return [f"{file} cannot be used, so it would not start again: {error}"]
        return [] if isinstance(value, dict) else [f"{file} is no JSON object, so it would not start again"]


def command_of(daemon: Subject) -> DaemonCommand:
    """How this process was started."""
    words = birth.arguments(daemon.key)
    path = birth.environment(daemon.key).get("PATH")
    return DaemonCommand(words, shutil.which(words[0], path=path) if words else None)


def configuration_faults(daemon: Subject) -> List[str]:
    """Why the runtime would not come up again with the configuration that it would read now."""
    started = command_of(daemon)
    # Without a file it starts, unless its arguments name one; and then the check has to name none either.
    if not started.names_config_file and not Path(started.config_file).exists():
        return []
    return started.faults_of(started.config_file)


def _major_version(program: str) -> int:
    """From "Docker version 20.10.24+dfsg1, build 5d6db84"."""
    done = command.run([program, "--version"], _PROGRAM_DEADLINE_S)
    words = done.stdout.decode("utf-8", "replace").split()
    version = words[words.index("version") + 1] if "version" in words[:-1] else ""
    major = version.split(".")[0]
    if not done.succeeded or not major.isdigit():
        raise Unavailable(f"{program} --version does not tell its version")
    return int(major)


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no reason was given"
