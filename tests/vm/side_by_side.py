"""Several guests at once, in one thread: each is asked in turn for what it has to say."""

from __future__ import annotations

from typing import Generator, Mapping, Optional, Tuple

Told = Generator[str, None, None]


def side_by_side(
    guests: Mapping[str, Told], at_once: int
) -> Generator[Tuple[str, Optional[str]], None, None]:
    """The name of who speaks, and the line; None when it has said everything.

    A guest says "" while it has nothing to say.  The first `at_once` run from the
    start, and the next begins when one is through.  Closed, it closes them all.
    """
    left = dict(guests)
    try:
        while left:
            for name in list(left)[:at_once]:
                line = next(left[name], None)
                if line is None:
                    del left[name]
                if line != "":
                    yield name, line
    finally:
        for guest in guests.values():
            guest.close()
