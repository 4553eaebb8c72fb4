"""A deadline for calls that have none: they run on a thread that can be left behind.

Law: the caller is back by the deadline, whatever the call does.  A call that
waits in the kernel (a stuck task's memory lock, a dead disk) cannot be ended
from user space, so its thread is abandoned: it holds no lock, dies with us,
and is counted.  With too many of them behind us we stop asking.

A thread and not a child: a birth is looked at for every layer, and a thread
costs a tenth of a fork.  The waits in question are killable, so the
threads never keep us from ending.
"""

from __future__ import annotations

import threading
from typing import Callable, List, TypeVar

from watchdog.errors import Deadline, Unavailable

_Result = TypeVar("_Result")

MOST_LEFT_BEHIND = 4
_left_behind: List[threading.Thread] = []


def within(deadline_s: float, what: str, call: Callable[[], _Result]) -> _Result:
    """The result of `call`, or its exception.

    Raises Deadline when it is not back in time, and Unavailable while
    too many earlier calls still hang.
    """
    _left_behind[:] = [thread for thread in _left_behind if thread.is_alive()]
    if len(_left_behind) >= MOST_LEFT_BEHIND:
        raise Unavailable(f"{what} was not asked: {len(_left_behind)} earlier calls still hang")
    results: List[_Result] = []
    errors: List[BaseException] = []
    thread = threading.Thread(target=_attempt, args=(call, results, errors), name=what, daemon=True)
    thread.start()
    thread.join(deadline_s)
    if errors:
        raise errors[0]
    if not results:
        _left_behind.append(thread)
        raise Deadline(f"{what} did not come back within {deadline_s:g} s")
    return results[0]


def _attempt(call: Callable[[], _Result], results: List[_Result], errors: List[BaseException]) -> None:
    try:
        results.append(call())
    except BaseException as error:
        errors.append(error)
