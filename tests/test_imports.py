"""Which module may import what: the house has one direction, and heavy or impure things one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest

import watchdog

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "watchdog"

# Which parts each part may import, beside itself and what all may (below).
MAY_IMPORT: Dict[str, Set[str]] = {
    "core": set(),
    "host": {"core"},
    "sense": {"core", "host"},
    "act": {"core", "host"},
    "report": {"core"},
    "cli": {"core", "host", "sense", "act", "report", "agent"},
    "agent": {"core", "host", "sense", "act", "report"},
    "config": {"core"},
    "config_around": set(),
    "config_files": set(),
    "config_p2p": {"core"},
    "config_routes": set(),
}
OF_ALL = {"errors", "config", "config_around", "config_files", "config_p2p", "config_routes", "yamlfile"}
OF_CORE = {"errors"}

# What gives the core a clock, I/O, a thread, randomness or a log.
PURE_PART = "urllib.parse"  # the rest of its package opens connections
IMPURE = frozenset(
    """
    asyncio concurrent ctypes fcntl glob http inspect io locale logging mmap multiprocessing os pathlib
    platform psutil queue random resource sched secrets select selectors shutil signal socket
    socketserver ssl struct subprocess sys syslog tempfile threading time urllib uuid warnings
    """.split()
)
BUILTINS_THAT_DO_IO = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}

# Each of these belongs to a few places.
PLACES: Dict[str, Tuple[str, ...]] = {
    "bcc": ("host/bpf/",),
    "subprocess": ("host/command.py",),
    "multiprocessing": (),
    "asyncio": (),
    "systemd": ("host/journal", "report/"),
    "structlog": ("report/log.py",),
    "prometheus_client": ("report/metrics",),
    "yaml": ("yamlfile.py", "host/yaml_line.py"),
    "logging": (),
}
RUNTIME_LIBRARIES = {"psutil", "yaml", "structlog", "prometheus_client", "systemd", "bcc", "watchdog"}


def modules() -> List[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, anywhere in it; `from a import b` gives a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(name: str) -> str:
    """The part of the house: "core/engine.py" -> "core", "agent.py" -> "agent"."""
    return name.partition("/")[0].replace(".py", "")


def trespasses(name: str, text: str) -> List[str]:
    """What a file of that name imports and may not."""
    part, tree = part_of(name), ast.parse(text)
    found = set(imports(tree))
    wrong = [one for one in found if not _ours_is_allowed(part, one)]
    for library, places in PLACES.items():
        if any(one.split(".")[0] == library for one in found) and not name.startswith(places):
            wrong.append(library)
    if part == "core":
        wrong += [one for one in found if one.split(".")[0] in IMPURE and not one.startswith(PURE_PART)]
        wrong += [one for one in found if one in ("datetime.datetime.now", "json.load", "json.dump")]
        wrong += list(_io_calls(tree))
    wrong += [one for one in found if _foreign(one)]
    return sorted(set(wrong))


def _ours_is_allowed(part: str, imported: str) -> bool:
    pieces = imported.split(".")
    if pieces[0] != "watchdog" or len(pieces) == 1:
        return True
    target = pieces[1]
    if target in ("__version__", part) or part in ("__init__", "__main__"):
        return True
    allowed = OF_CORE if part == "core" else OF_ALL
    return target in allowed or target in MAY_IMPORT.get(part, set())


def _io_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in BUILTINS_THAT_DO_IO:
                yield f"{node.func.id}()"
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("now", "utcnow", "today"):
                yield f".{node.func.attr}()"


def _foreign(imported: str) -> bool:
    """True for a library that is neither Python's own nor one that we may depend on."""
    top = imported.split(".")[0]
    known = getattr(sys, "stdlib_module_names", None)
    return known is not None and top not in known and top not in RUNTIME_LIBRARIES


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_what_its_place_allows(path):
    assert trespasses(name_of(path), path.read_text()) == []


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_starts_with_what_it_is_for_and_future_annotations(path):
    text = path.read_text()
    tree = ast.parse(text)
    if not text.strip():
        pytest.skip("an empty __init__")
    assert ast.get_docstring(tree), "no docstring"
    if any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in tree.body):
        assert "from __future__ import annotations" in text


WRONG = [
    ("core/a.py", "import time"),
    ("core/a.py", "from os import path"),
    ("core/a.py", "def f():\n    import random"),
    ("core/a.py", "import threading as t"),
    ("core/a.py", "from watchdog.host import proc"),
    ("core/a.py", "from watchdog.config import Config"),
    ("core/a.py", "from watchdog import agent"),
    ("core/a.py", "open('/proc')"),
    ("core/a.py", "from datetime import datetime\ndatetime.now()"),
    ("host/a.py", "from watchdog.sense import x"),
    ("host/a.py", "from watchdog.act.ledger import Ledger"),
    ("host/a.py", "import bcc"),
    ("host/a.py", "from subprocess import run"),
    ("sense/a.py", "import watchdog.act.run"),
    ("sense/a.py", "from watchdog.report.log import open_log"),
    ("act/a.py", "from watchdog.sense.runtime import x"),
    ("act/a.py", "import subprocess"),
    ("report/a.py", "from watchdog.host import proc"),
    ("report/a.py", "import structlog"),
    ("report/log.py", "import prometheus_client"),
    ("cli/a.py", "from prometheus_client import core"),
    ("cli/a.py", "import numpy"),
    ("config.py", "import yaml"),
    ("agent.py", "from watchdog.cli import main"),
]
RIGHT = [
    ("core/a.py", "import json, re, hashlib\nfrom datetime import datetime, timezone"),
    ("core/a.py", "from watchdog.core.policy import Policy\nfrom watchdog.errors import RecordingError"),
    ("host/a.py", "import time, os, socket\nfrom watchdog.core.observation import Frame"),
    ("host/bpf/a.py", "from bcc import BPF"),
    ("host/command.py", "import subprocess"),
    ("host/journal.py", "from systemd import journal"),
    ("sense/a.py", "from watchdog.host import proc"),
    ("act/a.py", "from watchdog.host import command"),
    ("report/log.py", "import structlog"),
    ("report/metrics.py", "from prometheus_client import Gauge"),
    ("report/a.py", "from watchdog import __version__"),
    ("yamlfile.py", "import yaml"),
    ("agent.py", "from watchdog.sense.senses import Senses"),
    ("cli/a.py", "from watchdog.host import proc"),
]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_trespass_is_found(name, text):
    assert trespasses(name, text) != []


@pytest.mark.parametrize(("name", "text"), RIGHT)
def test_its_neighbour_is_none(name, text):
    assert trespasses(name, text) == []


def test_the_package_called_watchdog_is_ours_and_not_the_file_watcher():
    assert Path(watchdog.__file__).parent == PACKAGE
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import watchdog; print(watchdog.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == str(PACKAGE / "__init__.py")


def test_the_agent_does_not_pull_in_what_would_cost_it_dear():
    heavy = {"bcc", "rich", "docker", "pyroute2", "sqlite3", "curses", "unittest", "pytest"}
    script = "import watchdog.agent, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert heavy & set(done.stdout.split()) == set()


def test_status_needs_neither_the_log_nor_the_metrics_nor_the_sensors():
    script = "import watchdog.cli.status, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    loaded = set(done.stdout.split())
    assert {"structlog", "prometheus_client", "psutil", "watchdog.sense", "watchdog.host"} & loaded == set()
