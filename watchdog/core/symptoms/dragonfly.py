"""Dragonfly, all three generations.

df1: the Go client up to 1.x with its supernode (dfget, dfdaemon).  dfgo: the
Go daemon of 2.x.  dfrs: the Rust client.  Each has words of its own; what it
says about a plain network fault is left to network.py.
"""

from __future__ import annotations

import re
from typing import Tuple

from watchdog.core.symptoms.rule import Rule, words
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind

NAMED_FAULTS = (
    "reset by",
    "refused",
    "timed out",
    "i/o timeout",
    " eof",
    "no route",
    "no such host",
    "broken pipe",
    "x509",
)

_FIRST = (
    Rule(Kind.NONE, "df1.back_to_source_ok", ("download success(",)),
    Rule(
        Kind.PROXY,
        "df1.supernode_unreachable",
        ("fail", "error", "timed out", "refused", "unreachable"),
        matching=re.compile(
            r"connect to (?:node|ip)|do register to \S+:\d+|register fail:.*dial|\bsupernode\b"
        ),
    ),
    Rule(Kind.PROXY, "df1.no_supernode_left", ("register to one of []", "no supernode")),
    Rule(
        Kind.PROXY,
        "df1.supernode_app_down",
        ("/peer/registry", "/api/peer/"),
        matching=re.compile(r"error|\b[45]\d\d\b"),
    ),
    Rule(Kind.PROXY, "df1.supernode_cdn_fail", ("cdn status is fail", "cdn download failed", "seed fail")),
    Rule(Kind.PROXY, "df1.peer_wait", ("peer should wait",)),
    Rule(
        Kind.PROXY,
        "df1.register_fail",
        words(
            """
            register fail | download piece fail | failed to download piece | piece task fail
            empty response, unknown
            """
        ),
        without=NAMED_FAULTS,
    ),
    Rule(
        Kind.PROXY,
        "df1.register_fail",
        ("failed to download by dragonfly", "p2p pattern", "p2pdownloader run error"),
    ),
    Rule(Kind.PROXY, "df1.report_piece_fail", ("failed to report piece", "report piece fail")),
    Rule(Kind.PROXY, "df1.back_to_source_forbidden", ("fail and not back source",)),
    Rule(Kind.PROXY, "df1.proxy_502", ("dfget fail", "dfgeterror")),
    Rule(Kind.NET_TIMEOUT, "df1.download_timeout", ("download timeout(",)),
    Rule(Kind.NO_PROGRESS, "df1.slow_or_starved", ("get item timeout(",)),
)

_GO = (
    Rule(
        Kind.NET_TIMEOUT,
        "dfgo.schedule_timeout",
        ("scheduler timeout", "did not response in", "schedule timeout"),
    ),
    Rule(Kind.NO_PROGRESS, "dfgo.first_packet", ("wait first peer packet error",)),
    Rule(Kind.NO_PROGRESS, "dfgo.sync_stall", ("watch sync pieces timeout",)),
    Rule(
        Kind.PROXY,
        "dfgo.scheduler_unreachable",
        ("unreachable", "not available", "no available", "could not find", "not found", "fail", "error"),
        matching=re.compile(
            r"scheduler (?:ip )?address \S+ is unreachable|connect to scheduler"
            r"|schedulers? (?:is |are )?not available|(?:no|found) available scheduler"
            r"|not find (?:\w+ )?scheduler|register (?:peer|to scheduler).*fail"
            r"|fail\w* to (?:announce|get sched)"
        ),
    ),
    Rule(
        Kind.PROXY,
        "dfgo.no_parent",
        ("max reschedule times", "failed to schedule parent", "schedule parent failed"),
    ),
    Rule(Kind.PROXY, "dfgo.stream_aborted", ("peer task fail", "exit peer packet"), without=NAMED_FAULTS),
    Rule(
        Kind.PROXY,
        "dfgo.task_not_found",
        ("task not found", "task is not found", "peer not found"),
        matching=re.compile(r"\[\d{4}\]|piece task|code: ?\d{4}|peertask"),
    ),
    Rule(Kind.PROXY, "dfgo.register_failed", ("register peer task failed", "register task failed")),
    Rule(Kind.PROXY, "dfgo.back_source_disabled", ("back source disabled",)),
    Rule(
        Kind.PROXY,
        "dfgo.seed_failed",
        ("fail", "error"),
        matching=re.compile(r"seed (?:peer|task)"),
        without=NAMED_FAULTS,
    ),
    Rule(Kind.NET_TIMEOUT, "dfgo.preheat_deadline", ("deadline exceeded", "timeout"), with_all=("preheat",)),
    Rule(
        Kind.NET_TIMEOUT,
        "dfgo.preheat_deadline",
        ("timeout",),
        matching=re.compile(r"polling job .* timeout"),
    ),
)

_RUST = (
    Rule(
        Kind.NET_TIMEOUT,
        "dfrs.piece_timeout",
        ("timedout", "operation timed out", "finished timeout"),
        matching=re.compile(r"reqwest|kind: body|decod|piece|hyper|request or response body"),
    ),
    Rule(
        Kind.NET_TIMEOUT,
        "dfrs.schedule_timeout",
        ("tokiostreamelapsed", "deadline has elapsed", "elapsed(())"),
    ),
    Rule(Kind.PROXY, "dfrs.no_scheduler", ("schedulers not found", "scheduler not available")),
    Rule(Kind.PROXY, "dfrs.max_schedule", ("max schedule count",)),
    Rule(
        Kind.PROXY,
        "dfrs.back_to_source_disabled",
        ("back-to-source is disabled", "back to source is disabled"),
    ),
    Rule(Kind.RATE_LIMITED, "dfrs.proxy_429", ("request rate limit exceeded",)),
    Rule(Kind.DISK_FULL, "dfrs.no_space", ("not enough space to store",)),
    Rule(Kind.TLS, "dfrs.proxy_tls_to_plain", ("invalid http method parsed",)),
    Rule(Kind.NET_RESET, "dfrs.stream_truncated", ("download incomplete: received",)),
    Rule(Kind.NET_RESET, "dfrs.piece_body_error", ("error decoding response body",)),
)

RULES: Tuple[Rule, ...] = (*_RUST, *_FIRST, *_GO)

# What is left when no network fault is named: the P2P layer says that it failed.
UNNAMED: Tuple[Rule, ...] = (
    Rule(
        Kind.PROXY,
        "df.failed",
        ("fail", "error"),
        matching=re.compile(
            r"\b(?:pieces?|from parent|peer ?task|seed peer|(?:from|with|to) scheduler|download task|dfdaemon"
            r"|dragonfly)\b"
        ),
        without=("kube-", "success", "pod", "remove ", "error=<nil>"),
    ),
)
