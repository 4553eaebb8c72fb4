"""The sieve: which lines are worth reading at all.

A healthy log is almost all lines without a symptom.  Searching whole blocks for
some stems finds the others at more than a hundred megabytes a second.

Law: no symptom without a stem.  Every word that a rule needs contains one of
the stems below; a test goes through all rules.  A stem proves nothing yet.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Callable, Dict, Iterable, Iterator, List, Sequence, Set

from watchdog.core.symptoms.rule import words

STEMS = (
    *(
        "lookup ",
        "no such ",
        "is down, ",
        "pq: ",
        "s3aws: ",
        "xz: ",
    ),  # with their spaces, which make them rarer
    *words(  # something did not work
        """
        error | fail | denied | unable | could not | couldn't | panic: | exception | emfile | problem
        wrong | invalid | not permitted | not supported | not implemented | not available | no available
        unavailable | overflow | unexpected | unknown | unsupported | unhandled | malformed | corrupt input
        corruption | mismatch | not found | match image | match the digest | mediatype in manifest
        missing signature key | match digest | match any | match uploaded | match expected | match, expected
        not exist | not known | no matching manifest | no image found | nosuchbucket | nosuchupload
        no supernode | insufficient | exceeded | enough free | enough disk | enough space | enough memory
        expired | elapsed | did not response
        """
    ),
    *words(  # it took too long, or was given up
        """
        timeout | timed out | timedout | blocked for | hung_task | ppid: | 0x0000 | soft lockup - cpu
        hard lockup | locked for | locked: | locking ref | no progress | another client | waiting for
        should wait | context cancel | request cancel | was cancel | pull cancel | pull session cancel
        download cancel | upload cancel | retrying | will retry | for backoff | back-off | backoff
        imagepull | imageneverpull | policy of never | to pull image | requested address | dropping packet
        wanted to free | m_reaper | will reset | write on closed | server preface | expectedmd5
        untrusted key
        """
    ),
    *words(  # the connection
        """
        refused | no route to host | reset | eof | broken pipe | brokenpipe | goaway | hang up | unreach
        host is down | prematurely | premature close | y closed | closed abruptly | by remote host
        remote end closed | server closed | use of closed | http2: client connection | during blob
        message completed | short read | incompleteread | incomplete read | incompletemessage
        incomplete: received | caused connection | was aborted | established connection | by the software
        transport connection | trouble accessing | properly respond | no response | server available
        live upstreams | healthy | progress made | bytes remaining to | was closed cleanly | upstream sent
        upstream prematurely
        """
    ),
    *words(  # the name, the handshake, the proxy
        """
        name resolution | misbehaving | getaddrinfo | nxdomain | servname | with hostname | unknown host
        x509 | handshake | signed cert | signed by unknown | verify | oversized | protocol version
        get_record | http response to https | http request to an | was sent to https | version number
        version_number | v3 alert | v1 alert | certificate is valid | proxyconnect | proxy after connect
        proxy authentication | connecting to proxy | socks connect | retries exhausted | http method parsed
        """
    ),
    *words(  # what was answered
        """
        unauthorized | authentication | auth credentials | wrong credentials | docker login
        require authorization | username | pull secret | pull access | insufficient_scope | too many
        toomany | too_many_requests | pull rate | throttl | slowdown | reduce your | gateway
        default backend | top-level value | beginning of value | quota | empty content-type | read only mode
        read-only mode | updated to current | the configured | y too large | too large body | http status
        status code | statuscode | http code | response code | status=4 | status=5 | status: 4 | status: 5
        http 4 | byte range | http 206 | range not satisfiable | range requests | content-range header
        support range | range_invalid | verification | json input | checksum does | request body
        """
    ),
    *words(  # the node
        """
        no space left | pressure | attempting to reclaim | reclaim memory | blocks which is
        low on free space | high threshold | written only | disk full | disk is full | storagefull | memory
        oom-kill | oom_kill | oom killer | oomkilled | killed | signal: | code=dumped | temporarily
        rejected by | rejecting i/o | read-only file | readonly file | remounting | structure needs
        beyond end of | of-data-space | rcu_sched | rcu_preempt | not responding | file handle
        transport endpoint | page write | aborting journal | emask | shutting down | shutdown of
        i/o timeout | file exists | cross-device | symbolic links | not empty | resource busy
        name too long | value too large
        """
    ),
    *words(  # the products
        """
        register to one of | /peer/registry | /api/peer/ | peer packet | p2p pattern | p2pdownloader
        back-to-source | back to source | back source | max schedule | max reschedule | scheduler not
        download success( | database system | begin transaction | remaining connection | driver: bad
        the lock | terminating | statement due | azure: | swift: | gcs: | pigz | gzip: | zstd: | zlib:
        decompress | archive/tar | applying tar | applied tar | extracting | pull complete
        to download piece | downloaded newer | up to date | docker daemon | docker_engine | ttrpc: closed
        transport is closing | runtime is | pid file | process exited | dependency job | exit successfully
        request repeated | start-limit-hit | code=killed | code=exited, status=1 | specified both
        flag provided | valid mirror | conflicting options | is not valid
        """
    ),
    *('message":[', 'message": ['),  # journald's way to write what is no plain text
    *(f'status":{space}{quote}{digit}' for space in ("", " ") for quote in ("", '"') for digit in "45"),
)

# An access log's status from 400, and haproxy's word for a session that did not end well.
_ENDINGS = (r"\" [45]", r"-- (?<=[^-]-- )")

# Letters that a healthy log has seldom.  A stem is looked for from such a letter on.
_RARE = "uvwxyzkpqjmgh"
_SHORTEST = 4

_Find = Callable[[bytes, int], int]


def _from_a_rare_letter(stem: str) -> str:
    """The longest tail that begins with a rare letter, as necessary as the stem itself; or ""."""
    starts = (at for at in range(len(stem) - _SHORTEST + 1) if stem[at] in _RARE)
    return next((stem[at:] for at in starts), "")


def trie(words: Iterable[str]) -> str:
    """An alternation that decides letter by letter, which the regex engine is quick at."""
    rests: Dict[str, Set[str]] = defaultdict(set)
    for word in words:
        rests[word[0]].add(word[1:])
    return "|".join(re.escape(first) + _branch(rest) for first, rest in sorted(rests.items()))


def _branch(rests: Set[str]) -> str:
    if "" in rests:  # a shorter word ends here, and is enough
        return ""
    return f"(?:{trie(rests)})" if len(rests) > 1 else re.escape(next(iter(rests)))


# One regular expression for all stems with a rare letter: it stops only at those letters.
# The few stems without one are looked for one by one, which is quick, too.
_TAILS = set(filter(None, map(_from_a_rare_letter, STEMS)))
_TAIL_PATTERN = trie(_TAILS)
PLAIN = tuple(stem for stem in STEMS if not _from_a_rare_letter(stem))
FOUND_STEMS = (  # what a search can find: of a tail and its beginning only the beginning
    *PLAIN,
    *sorted(tail for tail in _TAILS if not any(tail[:end] in _TAILS for end in range(1, len(tail)))),
)

_find_tail = re.compile(_TAIL_PATTERN).search
_find_endings = [re.compile(pattern).search for pattern in _ENDINGS]


def is_worth_reading(line: str) -> bool:
    """Whether this line may show a symptom."""
    lowered = line.lower()
    if any(word in lowered for word in PLAIN) or _find_tail(lowered):
        return True
    return any(find(lowered) for find in _find_endings)


def stems_in(lowered: str) -> Set[str]:
    """The stems in a lower-cased text, also those that overlap."""
    found = {word for word in PLAIN if word in lowered}
    tail = _find_tail(lowered)
    while tail:
        found.add(tail.group())
        tail = _find_tail(lowered, tail.start() + 1)
    return found


def lines_worth_reading(block: bytes) -> List[int]:
    """The offsets at which those lines of a block begin that may show a symptom, ascending."""
    lowered = block.lower()
    return sorted({start for find in _FINDERS for start in _starts(find, lowered)})


def worth_reading(lines: Sequence[str], besides: str) -> List[str]:
    """Those of the lines that may show a symptom or hold that word; none of them holds a line end."""
    block = "\n".join(lines).encode("utf-8", "replace")
    starts = {*lines_worth_reading(block), *_starts(_word_finder(besides.encode()), block)}
    worth, number, at = [], 0, 0
    for start in sorted(starts):
        number += block.count(b"\n", at, start)
        worth.append(lines[number])
        at = start
    return worth


def _starts(find: _Find, block: bytes) -> Iterator[int]:
    """Where the lines begin in which something is found."""
    at = find(block, 0)
    while at >= 0:
        yield block.rfind(b"\n", 0, at) + 1
        line_end = block.find(b"\n", at)
        at = find(block, line_end) if line_end >= 0 else -1


def _word_finder(word: bytes) -> _Find:
    return lambda block, start: block.find(word, start)


def _pattern_finder(pattern: bytes) -> _Find:
    search = re.compile(pattern).search

    def find(block: bytes, start: int) -> int:
        found = search(block, start)
        return found.start() if found else -1

    return find


_FINDERS = [
    *(_word_finder(word[:5].encode()) for word in PLAIN),  # bytes.find is quickest with so few
    *(_pattern_finder(pattern.encode()) for pattern in (_TAIL_PATTERN, *_ENDINGS)),
]
