"""The thread that may block, and nothing else with it."""

from __future__ import annotations

import threading
import time

from watchdog.report.writer import Writer


def wait_for(condition, deadline_s=5.0):
    limit = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < limit, "it did not come about in time"
        time.sleep(0.005)


def test_jobs_are_done_in_order_and_close_waits_for_them():
    done = []
    writer = Writer("test", 10)
    for n in range(5):
        assert writer.submit(lambda n=n: done.append(n))

    assert writer.close(5)
    assert done == [0, 1, 2, 3, 4]


def test_a_stalled_job_blocks_neither_submit_nor_close_and_what_does_not_fit_is_counted():
    stall, started = threading.Event(), threading.Event()
    writer = Writer("test", 3)
    writer.submit(lambda: (started.set(), stall.wait(30)))
    assert started.wait(5)

    before = time.monotonic()
    accepted = [writer.submit(lambda: None) for _ in range(5)]
    assert not writer.close(0.1)

    assert time.monotonic() - before < 2
    assert accepted == [True, True, True, False, False]
    assert writer.dropped == 2
    stall.set()
    assert writer.close(5)


def test_a_newer_job_of_a_key_replaces_the_older_one_even_when_the_queue_is_full():
    stall, started, done = threading.Event(), threading.Event(), []
    writer = Writer("test", 1)
    writer.submit(lambda: (started.set(), stall.wait(30)))
    assert started.wait(5)

    assert writer.submit(lambda: done.append("old"), key="a")
    assert writer.submit(lambda: done.append("new"), key="a")
    stall.set()

    assert writer.close(5)
    assert done == ["new"]
    assert writer.dropped == 0


def test_a_keyed_job_that_failed_is_tried_again_until_it_succeeds():
    attempts = []

    def fail_twice():
        attempts.append(None)
        if len(attempts) < 3:
            raise OSError(28, "No space left on device")

    writer = Writer("test", 10, retry_s=0.02)
    writer.submit(fail_twice, key="a")

    wait_for(lambda: len(attempts) == 3)
    assert writer.close(5)
    assert writer.failures == 2
    assert writer.last_error == ""


def test_a_failed_job_is_not_tried_again_once_a_newer_one_came():
    done = []

    def fail():
        done.append("old")
        raise OSError(28, "No space left on device")

    writer = Writer("test", 10, retry_s=60)
    writer.submit(fail, key="a")
    wait_for(lambda: writer.failures == 1)
    writer.submit(lambda: done.append("new"), key="a")

    assert writer.close(5)
    assert done == ["old", "new"]


def test_a_job_without_a_key_is_tried_once():
    attempts = []

    def fail():
        attempts.append(None)
        raise OSError(32, "Broken pipe")

    writer = Writer("test", 10, retry_s=0.01)
    writer.submit(fail)

    assert writer.close(5)
    assert len(attempts) == 1


def test_close_tries_once_more_and_says_what_is_left():
    attempts = []

    def fail():
        attempts.append(None)
        raise OSError(30, "Read-only file system")

    writer = Writer("test", 10, retry_s=60)
    writer.submit(fail, key="a")
    wait_for(lambda: attempts)

    assert not writer.close(5)
    assert len(attempts) == 2
    assert "Read-only" in writer.last_error


def test_a_fault_of_ours_does_not_end_the_thread():
    done = []
    writer = Writer("test", 10)
    writer.submit(lambda: 1 / 0)
    writer.submit(lambda: done.append(1))

    assert writer.close(5)
    assert done == [1]
    assert writer.failures == 1
