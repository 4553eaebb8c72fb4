"""`./dev bench [NAME ...]`: memory, idle, storm, pulls, explain, flood, fuzz; all of them without a name."""

from __future__ import annotations

import importlib
import sys

from tests.bench.machine import describe

NAMES = ("memory", "idle", "storm", "pulls", "explain", "flood", "fuzz")


def main(names: list[str]) -> int:
    """0 when every number is within its bar, 1 when one is not, 2 for a wrong name."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"bench: no such measurement: {unknown[0]}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    print(f"machine: {describe()}\n", flush=True)
    held = [importlib.import_module(f"tests.bench.{name}").main() for name in names or NAMES]
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
