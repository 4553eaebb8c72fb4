"""A thread that does what may block: a stalled disk or a full pipe stops it, and only it.

Law: `submit` returns at once.  The queue is bounded; what does not fit is
dropped and counted.  A keyed job replaces an older one of its key, and is tried
again when it failed, so that nothing is lost on a disk that was full for a
while.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Callable, Dict, Hashable, Optional, Tuple

Job = Callable[[], None]

RETRY_S = 10.0


class Writer:
    """Runs jobs one after another.  Counters may be read by any thread."""

    def __init__(self, name: str, limit: int, retry_s: float = RETRY_S) -> None:
        self._limit = limit
        self._retry_s = retry_s
        self._queue: OrderedDict[Hashable, Job] = OrderedDict()
        self._failed: Dict[Hashable, Job] = {}
        self._changed = threading.Condition()
        self._retry_at = 0.0
        self._closing = False
        self.dropped = 0
        self.failures = 0
        self.last_error = ""
        self._thread = threading.Thread(target=self._run, name=f"{name} writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job, key: Optional[str] = None) -> bool:
        """Have `job` done; False when it was dropped because the queue is full."""
        with self._changed:
            name = key or object()
            self._failed.pop(name, None)
            if name not in self._queue and len(self._queue) >= self._limit:
                self.dropped += 1
                return False
            self._queue[name] = job
            self._changed.notify()
            return True

    def close(self, deadline_s: float) -> bool:
        """Finish what is queued, trying once more what failed; False when something is left."""
        with self._changed:
            self._closing = True
            self._retry_at = 0.0
            self._changed.notify()
        self._thread.join(deadline_s)
        return not self._thread.is_alive() and not self._failed

    def _run(self) -> None:
        while True:
            taken = self._take()
            if taken is None:
                return
            self._do(*taken)

    def _take(self) -> Optional[Tuple[Hashable, Job]]:
        """The next job; None when all is done and we are closing."""
        with self._changed:
            while True:
                self._requeue_failed()
                if self._queue:
                    return self._queue.popitem(last=False)
                if self._closing:
                    return None
                self._changed.wait(self._retry_s if self._failed else None)

    def _requeue_failed(self) -> None:
        if self._failed and time.monotonic() >= self._retry_at:
            self._queue.update(self._failed)
            self._failed.clear()

    def _do(self, key: Hashable, job: Job) -> None:
        try:
            job()
            self.last_error = ""
        except OSError as error:
            self._note_failure(str(error))
            self._keep_for_retry(key, job)
        except Exception as error:
            # A fault of ours; the thread must outlive it, and it must be seen.
            self._note_failure(repr(error))

    def _note_failure(self, error: str) -> None:
        self.failures += 1
        self.last_error = error

    def _keep_for_retry(self, key: Hashable, job: Job) -> None:
        with self._changed:
            if isinstance(key, str) and key not in self._queue:
                self._failed[key] = job
                self._retry_at = time.monotonic() + self._retry_s
