"""`./dev lab [-n RUNS] [WORD ...]`: run the lab cases and print their table, times the worst of all runs.

A case whose promise does not hold stands in the table with what did not hold.  What
takes minutes, or counts and does not measure, is run once.
"""

from __future__ import annotations

import argparse
import time
import traceback
from pathlib import Path

from tests.bench.machine import describe
from tests.lab.cases import Case, Measured
from tests.lab.cases.every import CASES

RUNS = 5
REASON_MAX = 600  # characters of what did not hold


def main() -> int:
    """0 when every case held in every run, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="./dev lab", description=__doc__)
    parser.add_argument("-n", dest="runs", type=int, default=RUNS, help=f"runs of each case ({RUNS})")
    parser.add_argument("words", nargs="*", help="only cases whose name has one of these words")
    args = parser.parse_args()
    chosen = [case for case in CASES if not args.words or any(word in case.name for word in args.words)]
    print(f"machine: {describe()}; worst of {args.runs} runs\n")
    print("| case | wanted | seen | runs |\n|---|---|---|---|", flush=True)
    failed, began = 0, time.monotonic()
    for case in chosen:
        runs = 1 if case.once else args.runs
        seen, held = _run(case, runs)
        failed += not held
        print(f"| {case.name} | {case.wanted} | {seen} | {runs} |", flush=True)
    minutes = (time.monotonic() - began) / 60
    print(f"\n{len(chosen) - failed} passed, {failed} failed, in {minutes:.0f} minutes")
    return 1 if failed else 0


def _run(case: Case, runs: int) -> tuple[str, bool]:
    measured = []
    for number in range(runs):
        try:
            measured.append(case.run())
        except Exception as error:
            return f"DOES NOT HOLD in run {number + 1}: {_reason(error)}", False
    return _worst(measured), True


def _reason(error: Exception) -> str:
    """What did not hold, and the line of the case that found it."""
    frames = traceback.extract_tb(error.__traceback__)
    here = [frame for frame in frames if "/cases/" in frame.filename] or frames
    said = " ".join(str(error).replace("|", "/").split())[:REASON_MAX] or type(error).__name__
    return f"{said} ({Path(here[-1].filename).name}:{here[-1].lineno})"


def _worst(measured: list[Measured]) -> str:
    names = list(dict.fromkeys(name for one in measured for name in one.seconds))
    times = [_times(name, sorted(one.seconds[name] for one in measured)) for name in names]
    return ", ".join([*times, *([measured[-1].seen] if measured[-1].seen else [])]) or "holds"


def _times(name: str, seconds: list[float]) -> str:
    """The worst, and the median where there is more than one."""
    median = f" (median {seconds[len(seconds) // 2]:.1f})" if len(seconds) > 1 else ""
    return f"{name} {seconds[-1]:.1f} s{median}"


if __name__ == "__main__":
    raise SystemExit(main())
