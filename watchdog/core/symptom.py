"""One log line of any product on the way of an image -> what it shows.

    classify('level=info msg="Download failed, retrying (2/5): unexpected EOF"')
    -> Symptom(kind=NET_RESET, detail="net.reset", attempt=2, attempts=5, ...)

Law: pure; any text is allowed, none is an error.  A rule speaks of a symptom,
never of one line.  When in doubt the answer is `none`: a look-alike that
alarms costs more than a symptom that its neighbours show as well.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Mapping, Optional, Tuple

from watchdog.core.policy import SECOND_NS
from watchdog.core.symptoms import LOOK_ALIKES, RULES
from watchdog.core.symptoms.access import Access, judge_access, judge_status, read_access
from watchdog.core.symptoms.answers import kind_of_status, status_in
from watchdog.core.symptoms.index import RuleIndex
from watchdog.core.symptoms.log_format import DRAGONFLY, LogEntry, parse
from watchdog.core.symptoms.log_time import LogClock
from watchdog.core.symptoms.particulars import locked_for_ns, particulars
from watchdog.core.symptoms.rule import Rule
from watchdog.core.symptoms.sieve import is_worth_reading
from watchdog.core.symptoms.vocabulary import Symptom, SymptomKind

__all__ = ["LogClock", "Symptom", "SymptomKind", "classify", "parse"]

REPEATED_CHARS = 512  # longer texts carry something that differs each time
HELD_LONG_NS = 60 * SECOND_NS  # a layer's lock is held for as long as the layer takes

_INDEX = RuleIndex(RULES, LOOK_ALIKES)
_NOTHING = Symptom(SymptomKind.NONE)
_ANSWERS = (SymptomKind.AUTH, SymptomKind.NOT_FOUND, SymptomKind.SERVER_ERROR)
_SERIOUS = ("error", "fatal")
_Judgement = Tuple[SymptomKind, str]


def classify(line: str, clock: Optional[LogClock] = None) -> Symptom:
    """The symptom of this line, with what the line carries besides.

    `clock` fills in years and zones that the line's own time leaves out.
    """
    if not is_worth_reading(line):
        return _NOTHING
    return classify_sifted(line, clock)


def classify_sifted(line: str, clock: Optional[LogClock] = None) -> Symptom:
    """The same for a line that has been through the sieve already."""
    entry = parse(line, clock)
    kind, detail = _judge(entry)
    if kind is SymptomKind.NONE and not detail:
        return Symptom(kind, component=entry.component, level=entry.level, wall_ns=entry.wall_ns)
    return Symptom(
        kind,
        detail,
        component=entry.component,
        level=entry.level,
        wall_ns=entry.wall_ns,
        **particulars(entry),  # type: ignore[arg-type]
    )


def _judge(entry: LogEntry) -> _Judgement:
    text = entry.text.lower()
    rule = _rule_of(text) if len(text) <= REPEATED_CHARS else _INDEX.first_match(text)
    access = read_access(entry.text)
    if access is not None:
        kind, detail = judge_access(access, entry.text)
        told = kind is SymptomKind.SERVER_ERROR and rule is not None and rule.kind not in _ANSWERS
        return (rule.kind, rule.detail) if rule and told else (kind, detail)
    if rule is None and entry.component == DRAGONFLY and entry.level in _SERIOUS:
        return SymptomKind.PROXY, "df.failed"
    if rule is None or rule.kind in _ANSWERS:
        return _judge_answer(entry, text, rule)
    if rule.detail == "rt.layer_locked" and (locked_for_ns(entry.text) or HELD_LONG_NS) < HELD_LONG_NS:
        return SymptomKind.NONE, "rt.layer_locked"
    return rule.kind, rule.detail


@lru_cache(maxsize=1024)
def _rule_of(text: str) -> Optional[Rule]:
    """A flood of errors is mostly one error: its text is judged once."""
    return _INDEX.first_match(text)


def _judge_answer(entry: LogEntry, text: str, rule: Optional[Rule]) -> _Judgement:
    """What a registry answered: what was asked decides what its status means."""
    if "http.response.status" in entry.fields:
        kind, detail = _judge_response(entry.fields)
        if rule is not None and rule.kind is kind and rule.detail != "reg.server_error":
            return kind, rule.detail  # more than the status
        return kind, detail
    if rule is None or rule.detail == "reg.server_error":
        status = status_in(text)
        if status and not (rule is None and _INDEX.exception(text)):
            return kind_of_status(status), f"http.{status}"
    if rule is None:
        return SymptomKind.NONE, ""
    if rule.kind is SymptomKind.NOT_FOUND and entry.fields.get("http.request.method") == "HEAD":
        return SymptomKind.NONE, ""  # asked before every push
    return rule.kind, rule.detail


def _judge_response(fields: Mapping[str, str]) -> _Judgement:
    """The registry's own line about a request: what was asked decides what its status means."""
    status = fields["http.response.status"]
    if not status.isdecimal() or int(status[:4]) < 400:
        return SymptomKind.NONE, ""
    method, target = fields.get("http.request.method", ""), fields.get("http.request.uri", "")
    return judge_status(int(status[:4]), Access(method=method, target=target))
