"""One log line, whatever wrote it, as message, level, component and time.

A line comes wrapped: docker-compose puts a name before it, syslog a header,
docker's json-file a JSON object, and inside is logrus, klog or nginx.  The
wrappings are peeled off one by one; each is one entry of a table.

Law: pure, and never an error.  A wrapping that is half there stays on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Callable, Dict, Mapping, Match, Optional, Tuple

from watchdog.core.symptoms.log_time import ISO, LogClock, wall_ns

DRAGONFLY = "dragonfly"
MAX_PEELS = 8  # deeper nesting than any product writes
MAX_PARSED_CHARS = 16_384  # what a line has to say, it says before that

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")

_LEVELS = {
    "T": "trace", "D": "debug", "I": "info", "N": "info", "W": "warning", "E": "error", "F": "fatal",
    "C": "fatal", "P": "fatal", "A": "fatal",
}  # fmt: skip


@dataclass(frozen=True)
class LogEntry:
    """A line without its wrappings.

    `text`: the message, with what an error field of the line says behind it.
    `level`: trace, debug, info, warning, error, fatal or "".  `fields`: the
    key=value pairs or JSON members of a structured line, values as text.
    """

    text: str
    level: str = ""
    component: str = ""
    wall_ns: Optional[int] = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Peel:
    """What one wrapping told, and the line without it."""

    rest: str
    stamp: str = ""
    level: str = ""
    component: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    innermost: bool = False


def parse(line: str, clock: Optional[LogClock] = None) -> LogEntry:
    """The entry in this line; a line of no known format is its own message."""
    rest = ANSI.sub("", line[:MAX_PARSED_CHARS]).strip("\ufeff\r\n\t \x00")
    level = component = ""
    at_ns: Optional[int] = None
    fields: Dict[str, str] = {}
    for _ in range(MAX_PEELS):
        peel = _peel(rest)
        if peel is None or peel.rest == rest:
            break
        rest = peel.rest
        level = peel.level or level
        component = component or peel.component
        fields.update(peel.fields)
        inner_ns = wall_ns(peel.stamp, clock) if peel.stamp else None
        at_ns = at_ns if inner_ns is None else inner_ns
        if peel.innermost:
            break
    return LogEntry(rest, level, component, at_ns, fields)


def level_of(name: str) -> str:
    """A product's word for a level ("ERRO", "E", "crit", "3") as one of ours, or ""."""
    if name.isdecimal():  # syslog priorities, journald
        return ("fatal", "fatal", "fatal", "error", "warning", "info", "info", "debug")[int(name[-1]) % 8]
    return _LEVELS.get(name[:1].upper(), "") if name.upper() not in ("FALSE", "NULL", "NONE") else ""


def _peel(line: str) -> Optional[_Peel]:
    for form, take in _FORMS:
        found = form.match(line)
        if found:
            peel = take(found)
            if peel is not None:
                return peel
    return None


# --- wrappings that a pattern describes -----------------------------------------------


def _named_groups(found: Match[str]) -> _Peel:
    part = found.groupdict()
    return _Peel(
        rest=found.string[found.end() :],
        stamp=part.get("stamp") or "",
        level=level_of(part.get("level") or ""),
        component=_component(part.get("component") or part.get("kernel") or ""),
    )


def _last(found: Match[str]) -> _Peel:
    """The same for a wrapping in which there is no other."""
    return replace(_named_groups(found), innermost=True)


_COMPONENTS = (
    ("dockerd", "dockerd"), ("docker", "dockerd"), ("cri-containerd", "containerd"),
    ("containerd", "containerd"), ("kubelet", "kubelet"), ("kernel", "kernel"), ("k3s", "k3s"),
)  # fmt: skip


def _component(tag: str) -> str:
    """A syslog tag or container name as a component; decorations go, unknown names stay."""
    name = tag.strip().rstrip(":")
    for known, component in _COMPONENTS:
        if name.startswith(known) or name.endswith("-" + known):
            return component
    return name


def _dragonfly(found: Match[str]) -> _Peel:
    return replace(_last(found), component=DRAGONFLY)


def _event(found: Match[str]) -> _Peel:
    """A line of `kubectl describe`: its reason is part of what it says."""
    peel = _last(found)
    return replace(peel, rest=f"{found['reason']}: {peel.rest}")


# --- logrus -----------------------------------------------------------------------------

_PAIR = re.compile(r"(?<![\w.@/-])([A-Za-z_][\w.@/-]{0,63})=(\"(?:[^\"\\]|\\.)*\"?|\S*)")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_HARMLESS = ("trace", "debug", "info")
_ERROR_FIELDS = ("error", "err", "err.code", "err.message", "err.detail", "reason", "desc", "error-response")


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    inner = value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:]
    return _ESCAPE.sub(_unescaped, inner) if "\\" in inner else inner


def _unescaped(found: Match[str]) -> str:
    number = found[1] or found[2]
    if number:
        return chr(int(number, 16))
    return {"n": "\n", "t": "\t", "r": "\r"}.get(found[3], found[3])


def _logrus(found: Match[str]) -> Optional[_Peel]:
    """`time=... level=... msg="..." key=value`, also with its head cut off."""
    fields = {key: _unquoted(value) for key, value in _PAIR.findall(found.string)}
    if "msg" not in fields:
        return None
    level = level_of(fields.get("level") or fields.get("lvl") or "")
    text = _with_errors(fields.pop("msg"), fields)
    return _Peel(
        rest=text if level in _HARMLESS else _with_the_rest(text, found.string),
        stamp=fields.get("time") or fields.get("ts") or "",
        level=level,
        component="distribution" if "go.version" in fields else "",
        fields=fields,
        innermost=True,
    )


def _with_the_rest(text: str, line: str) -> str:
    """Names that were blacked out by hand took quotes with them: nothing of an error is lost."""
    rest = _PAIR.sub("", line).strip(" \"'\r\n")
    return f"{text}: {rest}" if rest else text


def _with_errors(message: str, fields: Mapping[str, str]) -> str:
    told = [fields[name] for name in _ERROR_FIELDS if fields.get(name)]
    return ": ".join([message, *told]) if message else ": ".join(told)


# --- JSON -------------------------------------------------------------------------------

_MEMBER = re.compile(r"\"([\w.@-]+)\"\s*:\s*(?:\"((?:[^\"\\]|\\.)*)\"?|(-?[\d.]+|true|false|null))")
_MESSAGES = ("log", "msg", "message", "MESSAGE", "textPayload")
_STAMPS = ("time", "ts", "timestamp", "@timestamp", "_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP")
_JSON_LEVELS = ("level", "severity", "PRIORITY", "error_severity")
_OF_DRAGONFLY = ("peer", "peerID", "task", "taskID", "taskId", "localPeerID")
_SPEAKERS = ("CONTAINER_NAME", "SYSLOG_IDENTIFIER", "_COMM", "container_name")


def _json(found: Match[str]) -> Optional[_Peel]:
    members = _members(found.string)
    message = next((members.pop(name) for name in _MESSAGES if members.get(name)), None)
    if message is None:
        message = _access_text(members)
    if message is None:
        return None
    stamp = next((members[name] for name in _STAMPS if members.get(name)), "")
    return _Peel(
        rest=_with_errors(message.strip("\r\n"), members),
        stamp=stamp,
        level=level_of(next((members[name] for name in _JSON_LEVELS if members.get(name)), "")),
        component=_speaker(members),
        fields=members,
    )


def _speaker(members: Mapping[str, str]) -> str:
    """Dragonfly's Go daemons do not name themselves: their tasks and peers do."""
    named = any(name in members for name in _OF_DRAGONFLY) or "d7y.io/" in members.get("stacktrace", "")
    if named and "caller" in members:
        return DRAGONFLY
    return _component(next((members[name] for name in _SPEAKERS if members.get(name)), ""))


def _members(line: str) -> Dict[str, str]:
    """The members of a JSON object as text; of one that is cut off, those that are there."""
    try:
        loaded = json.loads(line)
    except (ValueError, RecursionError):
        return {
            key: _ESCAPE.sub(_unescaped, text) if text else number
            for key, text, number in _MEMBER.findall(line)
        }
    if not isinstance(loaded, dict):
        return {}
    return {key: _as_text(value) for key, value in loaded.items()}


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(one, int) and 0 <= one < 256 for one in value):
        return bytes(value).decode("utf-8", "replace")  # how journald prints what is not plain text
    return json.dumps(value) if value is not None else ""


_REQUEST = ("request", "RequestLine")
_STATUS = ("status", "DownstreamStatus", "http.response.status", "upstream_status")
_METHOD = ("request_method", "RequestMethod", "method")
_TARGET = ("request_uri", "RequestPath", "uri", "path")
_SENT = ("body_bytes_sent", "DownstreamContentSize", "bytes_sent", "size")


def _access_text(members: Mapping[str, str]) -> Optional[str]:
    """A JSON access log as the common log format, which access.py reads."""

    def first(names: Tuple[str, ...]) -> str:
        return next((members[name] for name in names if members.get(name)), "")

    request = first(_REQUEST) or f"{first(_METHOD)} {first(_TARGET)} HTTP/1.1".strip()
    status = first(_STATUS)
    if not status or not request[:1].isalpha():
        return None
    return f'"{request}" {status} {first(_SENT) or "-"} {first(("error", "err", "upstream_error"))}'.strip()


# --- the table ---------------------------------------------------------------------------

_TAG = r"(?P<component>[A-Za-z][\w./@+-]{0,63})"
_HOST_AND_TAG = rf"(?:(?!time=)\S+\s+)?{_TAG}(?:\[\d+\])?:\s+"
_HOST_AND_PID = rf"(?:\S+\s+)?(?:{_TAG}\[\d+\]|\b(?P<kernel>kernel)):\s+"
_SYSLOG_STAMP = (
    r"(?P<stamp>(?:[^\W\d]{3,9}\.?\s+\d{1,2}|\d{1,2}\s+[^\W\d]{3,9}\.?|\d{1,2}\s?月\s+\d{1,2})"
    r"\s+(?:\d{4}\s+)?\d\d:\d\d:\d\d(?:\.\d+)?)"
)
_WORD_LEVEL = (
    r"(?P<level>TRACE|DEBUG|DEBU|DBG|INFO|INF|NOTICE|WARNING|WARN|WRN|ERROR|ERRO|ERR|FATAL|FATA|PANIC|PANI|CRIT|"
    r"CRITICAL|trace|debug|info|notice|warning|warn|error|crit|alert|emerg|fatal|panic)"
)

_Take = Callable[[Match[str]], Optional[_Peel]]


def _form(pattern: str, take: _Take = _named_groups) -> Tuple[re.Pattern[str], _Take]:
    return re.compile(pattern), take


_FORMS: Tuple[Tuple[re.Pattern[str], _Take], ...] = (
    _form(r"\{.*\"", _json),
    _form(r"(?:time|ts|\w{0,4}l)=\S.*?\bmsg=|msg=\"", _logrus),
    _form(r"[>*`'|\s]+(?=\S)"),  # quoting, and the bar of a compose log without a name
    _form(r"(?:stderr|stdout): (?=\S)"),
    _form(r"\[pod/[^\]]+\]\s+"),  # kubectl logs --prefix
    _form(r"(?P<component>[\w./-]{1,80})\s+\|\s"),  # docker-compose
    _form(r"MESSAGE="),  # journalctl -o export
    _form(r"(?P<component>__?[A-Z_]+|SYSLOG_IDENTIFIER|PRIORITY)=(?!\")", lambda found: None),
    _form(rf"(?P<stamp>{ISO})\s(?:stdout|stderr)\s[FP]\s"),  # the CRI's log files
    _form(  # RFC 5424
        rf"<\d{{1,3}}>1\s(?:(?P<stamp>{ISO})|-)\s\S+\s(?P<component>\S+)\s\S+\s\S+\s"
        r"(?:-|\[(?:[^\]\\]|\\.)*\])\s?(?:\ufeff)?"
    ),
    _form(r"<\d{1,3}>"),
    _form(_SYSLOG_STAMP + r"\s+" + _HOST_AND_TAG),
    _form(rf"(?:[A-Z][a-z]{{2}} )?(?P<stamp>{ISO})\s+" + _HOST_AND_PID),
    _form(rf"(?P<stamp>{ISO})\s+(?P<component>dockerd|containerd|kubelet)\s+(?=\S)"),
    _form(r"\[\s*\d+\.\d+\]\s+" + _HOST_AND_PID),  # journalctl -o short-monotonic
    _form(r"(?P<component>[A-Za-z][\w./-]{1,63})\[\d+\]:\s+"),
    _form(r"(?P<component>kernel):\s+"),
    _form(rf"{_WORD_LEVEL}\[(?P<stamp>[^\]\s]{{1,40}})\]\s*"),  # logrus on a terminal
    _form(r"(?P<level>[IWEF])(?P<stamp>\d{4} \d\d:\d\d:\d\d\.\d+)\s+\d+\s+[\w.-]+:\d+\]\s*", _last),  # klog
    _form(
        rf"\[(?P<stamp>{ISO})\]\s+{_WORD_LEVEL}\s+sign:[\d.-]+\s+lineno:\d+\s*:\s*", _dragonfly
    ),  # Dragonfly 0
    _form(rf"(?P<stamp>{ISO})\s+{_WORD_LEVEL}\s+sign:[\d.-]+\s*:\s*", _dragonfly),  # Dragonfly 1
    _form(rf"(?P<stamp>{ISO})\s+\[{_WORD_LEVEL}\]\s+\d+#\d+:\s+(?:\*\d+\s+)?", _last),  # nginx
    _form(rf"\[{_WORD_LEVEL}\]\s+\d+#\d+:\s+(?:\*\d+\s+)?"),
    _form(rf"(?:(?P<stamp>{ISO})\s+)?\[{_WORD_LEVEL}\]\s+(?:\[[^\]]*\])*:?\s*"),  # Harbor
    _form(rf"(?P<stamp>{ISO})\s+{_WORD_LEVEL}\b:?\s+"),  # Rust tracing, zap on a terminal
    _form(
        r"(?:[\w{}=\".-]+:)*\s*(?P<component>dragonfly)?[\w./-]+\.rs:\d+:\s+"
    ),  # Rust tracing: the spans and the place
    _form(r"\[\s*\d+\.\d+\]\s*"),  # dmesg
    _form(r"\[(?P<stamp>[A-Z][a-z]{2} [A-Z][a-z]{2}\s+\d{1,2} \d\d:\d\d:\d\d \d{4})\]\s*"),  # dmesg -T
    _form(
        r"(?P<level>Warning|Normal)\s{2,}(?P<reason>\w+)\s{2,}\S+ ?(?:\(x\d+ over \S+\))?"
        r"\s+(?P<component>kubelet)(?:,\s\S+)?\s+",
        _event,
    ),
    _form(rf"\[?(?P<stamp>{ISO})\]?\s+"),
    _form(r"\d\d:\d\d:\d\d\s+(?=\S)"),
)
